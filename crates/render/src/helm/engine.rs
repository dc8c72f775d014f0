//! Renders the templates of a chart as helm's engine does: it parses and runs them in the same order, shows
//! them the same of each other, and words their errors alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::RenderContext;
use super::error::{Error, ErrorKind};
use super::funcs::flow::{WARN_END, WARN_START};
use super::template::{ParsedTemplates, Run, Set, execute, without_no_value};
use super::value::{Map, MapType, Str, Value};

/// A template of a chart.
#[derive(Debug, Clone)]
pub struct Renderable {
    /// Its path, including its parent charts, such as `app/charts/db/templates/a.yaml`.
    pub path: Str,
    /// Its text.
    pub text: Arc<[u8]>,
    /// Its dot: one map for all templates of a chart.
    pub top: Map,
    /// The folder of templates of its chart.
    pub base_path: Str,
}

/// Renders templates, and returns the output of each by its path. A file whose name begins with `_` only
/// defines templates for others. Templates in `parsed` need not be parsed again.
pub fn render(
    mut files: Vec<Renderable>,
    parsed: &ParsedTemplates,
    context: &mut RenderContext<'_>,
) -> Result<BTreeMap<Str, Vec<u8>>, Error> {
    sort(&mut files);
    let mut set = Set::new();
    let texts: Vec<_> = files.iter().map(|file| (file.path.clone(), Arc::clone(&file.text))).collect();
    for templates in parsed.get(&texts, context, parse_error)? {
        set.add(templates.iter().cloned());
    }
    let mut printed = BTreeMap::new();
    let mut run = Run::new(context);
    for file in &files {
        if base(&file.path).starts_with(b"_") {
            continue;
        }
        let entries = [("Name", file.path.clone()), ("BasePath", file.base_path.clone())];
        let entries = entries.into_iter().map(|(key, value)| (Str::from(key), Value::Str(value))).collect();
        let template = Value::Map(Map::from_entries(MapType::Values, entries));
        file.top.insert(Str::from("Template"), template)?;
        let text = execute(&mut run, &set, &file.path, &Value::Map(file.top.clone()))
            .map_err(|error| run_error(&file.path, error))?;
        printed.insert(file.path.clone(), without_no_value(text));
    }
    Ok(printed)
}

/// Sorts by path, the deepest first, and those of one depth from the last to the first: a later definition
/// replaces an earlier one.
fn sort(files: &mut [Renderable]) {
    let depth = |path: &Str| memchr::memchr_iter(b'/', path).count();
    files.sort_by(|a, b| (depth(&b.path), &b.path).cmp(&(depth(&a.path), &a.path)));
}

/// The last part of a path.
fn base(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(path, |at| &path[at + 1..])
}

/// The words of helm for a template that cannot be parsed.
fn parse_error(path: &Str, error: &Error) -> Error {
    let text = error.text();
    if error.is_bound() {
        return Error::bound(text);
    }
    let tokens: Vec<&str> = text.split(": ").collect();
    let (Some(place), Some(last)) = (tokens.get(1), tokens.last()) else {
        return Error::new(format!("parse error in ({}): {text}", path.lossy()));
    };
    Error::new(format!("parse error at ({place}): {last}"))
}

/// The words of helm for a failed template: the message of `fail` and `required` by itself, the chain of
/// places and calls if each error in it has a place, and otherwise the error as it is.
fn run_error(path: &Str, error: Error) -> Error {
    let has_place =
        std::iter::successors(Some(&error), |error| error.cause()).any(|e| e.kind() == ErrorKind::Exec);
    if !has_place {
        return error;
    }
    let text = error.text();
    let tokens: Vec<&str> = text.splitn(3, ": ").collect();
    let [_, place, rest] = tokens[..] else {
        return Error::new(format!("execution error in ({}): {text}", path.lossy()));
    };
    if let Some(message) = warning(rest) {
        return Error::new(format!("execution error at ({place}): {message}"));
    }
    let mut traces: Vec<Trace> = Vec::new();
    let mut current = Some(&error);
    while let Some(error) = current {
        let Some(trace) = Trace::parse(&error.text()) else { return Error::new(text) };
        if traces.last() != Some(&trace) {
            traces.push(trace);
        }
        current = error.cause();
    }
    let told: String = traces.iter().map(Trace::told).collect();
    Error::new(told.trim())
}

/// The message of `fail` or `required`.
fn warning(text: &str) -> Option<&str> {
    let from = text.find(WARN_START)? + WARN_START.len();
    let to = text.rfind(WARN_END).filter(|to| *to >= from)?;
    Some(&text[from..to])
}

/// A step in the chain of an error.
#[derive(Debug, PartialEq, Eq, Default)]
struct Trace {
    place: String,
    message: String,
    executed: String,
}

impl Trace {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("template: ")?;
        if rest.starts_with("no template ") {
            return Some(Self { message: text.into(), ..Self::default() });
        }
        Self::parse_executing(rest).or_else(|| Self::parse_simple(rest))
    }

    fn parse_executing(rest: &str) -> Option<Self> {
        let (place, after) = rest.split_once(": executing ")?;
        let after = after.strip_prefix('"')?;
        let (function, after) = after.split_once('"')?;
        let (at, message) = after.strip_prefix(" at <")?.split_once(">: ")?;
        Some(Self {
            place: place.into(),
            message: without_next(message).into(),
            executed: format!("executing \"{function}\" at <{at}>:"),
        })
    }

    fn parse_simple(rest: &str) -> Option<Self> {
        let (place, message) = rest.rsplit_once(": ")?;
        Some(Self { place: place.into(), message: without_next(message).into(), executed: String::new() })
    }

    fn told(&self) -> String {
        let mut told = String::new();
        if !self.place.is_empty() {
            told.push_str(&self.place);
            told.push_str("\n  ");
        }
        if !self.executed.is_empty() {
            told.push_str(&self.executed);
            told.push_str("\n    ");
        }
        if !self.message.is_empty() {
            told.push_str(&self.message);
            told.push('\n');
        }
        told
    }
}

/// A message without the text of the wrapped error.
fn without_next(message: &str) -> &str {
    message.split_once(" template:").map_or(message, |(before, _)| before)
}

#[cfg(test)]
mod tests;
