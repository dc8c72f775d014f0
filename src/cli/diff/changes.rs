//! The differences between two values, as a tree that follows their fields.

use serde_json::{Map, Value};

/// The fields that identify the items of a list, in the order in which they are tried.
const IDENTITIES: [&str; 10] =
    ["name", "containerPort", "port", "mountPath", "devicePath", "key", "ip", "type", "host", "path"];

/// The text in place of a secret value.
const HIDDEN: &str = "***";
/// The text in place of a secret value that the other side has too.
const SAME: &str = "*** (same)";
/// The text in place of a secret value if the other side has another.
const DIFFERENT: &str = "*** (different)";

/// A difference.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ValueChange {
    /// A value that replaces another, or that is added or removed.
    Value {
        /// The old value.
        before: Option<Value>,
        /// The new value.
        after: Option<Value>,
    },
    /// A text of several lines that replaces another.
    Text {
        /// The old text.
        before: String,
        /// The new text.
        after: String,
    },
    /// An unchanged value, which is shown so that it can be told from changed ones.
    Same(Value),
    /// Fields.
    Map(Vec<(String, Self)>),
    /// Items of a list.
    List(Vec<(ListItem, Self)>),
}

/// An item of a list that differs inside.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ListItem {
    /// The item whose field has this value.
    Known(&'static str, Value),
    /// The item at this index.
    At(usize),
}

/// The difference between two values; `None` if there is none.
pub(super) fn compare(before: &Value, after: &Value) -> Option<ValueChange> {
    if before == after {
        return None;
    }
    Some(match (before, after) {
        (Value::Object(before), Value::Object(after)) => ValueChange::Map(fields(before, after)),
        (Value::Array(before), Value::Array(after)) => ValueChange::List(items(before, after)),
        (Value::String(before), Value::String(after)) if before.contains('\n') || after.contains('\n') => {
            ValueChange::Text { before: before.clone(), after: after.clone() }
        }
        _ => ValueChange::Value { before: Some(before.clone()), after: Some(after.clone()) },
    })
}

fn fields(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<(String, ValueChange)> {
    let mut found = Vec::new();
    for (key, value) in before {
        let change = match after.get(key) {
            Some(after) => compare(value, after),
            None => Some(ValueChange::Value { before: Some(value.clone()), after: None }),
        };
        found.extend(change.map(|change| (key.clone(), change)));
    }
    for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        found.push((key.clone(), ValueChange::Value { before: None, after: Some(value.clone()) }));
    }
    found
}

fn items(before: &[Value], after: &[Value]) -> Vec<(ListItem, ValueChange)> {
    if let Some(key) = IDENTITIES.into_iter().find(|key| tells_apart(key, before) && tells_apart(key, after))
    {
        return known_items(key, before, after);
    }
    let is_map = |item: &Value| item.is_object();
    if before.len() == after.len() && before.iter().all(is_map) && after.iter().all(is_map) {
        let pairs = before.iter().zip(after).enumerate();
        return pairs.filter_map(|(at, (a, b))| Some((ListItem::At(at), compare(a, b)?))).collect();
    }
    let mut found = Vec::new();
    let texts = |items: &[Value]| items.iter().map(Value::to_string).collect::<Vec<_>>();
    for op in similar::capture_diff_slices(similar::Algorithm::Myers, &texts(before), &texts(after)) {
        if op.tag() == similar::DiffTag::Equal {
            continue;
        }
        for at in op.old_range() {
            found.push((
                ListItem::At(at),
                ValueChange::Value { before: Some(before[at].clone()), after: None },
            ));
        }
        for at in op.new_range() {
            found.push((
                ListItem::At(at),
                ValueChange::Value { before: None, after: Some(after[at].clone()) },
            ));
        }
    }
    found
}

/// Whether all items have a field whose value no other item has.
fn tells_apart(key: &str, items: &[Value]) -> bool {
    let values: Vec<&Value> = items.iter().filter_map(|item| item.get(key)).collect();
    let is_scalar = |value: &&Value| !value.is_object() && !value.is_array();
    values.len() == items.len()
        && values.iter().all(is_scalar)
        && values.iter().enumerate().all(|(at, value)| !values[..at].contains(value))
}

fn known_items(key: &'static str, before: &[Value], after: &[Value]) -> Vec<(ListItem, ValueChange)> {
    let mut found = Vec::new();
    let other =
        |items: &'_ [Value], item: &Value| items.iter().find(|other| other[key] == item[key]).cloned();
    for item in before {
        let change = match other(after, item) {
            Some(after) => compare(item, &after),
            None => Some(ValueChange::Value { before: Some(item.clone()), after: None }),
        };
        found.extend(change.map(|change| (ListItem::Known(key, item[key].clone()), change)));
    }
    for item in after.iter().filter(|item| other(before, item).is_none()) {
        let change = ValueChange::Value { before: None, after: Some(item.clone()) };
        found.push((ListItem::Known(key, item[key].clone()), change));
    }
    found
}

/// The difference between two objects whose values are secret. For a Secret the names and the labels are
/// shown, for another object with values of a Secret only the names of its fields.
pub(super) fn compare_hidden(before: &Value, after: &Value, is_secret: bool) -> Option<ValueChange> {
    if before == after {
        return None;
    }
    if !is_secret {
        let (before, after) = hide(Some(before), Some(after));
        return compare(&before?, &after?);
    }
    let (mut shown_before, mut shown_after) = (before.clone(), after.clone());
    for pointer in ["/data", "/stringData", "/metadata/annotations"] {
        let (before, after) = hide(before.pointer(pointer), after.pointer(pointer));
        for (shown, hidden) in [(&mut shown_before, before), (&mut shown_after, after)] {
            if let (Some(place), Some(hidden)) = (shown.pointer_mut(pointer), hidden) {
                *place = hidden;
            }
        }
    }
    let mut change = compare(&shown_before, &shown_after)?;
    // People want to know which values of a changed Secret stay.
    if let ValueChange::Map(fields) = &mut change {
        for (key, change) in
            fields.iter_mut().filter(|(key, _)| matches!(key.as_str(), "data" | "stringData"))
        {
            if let (ValueChange::Map(entries), Value::Object(kept)) = (change, &shown_after[key.as_str()]) {
                let same = kept.iter().filter(|(_, value)| **value == SAME);
                entries.extend(same.map(|(key, value)| (key.clone(), ValueChange::Same(value.clone()))));
            }
        }
    }
    Some(change)
}

/// Both sides with marks in place of their values.
fn hide(before: Option<&Value>, after: Option<&Value>) -> (Option<Value>, Option<Value>) {
    let is_whole = |value: Option<&Value>| !matches!(value, Some(Value::Object(_) | Value::Array(_)));
    match (before, after) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let (mut shown_a, mut shown_b) = (Map::new(), Map::new());
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let (a, b) = hide(a.get(key), b.get(key));
                shown_a.extend(a.map(|value| (key.clone(), value)));
                shown_b.extend(b.map(|value| (key.clone(), value)));
            }
            (Some(shown_a.into()), Some(shown_b.into()))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            let pairs = (0..a.len().max(b.len())).map(|at| hide(a.get(at), b.get(at)));
            let (a, b): (Vec<_>, Vec<_>) = pairs.unzip();
            let list = |items: Vec<Option<Value>>| Value::Array(items.into_iter().flatten().collect());
            (Some(list(a)), Some(list(b)))
        }
        (Some(a), Some(b)) if a == b => (Some(SAME.into()), Some(SAME.into())),
        (Some(_), Some(_)) if is_whole(before) && is_whole(after) => {
            (Some(HIDDEN.into()), Some(DIFFERENT.into()))
        }
        (before, after) => (before.map(hidden), after.map(hidden)),
    }
}

/// A value with a mark in place of each text and number in it.
pub(super) fn hidden(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), hidden(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(hidden).collect::<Vec<_>>().into(),
        _ => HIDDEN.into(),
    }
}

/// The changed fields by their paths, with both values; `null` stands for an absent one.
pub(super) fn flat(change: &ValueChange) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    flatten(change, String::new(), &mut found);
    found
}

fn flatten(change: &ValueChange, path: String, found: &mut Vec<(String, Value, Value)>) {
    match change {
        ValueChange::Same(_) => {}
        ValueChange::Value { before, after } => {
            found.push((path, before.clone().unwrap_or_default(), after.clone().unwrap_or_default()));
        }
        ValueChange::Text { before, after } => {
            found.push((path, before.clone().into(), after.clone().into()));
        }
        ValueChange::Map(fields) => {
            for (key, change) in fields {
                let path = match (path.as_str(), key.contains(['.', '/', '['])) {
                    (path, true) => format!("{path}[{key}]"),
                    ("", false) => key.clone(),
                    (path, false) => format!("{path}.{key}"),
                };
                flatten(change, path, found);
            }
        }
        ValueChange::List(items) => {
            for (item, change) in items {
                let path = match item {
                    ListItem::Known(key, value) => format!("{path}[{key}={}]", plain(value)),
                    ListItem::At(at) => format!("{path}[{at}]"),
                };
                flatten(change, path, found);
            }
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(before: &Value, after: &Value) -> Vec<String> {
        let change = compare(before, after);
        let flat = change.iter().flat_map(flat);
        flat.map(|(path, before, after)| format!("{path}: {before} → {after}")).collect()
    }

    #[test]
    fn fields_and_items_are_found_by_their_names() {
        let containers =
            |image: &str| json!([{"name": "log", "image": "l"}, {"name": "web", "image": image}]);
        for (before, after, expected) in [
            (json!({"a": 1}), json!({"a": 1}), &[][..]),
            (
                json!({"a": 1, "b": 2}),
                json!({"b": 3, "c": null}),
                &["a: 1 → null", "b: 2 → 3", "c: null → null"],
            ),
            (
                json!({"c": containers("w:1")}),
                json!({"c": containers("w:2")}),
                &["c[name=web].image: \"w:1\" → \"w:2\""],
            ),
            (
                json!([{"name": "a"}]),
                json!([{"name": "b"}, {"name": "a", "x": 1}]),
                &["[name=a].x: null → 1", "[name=b]: null → {\"name\":\"b\"}"],
            ),
            (json!([{"a": 1}, {"a": 1}]), json!([{"a": 1}, {"a": 2}]), &["[1].a: 1 → 2"]),
            (json!(["a", "b", "c"]), json!(["a", "c", "d"]), &["[1]: \"b\" → null", "[2]: null → \"d\""]),
            (json!({"m": {"a.io/b": "x"}}), json!({"m": {"a.io/b": "y"}}), &["m[a.io/b]: \"x\" → \"y\""]),
            (json!({"a": 1}), json!({"a": "1"}), &["a: 1 → \"1\""]),
        ] {
            assert_eq!(paths(&before, &after), expected);
        }
    }

    #[test]
    fn of_a_secret_only_names_are_shown_and_what_is_the_same() {
        let before = json!({"data": {"kept": "a2VwdA==", "old": "b2xk", "gone": "Z29uZQ=="}, "type": "Opaque",
                            "metadata": {"annotations": {"note": "canary"}}});
        let after = json!({"data": {"kept": "a2VwdA==", "old": "bmV3", "new": "bmV3"}, "type": "x.io/y",
                           "metadata": {"annotations": {"note": "canary2"}}});
        let change = compare_hidden(&before, &after, true).unwrap();
        let text = format!("{change:?}");
        for value in ["a2VwdA==", "b2xk", "bmV3", "Z29uZQ==", "canary"] {
            assert!(!text.contains(value), "{value}: {text}");
        }
        let told: Vec<String> =
            flat(&change).into_iter().map(|(path, a, b)| format!("{path}: {a} → {b}")).collect();
        assert_eq!(
            told,
            [
                "data.old: \"***\" → \"*** (different)\"",
                "data.gone: \"***\" → null",
                "data.new: null → \"***\"",
                "type: \"Opaque\" → \"x.io/y\"",
                "metadata.annotations.note: \"***\" → \"*** (different)\"",
            ]
        );
        assert!(text.contains("(\"kept\", Same(String(\"*** (same)\")))"), "{text}");
    }

    #[test]
    fn of_what_holds_a_value_of_a_secret_nothing_is_shown() {
        let before = json!({"spec": {"args": ["a", "canary-1"], "replicas": 1}});
        let after = json!({"spec": {"args": ["a", "canary-2"], "replicas": 2, "env": {"x": "canary-3"}}});
        let change = compare_hidden(&before, &after, false).unwrap();
        let text = format!("{change:?}");
        assert!(!text.contains("canary") && text.contains("*** (different)"), "{text}");
        assert_eq!(compare_hidden(&after, &after, false), None);
    }
}
