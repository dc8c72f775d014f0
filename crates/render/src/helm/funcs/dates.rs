//! Dates and durations. The time is the render's input, and the local zone is UTC.

use super::instant::Instant;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::duration::{format_duration, parse_duration, round_duration};
use crate::helm::go::layout;
use crate::helm::go::layout_read::parse_time;
use crate::helm::go::number::parse_int;
use crate::helm::go::time::{Time, Zone};
use crate::helm::value::Value;
use crate::helm::value::{Args, Type as T};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

const TIME: T = T::Object("time.Time");

pub(super) const TABLE: &[Function] = &[
    Function::new("now", &[], |c, _| Ok(Instant::value(now(c)))),
    Function::new("date", &[T::String, T::Any], |c, a| dated(c, a.bytes(0), a.value(1), b"Local")),
    Function::new("date_in_zone", &[T::String, T::Any, T::String], |c, a| {
        dated(c, a.bytes(0), a.value(1), a.bytes(2))
    }),
    Function::new("dateInZone", &[T::String, T::Any, T::String], |c, a| {
        dated(c, a.bytes(0), a.value(1), a.bytes(2))
    }),
    Function::new("htmlDate", &[T::Any], |c, a| dated(c, b"2006-01-02", a.value(0), b"Local")),
    Function::new("htmlDateInZone", &[T::Any, T::String], |c, a| {
        dated(c, b"2006-01-02", a.value(0), a.bytes(1))
    }),
    Function::new("date_modify", &[T::String, TIME], |_, a| {
        Ok(modified(a).unwrap_or_else(|_| a.value(1).clone()))
    }),
    Function::new("dateModify", &[T::String, TIME], |_, a| {
        Ok(modified(a).unwrap_or_else(|_| a.value(1).clone()))
    }),
    Function::new("must_date_modify", &[T::String, TIME], |_, a| modified(a)),
    Function::new("mustDateModify", &[T::String, TIME], |_, a| modified(a)),
    Function::new("toDate", &[T::String, T::String], |_, a| {
        Ok(Instant::value(parse_time(a.bytes(0), a.bytes(1)).unwrap_or_else(|_| Time::zero())))
    }),
    Function::new("mustToDate", &[T::String, T::String], |_, a| {
        parse_time(a.bytes(0), a.bytes(1)).map(Instant::value).map_err(Error::new)
    }),
    Function::new("unixEpoch", &[TIME], |_, a| {
        let time = a.object::<Instant>(0).map(|time| time.0.seconds);
        Ok(time.unwrap_or_default().to_string().into())
    }),
    Function::new("ago", &[T::Any], |c, a| Ok(ago(c, a))),
    Function::new("duration", &[T::Any], |_, a| {
        let seconds = match a.value(0) {
            Value::Str(text) => parse_int(text, 10).0,
            Value::Int64(number) => *number,
            _ => 0,
        };
        Ok(format_duration(seconds.wrapping_mul(1_000_000_000)).into())
    }),
    Function::new("durationRound", &[T::Any], |c, a| Ok(duration_round(c, a))),
];

/// The time of the render.
fn now(c: &RenderContext<'_>) -> Time {
    Time::utc(c.now.seconds, c.now.nanoseconds)
}

/// The time that a value stands for: seconds since 1970, or the current time if it is neither number nor
/// time.
fn time_of(c: &RenderContext<'_>, value: &Value) -> Time {
    match value {
        Value::Int(seconds) | Value::Int64(seconds) => Time::utc(*seconds, 0),
        Value::Object(object) => {
            object.as_any().downcast_ref::<Instant>().map_or_else(|| now(c), |time| time.0.clone())
        }
        _ => now(c),
    }
}

fn dated(c: Ctx<'_, '_>, layout: &[u8], value: &Value, zone: &[u8]) -> Result {
    // A part with two letters may become a name with nine.
    c.room(layout.len().saturating_mul(5))?;
    let zone = std::str::from_utf8(zone).ok().and_then(Zone::load).unwrap_or(Zone::Utc);
    Ok(layout::format(&time_of(c, value).shown_in(zone), layout).into())
}

fn modified(a: Args<'_>) -> Result {
    let nanoseconds = parse_duration(a.bytes(0)).map_err(Error::new)?;
    let time = a.object::<Instant>(1).map_or_else(Time::zero, |time| time.0.add(nanoseconds));
    Ok(Instant::value(time))
}

fn ago(c: &RenderContext<'_>, a: Args<'_>) -> Value {
    let since = now(c).since(&time_of(c, a.value(0)));
    format_duration(round_duration(since, 1_000_000_000)).into()
}

fn duration_round(c: &RenderContext<'_>, a: Args<'_>) -> Value {
    const UNITS: [(u64, &str); 6] =
        [(365 * 86_400, "y"), (30 * 86_400, "mo"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let nanoseconds = match a.value(0) {
        Value::Str(text) => parse_duration(text).unwrap_or_default(),
        Value::Int64(number) => *number,
        Value::Object(_) => a.object::<Instant>(0).map_or(0, |time| now(c).since(&time.0)),
        _ => 0,
    };
    let magnitude = nanoseconds.unsigned_abs();
    let unit = UNITS.iter().find(|(seconds, _)| magnitude > seconds * 1_000_000_000);
    unit.map_or_else(
        || "0s".into(),
        |(seconds, name)| format!("{}{name}", magnitude / (seconds * 1_000_000_000)).into(),
    )
}
