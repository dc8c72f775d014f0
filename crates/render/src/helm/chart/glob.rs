//! Patterns of `.Files.Glob`, as the library gobwas/glob reads them with `/` as separator.

use crate::helm::go::unicode::decode;

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct FileGlob(Vec<Term>);

#[derive(Debug)]
enum Term {
    Text(Vec<u8>),
    /// `*`: any characters but `/`.
    Any,
    /// `**`: any characters.
    Super,
    /// `?`: one character but `/`.
    Single,
    List {
        characters: Vec<char>,
        not: bool,
    },
    Range {
        from: char,
        to: char,
        not: bool,
    },
    AnyOf(Vec<Vec<Term>>),
}

/// The deepest nesting of `{`.
const DEPTH: usize = 100;

impl FileGlob {
    /// Reads a pattern; `None` if it is invalid.
    pub(super) fn new(pattern: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(pattern).ok()?;
        // The library takes NUL for the end.
        let text = text.split('\0').next().unwrap_or_default();
        let characters: Vec<char> = text.chars().collect();
        let mut reader = Reader { characters, at: 0 };
        let (terms, _) = reader.terms(0)?;
        Some(Self(terms))
    }

    /// Whether the whole name matches.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let mut ends = vec![false; name.len() + 1];
        ends[0] = true;
        step_all(&self.0, name, &ends)[name.len()]
    }

    /// The work of a match for each byte of a name.
    pub(super) fn cost(&self) -> usize {
        cost(&self.0)
    }
}

fn cost(terms: &[Term]) -> usize {
    let of = |term: &Term| match term {
        Term::AnyOf(alternatives) => alternatives.iter().map(|terms| 1 + cost(terms)).sum(),
        Term::List { characters, .. } => characters.len(),
        _ => 1,
    };
    terms.iter().map(of).sum::<usize>() + 1
}

struct Reader {
    characters: Vec<char>,
    at: usize,
}

impl Reader {
    fn next(&mut self) -> Option<char> {
        let next = self.characters.get(self.at).copied();
        self.at += usize::from(next.is_some());
        next
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    /// Terms up to the `,` or `}` that ends them within `{`, or up to the end of the pattern.
    fn terms(&mut self, depth: usize) -> Option<(Vec<Term>, Option<char>)> {
        let mut terms = Vec::new();
        while let Some(character) = self.next() {
            match character {
                '{' => {
                    if depth == DEPTH {
                        return None;
                    }
                    let mut alternatives = Vec::new();
                    loop {
                        let (terms, end) = self.terms(depth + 1)?;
                        alternatives.push(terms);
                        if end != Some(',') {
                            break;
                        }
                    }
                    terms.push(Term::AnyOf(alternatives));
                }
                ',' | '}' if depth > 0 => return Some((terms, Some(character))),
                '[' => terms.push(self.range()?),
                '?' => terms.push(Term::Single),
                '*' if self.peek() == Some('*') => {
                    self.at += 1;
                    terms.push(Term::Super);
                }
                '*' => terms.push(Term::Any),
                _ => {
                    self.at -= 1;
                    terms.push(Term::Text(self.text(if depth > 0 { "?*[{}," } else { "?*[{" })));
                }
            }
        }
        Some((terms, None))
    }

    fn text(&mut self, breakers: &str) -> Vec<u8> {
        let mut text = String::new();
        let mut escaped = false;
        while let Some(character) = self.next() {
            if !escaped && character == '\\' {
                escaped = true;
                continue;
            }
            if !escaped && breakers.contains(character) {
                self.at -= 1;
                break;
            }
            escaped = false;
            text.push(character);
        }
        text.into_bytes()
    }

    fn range(&mut self) -> Option<Term> {
        let not = self.peek() == Some('!');
        self.at += usize::from(not);
        let first = self.next()?;
        let term = if self.peek() == Some('-') {
            self.at += 1;
            let to = self.next()?;
            if to < first {
                return None;
            }
            Term::Range { from: first, to, not }
        } else {
            self.at -= 1;
            let characters: Vec<char> = String::from_utf8(self.text("]")).ok()?.chars().collect();
            if characters.is_empty() {
                return None;
            }
            Term::List { characters, not }
        };
        (self.next()? == ']').then_some(term)
    }
}

/// The places where a match of all terms can end if it can begin at `starts`.
fn step_all(terms: &[Term], name: &[u8], starts: &[bool]) -> Vec<bool> {
    terms.iter().fold(starts.to_vec(), |starts, term| step(term, name, &starts))
}

fn step(term: &Term, name: &[u8], starts: &[bool]) -> Vec<bool> {
    let mut ends = vec![false; starts.len()];
    match term {
        Term::Text(text) => {
            for at in (0..starts.len()).filter(|at| starts[*at]) {
                if name[at..].starts_with(text) {
                    ends[at + text.len()] = true;
                }
            }
        }
        Term::Any | Term::Super => {
            let mut open = false;
            for at in 0..starts.len() {
                open |= starts[at];
                ends[at] = open;
                if matches!(term, Term::Any) && name.get(at) == Some(&b'/') {
                    open = false;
                }
            }
        }
        Term::AnyOf(alternatives) => {
            for terms in alternatives {
                for (end, reached) in ends.iter_mut().zip(step_all(terms, name, starts)) {
                    *end |= reached;
                }
            }
        }
        Term::Single | Term::List { .. } | Term::Range { .. } => {
            for at in (0..starts.len()).filter(|at| starts[*at]) {
                let Some((character, width)) = decode(&name[at..]) else { continue };
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                let fits = match term {
                    Term::List { characters, not } => characters.contains(&character) != *not,
                    Term::Range { from, to, not } => (*from..=*to).contains(&character) != *not,
                    _ => character != '/',
                };
                ends[at + width] |= fits;
            }
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::FileGlob;

    #[test]
    fn patterns_match_as_the_library_says() {
        let cases = [
            ("conf/*", "conf/a.txt", true),
            ("conf/*", "conf/sub/a.txt", false),
            ("conf/**", "conf/sub/a.txt", true),
            ("**.json", "a/b.json", true),
            ("*.json", "a/b.json", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("a[!b]c", "a/c", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("{a,b*}.{yaml,yml}", "bcd.yml", true),
            ("{a,b*}.{yaml,yml}", "c.yml", false),
            ("a\\*", "a*", true),
            ("a,b}", "a,b}", true),
            ("", "", true),
            ("", "a", false),
            ("{", "", true),
        ];
        for (pattern, name, fits) in cases {
            let glob = FileGlob::new(pattern.as_bytes()).unwrap();
            assert_eq!(glob.matches(name.as_bytes()), fits, "{pattern} {name}");
        }
        for pattern in ["[a-zA-Z]", "[]", "[", "[z-a]", "[a"] {
            assert!(FileGlob::new(pattern.as_bytes()).is_none(), "{pattern}");
        }
    }
}
