//! One operand of Go's `fmt`, with its flags: signs, widths, precisions, padding.

use super::number::{FloatForm, format_float};
use super::quote::{can_backquote, quote, quote_char};
use super::unicode::{count, decode, is_print};

/// The flags of a verb, such as those of `%-8.3f`.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "Go's flags are as many characters")]
pub(super) struct VerbFlags {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`
    pub(super) plus_v: bool,
    /// `%#v`
    pub(super) sharp_v: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

impl VerbFlags {
    /// The most bytes that an operand of this size may take.
    pub(super) fn bound(&self, operand: usize) -> usize {
        // `%# x` writes five bytes for one, an escape ten.
        operand.saturating_mul(10) + self.width.unwrap_or_default() + self.precision.unwrap_or_default() + 400
    }

    fn padding(&self, out: &mut Vec<u8>, count: usize) {
        let pad = if self.zero && !self.minus { b'0' } else { b' ' };
        out.resize(out.len() + count, pad);
    }

    fn without_zero(&self) -> Self {
        Self { zero: false, ..*self }
    }

    pub(super) fn pad(&self, out: &mut Vec<u8>, text: &[u8]) {
        let padding = self.width.unwrap_or_default().saturating_sub(count(text));
        if padding == 0 {
            out.extend_from_slice(text);
        } else if self.minus {
            out.extend_from_slice(text);
            self.padding(out, padding);
        } else {
            self.padding(out, padding);
            out.extend_from_slice(text);
        }
    }

    pub(super) fn boolean(&self, out: &mut Vec<u8>, value: bool) {
        self.pad(out, if value { b"true" } else { b"false" });
    }

    /// `%U`
    pub(super) fn unicode(&self, out: &mut Vec<u8>, number: u64) {
        let precision = self.precision.filter(|precision| *precision > 4).unwrap_or(4);
        let mut text = format!("U+{}", with_zeros(&format!("{number:X}"), precision));
        let c = u32::try_from(number).ok().and_then(char::from_u32);
        if let Some(c) = c.filter(|c| self.sharp && is_print(*c)) {
            text.extend([" '", c.encode_utf8(&mut [0; 4]), "'"]);
        }
        self.without_zero().pad(out, text.as_bytes());
    }

    /// A whole number, given by the bits of its 64-bit form.
    pub(super) fn integer(&self, out: &mut Vec<u8>, bits: u64, base: u32, signed: bool, verb: char) {
        let negative = signed && bits.cast_signed() < 0;
        let magnitude = if negative { bits.wrapping_neg() } else { bits };
        let mut precision = 0;
        if let Some(asked) = self.precision {
            precision = asked;
            if precision == 0 && magnitude == 0 {
                return self.without_zero().padding(out, self.width.unwrap_or_default());
            }
        } else if let Some(width) = self.width.filter(|_| self.zero && !self.minus) {
            precision = width.saturating_sub(usize::from(negative || self.plus || self.space));
        }
        let digits = match (base, verb) {
            (2, _) => format!("{magnitude:b}"),
            (8, _) => format!("{magnitude:o}"),
            (16, 'X') => format!("{magnitude:X}"),
            (16, _) => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        let mut digits = with_zeros(&digits, precision);
        if self.sharp {
            let prefix = match (base, verb) {
                (2, _) => "0b",
                (8, _) if !digits.starts_with('0') => "0",
                (16, 'X') => "0X",
                (16, _) => "0x",
                _ => "",
            };
            digits.insert_str(0, prefix);
        }
        if verb == 'O' {
            digits.insert_str(0, "0o");
        }
        if negative {
            digits.insert(0, '-');
        } else if self.plus {
            digits.insert(0, '+');
        } else if self.space {
            digits.insert(0, ' ');
        }
        self.without_zero().pad(out, digits.as_bytes());
    }

    /// As many characters as the precision allows.
    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.precision else { return text };
        let mut end = 0;
        for _ in 0..precision {
            match decode(&text[end..]) {
                Some((_, width)) => end += width,
                None => break,
            }
        }
        &text[..end]
    }

    /// `%s`
    pub(super) fn string(&self, out: &mut Vec<u8>, text: &[u8]) {
        self.pad(out, self.truncated(text));
    }

    /// `%q` of a string
    pub(super) fn quoted(&self, out: &mut Vec<u8>, text: &[u8]) {
        let text = self.truncated(text);
        if self.sharp && can_backquote(text) {
            return self.pad(out, &[b"`", text, b"`"].concat());
        }
        self.pad(out, &quote(text, self.plus));
    }

    /// `%x` and `%X` of a string
    pub(super) fn bytes_in_hex(&self, out: &mut Vec<u8>, bytes: &[u8], upper: bool) {
        let length = self.precision.map_or(bytes.len(), |precision| precision.min(bytes.len()));
        if length == 0 {
            return self.padding(out, self.width.unwrap_or_default());
        }
        let prefix = if upper { "0X" } else { "0x" };
        let mut text = String::new();
        for (index, byte) in bytes[..length].iter().enumerate() {
            if self.space && index > 0 {
                text.push(' ');
            }
            if self.sharp && (self.space || index == 0) {
                text.push_str(prefix);
            }
            let hex = if upper { hex::encode_upper([*byte]) } else { hex::encode([*byte]) };
            text.push_str(&hex);
        }
        self.pad(out, text.as_bytes());
    }

    /// `%c`
    pub(super) fn character(&self, out: &mut Vec<u8>, number: u64) {
        self.pad(out, character(number).to_string().as_bytes());
    }

    /// `%q` of a number
    pub(super) fn quoted_character(&self, out: &mut Vec<u8>, number: u64) {
        self.pad(out, &quote_char(character(number), self.plus));
    }

    /// A float. `upper` is for `%E`, `%G` and `%X`.
    pub(super) fn float(
        &self,
        out: &mut Vec<u8>,
        value: f64,
        form: FloatForm,
        default: Option<usize>,
        upper: bool,
    ) {
        let precision = self.precision.or(default);
        let mut text = format_float(value, form, precision);
        if !text.starts_with(['-', '+']) {
            text.insert(0, '+');
        }
        if self.space && text.starts_with('+') && !self.plus {
            text.replace_range(..1, " ");
        }
        if !value.is_finite() {
            if value.is_nan() && !self.space && !self.plus {
                text.remove(0);
            }
            // Go prints the sign of an infinity even without the flag.
            return self.without_zero().pad(out, text.as_bytes());
        }
        if self.sharp && form != FloatForm::Binary {
            text = with_point(&text, form, if upper && form == FloatForm::Hex { Some(0) } else { precision });
        }
        if upper {
            text.make_ascii_uppercase();
        }
        let width = self.width.unwrap_or_default();
        if !self.plus && text.starts_with('+') {
            return self.pad(out, &text.as_bytes()[1..]);
        }
        if self.zero && !self.minus && width > text.len() {
            out.push(text.as_bytes()[0]);
            self.padding(out, width - text.len());
            out.extend_from_slice(&text.as_bytes()[1..]);
            return;
        }
        self.pad(out, text.as_bytes());
    }
}

/// Digits with zeros before them, so that there are this many.
fn with_zeros(digits: &str, count: usize) -> String {
    "0".repeat(count.saturating_sub(digits.len())) + digits
}

/// The character of a number; U+FFFD for an invalid one.
fn character(number: u64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The effect of the flag `#` on a float: it always has a point, and keeps the zeros that `%g` drops.
fn with_point(text: &str, form: FloatForm, precision: Option<usize>) -> String {
    let (number, tail) = match form {
        FloatForm::Hex => text.find('p').map_or((text, ""), |at| text.split_at(at)),
        _ => text.find('e').map_or((text, ""), |at| text.split_at(at)),
    };
    let mut digits = match form {
        FloatForm::General | FloatForm::Hex => precision.unwrap_or(6),
        _ => 0,
    };
    let mut number = number.to_owned();
    let counted = number[1..].bytes().filter(|byte| *byte != b'.').skip_while(|byte| *byte == b'0').count();
    digits = digits.saturating_sub(counted);
    if !number.contains('.') {
        if &number[1..] == "0" {
            digits = digits.saturating_sub(1);
        }
        number.push('.');
    }
    number.push_str(&"0".repeat(digits));
    number + tail
}
