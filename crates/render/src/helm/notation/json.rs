//! JSON as `encoding/json` writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::helm::context::{RenderContext, STRING_LIMIT};
use crate::helm::error::Error;
use crate::helm::go::number::{FloatForm, format_float, json_float};
use crate::helm::go::unicode::decode;
use crate::helm::value::{DEPTH, GoKind, GoObject, Value, too_deep};

/// The format of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonFormat {
    /// Whether `<`, `>` and `&` are written as escapes.
    pub escape_html: bool,
    /// Whether each entry stands on a line of its own.
    pub indented: bool,
}

/// `json.Marshal`.
pub const COMPACT: JsonFormat = JsonFormat { escape_html: true, indented: false };
/// `json.MarshalIndent` with two spaces.
pub const INDENTED: JsonFormat = JsonFormat { escape_html: true, indented: true };
/// An encoder with `SetEscapeHTML(false)`.
pub const RAW: JsonFormat = JsonFormat { escape_html: false, indented: false };

/// A value as JSON. Fails with Go's words for a value that JSON cannot hold, and if a bound is reached.
pub fn encode(context: &mut RenderContext<'_>, value: &Value, form: JsonFormat) -> Result<Vec<u8>, Error> {
    let mut writer = Writer { context, out: Vec::new(), form, granted: 0 };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer<'c, 'i> {
    context: &'c mut RenderContext<'i>,
    out: Vec<u8>,
    form: JsonFormat,
    granted: usize,
}

impl Writer<'_, '_> {
    fn ask(&mut self, bytes: usize) -> Result<(), Error> {
        self.context.spend(1)?;
        let needed = self.out.len().saturating_add(bytes);
        if needed > self.granted {
            let room = (needed * 2).min(STRING_LIMIT).max(needed);
            self.context.room(room)?;
            self.granted = room;
        }
        Ok(())
    }

    fn line(&mut self, depth: usize) -> Result<(), Error> {
        if self.form.indented {
            self.ask(depth * 2 + 1)?;
            self.out.push(b'\n');
            self.out.resize(self.out.len() + depth * 2, b' ');
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(too_deep());
        }
        self.ask(24)?;
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Bool(value) => self.out.extend_from_slice(value.to_string().as_bytes()),
            Value::Int(number) | Value::Int64(number) => {
                self.out.extend_from_slice(number.to_string().as_bytes());
            }
            Value::Uint8(number) => self.out.extend_from_slice(number.to_string().as_bytes()),
            Value::Uint64(number) => self.out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(number) => match json_float(*number) {
                Some(text) => self.out.extend_from_slice(text.as_bytes()),
                None => return Err(Error::new(unsupported(*number))),
            },
            Value::Complex(_) => return Err(Error::new("json: unsupported type: complex128")),
            Value::Str(text) => self.string(text)?,
            Value::Bytes(bytes) => {
                self.ask(bytes.len().saturating_mul(2))?;
                self.string(STANDARD.encode(bytes).as_bytes())?;
            }
            Value::List(list) if list.is_nil() => self.out.extend_from_slice(b"null"),
            Value::List(list) => {
                self.items(b'[', b']', depth, list.items().iter(), |writer, item| {
                    writer.value(item, depth + 1)
                })?;
            }
            Value::Map(map) if map.is_nil() => self.out.extend_from_slice(b"null"),
            Value::Map(map) => {
                self.items(b'{', b'}', depth, map.entries().into_iter(), |writer, (key, value)| {
                    writer.entry(&key, &value, depth)
                })?;
            }
            Value::Object(object) => self.object(object.as_ref(), depth)?,
        }
        Ok(())
    }

    fn items<I>(
        &mut self,
        open: u8,
        close: u8,
        depth: usize,
        items: impl ExactSizeIterator<Item = I>,
        mut write: impl FnMut(&mut Self, I) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        let is_empty = items.len() == 0;
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.line(depth + 1)?;
            write(self, item)?;
        }
        if !is_empty {
            self.line(depth)?;
        }
        self.out.push(close);
        Ok(())
    }

    fn entry(&mut self, key: &[u8], value: &Value, depth: usize) -> Result<(), Error> {
        self.string(key)?;
        self.out.push(b':');
        if self.form.indented {
            self.out.push(b' ');
        }
        self.value(value, depth + 1)
    }

    fn object(&mut self, object: &dyn GoObject, depth: usize) -> Result<(), Error> {
        if let Some(value) = object.json() {
            return self.value(&value, depth + 1);
        }
        if let (Some(number), GoKind::Int | GoKind::Int64) = (object.number(), object.kind()) {
            self.out.extend_from_slice(number.to_string().as_bytes());
            return Ok(());
        }
        self.items(b'{', b'}', depth, object.fields().into_iter(), |writer, (name, value)| {
            writer.entry(name.as_bytes(), &value, depth)
        })
    }

    fn string(&mut self, text: &[u8]) -> Result<(), Error> {
        self.ask(text.len().saturating_mul(6) + 2)?;
        self.out.push(b'"');
        push_escaped(&mut self.out, text, self.form.escape_html);
        self.out.push(b'"');
        Ok(())
    }
}

/// Go's words for a float that JSON cannot hold.
pub(super) fn unsupported(number: f64) -> String {
    format!("json: unsupported value: {}", format_float(number, FloatForm::General, None))
}

/// The text between the quotes of JSON; each byte that is no UTF-8 becomes U+FFFD.
fn push_escaped(out: &mut Vec<u8>, text: &[u8], escape_html: bool) {
    let mut rest = text;
    while let Some((c, width)) = decode(rest) {
        match c {
            Err(_) => out.extend_from_slice(b"\\ufffd"),
            Ok('"') => out.extend_from_slice(b"\\\""),
            Ok('\\') => out.extend_from_slice(b"\\\\"),
            Ok('\u{8}') => out.extend_from_slice(b"\\b"),
            Ok('\u{c}') => out.extend_from_slice(b"\\f"),
            Ok('\n') => out.extend_from_slice(b"\\n"),
            Ok('\r') => out.extend_from_slice(b"\\r"),
            Ok('\t') => out.extend_from_slice(b"\\t"),
            Ok(c) => {
                let is_html = escape_html && matches!(c, '<' | '>' | '&');
                if c < ' ' || is_html || matches!(c, '\u{2028}' | '\u{2029}') {
                    out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
                } else {
                    out.extend_from_slice(&rest[..width]);
                }
            }
        }
        rest = &rest[width..];
    }
}

/// The length of a text in JSON, its quotes included.
pub(super) fn length_in_json(text: &str) -> usize {
    let mut out = Vec::new();
    push_escaped(&mut out, text.as_bytes(), true);
    crate::helm::go::unicode::count(&out) + 2
}
