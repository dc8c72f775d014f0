//! Templates written by hand, one for each rule of the parser and the executor.

use serde_json::Value as Json;

use super::super::helm::Helm;
use super::{Case, deep, difference, ours, theirs};

/// The files of cases. A file begins with a line of values; a line `## name` begins a case, and a line `--
/// path` adds a further template to it.
const FILES: [(&str, &str); 3] = [
    ("parser", include_str!("rules/parser.txt")),
    ("executor", include_str!("rules/executor.txt")),
    ("errors", include_str!("rules/errors.txt")),
];

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (file, text) in FILES {
        let (values, rest) = text.split_once('\n').expect("the first line holds the values");
        let values: Json = serde_json::from_str(values).expect("the first line is JSON");
        for part in rest.split("\n## ").skip(1) {
            let (name, body) = part.split_once('\n').expect("a case has a body");
            let mut case =
                Case { name: format!("{file}: {name}"), values: values.clone(), ..Case::default() };
            let mut path = "templates/a.yaml";
            for (at, piece) in body.split("\n-- ").enumerate() {
                let text = if at == 0 {
                    piece
                } else {
                    let (name, text) = piece.split_once('\n').expect("a template has a text");
                    path = name;
                    text
                };
                case.templates.insert(path.to_owned(), text.as_bytes().to_vec());
            }
            cases.push(case);
        }
    }
    cases
}

#[test]
fn each_rule_of_templates_is_gos() {
    deep(|| {
        let mut helm = Helm::start();
        let cases = cases();
        let differences: Vec<String> =
            cases.iter().filter_map(|case| difference(case, &theirs(&mut helm, case), &ours(case))).collect();
        println!("{} cases, {} differences", cases.len(), differences.len());
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    });
}
