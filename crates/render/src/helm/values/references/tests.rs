//! The winner where inline values and references write to one place, as probed with Flux's own code.

use serde_json::json;

use super::super::origin::Origins;
use super::*;
use crate::helm::context::{NoCluster, Now, RenderContext};
use crate::helm::funcs::function;
use crate::helm::value::Args;

/// A reference: a target path or none, and the data.
type Given<'t> = (&'t str, &'t str);

fn json_of(map: Map) -> String {
    let mut context = RenderContext::new(Now::default(), [0; 32], &NoCluster);
    let printer = function("toJson").unwrap();
    let text = (printer.run)(&mut context, Args::new(&[Value::Map(map)])).unwrap();
    text.as_str().unwrap().lossy().into_owned()
}

fn resolved(inline: &str, given: &[Given<'_>], literal: bool) -> Result<String, String> {
    let inline = first_document(inline, Dialect::V2).unwrap().value;
    let references: Vec<ValuesReference> = given
        .iter()
        .enumerate()
        .map(|(at, (path, _))| ValuesReference {
            kind: "ConfigMap".into(),
            name: at.to_string(),
            key: Some("k".into()),
            target_path: (*path).into(),
            literal,
            ..ValuesReference::default()
        })
        .collect();
    let find = |_: &str, name: &str| {
        let (_, data) = given[name.parse::<usize>().unwrap()];
        Some(BTreeMap::from([("k".to_owned(), data.as_bytes().to_vec())]))
    };
    resolve(&inline, &references, "apps", &find, &mut Origins::default())
        .map(json_of)
        .map_err(|error| error.text())
}

#[test]
fn who_wins_is_decided_by_which_maps_are_shared() {
    let cases: [(&str, &[Given<'_>], &str); 16] = [
        ("a: {b: i}", &[("a.b", "ref")], r#"{"a":{"b":"ref"}}"#),
        ("a: i", &[("a", "ref")], r#"{"a":"i"}"#),
        ("a: {b: {c: i, d: 1}}", &[("a.b.c", "ref")], r#"{"a":{"b":{"c":"ref","d":1}}}"#),
        ("l: [i, j]", &[("l[0]", "one"), ("l[1]", "two")], r#"{"l":["one","two"]}"#),
        ("l: [i]", &[("l[0]", "one"), ("l[1]", "two")], r#"{"l":["one"]}"#),
        ("l: [i, j]", &[("l", "{x,y}")], r#"{"l":["i","j"]}"#),
        ("a: {b: i}", &[("", "a: {x: 1}"), ("a.b", "ref")], r#"{"a":{"b":"i","x":1}}"#),
        ("a: {m: {b: i}}", &[("", "a: {x: 1}"), ("a.m.b", "ref")], r#"{"a":{"m":{"b":"ref"},"x":1}}"#),
        ("a: {b: i, c: i}", &[("a.b", "one"), ("a.c", "two")], r#"{"a":{"b":"one","c":"i"}}"#),
        ("a: {x: i}", &[("a.b", "one"), ("a.c", "two")], r#"{"a":{"b":"one","c":"two","x":"i"}}"#),
        ("a: {b: i}", &[("z", "one"), ("a.b", "two")], r#"{"a":{"b":"i"},"z":"one"}"#),
        ("{}", &[("a.b", "one"), ("", "a: {b: two}")], r#"{"a":{"b":"two"}}"#),
        ("{}", &[("", "a: {b: two, c: 3}"), ("a.b", "one")], r#"{"a":{"b":"one","c":3}}"#),
        ("a: {b: null}", &[("", "a: {b: two, c: 1}")], r#"{"a":{"b":null,"c":1}}"#),
        ("{}", &[("a", "x,b=y")], r#"{"a":"x","b":"y"}"#),
        (
            "{}",
            &[("a", "1"), ("b", "'1'"), ("c", "0123"), ("d", "null"), ("e", "\"'x'\""), ("f\\.g", "t\n")],
            "{\"a\":1,\"b\":\"1\",\"c\":\"0123\",\"d\":null,\"e\":\"x\",\"f.g\":\"t\\n\"}",
        ),
    ];
    for (inline, given, expected) in cases {
        assert_eq!(resolved(inline, given, false).as_deref(), Ok(expected), "{inline} {given:?}");
    }
    let text = r#"{"x": [1, 2]} a=b\c, d"#;
    let expected = json!({"a": text}).to_string();
    assert_eq!(resolved("{}", &[("a", text)], true), Ok(expected));
}

#[test]
fn failures_are_worded_as_fluxs() {
    let error = |given: &[Given<'_>]| resolved("{}", given, false).unwrap_err();
    let prefix = "could not resolve ConfigMap chart values reference 'apps/0' with key 'k': ";
    assert_eq!(error(&[("a", "x,y")]), format!("{prefix}key \"y\" has no value"));
    let list = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type \
                common.Values";
    assert_eq!(error(&[("", "[1]")]), format!("{prefix}{list}"));
    let missing = ValuesReference { kind: "Secret".into(), name: "n".into(), ..ValuesReference::default() };
    let resolve_one = |reference: &ValuesReference, found: bool| {
        let find = |_: &str, _: &str| found.then(BTreeMap::new);
        resolve(&json!({}), std::slice::from_ref(reference), "apps", &find, &mut Origins::default())
            .map(|map| map.len())
    };
    let text = |found| resolve_one(&missing, found).unwrap_err().text();
    let prefix = "could not resolve Secret chart values reference 'apps/n' with key 'values.yaml': ";
    assert_eq!(text(false), format!("{prefix}secrets \"n\" not found"));
    assert_eq!(text(true), format!("{prefix}key not found"));
    let optional = ValuesReference { optional: true, ..missing };
    assert_eq!(resolve_one(&optional, false).unwrap(), 0);
    assert_eq!(resolve_one(&optional, true).unwrap(), 0);
}
