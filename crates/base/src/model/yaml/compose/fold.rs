//! The changes to scalars that go-yaml prints and reads again, as kustomize does with every resource.

use serde_json::Value;

use crate::model::yaml::{PathStep, WrittenAs};

/// The text of a folded scalar after it was printed in that style and read again. The printer puts an empty
/// line behind each line that is not indented, even if the next line is indented and its line feed stays
/// anyway.
pub(in crate::model::yaml) fn printed(text: &str) -> String {
    if !is_block(text) {
        return text.to_owned();
    }
    read(&print(text), &Chomp::of(text))
}

/// Changes the scalars of a value that was read in block style to their values in a flow collection, where an
/// alias repeats it. The paths of the texts begin with the innermost step.
pub(super) fn quote(value: &mut Value, texts: &[WrittenAs]) {
    for written in texts {
        let field = written.way.iter().rev().try_fold(&mut *value, |at, step| match step {
            PathStep::Key(key) => at.get_mut(key),
            PathStep::Index(index) => at.get_mut(*index),
        });
        let Some(text) = written.text() else { continue };
        match field {
            Some(field @ Value::Null) if text.is_empty() => *field = "".into(),
            Some(Value::String(string)) if text.contains([':', '\n']) => string.replace_range(.., text),
            _ => {}
        }
    }
}

/// Whether the printer keeps a block scalar; otherwise it uses quotes, which change nothing.
fn is_block(text: &str) -> bool {
    let printable =
        |c: char| matches!(c, '\t' | '\n' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{fffd}');
    text.contains('\n') && !text.contains(" \n") && !text.ends_with(' ') && text.chars().all(printable)
}

/// The printed content, without its indentation.
fn print(text: &str) -> String {
    // The printer looks at the beginning of the whole text and not at the next line.
    let starts_blank = text.trim_start_matches('\n').chars().next().is_none_or(is_blank);
    let mut out = String::with_capacity(text.len() + 8);
    let (mut breaks, mut indented) = (true, true);
    for c in text.chars() {
        if c == '\n' {
            if !breaks && !indented && !starts_blank {
                out.push('\n');
            }
            breaks = true;
        } else {
            if breaks {
                indented = is_blank(c);
            }
            breaks = false;
        }
        out.push(c);
    }
    out
}

/// The treatment of line feeds at the end.
#[derive(PartialEq, Eq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

impl Chomp {
    fn of(text: &str) -> Self {
        if !text.ends_with('\n') {
            Self::Strip
        } else if text == "\n" || text.ends_with("\n\n") {
            Self::Keep
        } else {
            Self::Clip
        }
    }
}

fn read(lines: &str, chomp: &Chomp) -> String {
    let mut out = String::with_capacity(lines.len());
    // Empty lines that are not added yet, and whether there was a line before them, and an indented one.
    let (mut empty, mut any, mut indented) = (0, false, false);
    for line in lines.split_terminator('\n') {
        let Some(first) = line.chars().next() else {
            empty += 1;
            continue;
        };
        if any && !indented && !is_blank(first) {
            if empty == 0 {
                out.push(' ');
            }
        } else if any {
            out.push('\n');
        }
        out.extend(std::iter::repeat_n('\n', empty));
        out.push_str(line);
        (empty, any, indented) = (0, true, is_blank(first));
    }
    if *chomp != Chomp::Strip && any {
        out.push('\n');
    }
    if *chomp == Chomp::Keep {
        out.extend(std::iter::repeat_n('\n', empty));
    }
    out
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indented_line_is_parted_from_the_one_before() {
        for (text, expected) in [
            ("x\n  y\nz\n", "x\n\n  y\nz\n"),
            ("x\n  y", "x\n\n  y"),
            ("x\ny\n", "x\ny\n"),
            ("x\n\n  y\n  w\nz\n", "x\n\n\n  y\n  w\nz\n"),
            ("x\n  y\n\nz\n\n", "x\n\n  y\n\nz\n\n\n"),
            ("x \n  y\n", "x \n  y\n"),
        ] {
            assert_eq!(printed(text), expected, "{text:?}");
        }
    }
}
