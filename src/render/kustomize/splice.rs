//! Changes one scalar in a YAML text and leaves the rest as it was written, comments and quotes included.

use super::fieldpath::Hop;

/// The text with the scalar at the end of the way replaced; `None` where the way does not lead through plain block
/// mappings and lists.
pub(crate) fn splice(text: &str, hops: &[Hop], scalar: &str) -> Option<String> {
    let original: Vec<&str> = text.lines().collect();
    // The signs of list items are blanked out on the way, so that what follows them looks like a mapping.
    let mut lines: Vec<String> = original.iter().map(|line| (*line).to_owned()).collect();
    let (mut start, mut end) = (0, lines.len());
    for (at, hop) in hops.iter().enumerate() {
        let first = (start..end).find(|line| is_content(&lines[*line]))?;
        let indent = indent_of(&lines[first]);
        let is_last = at + 1 == hops.len();
        let (line, column) = match hop {
            Hop::Key(key) => {
                let line = (start..end).find(|line| is_key(&lines[*line], indent, key))?;
                (line, indent + key_length(&lines[line][indent..], key)?)
            }
            Hop::Index(index) => {
                let is_item = |line: &usize| is_item(&lines[*line], indent);
                let items: Vec<usize> = (start..end).filter(is_item).collect();
                let line = *items.get(*index)?;
                end = items.get(index + 1).copied().unwrap_or(end);
                lines[line].replace_range(indent..=indent, " ");
                (line, indent + 1)
            }
        };
        if is_last {
            let changed = replace_scalar(original[line], column, scalar)?;
            let mut result: Vec<&str> = original.clone();
            result[line] = &changed;
            return Some(result.join("\n"));
        }
        start = line;
        if matches!(hop, Hop::Key(_)) {
            start = line + 1;
            let is_inside = |line: &usize| {
                let other = &lines[*line];
                !is_content(other) || indent_of(other) > indent || is_item(other, indent)
            };
            end = (start..end).find(|line| !is_inside(line)).unwrap_or(end);
        }
    }
    None
}

/// The indents of all lines that are neither empty nor comments.
pub(crate) fn indents(text: &str) -> Vec<usize> {
    text.lines().filter(|line| is_content(line)).map(indent_of).collect()
}

fn is_content(line: &str) -> bool {
    let trimmed = line.trim_start();
    !trimmed.is_empty() && !trimmed.starts_with('#')
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_item(line: &str, indent: usize) -> bool {
    is_content(line)
        && indent_of(line) == indent
        && (line[indent..].starts_with("- ") || &line[indent..] == "-")
}

fn is_key(line: &str, indent: usize, key: &str) -> bool {
    is_content(line) && indent_of(line) == indent && key_length(&line[indent..], key).is_some()
}

/// How long a key with its colon is.
fn key_length(line: &str, key: &str) -> Option<usize> {
    [key.to_owned(), format!("\"{key}\""), format!("'{key}'")].into_iter().find_map(|written| {
        let rest = line.strip_prefix(written.as_str())?.strip_prefix(':')?;
        (rest.is_empty() || rest.starts_with(' ')).then_some(written.len() + 1)
    })
}

fn replace_scalar(line: &str, column: usize, scalar: &str) -> Option<String> {
    let (before, rest) = line.split_at_checked(column)?;
    let blank = rest.len() - rest.trim_start().len();
    let (space, rest) = rest.split_at(blank);
    let quote = rest.chars().next().filter(|first| "\"'".contains(*first));
    let (written, after) = if let Some(quote) = quote {
        let inner = &rest[1..];
        let end = inner.find(quote)?;
        if inner[..end].contains('\\') || scalar.contains(['"', '\'', '\\', '\n']) {
            return None;
        }
        (format!("{quote}{scalar}{quote}"), &inner[end + 1..])
    } else {
        let end = rest.find(" #").unwrap_or(rest.len());
        let end = rest[..end].trim_end().len();
        if rest[..end].is_empty() || rest.starts_with(['{', '[', '|', '>', '&', '*', '!']) {
            return None;
        }
        (scalar.to_owned(), &rest[end..])
    };
    Some(format!("{before}{space}{written}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_changed_in_place() {
        let text = "# head\na:\n  'b': x # why\n  c: \"1\"\nl:\n- n: 1\n  o: 2\n- p\n";
        let key = |key: &str| Hop::Key(key.into());
        for (hops, from, to) in [
            (vec![key("a"), key("b")], "'b': x # why", "'b': NEW # why"),
            (vec![key("a"), key("c")], "c: \"1\"", "c: \"NEW\""),
            (vec![key("l"), Hop::Index(0), key("n")], "- n: 1", "- n: NEW"),
            (vec![key("l"), Hop::Index(0), key("o")], "  o: 2", "  o: NEW"),
            (vec![key("l"), Hop::Index(1)], "- p", "- NEW"),
        ] {
            let expected = text.trim_end().replacen(from, to, 1);
            assert_eq!(splice(text, &hops, "NEW").as_deref(), Some(expected.as_str()), "{hops:?}");
        }
        assert_eq!(splice("a: {b: c}\n", &[key("a"), key("b")], "x"), None);
    }
}
