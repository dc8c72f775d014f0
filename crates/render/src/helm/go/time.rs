//! Points in time as Go's `time` has them: an instant and the zone that it is shown in.

use std::rc::Rc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Go's `time.Time`.
#[derive(Debug, Clone, PartialEq)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds of that second.
    pub nanoseconds: u32,
    /// The zone in which it is shown.
    pub zone: Zone,
}

/// Go's `time.Location`. The local zone is UTC here: a render does not depend on the machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Zone {
    /// UTC, and `Local`
    Utc,
    /// A zone that a text named, with its offset in seconds.
    Fixed(Rc<str>, i32),
    /// A zone of the time zone database, by its name there.
    Named(Rc<str>, TimeZone),
}

/// Midnight of the first of January of the year 1, which is Go's zero.
const ZERO: i64 = -62_135_596_800;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A date and a time of day, as a clock in the zone shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Astronomical: the year before 1 is 0.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    /// From 1.
    pub year_day: i64,
    /// From 0 for Sunday.
    pub weekday: i64,
    /// Seconds since midnight.
    pub clock: i64,
}

impl Zone {
    /// `time.LoadLocation`; `None` for an unknown name.
    pub fn load(name: &str) -> Option<Self> {
        if matches!(name, "" | "UTC" | "Local") {
            return Some(Self::Utc);
        }
        let zone = jiff::tz::db().get(name).ok()?;
        // Go looks for a file of exactly this name.
        (zone.iana_name() == Some(name)).then(|| Self::Named(name.into(), zone))
    }

    /// The abbreviation and the offset in seconds at a moment.
    fn at(&self, seconds: i64) -> (String, i64) {
        match self {
            Self::Utc => ("UTC".into(), 0),
            Self::Fixed(name, offset) => (name.to_string(), i64::from(*offset)),
            Self::Named(_, zone) => {
                let (least, most) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
                let moment = Timestamp::from_second(seconds.clamp(least, most)).unwrap_or_default();
                let info = zone.to_offset_info(moment);
                (info.abbreviation().to_owned(), i64::from(info.offset().seconds()))
            }
        }
    }

    /// Whether a moment is in summer time.
    fn is_summer(&self, seconds: i64) -> bool {
        let Self::Named(_, zone) = self else { return false };
        Timestamp::from_second(seconds).is_ok_and(|moment| zone.to_offset_info(moment).dst().is_dst())
    }

    /// Seconds since 1970 of a clock's reading in this zone, by Go's rule for hours that occur twice or
    /// never.
    fn instant(&self, shown: i64) -> i64 {
        let (_, offset) = self.at(shown);
        if offset == 0 && *self == Self::Utc {
            return shown;
        }
        let guess = shown - offset;
        let (_, again) = self.at(guess);
        if again == offset { guess } else { shown - again }
    }
}

impl Time {
    /// A moment, shown in UTC.
    pub fn utc(seconds: i64, nanoseconds: u32) -> Self {
        Self { seconds, nanoseconds, zone: Zone::Utc }
    }

    /// Go's zero time.
    pub fn zero() -> Self {
        Self::utc(ZERO, 0)
    }

    /// `time.Date`: fields may be beyond their ranges.
    pub fn date(civil: [i64; 6], nanoseconds: u32, zone: Zone) -> Self {
        let [year, month, day, hour, minute, second] = civil;
        let shown = days_from_civil(year, month, 1).saturating_add(day - 1).saturating_mul(86_400);
        let shown = shown.saturating_add(hour * 3600 + minute * 60 + second);
        Self { seconds: zone.instant(shown), nanoseconds, zone }
    }

    /// This moment in another zone.
    #[must_use]
    pub fn shown_in(&self, zone: Zone) -> Self {
        Self { zone, ..self.clone() }
    }

    /// The abbreviation of the zone and its offset in seconds.
    pub fn zone_and_offset(&self) -> (String, i64) {
        self.zone.at(self.seconds)
    }

    /// `t.IsDST()`.
    pub fn is_summer(&self) -> bool {
        self.zone.is_summer(self.seconds)
    }

    /// The reading of a clock.
    pub fn civil(&self) -> Civil {
        let shown = self.seconds.saturating_add(self.zone_and_offset().1);
        let days = shown.div_euclid(86_400);
        let (year, month, day) = civil_from_days(days);
        let year_day = days - days_from_civil(year, 1, 1) + 1;
        Civil {
            year,
            month,
            day,
            year_day,
            weekday: (days + 4).rem_euclid(7),
            clock: shown.rem_euclid(86_400),
        }
    }

    /// `t.Add`, in nanoseconds.
    #[must_use]
    pub fn add(&self, nanoseconds: i64) -> Self {
        let total = i64::from(self.nanoseconds) + nanoseconds.rem_euclid(1_000_000_000);
        let carry = total / 1_000_000_000;
        Self {
            seconds: self.seconds.wrapping_add(nanoseconds.div_euclid(1_000_000_000)).wrapping_add(carry),
            nanoseconds: u32::try_from(total % 1_000_000_000).unwrap_or_default(),
            zone: self.zone.clone(),
        }
    }

    /// `t.Sub`, in nanoseconds, limited to Go's range.
    pub fn since(&self, other: &Self) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(other.seconds);
        let nanoseconds = i128::from(self.nanoseconds) - i128::from(other.nanoseconds);
        let total = seconds * 1_000_000_000 + nanoseconds;
        i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX })
    }

    /// Seconds and nanoseconds, for comparisons.
    pub fn moment(&self) -> (i64, u32) {
        (self.seconds, self.nanoseconds)
    }
}

/// The English name of a month, from 1.
pub fn month_name(month: i64) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or_default()
}

/// The English name of a weekday, from 0 for Sunday.
pub fn weekday_name(day: i64) -> &'static str {
    usize::try_from(day).ok().and_then(|at| DAYS.get(at)).copied().unwrap_or_default()
}

/// The number, from 0, of the month or weekday whose name begins the text, and the length of that name:
/// `length` of its letters, or all.
pub(super) fn name_at_start(is_month: bool, text: &[u8], length: Option<usize>) -> Option<(i64, usize)> {
    let names: &[&str] = if is_month { &MONTHS } else { &DAYS };
    names.iter().enumerate().find_map(|(number, name)| {
        let name = &name[..length.unwrap_or(name.len())];
        let fits = text.get(..name.len())?.eq_ignore_ascii_case(name.as_bytes());
        fits.then(|| (i64::try_from(number).unwrap_or_default(), name.len()))
    })
}

/// Days since 1970 of a date; the month may be beyond its range.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year.saturating_add((month - 1).div_euclid(12));
    let month = (month - 1).rem_euclid(12) + 1;
    // In years that begin in March, the extra day of a leap year is the last.
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era.saturating_mul(146_097).saturating_add(day_of_era - 719_468)
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// How many days a month has.
pub(super) fn days_in(year: i64, month: i64) -> i64 {
    days_from_civil(year, month + 1, 1) - days_from_civil(year, month, 1)
}

/// The quotes of the package `time`, which writes characters outside of ASCII byte by byte.
pub(super) fn quote(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=b'\x7f' => out.push(char::from(*byte)),
            _ => out.extend(["\\x".to_owned(), hex::encode([*byte])]),
        }
    }
    out.push('"');
    out
}
