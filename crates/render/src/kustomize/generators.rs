//! `configMapGenerator` and `secretGenerator`: objects made from literals and files.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::file::{Generator, GeneratorOptions, Pairs};
use super::load::Loader;
use super::res::{Behavior, Res};
use crate::error::{Fault, Result};

/// The length of a line of base64.
const BASE64_LINE: usize = 70;
/// Go's scanner stops at a longer line without an error.
const SCANNER_LIMIT: usize = 64 * 1024;

/// The kind of a generated object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    /// A `ConfigMap`.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl Product {
    /// The kind.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::ConfigMap => "configMapGenerator",
            Self::Secret => "secretGenerator",
        }
    }
}

/// Lays the options of the whole kustomization under those of one generator.
pub(crate) fn with_global(generator: &mut Generator, global: Option<&GeneratorOptions>) {
    let Some(global) = global else { return };
    let local = generator.options.get_or_insert_default();
    let fill = |local: &mut Pairs, global: &Pairs| {
        for (key, value) in global {
            local.entry(key.clone()).or_insert_with(|| value.clone());
        }
    };
    fill(&mut local.labels, &global.labels);
    fill(&mut local.annotations, &global.annotations);
    local.disable_name_suffix_hash |= global.disable_name_suffix_hash;
    local.immutable |= global.immutable;
}

/// Makes the object. `file` is the kustomization with the generator.
pub(crate) fn make(product: Product, generator: &Generator, loader: &Loader<'_>, file: &str) -> Result<Res> {
    let name = &generator.name;
    let place = |fault: Fault| {
        let field =
            if name.is_empty() { product.field().into() } else { format!("{} '{name}'", product.field()) };
        fault.in_field(field).in_file(file)
    };
    if name.is_empty() {
        return Err(place(Fault::new("name is missing")).into());
    }
    let data = data(generator, loader).map_err(place)?;
    let mut value = json!({"apiVersion": "v1", "kind": product.kind(), "metadata": {"name": name}});
    if !generator.namespace.is_empty() {
        value["metadata"]["namespace"] = generator.namespace.as_str().into();
    }
    match product {
        Product::ConfigMap => put_config_data(&mut value, data).map_err(place)?,
        Product::Secret => {
            let kind = generator.kind.as_deref().filter(|kind| !kind.is_empty());
            value["type"] = kind.unwrap_or("Opaque").into();
            let encoded = data.into_iter().map(|(key, bytes)| (key, base64_lines(&bytes).into()));
            value["data"] = Value::Object(encoded.collect());
        }
    }
    let options = generator.options.clone().unwrap_or_default();
    for (field, pairs) in [("labels", &options.labels), ("annotations", &options.annotations)] {
        pairs.keys().try_for_each(|key| super::keys::check(key)).map_err(|error| error.in_file(file))?;
        if !pairs.is_empty() {
            value["metadata"][field] = json!(pairs);
        }
    }
    if options.immutable {
        value["immutable"] = true.into();
    }
    let behavior = match generator.behavior.as_str() {
        "merge" => Behavior::Merge,
        "replace" => Behavior::Replace,
        _ => Behavior::Create,
    };
    let needs_hash = !options.disable_name_suffix_hash;
    Ok(Res { behavior, needs_hash, noted: true, ..Res::new(value, file) })
}

fn put_config_data(value: &mut Value, data: BTreeMap<String, Vec<u8>>) -> Result<(), Fault> {
    for (key, bytes) in data {
        let (field, text) = match String::from_utf8(bytes) {
            Ok(text) if text.starts_with('\t') && text.contains('\n') => {
                let message = format!(
                    "the lines of '{key}' begin with a tab, which kustomize cannot read back; begin with another line"
                );
                return Err(Fault::new(message));
            }
            Ok(text) => ("data", text),
            Err(error) => ("binaryData", base64_lines(error.as_bytes())),
        };
        value[field][key] = text.into();
    }
    Ok(())
}

/// Base64 in lines of 70 characters. If there are several lines, each ends with a line feed, since the hash
/// covers them.
fn base64_lines(bytes: &[u8]) -> String {
    let encoded = BASE64.encode(bytes);
    if encoded.len() < BASE64_LINE {
        return encoded;
    }
    let mut text = String::with_capacity(encoded.len() + encoded.len() / BASE64_LINE + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(BASE64_LINE));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text
}

fn data(generator: &Generator, loader: &Loader<'_>) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
    let mut data = BTreeMap::new();
    let mut put = |key: String, value: Vec<u8>| {
        if let Err(error) = super::keys::check(&key) {
            return Err(Fault::new(error.to_string()));
        }
        if data.contains_key(&key) {
            return Err(Fault::new(format!("the key '{key}' is there twice")));
        }
        data.insert(key, value);
        Ok(())
    };
    for path in &generator.envs {
        let (file, bytes) = loader.bytes(path)?;
        for (key, value) in environment(&bytes).map_err(|fault| fault.in_file(&file))? {
            put(key, value.into_bytes())?;
        }
    }
    for (index, literal) in generator.literals.iter().enumerate() {
        let (key, value) = literal.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
            // The literal may be a secret, so the message does not repeat it.
            Fault::new(format!("literals[{index}] is not of the form key=value"))
        })?;
        put(key.into(), unquoted(value).as_bytes().to_vec())?;
    }
    for source in &generator.files {
        let (key, path) = file_source(source)?;
        let (_, bytes) = loader.bytes(path)?;
        put(key.into(), bytes.to_vec())?;
    }
    Ok(data)
}

/// Strips one pair of equal quotes.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

/// Splits `[key=]path`.
fn file_source(source: &str) -> Result<(&str, &str), Fault> {
    match source.split_once('=') {
        None => Ok((source.trim_end_matches('/').rsplit('/').next().unwrap_or(source), source)),
        Some((_, path)) if path.contains('=') => {
            Err(Fault::new(format!("'{source}': neither key nor path may hold another '='")))
        }
        Some(("", _)) => Err(Fault::new(format!("'{source}': the key before '=' is missing"))),
        Some((_, "")) => Err(Fault::new(format!("'{source}': the path after '=' is missing"))),
        Some((key, path)) => Ok((key, path)),
    }
}

/// Reads lines of `key=value`. Only the blanks before the key are removed; a line without `=` has an empty
/// value.
fn environment(bytes: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let mut pairs = Vec::new();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.len() >= SCANNER_LIMIT {
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line)
            .map_err(|_| Fault::new("the line is not UTF-8 text").at_line(number + 1))?;
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if !key.is_empty() {
            pairs.push((key.into(), value.into()));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_file_is_read_literally() {
        let text = b"\xef\xbb\xbf# c\n  A=1\nB = x\nC=\"q\"\nexport D=2\nE\n=f\nG=a=b\r\n";
        let pairs = environment(text).unwrap();
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [("A", "1"), ("B ", " x"), ("C", "\"q\""), ("export D", "2"), ("E", ""), ("G", "a=b")]
        );
    }

    #[test]
    fn sources_of_files_name_key_and_path() {
        assert_eq!(file_source("a/b.txt").unwrap(), ("b.txt", "a/b.txt"));
        assert_eq!(file_source("k=a/b.txt").unwrap(), ("k", "a/b.txt"));
        for source in ["=a", "a=", "a=b=c"] {
            assert!(file_source(source).is_err(), "{source}");
        }
    }

    #[test]
    fn long_base64_is_broken_into_lines() {
        assert_eq!(base64_lines(b"abc"), "YWJj");
        assert_eq!(base64_lines(&[b'a'; 51]).lines().count(), 1);
        let lines = base64_lines(&[b'a'; 60]);
        assert!(lines.ends_with('\n') && lines.lines().next().unwrap().len() == 70, "{lines}");
    }

    #[test]
    fn one_pair_of_quotes_is_stripped() {
        for (value, expected) in
            [("\"a\"", "a"), ("'a'", "a"), ("\"a'", "\"a'"), ("\"", "\""), ("''a''", "'a'")]
        {
            assert_eq!(unquoted(value), expected);
        }
    }
}
