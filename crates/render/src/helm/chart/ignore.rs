//! `.helmignore`: which files of a folder are no part of the chart.

use crate::helm::error::Error;

/// The rules of a file, in their order.
#[derive(Debug, Default)]
pub(super) struct IgnoreRules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    pattern: String,
    negate: bool,
    must_be_folder: bool,
    /// Whether the pattern is matched against the whole path and not the base name.
    whole: bool,
}

impl IgnoreRules {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut rules = Self::default();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for line in text.split(|byte| *byte == b'\n') {
            rules.add(&String::from_utf8_lossy(line))?;
        }
        Ok(rules)
    }

    /// Adds the rule that comes after all others: hidden files of `templates/`.
    pub(super) fn add_defaults(&mut self) {
        let added = self.add("templates/.?*");
        debug_assert!(added.is_ok());
    }

    fn add(&mut self, line: &str) -> Result<(), Error> {
        let mut rule = line.trim();
        if rule.is_empty() || rule.starts_with('#') {
            return Ok(());
        }
        if rule.contains("**") {
            return Err(Error::new("double-star (**) syntax is not supported"));
        }
        if !is_pattern(rule) {
            return Err(Error::new("syntax error in pattern"));
        }
        let negate = rule.starts_with('!');
        rule = rule.strip_prefix('!').unwrap_or(rule);
        let must_be_folder = rule.ends_with('/');
        rule = rule.strip_suffix('/').unwrap_or(rule);
        let (pattern, whole) = match rule.strip_prefix('/') {
            Some(rest) => (rest, true),
            None => (rule, rule.contains('/')),
        };
        self.0.push(Rule { pattern: pattern.to_owned(), negate, must_be_folder, whole });
        Ok(())
    }

    pub(super) fn leaves_out(&self, path: &str, is_folder: bool) -> bool {
        for rule in &self.0 {
            let name = if rule.whole { path } else { path.rsplit('/').next().unwrap_or(path) };
            let fits = || matches(&rule.pattern, name);
            if rule.negate {
                // A negated rule excludes files that it does not match.
                if (rule.must_be_folder && !is_folder) || !fits() {
                    return true;
                }
                continue;
            }
            if (!rule.must_be_folder || is_folder) && fits() {
                return true;
            }
        }
        false
    }
}

/// Go's `filepath.Match`: `*` and `?` stop at `/`, `[a-z]` and `[^a-z]` are classes, a backslash escapes.
pub(in crate::helm) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // The place of the last `*`, and how much of the name it takes. A mismatch only ever returns there.
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let next = pattern.get(at);
        if next == Some(&'*') {
            star = Some((at, from));
            at += 1;
            continue;
        }
        let step = match (next, name.get(from)) {
            (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => None,
            (Some(_), Some(character)) => one(&pattern[at..], *character),
        };
        match step {
            Some(width) => {
                at += width;
                from += 1;
            }
            None => match star {
                Some((star_at, taken)) if taken < name.len() && name[taken] != '/' => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    from = taken + 1;
                }
                _ => return false,
            },
        }
    }
}

/// Whether the first part of a pattern matches a character, and the length of that part.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern[0] {
        '?' => (character != '/').then_some(1),
        '[' => {
            let (fits, width) = class(pattern, character)?;
            (fits && character != '/').then_some(width)
        }
        '\\' => (pattern.get(1) == Some(&character)).then_some(2),
        other => (other == character).then_some(1),
    }
}

/// A class: whether it matches, and its length; `None` if it is malformed.
fn class(pattern: &[char], character: char) -> Option<(bool, usize)> {
    let mut at = 1;
    let negate = pattern.get(at) == Some(&'^');
    at += usize::from(negate);
    let mut fits = false;
    let first = at;
    loop {
        if pattern.get(at) == Some(&']') && at > first {
            return Some((fits != negate, at + 1));
        }
        let low = class_character(pattern, &mut at)?;
        let mut high = low;
        if pattern.get(at) == Some(&'-') {
            at += 1;
            high = class_character(pattern, &mut at)?;
        }
        fits |= (low..=high).contains(&character);
    }
}

fn class_character(pattern: &[char], at: &mut usize) -> Option<char> {
    let mut character = *pattern.get(*at).filter(|next| !matches!(next, '-' | ']'))?;
    if character == '\\' {
        *at += 1;
        character = *pattern.get(*at)?;
    }
    *at += 1;
    // A class must be closed.
    (*at < pattern.len()).then_some(character)
}

/// Whether Go can read the pattern.
fn is_pattern(pattern: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            '[' => match class(&pattern[at..], 'a') {
                Some((_, width)) => at += width,
                None => return false,
            },
            '\\' if at + 1 == pattern.len() => return false,
            '\\' => at += 2,
            _ => at += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_go_says() {
        let cases = [
            ("*.txt", "a.txt", true),
            ("*.txt", "a/b.txt", false),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXbYY", false),
            ("*", "", true),
            ("*/b", "a/b", true),
            ("[a-c]?", "bx", true),
            ("[^a-c]?", "bx", false),
            ("\\*", "*", true),
            ("a[]]", "a]", false),
            ("templates/.?*", "templates/.x", true),
            ("templates/.?*", "templates/.", false),
        ];
        for (pattern, name, fits) in cases {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        for pattern in ["[", "[a", "[]a]", "a\\", "[a-]"] {
            assert!(!is_pattern(pattern), "{pattern}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let mut rules = IgnoreRules::parse(b"# no\n*.md\n!keep\n").unwrap();
        assert!(rules.leaves_out("a/b.md", false));
        assert!(rules.leaves_out("other", false));
        assert!(!rules.leaves_out("keep", false));
        rules = IgnoreRules::parse(b"docs/\n/root.txt\n").unwrap();
        assert!(rules.leaves_out("x/docs", true));
        assert!(!rules.leaves_out("docs", false));
        assert!(rules.leaves_out("root.txt", false));
        assert!(!rules.leaves_out("x/root.txt", false));
    }
}
