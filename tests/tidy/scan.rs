//! Rust source in the form that the rules of the house use: without comments, texts and tests.

/// The code of a file with the content of comments, texts and character literals blanked out. Line breaks
/// stay, so line numbers are those of the file.
pub(super) fn code(text: &str) -> String {
    blank(text, true)
}

/// The code of a file with comments blanked out. Texts stay.
pub(super) fn code_with_texts(text: &str) -> String {
    blank(text, false)
}

/// `code` without items that are compiled for tests only.
pub(super) fn without_tests(code: &str) -> String {
    let mut result = code.to_owned();
    while let Some(start) = result.find("#[cfg(test)]") {
        let end = item_end(&result, start);
        let blanked: String =
            result[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        result.replace_range(start..end, &blanked);
    }
    result
}

/// A function, and the number of lines from its `fn` to its closing brace.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
}

/// All functions with a body. `code` is the result of [`code`].
pub(super) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = word_at(&code[from..], "fn").map(|at| at + from) {
        from = at + 2;
        let name: String = code[from..].trim_start().chars().take_while(|c| is_ident(*c)).collect();
        if name.is_empty() {
            continue; // A function pointer's type.
        }
        let end = item_end(code, at);
        if code[..end].ends_with('}') {
            let line = code[..at].matches('\n').count() + 1;
            found.push(Function { name, line, lines: code[at..end].matches('\n').count() + 1 });
        }
    }
    found
}

/// The place of `word` in `text`, without another letter of an identifier beside it.
pub(super) fn word_at(text: &str, word: &str) -> Option<usize> {
    let ident_edge =
        |edge: Option<char>, inner: Option<char>| inner.is_some_and(is_ident) && edge.is_some_and(is_ident);
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        !ident_edge(text[..*at].chars().next_back(), word.chars().next())
            && !ident_edge(text[at + word.len()..].chars().next(), word.chars().next_back())
    })
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The end of the item that starts at `start`: behind its closing brace, or behind a `;` before any brace.
fn item_end(code: &str, start: usize) -> usize {
    let (mut braces, mut others) = (0_usize, 0_usize);
    for (at, c) in code[start..].char_indices() {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others = others.saturating_sub(1),
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return start + at + 1;
                }
            }
            ';' if braces == 0 && others == 0 => return start + at + 1,
            _ => {}
        }
    }
    code.len()
}

fn blank(text: &str, texts_too: bool) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let previous = result.chars().next_back();
        let (length, hide) = match token(rest, previous) {
            Token::Comment(length) => (length, true),
            Token::Text(length) => (length, texts_too),
            Token::Other(length) => (length, false),
        };
        let (token, behind) = rest.split_at(length);
        if hide {
            result.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            result.push_str(token);
        }
        rest = behind;
    }
    result
}

/// The token at the start of a text, and its length in bytes.
enum Token {
    Comment(usize),
    Text(usize),
    Other(usize),
}

fn token(text: &str, previous: Option<char>) -> Token {
    if text.starts_with("//") {
        return Token::Comment(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Token::Comment(block_comment(text));
    }
    // `r"`, `r#"`, `br"` count only if the letter is not the end of an identifier.
    let after_ident = previous.is_some_and(is_ident);
    if !after_ident && let Some(length) = raw_text(text) {
        return Token::Text(length);
    }
    if text.starts_with('"') {
        return Token::Text(quoted(text, '"'));
    }
    if text.starts_with('\'') && is_char_literal(text) {
        return Token::Text(quoted(text, '\''));
    }
    Token::Other(text.chars().next().map_or(1, char::len_utf8))
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn raw_text(text: &str) -> Option<usize> {
    let marks = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = marks.len() - marks.trim_start_matches('#').len();
    let inside = marks[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close).map_or(inside.len(), |at| at + close.len());
    Some(text.len() - inside.len() + end)
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `'a'` and `'\n'` are literals; `'a` is a lifetime.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

#[test]
fn comments_texts_and_characters_are_blanked() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"f("{ \" }") g"#, "f(        ) g"),
        ("f(r#\"a\"b\"#) g", "f(        ) g"),
        ("'{' 'a '\\'' b", "    'a      b"),
        ("bar\"x\"", "bar   "),
        ("\"ü\" x", "    x"),
    ];
    for (text, blanked) in cases {
        assert_eq!(code(text), blanked, "{text}");
    }
    assert_eq!(code_with_texts("a // b\n\"c // d\""), "a     \n\"c // d\"");
}

#[test]
fn what_is_for_tests_is_left_out() {
    let code = "a\n#[cfg(test)]\nmod t { fn b() { c; } }\nd\n#[cfg(test)]\nmod e;\nf";
    assert_eq!(without_tests(code).split_whitespace().collect::<Vec<_>>(), ["a", "d", "f"]);
}

#[test]
fn functions_are_measured_with_their_signature() {
    let text =
        "fn a() {}\ntrait T { fn b(); }\nfn c(\n  x: [u8; 2],\n) -> fn(u8) {\n  \"}\";\n}\ntype F = fn();";
    let measured: Vec<String> =
        functions(&code(text)).iter().map(|f| format!("{} {} {}", f.name, f.line, f.lines)).collect();
    assert_eq!(measured, ["a 1 1", "c 3 5"]);
}

#[test]
fn a_word_is_no_part_of_another() {
    assert_eq!(word_at("fnord my_fn fn", "fn"), Some(12));
    assert_eq!(word_at("a::kube::b", "kube::"), Some(3));
    assert_eq!(word_at("a::mykube::b", "kube::"), None);
}
