//! The table of cases: each case is in it once, and each test in it exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TABLE: &str = include_str!("../CASES.md");

/// The kinds of cases, and the number of each.
const KINDS: [(char, usize); 4] = [('I', 40), ('F', 24), ('S', 20), ('B', 11)];

/// The rows of the table: a case, its subject, and the test that holds it.
fn rows(table: &str) -> Vec<[&str; 3]> {
    let is_case = |name: &str| name.len() == 3 && name[1..].bytes().all(|byte| byte.is_ascii_digit());
    let rows = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter_map(|cells| match cells[..] {
        ["", case, about, holds, ""] if is_case(case) => Some([case, about, holds]),
        _ => None,
    })
    .collect()
}

/// The mistake in a cell that names a test, if there is one. `source` returns a file's text.
fn problem(holds: &str, source: impl Fn(&str) -> Option<String>) -> Option<String> {
    if holds.starts_with("not yet: ") && holds.len() > "not yet: ".len() {
        return None;
    }
    let tests: Vec<&str> = holds.split('`').skip(1).step_by(2).collect();
    if tests.is_empty() {
        return Some("names no test, nor what it waits for".into());
    }
    tests.iter().find_map(|test| {
        let Some((file, name)) = test.split_once("::") else { return Some(format!("{test} is no test")) };
        let is_there = source(file).is_some_and(|text| has_test(&text, name));
        (!is_there).then(|| format!("{test} is not there"))
    })
}

/// Whether a text has a test of this name.
fn has_test(text: &str, name: &str) -> bool {
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    // The text before the name in its own line, and the line above that.
    before
        .split('\n')
        .rev()
        .nth(1)
        .is_some_and(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
}

#[test]
fn each_case_has_a_test_or_says_what_it_waits_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = rows(TABLE);
    let wanted: Vec<String> =
        KINDS.iter().flat_map(|(kind, count)| (1..=*count).map(move |at| format!("{kind}{at:02}"))).collect();
    let found: Vec<&str> = rows.iter().map(|[case, ..]| *case).collect();
    assert_eq!(found, wanted);
    let problems: BTreeSet<String> = rows
        .iter()
        .filter_map(|[case, _, holds]| {
            let problem = problem(holds, |file| fs::read_to_string(root.join(file)).ok())?;
            Some(format!("{case}: {problem}"))
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn a_test_that_is_not_there_is_told() {
    let source = |_: &str| Some("#[test]\nfn a() {}\n\nfn helper() {}\n".to_owned());
    assert_eq!(problem("`x.rs::a`", source), None);
    assert_eq!(problem("not yet: signatures", source), None);
    for bad in ["", "not yet: ", "`x.rs::b`", "`x.rs::helper`", "`x.rs`", "`x.rs::a`<br>`x.rs::b`"] {
        assert!(problem(bad, source).is_some(), "{bad}");
    }
    assert!(problem("`x.rs::a`", |_| None).is_some());
}
