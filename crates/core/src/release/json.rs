//! JSON as Go's `encoding/json` writes it. Helm stores releases in it, and Flux digests what it writes.

use std::io;

use lockgate_render::helm::go::number::json_float;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// The largest whole number up to which a float holds each.
const WHOLE: u64 = 1 << 53;

/// A value on one line.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut out, GoJson);
    // What is written are our own types and JSON, all of which have a form; a vector takes all that is written.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "{written:?}");
    out
}

/// As Go writes: numbers of values are floats, and what HTML gives a meaning is escaped.
struct GoJson;

impl GoJson {
    fn number<W: ?Sized + io::Write>(writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(json_float(value).unwrap_or_else(|| "null".into()).as_bytes())
    }
}

impl Formatter for GoJson {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        Self::number(writer, value)
    }

    #[expect(clippy::cast_precision_loss, reason = "Go reads numbers of values into floats")]
    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        if value > WHOLE {
            Self::number(writer, value as f64)
        } else {
            CompactFormatter.write_u64(writer, value)
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Go reads numbers of values into floats")]
    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if value.unsigned_abs() > WHOLE {
            Self::number(writer, value as f64)
        } else {
            CompactFormatter.write_i64(writer, value)
        }
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_escaped = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some((at, escaped)) = rest.char_indices().find(|(_, c)| is_escaped(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            write!(writer, "\\u{:04x}", u32::from(escaped))?;
            rest = &rest[at + escaped.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let written = |value| String::from_utf8(to_json(&value)).unwrap();
        assert_eq!(written(json!("a<b>&c\u{2028}\n\u{1}é\"")), r#""a\u003cb\u003e\u0026c\u2028\n\u0001é\"""#);
        assert_eq!(written(json!([1, 1.5, 1.0, 1e21, -2])), "[1,1.5,1,1e+21,-2]");
        assert_eq!(
            written(json!([9_007_199_254_740_993_u64, -9_007_199_254_740_993_i64])),
            "[9007199254740992,-9007199254740992]"
        );
    }
}
