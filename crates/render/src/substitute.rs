//! Variable substitution after the build (`spec.postBuild`), with the syntax and the quirks of Flux's envsubst.
//!
//! An object is written as YAML, its text is expanded, and the text is read again by the rules of YAML 1.1, so that a
//! value can become a number or a list (fluxcd/pkg `kustomize/kustomize_varsub.go`, fluxcd/pkg `envsubst`).

mod expand;
mod glob;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use lockgate_base::keys;
use lockgate_base::model::yaml::{self, Dialect};
use lockgate_base::model::{NotAnObject, Object};

/// How deep expressions may be nested in each other's defaults.
const DEPTH_LIMIT: usize = 20;
/// The largest text that an object may become, in bytes.
const SIZE_LIMIT: usize = 16 * 1024 * 1024;

/// Values by name. The names are checked, and line ends are taken out of the values, as Flux does.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    secret: BTreeSet<String>,
    strict: bool,
}

/// Why an object could not be substituted. No message holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstituteError {
    /// A name that no expression could ever name.
    #[error(
        "variable names must begin with a letter or '_' and go on with letters, digits or '_': {}",
        .0.join(", ")
    )]
    InvalidNames(Vec<String>),
    /// Variables that are used without a default and are not defined; all of the object.
    #[error(
        "variable not set (strict mode): {}; define it in spec.postBuild, give it a default as in ${{NAME:=default}}, or \
         write $${{NAME}} for the text itself",
        .0.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    )]
    Undefined(Vec<String>),
    /// A text in which an expression cannot be read.
    #[error("{cause} in '{expression}'; write $${{...}} for text that is not a variable")]
    Syntax {
        /// What is wrong, in envsubst's words.
        cause: &'static str,
        /// The expression's source, cut short.
        expression: String,
    },
    /// An expanded text that is too large.
    #[error("the text becomes larger than {SIZE_LIMIT} bytes")]
    TooLarge,
    /// An expanded text that is not YAML; its line only, because the text may hold secrets.
    #[error("line {line} of the substituted text is not YAML: a value may need quotes")]
    NotYaml {
        /// From 1, in the object's own text.
        line: usize,
    },
    /// A value that brought a further document in.
    #[error("the substituted text is {0} YAML documents, not one")]
    Documents(usize),
    /// A value that made something else of the object.
    #[error("the substituted text is not an object: {0}")]
    NotAnObject(#[from] NotAnObject),
}

impl Variables {
    /// Checks the names of `values`. `secret` names those whose values come from a Secret. Under `strict` a variable that
    /// is not defined is an error where it has no default; otherwise it is empty.
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

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Variables {
    /// Names only: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// An object after substitution.
#[derive(Debug, Clone, PartialEq)]
pub struct Substituted {
    /// The object.
    pub object: Object,
    /// Whether a value of a Secret went into it.
    pub holds_secret: bool,
}

/// Expands the variables in all texts of an object, keys included. An object that opts out, by the label or annotation
/// `kustomize.toolkit.fluxcd.io/substitute: disabled`, is returned as it is.
pub fn substitute(object: &Object, variables: &Variables) -> Result<Substituted, SubstituteError> {
    if opts_out(object) || !mentions_dollar(object.value()) {
        return Ok(Substituted { object: object.clone(), holds_secret: false });
    }
    let expansion = expand::expand(&yaml::to_string(object.value()), variables)?;
    let mut documents = yaml::documents(&expansion.text, Dialect::V2)
        .map_err(|error| SubstituteError::NotYaml { line: error.line })?;
    documents.retain(|document| !document.value.is_null());
    let count = documents.len();
    match (documents.pop(), count) {
        (Some(document), 1) => {
            let holds_secret = expansion.used.iter().any(|name| variables.secret.contains(*name));
            Ok(Substituted { object: Object::parse(document.value)?, holds_secret })
        }
        _ => Err(SubstituteError::Documents(count)),
    }
}

fn opts_out(object: &Object) -> bool {
    let values = [object.label(keys::SUBSTITUTE), object.annotation(keys::SUBSTITUTE)];
    values.into_iter().flatten().any(|value| value == "disabled")
}

/// Most objects have no variable; those need not be written and read again.
fn mentions_dollar(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('$'),
        Value::Array(items) => items.iter().any(mentions_dollar),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('$') || mentions_dollar(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests;
