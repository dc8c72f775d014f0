//! `toToml`: the layout of the Go library BurntSushi/toml.

use crate::helm::context::{RenderContext, STRING_LIMIT};
use crate::helm::error::Error;
use crate::helm::go::number::{FloatForm, format_float};
use crate::helm::value::{DEPTH, GoObject, Value, too_deep};

/// The zone of a time that was read with a date and without a zone.
pub(super) const LOCAL_DATETIME: &str = "datetime-local";
/// The zone of a date that was read alone.
pub(super) const LOCAL_DATE: &str = "date-local";
/// The zone of a time of day that was read alone.
pub(super) const LOCAL_TIME: &str = "time-local";

/// A value as TOML. Fails with the library's words, and where a bound is reached.
pub fn encode(context: &mut RenderContext<'_>, value: &Value) -> Result<Vec<u8>, Error> {
    let mut writer = Writer { context, out: Vec::new(), granted: 0 };
    if value.is_nil() {
        return Err(Error::new("reflect: call of reflect.Value.Type on zero Value"));
    }
    writer.encode(&[], value)?;
    Ok(writer.out)
}

/// A way of keys.
type Key = [Vec<u8>];

struct Writer<'c, 'i> {
    context: &'c mut RenderContext<'i>,
    out: Vec<u8>,
    granted: usize,
}

/// Whether a value is written as a table of its own, or as several.
fn is_table(value: &Value) -> Result<bool, Error> {
    Ok(match value {
        Value::Map(map) => !map.is_nil(),
        Value::Object(object) => object.json().is_none() && object.number().is_none(),
        Value::List(_) => is_array_of_tables(value)?,
        _ => false,
    })
}

/// Whether a list holds tables only.
fn is_array_of_tables(value: &Value) -> Result<bool, Error> {
    let Some(items) = value.items().filter(|items| !items.is_empty()) else { return Ok(false) };
    let mut all_tables = true;
    for item in items.iter() {
        match item {
            Value::Nil => return Err(Error::new("toml: cannot encode array with nil element")),
            Value::Map(map) if map.is_nil() => {
                return Err(Error::new("toml: cannot encode array with nil element"));
            }
            Value::List(list) if list.is_nil() => {
                return Err(Error::new("toml: cannot encode array with nil element"));
            }
            Value::Complex(_) => return Err(Error::new("unsupported type: complex128")),
            Value::Map(_) => {}
            Value::Object(object) if object.json().is_none() && object.number().is_none() => {}
            item => {
                is_array_of_tables(item)?;
                all_tables = false;
            }
        }
    }
    Ok(all_tables)
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::Map(map) => map.is_nil(),
        Value::List(list) => list.is_nil(),
        _ => false,
    }
}

impl Writer<'_, '_> {
    fn push(&mut self, text: &[u8]) -> Result<(), Error> {
        self.context.spend(1)?;
        let needed = self.out.len().saturating_add(text.len());
        if needed > self.granted {
            let room = (needed * 2).min(STRING_LIMIT).max(needed);
            self.context.room(room)?;
            self.granted = room;
        }
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn line(&mut self) -> Result<(), Error> {
        if self.out.is_empty() { Ok(()) } else { self.push(b"\n") }
    }

    fn encode(&mut self, key: &Key, value: &Value) -> Result<(), Error> {
        if key.len() > DEPTH {
            return Err(too_deep());
        }
        match value {
            Value::Complex(_) => {
                let key = String::from_utf8_lossy(&joined(key)).into_owned();
                Err(Error::new(format!("unsupported type for key '{key}': complex128")))
            }
            value if is_nil(value) && !matches!(value, Value::List(_)) => Ok(()),
            Value::List(_) if is_array_of_tables(value)? => self.array_of_tables(key, value),
            value if is_table(value)? => self.table(key, value),
            value => self.key_value(key, value, false),
        }
    }

    fn key_value(&mut self, key: &Key, value: &Value, inline: bool) -> Result<(), Error> {
        let Some(last) = key.last() else { return self.element(value, 0) };
        self.push(&b"  ".repeat(key.len() - 1))?;
        self.push(&quoted_key(last))?;
        self.push(b" = ")?;
        self.element(value, key.len())?;
        if inline { Ok(()) } else { self.line() }
    }

    fn array_of_tables(&mut self, key: &Key, value: &Value) -> Result<(), Error> {
        if key.is_empty() {
            return Err(Error::new("toml: top-level values must be Go maps or structs"));
        }
        for item in value.items().unwrap_or_default().iter() {
            self.line()?;
            self.push(&[&b"  ".repeat(key.len() - 1)[..], b"[[", &joined(key), b"]]"].concat())?;
            self.line()?;
            self.entries(key, item, false)?;
        }
        Ok(())
    }

    fn table(&mut self, key: &Key, value: &Value) -> Result<(), Error> {
        if key.len() == 1 {
            self.line()?;
        }
        if !key.is_empty() {
            self.push(&[&b"  ".repeat(key.len() - 1)[..], b"[", &joined(key), b"]"].concat())?;
            self.line()?;
        }
        self.entries(key, value, false)
    }

    /// The entries of a table: first those with a line of their own, then tables.
    fn entries(&mut self, key: &Key, value: &Value, inline: bool) -> Result<(), Error> {
        let entries: Vec<(Vec<u8>, Value)> = match value {
            Value::Map(map) => map.entries().into_iter().map(|(key, value)| (key.to_vec(), value)).collect(),
            Value::Object(object) => {
                object.fields().into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value)).collect()
            }
            _ => Vec::new(),
        };
        let (mut direct, mut tables) = (Vec::new(), Vec::new());
        for entry in entries {
            if is_table(&entry.1)? { tables.push(entry) } else { direct.push(entry) }
        }
        let has_tables = !tables.is_empty();
        for (group, trails) in [(direct, has_tables), (tables, false)] {
            let count = group.len();
            for (at, (name, value)) in group.into_iter().enumerate() {
                if is_nil(&value) {
                    continue;
                }
                if inline {
                    self.key_value(&[name], &value, true)?;
                    if trails || at + 1 != count {
                        self.push(b", ")?;
                    }
                } else {
                    let mut way = key.to_vec();
                    way.push(name);
                    self.encode(&way, &value)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the value after the equals sign.
    fn element(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(too_deep());
        }
        match value {
            Value::Bool(value) => self.push(value.to_string().as_bytes()),
            Value::Int(number) | Value::Int64(number) => self.push(number.to_string().as_bytes()),
            Value::Uint8(number) => self.push(number.to_string().as_bytes()),
            Value::Uint64(number) => self.push(number.to_string().as_bytes()),
            Value::Float(number) => self.push(float_text(*number).as_bytes()),
            Value::Str(text) => self.push(&quoted(text)),
            Value::Bytes(_) | Value::List(_) => {
                self.push(b"[")?;
                for (at, item) in value.items().unwrap_or_default().iter().enumerate() {
                    if at > 0 {
                        self.push(b", ")?;
                    }
                    self.element(item, depth + 1)?;
                }
                self.push(b"]")
            }
            Value::Object(object) if object.type_name() == "time.Time" => {
                self.push(&time_text(object.as_ref()))
            }
            Value::Object(object) if object.type_name() == "time.Duration" => {
                self.push(&quoted(&object.text().unwrap_or_default()))
            }
            Value::Object(object) => match (object.number(), object.json()) {
                (Some(number), _) => self.push(number.to_string().as_bytes()),
                (None, Some(Value::Str(text))) => self.push(&quoted(&text)),
                _ => self.inline_table(value),
            },
            Value::Map(_) => self.inline_table(value),
            Value::Nil => Err(Error::new("reflect: call of reflect.Value.Interface on zero Value")),
            Value::Complex(_) => Err(Error::new("unexpected type: complex128")),
        }
    }

    fn inline_table(&mut self, value: &Value) -> Result<(), Error> {
        self.push(b"{")?;
        self.entries(&[], value, true)?;
        self.push(b"}")
    }
}

fn float_text(number: f64) -> String {
    if number.is_nan() {
        return if number.is_sign_negative() { "-nan" } else { "nan" }.into();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-inf" } else { "inf" }.into();
    }
    let text = format_float(number, FloatForm::General, None);
    if text.contains(['e', '.']) { text } else { text + ".0" }
}

/// The text of a time. A time that was read without a zone has a special zone, which decides the text.
fn time_text(time: &dyn GoObject) -> Vec<u8> {
    let json = time.json().and_then(|text| text.as_str().map(|text| text.to_vec())).unwrap_or_default();
    let shown = time.text().unwrap_or_default();
    let is_of = |zone: &str| shown.ends_with(zone.as_bytes());
    let local = json.strip_suffix(b"Z").unwrap_or(&json);
    let (date, clock) = local.split_at(local.iter().position(|byte| *byte == b'T').unwrap_or(local.len()));
    if is_of(LOCAL_DATETIME) {
        local.to_vec()
    } else if is_of(LOCAL_DATE) {
        date.to_vec()
    } else if is_of(LOCAL_TIME) {
        clock.get(1..).unwrap_or_default().to_vec()
    } else {
        json
    }
}

/// A text in the library's quotes.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..0x20 | 0x7f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
    out
}

/// A key, in quotes if it has other characters than letters, digits, `_` and `-`.
pub(super) fn quoted_key(key: &[u8]) -> Vec<u8> {
    if key.is_empty() {
        return b"\"\"".to_vec();
    }
    let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if key.iter().all(is_bare) { key.to_vec() } else { quoted(key) }
}

fn joined(key: &Key) -> Vec<u8> {
    key.iter().map(|part| quoted_key(part)).collect::<Vec<_>>().join(&b'.')
}
