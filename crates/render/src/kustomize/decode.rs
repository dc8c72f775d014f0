//! Reads values into records as Go's JSON decoder does: names match without regard to case, null leaves a
//! field as it is, and every mistake is collected with the path of its field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::Fault;
use lockgate_base::model::type_name;

/// The strictness of the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// An unknown field is a mistake, and so is a number in place of a string.
    Strict,
    /// Unknown fields are dropped, and numbers and booleans in place of strings become strings.
    Lenient,
}

/// The current path in a document, and the mistakes so far.
pub(crate) struct At {
    strictness: Strictness,
    /// Whether numbers stay numbers even in a lenient reading.
    exact: bool,
    path: String,
    faults: Vec<Fault>,
}

/// A type that can be read from a value.
pub(crate) trait Decode: Default {
    /// Reads `value` into `self`; mistakes are added to `at`.
    fn decode(&mut self, value: Value, at: &mut At);
}

/// Reads a whole value.
pub(crate) fn decode<T: Decode>(value: Value, strictness: Strictness) -> Result<T, Vec<Fault>> {
    let mut at = At { strictness, exact: false, path: String::new(), faults: Vec::new() };
    let mut result = T::default();
    if !value.is_null() {
        result.decode(value, &mut at);
    }
    if at.faults.is_empty() { Ok(result) } else { Err(at.faults) }
}

impl At {
    /// Runs `read` one field or index deeper.
    pub(crate) fn inside(&mut self, part: &str, read: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() && !part.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(part);
        read(self);
        self.path.truncate(length);
    }

    /// Runs `read` in the field with this key of a record. A key with the mark `=` belongs to a struct that
    /// Go embeds: there Go's lenient reader does not see that a string is wanted.
    pub(crate) fn in_key(&mut self, key: &str, read: impl FnOnce(&mut Self)) {
        let exact = self.exact;
        self.exact |= key.starts_with('=');
        self.inside(plain_name(key), read);
        self.exact = exact;
    }

    fn takes_any_scalar(&self) -> bool {
        self.strictness == Strictness::Lenient && !self.exact
    }

    /// The entries of a mapping, or none and a mistake. They keep their order unless two keys differ only in
    /// case: Go sorts the keys then, and takes the last one.
    pub(crate) fn entries(&mut self, value: Value) -> Vec<(String, Value)> {
        match value {
            Value::Object(map) => {
                let names: BTreeSet<String> = map.keys().map(|key| key.to_ascii_lowercase()).collect();
                let mut entries: Vec<(String, Value)> = map.into_iter().collect();
                if names.len() < entries.len() {
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                entries
            }
            other => {
                self.expected("a mapping", &other);
                Vec::new()
            }
        }
    }

    /// Notes a value of the wrong type.
    pub(crate) fn expected(&mut self, wanted: &str, found: &Value) {
        self.fault(format!("expected {wanted}, found {}", type_name(found)));
    }

    /// Notes a field that the record does not have.
    pub(crate) fn unknown(&mut self, key: &str, known: &[&str]) {
        if self.strictness == Strictness::Strict {
            let near = known.iter().map(|name| plain_name(name)).find(|name| similar(name, key));
            let hint = near.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default();
            self.inside(key, |at| at.fault(format!("unknown field{hint}")));
        }
    }

    fn fault(&mut self, message: String) {
        let fault = Fault::new(message);
        self.faults.push(if self.path.is_empty() { fault } else { fault.in_field(self.path.clone()) });
    }
}

/// The name of a field without the mark `=`.
pub(crate) fn plain_name(key: &str) -> &str {
    key.strip_prefix('=').unwrap_or(key)
}

/// Whether two names differ by one letter added, removed, changed or swapped, or by a plural.
fn similar(name: &str, key: &str) -> bool {
    let (name, key) = (name.to_ascii_lowercase(), key.to_ascii_lowercase());
    if name.len().abs_diff(key.len()) > 1 || key.len() < 3 {
        return false;
    }
    let same_start = name.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count();
    let same_end = name.bytes().rev().zip(key.bytes().rev()).take_while(|(a, b)| a == b).count();
    same_start + same_end + 2 >= name.len().max(key.len())
}

impl Decode for String {
    fn decode(&mut self, value: Value, at: &mut At) {
        match value {
            Value::String(text) => *self = text,
            Value::Null => {}
            Value::Number(number) if at.takes_any_scalar() => *self = number.to_string(),
            Value::Bool(flag) if at.takes_any_scalar() => *self = flag.to_string(),
            other @ (Value::Number(_) | Value::Bool(_)) => {
                let found = type_name(&other);
                at.fault(format!("expected a string, found {found}; put it in quotes"));
            }
            other => at.expected("a string", &other),
        }
    }
}

impl Decode for bool {
    fn decode(&mut self, value: Value, at: &mut At) {
        match value {
            Value::Bool(flag) => *self = flag,
            Value::Null => {}
            other => at.expected("a boolean", &other),
        }
    }
}

impl Decode for i64 {
    fn decode(&mut self, value: Value, at: &mut At) {
        match &value {
            Value::Null => {}
            Value::Number(number) => match number.as_i64() {
                Some(number) => *self = number,
                None => at.expected("an integer", &value),
            },
            other => at.expected("an integer", other),
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(&mut self, value: Value, at: &mut At) {
        if !value.is_null() {
            self.get_or_insert_default().decode(value, at);
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(&mut self, value: Value, at: &mut At) {
        match value {
            Value::Array(items) => {
                self.clear();
                for (index, item) in items.into_iter().enumerate() {
                    let mut element = T::default();
                    at.inside(&format!("[{index}]"), |at| {
                        if !item.is_null() {
                            element.decode(item, at);
                        }
                    });
                    self.push(element);
                }
            }
            Value::Null => {}
            other => at.expected("a list", &other),
        }
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(&mut self, value: Value, at: &mut At) {
        if value.is_null() {
            return;
        }
        for (key, value) in at.entries(value) {
            let mut element = T::default();
            at.inside(&key, |at| {
                if !value.is_null() {
                    element.decode(value, at);
                }
            });
            self.insert(key, element);
        }
    }
}

impl Decode for Value {
    fn decode(&mut self, value: Value, _at: &mut At) {
        *self = value;
    }
}

/// Declares a record: a struct whose fields are read from the mapping keys named beside them.
macro_rules! record {
    ($(#[$meta:meta])* $vis:vis $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        $vis struct $name { $($(#[$field_meta])* $vis $field: $type,)* }

        impl $crate::kustomize::decode::Decode for $name {
            fn decode(&mut self, value: serde_json::Value, at: &mut $crate::kustomize::decode::At) {
                for (key, value) in at.entries(value) {
                    match () {
                        $(() if key.eq_ignore_ascii_case($crate::kustomize::decode::plain_name($key)) => at.in_key($key, |at| {
                            if !value.is_null() {
                                $crate::kustomize::decode::Decode::decode(&mut self.$field, value, at);
                            }
                        }),)*
                        () => at.unknown(&key, &[$($key),*]),
                    }
                }
            }
        }
    };
}
pub(crate) use record;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    record! {
        /// A record that Go embeds.
        pub(crate) Embedded {
            /// A string.
            text: String = "=text",
        }
    }

    #[test]
    fn an_embedded_string_takes_no_number() {
        assert!(decode::<Embedded>(json!({"text": "a"}), Strictness::Lenient).is_ok());
        assert!(decode::<Embedded>(json!({"text": 1}), Strictness::Lenient).is_err());
    }

    record! {
        /// An example.
        pub(crate) Example {
            /// A string.
            wanted: String = "someText",
            /// A list.
            list: Vec<String> = "list",
        }
    }

    fn faults(value: Value) -> Vec<String> {
        let faults = decode::<Example>(value, Strictness::Strict).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_named_with_its_path() {
        let found = faults(json!({"sometext": 1, "list": ["a", {}], "lists": 2, "zebra": 3}));
        assert_eq!(
            found,
            [
                "someText: expected a string, found a number; put it in quotes",
                "list[1]: expected a string, found a mapping",
                "lists: unknown field; did you mean 'list'?",
                "zebra: unknown field",
            ]
        );
    }

    #[test]
    fn lenient_reading_takes_numbers_for_strings() {
        let value = json!({"SOMETEXT": 1.5, "unknown": 1, "list": [true, null]});
        let example = decode::<Example>(value, Strictness::Lenient).unwrap();
        assert_eq!(example, Example { wanted: "1.5".into(), list: vec!["true".into(), String::new()] });
    }
}
