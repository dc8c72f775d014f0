//! The output of `toYaml`, `toJson` and `toToml` reads back as the same value, by lockgate and by the real
//! engine.

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

/// Pieces of which documents are made.
const PIECES: &[&str] = &[
    "a",
    "b",
    "c.d",
    "a.b",
    "\"q\"",
    "'r s'",
    " = ",
    "=",
    " ",
    "\n",
    "\n\n",
    "\t",
    "[",
    "]",
    "[[",
    "]]",
    "[a]\n",
    "[a.b]\n",
    "[[a]]\n",
    "[[a.b]]\n",
    "{",
    "}",
    ", ",
    ",",
    ".",
    "#",
    "# c\n",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\\",
    "\\n",
    "\\u00e9",
    "\\q",
    "1",
    "-1",
    "+0",
    "0x1f",
    "0b1",
    "1_0",
    "1.5",
    "1e3",
    "inf",
    "nan",
    "true",
    "false",
    "x",
    "é",
    "\u{1}",
    "\r\n",
    "1979-05-27",
    "T07:32:00",
    "Z",
    "07:32",
    "a = 1\n",
    "b = \"x\"\n",
    "c = [1, 2]\n",
    "a = {b = 1}\n",
    "b = [{a = 1}]\n",
    "a.b = {c = [{d = 1}, {d = 2}]}\n",
];

#[test]
fn random_toml_is_read_and_refused_as_by_gos_library() {
    let mut helm = Helm::start();
    let mut random = Random::new(seed());
    let (mut read, mut differences) = (0, Vec::new());
    for _ in 0..cases(3000) {
        let text: String = (0..=random.below(12)).map(|_| *random.pick(PIECES)).collect();
        let template = b"{{ $t := fromToml .Values.t }}{{ printf \"%#v\" $t }}{{ if not $t.Error }}{{ toToml $t }}{{ end }}";
        let values = json!({"t": text});
        let printed = ours(template, &values).unwrap_or_default();
        read += usize::from(!printed.windows(5).any(|at| at == b"Error"));
        differences.extend(difference(&mut helm, template, &values).map(|told| format!("{text:?}\n{told}")));
    }
    println!("{read} documents were read");
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(12)].join("\n"));
}
