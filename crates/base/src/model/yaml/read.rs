//! Reads the documents of a stream.

use serde_json::Value;

use super::compose::Composer;
use super::compose::fold;
use super::document::{Dialect, Document, Styles, YamlError};

/// All documents of a stream, empty ones included.
pub fn documents(text: &str, dialect: Dialect) -> Result<Vec<Document>, YamlError> {
    all(Composer::new(text, dialect)?)
}

/// The same in dialect V3, where of two equal keys the first counts: so kustomize looks into a patch.
pub fn documents_with_first_keys(text: &str) -> Result<Vec<Document>, YamlError> {
    all(Composer::new(text, Dialect::V3)?.with_first_keys())
}

fn all(mut composer: Composer<'_>) -> Result<Vec<Document>, YamlError> {
    let mut documents = Vec::new();
    while let Some(document) = composer.document()? {
        documents.push(document);
    }
    Ok(documents)
}

/// The first document of a stream, as sigs.k8s.io/yaml reads it: what follows is not looked at. `Null` when there is
/// none.
pub fn first_document(text: &str, dialect: Dialect) -> Result<Document, YamlError> {
    let document = Composer::new(text, dialect)?.document()?;
    Ok(document.unwrap_or(Document { value: Value::Null, line: 1, texts: Vec::new(), styles: Styles::Told }))
}

/// A text that a folded scalar has, as it is after kustomize has printed and read it.
pub fn reprinted(folded: &str) -> String {
    fold::printed(folded)
}
