//! Values of Go's package `time`: times with their methods, and the named numbers that these return.

use std::any::Any;

use crate::helm::error::Error;
use crate::helm::go::duration::{format_duration, round_duration};
use crate::helm::go::layout;
use crate::helm::go::number::int_to_float;
use crate::helm::go::time::{Time, Zone, month_name, weekday_name};
use crate::helm::value::{Allowance, Args, Signature, Type as T};
use crate::helm::value::{GoKind, GoObject, Value};

/// A `time.Time`.
#[derive(Debug, Clone)]
pub(super) struct Instant(pub(super) Time);

/// A number of a type with a name: `time.Month`, `time.Weekday`, `time.Duration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    kind: NamedKind,
    number: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamedKind {
    Month,
    Weekday,
    Duration,
}

const NONE: Signature = Signature { fixed: &[], rest: None };
const ONE_TIME: Signature = Signature { fixed: &[T::Object("time.Time")], rest: None };
const ONE_DURATION: Signature = Signature { fixed: &[T::Object("time.Duration")], rest: None };

impl Instant {
    /// The number as a template's value.
    pub(super) fn value(time: Time) -> Value {
        Value::object(Self(time))
    }

    /// The layout of RFC 3339 that `encoding/json` uses.
    fn json_text(&self) -> Vec<u8> {
        layout::format(&self.0, b"2006-01-02T15:04:05.999999999Z07:00")
    }
}

/// The time or duration in a method's first argument.
fn other<X: GoObject + Clone + 'static>(a: Args<'_>) -> Option<X> {
    a.object::<X>(0).cloned()
}

impl GoObject for Instant {
    fn type_name(&self) -> &'static str {
        "time.Time"
    }

    fn kind(&self) -> GoKind {
        GoKind::Struct
    }

    fn text(&self) -> Option<Vec<u8>> {
        Some(layout::text(&self.0))
    }

    fn go_text(&self) -> Option<Vec<u8>> {
        Some(layout::go_text(&self.0).into_bytes())
    }

    fn shown(&self) -> Vec<(&'static str, Value)> {
        let seconds = self.0.seconds.wrapping_add(62_135_596_800);
        vec![
            ("wall", Value::Uint64(self.0.nanoseconds.into())),
            ("ext", Value::Int64(seconds)),
            ("loc", Value::Nil),
        ]
    }

    fn json(&self) -> Option<Value> {
        Some(self.json_text().into())
    }

    fn method(&self, name: &str) -> Option<Signature> {
        Some(match name {
            "Format" => Signature { fixed: &[T::String], rest: None },
            "Before" | "After" | "Equal" | "Sub" | "Compare" => ONE_TIME,
            "Add" | "Round" | "Truncate" => ONE_DURATION,
            "AddDate" => Signature { fixed: &[T::Int, T::Int, T::Int], rest: None },
            "Year" | "Month" | "Day" | "Weekday" | "YearDay" | "Hour" | "Minute" | "Second"
            | "Nanosecond" | "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "UTC" | "Local" | "String"
            | "GoString" | "IsZero" | "IsDST" => NONE,
            _ => return None,
        })
    }

    fn call(&self, name: &str, a: Args<'_>, c: &mut dyn Allowance) -> Result<Value, Error> {
        let time = &self.0;
        let that = other::<Instant>(a).map_or_else(Time::zero, |other| other.0);
        let by = other::<Named>(a).map_or(0, |other| other.number);
        let civil = time.civil();
        let scaled = |per_second: i64| {
            let part = i64::from(time.nanoseconds) / (1_000_000_000 / per_second);
            Value::Int64(time.seconds.wrapping_mul(per_second).wrapping_add(part))
        };
        Ok(match name {
            "Format" => {
                c.room(a.bytes(0).len().saturating_mul(5))?;
                layout::format(time, a.bytes(0)).into()
            }
            "Before" => (time.moment() < that.moment()).into(),
            "After" => (time.moment() > that.moment()).into(),
            "Equal" => (time.moment() == that.moment()).into(),
            "Compare" => Value::Int(time.moment().cmp(&that.moment()) as i64),
            "Sub" => Named::duration(time.since(&that)),
            "Add" => Self::value(time.add(by)),
            "Truncate" => Self::value(time.add(-since_zero(time, by))),
            "Round" => Self::value(rounded(time, by)),
            "AddDate" => {
                let clock = [civil.clock / 3600, civil.clock / 60 % 60, civil.clock % 60];
                let [year, month, day] =
                    [civil.year + a.int(0), civil.month + a.int(1), civil.day + a.int(2)];
                let date = [year, month, day, clock[0], clock[1], clock[2]];
                Self::value(Time::date(date, time.nanoseconds, time.zone.clone()))
            }
            "Year" => Value::Int(civil.year),
            "Month" => Value::object(Named { kind: NamedKind::Month, number: civil.month }),
            "Day" => Value::Int(civil.day),
            "Weekday" => Value::object(Named { kind: NamedKind::Weekday, number: civil.weekday }),
            "YearDay" => Value::Int(civil.year_day),
            "Hour" => Value::Int(civil.clock / 3600),
            "Minute" => Value::Int(civil.clock / 60 % 60),
            "Second" => Value::Int(civil.clock % 60),
            "Nanosecond" => Value::Int(time.nanoseconds.into()),
            "Unix" => Value::Int64(time.seconds),
            "UnixMilli" => scaled(1_000),
            "UnixMicro" => scaled(1_000_000),
            "UnixNano" => scaled(1_000_000_000),
            "UTC" | "Local" => Self::value(time.shown_in(Zone::Utc)),
            "String" => layout::text(time).into(),
            "GoString" => layout::go_text(time).into(),
            "IsDST" => time.is_summer().into(),
            "IsZero" => (time.moment() == Time::zero().moment()).into(),
            _ => return Err(Error::new(format!("time.Time has no method {name}"))),
        })
    }

    fn equals(&self, other: &dyn GoObject) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The distance of a time from the previous multiple of a duration since Go's zero, in nanoseconds.
fn since_zero(time: &Time, by: i64) -> i64 {
    if by <= 0 {
        return 0;
    }
    let since = (i128::from(time.seconds) - i128::from(Time::zero().seconds)) * 1_000_000_000;
    let rest = (since + i128::from(time.nanoseconds)).rem_euclid(i128::from(by));
    i64::try_from(rest).unwrap_or_default()
}

fn rounded(time: &Time, by: i64) -> Time {
    let rest = since_zero(time, by);
    if by <= 0 || rest.unsigned_abs() * 2 < by.unsigned_abs() { time.add(-rest) } else { time.add(by - rest) }
}

impl Named {
    /// A `time.Duration` of nanoseconds.
    fn duration(number: i64) -> Value {
        Value::object(Self { kind: NamedKind::Duration, number })
    }
}

impl GoObject for Named {
    fn type_name(&self) -> &'static str {
        match self.kind {
            NamedKind::Month => "time.Month",
            NamedKind::Weekday => "time.Weekday",
            NamedKind::Duration => "time.Duration",
        }
    }

    fn kind(&self) -> GoKind {
        if self.kind == NamedKind::Duration { GoKind::Int64 } else { GoKind::Int }
    }

    fn number(&self) -> Option<i64> {
        Some(self.number)
    }

    fn text(&self) -> Option<Vec<u8>> {
        Some(match self.kind {
            NamedKind::Month => month_name(self.number).into(),
            NamedKind::Weekday => weekday_name(self.number).into(),
            NamedKind::Duration => format_duration(self.number).into_bytes(),
        })
    }

    fn json(&self) -> Option<Value> {
        Some(Value::Int64(self.number))
    }

    fn method(&self, name: &str) -> Option<Signature> {
        let is_duration = self.kind == NamedKind::Duration;
        match name {
            "String" => Some(NONE),
            "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds" | "Nanoseconds" | "Abs" => {
                is_duration.then_some(NONE)
            }
            "Round" | "Truncate" => is_duration.then_some(ONE_DURATION),
            _ => None,
        }
    }

    fn call(&self, name: &str, a: Args<'_>, _: &mut dyn Allowance) -> Result<Value, Error> {
        let by = other::<Named>(a).map_or(0, |other| other.number);
        // Go adds the whole units and the rest as floats.
        let in_units = |unit: i64| {
            Value::Float(
                int_to_float(self.number / unit) + int_to_float(self.number % unit) / int_to_float(unit),
            )
        };
        Ok(match name {
            "String" => self.text().unwrap_or_default().into(),
            "Hours" => in_units(3_600_000_000_000),
            "Minutes" => in_units(60_000_000_000),
            "Seconds" => in_units(1_000_000_000),
            "Milliseconds" => Value::Int64(self.number / 1_000_000),
            "Microseconds" => Value::Int64(self.number / 1_000),
            "Nanoseconds" => Value::Int64(self.number),
            "Abs" => Self::duration(self.number.checked_abs().unwrap_or(i64::MAX)),
            "Round" => Self::duration(round_duration(self.number, by)),
            "Truncate" if by <= 0 => Self::duration(self.number),
            "Truncate" => Self::duration(self.number - self.number % by),
            _ => return Err(Error::new(format!("{} has no method {name}", self.type_name()))),
        })
    }

    fn equals(&self, other: &dyn GoObject) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
