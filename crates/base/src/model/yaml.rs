//! YAML as Kubernetes tools read it, in two dialects. The one place that knows about either.
//!
//! `compose` turns a parser's events into JSON values, `scalar` says what a scalar means, `write` prints values so
//! that both dialects read them back equal.

mod compose;
mod edit;
mod scalar;
#[cfg(test)]
mod tests;
mod time;
mod write;

use serde_json::Value;

pub use edit::{Edit, New, Step};
pub use write::{to_string, writes_plain};

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

/// All documents of a stream, empty ones included.
pub fn documents(text: &str, dialect: Dialect) -> Result<Vec<Document>, YamlError> {
    all(compose::Composer::new(text, dialect)?)
}

/// The same in dialect V3, where of two equal keys the first counts: so kustomize looks into a patch.
pub fn documents_with_first_keys(text: &str) -> Result<Vec<Document>, YamlError> {
    all(compose::Composer::new(text, Dialect::V3)?.with_first_keys())
}

fn all(mut composer: compose::Composer<'_>) -> Result<Vec<Document>, YamlError> {
    let mut documents = Vec::new();
    while let Some(document) = composer.document()? {
        documents.push(document);
    }
    Ok(documents)
}

/// The first document of a stream, as sigs.k8s.io/yaml reads it: what follows is not looked at. `Null` when there is
/// none.
pub fn first_document(text: &str, dialect: Dialect) -> Result<Document, YamlError> {
    let document = compose::Composer::new(text, dialect)?.document()?;
    Ok(document.unwrap_or(Document { value: Value::Null, line: 1, texts: Vec::new() }))
}

/// A text that a folded scalar has, as it is after kustomize has printed and read it.
pub fn reprinted(folded: &str) -> String {
    compose::fold::printed(folded)
}

/// Whether a scalar without quotes or tag is a date.
pub fn is_date(text: &str) -> bool {
    matches!(scalar::resolve(Dialect::V3, None, text.to_owned()), Ok(scalar::Scalar::Time(..)))
}

/// What a scalar without quotes or tag means.
pub fn plain_value(text: &str, dialect: Dialect) -> Result<Value, String> {
    scalar::resolve(dialect, None, text.to_owned())?.value(dialect)
}
