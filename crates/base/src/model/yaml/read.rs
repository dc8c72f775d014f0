//! Reads the documents of a stream.

use serde_json::Value;

use super::compose::Composer;
use super::compose::fold;
use super::document::{Dialect, Document, Styles, YamlError};

/// How many values a text may have: each takes up about 100 bytes. An object of a cluster has some thousands.
const VALUE_LIMIT: usize = 1_000_000;

/// All documents of a stream, empty ones included.
pub fn documents(text: &str, dialect: Dialect) -> Result<Vec<Document>, YamlError> {
    documents_within(text, dialect, &mut { VALUE_LIMIT })
}

/// All documents of a stream. `left` is how many values may still be read, and is counted down by those that are; it is
/// zero after an error that they are the reason of.
pub fn documents_within(text: &str, dialect: Dialect, left: &mut usize) -> Result<Vec<Document>, YamlError> {
    all(Composer::new(text, dialect, *left)?, left)
}

/// All documents of a stream in dialect V3, where of two equal keys the first counts: so kustomize looks into a patch.
/// `left` is counted down as in [`documents_within`].
pub fn documents_with_first_keys(text: &str, left: &mut usize) -> Result<Vec<Document>, YamlError> {
    all(Composer::new(text, Dialect::V3, *left)?.with_first_keys(), left)
}

fn all(mut composer: Composer<'_>, left: &mut usize) -> Result<Vec<Document>, YamlError> {
    let mut documents = Vec::new();
    loop {
        let document = composer.document();
        *left = composer.left();
        match document? {
            Some(document) => documents.push(document),
            None => return Ok(documents),
        }
    }
}

/// The first document of a stream, as sigs.k8s.io/yaml reads it: what follows is not looked at. `Null` when there is
/// none.
pub fn first_document(text: &str, dialect: Dialect) -> Result<Document, YamlError> {
    let document = Composer::new(text, dialect, VALUE_LIMIT)?.document()?;
    Ok(document.unwrap_or(Document { value: Value::Null, line: 1, texts: Vec::new(), styles: Styles::Told }))
}

/// A text that a folded scalar has, as it is after kustomize has printed and read it.
pub fn reprinted(folded: &str) -> String {
    fold::printed(folded)
}
