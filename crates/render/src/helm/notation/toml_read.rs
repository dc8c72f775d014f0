//! `fromToml`: TOML as maps and lists of Go.

use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::go::layout_read::parse_time;
use crate::helm::go::time::Time;
use crate::helm::value::{List, ListType, Map, MapType, Value};

/// How a time becomes a value.
pub type MakeTime = fn(Time) -> Value;

/// Reads a document, and says why it is none.
pub fn decode(
    context: &mut RenderContext<'_>,
    text: &[u8],
    time: MakeTime,
) -> Result<(Map, Option<String>), Error> {
    context.spend(text.len() / 8)?;
    context.memory(text.len().saturating_mul(8))?;
    let nothing = |message: String| Ok((Map::new(MapType::Any), Some(message)));
    let Ok(text) = std::str::from_utf8(text) else {
        return nothing("toml: files must be valid UTF-8".into());
    };
    match text.parse::<toml::Table>() {
        Ok(table) => Ok((map_of(context, table, time)?, None)),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            nothing(format!("toml: line {line}: {}", error.message()))
        }
    }
}

fn map_of(context: &mut RenderContext<'_>, table: toml::Table, time: MakeTime) -> Result<Map, Error> {
    context.room_for_items(table.len().saturating_mul(2))?;
    let map = Map::new(MapType::Any);
    for (key, value) in table {
        map.insert(key.into(), value_of(context, value, time)?)?;
    }
    Ok(map)
}

fn value_of(context: &mut RenderContext<'_>, value: toml::Value, time: MakeTime) -> Result<Value, Error> {
    context.spend(1)?;
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => Value::Int64(number),
        toml::Value::Float(number) => Value::Float(number),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(at) => time_of(&at.to_string(), time),
        toml::Value::Array(items) => {
            context.room_for_items(items.len())?;
            let are_tables = !items.is_empty() && items.iter().all(toml::Value::is_table);
            let items: Result<Vec<Value>, Error> =
                items.into_iter().map(|item| value_of(context, item, time)).collect();
            Value::List(List::new(if are_tables { ListType::Maps } else { ListType::Any }, items?))
        }
        toml::Value::Table(table) => Value::Map(map_of(context, table, time)?),
    })
}

/// A time in one of TOML's four forms.
fn time_of(text: &str, make: MakeTime) -> Value {
    const LAYOUTS: [&[u8]; 4] = [
        b"2006-01-02T15:04:05.999999999Z07:00",
        b"2006-01-02T15:04:05.999999999",
        b"2006-01-02",
        b"15:04:05.999999999",
    ];
    let read = LAYOUTS.iter().find_map(|layout| parse_time(layout, text.as_bytes()).ok());
    read.map_or_else(|| text.into(), make)
}
