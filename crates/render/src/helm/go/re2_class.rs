//! Classes of characters in Go's regular expressions: `[a-z]`, `\d`, `[[:alpha:]]`, `\p{Greek}`.

use super::re2_escape::{RegexFlags, SyntaxError, character, take_escape};

type Done<T> = Result<T, SyntaxError>;

/// POSIX classes, with their characters in the notation of the `regex` crate.
const POSIX: [(&str, &str); 14] = [
    ("alnum", "0-9A-Za-z"),
    ("alpha", "A-Za-z"),
    ("ascii", r"\x00-\x7F"),
    ("blank", r"\t\x20"),
    ("cntrl", r"\x00-\x1F\x7F"),
    ("digit", "0-9"),
    ("graph", r"\x21-\x7E"),
    ("lower", "a-z"),
    ("print", r"\x20-\x7E"),
    ("punct", r"\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E"),
    ("space", r"\t\n\x0B\x0C\r\x20"),
    ("upper", "A-Z"),
    ("word", "0-9A-Za-z_"),
    ("xdigit", "0-9A-Fa-f"),
];

/// Perl's classes.
fn perl_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' | 'D' => "0-9",
        's' | 'S' => r"\t\n\x0C\r\x20",
        'w' | 'W' => "0-9A-Za-z_",
        _ => return None,
    })
}

/// A class within another one.
fn nested(characters: &str, is_negated: bool) -> String {
    if is_negated { format!("[^{characters}]") } else { characters.to_owned() }
}

/// Takes `\d`, `\pL` and the like; `None` for any other text. The result stands between brackets.
pub(super) fn take_class_escape(rest: &mut &str) -> Done<Option<String>> {
    let here = *rest;
    let Some(letter) = here.strip_prefix('\\').and_then(|rest| rest.chars().next()) else { return Ok(None) };
    if let Some(characters) = perl_class(letter) {
        *rest = &here[2..];
        return Ok(Some(nested(characters, letter.is_ascii_uppercase())));
    }
    if letter != 'p' && letter != 'P' {
        return Ok(None);
    }
    let invalid = |part: &str| SyntaxError::new("invalid character class range", part);
    let Some(first) = here[2..].chars().next() else { return Err(invalid(here)) };
    let (name, after) = if first == '{' {
        let Some((name, after)) = here[3..].split_once('}') else { return Err(invalid(here)) };
        (name, after)
    } else {
        here[2..].split_at(first.len_utf8())
    };
    let part = &here[..here.len() - after.len()];
    let (name, is_inverted) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
    // Names of the `regex` crate that Go does not have contain a sign.
    let is_name =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' '));
    let class = format!(r"\p{{{name}}}");
    if !is_name || regex_syntax::parse(&class).is_err() {
        return Err(invalid(part));
    }
    *rest = after;
    let is_negated = (letter == 'P') != is_inverted;
    Ok(Some(if is_negated { format!(r"\P{{{name}}}") } else { class }))
}

/// Takes a class in brackets, and returns it as a part of a pattern.
pub(super) fn take_class(rest: &mut &str, flags: RegexFlags) -> Done<String> {
    let here = *rest;
    let missing = || SyntaxError::new("missing closing ]", here);
    let mut inner = &here[1..];
    let is_negated = inner.starts_with('^');
    if is_negated {
        inner = &inner[1..];
    }
    let mut out = String::new();
    let mut is_first = true;
    loop {
        if inner.is_empty() {
            return Err(missing());
        }
        if inner.starts_with(']') && !is_first {
            break;
        }
        is_first = false;
        if let Some(class) = take_posix(&mut inner)? {
            out.push_str(&class);
            continue;
        }
        if let Some(class) = take_class_escape(&mut inner)? {
            out.push_str(&class);
            continue;
        }
        let start = inner;
        let low = take_member(&mut inner, here)?;
        let mut high = low;
        if inner.len() >= 2 && inner.starts_with('-') && !inner[1..].starts_with(']') {
            inner = &inner[1..];
            high = take_member(&mut inner, here)?;
            if high < low {
                let part = &start[..start.len() - inner.len()];
                return Err(SyntaxError::new("invalid character class range", part));
            }
        }
        out.push_str(&character(low));
        if high > low {
            out.push('-');
            out.push_str(&character(high));
        }
    }
    *rest = &inner[1..];
    let sign = if is_negated { "^" } else { "" };
    let class = format!("[{sign}{out}]");
    Ok(if flags.ignore_case { format!("(?i:{class})") } else { class })
}

/// `[:alpha:]` and `[:^alpha:]`.
fn take_posix(inner: &mut &str) -> Done<Option<String>> {
    let Some(after) = inner.strip_prefix("[:") else { return Ok(None) };
    let Some((name, rest)) = after.split_once(":]") else { return Ok(None) };
    let (plain, is_negated) = name.strip_prefix('^').map_or((name, false), |plain| (plain, true));
    let Some((_, characters)) = POSIX.iter().find(|(known, _)| *known == plain) else {
        return Err(SyntaxError::new("invalid character class range", format!("[:{name}:]")));
    };
    *inner = rest;
    Ok(Some(nested(characters, is_negated)))
}

/// One character of a class.
fn take_member(inner: &mut &str, class: &str) -> Done<char> {
    if inner.starts_with('\\') {
        return take_escape(inner);
    }
    let mut chars = inner.chars();
    let Some(c) = chars.next() else { return Err(SyntaxError::new("missing closing ]", class)) };
    *inner = chars.as_str();
    Ok(c)
}
