//! Selects the files of a source that are left out: Flux's defaults, `.sourceignore` files and `spec.ignore`,
//! in `.gitignore` syntax.
//!
//! As in Flux, and unlike Git, the last matching pattern decides even if a folder above is excluded. As soon
//! as there is any pattern, in a file or in the object, only one of the defaults stays: the exclusion of
//! Git's own files.

use std::cell::OnceCell;

use lockgate_base::tree::Tree;

/// The file that holds patterns for its folder and everything below.
const FILE: &str = ".sourceignore";
/// The most patterns, and the most files that may hold them.
const LIMIT: usize = 10_000;
const GIT: &str = ".git/\n.gitignore\n.gitmodules\n.gitattributes\n";
const DEFAULTS: &str = "*.jpg\n*.jpeg\n*.gif\n*.png\n*.wmv\n*.flv\n*.tar.gz\n*.zip\n.github/\n.circleci/\n.travis.yml\n\
                        .gitlab-ci.yml\nappveyor.yml\n.drone.yml\ncloudbuild.yaml\ncodeship-services.yml\n\
                        codeship-steps.yml\n**/.goreleaser.yml\n**/.sops.yaml\n**/.flux.yaml\n";

/// A tree without the files that its `.sourceignore` files and the object's own lines exclude. The repository
/// decides how long that takes, so `go_on` is called before each file.
pub fn applied<E>(
    tree: &Tree,
    spec_ignore: Option<&str>,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<Tree, E> {
    let rules = Rules::of(tree, spec_ignore, &go_on)?;
    let ended = OnceCell::new();
    let kept = tree.filtered(|path| {
        ended.get().is_none()
            && match go_on() {
                Ok(()) => !rules.excludes(path),
                Err(error) => ended.set(error).is_ok(),
            }
    });
    ended.into_inner().map_or(Ok(kept), Err)
}

/// The patterns of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// The folder that the pattern applies to, in parts.
    folder: Vec<String>,
    parts: Vec<Part>,
    /// Whether the pattern begins at its folder, and not anywhere below it.
    anchored: bool,
    only_folders: bool,
    includes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `**`.
    AnyFolders,
    Name(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    One(char),
    AnyOne,
    AnyRun,
    Set { ranges: Vec<(char, char)>, inverted: bool },
}

impl Rules {
    /// The rules of a tree, from its `.sourceignore` files and the object's own lines.
    fn of<E>(tree: &Tree, spec_ignore: Option<&str>, go_on: &impl Fn() -> Result<(), E>) -> Result<Self, E> {
        let is_file = |path: &String| {
            path.strip_suffix(FILE).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
        };
        let paths = tree.entries().map(|(path, _)| path);
        let mut files: Vec<String> = paths.filter(is_file).take(LIMIT).collect();
        // A deeper file wins.
        files.sort_by_cached_key(|path| (path.matches('/').count(), path.clone()));
        let mut own = Self(Vec::new());
        for path in files {
            go_on()?;
            let folder: Vec<String> = path.split('/').map(Into::into).collect();
            let folder = &folder[..folder.len() - 1];
            if folder.is_empty()
                || !own.excludes_parts(&folder.iter().map(String::as_str).collect::<Vec<_>>(), true)
            {
                // A file that cannot be read as text holds no patterns.
                own.add(&tree.reader().text(&path).unwrap_or_default(), folder);
            }
        }
        own.add(spec_ignore.unwrap_or_default(), &[]);
        let mut rules = Self(Vec::new());
        rules.add(GIT, &[]);
        if own.0.is_empty() {
            rules.add(DEFAULTS, &[]);
        }
        rules.0.append(&mut own.0);
        Ok(rules)
    }

    /// Whether the rules exclude the file at `path`.
    fn excludes(&self, path: &str) -> bool {
        self.excludes_parts(&path.split('/').collect::<Vec<_>>(), false)
    }

    fn excludes_parts(&self, path: &[&str], is_folder: bool) -> bool {
        let last = self.0.iter().rev().find(|pattern| pattern.matches(path, is_folder));
        last.is_some_and(|pattern| !pattern.includes)
    }

    fn add(&mut self, lines: &str, folder: &[String]) {
        let patterns = lines.lines().filter_map(|line| Pattern::parse(line, folder));
        let room = LIMIT.saturating_sub(self.0.len());
        self.0.extend(patterns.take(room));
    }
}

impl Pattern {
    fn parse(line: &str, folder: &[String]) -> Option<Self> {
        if line.starts_with('#') || line.trim().is_empty() {
            return None;
        }
        let (includes, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let trimmed = line.trim_end_matches(' ');
        // A backslash protects a trailing space.
        let line = if trimmed.ends_with('\\') && trimmed.len() < line.len() {
            &line[..=trimmed.len()]
        } else {
            trimmed
        };
        let (only_folders, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
        let anchored = line.contains('/');
        let names = line.strip_prefix('/').unwrap_or(line).split('/').filter(|part| !part.is_empty());
        let mut parts = Vec::new();
        for name in names {
            match name {
                // Several in a row mean the same as one, and so do three stars.
                stars if anchored && stars.len() > 1 && stars.bytes().all(|b| b == b'*') => {
                    if parts.last() != Some(&Part::AnyFolders) {
                        parts.push(Part::AnyFolders);
                    }
                }
                name => parts.push(Part::Name(tokens(name)?)),
            }
        }
        let folder = folder.to_vec();
        (!parts.is_empty()).then_some(Self { folder, parts, anchored, only_folders, includes })
    }

    /// Whether the pattern matches the path or a folder above it.
    fn matches(&self, path: &[&str], is_folder: bool) -> bool {
        if path.len() <= self.folder.len() || !self.folder.iter().zip(path).all(|(own, part)| own == part) {
            return false;
        }
        let path = &path[self.folder.len()..];
        // A pattern for folders only matches any folder above; the path itself must be a folder.
        let end = if self.only_folders && !is_folder { path.len() - 1 } else { path.len() };
        match self.parts.as_slice() {
            [Part::Name(name)] if !self.anchored => path[..end].iter().any(|part| matches_name(name, part)),
            parts => matches_prefix(parts, path, end),
        }
    }
}

/// Whether all of `parts` match the first `k` parts of `path`, for some `k` from 1 to `end`.
///
/// Each row of the table holds the lengths of `path` that the patterns so far can match, so the time is
/// bounded by the product of the two lengths.
fn matches_prefix(parts: &[Part], path: &[&str], end: usize) -> bool {
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for (index, part) in parts.iter().enumerate() {
        let mut next = vec![false; path.len() + 1];
        match part {
            Part::AnyFolders => {
                let is_last = index + 1 == parts.len();
                let mut any = false;
                for length in 0..=path.len() {
                    // At the end `**` stands for everything inside, and so for at least one part.
                    next[length] = if is_last { any } else { any || reached[length] };
                    any |= reached[length];
                }
            }
            Part::Name(name) => {
                for length in 0..path.len() {
                    next[length + 1] = reached[length] && matches_name(name, path[length]);
                }
            }
        }
        reached = next;
    }
    reached[1..=end].contains(&true)
}

fn matches_name(tokens: &[Token], name: &str) -> bool {
    let (mut tokens, mut rest) = (tokens, name);
    // The tokens behind the last star, and the text that the star has not swallowed yet.
    let mut retry: Option<(&[Token], &str)> = None;
    while let Some(c) = rest.chars().next() {
        let is_one = match tokens.first() {
            Some(Token::AnyRun) => {
                tokens = &tokens[1..];
                retry = Some((tokens, rest));
                continue;
            }
            Some(Token::One(one)) => *one == c,
            Some(Token::AnyOne) => true,
            Some(Token::Set { ranges, inverted }) => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *inverted
            }
            None => false,
        };
        match &mut retry {
            _ if is_one => (tokens, rest) = (&tokens[1..], &rest[c.len_utf8()..]),
            Some((behind, swallows)) => {
                *swallows = &swallows[swallows.chars().next().map_or(0, char::len_utf8)..];
                (tokens, rest) = (*behind, *swallows);
            }
            None => return false,
        }
    }
    tokens.iter().all(|token| *token == Token::AnyRun)
}

/// The tokens of one part; `None` if a bracket or backslash is left open, since such a pattern matches
/// nothing.
fn tokens(name: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' if tokens.last() == Some(&Token::AnyRun) => continue,
            '*' => Token::AnyRun,
            '?' => Token::AnyOne,
            '\\' => Token::One(rest.next()?),
            '[' => set(&mut rest)?,
            c => Token::One(c),
        });
    }
    Some(tokens)
}

fn set(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let inverted = rest.next_if(|c| *c == '!' || *c == '^').is_some();
    let mut ranges: Vec<(char, char)> = Vec::new();
    loop {
        let from = match rest.next()? {
            // The first character may be the closing bracket itself.
            ']' if !ranges.is_empty() => return Some(Token::Set { ranges, inverted }),
            '\\' => rest.next()?,
            c => c,
        };
        let mut to = from;
        if rest.peek() == Some(&'-') {
            let mut ahead = rest.clone();
            ahead.next();
            if ahead.peek().is_some_and(|c| *c != ']') {
                *rest = ahead;
                to = match rest.next()? {
                    '\\' => rest.next()?,
                    c => c,
                };
            }
        }
        ranges.push((from, to));
    }
}

#[cfg(test)]
mod tests;
