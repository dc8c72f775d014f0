//! The methods of `.Files`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::glob::FileGlob;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::funcs::{self};
use crate::helm::value::Args;
use crate::helm::value::{Map, MapType, Str, Value};

/// Calls a method of `.Files`.
pub(in crate::helm) fn call(
    files: &Map,
    name: &str,
    arguments: Args<'_>,
    context: &mut RenderContext<'_>,
) -> Result<Value, Error> {
    match name {
        "Get" => {
            let bytes = content(files, arguments.bytes(0));
            context.room(bytes.len())?;
            Ok(Value::str(&bytes[..]))
        }
        "GetBytes" => Ok(Value::Bytes(content(files, arguments.bytes(0)))),
        "Glob" => glob(files, arguments.bytes(0), context),
        "Lines" => lines(files, arguments.bytes(0), context),
        "AsConfig" => flat(files, context, |content| Str::from(content)),
        _ => flat(files, context, |content| Str::from(STANDARD.encode(content))),
    }
}

/// The content of a file; empty if there is no such file.
fn content(files: &Map, name: &[u8]) -> std::sync::Arc<[u8]> {
    match files.get(name) {
        Some(Value::Bytes(content)) => content,
        _ => [].into(),
    }
}

fn glob(files: &Map, pattern: &[u8], context: &mut RenderContext<'_>) -> Result<Value, Error> {
    // In helm an invalid pattern matches all files.
    let glob = FileGlob::new(pattern).or_else(|| FileGlob::new(b"**"));
    let mut found = BTreeMap::new();
    for (name, content) in files.entries() {
        context.spend(glob.as_ref().map_or(1, FileGlob::cost).saturating_mul(1 + name.len() / 16))?;
        if glob.as_ref().is_none_or(|glob| glob.matches(&name)) {
            found.insert(name, content);
        }
    }
    Ok(Value::Map(Map::from_entries(MapType::Files, found)))
}

fn lines(files: &Map, name: &[u8], context: &mut RenderContext<'_>) -> Result<Value, Error> {
    let Some(Value::Bytes(bytes)) = files.get(name) else { return Ok(Value::strings::<Str>([])) };
    let Some(last) = bytes.last() else {
        return Err(Error::new("runtime error: index out of range [-1]"));
    };
    let text = if *last == b'\n' { &bytes[..bytes.len() - 1] } else { &bytes[..] };
    let count = memchr::memchr_iter(b'\n', text).count() + 1;
    context.room(text.len())?;
    context.room_for_items(count)?;
    context.memory(count.saturating_mul(100))?;
    Ok(Value::strings(text.split(|byte| *byte == b'\n')))
}

/// The files by their base names, printed as YAML.
fn flat(files: &Map, context: &mut RenderContext<'_>, encode: fn(&[u8]) -> Str) -> Result<Value, Error> {
    let mut named = BTreeMap::new();
    for (name, value) in files.entries() {
        let Value::Bytes(bytes) = value else { continue };
        context.room(bytes.len() / 3 * 4 + 4)?;
        named.insert(Str::from(base(&name)), Value::Str(encode(&bytes)));
    }
    let Some(to_yaml) = funcs::function("toYaml") else { return Err(Error::new("there is no toYaml")) };
    let map = Value::Map(Map::from_entries(MapType::Strings, named));
    (to_yaml.run)(context, Args::new(&[map]))
}

/// Go's `path.Base`.
fn base(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    if end == 0 {
        return if path.is_empty() { b"." } else { b"/" };
    }
    let path = &path[..end];
    path.iter().rposition(|byte| *byte == b'/').map_or(path, |at| &path[at + 1..])
}
