//! A value on its way from the source of a replacement to its targets.

use serde_json::Value;

use super::fieldpath::{self, Hop};
use super::id::text_of;
use crate::error::Fault;

/// A value on its way, and whether it was written without a type of its own.
pub(crate) struct Carried {
    /// The value.
    pub(crate) value: Value,
    /// The text of a scalar as it was written.
    pub(crate) text: String,
    /// Whether it has no type of its own.
    pub(crate) untyped: bool,
    /// Where it still stands. Kustomize passes on the node itself, so that a target inside of it changes it
    /// for the next.
    pub(crate) live: Option<Live>,
}

/// The place of a value: the object's number, and the way in it.
pub(crate) struct Live {
    /// The number of the object.
    pub(crate) at: usize,
    /// The way in it.
    pub(crate) way: Vec<Hop>,
}

impl Carried {
    /// A scalar that is nowhere else.
    pub(crate) fn loose(text: &str, untyped: bool) -> Self {
        Self { value: text.into(), text: text.into(), untyped, live: None }
    }

    /// Takes the value anew from the object that it stands in.
    pub(crate) fn refresh(&mut self, at: usize, object: &Value) {
        let live = self.live.as_ref().filter(|live| live.at == at);
        let now = live.and_then(|live| fieldpath::get(object, &live.way));
        if let Some(now) = now.filter(|now| **now != self.value) {
            self.value = now.clone();
            self.text = text_of(now).into_owned();
        }
    }

    /// Takes note that a field is replaced, and with it the value's place.
    pub(crate) fn leave(&mut self, at: usize, place: &[Hop]) {
        let is_inside =
            |live: &Live| live.at == at && live.way.len() > place.len() && live.way.starts_with(place);
        if self.live.as_ref().is_some_and(is_inside) {
            self.live = None;
        }
    }
}

/// Whether a number is written as one with a fraction, be it none.
pub(crate) fn is_float(text: &str) -> bool {
    text.contains('.') || (text.contains(['e', 'E']) && !text.contains(['x', 'X']))
}

/// The text as a value of the type that the field has.
pub(crate) fn typed_as(field: &Value, text: &str) -> Result<Value, Fault> {
    let plain = fieldpath::plain(text);
    let same = match (field, &plain) {
        (Value::String(_), _) => return Ok(text.into()),
        (Value::Bool(_), Value::Bool(_)) | (Value::Null, Value::Null) => true,
        // A whole number can become a broken one's value, but not the other way round.
        (Value::Number(old), Value::Number(_)) => old.is_f64() || !is_float(text),
        _ => false,
    };
    if same {
        return Ok(plain);
    }
    let found = lockgate_base::model::type_name(field);
    Err(Fault::new(format!("the field is {found}, and the value cannot be read as one")))
}
