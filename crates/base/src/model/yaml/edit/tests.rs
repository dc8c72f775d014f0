//! The parts of a text that an edit keeps, and the layout of the result.

use super::*;

fn edited(text: &str, way: &[PathStep], new: New<'_>) -> Option<String> {
    let mut edit = Edit::new(text)?;
    edit.set(way, new)?;
    Some(edit.to_string())
}

#[test]
fn what_is_not_changed_stays_as_it_was_written() {
    let text = "# head\na: \"q\" # line\nb:\n# of x\n- x: 'y'\n  z: [1, \"2\"] # flow\nc: |-\n  # text\n  more\nd: # of d\n  e: {f: 0x1F}\n";
    assert_eq!(Edit::new(text).unwrap().to_string(), text);
}

#[test]
fn the_layout_becomes_that_of_go_yaml() {
    let text = "a:\n    - b:   1\n\n      c: {d: \"e\",\n        f: g}\n    -   - h\n";
    assert_eq!(Edit::new(text).unwrap().to_string(), "a:\n- b: 1\n  c: {d: \"e\", f: g}\n- - h\n");
}

#[test]
fn a_scalar_keeps_its_type() {
    let key = |name: &str| [PathStep::Key(name.to_owned())];
    for (text, new, expected) in [
        ("a: x\n", New::Text("80"), "a: \"80\"\n"),
        ("a: 'x'\n", New::Text("it's"), "a: 'it''s'\n"),
        ("a: 5\n", New::Text("80"), "a: 80\n"),
        ("a: 5\n", New::Text("x"), "a: !!int x\n"),
        ("a: x\n", New::Text("y: z"), "a: 'y: z'\n"),
        ("a: x\n", New::Text("l1\nl2\n"), "a: |\n  l1\n  l2\n"),
        ("b: x\n", New::Untyped("80"), "b: x\na: 80\n"),
        ("a: {b: c}\n", New::Value(&serde_json::json!([1, "2"])), "a:\n- 1\n- \"2\"\n"),
    ] {
        assert_eq!(edited(text, &key("a"), new).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_kept_is_not_taken_apart() {
    for text in ["a: &x 1\n", "a: >\n  b\n", "a: !!str 1\n", "a: 1\n# end\n", "a: [\n"] {
        assert!(Edit::new(text).is_none(), "{text}");
    }
}
