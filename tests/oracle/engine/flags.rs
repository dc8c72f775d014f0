//! Random flags and random schemas of charts: the resulting values, and the refusals.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::super::random::Random;
use super::super::{cases, seed};
use super::charts::{ChartCase, differing, random_values};
use super::deep;

/// Renders charts with both, and fails for those that differ.
fn hold(what: &str, charts: impl Iterator<Item = ChartCase>) {
    let (mut count, mut printed, mut differences) = (0, 0, Vec::new());
    for case in charts {
        let (is_printed, difference) = differing(&case);
        printed += usize::from(is_printed);
        differences.extend(difference);
        count += 1;
    }
    println!("{count} {what}, {printed} of them printed by helm, {} differences", differences.len());
    assert!(printed > 0 && printed < count, "helm prints {printed} of {count}");
    differences.truncate(5);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A chart that prints its values.
fn chart(name: String, flags: Vec<String>, files: &[(&str, String)]) -> ChartCase {
    let fixed = [
        ("Chart.yaml", "{apiVersion: v2, name: demo, version: 1.0.0}".to_owned()),
        ("templates/a.yaml", "kind: A\n# {{ toJson .Values }}\n".to_owned()),
    ];
    let files = fixed.iter().chain(files).map(|(path, text)| ((*path).to_owned(), text.clone().into_bytes()));
    ChartCase { name, files: files.collect::<BTreeMap<_, _>>(), flags }
}

const SET: &[&str] = &[
    "a", "b", "l", "c.d", "a.b", "a.c[1]", "[0]", "[1]", "[3]", "=", "=", "=", "=x", "=1", ",", ",", ".",
    "{", "}", "={x,1}", "={}", "x", "1", "0", "-1", "true", "null", "=null", "\\,", "\\.", "\\", "\"", "'",
    " ", "0123", "1e3", "[", "]", "é", "", "1.5",
];
const JSON: &[&str] = &[
    "a",
    "l[1]",
    "a.b",
    "=",
    "=",
    "=1",
    "=\"x\"",
    "={\"b\":1}",
    "=[1,2]",
    "=null",
    ",",
    "{",
    "}",
    "{\"a\":1}",
    "x",
    " ",
    "[",
];

#[test]
fn random_flags_set_the_same_values() {
    deep(|| {
        let mut random = Random::new(seed());
        let values = "a: {b: 1, c: [1, {d: 2}]}\nl: [1, 2]\nc: {d: x}\n";
        let charts = (0..cases(80)).map(|at| {
            let mut flags = Vec::new();
            for _ in 0..=random.below(2) {
                let flag = *random.pick(&["--set", "--set", "--set", "--set-string", "--set-json"]);
                let pieces = if flag == "--set-json" { JSON } else { SET };
                let count = 2 + random.below(5);
                let text: String = (0..count).map(|_| *random.pick(pieces)).collect();
                flags.extend([flag.to_owned(), text]);
            }
            chart(format!("flags {at}: {flags:?}"), flags, &[("values.yaml", values.into())])
        });
        hold("charts with flags", charts.collect::<Vec<_>>().into_iter());
    });
}

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];
const KEYS: [&str; 4] = ["a", "b", "c", "one"];

fn key(random: &mut Random) -> String {
    (*random.pick(&KEYS)).to_owned()
}

fn schemas(random: &mut Random, depth: usize) -> Json {
    (0..=random.below(2)).map(|_| schema(random, depth)).collect()
}

fn by_key(random: &mut Random, depth: usize) -> Json {
    let entries = (0..=random.below(2)).map(|_| (key(random), schema(random, depth)));
    entries.collect::<Map<_, _>>().into()
}

fn schema(random: &mut Random, depth: usize) -> Json {
    let mut map = Map::new();
    for _ in 0..=random.below(2) {
        let (keyword, value) = keyword(random, depth);
        map.insert(keyword.to_owned(), value);
    }
    map.into()
}

fn keyword(random: &mut Random, depth: usize) -> (&'static str, Json) {
    const TYPES: [&str; 6] = ["string", "integer", "number", "object", "array", "null"];
    let number = json!(random.below(4));
    if depth == 0 || random.one_in(3) {
        return match random.below(16) {
            0 => ("type", json!(random.pick(&TYPES))),
            1 => ("type", json!(["null", random.pick(&TYPES[..5])])),
            2 => ("enum", json!([number, "text", null])),
            3 => ("const", number),
            4 => ("minimum", json!(random.below(10))),
            5 => ("maximum", json!(random.below(10))),
            6 => ("multipleOf", json!(1 + random.below(3))),
            7 => ("minLength", json!(random.below(7))),
            8 => ("maxLength", json!(random.below(7))),
            9 => ("pattern", json!(random.pick(&["^t", "x$", "[0-9]+"]))),
            10 => ("uniqueItems", json!(true)),
            11 => ("minItems", number),
            12 => ("maxItems", number),
            13 => ("required", json!([key(random)])),
            14 => ("minProperties", number),
            _ => ("maxProperties", number),
        };
    }
    let depth = depth - 1;
    match random.below(14) {
        0..3 => ("properties", by_key(random, depth)),
        3 => ("patternProperties", json!({"^[ab]": schema(random, depth)})),
        4 => ("additionalProperties", json!(false)),
        5 => ("additionalProperties", schema(random, depth)),
        6 => ("items", schema(random, depth)),
        7 => ("allOf", schemas(random, depth)),
        8 => ("anyOf", schemas(random, depth)),
        9 => ("oneOf", schemas(random, depth)),
        10 => ("not", schema(random, depth)),
        11 => ("contains", schema(random, depth)),
        12 => ("dependentRequired", json!({key(random): [key(random)]})),
        _ => ("$ref", json!("#/definitions/x")),
    }
}

#[test]
fn random_schemas_refuse_the_same_values() {
    deep(|| {
        let mut random = Random::new(seed());
        let charts = (0..cases(80)).map(|at| {
            let mut root = schema(&mut random, 3);
            root["definitions"] = json!({"x": schema(&mut random, 0)});
            if !random.one_in(3) {
                root["$schema"] = json!(random.pick(&DRAFTS));
            }
            let values = random_values(&mut random, 2).to_string();
            let files = [("values.yaml", values), ("values.schema.json", root.to_string())];
            chart(format!("schema {at}"), Vec::new(), &files)
        });
        hold("charts with schemas", charts.collect::<Vec<_>>().into_iter());
    });
}
