//! The values to substitute, and the reasons why an object cannot be substituted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::budget::Spent;

use lockgate_base::model::NotAnObject;

/// The deepest nesting of expressions in each other's defaults.
pub(super) const DEPTH_LIMIT: usize = 20;
/// The largest expanded text of an object, in bytes.
pub(super) const SIZE_LIMIT: usize = 16 * 1024 * 1024;

/// Values by name. The names are checked, and line ends are removed from the values, as in Flux.
#[derive(Clone, Default)]
pub struct Variables {
    pub(super) values: BTreeMap<String, String>,
    pub(super) secret: BTreeSet<String>,
    pub(super) strict: bool,
}

/// Why an object could not be substituted. No message holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstituteError {
    /// A name that no expression can refer to.
    #[error(
        "variable names must begin with a letter or '_' and go on with letters, digits or '_': {}",
        .0.join(", ")
    )]
    InvalidNames(Vec<String>),
    /// Undefined variables without a default; all of the object.
    #[error(
        "variable not set (strict mode): {}; define it in spec.postBuild, give it a default as in ${{NAME:=default}}, or \
         write $${{NAME}} for the text itself",
        .0.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    )]
    Undefined(Vec<String>),
    /// A text with an unreadable expression.
    #[error("{cause} in '{expression}'; write $${{...}} for text that is not a variable")]
    Syntax {
        /// The mistake, in envsubst's words.
        cause: &'static str,
        /// The expression's source, cut short.
        expression: String,
    },
    /// The budget of the build is spent.
    #[error("{spent}; the limit was exceeded in '{expression}'")]
    TooExpensive {
        /// The part of the budget.
        spent: Spent,
        /// The source of the expression that exceeded the budget, cut short.
        expression: String,
    },
    /// An expanded text that is too large.
    #[error("the text becomes larger than {SIZE_LIMIT} bytes")]
    TooLarge,
    /// An expanded text that is no YAML. Only its line is reported, because the text may hold secrets.
    #[error("line {line} of the substituted text is not YAML: a value may need quotes")]
    NotYaml {
        /// From 1, in the object's own text.
        line: usize,
    },
    /// A value that added another document.
    #[error("the substituted text is {0} YAML documents, not one")]
    Documents(usize),
    /// A value that turned the object into something else.
    #[error("the substituted text is not an object: {0}")]
    NotAnObject(#[from] NotAnObject),
}

impl Variables {
    /// Checks the names of `values`. `secret` contains the names whose values come from a Secret. Under
    /// `strict` an undefined variable without a default is an error; otherwise it is empty.
    pub fn new(
        values: BTreeMap<String, String>,
        secret: BTreeSet<String>,
        strict: bool,
    ) -> Result<Self, SubstituteError> {
        let invalid: Vec<String> = values.keys().filter(|name| !is_name(name)).cloned().collect();
        if !invalid.is_empty() {
            return Err(SubstituteError::InvalidNames(invalid));
        }
        let values = values.into_iter().map(|(name, value)| (name, value.replace('\n', ""))).collect();
        Ok(Self { values, secret, strict })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Variables {
    /// Prints only names, since values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}
