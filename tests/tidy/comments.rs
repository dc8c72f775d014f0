//! Comments that are easy to read: no wider than code, and with a subject in each sentence.

use super::{File, files};

/// The widest line of a comment, as rustfmt's `max_width` is for code.
const MAX_COLUMNS: usize = 110;

/// Openings of sentences that leave their subject to the line before.
const HEADLESS: [&str; 4] = ["The same of ", "The same as ", "As above", "Those that "];

/// The comment of a line without code.
fn comment(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("//")?;
    Some(rest.trim_start_matches(['/', '!']).trim_start())
}

/// The faults of a file's comments.
fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut begins = true;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(comment) = comment(line) else {
            begins = true;
            continue;
        };
        if line.chars().count() > MAX_COLUMNS && comment.contains(' ') {
            faults.push(format!("{path}:{number}: the comment is wider than {MAX_COLUMNS} columns"));
        }
        if begins && HEADLESS.iter().any(|opening| comment.starts_with(opening)) {
            faults.push(format!("{path}:{number}: the comment begins without a subject"));
        }
        begins = comment.is_empty();
    }
    faults
}

#[test]
fn comments_are_narrow_and_have_a_subject() {
    let files = files();
    let faults: Vec<String> = files.iter().flat_map(|file: &File| faults(&file.path, &file.text)).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn wide_and_headless_comments_are_found() {
    let wide = format!("/// {}", "word ".repeat(22));
    for bad in
        [wide.as_str(), "    // The same of another.", "/// As above.", "fn a() {}\n//! Those that are."]
    {
        assert_eq!(faults("a.rs", bad).len(), 1, "{bad}");
    }
    let good = format!(
        "// All objects are kept:\n// Those that stay.\n// {}\nlet a = \"The same of\";",
        "x".repeat(200)
    );
    assert!(faults("a.rs", &good).is_empty());
}
