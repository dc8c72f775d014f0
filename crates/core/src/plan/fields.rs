//! Sets of fields, in the notation of `fieldsV1` in `metadata.managedFields`.
//!
//! A key is a step: `f:` leads to a field by its name, `k:` to an item of a list by its keys, `v:` to an item
//! by its value, and `i:` to an item by its index. An empty node is the field itself. A node with children
//! stands for the children, and for the field itself only if it contains `.`.

use serde_json::{Map, Value};

/// A set of fields, or a node of one.
pub(super) type Fields = Map<String, Value>;

/// The key that a node with children has if it stands for the field itself as well.
const ITSELF: &str = ".";

/// The fields of an entry of `metadata.managedFields`; `None` if it has none.
pub(super) fn of(entry: &Value) -> Option<&Fields> {
    entry.get("fieldsV1")?.as_object().filter(|fields| !fields.is_empty())
}

/// The part of the set below a path of steps; `None` if no field there is in the set.
pub(super) fn below<'f>(fields: &'f Fields, path: &[&str]) -> Option<&'f Fields> {
    path.iter().try_fold(fields, |fields, step| fields.get(*step)?.as_object())
}

/// Whether the field at a path, or anything below it, is in the set.
pub(super) fn reach(fields: &Fields, path: &[&str]) -> bool {
    below(fields, path).is_some()
}

/// The fields of both sets.
pub(super) fn union(mut one: Fields, other: &Fields) -> Fields {
    for (step, theirs) in other.iter().filter(|(step, _)| *step != ITSELF) {
        let node = match (one.shift_remove(step), theirs) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => {
                let itself = is_itself(&ours) || is_itself(theirs);
                node(itself, union(children(&ours), &children(theirs))).unwrap_or_default()
            }
            (_, theirs) => theirs.clone(),
        };
        one.insert(step.clone(), node);
    }
    one
}

/// The fields of `one` that are not in `other`.
pub(super) fn difference(one: &Fields, other: &Fields) -> Fields {
    let mut left = Fields::new();
    for (step, ours) in one.iter().filter(|(step, _)| *step != ITSELF) {
        let node = match (ours, other.get(step)) {
            (Value::Object(ours), Some(Value::Object(theirs))) => {
                let itself = is_itself(ours) && !is_itself(theirs);
                node(itself, difference(ours, theirs))
            }
            (ours, _) => Some(ours.clone()),
        };
        left.extend(node.map(|node| (step.clone(), node)));
    }
    left
}

/// The fields that are in both sets.
pub(super) fn intersection(one: &Fields, other: &Fields) -> Fields {
    difference(one, &difference(one, other))
}

/// Splits the set in two: the fields for whose paths `is_apart` returns true, with all below them, and the
/// other fields. A map that exists only for fields of the first set goes with them.
pub(super) fn parted(fields: &Fields, is_apart: &dyn Fn(&[&str]) -> bool) -> (Fields, Fields) {
    parted_below(fields, &mut Vec::new(), is_apart)
}

fn parted_below<'f>(
    fields: &'f Fields,
    path: &mut Vec<&'f str>,
    is_apart: &dyn Fn(&[&str]) -> bool,
) -> (Fields, Fields) {
    let (mut apart, mut rest) = (Fields::new(), Fields::new());
    for (step, node) in fields.iter().filter(|(step, _)| *step != ITSELF) {
        path.push(step);
        match node {
            _ if is_apart(path) => {
                apart.insert(step.clone(), node.clone());
            }
            Value::Object(children) if !children.is_empty() => {
                let halves = parted_below(children, path, is_apart);
                for (half, below) in [(&mut apart, halves.0), (&mut rest, halves.1)] {
                    if !below.is_empty() {
                        half.insert(step.clone(), below.into());
                    }
                }
            }
            _ => {
                rest.insert(step.clone(), node.clone());
            }
        }
        path.pop();
    }
    if let Some(itself) = fields.get(ITSELF) {
        let half = if rest.is_empty() && !apart.is_empty() { &mut apart } else { &mut rest };
        half.insert(ITSELF.into(), itself.clone());
    }
    (apart, rest)
}

/// The fields of the set that exist in a value.
pub(super) fn present(fields: &Fields, value: &Value) -> Fields {
    let mut there = Fields::new();
    for (step, child) in fields.iter().filter(|(step, _)| *step != ITSELF) {
        let Some((child, value)) = child.as_object().zip(follow(step, value)) else { continue };
        let node = node(is_itself(child), present(child, value));
        there.extend(node.map(|node| (step.clone(), node)));
    }
    there
}

/// The part of a value that a step leads to; `None` if there is none.
pub(super) fn follow<'v>(step: &str, value: &'v Value) -> Option<&'v Value> {
    let (kind, name) = step.split_once(':')?;
    match kind {
        "f" => value.get(name),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(name).ok()?;
            // The server completes keys by defaults, so an item that lacks a key may still match.
            let fits =
                |item: &&Value| keys.iter().all(|(key, value)| item.get(key).is_none_or(|has| has == value));
            value.as_array()?.iter().find(fits)
        }
        "v" => {
            let wanted: Value = serde_json::from_str(name).ok()?;
            value.as_array()?.iter().find(|item| **item == wanted)
        }
        "i" => value.as_array()?.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Removes the fields of a set from a value, as far as `desired` does not have them.
pub(super) fn strip(fields: &Fields, desired: &Value, value: &mut Value) {
    for (step, child) in fields {
        match (follow(step, desired), child) {
            (Some(desired), Value::Object(child)) => {
                if let Some(value) = follow_mut(step, value) {
                    strip(child, desired, value);
                }
            }
            (Some(_), _) => {}
            (None, _) => take_off(step, value),
        }
    }
}

/// A mutable [`follow`].
fn follow_mut<'v>(step: &str, value: &'v mut Value) -> Option<&'v mut Value> {
    if let Some(name) = step.strip_prefix("f:") {
        return value.get_mut(name);
    }
    let found = follow(step, value)?.clone();
    value.as_array_mut()?.iter_mut().find(|item| **item == found)
}

/// Removes the part of a value that a step leads to.
fn take_off(step: &str, value: &mut Value) {
    let found = follow(step, value).cloned();
    match (step.strip_prefix("f:"), value) {
        (Some(name), Value::Object(fields)) => _ = fields.shift_remove(name),
        (None, Value::Array(items)) => items.retain(|item| Some(item) != found.as_ref()),
        _ => {}
    }
}

fn is_itself(node: &Fields) -> bool {
    node.is_empty() || node.contains_key(ITSELF)
}

fn children(node: &Fields) -> Fields {
    node.iter().filter(|(step, _)| *step != ITSELF).map(|(step, node)| (step.clone(), node.clone())).collect()
}

/// A node from its parts; `None` if it would be empty.
fn node(itself: bool, mut children: Fields) -> Option<Value> {
    if children.is_empty() && !itself {
        return None;
    }
    if itself && !children.is_empty() {
        children.insert(ITSELF.into(), Map::new().into());
    }
    Some(children.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(value: Value) -> Fields {
        let Value::Object(fields) = value else { panic!("{value} is no set") };
        fields
    }

    #[test]
    fn sets_are_united_parted_and_cut() {
        let one = set(json!({"f:a": {}, "f:m": {".": {}, "f:x": {}, "f:y": {}}, "f:l": {"k:{\"n\":1}": {}}}));
        let other = set(json!({"f:m": {"f:y": {}, "f:z": {}}, "f:l": {}, "f:b": {}}));
        assert_eq!(
            Value::from(union(one.clone(), &other)),
            json!({"f:a": {}, "f:m": {".": {}, "f:x": {}, "f:y": {}, "f:z": {}},
                   "f:l": {".": {}, "k:{\"n\":1}": {}}, "f:b": {}})
        );
        assert_eq!(
            Value::from(difference(&one, &other)),
            json!({"f:a": {}, "f:m": {".": {}, "f:x": {}}, "f:l": {"k:{\"n\":1}": {}}})
        );
        assert_eq!(Value::from(intersection(&one, &other)), json!({"f:m": {"f:y": {}}}));
        assert!(intersection(&set(json!({"f:m": {"f:x": {}}})), &set(json!({"f:m": {}}))).is_empty());
        let (apart, rest) = parted(&one, &|path| path == ["f:m", "f:x"] || path == ["f:l"]);
        assert_eq!(Value::from(apart), json!({"f:m": {"f:x": {}}, "f:l": {"k:{\"n\":1}": {}}}));
        assert_eq!(Value::from(rest), json!({"f:a": {}, "f:m": {"f:y": {}, ".": {}}}));
    }

    #[test]
    fn what_git_does_not_have_is_taken_off() {
        let fields = set(json!({"f:spec": {".": {}, "f:replicas": {}, "f:paused": {},
            "f:ports": {"k:{\"port\":80}": {".": {}, "f:name": {}, "f:extra": {}}, "k:{\"port\":81}": {}},
            "f:names": {"v:\"x\"": {}, "v:\"y\"": {}}}}));
        let desired =
            json!({"spec": {"replicas": 2, "ports": [{"port": 80, "name": "http"}], "names": ["x"]}});
        let mut value = json!({"spec": {"replicas": 2, "paused": true, "others": 1, "names": ["x", "y"],
            "ports": [{"port": 80, "name": "http", "extra": 1}, {"port": 81}]}});
        strip(&fields, &desired, &mut value);
        assert_eq!(
            value,
            json!({"spec": {"replicas": 2, "others": 1, "names": ["x"], "ports": [{"port": 80, "name": "http"}]}})
        );
    }

    #[test]
    fn only_what_is_there_is_present() {
        let value = json!({"spec": {"a": 1, "ports": [{"port": 80, "name": "http"}], "names": ["x"]}});
        let fields = set(json!({"f:spec": {".": {}, "f:a": {}, "f:gone": {},
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:nodePort": {}},
                        "k:{\"port\":81}": {}},
            "f:names": {"v:\"x\"": {}, "v:\"y\"": {}, "i:0": {}, "i:1": {}}}, "f:status": {"f:b": {}}}));
        assert_eq!(
            Value::from(present(&fields, &value)),
            json!({"f:spec": {"f:a": {}, "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:name": {}, ".": {}}},
                   "f:names": {"v:\"x\"": {}, "i:0": {}}, ".": {}}})
        );
    }
}
