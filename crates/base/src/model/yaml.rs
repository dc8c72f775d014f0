//! YAML as Kubernetes tools read it, in two dialects. The one place that knows about either.
//!
//! `compose` turns a parser's events into JSON values, `scalar` says what a scalar means, `write` prints values so
//! that both dialects read them back equal.

mod document;
mod time;
mod scalar;
mod compose;
mod read;
mod edit;
mod write;
#[cfg(test)]
mod tests;

pub use document::{Dialect, Document, Form, Step, WrittenAs, YamlError};
pub use edit::{Edit, New};
pub use read::{documents, documents_with_first_keys, first_document, reprinted};
pub use scalar::{is_date, plain_value};
pub use write::{to_string, writes_plain};
