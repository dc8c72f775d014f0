//! Regular expressions in Go's syntax, found, split and replaced as Go's `regexp` does.

use std::rc::Rc;

use super::convert::strings;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::quote::{can_backquote, quote};
use crate::helm::go::re2::{Translated, too_large, translate};
use crate::helm::go::re2_escape::SyntaxError;
use crate::helm::go::unicode::{self, CharacterClass, decode};
use crate::helm::search::{Groups, Pattern, Range};
use crate::helm::value::{Args, Type as T};
use crate::helm::value::{List, ListType, Str, Value};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

pub(super) const TABLE: &[Function] = &[
    Function::new("regexMatch", &[T::String, T::String], |c, a| match compiled(c, a.bytes(0)) {
        Ok(regex) => Ok(is_match(c, &regex, a.bytes(1))?.into()),
        Err(Failed::Syntax(_)) => Ok(false.into()),
        Err(Failed::Spent(error)) => Err(error),
    }),
    Function::new("mustRegexMatch", &[T::String, T::String], |c, a| {
        let regex = compiled(c, a.bytes(0))?;
        Ok(is_match(c, &regex, a.bytes(1))?.into())
    }),
    Function::new("regexFind", &[T::String, T::String], |c, a| {
        let regex = must(c, a)?;
        find(c, a, &regex)
    }),
    Function::new("mustRegexFind", &[T::String, T::String], |c, a| {
        let regex = compiled(c, a.bytes(0))?;
        find(c, a, &regex)
    }),
    Function::new("regexFindAll", &[T::String, T::String, T::Int], |c, a| {
        let regex = must(c, a)?;
        find_all(c, a, &regex)
    }),
    Function::new("mustRegexFindAll", &[T::String, T::String, T::Int], |c, a| {
        let regex = compiled(c, a.bytes(0))?;
        find_all(c, a, &regex)
    }),
    Function::new("regexReplaceAll", &[T::String, T::String, T::String], |c, a| {
        let regex = must(c, a)?;
        replace(c, a, &regex, expand)
    }),
    Function::new("mustRegexReplaceAll", &[T::String, T::String, T::String], |c, a| {
        let regex = compiled(c, a.bytes(0))?;
        replace(c, a, &regex, expand)
    }),
    Function::new("regexReplaceAllLiteral", &[T::String, T::String, T::String], |c, a| {
        let regex = must(c, a)?;
        replace(c, a, &regex, literal)
    }),
    Function::new("mustRegexReplaceAllLiteral", &[T::String, T::String, T::String], |c, a| {
        let regex = compiled(c, a.bytes(0))?;
        replace(c, a, &regex, literal)
    }),
    Function::new("regexSplit", &[T::String, T::String, T::Int], |c, a| {
        let regex = must(c, a)?;
        split(c, a, &regex)
    }),
    Function::new("mustRegexSplit", &[T::String, T::String, T::Int], |c, a| {
        let regex = compiled(c, a.bytes(0))?;
        split(c, a, &regex)
    }),
    Function::new("regexQuoteMeta", &[T::String], |_, a| {
        let special = |byte: &u8| br"\.+*?()|[]{}^$".contains(byte);
        let quoted =
            a.bytes(0).iter().flat_map(|byte| special(byte).then_some(b'\\').into_iter().chain([*byte]));
        Ok(quoted.collect::<Vec<u8>>().into())
    }),
];

/// The steps that the compilation of any pattern counts for.
const COMPILE_STEPS: usize = 100;
/// The steps that a Unicode class counts for.
const CLASS_STEPS: usize = 500;
/// The bytes of what groups are found in that count for a step.
const GROUP_BYTES_PER_STEP: usize = 512;

/// Why a pattern is not compiled.
enum Failed {
    /// It is invalid, with Go's words.
    Syntax(SyntaxError),
    /// The render's budget is spent.
    Spent(Error),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Syntax(error) => Error::new(error.to_string()),
            Failed::Spent(error) => error,
        }
    }
}

/// Compiles a pattern, unless this render has it yet.
fn compiled(c: Ctx<'_, '_>, source: &[u8]) -> std::result::Result<Rc<Pattern>, Failed> {
    c.spend(1 + source.len() / 64).map_err(Failed::Spent)?;
    if let Some(known) = c.patterns.get(source) {
        return Ok(known);
    }
    c.spend(source.len() + COMPILE_STEPS).map_err(Failed::Spent)?;
    let translated = translate(source).map_err(Failed::Syntax)?;
    c.spend(steps(&translated)).map_err(Failed::Spent)?;
    let pattern = Pattern::new(&translated.pattern, translated.names);
    let pattern = pattern.map_err(|_| Failed::Syntax(too_large(&String::from_utf8_lossy(source))))?;
    let pattern = Rc::new(pattern);
    c.patterns.keep(source, &pattern);
    Ok(pattern)
}

/// The steps of a compilation: each part counts as often as it is repeated, and a Unicode class as much as
/// hundreds of characters.
fn steps(translated: &Translated) -> usize {
    let pattern = &translated.pattern;
    let classes =
        pattern.matches(r"\p").count() + pattern.matches(r"\P").count() + pattern.matches("[^").count();
    let parts = pattern.len() + classes.saturating_mul(CLASS_STEPS);
    parts.saturating_mul(usize::try_from(translated.repeats).unwrap_or(usize::MAX))
}

/// `regexp.MustCompile`, whose panic names the pattern.
fn must(c: Ctx<'_, '_>, a: Args<'_>) -> std::result::Result<Rc<Pattern>, Error> {
    compiled(c, a.bytes(0)).map_err(|failed| {
        let Failed::Syntax(error) = failed else { return failed.into() };
        let pattern = a.bytes(0);
        // Go quotes with backquotes where that is possible.
        let quoted = if can_backquote(pattern) {
            format!("`{}`", String::from_utf8_lossy(pattern))
        } else {
            String::from_utf8_lossy(&quote(pattern, false)).into_owned()
        };
        Error::new(format!("regexp: Compile({quoted}): {error}"))
    })
}

/// A text to search. Go takes each byte that is no UTF-8 for U+FFFD, so these bytes are searched as that.
struct Text<'t> {
    original: &'t [u8],
    searched: std::borrow::Cow<'t, [u8]>,
    /// The origin of each searched byte; empty if both texts are the same.
    origins: Vec<usize>,
}

impl<'t> Text<'t> {
    fn new(c: Ctx<'_, '_>, original: &'t [u8]) -> std::result::Result<Self, Error> {
        c.spend(original.len() / 8 + 1)?;
        if std::str::from_utf8(original).is_ok() {
            return Ok(Self { original, searched: original.into(), origins: Vec::new() });
        }
        c.memory(original.len().saturating_mul(11))?;
        let (mut searched, mut origins, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some((found, width)) = decode(&original[at..]) {
            let from = searched.len();
            match found {
                Ok(_) => searched.extend_from_slice(&original[at..at + width]),
                Err(_) => searched.extend_from_slice("\u{fffd}".as_bytes()),
            }
            let length = searched.len() - from;
            // Matches begin and end only between characters.
            origins.extend((0..length).map(|offset| at + offset.min(width)));
            at += width;
        }
        origins.push(at);
        Ok(Self { original, searched: searched.into(), origins })
    }

    fn origin(&self, at: usize) -> usize {
        self.origins.get(at).copied().unwrap_or(at)
    }

    fn part(&self, range: Range) -> &'t [u8] {
        &self.original[self.origin(range.0)..self.origin(range.1)]
    }

    /// The width of the character at a place, 0 at the end.
    fn width(&self, at: usize) -> usize {
        decode(&self.searched[at..]).map_or(0, |(_, width)| width)
    }

    /// The matches that Go's `FindAll` returns, at most this many; all for a negative number.
    fn matches(
        &self,
        c: Ctx<'_, '_>,
        pattern: &Pattern,
        most: i64,
    ) -> std::result::Result<Vec<Range>, Error> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let (mut found, mut at, mut previous_end) = (Vec::new(), 0, None);
        while found.len() < most && at <= self.searched.len() {
            c.spend(1)?;
            let Some(range) = pattern.find_at(&self.searched, at, &mut |steps| c.spend(steps))? else {
                break;
            };
            // An empty match right after another one does not count.
            let is_empty_at_cursor = range.1 == at;
            if !(is_empty_at_cursor && Some(range.0) == previous_end) {
                c.memory(found.len() * size_of::<Range>())?;
                found.push(range);
            }
            at = if is_empty_at_cursor { at + self.width(at).max(1) } else { range.1 };
            previous_end = Some(range.1);
        }
        Ok(found)
    }
}

fn first(c: Ctx<'_, '_>, pattern: &Pattern, text: &Text<'_>) -> std::result::Result<Option<Range>, Error> {
    pattern.find_at(&text.searched, 0, &mut |steps| c.spend(steps))
}

fn is_match(c: Ctx<'_, '_>, pattern: &Pattern, text: &[u8]) -> std::result::Result<bool, Error> {
    let text = Text::new(c, text)?;
    Ok(first(c, pattern, &text)?.is_some())
}

fn find(c: Ctx<'_, '_>, a: Args<'_>, pattern: &Pattern) -> Result {
    let text = Text::new(c, a.bytes(1))?;
    let found = first(c, pattern, &text)?;
    Ok(found.map_or_else(|| "".into(), |range| Value::str(text.part(range))))
}

fn find_all(c: Ctx<'_, '_>, a: Args<'_>, pattern: &Pattern) -> Result {
    let text = Text::new(c, a.bytes(1))?;
    let found = text.matches(c, pattern, a.int(2))?;
    if found.is_empty() {
        return Ok(Value::List(List::nil(ListType::Strings)));
    }
    let parts = found.into_iter().map(|range| Str::from(text.part(range))).collect();
    strings(c, parts)
}

fn split(c: Ctx<'_, '_>, a: Args<'_>, pattern: &Pattern) -> Result {
    let most = a.int(2);
    if most == 0 {
        return Ok(Value::List(List::nil(ListType::Strings)));
    }
    if !a.bytes(0).is_empty() && a.bytes(1).is_empty() {
        return strings(c, vec![Str::from("")]);
    }
    let text = Text::new(c, a.bytes(1))?;
    let (mut parts, mut begin, mut end) = (Vec::new(), 0, 0);
    for (start, stop) in text.matches(c, pattern, most)? {
        if usize::try_from(most).is_ok_and(|most| parts.len() + 1 == most) {
            break;
        }
        end = start;
        if stop != 0 {
            parts.push(Str::from(text.part((begin, end))));
        }
        begin = stop;
    }
    if end != text.searched.len() {
        parts.push(Str::from(text.part((begin, text.searched.len()))));
    }
    strings(c, parts)
}

/// The groups of a match: the beginning and the end of each.
type FoundGroups = Vec<Option<Range>>;
/// Writes the replacement of a match.
type Write = fn(&mut Vec<u8>, &Text<'_>, &Pattern, &FoundGroups, &[u8]);

fn replace(c: Ctx<'_, '_>, a: Args<'_>, pattern: &Pattern, write: Write) -> Result {
    let text = Text::new(c, a.bytes(1))?;
    // A replacement without a dollar sign names no group.
    let mut groups = a.bytes(2).contains(&b'$').then(|| pattern.groups());
    let memory = groups.as_ref().map_or(0, Groups::memory);
    c.memory(memory)?;
    c.spend(memory / GROUP_BYTES_PER_STEP)?;
    let (mut out, mut at, mut last_end) = (Vec::new(), 0, 0);
    while at <= text.searched.len() {
        c.spend(1)?;
        let found = pattern.find_at(&text.searched, at, &mut |steps| c.spend(steps))?;
        let Some((start, end)) = found else { break };
        out.extend_from_slice(text.part((last_end, start)));
        // An empty match right after another one is not replaced.
        if end > last_end || start == 0 {
            let found = match &mut groups {
                Some(groups) => groups.of(&text.searched, (start, end), &mut |steps| c.spend(steps))?,
                None => FoundGroups::new(),
            };
            write(&mut out, &text, pattern, &found, a.bytes(2));
            c.room(out.len())?;
        }
        last_end = end;
        let width = text.width(at);
        at = if at + width > end {
            at + width
        } else if at + 1 > end {
            at + 1
        } else {
            end
        };
    }
    out.extend_from_slice(text.part((last_end.min(text.searched.len()), text.searched.len())));
    Ok(out.into())
}

fn literal(out: &mut Vec<u8>, _: &Text<'_>, _: &Pattern, _: &FoundGroups, template: &[u8]) {
    out.extend_from_slice(template);
}

/// Go's `Expand`: `$1`, `${1}`, `$name`, `$$`.
fn expand(out: &mut Vec<u8>, text: &Text<'_>, pattern: &Pattern, groups: &FoundGroups, template: &[u8]) {
    let mut rest = template;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(b"$") {
            out.push(b'$');
            rest = after;
            continue;
        }
        let Some((name, after)) = group_name(rest) else {
            out.push(b'$');
            continue;
        };
        rest = after;
        let group = if let Some(number) = group_number(name) {
            groups.get(number).copied().flatten()
        } else {
            let of_name = |(at, known): (usize, &String)| {
                groups.get(at + 1).copied().flatten().filter(|_| known.as_bytes() == name)
            };
            pattern.names.iter().enumerate().find_map(of_name)
        };
        if let Some(range) = group {
            out.extend_from_slice(text.part(range));
        }
    }
    out.extend_from_slice(rest);
}

/// The name after a `$`: in braces, or as many letters, digits and underscores as follow.
fn group_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (in_braces, start) = text.strip_prefix(b"{").map_or((false, text), |rest| (true, rest));
    let mut end = 0;
    while let Some((Ok(c), width)) = decode(&start[end..]) {
        if !(c == '_' || unicode::is(CharacterClass::Letter, c) || unicode::is(CharacterClass::Digit, c)) {
            break;
        }
        end += width;
    }
    let (name, rest) = start.split_at(end);
    if name.is_empty() {
        return None;
    }
    Some((name, if in_braces { rest.strip_prefix(b"}")? } else { rest }))
}

/// A name of digits as a number. A name with a leading zero is no number.
fn group_number(name: &[u8]) -> Option<usize> {
    let is_number = name.iter().all(u8::is_ascii_digit) && (name.len() == 1 || name[0] != b'0');
    // A number that is too large for any group selects none.
    is_number.then(|| std::str::from_utf8(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX))
}
