//! Checks of a text before a parser sees it.

use crate::model::yaml::YamlError;

/// Refuses characters that YAML does not count as printable, since Go's readers do not take them. A NUL byte
/// most often means a binary file.
pub(super) fn refuse_control_characters(text: &str) -> Result<(), YamlError> {
    // Most texts are ASCII, for which a check of the bytes is enough, many of them at once.
    let is_plain = |b: &u8| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    if text.as_bytes().chunks(64).all(|some| some.iter().fold(true, |all, b| all & is_plain(b))) {
        return Ok(());
    }
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    let Some((at, found)) = text.char_indices().find(|(_, c)| !allowed(*c)) else { return Ok(()) };
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
    let hint = if found == '\0' { " (is this a binary file?)" } else { "" };
    let message = format!("control character U+{:04X} is not allowed in YAML{hint}", u32::from(found));
    Err(YamlError { line, column, message })
}

/// kyaml cuts a stream at lines that begin with `---` and lets only a comment follow there. It does not check
/// the first line, the line after such a cut, or a last line without a line break.
pub(super) fn check_separators(text: &str) -> Result<(), YamlError> {
    if !text.contains("\n---") {
        return Ok(());
    }
    let mut cut = true;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let separator = line.strip_prefix("---").filter(|_| !cut && line.ends_with('\n'));
        cut = separator.is_some();
        let Some(rest) = separator else { continue };
        let rest = rest.trim();
        if !rest.is_empty() && !rest.starts_with('#') {
            let message = "only a comment may follow the document separator '---' on its line".into();
            return Err(YamlError { line: number + 1, column: 4, message });
        }
    }
    Ok(())
}
