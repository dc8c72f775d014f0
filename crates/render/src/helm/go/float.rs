//! Texts that are read as floats.

use super::number::{NumberError, underscores_fit};

/// `strconv.ParseFloat(text, 64)`.
pub fn parse_float(text: &[u8]) -> Result<f64, NumberError> {
    let text = std::str::from_utf8(text).map_err(|_| NumberError::Syntax)?;
    if let Some(special) = special(text) {
        return Ok(special);
    }
    let (sign, magnitude) = match text.as_bytes().first() {
        Some(b'-') => (-1.0, &text[1..]),
        Some(b'+') => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let is_hex = magnitude.starts_with("0x") || magnitude.starts_with("0X");
    if magnitude.contains('_') && !underscores_fit(text.as_bytes()) {
        return Err(NumberError::Syntax);
    }
    let magnitude = magnitude.replace('_', "");
    let value = if is_hex { hex(&magnitude[2..]) } else { decimal(&magnitude) }?;
    if value.is_infinite() { Err(NumberError::Range) } else { Ok(sign * value) }
}

fn special(text: &str) -> Option<f64> {
    let (sign, rest, signed) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..], true),
        b'+' => (1.0, &text[1..], true),
        _ => (1.0, text, false),
    };
    if rest.eq_ignore_ascii_case("inf") || rest.eq_ignore_ascii_case("infinity") {
        return Some(sign * f64::INFINITY);
    }
    (!signed && rest.eq_ignore_ascii_case("nan")).then_some(f64::NAN)
}

/// Splits a text into digits, fraction and exponent; the exponent's letter is one of two.
fn split(text: &str, letters: [char; 2], digit: fn(&u8) -> bool) -> Result<[Option<&str>; 3], NumberError> {
    let (mantissa, exponent) = match text.split_once(letters) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = whole.len() + fraction.map_or(0, str::len);
    let exponent_digits = exponent.map(|e| e.strip_prefix(['-', '+']).unwrap_or(e));
    let is_number = digits > 0
        && whole.bytes().chain(fraction.unwrap_or_default().bytes()).all(|byte| digit(&byte))
        && exponent_digits.is_none_or(|e| !e.is_empty() && e.bytes().all(|byte| byte.is_ascii_digit()));
    if is_number { Ok([Some(whole), fraction, exponent]) } else { Err(NumberError::Syntax) }
}

fn decimal(text: &str) -> Result<f64, NumberError> {
    split(text, ['e', 'E'], u8::is_ascii_digit)?;
    text.parse().map_err(|_| NumberError::Syntax)
}

/// The text behind `0x`: hex digits and a binary exponent, which is required.
fn hex(text: &str) -> Result<f64, NumberError> {
    let [whole, fraction, exponent] = split(text, ['p', 'P'], u8::is_ascii_hexdigit)?;
    let exponent = exponent.ok_or(NumberError::Syntax)?;
    let (whole, fraction) = (whole.unwrap_or_default(), fraction.unwrap_or_default());
    let mut exponent =
        exponent.parse::<i64>().unwrap_or(if exponent.starts_with('-') { -10_000 } else { 10_000 });
    exponent = exponent.clamp(-1_000_000_000, 1_000_000_000);
    let mut mantissa = 0_u64;
    let mut sticky = false;
    for (index, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let digit = u64::from(char::from(digit).to_digit(16).unwrap_or_default());
        if mantissa < 1 << 58 {
            mantissa = mantissa << 4 | digit;
            exponent -= if index >= whole.len() { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if index < whole.len() { 4 } else { 0 };
        }
    }
    Ok(compose(mantissa, exponent, sticky))
}

/// The float nearest to `mantissa * 2^exponent`. `sticky` says that lower bits were not zero.
fn compose(mut mantissa: u64, mut exponent: i64, mut sticky: bool) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let lift = mantissa.leading_zeros();
    mantissa <<= lift;
    exponent -= i64::from(lift);
    // The value is now mantissa * 2^exponent with the highest bit set. 53 bits are kept, and fewer for a
    // subnormal.
    let top = exponent + 63;
    let kept = if top < -1022 { 53 + (top + 1022) } else { 53 };
    if top > 1023 {
        return f64::INFINITY;
    }
    if kept < 0 {
        return 0.0;
    }
    let dropped = u32::try_from(64 - kept).unwrap_or(64);
    let (mut head, tail) =
        if dropped == 64 { (0, mantissa) } else { (mantissa >> dropped, mantissa << (64 - dropped)) };
    sticky |= tail << 1 != 0;
    if tail >> 63 == 1 && (sticky || head & 1 == 1) {
        head += 1;
    }
    let scale = exponent + i64::from(dropped);
    #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
    let head = head as f64;
    // The scaling takes two steps, since 2^-1074 times a large head is exact and 2^scale alone may be no
    // float.
    let half = i32::try_from(scale / 2).unwrap_or_default();
    let rest = i32::try_from(scale - scale / 2).unwrap_or_default();
    head * 2.0_f64.powi(half) * 2.0_f64.powi(rest)
}
