//! Where the labels of an object are from, which decides whether kustomize can take one off again unseen.

use serde_json::Value;

use lockgate_base::model::yaml::{Dialect, plain_value};

/// Where the labels of an object are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Labels {
    /// A file or a patch, or they were changed by one.
    #[default]
    Read,
    /// A transformer, which wrote them behind all metadata that were there.
    Made {
        /// Whether there were annotations then.
        annotated: bool,
    },
}

/// Whether kustomize puts quotes around a value that it makes. It keeps them when it sets another one there.
pub(crate) fn is_quoted(value: &str) -> bool {
    !matches!(plain_value(value, Dialect::V2), Ok(Value::String(_)))
}
