//! A value on its way from the source of a replacement to its targets.

use serde_json::Value;

use super::fieldpath::{self, Hop};
use super::id::text_of;
use crate::error::Fault;

/// A value on its way, and whether its notation has no type of its own.
pub(crate) struct Carried {
    /// The value.
    pub(crate) value: Value,
    /// The text of a scalar in its notation.
    pub(crate) text: String,
    /// Whether its notation has no type of its own.
    pub(crate) untyped: bool,
    /// The present place of the value. Kustomize passes the node itself on, so a target inside of it changes
    /// it for the next target.
    pub(crate) live: Option<Live>,
}

/// The place of a value: the object's index, and the path in it.
pub(crate) struct Live {
    /// The index of the object.
    pub(crate) at: usize,
    /// The path in it.
    pub(crate) way: Vec<Hop>,
}

impl Carried {
    /// A scalar without a place.
    pub(crate) fn loose(text: &str, untyped: bool) -> Self {
        Self { value: text.into(), text: text.into(), untyped, live: None }
    }

    /// Reads the value again from its object.
    pub(crate) fn refresh(&mut self, at: usize, object: &Value) {
        let live = self.live.as_ref().filter(|live| live.at == at);
        let now = live.and_then(|live| fieldpath::get(object, &live.way));
        if let Some(now) = now.filter(|now| **now != self.value) {
            self.value = now.clone();
            self.text = text_of(now).into_owned();
        }
    }

    /// Notes that a field is replaced, and with it the value's place.
    pub(crate) fn leave(&mut self, at: usize, place: &[Hop]) {
        let is_inside =
            |live: &Live| live.at == at && live.way.len() > place.len() && live.way.starts_with(place);
        if self.live.as_ref().is_some_and(is_inside) {
            self.live = None;
        }
    }
}

/// Whether a number has a fraction in its text, even a zero one.
pub(crate) fn is_float(text: &str) -> bool {
    text.contains('.') || (text.contains(['e', 'E']) && !text.contains(['x', 'X']))
}

/// The text as a value of the field's type.
pub(crate) fn typed_as(field: &Value, text: &str) -> Result<Value, Fault> {
    let plain = fieldpath::plain(text);
    let same = match (field, &plain) {
        (Value::String(_), _) => return Ok(text.into()),
        (Value::Bool(_), Value::Bool(_)) | (Value::Null, Value::Null) => true,
        // A whole number can replace a fraction, but not the other way round.
        (Value::Number(old), Value::Number(_)) => old.is_f64() || !is_float(text),
        _ => false,
    };
    if same {
        return Ok(plain);
    }
    let found = lockgate_base::model::type_name(field);
    Err(Fault::new(format!("the field is {found}, and the value is not")))
}
