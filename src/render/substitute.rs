//! Variables of `postBuild`: the YAML text of each object, with `${NAME}` replaced as Flux's envsubst does it, read again.
//!
//! The text is read as YAML 1.1, so that a value may change its type: `replicas: ${N}` becomes a number. It stays one
//! object; a value cannot add another document. No message shows a value, since it may be a Secret's.

mod expression;
mod functions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use self::expression::{Node, SyntaxError, parse};
use self::functions::{Failure, evaluate};
use crate::model::yaml::{Dialect, documents, to_string};
use crate::model::{NotAnObject, Object, Secret};

/// The label or annotation that keeps an object as it is, with the value `disabled`.
const SWITCH: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// How many bytes the text of an object may become.
const SIZE_LIMIT: usize = 16 << 20;

/// When there is something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// When at least one variable is defined.
    #[default]
    WithVariables,
    /// Always, since text may hold defaults such as `${NAME:=value}`.
    Always,
}

/// The variables of a build. `Debug` shows their names alone.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, Variable>,
    /// Whether a variable that is not defined is an error where no default is given.
    pub strict: bool,
    /// When there is something to do.
    pub strategy: Strategy,
}

#[derive(Clone)]
struct Variable {
    value: Secret<String>,
    is_secret: bool,
}

/// Why variables could not be replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstituteError {
    /// Names that no variable can have.
    #[error("variable names are made of letters, digits and underscores and start with no digit; {} not", names(.0))]
    Names(Vec<String>),
    /// Variables that are not defined and have no default; all of them.
    #[error("{} not defined; define it in postBuild, or give a default as in ${{NAME:=default}}", names(.0))]
    Undefined(Vec<String>),
    /// The text is not what envsubst takes.
    #[error("{field}: {error}; write $${{ where no variable is meant")]
    Syntax {
        /// Dotted path of the field.
        field: String,
        /// What is wrong.
        error: SyntaxError,
    },
    /// An expression cannot be evaluated.
    #[error("{0}")]
    Evaluation(Failure),
    /// What came out is not YAML.
    #[error("the object is not YAML once its variables are replaced (line {line}, column {column}): {message}")]
    NotYaml {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong; without detail when a Secret's value is involved.
        message: String,
    },
    /// What came out is several documents, or none.
    #[error("the object becomes {0} YAML documents once its variables are replaced; a variable cannot add one")]
    Documents(usize),
    /// What came out is not a Kubernetes object.
    #[error("once its variables are replaced: {0}")]
    NotAnObject(NotAnObject),
    /// The same, without detail, because a Secret's value is involved.
    #[error("it is no Kubernetes object once its variables are replaced; a Secret's value is involved, so no more is said")]
    Hidden,
}

impl Variables {
    /// No variables yet.
    pub fn new(strict: bool, strategy: Strategy) -> Self {
        Self { values: BTreeMap::new(), strict, strategy }
    }

    /// Defines a variable, in the place of one of the same name. Line breaks are taken out of the value.
    pub fn set(&mut self, name: &str, value: &str) {
        self.define(name, value, false);
    }

    /// Defines a variable whose value is not to be shown.
    pub fn set_secret(&mut self, name: &str, value: &str) {
        self.define(name, value, true);
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether there is anything to do for an object.
    pub fn is_idle(&self) -> bool {
        self.values.is_empty() && self.strategy == Strategy::WithVariables
    }

    /// Refuses names that no variable can have, all of them together.
    pub fn check(&self) -> Result<(), SubstituteError> {
        let wrong: Vec<String> = self.names().filter(|name| !is_name(name)).map(Into::into).collect();
        if wrong.is_empty() { Ok(()) } else { Err(SubstituteError::Names(wrong)) }
    }

    fn define(&mut self, name: &str, value: &str, is_secret: bool) {
        let value = Secret::new(value.replace('\n', ""));
        self.values.insert(name.into(), Variable { value, is_secret });
    }

    /// The value of a variable; `None` when a variable that is missing is to be reported.
    fn get(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(variable) => Some(variable.value.expose()),
            None if self.strict => None,
            None => Some(""),
        }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// Replaces the variables in one object. An object that says so by label or annotation is left alone.
pub fn substitute(object: &Object, variables: &Variables) -> Result<Object, SubstituteError> {
    let disabled = [object.label(SWITCH), object.annotation(SWITCH)].contains(&Some("disabled"));
    if variables.is_idle() || disabled {
        return Ok(object.clone());
    }
    variables.check()?;
    let text = to_string(object.value());
    // What is written reads back equal, so there is nothing to do without a variable or an escape.
    if !text.contains('$') {
        return Ok(object.clone());
    }
    let nodes = parse(&text).map_err(|error| SubstituteError::Syntax { field: field_of(object.value(), error), error })?;
    let mut used = BTreeSet::new();
    note_used(&nodes, &mut used);
    let undefined: BTreeSet<&str> = undefined(&nodes, variables);
    if !undefined.is_empty() {
        return Err(SubstituteError::Undefined(undefined.into_iter().map(Into::into).collect()));
    }
    let involves_secret = used.iter().any(|name| variables.values.get(*name).is_some_and(|variable| variable.is_secret));
    let text = evaluate(&nodes, &|name| variables.get(name), SIZE_LIMIT).map_err(SubstituteError::Evaluation)?;
    read(&text, involves_secret)
}

fn read(text: &str, involves_secret: bool) -> Result<Object, SubstituteError> {
    let mut documents = documents(text, Dialect::V2).map_err(|error| SubstituteError::NotYaml {
        line: error.line,
        column: error.column,
        message: if involves_secret { "a Secret's value is involved, so no more is said".into() } else { error.message },
    })?;
    match (documents.pop(), documents.len()) {
        (Some(document), 0) => Object::parse(document.value).map_err(|error| {
            if involves_secret { SubstituteError::Hidden } else { SubstituteError::NotAnObject(error) }
        }),
        (last, before) => Err(SubstituteError::Documents(before + usize::from(last.is_some()))),
    }
}

/// `^[_[:alpha:]][_[:alpha:][:digit:]]*$`
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn note_used<'n>(nodes: &'n [Node], used: &mut BTreeSet<&'n str>) {
    for node in nodes {
        if let Node::Call { name, arguments, .. } = node {
            used.insert(name);
            note_used(arguments, used);
        }
    }
}

/// Everything that strict mode misses, also in defaults, which envsubst evaluates whether it needs them or not.
fn undefined<'n>(nodes: &'n [Node], variables: &Variables) -> BTreeSet<&'n str> {
    let mut missing = BTreeSet::new();
    for node in nodes {
        if let Node::Call { name, operator, arguments } = node {
            if !operator.gives_default() && variables.get(name).is_none() {
                missing.insert(name.as_str());
            }
            missing.extend(undefined(arguments, variables));
        }
    }
    missing
}

/// The first field whose own text has a syntax error, since the lines of the object's text are not those of a file.
fn field_of(object: &Value, error: SyntaxError) -> String {
    let mut path = Vec::new();
    if find_field(object, &mut path) { path.join(".") } else { format!("the object ({error})") }
}

fn find_field(value: &Value, path: &mut Vec<String>) -> bool {
    let mut visit = |name: String, value: &Value, key_is_wrong: bool| {
        path.push(name);
        let found = key_is_wrong || find_field(value, path);
        if !found {
            path.pop();
        }
        found
    };
    match value {
        Value::String(text) => parse(text).is_err(),
        Value::Array(items) => items.iter().enumerate().any(|(at, item)| visit(at.to_string(), item, false)),
        Value::Object(map) => map.iter().any(|(key, value)| visit(key.clone(), value, parse(key).is_err())),
        _ => false,
    }
}

fn names(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", quoted.join(", "))
}
