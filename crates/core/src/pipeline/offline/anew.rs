//! Values that a chart makes anew at each render: passwords, certificates, times, and the checksums of these.
//! They are found by two renders whose chance and time differ, and marked, so that they are no difference
//! between two versions of a chart.

use serde_json::Value;

use crate::pipeline::Chance;
use lockgate_base::model::Object;
use lockgate_render::RenderedObject;
use lockgate_render::helm::context::Now;

/// What stands for a value that is made anew at each render.
pub const ANEW: &str = "(made anew at each render)";

/// The chances of two renders. No part of the times is the same.
pub(super) const TWO: [Chance; 2] = [
    Chance { entropy: [0x5a; 32], now: Now { seconds: 1_000_000_000, nanoseconds: 1 } },
    Chance { entropy: [0xa5; 32], now: Now { seconds: 1_123_456_789, nanoseconds: 987_654_321 } },
];

/// Marks what differs between two renders. Returns a line for each marked value.
pub(super) fn mark<'a>(
    one: impl Iterator<Item = &'a mut RenderedObject>,
    other: impl Iterator<Item = &'a RenderedObject>,
) -> Vec<String> {
    let mut told = Vec::new();
    for (one, other) in one.zip(other) {
        let mut found = Vec::new();
        let marked = marked(one.object.value(), other.object.value(), String::new(), &mut found);
        if found.is_empty() {
            continue;
        }
        // A chart may print the kind or the name anew too; then the object stays as it is.
        if let Ok(object) = Object::parse(marked) {
            one.object = object;
        }
        let subject = one.object.id().subject();
        told.extend(found.into_iter().map(|path| format!("{subject} {path}")));
    }
    told
}

/// A value with the mark wherever another one differs from it, and the paths of the marks.
fn marked(one: &Value, other: &Value, path: String, found: &mut Vec<String>) -> Value {
    match (one, other) {
        _ if one == other => one.clone(),
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            let field = |(key, value): (&String, &Value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                (key.clone(), marked(value, &other[key], path, found))
            };
            Value::Object(one.iter().map(field).collect())
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let item = |(at, (one, other)): (usize, (&Value, &Value))| {
                marked(one, other, format!("{path}[{at}]"), found)
            };
            Value::Array(one.iter().zip(other).enumerate().map(item).collect())
        }
        (Value::String(one), Value::String(other)) => {
            found.push(path);
            Value::String(lines(one, other))
        }
        _ => {
            found.push(path);
            ANEW.into()
        }
    }
}

/// A text with the mark in place of each line that differs; of a text that has other lines altogether the
/// mark alone.
fn lines(one: &str, other: &str) -> String {
    if one.lines().count() < 2 || one.lines().count() != other.lines().count() {
        return ANEW.to_owned();
    }
    let line = |(one, other): (&str, &str)| if one == other { one.to_owned() } else { ANEW.to_owned() };
    let mut lines: Vec<String> = one.lines().zip(other.lines()).map(line).collect();
    // A key or a certificate is one value, however many lines it has.
    lines.dedup_by(|next, before| next == ANEW && before == ANEW);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn built(value: Value) -> RenderedObject {
        RenderedObject { object: Object::parse(value).unwrap(), origin: String::new(), holds_secret: false }
    }

    #[test]
    fn what_differs_is_marked_and_what_stands_around_it_stays() {
        let secret = |password: &str, key: &str| {
            built(json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"},
                "stringData": {"user": "admin", "password": password,
                               "file": format!("host: db\npassword: {password}\n-- {key}\n-- {key}b\nport: 1\n")},
                "list": [1, password],
            }))
        };
        let (mut one, other) = (secret("aaaa", "k"), secret("bbbb", "l"));
        let told = mark(std::iter::once(&mut one), std::iter::once(&other));
        assert_eq!(
            told,
            ["Secret/n/s stringData.password", "Secret/n/s stringData.file", "Secret/n/s list[1]"]
        );
        let value = one.object.value();
        assert_eq!(value["stringData"]["user"], "admin");
        assert_eq!(value["stringData"]["password"], ANEW);
        assert_eq!(value["stringData"]["file"], format!("host: db\n{ANEW}\nport: 1"));
        assert_eq!(value["list"], json!([1, ANEW]));
    }

    #[test]
    fn what_is_the_same_is_left_and_another_shape_is_one_value() {
        let map = |data: Value| {
            built(json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "d": data}))
        };
        let mut same = map(json!({"a": 1}));
        assert!(mark(std::iter::once(&mut same), std::iter::once(&map(json!({"a": 1})))).is_empty());
        let mut one = map(json!({"a": {"x": 1}, "b": 2}));
        let told = mark(std::iter::once(&mut one), std::iter::once(&map(json!({"a": {"y": 1}, "b": 3}))));
        assert_eq!(told, ["X/x d.a", "X/x d.b"]);
        assert_eq!(one.object.value()["d"], json!({"a": ANEW, "b": ANEW}));
    }
}
