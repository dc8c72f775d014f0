//! `--set` and its kin: values written as `a.b[0]=c,d={e,f}`, read as helm's strvals reads them.

use super::read::value_of;
use crate::helm::error::Error;
use crate::helm::go::number::parse_int;
use crate::helm::go::quote::{quote, quote_char};
use crate::helm::go::unicode::is_space;
use crate::helm::value::{List, ListType, Map, MapType, Str, Value};

/// The highest index of a list.
const MAX_INDEX: i64 = 65_536;
/// The most names of a path.
const MAX_NESTED: usize = 30;

/// Reads the content of a file that `--set-file` names.
pub type ReadFile<'f> = dyn FnMut(&str) -> Result<Vec<u8>, String> + 'f;

/// The type of a value.
pub enum ValueKind<'f> {
    /// `--set`: whole numbers, booleans and null; any other value is a text.
    Typed,
    /// `--set-string`: a text.
    Text,
    /// `--set-json`: JSON.
    Json,
    /// `--set-file`: the text of a file.
    File(&'f mut ReadFile<'f>),
}

/// Writes the value in `line` into `values`.
pub fn set(line: &str, values: &Map, kind: ValueKind<'_>) -> Result<(), Error> {
    set_telling(line, values, kind).map(|_| ())
}

/// Lists of which an item was replaced, each with its new list. In Go both are one list, so that other
/// holders of the list see the new item; a list that has grown is a new one.
pub(super) type Changed = Vec<(List, List)>;

/// Writes the value in `line` into `values`, and returns the lists that were changed in place.
pub(super) fn set_telling(line: &str, values: &Map, kind: ValueKind<'_>) -> Result<Changed, Error> {
    let mut parser = Parser { text: line.chars().collect(), at: 0, kind, changed: Vec::new() };
    loop {
        match parser.key(values, 0) {
            Ok(()) => {}
            Err(Stop { at_end: true, .. }) => return Ok(parser.changed),
            Err(Stop { message, .. }) => return Err(Error::new(message)),
        }
    }
}

/// Why reading a key stopped.
struct Stop {
    message: String,
    /// The text has ended. The part before the end counts.
    at_end: bool,
}

impl Stop {
    fn end() -> Self {
        Self { message: "EOF".into(), at_end: true }
    }

    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), at_end: false }
    }

    fn within(self, prefix: &str) -> Self {
        Self { message: format!("{prefix}{}", self.message), ..self }
    }
}

type Done<T> = Result<T, Stop>;

struct Parser<'f> {
    text: Vec<char>,
    at: usize,
    kind: ValueKind<'f>,
    changed: Changed,
}

impl Parser<'_> {
    fn next(&mut self) -> Done<char> {
        let next = self.text.get(self.at).copied().ok_or_else(Stop::end)?;
        self.at += 1;
        Ok(next)
    }

    /// The text up to one of these characters, and that character; `None` if the text ends first. A backslash
    /// escapes the next character.
    fn until(&mut self, stops: &str) -> (String, Option<char>) {
        let mut read = String::new();
        while let Ok(next) = self.next() {
            if stops.contains(next) {
                return (read, Some(next));
            }
            if next != '\\' {
                read.push(next);
            } else if let Ok(escaped) = self.next() {
                read.push(escaped);
            } else {
                break;
            }
        }
        (read, None)
    }

    fn key(&mut self, values: &Map, depth: usize) -> Done<()> {
        let (name, stop) = self.until("=[,.");
        match stop {
            None if name.is_empty() => Err(Stop::end()),
            None => Err(Stop::new(format!("key {} has no value", quoted(&name)))),
            Some('[') => {
                let index = self.index().map_err(|stop| stop.within("error parsing index: "))?;
                let known = match values.get(name.as_bytes()) {
                    None => None,
                    Some(Value::List(list)) => Some(list),
                    Some(other) => return Err(wrong_type(&other, "[]interface {}")),
                };
                let mut items = known.as_ref().map(|list| list.items().to_vec()).unwrap_or_default();
                let before = items.len();
                let result = self.item(&mut items, index, depth);
                let grew = items.len() > before;
                let list = List::new(ListType::Any, items);
                if let Some(known) = known.filter(|_| !grew) {
                    self.changed.push((known, list.clone()));
                }
                put(values, &name, Value::List(list))?;
                result
            }
            Some('=') => self.value_of_key(values, &name),
            Some(',') => {
                put(values, &name, Value::from(""))?;
                Err(Stop::new(format!("key {} has no value (cannot end with ,)", quoted(&name))))
            }
            Some(_) => {
                if depth + 1 > MAX_NESTED {
                    return Err(Stop::new(format!(
                        "value name nested level is greater than maximum supported nested level of {MAX_NESTED}"
                    )));
                }
                let inner = match values.get(name.as_bytes()) {
                    None => Map::new(MapType::Any),
                    Some(Value::Map(inner)) => inner,
                    Some(other) => return Err(wrong_type(&other, "map[string]interface {}")),
                };
                let result = self.key(&inner, depth + 1);
                if result.is_ok() && inner.is_empty() {
                    return Err(Stop::new(format!("key map {} has no value", quoted(&name))));
                }
                if !inner.is_empty() {
                    put(values, &name, Value::Map(inner))?;
                }
                result
            }
        }
    }

    fn value_of_key(&mut self, values: &Map, name: &str) -> Done<()> {
        if matches!(self.kind, ValueKind::Json) {
            let value = self.json()?;
            let is_value = value.is_some();
            put(values, name, value.unwrap_or_default())?;
            if is_value {
                self.is_empty();
            }
            return Ok(());
        }
        match self.list()? {
            Found::End => {
                put(values, name, Value::from(""))?;
                Err(Stop::end())
            }
            Found::List(list) => put(values, name, Value::list(list)),
            Found::NoList => {
                let (text, _) = self.until(",");
                match self.convert(&text) {
                    Ok(value) => put(values, name, value),
                    Err(stop) => {
                        put(values, name, Value::Nil)?;
                        Err(stop)
                    }
                }
            }
        }
    }

    fn index(&mut self) -> Done<i64> {
        let (text, stop) = self.until("]");
        if stop.is_none() {
            return Err(Stop::end());
        }
        match parse_int(text.as_bytes(), 10) {
            (index, None) => Ok(index),
            (_, Some(error)) => {
                Err(Stop::new(format!("strconv.Atoi: parsing {}: {}", quoted(&text), error.text())))
            }
        }
    }

    /// The text behind an index.
    fn item(&mut self, list: &mut Vec<Value>, index: i64, depth: usize) -> Done<()> {
        if index < 0 {
            return Err(Stop::new(format!("negative {index} index not allowed")));
        }
        let (text, stop) = self.until("[.=");
        if !text.is_empty() {
            return Err(Stop::new(format!("unexpected data at end of array index: [{}]", runes(&text))));
        }
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        match stop {
            None => Err(Stop::end()),
            Some('=') => {
                if matches!(self.kind, ValueKind::Json) {
                    let value = self.json()?;
                    let is_value = value.is_some();
                    put_at(list, index, value.unwrap_or_default())?;
                    if is_value {
                        self.is_empty();
                    }
                    return Ok(());
                }
                let value = match self.list()? {
                    Found::End => Value::from(""),
                    Found::List(list) => Value::list(list),
                    Found::NoList => {
                        let (text, _) = self.until(",");
                        self.convert(&text)?
                    }
                };
                put_at(list, index, value)
            }
            Some('[') => {
                let next = self.index().map_err(|stop| stop.within("error parsing index: "))?;
                let mut inner = match list.get(place) {
                    None | Some(Value::Nil) => Vec::new(),
                    Some(Value::List(inner)) => inner.items().to_vec(),
                    Some(other) => return Err(wrong_type(other, "[]interface {}")),
                };
                self.item(&mut inner, next, depth)?;
                put_at(list, index, Value::list(inner))
            }
            Some(_) => {
                let inner = match list.get_mut(place) {
                    Some(Value::Map(inner)) => inner.clone(),
                    Some(other) => {
                        let inner = Map::new(MapType::Any);
                        *other = Value::Map(inner.clone());
                        inner
                    }
                    None => Map::new(MapType::Any),
                };
                self.key(&inner, depth)?;
                put_at(list, index, Value::Map(inner))
            }
        }
    }

    /// Skips blanks and a comma. Returns whether only blanks come before that comma or the end.
    fn is_empty(&mut self) -> bool {
        while let Ok(next) = self.next() {
            if next == ',' {
                return true;
            }
            if !is_space(next) {
                self.at -= 1;
                return false;
            }
        }
        true
    }

    /// A JSON value; `None` at the end of the text.
    fn json(&mut self) -> Done<Option<Value>> {
        if self.is_empty() {
            return Ok(None);
        }
        let rest: String = self.text[self.at..].iter().collect();
        let mut reader = serde_json::Deserializer::from_str(&rest).into_iter::<serde_json::Value>();
        let value = match reader.next() {
            Some(Ok(value)) => value_of(&value),
            Some(Err(error)) => return Err(Stop::new(error.to_string())),
            None => return Err(Stop::end()),
        };
        self.at += rest[..reader.byte_offset()].chars().count();
        Ok(Some(value))
    }

    /// A list such as `{a,b}`.
    fn list(&mut self) -> Done<Found> {
        match self.next() {
            Err(_) => return Ok(Found::End),
            Ok('{') => {}
            Ok(_) => {
                self.at -= 1;
                return Ok(Found::NoList);
            }
        }
        let mut list = Vec::new();
        loop {
            let (text, stop) = self.until(",}");
            let Some(stop) = stop else { return Err(Stop::new("list must terminate with '}'")) };
            if stop == '}' && self.text.get(self.at) == Some(&',') {
                self.at += 1;
            }
            list.push(self.convert(&text)?);
            if stop == '}' {
                return Ok(Found::List(list));
            }
        }
    }

    fn convert(&mut self, text: &str) -> Done<Value> {
        match &mut self.kind {
            ValueKind::Typed => Ok(typed(text)),
            ValueKind::Text | ValueKind::Json => Ok(Value::from(text)),
            ValueKind::File(read) => read(text).map(Value::from).map_err(Stop::new),
        }
    }
}

/// The value behind `=`.
enum Found {
    End,
    NoList,
    List(Vec<Value>),
}

/// A value of `--set`.
fn typed(text: &str) -> Value {
    if text.eq_ignore_ascii_case("true") {
        return Value::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Value::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Value::Nil;
    }
    if text == "0" {
        return Value::Int64(0);
    }
    match parse_int(text.as_bytes(), 10) {
        (number, None) if !text.starts_with('0') => Value::Int64(number),
        _ => Value::from(text),
    }
}

fn put(values: &Map, name: &str, value: Value) -> Done<()> {
    if !name.is_empty() {
        values.insert(Str::from(name), value).map_err(|error| Stop::new(error.text()))?;
    }
    Ok(())
}

fn put_at(list: &mut Vec<Value>, index: i64, value: Value) -> Done<()> {
    if index > MAX_INDEX {
        return Err(Stop::new(format!(
            "index of {index} is greater than maximum supported index of {MAX_INDEX}"
        )));
    }
    let place = usize::try_from(index).unwrap_or(0);
    if list.len() <= place {
        list.resize(place + 1, Value::Nil);
    }
    list[place] = value;
    Ok(())
}

fn wrong_type(value: &Value, wanted: &str) -> Stop {
    let is = if value.is_nil() { "nil" } else { value.type_name() };
    Stop::new(format!("unable to parse key: interface conversion: interface {{}} is {is}, not {wanted}"))
}

/// Characters as Go's `%q` prints a slice of them.
fn runes(text: &str) -> String {
    let quoted = text.chars().map(|character| quote_char(character, false));
    let quoted = quoted.map(|character| String::from_utf8_lossy(&character).into_owned());
    quoted.collect::<Vec<_>>().join(" ")
}

fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&quote(text.as_bytes(), false)).into_owned()
}
