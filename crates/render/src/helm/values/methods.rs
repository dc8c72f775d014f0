//! The methods of `.Values`, which is helm's `common.Values`.

use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::funcs::{self};
use crate::helm::go::quote::quote;
use crate::helm::value::Args;
use crate::helm::value::{Map, MapType, Value};

/// Calls a method of `.Values`.
pub(in crate::helm) fn call(
    values: &Map,
    name: &str,
    arguments: Args<'_>,
    context: &mut RenderContext<'_>,
) -> Result<Value, Error> {
    match name {
        "AsMap" if values.is_empty() => Ok(Value::map::<&str>([])),
        "AsMap" => Ok(Value::Map(values.seen_as(MapType::Any))),
        "Table" => table(values, arguments.bytes(0)).map(Value::Map),
        "PathValue" => path_value(values, arguments.bytes(0)),
        _ => {
            let Some(to_yaml) = funcs::function("toYaml") else {
                return Err(Error::new("there is no toYaml"));
            };
            let printed = (to_yaml.run)(context, Args::new(&[Value::Map(values.clone())]))?;
            let mut text = printed.as_str().map(|text| text.to_vec()).unwrap_or_default();
            text.push(b'\n');
            Ok(Value::str(text))
        }
    }
}

/// The map at a path such as `a.b`.
pub(in crate::helm) fn table(values: &Map, path: &[u8]) -> Result<Map, Error> {
    let mut table = values.seen_as(MapType::Values);
    for part in path.split(|byte| *byte == b'.') {
        match table.get(part) {
            Some(Value::Map(inner)) if matches!(inner.of(), MapType::Any | MapType::Values) => {
                table = inner.seen_as(MapType::Values);
            }
            _ => return Err(Error::new(format!("{} is not a table", quoted(part)))),
        }
    }
    Ok(table)
}

/// The value at a path, if it is no map.
pub(in crate::helm) fn path_value(values: &Map, path: &[u8]) -> Result<Value, Error> {
    if path.is_empty() {
        return Err(Error::new("YAML path cannot be empty"));
    }
    let (before, key) = match path.iter().rposition(|byte| *byte == b'.') {
        Some(at) => (Some(&path[..at]), &path[at + 1..]),
        None => (None, path),
    };
    let missing = || Error::new(format!("{} is not a value", quoted(key)));
    let table = match before {
        Some(before) => table(values, before).map_err(|_| missing())?,
        None => values.clone(),
    };
    match table.get(key) {
        Some(Value::Map(map)) if map.of() == MapType::Any => Err(missing()),
        Some(value) => Ok(value),
        None => Err(missing()),
    }
}

fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(&quote(text, false)).into_owned()
}
