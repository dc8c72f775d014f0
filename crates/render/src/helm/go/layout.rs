//! Layouts of times: Go's reference time `Mon Jan 2 15:04:05 MST 2006` says where each part stands.

use super::time::{Time, Zone, month_name, quote, weekday_name};

/// A part of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    /// An offset: whether `Z` stands for UTC, and how it is written.
    Offset(bool, OffsetForm),
    /// A fraction of a second: whether zeros at its end are dropped, how many digits, and the point.
    Fraction(bool, usize, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OffsetForm {
    Seconds,
    ColonSeconds,
    Minutes,
    ColonMinutes,
    Hours,
}

const NAMES: [(&[u8], Part); 23] = [
    (b"January", Part::LongMonth),
    (b"Jan", Part::Month),
    (b"Monday", Part::LongWeekday),
    (b"Mon", Part::Weekday),
    (b"MST", Part::ZoneName),
    (b"01", Part::ZeroMonth),
    (b"02", Part::ZeroDay),
    (b"03", Part::ZeroHour12),
    (b"04", Part::ZeroMinute),
    (b"05", Part::ZeroSecond),
    (b"06", Part::Year),
    (b"002", Part::ZeroYearDay),
    (b"15", Part::Hour),
    (b"1", Part::NumMonth),
    (b"2006", Part::LongYear),
    (b"2", Part::Day),
    (b"_2", Part::UnderDay),
    (b"__2", Part::UnderYearDay),
    (b"3", Part::Hour12),
    (b"4", Part::Minute),
    (b"5", Part::Second),
    (b"PM", Part::UpperPm),
    (b"pm", Part::LowerPm),
];

const OFFSETS: [(&[u8], OffsetForm); 5] = [
    (b"070000", OffsetForm::Seconds),
    (b"07:00:00", OffsetForm::ColonSeconds),
    (b"0700", OffsetForm::Minutes),
    (b"07:00", OffsetForm::ColonMinutes),
    (b"07", OffsetForm::Hours),
];

/// The part that stands at the start of a text, and its length.
fn part_at_start(text: &[u8]) -> Option<(Part, usize)> {
    let first = *text.first()?;
    if let b'.' | b',' = first {
        let digit = *text.get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
        let digits = text[1..].iter().take_while(|byte| **byte == digit).count();
        // Only zeros or only nines are a fraction.
        let ends = text.get(1 + digits).is_none_or(|byte| !byte.is_ascii_digit());
        return ends.then_some((Part::Fraction(digit == b'9', digits, first), 1 + digits));
    }
    if let b'-' | b'Z' = first {
        let (digits, form) = OFFSETS.iter().find(|(digits, _)| text[1..].starts_with(digits))?;
        return Some((Part::Offset(first == b'Z', *form), 1 + digits.len()));
    }
    // `_2006` is an underscore and a year.
    if text.starts_with(b"_2006") {
        return None;
    }
    let (name, part) = NAMES.iter().find(|(name, _)| text.starts_with(name))?;
    let is_short_name = matches!(part, Part::Month | Part::Weekday);
    if is_short_name && text.get(name.len()).is_some_and(u8::is_ascii_lowercase) {
        return None;
    }
    Some((*part, name.len()))
}

/// What stands before the next part, and that part with its length; `None` where no part follows.
pub(super) fn next_part(layout: &[u8]) -> (usize, Option<(Part, usize)>) {
    (0..layout.len())
        .find_map(|at| Some((at, Some(part_at_start(&layout[at..])?))))
        .unwrap_or((layout.len(), None))
}

/// `t.Format(layout)`.
pub fn format(time: &Time, layout: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = layout;
    loop {
        let (before, part) = next_part(rest);
        out.extend_from_slice(&rest[..before]);
        let Some((part, length)) = part else { return out };
        rest = &rest[before + length..];
        out.extend_from_slice(shown(time, part).as_bytes());
    }
}

fn shown(time: &Time, part: Part) -> String {
    let civil = time.civil();
    let (hour, minute, second) = (civil.clock / 3600, civil.clock / 60 % 60, civil.clock % 60);
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    match part {
        Part::LongMonth => month_name(civil.month).into(),
        Part::Month => month_name(civil.month)[..3].into(),
        Part::NumMonth => civil.month.to_string(),
        Part::ZeroMonth => format!("{:02}", civil.month),
        Part::LongWeekday => weekday_name(civil.weekday).into(),
        Part::Weekday => weekday_name(civil.weekday)[..3].into(),
        Part::Day => civil.day.to_string(),
        Part::UnderDay => format!("{:2}", civil.day),
        Part::ZeroDay => format!("{:02}", civil.day),
        Part::UnderYearDay => format!("{:3}", civil.year_day),
        Part::ZeroYearDay => format!("{:03}", civil.year_day),
        Part::Hour => format!("{hour:02}"),
        Part::Hour12 => hour12.to_string(),
        Part::ZeroHour12 => format!("{hour12:02}"),
        Part::Minute => minute.to_string(),
        Part::ZeroMinute => format!("{minute:02}"),
        Part::Second => second.to_string(),
        Part::ZeroSecond => format!("{second:02}"),
        Part::LongYear if civil.year < 0 => format!("-{:04}", civil.year.unsigned_abs()),
        Part::LongYear => format!("{:04}", civil.year),
        Part::Year => format!("{:02}", civil.year.unsigned_abs() % 100),
        Part::UpperPm => if hour >= 12 { "PM" } else { "AM" }.into(),
        Part::LowerPm => if hour >= 12 { "pm" } else { "am" }.into(),
        Part::ZoneName => match time.zone_and_offset() {
            (name, offset) if name.is_empty() => offset_text(offset, OffsetForm::Minutes),
            (name, _) => name,
        },
        Part::Offset(z_for_utc, form) => match time.zone_and_offset().1 {
            0 if z_for_utc => "Z".into(),
            offset => offset_text(offset, form),
        },
        Part::Fraction(trims, digits, point) => fraction_text(time.nanoseconds, trims, digits, point),
    }
}

fn offset_text(offset: i64, form: OffsetForm) -> String {
    // Go divides first and looks at the sign then.
    let minutes = offset / 60;
    let (sign, minutes, seconds) = (if minutes < 0 { '-' } else { '+' }, minutes.abs(), (offset % 60).abs());
    let (hours, minutes) = (minutes / 60, minutes % 60);
    match form {
        OffsetForm::Hours => format!("{sign}{hours:02}"),
        OffsetForm::Minutes => format!("{sign}{hours:02}{minutes:02}"),
        OffsetForm::ColonMinutes => format!("{sign}{hours:02}:{minutes:02}"),
        OffsetForm::Seconds => format!("{sign}{hours:02}{minutes:02}{seconds:02}"),
        OffsetForm::ColonSeconds => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn fraction_text(nanoseconds: u32, trims: bool, digits: usize, point: u8) -> String {
    let mut text = format!("{nanoseconds:09}");
    text.truncate(digits.min(9));
    if trims {
        text.truncate(text.trim_end_matches('0').len());
        if text.is_empty() {
            return text;
        }
    } else {
        // Go writes nine digits and no more.
        text.truncate(9);
    }
    text.insert(0, char::from(point));
    text
}

/// `t.String()`.
pub fn text(time: &Time) -> Vec<u8> {
    format(time, b"2006-01-02 15:04:05.999999999 -0700 MST")
}

/// `t.GoString()`.
pub fn go_text(time: &Time) -> String {
    let civil = time.civil();
    let zone = match &time.zone {
        Zone::Utc => "time.UTC".into(),
        Zone::Fixed(name, _) | Zone::Named(name, _) => format!("time.Location({})", quote(name.as_bytes())),
    };
    let (hour, minute, second) = (civil.clock / 3600, civil.clock / 60 % 60, civil.clock % 60);
    let (year, day, month) = (civil.year, civil.day, month_name(civil.month));
    let nanoseconds = time.nanoseconds;
    format!("time.Date({year}, time.{month}, {day}, {hour}, {minute}, {second}, {nanoseconds}, {zone})")
}
