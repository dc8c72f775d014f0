//! Dotted paths into an object, as replacements and variables use them.
//!
//! There are two readings. [`lookup`] finds one field and takes `[name=value]` literally. [`find`] finds all
//! fields, takes the value for a regular expression, knows `*`, and can create absent fields.

use regex::Regex;
use serde_json::{Map, Value};

use super::fieldspec::split_path;
use super::id::text_of;
use super::pattern;
use crate::error::Fault;
use lockgate_base::model::type_name;
pub(crate) use lockgate_base::model::yaml::PathStep as Hop;
use lockgate_base::model::yaml::{Dialect, Form, WrittenAs, first_document, plain_value};

/// A field at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    /// The path to it.
    pub(crate) hops: Vec<Hop>,
    /// Whether the search has created it.
    pub(crate) made: bool,
    /// Whether it lies in text that was read as YAML, so that setting it changes nothing.
    pub(crate) detached: bool,
}

/// The type of a created field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A scalar.
    Scalar,
    /// A mapping.
    Mapping,
    /// A list.
    List,
}

impl Shape {
    /// The shape of a value.
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Object(_) => Self::Mapping,
            Value::Array(_) => Self::List,
            _ => Self::Scalar,
        }
    }

    fn empty(self) -> Value {
        match self {
            Self::Scalar => Value::Null,
            Self::Mapping => Value::Object(Map::new()),
            Self::List => Value::Array(Vec::new()),
        }
    }
}

/// Splits a path at dots, except within brackets and after a backslash. Brackets without `=` are removed.
pub(crate) fn split(path: &str) -> Vec<String> {
    let mut result = Vec::new();
    let mut parts = split_path(path, '.').into_iter();
    while let Some(part) = parts.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            result.push(part);
            continue;
        }
        let mut bracketed = part;
        for next in parts.by_ref() {
            bracketed = format!("{bracketed}.{next}");
            if next.ends_with(']') {
                break;
            }
        }
        if bracketed.contains('=') {
            result.push(bracketed);
        } else {
            result.push(bracketed.trim_matches(['[', ']']).to_owned());
        }
    }
    result
}

/// Splits `name[0]` into `name` and `0`.
pub(crate) fn with_indexes(parts: Vec<String>) -> Vec<String> {
    let mut result = Vec::new();
    for part in parts {
        let index = part.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
        match index {
            Some((name, index)) if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => {
                if !name.is_empty() {
                    result.push(name.to_owned());
                }
                result.push(index.to_owned());
            }
            _ => result.push(part),
        }
    }
    result
}

/// The field at a path, if it exists.
pub(crate) fn lookup<'v>(value: &'v Value, path: &[String]) -> Result<Option<&'v Value>, Fault> {
    Ok(lookup_way(value, path)?.map(|(_, found)| found))
}

/// The field at a path, with the steps to it.
pub(crate) fn lookup_way<'v>(
    value: &'v Value,
    path: &[String],
) -> Result<Option<(Vec<Hop>, &'v Value)>, Fault> {
    let (mut at, mut way) = (value, Vec::new());
    for part in path.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        let next = if let Ok(index) = part.parse::<i64>() {
            let index =
                usize::try_from(index).map_err(|_| Fault::new(format!("index {index} is negative")))?;
            item(at, |_| Some(index))?
        } else if part == "-" {
            item(at, |items| items.len().checked_sub(1))?
        } else if part == "*" {
            return Err(Fault::new("'*' is not possible here"));
        } else if is_bracketed(part) {
            let (field, wanted) = condition(part)?;
            item(at, |items| items.iter().position(|item| is_literally(item, field, wanted)))?
        } else {
            match at {
                Value::Null => None,
                Value::Object(map) => map.get(part).map(|field| (Hop::Key(part.into()), field)),
                other => return Err(wrong(other, "a mapping", part)),
            }
        };
        let Some((hop, next)) = next else { return Ok(None) };
        way.push(hop);
        at = next;
    }
    Ok(Some((way, at)))
}

fn item(value: &Value, position: impl Fn(&[Value]) -> Option<usize>) -> Result<Option<(Hop, &Value)>, Fault> {
    let items = list(value)?;
    let found = items.and_then(|items| position(items).and_then(|at| Some((Hop::Index(at), items.get(at)?))));
    Ok(found)
}

/// The value at the end of these steps.
pub(crate) fn get<'v>(value: &'v Value, hops: &[Hop]) -> Option<&'v Value> {
    hops.iter().try_fold(value, |at, hop| match hop {
        Hop::Key(key) => at.as_object()?.get(key),
        Hop::Index(index) => at.as_array()?.get(*index),
    })
}

/// The value at the end of these steps, mutable.
pub(crate) fn at<'v>(value: &'v mut Value, hops: &[Hop]) -> Option<&'v mut Value> {
    let mut at = value;
    for hop in hops {
        at = match hop {
            Hop::Key(key) => at.as_object_mut()?.get_mut(key)?,
            Hop::Index(index) => at.as_array_mut()?.get_mut(*index)?,
        };
    }
    Some(at)
}

/// All fields at a path. With `create`, the last one is created with that shape if it is absent. `texts`
/// holds the notation of scalars.
pub(crate) fn find(
    value: &mut Value,
    path: &[String],
    create: Option<Shape>,
    texts: &[WrittenAs],
) -> Result<Vec<Match>, Fault> {
    let mut finder = Finder { create, texts, found: Vec::new(), hops: Vec::new(), detached: false };
    finder.find(value, path, false)?;
    Ok(finder.found)
}

struct Finder<'t> {
    create: Option<Shape>,
    texts: &'t [WrittenAs],
    found: Vec<Match>,
    hops: Vec<Hop>,
    detached: bool,
}

impl Finder<'_> {
    fn find(&mut self, value: &mut Value, path: &[String], made: bool) -> Result<(), Fault> {
        let Some((part, rest)) = path.split_first() else {
            self.found.push(Match { hops: self.hops.clone(), made, detached: self.detached });
            return Ok(());
        };
        if let Ok(index) = part.parse::<usize>() {
            self.index(value, index, rest)
        } else if is_bracketed(part) {
            self.elements(value, part, rest)
        } else if part == "*" {
            let count = list(value)?.map_or(0, Vec::len);
            (0..count).try_for_each(|index| self.enter(value, index, rest, false))
        } else {
            self.field(value, part, rest, made)
        }
    }

    fn field(&mut self, value: &mut Value, name: &str, rest: &[String], made: bool) -> Result<(), Fault> {
        if name.is_empty() {
            return self.nameless(value, rest, made);
        }
        let map = match value {
            Value::Object(map) => map,
            Value::Null => return self.inside_nothing(name, rest),
            other => return Err(wrong(other, "a mapping", name)),
        };
        let mut made = false;
        if !map.contains_key(name) {
            let Some(shape) = self.create else { return Ok(()) };
            map.insert(name.into(), next_shape(rest, shape).empty());
            made = true;
        }
        let Some(field) = map.get_mut(name) else { return Ok(()) };
        self.hops.push(Hop::Key(name.into()));
        let outcome = match field {
            Value::Object(_) | Value::Array(_) => self.find(field, rest, made),
            _ if rest.is_empty() => self.find(field, rest, made),
            Value::Null if made || self.is_unwritten() => {
                Err(Fault::new("the path continues inside a text, and there is none"))
            }
            Value::Null => self.apart(&mut Value::Null, rest, false),
            scalar => self.inside_text(scalar, rest),
        };
        self.hops.pop();
        outcome
    }

    /// Handles a part without a name, as behind a dot at the end. It selects an empty scalar. If fields may
    /// be created, any other scalar is emptied, and the value that is then set is not part of the object.
    fn nameless(&mut self, value: &mut Value, rest: &[String], made: bool) -> Result<(), Fault> {
        if value.is_object() || value.is_array() {
            return Err(wrong(value, "a scalar", ""));
        }
        if *value == "" || made {
            if !rest.is_empty() {
                return Err(Fault::new("the path continues inside a text, and there is none"));
            }
            return self.find(value, rest, made);
        }
        let Some(shape) = self.create.map(|last| next_shape(rest, last)) else { return Ok(()) };
        *value = shape.empty();
        if shape == Shape::Scalar && !rest.is_empty() {
            return Err(Fault::new("the path continues inside a text, and there is none"));
        }
        self.apart(&mut shape.empty(), rest, true)
    }

    /// Handles a field of nothing: if fields may be created, it is created outside of the object.
    fn inside_nothing(&mut self, name: &str, rest: &[String]) -> Result<(), Fault> {
        let Some(shape) = self.create.map(|last| next_shape(rest, last)) else { return Ok(()) };
        self.hops.push(Hop::Key(name.into()));
        let outcome = self.apart(&mut shape.empty(), rest, true);
        self.hops.pop();
        outcome
    }

    /// Whether the current scalar has an empty notation.
    fn is_unwritten(&self) -> bool {
        let is_nothing = |form: &Form| match form {
            Form::Text(text) => text.trim().is_empty(),
            Form::Untagged => true,
            Form::Flow => false,
        };
        self.texts.iter().any(|written| written.way == self.hops && is_nothing(&written.form))
    }

    /// Continues in a value that is not part of the object.
    fn apart(&mut self, value: &mut Value, rest: &[String], made: bool) -> Result<(), Fault> {
        let before = std::mem::replace(&mut self.detached, true);
        let outcome = self.find(value, rest, made);
        self.detached = before;
        outcome
    }

    /// Continues in the content of a text that is YAML. Fields in there are only read.
    fn inside_text(&mut self, scalar: &Value, rest: &[String]) -> Result<(), Fault> {
        self.apart(&mut parse_text(&text_of(scalar))?, rest, false)
    }

    fn index(&mut self, value: &mut Value, index: usize, rest: &[String]) -> Result<(), Fault> {
        let count = list(value)?.map_or(0, Vec::len);
        let mut made = false;
        if let (true, Some(shape), Value::Array(items)) = (index == count, self.create, &mut *value) {
            items.push(next_shape(rest, shape).empty());
            made = true;
        } else if index >= count {
            return Err(Fault::new(format!("index {index} is beyond the {count} elements")));
        }
        self.enter(value, index, rest, made)
    }

    fn elements(&mut self, value: &mut Value, part: &str, rest: &[String]) -> Result<(), Fault> {
        let (field, wanted) = condition(part)?;
        let pattern = pattern::compile(wanted)?;
        let before = self.found.len();
        self.matching(value, field, &pattern, rest)?;
        if self.found.len() > before || self.create.is_none() {
            return Ok(());
        }
        if let Value::Array(items) = value {
            let wanted = plain(wanted);
            if field.is_empty() {
                // kustomize gives it no type of its own.
                items.push(wanted);
                let last = items.len() - 1;
                return self.enter(value, last, &[], true);
            }
            items.push(Value::Object([(field.to_owned(), wanted)].into_iter().collect()));
            return self.matching(value, field, &pattern, rest);
        }
        Ok(())
    }

    fn matching(
        &mut self,
        value: &mut Value,
        field: &str,
        pattern: &Regex,
        rest: &[String],
    ) -> Result<(), Fault> {
        let count = list(value)?.map_or(0, Vec::len);
        for index in 0..count {
            let item = &value[index];
            let text = if field.is_empty() { Some(item) } else { item.get(field) };
            if text.is_some_and(|text| pattern.is_match(&text_of(text))) {
                // A list of scalars ends the path: kustomize does not look further.
                let rest = if field.is_empty() { &[] } else { rest };
                self.enter(value, index, rest, false)?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, value: &mut Value, index: usize, rest: &[String], made: bool) -> Result<(), Fault> {
        self.hops.push(Hop::Index(index));
        let outcome = self.find(&mut value[index], rest, made);
        self.hops.pop();
        outcome
    }
}

fn next_shape(rest: &[String], last: Shape) -> Shape {
    match rest.first() {
        None => last,
        // Kustomize takes a part without a name for the end.
        Some(next) if next.is_empty() => last,
        Some(next) if is_bracketed(next) || next.parse::<usize>().is_ok() => Shape::List,
        Some(_) => Shape::Mapping,
    }
}

fn list(value: &Value) -> Result<Option<&Vec<Value>>, Fault> {
    match value {
        Value::Array(items) => Ok(Some(items)),
        Value::Null => Ok(None),
        other => Err(Fault::new(format!("expected a list, found {}", type_name(other)))),
    }
}

fn is_bracketed(part: &str) -> bool {
    part.starts_with('[') && part.ends_with(']')
}

fn condition(part: &str) -> Result<(&str, &str), Fault> {
    let inner = part.strip_prefix('[').unwrap_or(part);
    let inner = inner.strip_suffix(']').unwrap_or(inner);
    inner.split_once('=').ok_or_else(|| Fault::new(format!("'{part}' is not of the form [field=value]")))
}

fn is_literally(item: &Value, field: &str, wanted: &str) -> bool {
    if field.is_empty() {
        return text_of(item) == wanted;
    }
    item.get(field).is_some_and(|value| text_of(value) == wanted)
}

fn wrong(found: &Value, wanted: &str, part: &str) -> Fault {
    Fault::new(format!("expected {wanted} before '{part}', found {}", type_name(found)))
}

/// Reads a text as YAML. Only the first document counts, and it is required.
pub(crate) fn parse_text(text: &str) -> Result<Value, Fault> {
    let is_empty = |line: &str| line.is_empty() || line.starts_with('#');
    if text.lines().map(str::trim_start).all(is_empty) {
        return Err(Fault::new("the path continues inside a text, and there is none"));
    }
    let document = first_document(text, Dialect::V3);
    document.map(|document| document.value).map_err(|error| Fault::new(error.to_string()))
}

/// The value of a text in YAML without quotes.
pub(crate) fn plain(text: &str) -> Value {
    plain_value(text, Dialect::V3).unwrap_or_else(|_| text.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_split_at_dots_outside_of_brackets() {
        for (path, parts) in [
            ("a.b", vec!["a", "b"]),
            (r"a.b\.c", vec!["a", "b.c"]),
            ("a.[x.y/z].b", vec!["a", "x.y/z", "b"]),
            ("a.[name=x.y].b", vec!["a", "[name=x.y]", "b"]),
            ("a.[name=x].b", vec!["a", "[name=x]", "b"]),
        ] {
            assert_eq!(split(path), parts, "{path}");
        }
        assert_eq!(with_indexes(split("a[1].b")), ["a", "1", "b"]);
    }

    #[test]
    fn a_lookup_finds_one_field() {
        let value = json!({"a": [{"name": "x", "v": 1}, {"name": "xy", "v": 2}]});
        for (path, expected) in [
            ("a.0.v", Some(json!(1))),
            ("a.-.v", Some(json!(2))),
            ("a.[name=xy].v", Some(json!(2))),
            ("a.5.v", None),
            ("b.c", None),
        ] {
            assert_eq!(lookup(&value, &split(path)).unwrap(), expected.as_ref(), "{path}");
        }
        assert!(lookup(&value, &split("a.name")).is_err());
    }

    #[test]
    fn a_search_finds_and_makes_fields() {
        let start = json!({"a": [{"name": "x", "v": 1}, {"name": "xy"}]});
        for (path, create, found, after) in [
            ("a.*.name", None, 2, start.clone()),
            ("a.[name=x].name", None, 2, start.clone()),
            ("a.[name=z].v", None, 0, start.clone()),
            ("b.c", Some(Shape::Scalar), 1, json!({"a": start["a"], "b": {"c": null}})),
            ("a.2.v", Some(Shape::Scalar), 1, json!({"a": [start["a"][0], start["a"][1], {"v": null}]})),
            (
                "b.[name=q].v",
                Some(Shape::Scalar),
                1,
                json!({"a": start["a"], "b": [{"name": "q", "v": null}]}),
            ),
        ] {
            let mut value = start.clone();
            assert_eq!(find(&mut value, &split(path), create, &[]).unwrap().len(), found, "{path}");
            assert_eq!(value, after, "{path}");
        }
    }
}
