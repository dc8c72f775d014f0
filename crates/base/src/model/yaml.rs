//! YAML as Kubernetes tools read it, in two dialects. Only this module knows the dialects.
//!
//! `compose` turns a parser's events into JSON values, `scalar` gives the meaning of a scalar, `emit` prints
//! values as Go's libraries do, or so that every reader reads them back equal.

mod document;
mod encoding;
mod time;
mod scalar;
mod emit;
mod compose;
mod read;
mod edit;
#[cfg(test)]
mod tests;

pub use document::{Dialect, Document, Form, PathStep, Styles, TextStyle, WrittenAs, YamlError};
pub use edit::{Edit, New};
pub use emit::{Layout, RawScalar, RawScalars, is_usually_quoted, print, print_raw, to_string};
pub use encoding::{EncodingError, decoded};
pub use read::{documents, documents_with_first_keys, documents_within, first_document, reprinted};
pub use scalar::{is_date, plain_value};
