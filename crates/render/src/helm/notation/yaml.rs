//! `toYaml` and `toYamlPretty`: a value of Go as sigs.k8s.io/yaml and go-yaml v3 write it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_base::model::yaml::{Layout, RawScalar, RawScalars, print_raw};
use serde_json::{Map, Number, Value as Json};

use super::json::{length_in_json, unsupported};
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::go::number::{float_to_int, json_float};
use crate::helm::go::unicode;
use crate::helm::value::{DEPTH, GoObject, Value, too_deep};

/// The longest key that goyaml's reader finds the colon of.
const LONGEST_KEY: usize = 1024;

/// The two ways of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// sigs.k8s.io/yaml: JSON that goyaml v2 reads and writes again.
    ThroughJson,
    /// go-yaml v3 by itself.
    Direct,
}

/// A value as `toYaml` writes it. Fails for what JSON has no form for, for texts that goyaml does not read,
/// and where a bound is reached.
pub fn encode(context: &mut RenderContext<'_>, value: &Value) -> Result<Vec<u8>, Error> {
    written(context, value, Way::ThroughJson, Layout::V2)
}

/// A value as `toYamlPretty` writes it.
pub fn encode_pretty(context: &mut RenderContext<'_>, value: &Value) -> Result<Vec<u8>, Error> {
    written(context, value, Way::Direct, Layout::V3)
}

fn written(
    context: &mut RenderContext<'_>,
    value: &Value,
    way: Way,
    layout: Layout,
) -> Result<Vec<u8>, Error> {
    let mut converter = Converter { context, way, size: 0, raw: RawScalars::default() };
    let json = converter.node(value, 0)?;
    let (size, raw) = (converter.size, converter.raw);
    context.room(size)?;
    Ok(print_raw(&json, layout, &raw).into_bytes())
}

struct Converter<'c, 'i> {
    context: &'c mut RenderContext<'i>,
    way: Way,
    /// How many bytes the text takes at most.
    size: usize,
    /// The scalars that JSON cannot represent.
    raw: RawScalars,
}

impl Converter<'_, '_> {
    /// Counts what a text takes at this depth, and asks for room in steps.
    fn count(&mut self, text: &str, depth: usize) -> Result<(), Error> {
        // A line is indented by two for each level, and texts are folded about each 80 characters.
        let lines = text.matches('\n').count() + text.len() / 80 + 2;
        let escaped = if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) { 2 } else { 10 };
        let bytes = text.len().saturating_mul(escaped).saturating_add(lines.saturating_mul(depth * 2 + 8));
        self.context.spend(1 + bytes / 64)?;
        self.size = self.size.saturating_add(bytes);
        self.context.memory(self.size)
    }

    fn node(&mut self, value: &Value, depth: usize) -> Result<Json, Error> {
        if depth > DEPTH {
            return Err(too_deep());
        }
        self.count("", depth)?;
        let is_direct = self.way == Way::Direct;
        Ok(match value {
            Value::Nil => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(number) | Value::Int64(number) => (*number).into(),
            Value::Uint8(number) => (*number).into(),
            Value::Uint64(number) => (*number).into(),
            Value::Float(number) => self.float(*number)?,
            Value::Complex(_) if is_direct => return Err(Error::new("cannot marshal type: complex128")),
            Value::Complex(_) => return Err(in_json("json: unsupported type: complex128")),
            Value::Str(text) => Json::String(self.text(text, depth, read_back)?),
            Value::Bytes(bytes) if is_direct => {
                let items = bytes.iter().map(|byte| self.node(&Value::Uint8(*byte), depth + 1));
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Bytes(bytes) => {
                self.context.memory(bytes.len().saturating_mul(2))?;
                let text = STANDARD.encode(bytes);
                self.count(&text, depth)?;
                Json::String(text)
            }
            Value::List(list) if list.is_nil() && !is_direct => Json::Null,
            Value::List(list) => {
                self.context.room_for_items(list.items().len().saturating_mul(2))?;
                let items = list.items().iter().map(|item| self.node(item, depth + 1));
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Map(map) if map.is_nil() && !is_direct => Json::Null,
            Value::Map(map) => {
                self.context.room_for_items(map.len().saturating_mul(6))?;
                self.mapping(map.entries().into_iter(), depth)?
            }
            Value::Object(object) => self.object(object.as_ref(), depth)?,
        })
    }

    /// A string or a key, either as go-yaml writes it, which treats invalid UTF-8 as binary, or as it is read
    /// back.
    fn text(
        &mut self,
        text: &[u8],
        depth: usize,
        read_back: fn(&[u8]) -> Result<Cow<'_, str>, Error>,
    ) -> Result<String, Error> {
        if self.way == Way::ThroughJson {
            let text = read_back(text)?;
            self.count(&text, depth)?;
            return Ok(self.raw.text(text).into_owned());
        }
        if let Ok(text) = std::str::from_utf8(text) {
            self.count(text, depth)?;
            return Ok(self.raw.text(text.into()).into_owned());
        }
        self.context.memory(text.len().saturating_mul(4))?;
        let encoded = in_lines(&STANDARD.encode(text));
        self.count(&encoded, depth)?;
        Ok(self.raw.add(RawScalar::tagged("!!binary", encoded)))
    }

    fn mapping<K: std::ops::Deref<Target = [u8]>>(
        &mut self,
        entries: impl Iterator<Item = (K, Value)>,
        depth: usize,
    ) -> Result<Json, Error> {
        let mut map = Map::new();
        for (key, value) in entries {
            let key = self.text(&key, depth, read_back_key)?;
            map.insert(key, self.node(&value, depth + 1)?);
        }
        Ok(Json::Object(map))
    }

    fn object(&mut self, object: &dyn GoObject, depth: usize) -> Result<Json, Error> {
        let is_direct = self.way == Way::Direct;
        if let Some(number) = object.number() {
            // go-yaml writes durations as texts.
            let text = object.text().filter(|_| is_direct && object.type_name() == "time.Duration");
            return Ok(text.map_or_else(|| number.into(), |text| plain_text(&text).into()));
        }
        match object.json() {
            // go-yaml writes a time as what it reads as one, without quotes.
            Some(Value::Str(text)) if is_direct && object.type_name() == "time.Time" => {
                self.count("", depth)?;
                return Ok(Json::String(self.raw.add(RawScalar::plain(plain_text(&text)))));
            }
            Some(value) => return self.node(&value, depth + 1),
            None => {}
        }
        let fields = object.fields().into_iter().map(|(name, value)| {
            // go-yaml writes the names of fields in lower case.
            let name = if is_direct { name.to_lowercase() } else { name.to_owned() };
            (name.into_bytes(), value)
        });
        self.mapping(fields, depth)
    }

    /// A float. goyaml v2 reads what JSON wrote, where a number without a fraction is a whole number, unless
    /// it fits no type.
    fn float(&mut self, number: f64) -> Result<Json, Error> {
        let is_direct = self.way == Way::Direct;
        let Some(text) = json_float(number) else {
            let name = if number.is_nan() {
                ".nan"
            } else if number > 0.0 {
                ".inf"
            } else {
                "-.inf"
            };
            return if is_direct {
                Ok(Json::String(self.raw.add(RawScalar::plain(name))))
            } else {
                Err(in_json(&unsupported(number)))
            };
        };
        let float = || Number::from_f64(number).map_or(Json::Null, Json::Number);
        if is_direct || text.contains(['.', 'e']) {
            return Ok(float());
        }
        Ok(match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(_), _) => float_to_int(number).into(),
            (_, Ok(whole)) => whole.into(),
            _ => float(),
        })
    }
}

/// The message of sigs.k8s.io/yaml for a failure of its first step.
fn in_json(message: &str) -> Error {
    Error::new(format!("error marshaling into JSON: {message}"))
}

/// A text with each byte that is no UTF-8 as U+FFFD.
fn plain_text(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(unicode::chars(text).collect()),
    }
}

/// A text after JSON and goyaml's reader, which refuses control characters and folds lines at U+0085.
fn read_back(text: &[u8]) -> Result<Cow<'_, str>, Error> {
    let text = plain_text(text);
    let is_refused =
        |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if !text.is_ascii() || text.contains('\u{7f}') {
        if text.contains(is_refused) {
            return Err(Error::new("yaml: control characters are not allowed"));
        }
        if text.contains('\u{85}') {
            return Ok(Cow::Owned(folded(&text)));
        }
    }
    Ok(text)
}

/// One line end becomes a space, several become one less; spaces around them go.
fn folded(text: &str) -> String {
    let mut lines = text.split('\u{85}').peekable();
    let mut out = lines.next().unwrap_or_default().to_owned();
    let mut breaks = 0;
    while let Some(line) = lines.next() {
        let kept = out.trim_end_matches(' ').len();
        if breaks == 0 {
            out.truncate(kept);
        }
        breaks += 1;
        let line = line.trim_start_matches(' ');
        if line.is_empty() && lines.peek().is_some() {
            continue;
        }
        out.push_str(&if breaks == 1 { " ".to_owned() } else { "\n".repeat(breaks - 1) });
        breaks = 0;
        out.push_str(line);
    }
    out
}

/// A key, which must stand on one line and be short.
fn read_back_key(key: &[u8]) -> Result<Cow<'_, str>, Error> {
    let text = read_back(key)?;
    let is_long = text.len() * 6 > LONGEST_KEY && length_in_json(&text) > LONGEST_KEY;
    if is_long || unicode::chars(key).any(|c| c == '\u{85}') {
        return Err(Error::new("yaml: did not find expected ',' or '}'"));
    }
    Ok(text)
}

/// Bytes in base64, in lines where one does not hold them.
fn in_lines(encoded: &str) -> String {
    const LINE: usize = 70;
    if encoded.len() < LINE {
        return encoded.to_owned();
    }
    let lines = encoded.as_bytes().chunks(LINE).map(|line| [line, b"\n"].concat());
    String::from_utf8(lines.collect::<Vec<_>>().concat()).unwrap_or_default()
}
