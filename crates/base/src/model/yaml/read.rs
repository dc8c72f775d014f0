//! Reads the documents of a stream.

use std::borrow::Cow;

use serde_json::Value;

use super::compose::Composer;
use super::compose::fold;
use super::document::{Dialect, Document, Styles, YamlError};

/// The most values that a text may have: each takes up about 100 bytes. An object of a cluster has some
/// thousands.
const VALUE_LIMIT: usize = 1_000_000;

/// How often a text is read again with some of its lines moved.
const ATTEMPTS: usize = 1000;

/// How many blanks may be put before the lines of a text at once.
const BLANKS: usize = 1 << 20;

/// All documents of a stream, empty ones included.
pub fn documents(text: &str, dialect: Dialect) -> Result<Vec<Document>, YamlError> {
    documents_within(text, dialect, &mut { VALUE_LIMIT })
}

/// All documents of a stream. `left` is the number of values that may still be read, and is counted down. It
/// is zero after an error that this limit has caused.
pub fn documents_within(text: &str, dialect: Dialect, left: &mut usize) -> Result<Vec<Document>, YamlError> {
    read(text, dialect, left, all)
}

/// All documents of a stream in dialect V3, with the first of two equal keys, as kustomize reads a patch.
/// `left` is counted down as in [`documents_within`].
pub fn documents_with_first_keys(text: &str, left: &mut usize) -> Result<Vec<Document>, YamlError> {
    read(text, Dialect::V3, left, |composer| {
        composer.take_first_keys();
        all(composer)
    })
}

fn all(composer: &mut Composer<'_>) -> Result<Vec<Document>, YamlError> {
    let mut documents = Vec::new();
    while let Some(document) = composer.document()? {
        documents.push(document);
    }
    Ok(documents)
}

fn next(composer: &mut Composer<'_>) -> Result<Option<Document>, YamlError> {
    composer.document()
}

/// The first document of a stream, as sigs.k8s.io/yaml reads it, without a look at the rest. `Null` if there
/// is none.
pub fn first_document(text: &str, dialect: Dialect) -> Result<Document, YamlError> {
    let document = read(text, dialect, &mut { VALUE_LIMIT }, next)?;
    Ok(document.unwrap_or(Document { value: Value::Null, line: 1, texts: Vec::new(), styles: Styles::Told }))
}

/// Reads a text. Go's readers let a quoted text continue at any column and drop the blanks before its lines.
/// The parser wants its lines deeper than its key, so lines that are not are moved to the right.
fn read<T>(
    text: &str,
    dialect: Dialect,
    left: &mut usize,
    take: impl Fn(&mut Composer<'_>) -> Result<T, YamlError>,
) -> Result<T, YamlError> {
    let most = *left;
    let mut moved = Cow::Borrowed(text);
    let mut attempts = 0;
    loop {
        let mut composer = Composer::new(&moved, dialect, most)?;
        let taken = take(&mut composer);
        *left = composer.left();
        attempts += 1;
        let line = composer.unindented().filter(|_| attempts < ATTEMPTS);
        match line.and_then(|line| moved_to_the_right(&moved, line)) {
            Some(next) => moved = Cow::Owned(next),
            None => return taken,
        }
    }
}

/// A text with blanks before a line and those behind it, up to the first line that holds a quote, where the
/// quoted text may end. `None` if that would change their meaning, or would take too many blanks.
fn moved_to_the_right(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (before, rest) = lines.split_at_checked(line.checked_sub(1)?)?;
    // No collection is open at a column behind such signs.
    let lead = |line: &&str| line.len() - line.trim_start_matches([' ', '-', '?']).len();
    let blanks = before.iter().map(lead).max()? + 1;
    let end = rest.iter().position(|line| line.contains(['\'', '"']));
    let (inside, behind) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
    let is_marker = |line: &&str| line.starts_with("---") || line.starts_with("...");
    if inside.iter().any(is_marker) || blanks.saturating_mul(inside.len()) > BLANKS {
        return None;
    }
    let mut moved = before.concat();
    for line in inside {
        moved.extend(std::iter::repeat_n(' ', blanks));
        moved.push_str(line);
    }
    moved.extend(behind.iter().copied());
    Some(moved)
}

/// The text of a folded scalar after kustomize has printed and read it.
pub fn reprinted(folded: &str) -> String {
    fold::printed(folded)
}
