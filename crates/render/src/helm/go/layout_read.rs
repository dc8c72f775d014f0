//! Texts that are read as times, by a layout.

use super::layout::{LayoutPart, OffsetForm, next_part};
use super::number::parse_int;
use super::time::{Time, Zone, days_from_civil, days_in, name_at_start, quote};

/// Why a text does not fit a layout.
enum Misfit {
    Bad,
    Range(&'static str),
}

type Taken<T> = Result<T, Misfit>;

/// The values read so far.
#[derive(Default)]
struct Read {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanoseconds: u32,
    pm: Option<bool>,
    is_utc: bool,
    offset: Option<i64>,
    zone_name: Vec<u8>,
}

/// `time.Parse(layout, value)`. Errors have Go's words.
pub fn parse_time(layout: &[u8], value: &[u8]) -> Result<Time, String> {
    let mut read = Read::default();
    let (mut layout_rest, mut rest) = (layout, value);
    let cannot = |element: &[u8], at: &[u8]| {
        let (value, layout, at, element) = (quote(value), quote(layout), quote(at), quote(element));
        format!("parsing time {value} as {layout}: cannot parse {at} as {element}")
    };
    let told = |message: &str| format!("parsing time {}: {message}", quote(value));
    loop {
        let (before, part) = next_part(layout_rest);
        let prefix = &layout_rest[..before];
        rest = skip(rest, prefix).map_err(|rest| cannot(prefix, rest))?;
        let Some((part, length)) = part else {
            if rest.is_empty() {
                break;
            }
            return Err(told(&format!("extra text: {}", quote(rest))));
        };
        let element = &layout_rest[before..before + length];
        layout_rest = &layout_rest[before + length..];
        let hold = rest;
        let is_last_fraction = matches!(next_part(layout_rest).1, Some((LayoutPart::Fraction(..), _)));
        match read.take(part, &mut rest, is_last_fraction) {
            Ok(()) => {}
            Err(Misfit::Range(what)) => return Err(told(&format!("{what} out of range"))),
            Err(Misfit::Bad) => return Err(cannot(element, hold)),
        }
    }
    read.time().map_err(told)
}

/// Skips a literal text of the layout; spaces match any number of spaces. The error is the remaining text.
fn skip<'v>(mut value: &'v [u8], mut prefix: &[u8]) -> Result<&'v [u8], &'v [u8]> {
    let without_spaces = |text: &[u8]| text.iter().position(|byte| *byte != b' ').unwrap_or(text.len());
    while let Some(first) = prefix.first() {
        if *first == b' ' {
            if value.first().is_some_and(|byte| *byte != b' ') {
                return Err(value);
            }
            prefix = &prefix[without_spaces(prefix)..];
            value = &value[without_spaces(value)..];
            continue;
        }
        if value.first() != Some(first) {
            return Err(value);
        }
        (prefix, value) = (&prefix[1..], &value[1..]);
    }
    Ok(value)
}

/// One or two digits, or exactly two.
fn number(rest: &mut &[u8], exactly_two: bool) -> Taken<i64> {
    let digits = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || (exactly_two && digits != 2) {
        return Err(Misfit::Bad);
    }
    Ok(taken_number(rest, digits))
}

/// The number of these digits.
fn taken_number(rest: &mut &[u8], digits: usize) -> i64 {
    let (text, after) = rest.split_at(digits);
    *rest = after;
    text.iter().fold(0_i64, |number, digit| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}

fn within(number: i64, range: std::ops::RangeInclusive<i64>, what: &'static str) -> Taken<i64> {
    if range.contains(&number) { Ok(number) } else { Err(Misfit::Range(what)) }
}

/// A point or comma, and this many digits.
fn fraction(rest: &mut &[u8], digits: usize) -> Taken<u32> {
    let text = rest.get(..=digits).ok_or(Misfit::Bad)?;
    *rest = &rest[digits + 1..];
    if !matches!(text[0], b'.' | b',') {
        return Err(Misfit::Bad);
    }
    let kept = &text[1..text.len().min(10)];
    if !kept.iter().all(u8::is_ascii_digit) {
        return Err(Misfit::Bad);
    }
    let mut number = kept.iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    for _ in kept.len()..9 {
        number *= 10;
    }
    Ok(number)
}

impl Read {
    fn take(&mut self, part: LayoutPart, rest: &mut &[u8], fraction_follows: bool) -> Taken<()> {
        match part {
            LayoutPart::Year => {
                let text = rest.get(..2).ok_or(Misfit::Bad)?;
                // A sign may stand in place of the first digit.
                let (year, error) = parse_int(text, 10);
                if error.is_some() {
                    return Err(Misfit::Bad);
                }
                *rest = &rest[2..];
                self.year = if year >= 69 { year + 1900 } else { year + 2000 };
            }
            LayoutPart::LongYear => {
                if rest.len() < 4 || !rest[..4].iter().all(u8::is_ascii_digit) {
                    return Err(Misfit::Bad);
                }
                self.year = taken_number(rest, 4);
            }
            LayoutPart::Month => self.month = Some(named(true, rest, Some(3))? + 1),
            LayoutPart::LongMonth => self.month = Some(named(true, rest, None)? + 1),
            LayoutPart::Weekday => named(false, rest, Some(3)).map(drop)?,
            LayoutPart::LongWeekday => named(false, rest, None).map(drop)?,
            LayoutPart::NumMonth | LayoutPart::ZeroMonth => {
                self.month = Some(within(number(rest, part == LayoutPart::ZeroMonth)?, 1..=12, "month")?);
            }
            LayoutPart::Day | LayoutPart::UnderDay | LayoutPart::ZeroDay => {
                if part == LayoutPart::UnderDay {
                    *rest = rest.strip_prefix(b" ").unwrap_or(rest);
                }
                self.day = Some(number(rest, part == LayoutPart::ZeroDay)?);
            }
            LayoutPart::UnderYearDay | LayoutPart::ZeroYearDay => self.year_day = Some(year_day(rest, part)?),
            LayoutPart::Hour => self.hour = within(number(rest, false)?, 0..=23, "hour")?,
            LayoutPart::Hour12 | LayoutPart::ZeroHour12 => {
                self.hour = within(number(rest, part == LayoutPart::ZeroHour12)?, 0..=12, "hour")?;
            }
            LayoutPart::Minute | LayoutPart::ZeroMinute => {
                self.minute = within(number(rest, part == LayoutPart::ZeroMinute)?, 0..=59, "minute")?;
            }
            LayoutPart::Second | LayoutPart::ZeroSecond => self.take_second(part, rest, fraction_follows)?,
            LayoutPart::UpperPm | LayoutPart::LowerPm => self.take_pm(part, rest)?,
            LayoutPart::Offset(z_for_utc, form) => self.take_offset(z_for_utc, form, rest)?,
            LayoutPart::ZoneName => self.take_zone(rest)?,
            LayoutPart::Fraction(false, digits, _) => self.nanoseconds = fraction(rest, digits)?,
            LayoutPart::Fraction(true, ..) => {
                if matches!(rest, [b'.' | b',', digit, ..] if digit.is_ascii_digit()) {
                    let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    self.nanoseconds = fraction(rest, digits)?;
                }
            }
        }
        Ok(())
    }

    fn take_second(&mut self, part: LayoutPart, rest: &mut &[u8], fraction_follows: bool) -> Taken<()> {
        self.second = within(number(rest, part == LayoutPart::ZeroSecond)?, 0..=59, "second")?;
        // A fraction may follow here even if the layout has none.
        if !fraction_follows && matches!(rest, [b'.' | b',', digit, ..] if digit.is_ascii_digit()) {
            let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            self.nanoseconds = fraction(rest, digits)?;
        }
        Ok(())
    }

    fn take_pm(&mut self, part: LayoutPart, rest: &mut &[u8]) -> Taken<()> {
        let text = rest.get(..2).ok_or(Misfit::Bad)?;
        *rest = &rest[2..];
        let (pm, am): (&[u8], &[u8]) =
            if part == LayoutPart::UpperPm { (b"PM", b"AM") } else { (b"pm", b"am") };
        match text {
            _ if text == pm => self.pm = Some(true),
            // A time that is known to be after noon stays so.
            _ if text == am => self.pm = self.pm.or(Some(false)),
            _ => return Err(Misfit::Bad),
        }
        Ok(())
    }

    fn take_offset(&mut self, z_for_utc: bool, form: OffsetForm, rest: &mut &[u8]) -> Taken<()> {
        if z_for_utc && rest.first() == Some(&b'Z') {
            *rest = &rest[1..];
            self.is_utc = true;
            return Ok(());
        }
        let (length, places): (usize, &[usize]) = match form {
            OffsetForm::Hours => (3, &[1]),
            OffsetForm::Minutes => (5, &[1, 3]),
            OffsetForm::ColonMinutes => (6, &[1, 4]),
            OffsetForm::Seconds => (7, &[1, 3, 5]),
            OffsetForm::ColonSeconds => (9, &[1, 4, 7]),
        };
        let text = rest.get(..length).ok_or(Misfit::Bad)?;
        let has_colons = places.iter().skip(1).all(|at| length != places.len() * 3 || text[at - 1] == b':');
        if !has_colons {
            return Err(Misfit::Bad);
        }
        *rest = &rest[length..];
        let mut numbers = [0_i64; 3];
        let mut bad = false;
        for (slot, at) in numbers.iter_mut().zip(places) {
            if let Ok(number) = number(&mut &text[*at..at + 2], true) {
                *slot = number;
            } else {
                bad = true;
                break;
            }
        }
        let limits =
            [(24, "time zone offset hour"), (60, "time zone offset minute"), (60, "time zone offset second")];
        // Of several mistakes, Go reports the last.
        let beyond = numbers.iter().zip(limits).rfind(|(number, (most, _))| *number > most);
        if let Some((_, (_, what))) = beyond {
            return Err(Misfit::Range(what));
        }
        let offset = (numbers[0] * 60 + numbers[1]) * 60 + numbers[2];
        self.offset = match text[0] {
            _ if bad => return Err(Misfit::Bad),
            b'+' => Some(offset),
            b'-' => Some(-offset),
            _ => return Err(Misfit::Bad),
        };
        Ok(())
    }

    fn take_zone(&mut self, rest: &mut &[u8]) -> Taken<()> {
        if let Some(after) = rest.strip_prefix(b"UTC") {
            self.is_utc = true;
            *rest = after;
            return Ok(());
        }
        let length = zone_name(rest).ok_or(Misfit::Bad)?;
        self.zone_name = rest[..length].to_vec();
        *rest = &rest[length..];
        Ok(())
    }

    /// The time, or the name of the part that is out of range.
    fn time(mut self) -> Result<Time, &'static str> {
        match self.pm {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        if let Some(year_day) = self.year_day {
            let days = days_from_civil(self.year + 1, 1, 1) - days_from_civil(self.year, 1, 1);
            if year_day < 1 || year_day > days {
                return Err("day-of-year out of range");
            }
            let first = days_from_civil(self.year, 1, 1);
            let month =
                (1..=12).rev().find(|m| days_from_civil(self.year, *m, 1) - first < year_day).unwrap_or(1);
            let day = year_day - (days_from_civil(self.year, month, 1) - first);
            if self.month.is_some_and(|seen| seen != month) {
                return Err("day-of-year does not match month");
            }
            if self.day.is_some_and(|seen| seen != day) {
                return Err("day-of-year does not match day");
            }
            (self.month, self.day) = (Some(month), Some(day));
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if day < 1 || day > days_in(self.year, month) {
            return Err("day out of range");
        }
        let civil = [self.year, month, day, self.hour, self.minute, self.second];
        let time = Time::date(civil, self.nanoseconds, Zone::Utc);
        let name = String::from_utf8_lossy(&self.zone_name).into_owned();
        let fixed =
            |offset: i64| Zone::Fixed(name.as_str().into(), i32::try_from(offset).unwrap_or_default());
        Ok(match self.offset.filter(|offset| *offset != -1) {
            Some(0) | None if name.is_empty() => time,
            _ if self.is_utc => time,
            Some(offset) => Time { seconds: time.seconds - offset, ..time.shown_in(fixed(offset)) },
            None => {
                let hours = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i64>().ok());
                // Go keeps the clock's reading as UTC, and shows it with the offset.
                time.shown_in(fixed(hours.unwrap_or_default() * 3600))
            }
        })
    }
}

fn named(is_month: bool, rest: &mut &[u8], length: Option<usize>) -> Taken<i64> {
    let (number, length) = name_at_start(is_month, rest, length).ok_or(Misfit::Bad)?;
    *rest = &rest[length..];
    Ok(number)
}

fn year_day(rest: &mut &[u8], part: LayoutPart) -> Taken<i64> {
    if part == LayoutPart::UnderYearDay {
        for _ in 0..2 {
            *rest = rest.strip_prefix(b" ").unwrap_or(rest);
        }
    }
    let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || (part == LayoutPart::ZeroYearDay && digits != 3) {
        return Err(Misfit::Bad);
    }
    Ok(taken_number(rest, digits))
}

/// The length of a zone's abbreviation at the start of a text.
fn zone_name(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + if rest.is_empty() { 0 } else { signed_offset(rest) });
    }
    if matches!(text[0], b'+' | b'-') {
        return Some(signed_offset(text)).filter(|length| *length > 0);
    }
    match text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count() {
        5 if text[4] == b'T' => Some(5),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

/// The length of `+5` or `-11`; 0 for any other text.
fn signed_offset(text: &[u8]) -> usize {
    if !matches!(text[0], b'+' | b'-') {
        return 0;
    }
    let mut rest = &text[1..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || taken_number(&mut rest, digits) > 23 { 0 } else { digits + 1 }
}
