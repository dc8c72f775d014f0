//! Regular expressions as Go's `regexp` reads them, rewritten for the engine that is used here.
//!
//! The two engines agree on almost everything. Where they differ, Go's reading holds: classes such as `\w`
//! are ASCII, a brace that is no repetition is a brace, a bracket inside of a class is a bracket, and a
//! repetition is not repeated again.

use regex::Regex;

use crate::error::Fault;

/// Compiles a pattern, or returns Go's reason to refuse it.
pub(crate) fn compile(pattern: &str) -> Result<Regex, Fault> {
    compile_within("", pattern, "")
}

/// Compiles a user's pattern between two of ours; messages name only the user's.
pub(crate) fn compile_within(before: &str, pattern: &str, after: &str) -> Result<Regex, Fault> {
    go(&format!("{before}{pattern}{after}"))
        .map_err(|cause| Fault::new(format!("'{pattern}' is not a regular expression: {cause}")))
}

fn go(pattern: &str) -> Result<Regex, String> {
    let translated = translate(pattern).ok_or("an escape, a class or a repetition is malformed")?;
    Regex::new(&translated).map_err(|error| {
        // The last line of the message is the cause; those before it show the place.
        let text = error.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

fn translate(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    // Whether the last token is a repetition, which must not be repeated.
    let mut repeats = false;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        let is_repetition = match c {
            '*' | '+' | '?' => true,
            '{' => {
                let found = repetition(rest);
                length = found.unwrap_or(length);
                if found.is_none() {
                    out.push('\\');
                }
                found.is_some()
            }
            _ => false,
        };
        if is_repetition {
            if repeats {
                return None;
            }
            if rest[length..].starts_with('?') {
                length += 1;
            }
        }
        repeats = is_repetition;
        match c {
            '\\' => length = escape(rest, false, &mut out)?,
            '[' => length = class(rest, &mut out)?,
            '}' => out.push_str("\\}"),
            _ => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    Some(out)
}

/// The length of `{n}`, `{n,}` or `{n,m}`.
fn repetition(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let (least, most) = text[1..end].split_once(',').unwrap_or((&text[1..end], ""));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(least) && (most.is_empty() || is_number(most))).then_some(end + 1)
}

/// Writes the meaning of a backslash and the characters behind it, and returns their length.
fn escape(text: &str, in_class: bool, out: &mut String) -> Option<usize> {
    let c = text[1..].chars().next()?;
    let perl = match c.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => "\\t\\n\\x0C\\r ",
        _ => "",
    };
    match c {
        'Q' if !in_class => {
            let literal = &text[2..];
            let end = literal.find("\\E");
            out.push_str(&regex::escape(&literal[..end.unwrap_or(literal.len())]));
            return Some(end.map_or(text.len(), |end| end + 4));
        }
        'd' | 'w' | 's' if in_class => out.push_str(perl),
        'd' | 'w' | 's' => out.extend(["[", perl, "]"]),
        'D' | 'W' | 'S' => out.extend(["[^", perl, "]"]),
        'b' | 'B' if !in_class => out.extend(["(?-u:", &text[..2], ")"]),
        '<' | '>' => out.push(c),
        'p' | 'P' | 'x' if text[2..].starts_with('{') => {
            let length = text.find('}')? + 1;
            out.push_str(&text[..length]);
            return Some(length);
        }
        'p' | 'P' | 'x' | 'a' | 'f' | 't' | 'n' | 'r' | 'v' => out.push_str(&text[..2]),
        'A' | 'z' if !in_class => out.push_str(&text[..2]),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => out.push_str(&text[..2]),
        _ => return None,
    }
    Some(1 + c.len_utf8())
}

/// Writes a class, and returns its length.
fn class(text: &str, out: &mut String) -> Option<usize> {
    let mut at = 1;
    out.push('[');
    if text[at..].starts_with('^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        match c {
            ']' if at > first => {
                out.push(']');
                return Some(at + 1);
            }
            '\\' => at += escape(rest, true, out)?,
            '[' if rest.starts_with("[:") && rest.contains(":]") => {
                let length = rest.find(":]")? + 2;
                out.push_str(&rest[..length]);
                at += length;
            }
            // These have a meaning here that they do not have in Go.
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
                at += 1;
            }
            '-' if rest.starts_with("--") => {
                out.push_str("\\-");
                at += 1;
            }
            _ => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, text, expected) in [
            ("^a{2}$", "aa", true),
            ("^a{$", "a{", true),
            ("^${A}$", "{A}", false),
            (r"^\$\{A\}$", "${A}", true),
            (r"^\w$", "\u{e9}", false),
            (r"^\W$", "\u{e9}", true),
            (r"^[\w.-]+$", "a.b-c_d", true),
            (r"^[^\d]$", "5", false),
            ("^[[a]$", "[", true),
            ("^[]a]$", "]", true),
            ("^[a&&b]$", "&", true),
            ("^[[:alpha:]_]+$", "ab_", true),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"^\<\x{41}$", "<A", true),
            (r"\ba\b", "x a y", true),
            ("^a.*?b$", "axxb", true),
            ("^(?i)ab$", "AB", true),
            ("^a|b$", "ax", true),
        ] {
            assert_eq!(compile(pattern).unwrap().is_match(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in
            ["[", "(", "*a", "a**", "a+*", "a{2}{3}", "a*?+", r"\y", r"\", "[b-a]", "(?<=a)b", "[a"]
        {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
