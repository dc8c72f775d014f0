//! Globs as envsubst matches them: `*`, `?`, classes such as `[a-c]` and `[^x]`, and a backslash before what is meant
//! literally. They go over bytes, and a mistake in a pattern is noticed only where the matching comes to it.

/// A class or an escape that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPattern;

/// Whether a pattern matches a whole text. Linear in memory, without recursion.
pub(super) fn matches(mut pattern: &[u8], mut text: &[u8]) -> Result<bool, BadPattern> {
    'pattern: while !pattern.is_empty() {
        let (star, chunk, rest) = next_chunk(pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            return Ok(true);
        }
        let is_last = pattern.is_empty();
        if let Some(after) = match_chunk(chunk, text)?.filter(|after| !is_last || after.is_empty()) {
            text = after;
            continue;
        }
        if star {
            for skipped in 1..=text.len() {
                if let Some(after) =
                    match_chunk(chunk, &text[skipped..])?.filter(|after| !is_last || after.is_empty())
                {
                    text = after;
                    continue 'pattern;
                }
            }
        }
        return Ok(false);
    }
    Ok(text.is_empty())
}

/// Whether the pattern begins with stars, what stands up to the next one, and the rest.
fn next_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    let pattern = &pattern[stars..];
    let (mut in_class, mut at) = (false, 0);
    while at < pattern.len() {
        match pattern[at] {
            b'\\' if at + 1 < pattern.len() => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'*' if !in_class => break,
            _ => {}
        }
        at += 1;
    }
    (stars > 0, &pattern[..at], &pattern[at..])
}

/// What of the text is left behind a chunk without stars; `None` where it does not match.
fn match_chunk<'t>(mut chunk: &[u8], mut text: &'t [u8]) -> Result<Option<&'t [u8]>, BadPattern> {
    while let [first, rest @ ..] = chunk {
        if text.is_empty() {
            return Ok(None);
        }
        match first {
            b'[' => {
                let (c, length) = first_char(text);
                text = &text[length..];
                let (is_in, after) = class(rest, c)?;
                if !is_in {
                    return Ok(None);
                }
                chunk = after;
            }
            b'?' => {
                text = &text[first_char(text).1..];
                chunk = rest;
            }
            _ => {
                let literal = if *first == b'\\' { rest } else { chunk };
                let (wanted, after) = literal.split_first().ok_or(BadPattern)?;
                if *wanted != text[0] {
                    return Ok(None);
                }
                text = &text[1..];
                chunk = after;
            }
        }
    }
    Ok(Some(text))
}

/// Whether a class, whose bracket has been read, holds a character, and what stands behind the class.
fn class(mut pattern: &[u8], c: char) -> Result<(bool, &[u8]), BadPattern> {
    let negated = pattern.first() == Some(&b'^');
    if negated {
        pattern = &pattern[1..];
    }
    let (mut found, mut count) = (false, 0);
    loop {
        if let ([b']', rest @ ..], true) = (pattern, count > 0) {
            return Ok((found != negated, rest));
        }
        let (low, rest) = class_char(pattern)?;
        let (high, rest) = if rest[0] == b'-' { class_char(&rest[1..])? } else { (low, rest) };
        found |= (low..=high).contains(&c);
        pattern = rest;
        count += 1;
    }
}

/// A character of a class and what stands behind it, which is never empty.
fn class_char(pattern: &[u8]) -> Result<(char, &[u8]), BadPattern> {
    let pattern = match pattern {
        [] | [b'-' | b']', ..] => return Err(BadPattern),
        [b'\\', rest @ ..] => rest,
        other => other,
    };
    if pattern.is_empty() {
        return Err(BadPattern);
    }
    let (c, length) = first_char(pattern);
    match &pattern[length..] {
        [] => Err(BadPattern),
        rest => Ok((c, rest)),
    }
}

/// The first character and its length; a byte that begins none counts as one.
fn first_char(text: &[u8]) -> (char, usize) {
    let start = &text[..text.len().min(4)];
    let valid = match std::str::from_utf8(start) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_a_shell_does() {
        for (pattern, text, expected) in [
            ("*", "", Ok(true)),
            ("a*c", "abbc", Ok(true)),
            ("a*b*c", "aXbYbZc", Ok(true)),
            ("a?c", "ac", Ok(false)),
            ("a?c", "a\u{e9}c", Ok(true)),
            (r"\*", "*", Ok(true)),
            (r"\*", "a", Ok(false)),
            ("[a-c]x", "bx", Ok(true)),
            ("[^a-c]x", "bx", Ok(false)),
            (r"[\]]", "]", Ok(true)),
            ("[a*]", "*", Ok(true)),
            ("[a", "a", Err(BadPattern)),
            ("[]", "a", Err(BadPattern)),
            ("a[", "b", Ok(false)),
            ("\\", "a", Err(BadPattern)),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
