//! Go's `time.Duration`: its notation, written and read.

/// `Duration.String()` of nanoseconds.
pub fn format_duration(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    if magnitude == 0 {
        return "0s".into();
    }
    if magnitude < 1_000_000_000 {
        let (unit, scale) = match magnitude {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", with_fraction(magnitude, scale));
    }
    let seconds = magnitude / 1_000_000_000;
    let hours = if seconds >= 3600 { format!("{}h", seconds / 3600) } else { String::new() };
    let minutes = if seconds >= 60 { format!("{}m", seconds / 60 % 60) } else { String::new() };
    format!("{sign}{hours}{minutes}{}s", with_fraction(magnitude % 60_000_000_000, 1_000_000_000))
}

/// A number in another unit, without trailing zeros in its fraction.
fn with_fraction(number: u64, scale: u64) -> String {
    let (whole, fraction) = (number / scale, number % scale);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = scale.to_string().len() - 1;
    format!("{whole}.{}", format!("{fraction:0digits$}").trim_end_matches('0'))
}

/// `time.ParseDuration`, in nanoseconds. Errors have Go's words.
pub fn parse_duration(text: &[u8]) -> Result<i64, String> {
    let quoted = super::time::quote(text);
    let invalid = || format!("time: invalid duration {quoted}");
    let (negative, mut rest) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        if !(rest[0] == b'.' || rest[0].is_ascii_digit()) {
            return Err(invalid());
        }
        let (whole, after_whole) = whole_part(rest).ok_or_else(invalid)?;
        let has_whole = after_whole.len() < rest.len();
        rest = after_whole;
        let (mut fraction, mut scale, mut has_fraction) = (0_u64, 1.0_f64, false);
        if let Some((b'.', after)) = rest.split_first() {
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (fraction, scale) = fraction_part(&after[..digits]);
            has_fraction = digits > 0;
            rest = &after[digits..];
        }
        if !has_whole && !has_fraction {
            return Err(invalid());
        }
        let end = rest.iter().position(|byte| *byte == b'.' || byte.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after_unit) = rest.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {quoted}"));
        }
        rest = after_unit;
        let unit = unit_of(unit)
            .ok_or_else(|| format!("time: unknown unit {} in duration {quoted}", super::time::quote(unit)))?;
        let mut amount = whole.checked_mul(unit).filter(|amount| *amount <= 1 << 63).ok_or_else(invalid)?;
        if fraction > 0 {
            // The calculation uses floats, so that it rounds as Go does.
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "what Go computes too"
            )]
            let part = (fraction as f64 * (unit as f64 / scale)) as u64;
            amount = amount.checked_add(part).filter(|amount| *amount <= 1 << 63).ok_or_else(invalid)?;
        }
        total = total.checked_add(amount).filter(|total| *total <= 1 << 63).ok_or_else(invalid)?;
    }
    if negative {
        return Ok(total.cast_signed().wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// The whole number at the start; `None` above 2^63.
fn whole_part(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    let mut at = 0;
    while let Some(byte) = text.get(at).filter(|byte| byte.is_ascii_digit()) {
        if number > (1 << 63) / 10 {
            return None;
        }
        number = number * 10 + u64::from(byte - b'0');
        if number > 1 << 63 {
            return None;
        }
        at += 1;
    }
    Some((number, &text[at..]))
}

/// The digits after a point as a number and its divisor. Digits beyond the number's range are dropped.
fn fraction_part(digits: &[u8]) -> (u64, f64) {
    let (mut number, mut scale) = (0_u64, 1.0);
    for digit in digits {
        if number > ((1 << 63) - 1) / 10 {
            break;
        }
        let next = number * 10 + u64::from(digit - b'0');
        if next > 1 << 63 {
            break;
        }
        number = next;
        scale *= 10.0;
    }
    (number, scale)
}

fn unit_of(text: &[u8]) -> Option<u64> {
    Some(match std::str::from_utf8(text).ok()? {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `Duration.Round`: to a multiple, halves away from zero.
pub fn round_duration(nanoseconds: i64, to: i64) -> i64 {
    if to <= 0 {
        return nanoseconds;
    }
    let rest = nanoseconds % to;
    if rest.unsigned_abs().wrapping_add(rest.unsigned_abs()) < to.unsigned_abs() {
        return nanoseconds - rest;
    }
    let step = if nanoseconds < 0 { -to } else { to };
    nanoseconds.saturating_sub(rest).saturating_add(step)
}
