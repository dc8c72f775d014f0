//! Cases whose expected answers `UPDATE=1` rewrites, so that a reader can check the difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lockgate_base::model::yaml;
use serde_json::Value;

/// Whether that is asked for.
pub(super) fn is_wanted() -> bool {
    std::env::var_os("UPDATE").is_some()
}

/// Writes a table below this folder with other answers for some of its cases.
pub(super) fn table(file: &str, answers: &BTreeMap<usize, Vec<String>>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kustomize").join(file);
    let text = with_answers(&fs::read_to_string(&path).unwrap(), answers);
    fs::write(path, text).unwrap();
}

/// Writes the expected result of a probe: its documents, or its refusal.
pub(super) fn probe(probe: &Path, (document, refusal): (&str, &str), answer: &Result<Vec<Value>, String>) {
    let (written, removed, text) = match answer {
        Ok(values) => {
            let documents: Vec<String> = values.iter().map(yaml::to_string).collect();
            (document, refusal, documents.join("---\n"))
        }
        Err(message) => (refusal, document, format!("{message}\n")),
    };
    fs::write(probe.join(written), text).unwrap();
    // Only where the answer is of the other sort now.
    let _ = fs::remove_file(probe.join(removed));
}

/// The table with other lines for the answers of some cases, which are counted from 0. The answer of a case
/// is its lines that begin with `>> `, or the line `>!`.
fn with_answers(table: &str, answers: &BTreeMap<usize, Vec<String>>) -> String {
    let (mut text, mut cases): (Vec<&str>, usize) = (Vec::new(), 0);
    let mut pending: Option<&Vec<String>> = None;
    let mut is_replaced = false;
    for line in table.lines() {
        let is_answer = line.starts_with(">> ") || line == ">!";
        let begins = line.starts_with("## ");
        if is_answer && is_replaced || begins || line.starts_with("== ") {
            text.extend(pending.take().into_iter().flatten().map(String::as_str));
        }
        if begins {
            pending = answers.get(&cases);
            is_replaced = pending.is_some();
            cases += 1;
        }
        if !(is_answer && is_replaced) {
            text.push(line);
        }
    }
    text.extend(pending.into_iter().flatten().map(String::as_str));
    text.join("\n") + "\n"
}

#[test]
fn only_the_answers_that_are_other_ones_are_written_anew() {
    let table = "-- x\na: 1\n## one\nb: 2\n>> old\n>> lines\n## two\n>> kept\n== group\n-- y\n## three\n>!\n## four\n";
    let new = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let answers = BTreeMap::from([(0, new(&[">> new"])), (2, new(&[">> {}", ">> {}"])), (3, new(&[">!"]))]);
    let expected = "-- x\na: 1\n## one\nb: 2\n>> new\n## two\n>> kept\n== group\n-- y\n## three\n>> {}\n>> {}\n## four\n>!\n";
    assert_eq!(with_answers(table, &answers), expected);
    assert_eq!(with_answers(table, &BTreeMap::new()), table);
}
