//! Values as JSON, YAML and TOML, and back.

use super::instant::Instant;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::notation::json::{COMPACT, INDENTED, JsonFormat, RAW, encode};
use crate::helm::notation::json_read::{Read, decode, decode_list, decode_map};
use crate::helm::notation::{toml, toml_read, yaml, yaml_read};
use crate::helm::value::{Args, Type as T};
use crate::helm::value::{List, Map, MapType, Value};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

pub(super) const TABLE: &[Function] = &[
    Function::new("toJson", &[T::Any], |c, a| quietly(json(c, a, COMPACT))),
    Function::new("mustToJson", &[T::Any], |c, a| json(c, a, COMPACT)),
    Function::new("toPrettyJson", &[T::Any], |c, a| quietly(json(c, a, INDENTED))),
    Function::new("mustToPrettyJson", &[T::Any], |c, a| json(c, a, INDENTED)),
    Function::new("toRawJson", &[T::Any], |c, a| json(c, a, RAW)),
    Function::new("mustToRawJson", &[T::Any], |c, a| json(c, a, RAW)),
    Function::new("fromJson", &[T::String], |c, a| decode_map(c, a.bytes(0)).and_then(map_or_error)),
    Function::new("fromJsonArray", &[T::String], |c, a| Ok(list_or_error(decode_list(c, a.bytes(0))?))),
    Function::new("mustFromJson", &[T::String], |c, a| {
        let Read { value, error } = decode(c, a.bytes(0))?;
        error.map_or(Ok(value), |error| Err(Error::new(error)))
    }),
    Function::new("toYaml", &[T::Any], |c, a| quietly(to_yaml(c, a))),
    Function::new("mustToYaml", &[T::Any], to_yaml),
    Function::new("toYamlPretty", &[T::Any], |c, a| {
        // A value that go-yaml cannot write is a panic there, and no error.
        let mut text = yaml::encode_pretty(c, a.value(0))?;
        text.pop_if(|last| *last == b'\n');
        Ok(text.into())
    }),
    Function::new("toToml", &[T::Any], |c, a| match toml::encode(c, a.value(0)) {
        Err(error) if error.text().starts_with("reflect: ") || error.is_bound() => Err(error),
        Err(error) => Ok(error.text().clone().into()),
        Ok(text) => Ok(text.into()),
    }),
    Function::new("mustToToml", &[T::Any], |c, a| Ok(toml::encode(c, a.value(0))?.into())),
    Function::new("fromToml", &[T::String], |c, a| {
        toml_read::decode(c, a.bytes(0), Instant::value).and_then(map_or_error)
    }),
    Function::new("fromYaml", &[T::String], |c, a| {
        yaml_read::decode_map(c, a.bytes(0)).and_then(map_or_error)
    }),
    Function::new("fromYamlArray", &[T::String], |c, a| {
        Ok(list_or_error(yaml_read::decode_list(c, a.bytes(0))?))
    }),
];

fn json(c: Ctx<'_, '_>, a: Args<'_>, form: JsonFormat) -> Result {
    Ok(encode(c, a.value(0), form)?.into())
}

/// An empty text for a value that cannot be written, as in helm. A reached bound stays an error.
fn quietly(result: Result) -> Result {
    match result {
        Err(error) if !error.is_bound() => Ok("".into()),
        other => other,
    }
}

fn to_yaml(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let mut text = yaml::encode(c, a.value(0))?;
    text.pop_if(|last| *last == b'\n');
    Ok(text.into())
}

/// The map, with the message under the key `Error`.
fn map_or_error((map, error): (Map, Option<String>)) -> Result {
    if let Some(error) = error {
        let map = if map.is_nil() { Map::new(MapType::Any) } else { map };
        map.insert("Error".into(), error.into())?;
        return Ok(Value::Map(map));
    }
    Ok(Value::Map(map))
}

/// The list, or the message as its only item.
fn list_or_error((list, error): (List, Option<String>)) -> Value {
    error.map_or(Value::List(list), |error| Value::list(vec![error.into()]))
}
