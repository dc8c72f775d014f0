//! Literals of a template: quoted texts and numbers, read as Go's `strconv` reads them.

use crate::helm::go::number::{float_to_int, parse_int, parse_uint};
use crate::helm::go::parse_float;
use crate::helm::go::quote::quote;
use crate::helm::go::unicode::decode;

/// `strconv.Unquote` of a text between `"` or backquotes; `None` if Go says "invalid syntax".
pub(super) fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = text.split_first()?;
    let (last, inner) = rest.split_last()?;
    if first != last {
        return None;
    }
    if *first == b'`' {
        return Some(inner.iter().copied().filter(|byte| *byte != b'\r').collect());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (value, width) = unquote_char(rest, b'"')?;
        match value {
            Unquoted::Byte(byte) => out.push(byte),
            Unquoted::Char(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        rest = &rest[width..];
    }
    Some(out)
}

/// The meaning of one character of a quoted text.
enum Unquoted {
    Byte(u8),
    Char(char),
}

impl Unquoted {
    fn number(&self) -> u32 {
        match self {
            Self::Byte(byte) => u32::from(*byte),
            Self::Char(character) => u32::from(*character),
        }
    }
}

/// `strconv.UnquoteChar`: the first character, and its number of bytes.
fn unquote_char(text: &[u8], quote: u8) -> Option<(Unquoted, usize)> {
    let first = *text.first()?;
    if first == quote || first == b'\n' {
        return None;
    }
    if first != b'\\' {
        let (character, width) = decode(text)?;
        return Some((Unquoted::Char(character.unwrap_or(char::REPLACEMENT_CHARACTER)), width));
    }
    let kind = *text.get(1)?;
    let simple = |character| Some((Unquoted::Char(character), 2));
    match kind {
        b'a' => simple('\u{7}'),
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'v' => simple('\u{b}'),
        b'\\' => simple('\\'),
        b'\'' | b'"' if kind == quote => simple(char::from(kind)),
        b'x' | b'u' | b'U' => {
            let count = match kind {
                b'x' => 2,
                b'u' => 4,
                _ => 8,
            };
            let digits = std::str::from_utf8(text.get(2..2 + count)?).ok()?;
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            let number = u32::from_str_radix(digits, 16).ok()?;
            let value = match kind {
                b'x' => Unquoted::Byte(u8::try_from(number).ok()?),
                _ => Unquoted::Char(char::from_u32(number)?),
            };
            Some((value, 2 + count))
        }
        b'0'..=b'7' => {
            let digits = text.get(1..4)?;
            let mut number = 0_u32;
            for digit in digits {
                if !(b'0'..=b'7').contains(digit) {
                    return None;
                }
                number = number * 8 + u32::from(digit - b'0');
            }
            Some((Unquoted::Byte(u8::try_from(number).ok()?), 4))
        }
        _ => None,
    }
}

/// A number of a template, in all Go types that it can have.
#[derive(Debug, Clone, Default)]
pub(super) struct Number {
    /// As `int64`.
    pub(super) int: Option<i64>,
    /// As `uint64`.
    pub(super) uint: Option<u64>,
    /// As `float64`.
    pub(super) float: Option<f64>,
    /// As `complex128`.
    pub(super) complex: Option<(f64, f64)>,
}

impl Number {
    /// A character constant such as `'a'`.
    pub(super) fn of_char(text: &[u8]) -> Result<Self, String> {
        let (value, width) = unquote_char(&text[1..], b'\'').ok_or("invalid syntax")?;
        if &text[1 + width..] != b"'" {
            let text = String::from_utf8_lossy(text);
            return Err(format!("malformed character constant: {text}"));
        }
        let number = value.number();
        Ok(Self {
            int: Some(number.into()),
            uint: Some(number.into()),
            float: Some(number.into()),
            complex: None,
        })
    }

    /// A complex constant such as `1+2i`, its two parts together.
    pub(super) fn of_complex(text: &[u8]) -> Result<Self, String> {
        let body = text.strip_suffix(b"i").unwrap_or(text);
        // The sign between the parts is the last one that does not belong to an exponent.
        let is_sign =
            |at: usize| matches!(body[at], b'+' | b'-') && !matches!(body[at - 1], b'e' | b'E' | b'p' | b'P');
        let split =
            (1..body.len()).rev().find(|at| is_sign(*at)).ok_or("syntax error scanning complex number")?;
        let (real, imaginary) = body.split_at(split);
        let parse = |part: &[u8]| {
            parse_float(part).map_err(|error| {
                let part = quote(part, false);
                format!("strconv.ParseFloat: parsing {}: {}", String::from_utf8_lossy(&part), error.text())
            })
        };
        let mut number = Self { complex: Some((parse(real)?, parse(imaginary)?)), ..Self::default() };
        number.simplify_complex();
        Ok(number)
    }

    /// Any other number.
    pub(super) fn of_text(text: &[u8]) -> Result<Self, String> {
        if let Some(part) = text.strip_suffix(b"i")
            && let Ok(part) = parse_float(part)
        {
            let mut number = Self { complex: Some((0.0, part)), ..Self::default() };
            number.simplify_complex();
            return Ok(number);
        }
        let mut number = Self::default();
        let (uint, error) = parse_uint(text, 0);
        if error.is_none() {
            number.uint = Some(uint);
        }
        let (int, error) = parse_int(text, 0);
        if error.is_none() {
            number.int = Some(int);
            if int == 0 {
                number.uint = Some(0);
            }
        }
        if let Some(int) = number.int {
            number.float = Some(as_float(int));
        } else if let Some(uint) = number.uint {
            number.float = Some(uint_as_float(uint));
        } else if let Ok(float) = parse_float(text) {
            if !text.iter().any(|byte| b".eEpP".contains(byte)) {
                return Err(format!("integer overflow: {}", quoted(text)));
            }
            number.float = Some(float);
            number.narrow(float);
        }
        if number.int.is_none() && number.uint.is_none() && number.float.is_none() {
            return Err(format!("illegal number syntax: {}", quoted(text)));
        }
        Ok(number)
    }

    /// A complex number without an imaginary part is a real one too.
    fn simplify_complex(&mut self) {
        if let Some((real, 0.0)) = self.complex {
            self.float = Some(real);
            self.narrow(real);
        }
    }

    /// The whole numbers that equal the float.
    #[expect(clippy::float_cmp, reason = "Go asks whether the two are the same number")]
    fn narrow(&mut self, float: f64) {
        let int = float_to_int(float);
        if as_float(int) == float {
            self.int = Some(int);
        }
        if (0.0..18_446_744_073_709_551_616.0).contains(&float) && float.trunc() == float {
            self.uint = Some(as_uint(float));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
fn as_float(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
fn uint_as_float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn as_uint(number: f64) -> u64 {
    number as u64
}

fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(&quote(text, false)).into_owned()
}
