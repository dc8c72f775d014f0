//! Random text with variables, replaced by lockgate and by the code of Flux's kustomize-controller.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_base::model::Object;
use lockgate_base::model::yaml::to_string;
use lockgate_render::substitute::substitute;
use lockgate_render::{Budget, Variables};
use serde_json::{Value, json};

use super::random::Random;
use super::{Oracle, cases, seed};

/// Pieces of text and of expressions.
const PIECES: &[&str] = &[
    "$", "${", "}", "${A}", "${E}", "${M}", "${N}", "${P}", "${Q}", "${A", "A", "P", "M", ":=", ":-", ":+",
    ":?", "=", "-", ":", "1", "2", "-1", "/", "//", "/#", "/%", "#", "##", "%", "%%", "^", "^^", ",", ",,",
    "*", "*.", ".*", "?", "[a-c]", "[", "l", "a", "he", "o", ".", " ", "\\", "x y", "d", "é", "$$", "${#",
    "${A:=", "${M:=", "${A/", "${P#", "${P%", "${A:", "${A^", "\n", "'", "\"", ": ", "{", "$(A)", "yes",
    "12",
];

const VALUES: &[(&str, &str)] = &[
    ("A", "hello"),
    ("E", ""),
    ("P", "a.b.c"),
    ("N", "12"),
    ("Q", "it's \"x\": {y}"),
    ("U", "éß"),
    ("Y", "yes"),
];

/// One expression that is probably well formed.
fn expression(random: &mut Random) -> String {
    let name = random.pick(&["A", "E", "M", "P", "N", "Q", "U", "Y"]).to_string();
    let word = match random.below(8) {
        0 => format!("${{{}}}", random.pick(&["A", "P", "M", "N"])),
        1 => String::new(),
        _ => random
            .pick(&["l", "he", "*.", "x y", "1", "a/b", "?", ".*", "[a-h]", "lo", "c", "$$", "\\/"])
            .to_string(),
    };
    match random.below(12) {
        0 => format!("${{{name}}}"),
        1 => format!("${{#{name}}}"),
        2 => format!("${{{name}{}}}", random.pick(&["^", "^^", ",", ",,", "^,"])),
        3 => format!("${{{name}:{}}}", random.pick(&["0", "1", "9", "-2", " -2", "x", ""])),
        4 => format!(
            "${{{name}:{}:{}}}",
            random.pick(&["0", "1", "-2", "9"]),
            random.pick(&["0", "1", "2", "99", "x"])
        ),
        5 | 6 => format!("${{{name}{}{word}}}", random.pick(&[":=", ":-", ":+", ":?", "=", "-", "+", "?"])),
        7 | 8 => format!(
            "${{{name}{}{word}/{}}}",
            random.pick(&["/", "//", "/#", "/%"]),
            random.pick(&["", "R", "${A}"])
        ),
        9 | 10 => format!("${{{name}{}{word}}}", random.pick(&["#", "##", "%", "%%"])),
        _ => format!("$${{{name}}}"),
    }
}

fn text(random: &mut Random) -> String {
    match random.below(5) {
        0 => (0..random.below(7)).map(|_| random.pick(PIECES).to_string()).collect(),
        1 => format!("{}{}", random.pick(PIECES), expression(random)),
        2 => format!(
            "{} {}{}",
            expression(random),
            expression(random),
            random.pick(&["", ": x", " # y", "\nline\n", "'"])
        ),
        _ => expression(random),
    }
}

#[test]
fn variables_are_replaced_as_flux_replaces_them() {
    let mut oracle = Oracle::start();
    let mut random = Random::new(seed());
    let values: BTreeMap<String, String> =
        VALUES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (count, mut accepted, mut differences) = (cases(2000), 0, Vec::new());
    for _ in 0..count {
        let strict = random.one_in(2);
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "annotations": {"n": "x"}},
            "data": {"k": text(&mut random), "z": "after / slash"},
        });
        let arguments = json!({"text": to_string(&object), "variables": values, "strict": strict});
        let theirs = oracle.ask("substitute", arguments).map(|mut documents| documents.remove(0));
        let variables = Variables::new(values.clone(), BTreeSet::new(), strict).expect("the names are good");
        let parsed = Object::parse(object.clone()).expect("it is an object");
        let ours = substitute(&parsed, &variables, &Budget::default())
            .map(|substituted| substituted.object.into_value());
        accepted += usize::from(theirs.is_ok());
        let same = match (&theirs, &ours) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            (Err(_), Err(_)) => true,
            // lockgate refuses here a text that is no object any more, and Flux refuses it later. Only
            // lockgate refuses half a character.
            (Ok(theirs), Err(_)) => {
                Object::parse(theirs.clone()).is_err()
                    || theirs.to_string().contains(char::REPLACEMENT_CHARACTER)
            }
            (Err(_), Ok(_)) => false,
        };
        if !same {
            differences.push(describe(&object, strict, &theirs, &ours.map_err(|error| error.to_string())));
        }
    }
    println!("{count} texts, {accepted} of them accepted by Flux, {} differences", differences.len());
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(15)].join("\n"));
    assert!(accepted * 3 > count, "only {accepted} of {count} texts can be replaced");
}

fn describe(
    object: &Value,
    strict: bool,
    theirs: &Result<Value, String>,
    ours: &Result<Value, String>,
) -> String {
    let text = |result: &Result<Value, String>| match result {
        Ok(value) => value["data"].to_string(),
        Err(error) => error.clone(),
    };
    format!(
        "{} strict={strict}\n  Flux:     {}\n  lockgate: {}",
        object["data"]["k"],
        text(theirs),
        text(ours)
    )
}
