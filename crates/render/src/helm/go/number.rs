//! Numbers as Go's `strconv` prints and reads them.

use super::decimal::{Digits, MOST_DIGITS};

/// The format of a float: the verb of Go's `strconv.FormatFloat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatForm {
    /// `%e`: `-d.dddde±dd`
    Exponent,
    /// `%f`: `-ddd.dddd`
    Fixed,
    /// `%g`: the shorter of both
    General,
    /// `%b`: `-ddddp±ddd`
    Binary,
    /// `%x`: `-0x1.yyyyp±dd`
    Hex,
}

/// `strconv.FormatFloat(value, form, precision, 64)`. Without a precision, the fewest digits that read back
/// as the same number.
pub fn format_float(value: f64, form: FloatForm, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let magnitude = value.abs();
    let text = match form {
        FloatForm::Binary => binary(magnitude),
        FloatForm::Hex => hex(magnitude, precision),
        FloatForm::Fixed => match precision {
            Some(precision) => {
                let zeros = "0".repeat(precision.saturating_sub(MOST_DIGITS));
                format!("{magnitude:.*}{zeros}", precision.min(MOST_DIGITS))
            }
            None => Digits::shortest(magnitude).fixed(),
        },
        FloatForm::Exponent => {
            if let Some(precision) = precision {
                Digits::rounded(magnitude, precision + 1).exponent(precision)
            } else {
                let digits = Digits::shortest(magnitude);
                digits.exponent(digits.text.len() - 1)
            }
        }
        FloatForm::General => general(magnitude, precision),
    };
    format!("{sign}{text}")
}

fn general(magnitude: f64, precision: Option<usize>) -> String {
    let precision = precision.map(|precision| precision.max(1));
    let digits = match precision {
        Some(precision) => Digits::rounded(magnitude, precision).trimmed(),
        None => Digits::shortest(magnitude),
    };
    let count = i64::try_from(digits.text.len()).unwrap_or(i64::MAX);
    let threshold = match precision {
        None => 6,
        Some(precision) => {
            let precision = i64::try_from(precision).unwrap_or(i64::MAX);
            if precision > count && count >= digits.point { count } else { precision }
        }
    };
    let exponent = digits.point - 1;
    if exponent < -4 || exponent >= threshold {
        return digits.exponent(digits.text.len() - 1);
    }
    digits.fixed()
}

/// A float as `encoding/json` prints it; `None` for infinities and NaN.
pub fn json_float(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return Some(format_float(value, FloatForm::Fixed, None));
    }
    let text = format_float(value, FloatForm::Exponent, None);
    // e-09 becomes e-9.
    Some(match text.split_once("e-0") {
        Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
        None => text,
    })
}

/// Mantissa and exponent: the value is `mantissa * 2^exponent`.
fn parts(magnitude: f64) -> (u64, i64) {
    let bits = magnitude.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    let exponent = i64::try_from((bits >> 52) & 0x7ff).unwrap_or_default();
    if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, exponent - 1075) }
}

fn binary(magnitude: f64) -> String {
    let (mantissa, exponent) = parts(magnitude);
    format!("{mantissa}p{exponent:+}")
}

fn hex(magnitude: f64, precision: Option<usize>) -> String {
    let (mut mantissa, exponent) = parts(magnitude);
    let mut exponent = if mantissa == 0 { 0 } else { exponent + 52 };
    // The leading one is bit 60, so 15 digits follow.
    mantissa <<= 8;
    while mantissa != 0 && mantissa & (1 << 60) == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let shift = u32::try_from(precision * 4).unwrap_or_default();
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let lead = (mantissa >> 60) & 1;
    let mut digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    match precision {
        None => digits.truncate(digits.trim_end_matches('0').len()),
        Some(precision) if precision < 15 => digits.truncate(precision),
        Some(precision) => digits.push_str(&"0".repeat(precision - 15)),
    }
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{lead}{point}{digits}p{sign}{:02}", exponent.unsigned_abs())
}

/// Why a text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    /// It has another syntax.
    Syntax,
    /// It is out of range. Go returns the nearest possible number beside this error.
    Range,
}

impl NumberError {
    /// Go's words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Syntax => "invalid syntax",
            Self::Range => "value out of range",
        }
    }
}

/// `strconv.ParseInt(text, base, 64)`: the number, which is the nearest one beside a range error and 0 beside
/// a syntax error. Base 0 takes the base from the prefix and allows underscores.
pub fn parse_int(text: &[u8], base: u32) -> (i64, Option<NumberError>) {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (magnitude, error) = parse_uint(digits, base);
    if error == Some(NumberError::Syntax) {
        return (0, error);
    }
    let limit = if negative { 1 << 63 } else { (1 << 63) - 1 };
    if magnitude > limit {
        return (if negative { i64::MIN } else { i64::MAX }, Some(NumberError::Range));
    }
    let number = magnitude.cast_signed();
    (if negative { number.wrapping_neg() } else { number }, error)
}

/// `strconv.ParseUint(text, base, 64)`.
pub fn parse_uint(text: &[u8], base: u32) -> (u64, Option<NumberError>) {
    let (base, digits, by_prefix) = match (base, text) {
        (0, [b'0', b'x' | b'X', rest @ ..]) if !rest.is_empty() => (16, rest, true),
        (0, [b'0', b'o' | b'O', rest @ ..]) if !rest.is_empty() => (8, rest, true),
        (0, [b'0', b'b' | b'B', rest @ ..]) if !rest.is_empty() => (2, rest, true),
        (0, [b'0', rest @ ..]) => (8, if rest.is_empty() { text } else { rest }, true),
        (0, _) => (10, text, true),
        _ => (base, text, false),
    };
    if digits.is_empty() {
        return (0, Some(NumberError::Syntax));
    }
    let mut number = 0_u64;
    let mut overflow = false;
    let mut underscores = false;
    for byte in digits {
        let digit = match byte {
            b'_' if by_prefix => {
                underscores = true;
                continue;
            }
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => return (0, Some(NumberError::Syntax)),
        };
        if u32::from(digit) >= base {
            return (0, Some(NumberError::Syntax));
        }
        let next = number.checked_mul(u64::from(base)).and_then(|n| n.checked_add(u64::from(digit)));
        // Go stops at the first digit that exceeds the range, and does not check the rest.
        if let Some(next) = next {
            number = next;
        } else {
            overflow = true;
            break;
        }
    }
    if overflow {
        return (u64::MAX, Some(NumberError::Range));
    }
    if underscores && !underscores_fit(text) {
        return (0, Some(NumberError::Syntax));
    }
    (number, None)
}

/// Whether all underscores are between digits, or between the prefix and a digit.
pub(super) fn underscores_fit(text: &[u8]) -> bool {
    let text = match text.split_first() {
        Some((b'-' | b'+', rest)) => rest,
        _ => text,
    };
    let (mut last, mut is_hex, mut rest) = ('^', false, text);
    if let [b'0', b'b' | b'B' | b'o' | b'O' | b'x' | b'X', tail @ ..] = text {
        // The prefix counts as a digit.
        last = '0';
        is_hex = matches!(text[1], b'x' | b'X');
        rest = tail;
    }
    for byte in rest {
        if byte.is_ascii_digit() || (is_hex && byte.is_ascii_hexdigit()) {
            last = '0';
        } else if *byte == b'_' {
            if last != '0' {
                return false;
            }
            last = '_';
        } else {
            if last == '_' {
                return false;
            }
            last = '!';
        }
    }
    last != '_'
}

/// Go's conversion of a float to a whole number, as an amd64 processor does it: a float out of range becomes
/// the lowest number.
pub fn float_to_int(value: f64) -> i64 {
    // 2^63 is the first number out of range.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "the fraction is what Go drops too")]
        let number = value as i64;
        return number;
    }
    i64::MIN
}

/// Go's conversion of a whole number to a float: the nearest one.
pub fn int_to_float(value: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "the nearest float is what Go takes too")]
    let float = value as f64;
    float
}
