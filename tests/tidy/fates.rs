//! The table of the fate of each field names the tests that show it. These tests exist, and mention the
//! field.

use super::files;

/// The path of the table.
const TABLE: &str = "crates/core/src/pipeline/tests/fields.rs";
/// The cases that `LAID_OVER` runs.
const LAID_OVER: &str = include_str!("../kustomize/flux.txt");

/// The served fields, each with the test that shows it, in the table's words.
fn served(table: &str) -> Vec<(&str, &str)> {
    let lines = table.lines().filter_map(|line| {
        let (field, fate) = line.trim().strip_prefix("(\"")?.split_once("\", Served(")?;
        Some((field, fate.strip_suffix(")),")?.trim_matches('"')))
    });
    lines.collect()
}

/// The fields that no test shows.
fn unshown<'t>(table: &'t str, tests: &str) -> Vec<&'t str> {
    let is_shown = |(field, test): &(&str, &str)| match *test {
        "LAID_OVER" => {
            LAID_OVER.contains(&format!("\"{field}\"")) || LAID_OVER.contains(&format!("{field}:"))
        }
        test => tests.contains(&format!("fn {test}()")),
    };
    served(table).into_iter().filter(|one| !is_shown(one)).map(|(field, _)| field).collect()
}

#[test]
fn each_field_that_is_served_is_shown_by_a_test() {
    let files = files();
    let table = &files.iter().find(|file| file.path == TABLE).expect("the table has moved").text;
    let tests: String =
        files.iter().filter(|file| file.text.contains("test]")).map(|file| &*file.text).collect();
    assert!(served(table).len() > 30, "the table is written in another way");
    assert_eq!(unshown(table, &tests), Vec::<&str>::new());
}

#[test]
fn a_field_without_a_test_is_found() {
    let table = "    (\"images\", Served(LAID_OVER)),\n    (\"hue\", Served(LAID_OVER)),\n    (\"a\", Served(\"is\")),\n    (\"b\", Served(\"is_not\")),\n    (\"c\", Refused),\n";
    assert_eq!(unshown(table, "#[test]\nfn is() {}"), ["hue", "b"]);
}
