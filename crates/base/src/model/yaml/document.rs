//! A document as it was read: its value, and what the value does not tell of the way in which it was written.

use serde_json::Value;

/// Which of the two readers to agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// go-yaml v3 as kustomize reads resources: `yes` is a string, `0644` is 420, a duplicate key is an error.
    V3,
    /// sigs.k8s.io/yaml, YAML 1.1: `yes` is true, also as a key; the last of two equal keys wins. Only the first
    /// document counts there, but all are returned here.
    V2,
}

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its content; `Null` for an empty document.
    pub value: Value,
    /// The line of its first node, from 1.
    pub line: usize,
    /// Scalars whose values do not tell how they were written: `1.50`, `0644`, a date, an absent value, a folded text that
    /// printing changes; and the outermost collections in flow style.
    pub texts: Vec<WrittenAs>,
}

/// Where something stands whose value does not tell how it is written, and how that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenAs {
    /// The way from the document to it.
    pub way: Vec<Step>,
    /// As what.
    pub form: Form,
}

/// How a part of a document is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A scalar, with this text.
    Text(String),
    /// A collection in flow style.
    Flow,
    /// A scalar that was not read but made, and has no type of its own.
    Untagged,
}

impl WrittenAs {
    /// The text of a scalar that was read.
    pub fn text(&self) -> Option<&str> {
        match &self.form {
            Form::Text(text) => Some(text),
            Form::Flow | Form::Untagged => None,
        }
    }
}

/// Why a text is not YAML, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// A lowercase fragment.
    pub message: String,
}

/// One step from a value to a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A key of a mapping.
    Key(String),
    /// An index of a list.
    Index(usize),
}
