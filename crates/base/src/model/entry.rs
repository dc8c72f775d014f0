//! Shortcuts for reading values out of mappings.

use serde_json::{Map, Value};

/// The largest mapping whose keys are compared one by one. For these, hashing the key would take longer.
const FEW: usize = 16;

/// The value of a key in a mapping.
pub fn entry<'m>(map: &'m Map<String, Value>, key: &str) -> Option<&'m Value> {
    if map.len() > FEW {
        return map.get(key);
    }
    map.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The value of a key in a mapping, mutable.
pub fn entry_mut<'m>(map: &'m mut Map<String, Value>, key: &str) -> Option<&'m mut Value> {
    if map.len() > FEW {
        return map.get_mut(key);
    }
    map.iter_mut().find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The value of a key, if `value` is a mapping.
pub fn field<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    entry(value.as_object()?, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_mappings_give_what_they_have() {
        for size in [0, 1, FEW, FEW + 1] {
            let mut map: Map<String, Value> = (0..size).map(|n| (n.to_string(), n.into())).collect();
            for n in 0..size {
                assert_eq!(entry(&map, &n.to_string()), Some(&Value::from(n)));
                assert_eq!(entry_mut(&mut map, &n.to_string()), Some(&mut Value::from(n)));
            }
            assert_eq!((entry(&map, "x"), field(&Value::Object(map.clone()), "x")), (None, None));
            assert_eq!(entry_mut(&mut map, "x"), None);
        }
        assert_eq!(field(&Value::Null, "x"), None);
    }
}
