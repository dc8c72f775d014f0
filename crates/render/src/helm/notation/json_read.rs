//! JSON as `encoding/json` reads it, with its messages.

use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::go::parse_float;
use crate::helm::go::quote::quote;
use crate::helm::go::unicode::decode as decode_char;
use crate::helm::value::{List, ListType, Map, MapType, Value};

/// The deepest nesting of arrays and objects in Go.
const DEPTH: usize = 10_000;

/// A value, and Go's error beside it: numbers out of range are left out, and the rest is kept.
#[derive(Debug)]
pub struct Read {
    /// The value; nil if the text is no JSON.
    pub value: Value,
    /// Go's error about a part of the value.
    pub error: Option<String>,
}

/// `json.Unmarshal` into an empty interface. Fails only if a bound is reached.
pub fn decode(context: &mut RenderContext<'_>, text: &[u8]) -> Result<Read, Error> {
    let mut reader = Reader { context, text, at: 0, depth: 0, range_error: None };
    let value = match reader.document() {
        Ok(value) => value,
        Err(Stop::Bound(error)) => return Err(error),
        Err(Stop::Syntax(error)) => return Ok(Read { value: Value::Nil, error: Some(error) }),
    };
    Ok(Read { value, error: reader.range_error })
}

/// `json.Unmarshal` into a map. A value that is no object gives an empty map and a message.
pub fn decode_map(context: &mut RenderContext<'_>, text: &[u8]) -> Result<(Map, Option<String>), Error> {
    let Read { value, error } = decode(context, text)?;
    Ok(match value {
        Value::Map(map) => (map, error),
        Value::Nil if error.is_none() => (Map::nil(MapType::Any), None),
        Value::Nil if is_number(text, error.as_ref()) => {
            (Map::new(MapType::Any), Some(mismatch(&Value::Float(0.0), "map[string]interface {}")))
        }
        Value::Nil => (Map::new(MapType::Any), error),
        other => (Map::new(MapType::Any), Some(mismatch(&other, "map[string]interface {}"))),
    })
}

/// `json.Unmarshal` into a slice.
pub fn decode_list(context: &mut RenderContext<'_>, text: &[u8]) -> Result<(List, Option<String>), Error> {
    let Read { value, error } = decode(context, text)?;
    Ok(match value {
        Value::List(list) => (list, error),
        Value::Nil if error.is_none() => (List::nil(ListType::Any), None),
        Value::Nil if is_number(text, error.as_ref()) => {
            (List::from_iter([]), Some(mismatch(&Value::Float(0.0), "[]interface {}")))
        }
        Value::Nil => (List::from_iter([]), error),
        other => (List::from_iter([]), Some(mismatch(&other, "[]interface {}"))),
    })
}

/// Whether the text is a number out of range, which is nil in the result and a number in Go's message.
fn is_number(text: &[u8], error: Option<&String>) -> bool {
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    error.is_some_and(|error| error.starts_with("json: cannot unmarshal number"))
        && first.is_some_and(|byte| matches!(byte, b'-' | b'0'..=b'9'))
}

/// Go's words for a value of another type than wanted.
pub fn mismatch(value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::Bool(_) => "bool",
        Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        _ => "object",
    };
    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
}

enum Stop {
    Syntax(String),
    Bound(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Bound(error)
    }
}

type Done<T> = Result<T, Stop>;

struct Reader<'c, 'i, 't> {
    context: &'c mut RenderContext<'i>,
    text: &'t [u8],
    at: usize,
    depth: usize,
    range_error: Option<String>,
}

impl Reader<'_, '_, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Go's message for the character at the cursor.
    fn unexpected<T>(&self, what: &str) -> Done<T> {
        // At its end Go reads a space, which is only valid between values and in strings.
        let byte = match self.peek() {
            Some(byte) => byte,
            None if what.contains("literal") && what != "in string literal" || what.contains("escape") => {
                b' '
            }
            None => return Err(Stop::Syntax("unexpected end of JSON input".into())),
        };
        let shown = match byte {
            b'\'' => "\\'".into(),
            b'"' => "\"".into(),
            byte => {
                let mut buffer = [0; 4];
                let quoted = quote(char::from(byte).encode_utf8(&mut buffer).as_bytes(), false);
                String::from_utf8_lossy(&quoted[1..quoted.len() - 1]).into_owned()
            }
        };
        Err(Stop::Syntax(format!("invalid character '{shown}' {what}")))
    }

    fn document(&mut self) -> Done<Value> {
        let value = self.value()?;
        self.skip_space();
        if self.peek().is_some() { self.unexpected("after top-level value") } else { Ok(value) }
    }

    fn value(&mut self) -> Done<Value> {
        self.context.spend(1)?;
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => {
                self.at += 1;
                Ok(Value::str(self.string()?))
            }
            Some(b't') => self.literal("true", true.into()),
            Some(b'f') => self.literal("false", false.into()),
            Some(b'n') => self.literal("null", Value::Nil),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.unexpected("looking for beginning of value"),
        }
    }

    fn literal(&mut self, word: &'static str, value: Value) -> Done<Value> {
        for wanted in word.bytes() {
            if self.peek() != Some(wanted) {
                return self.unexpected(&format!("in literal {word} (expecting '{}')", char::from(wanted)));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn digits(&mut self) -> usize {
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        digits
    }

    fn number(&mut self) -> Done<Value> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else if self.digits() == 0 {
            return self.unexpected("in numeric literal");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return self.unexpected("after decimal point in numeric literal");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.unexpected("in exponent of numeric literal");
            }
        }
        let text = &self.text[start..self.at];
        Ok(parse_float(text).map_or_else(
            |_| {
                let text = String::from_utf8_lossy(text);
                let error = format!("json: cannot unmarshal number {text} into Go value of type float64");
                self.range_error.get_or_insert(error);
                Value::Nil
            },
            Value::Float,
        ))
    }

    /// The rest of a string, after its opening quote.
    fn string(&mut self) -> Done<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.context.room(out.len())?;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(byte) if byte >= b' ' => {
                    let Some((c, width)) = decode_char(&self.text[self.at..]) else { continue };
                    match c {
                        Ok(_) => out.extend_from_slice(&self.text[self.at..self.at + width]),
                        Err(_) => out.extend_from_slice("\u{fffd}".as_bytes()),
                    }
                    self.at += width;
                }
                _ => return self.unexpected("in string literal"),
            }
        }
    }

    /// The character that an escape stands for, after its backslash.
    fn escape(&mut self) -> Done<char> {
        let c = match self.peek() {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'u') => {
                self.at += 1;
                let unit = self.unit()?;
                if !(0xd800..0xdc00).contains(&unit) {
                    return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let after_high = self.at;
                if self.text[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.unit()?;
                    if (0xdc00..0xe000).contains(&low) {
                        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    // The second escape stands for itself.
                    self.at = after_high;
                }
                return Ok(char::REPLACEMENT_CHARACTER);
            }
            _ => return self.unexpected("in string escape code"),
        };
        self.at += 1;
        Ok(c)
    }

    fn unit(&mut self) -> Done<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            match self.peek().and_then(|byte| char::from(byte).to_digit(16)) {
                Some(digit) => unit = unit << 4 | digit,
                None => return self.unexpected("in \\u hexadecimal character escape"),
            }
            self.at += 1;
        }
        Ok(unit)
    }

    fn enter(&mut self) -> Done<()> {
        self.depth += 1;
        if self.depth > DEPTH { self.unexpected("exceeded max depth") } else { Ok(()) }
    }

    fn array(&mut self) -> Done<Value> {
        self.enter()?;
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            self.depth -= 1;
            return Ok(Value::list(items));
        }
        loop {
            items.push(self.value()?);
            self.context.memory(items.len() * size_of::<Value>())?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.unexpected("after array element"),
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(Value::list(items))
    }

    fn object(&mut self) -> Done<Value> {
        self.enter()?;
        self.at += 1;
        let map = Map::new(MapType::Any);
        self.skip_space();
        if self.peek() != Some(b'}') {
            loop {
                self.skip_space();
                if self.peek() != Some(b'"') {
                    return self.unexpected("looking for beginning of object key string");
                }
                self.at += 1;
                let key = self.string()?;
                self.skip_space();
                if self.peek() != Some(b':') {
                    return self.unexpected("after object key");
                }
                self.at += 1;
                let value = self.value()?;
                map.insert(key.into(), value)?;
                self.context.memory(0)?;
                self.skip_space();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break,
                    _ => return self.unexpected("after object key:value pair"),
                }
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(Value::Map(map))
    }
}
