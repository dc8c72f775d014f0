//! Cuts a text into documents as helm 4.2.4 does: at `---` at the beginning of a line, together with the
//! blanks behind it.

use lockgate_base::model::yaml::{Dialect, first_document};
use serde_json::Value as Json;

use crate::helm::error::Error;
use crate::helm::go::unicode::is_space;

/// The content of a template's document.
pub(super) fn value_of(path: &str, text: &str) -> Result<Json, Error> {
    let read = first_document(text, Dialect::V2);
    Ok(read.map_err(|error| Error::new(format!("YAML parse error on {path}: {error}")))?.value)
}

/// The documents of a text without leading space, each with the line on which it begins, counted from 1. A
/// document of space only is left out.
pub fn documents(text: &str) -> Vec<(usize, &str)> {
    let whole = text.trim_start_matches(is_space);
    let mut line = 1 + lines(&text[..text.len() - whole.len()]);
    let mut found = Vec::new();
    let mut rest = whole;
    let mut at_line_start = true;
    loop {
        let (document, after) = match separator(rest, at_line_start) {
            Some((from, to)) => (&rest[..from], Some(&rest[to..])),
            None => (rest, None),
        };
        let trimmed = document.trim_start_matches(is_space);
        if !trimmed.is_empty() {
            found.push((line + lines(&document[..document.len() - trimmed.len()]), trimmed));
        }
        line += lines(document);
        let Some(after) = after else { return found };
        rest = after;
        // Text behind a separator on its line does not begin a line.
        at_line_start = false;
    }
}

fn lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// The beginning and the end of the next separator.
fn separator(text: &str, at_line_start: bool) -> Option<(usize, usize)> {
    let from = if at_line_start && text.starts_with("---") { 0 } else { text.find("\n---")? + 1 };
    let blanks = text[from + 3..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    Some((from, from + 3 + blanks))
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn a_document_begins_behind_three_dashes_at_the_start_of_a_line() {
        let text = "\n\n---\na: 1\n--- # c\nb: |\n  x\n  ---\n\n\n---\t \n---\nc\n----\nd";
        let expected = vec![(4, "a: 1\n"), (5, "# c\nb: |\n  x\n  ---\n\n\n"), (13, "c\n"), (14, "-\nd")];
        assert_eq!(documents(text), expected);
        assert_eq!(documents(" \n"), vec![]);
        assert_eq!(documents("a"), vec![(1, "a")]);
    }
}
