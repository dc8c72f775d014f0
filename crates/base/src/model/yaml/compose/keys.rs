//! The value of a scalar that is a key.

use crate::model::yaml::Dialect;
use crate::model::yaml::scalar::{Scalar, Tag, float_key, is_text, resolve};

/// The treatment of a key.
pub(super) enum KeyRule {
    /// A string.
    Text(String),
    /// `<<`.
    Merge,
    /// The entry is read and left out.
    Dropped,
}

/// kyaml reads the top of a resource into a map of strings, so any scalar is a key there. Below, a key that
/// is not a string cannot become JSON. A quoted `<<` disappears when kyaml removes merge keys.
pub(super) fn key_v3(text: String, tag: Option<Tag>, depth: usize) -> Result<KeyRule, String> {
    match tag {
        None if is_text(Dialect::V3, &text) => return Ok(KeyRule::Text(text)),
        Some(Tag::Merge) if text == "<<" => return Ok(KeyRule::Merge),
        Some(Tag::Merge) | None => {}
        Some(_) if text == "<<" => return Ok(KeyRule::Dropped),
        Some(Tag::Str) => return Ok(KeyRule::Text(text)),
        Some(_) => {}
    }
    match resolve(Dialect::V3, tag, text.clone())? {
        Scalar::Merge => Ok(KeyRule::Merge),
        Scalar::Null => Err("null cannot be a key; quote it".into()),
        Scalar::Text(text) if tag.is_none() || depth == 0 => Ok(KeyRule::Text(text)),
        _ if depth == 0 => Ok(KeyRule::Text(text)),
        _ => Err(format!("key '{text}' is not a string; quote it")),
    }
}

/// sigs.k8s.io/yaml resolves a key like a value and prints it again.
pub(super) fn key_v2(text: String, tag: Option<Tag>) -> Result<KeyRule, String> {
    if tag == Some(Tag::Merge) && text == "<<" {
        return Ok(KeyRule::Merge);
    }
    Ok(KeyRule::Text(match resolve(Dialect::V2, tag, text)? {
        Scalar::Merge => return Ok(KeyRule::Merge),
        Scalar::Text(text) | Scalar::Time(_, text) => text,
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Float(value) => float_key(value),
        Scalar::Uint(value) => return Err(format!("key {value} is too large for a number; quote it")),
        Scalar::Null => return Err("null cannot be a key; quote it".into()),
    }))
}
