//! Layouts of times: Go's reference time `Mon Jan 2 15:04:05 MST 2006` shows the place of each part.

use super::time::{Time, Zone, month_name, quote, weekday_name};

/// A part of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LayoutPart {
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
    /// An offset: whether `Z` stands for UTC, and the notation.
    Offset(bool, OffsetForm),
    /// A fraction of a second: whether trailing zeros are dropped, the number of digits, and the point.
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

const NAMES: [(&[u8], LayoutPart); 23] = [
    (b"January", LayoutPart::LongMonth),
    (b"Jan", LayoutPart::Month),
    (b"Monday", LayoutPart::LongWeekday),
    (b"Mon", LayoutPart::Weekday),
    (b"MST", LayoutPart::ZoneName),
    (b"01", LayoutPart::ZeroMonth),
    (b"02", LayoutPart::ZeroDay),
    (b"03", LayoutPart::ZeroHour12),
    (b"04", LayoutPart::ZeroMinute),
    (b"05", LayoutPart::ZeroSecond),
    (b"06", LayoutPart::Year),
    (b"002", LayoutPart::ZeroYearDay),
    (b"15", LayoutPart::Hour),
    (b"1", LayoutPart::NumMonth),
    (b"2006", LayoutPart::LongYear),
    (b"2", LayoutPart::Day),
    (b"_2", LayoutPart::UnderDay),
    (b"__2", LayoutPart::UnderYearDay),
    (b"3", LayoutPart::Hour12),
    (b"4", LayoutPart::Minute),
    (b"5", LayoutPart::Second),
    (b"PM", LayoutPart::UpperPm),
    (b"pm", LayoutPart::LowerPm),
];

const OFFSETS: [(&[u8], OffsetForm); 5] = [
    (b"070000", OffsetForm::Seconds),
    (b"07:00:00", OffsetForm::ColonSeconds),
    (b"0700", OffsetForm::Minutes),
    (b"07:00", OffsetForm::ColonMinutes),
    (b"07", OffsetForm::Hours),
];

/// The part at the start of a text, and its length.
fn part_at_start(text: &[u8]) -> Option<(LayoutPart, usize)> {
    let first = *text.first()?;
    if let b'.' | b',' = first {
        let digit = *text.get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
        let digits = text[1..].iter().take_while(|byte| **byte == digit).count();
        // A fraction consists only of zeros or only of nines.
        let ends = text.get(1 + digits).is_none_or(|byte| !byte.is_ascii_digit());
        return ends.then_some((LayoutPart::Fraction(digit == b'9', digits, first), 1 + digits));
    }
    if let b'-' | b'Z' = first {
        let (digits, form) = OFFSETS.iter().find(|(digits, _)| text[1..].starts_with(digits))?;
        return Some((LayoutPart::Offset(first == b'Z', *form), 1 + digits.len()));
    }
    // `_2006` is an underscore and a year.
    if text.starts_with(b"_2006") {
        return None;
    }
    let (name, part) = NAMES.iter().find(|(name, _)| text.starts_with(name))?;
    let is_short_name = matches!(part, LayoutPart::Month | LayoutPart::Weekday);
    if is_short_name && text.get(name.len()).is_some_and(u8::is_ascii_lowercase) {
        return None;
    }
    Some((*part, name.len()))
}

/// The length of the text before the next part, and that part with its length; `None` if there is no further
/// part.
pub(super) fn next_part(layout: &[u8]) -> (usize, Option<(LayoutPart, usize)>) {
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

fn shown(time: &Time, part: LayoutPart) -> String {
    let civil = time.civil();
    let (hour, minute, second) = (civil.clock / 3600, civil.clock / 60 % 60, civil.clock % 60);
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    match part {
        LayoutPart::LongMonth => month_name(civil.month).into(),
        LayoutPart::Month => month_name(civil.month)[..3].into(),
        LayoutPart::NumMonth => civil.month.to_string(),
        LayoutPart::ZeroMonth => format!("{:02}", civil.month),
        LayoutPart::LongWeekday => weekday_name(civil.weekday).into(),
        LayoutPart::Weekday => weekday_name(civil.weekday)[..3].into(),
        LayoutPart::Day => civil.day.to_string(),
        LayoutPart::UnderDay => format!("{:2}", civil.day),
        LayoutPart::ZeroDay => format!("{:02}", civil.day),
        LayoutPart::UnderYearDay => format!("{:3}", civil.year_day),
        LayoutPart::ZeroYearDay => format!("{:03}", civil.year_day),
        LayoutPart::Hour => format!("{hour:02}"),
        LayoutPart::Hour12 => hour12.to_string(),
        LayoutPart::ZeroHour12 => format!("{hour12:02}"),
        LayoutPart::Minute => minute.to_string(),
        LayoutPart::ZeroMinute => format!("{minute:02}"),
        LayoutPart::Second => second.to_string(),
        LayoutPart::ZeroSecond => format!("{second:02}"),
        LayoutPart::LongYear if civil.year < 0 => format!("-{:04}", civil.year.unsigned_abs()),
        LayoutPart::LongYear => format!("{:04}", civil.year),
        LayoutPart::Year => format!("{:02}", civil.year.unsigned_abs() % 100),
        LayoutPart::UpperPm => if hour >= 12 { "PM" } else { "AM" }.into(),
        LayoutPart::LowerPm => if hour >= 12 { "pm" } else { "am" }.into(),
        LayoutPart::ZoneName => match time.zone_and_offset() {
            (name, offset) if name.is_empty() => offset_text(offset, OffsetForm::Minutes),
            (name, _) => name,
        },
        LayoutPart::Offset(z_for_utc, form) => match time.zone_and_offset().1 {
            0 if z_for_utc => "Z".into(),
            offset => offset_text(offset, form),
        },
        LayoutPart::Fraction(trims, digits, point) => fraction_text(time.nanoseconds, trims, digits, point),
    }
}

fn offset_text(offset: i64, form: OffsetForm) -> String {
    // Go divides first and looks at the sign afterwards.
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
