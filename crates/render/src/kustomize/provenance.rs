//! The origin of an object's labels, which decides whether kustomize can remove one again without a trace.

use serde_json::Value;

use lockgate_base::model::yaml::{Dialect, plain_value};

/// The origin of an object's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Labels {
    /// They come from a file or a patch, or one has changed them.
    #[default]
    Read,
    /// They come from a transformer, which wrote them behind all existing metadata.
    Made {
        /// Whether annotations existed then.
        annotated: bool,
    },
}

/// Whether kustomize quotes a value that it makes. It keeps the quotes when it sets another value there.
pub(crate) fn is_quoted(value: &str) -> bool {
    !matches!(plain_value(value, Dialect::V2), Ok(Value::String(_)))
}
