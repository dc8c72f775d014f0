//! What `toYaml`, `toJson` and `toToml` print reads back as what it was, by lockgate and by the real engine.

use serde_json::{Map, Value, json};

use super::{Helm, difference, ours};
use crate::oracle::random::Random;
use crate::oracle::{cases, seed};

const TEXTS: &[&str] = &[
    "",
    "a",
    "yes",
    "null",
    "~",
    "0644",
    "1_000",
    "1e3",
    "12:30",
    "2001-01-01",
    "a: b",
    "a #b",
    "- a",
    "'x'",
    "\"x\"",
    " a ",
    "a\n",
    "\na\n\n",
    " a\n b",
    "a\tb",
    "\u{1}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}a",
    "é",
    "😀",
    "{x}",
    "[x]",
    "*a",
    "&a",
    "!a",
    "|",
    "%",
    "@",
    "=",
    "word word word word word word word word word word word word word word word word word word",
];

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth > 3 { 6 } else { 9 }) {
        0 => json!(random.below(2) == 0),
        1 => random
            .pick(&[
                json!(0),
                json!(1.5),
                json!(-1),
                json!(1e21),
                json!(1e-7),
                json!(1_234_567.5),
                json!(1e20),
            ])
            .clone(),
        2..=5 => json!(random.pick(TEXTS)),
        6 => (0..random.below(4)).map(|_| value(random, depth + 1)).collect(),
        _ => (0..random.below(5))
            .map(|_| ((*random.pick(TEXTS)).to_owned(), value(random, depth + 1)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

#[test]
fn what_is_printed_reads_back_as_what_it_was() {
    let mut helm = Helm::start();
    let mut random = Random::new(seed());
    let mut differences = Vec::new();
    for _ in 0..cases(1500) {
        let values = json!({"v": value(&mut random, 0)});
        let plain = ours(b"{{ dict \"v\" .Values.v \"z\" 1 | toJson }}", &values);
        for way in
            ["toYaml | fromYaml", "toJson | fromJson", "toPrettyJson | fromYaml", "toYamlPretty | fromYaml"]
        {
            let template = format!("{{{{ dict \"v\" .Values.v \"z\" 1 | {way} | toJson }}}}");
            differences.extend(difference(&mut helm, template.as_bytes(), &values));
            let read = ours(template.as_bytes(), &values);
            if read != plain {
                differences.push(format!("{template} of {values}: {read:?}, not {plain:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(12)].join("\n"));
}
