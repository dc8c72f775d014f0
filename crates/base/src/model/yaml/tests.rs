//! Tables of texts and their values in each dialect. The values are the answers of the Go programs, which
//! `tests/oracle` asks about many more texts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Dialect, Styles, TextStyle, YamlError, documents, first_document, to_string};

fn read(text: &str, dialect: Dialect) -> Result<Value, YamlError> {
    documents(text, dialect).map(|mut documents| documents.remove(0).value)
}

fn error(text: &str, dialect: Dialect) -> String {
    read(text, dialect).unwrap_err().to_string()
}

/// Go's readers let a quoted text continue at any column; `tests/oracle` asks them.
#[test]
fn a_quoted_text_goes_on_at_any_column() {
    let text = "m:\n  - a: \"x\n  y\n z \\\n\n it's\nw\"\n    b: 'it''s\n \"q\"\n\n s'\n";
    let expected = json!({"m": [{"a": "x y z \nit's w", "b": "it's \"q\"\ns"}]});
    for dialect in [Dialect::V2, Dialect::V3] {
        assert_eq!(read(text, dialect), Ok(expected.clone()));
        // A line that begins a document stays one.
        let message = error("m:\n  a: \"x\ny\n---\nz\"\n", dialect);
        assert!(message.starts_with("line "), "{message}");
    }
}

#[test]
fn scalars_have_the_meaning_of_their_dialect() {
    let cases = [
        ("0644", json!(420), json!(420)),
        ("0o17", json!(15), json!(15)),
        ("0o-7", json!(-7), json!("0o-7")),
        ("08", json!(8), json!(8)),
        ("1_000", json!(1000), json!(1000)),
        ("0x1F", json!(31), json!(31)),
        ("0b-1", json!(-1), json!(-1)),
        ("1e3", json!(1000), json!(1000)),
        ("1.0", json!(1), json!(1)),
        ("1.10", json!(1.1), json!(1.1)),
        ("1e400", json!("1e400"), json!("1e400")),
        ("18446744073709551615", json!(u64::MAX), json!(u64::MAX)),
        ("-9223372036854775809", json!(-9_223_372_036_854_775_808.0), json!(-9_223_372_036_854_775_808.0)),
        ("yes", json!("yes"), json!(true)),
        ("off", json!("off"), json!(false)),
        ("y", json!("y"), json!(true)),
        ("tRUE", json!("tRUE"), json!("tRUE")),
        ("~", json!(null), json!(null)),
        ("2001-12-14", json!("2001-12-14T00:00:00Z"), json!("2001-12-14")),
        (
            "2001-12-14t21:59:43.10-05:00",
            json!("2001-12-14T21:59:43.1-05:00"),
            json!("2001-12-14t21:59:43.10-05:00"),
        ),
        ("2001-02-30", json!("2001-02-30"), json!("2001-02-30")),
        ("1:30", json!("1:30"), json!("1:30")),
        ("!!str 5", json!("5"), json!("5")),
        ("!!int \"5\"", json!(5), json!(5)),
        ("!!binary aGk=", json!("hi"), json!("hi")),
        ("! yes", json!("yes"), json!("yes")),
        ("! 5", json!(5), json!("5")),
        ("!custom 5", json!("5"), json!("5")),
        ("\"yes\"", json!("yes"), json!("yes")),
    ];
    for (text, v3, v2) in cases {
        let document = format!("a: {text}\n");
        assert_eq!(read(&document, Dialect::V3).unwrap()["a"], v3, "{text} in V3");
        assert_eq!(read(&document, Dialect::V2).unwrap()["a"], v2, "{text} in V2");
    }
}

#[test]
fn merge_keys_and_equal_keys_follow_the_dialect() {
    let cases = [
        ("a: 1\na: 2", None, Some(json!({"a": 2}))),
        ("a: &x {p: 1}\nb: {p: 9, <<: *x}", Some(json!({"p": 9})), Some(json!({"p": 1}))),
        ("a: &x {p: 1}\nb: {<<: *x, p: 9}", Some(json!({"p": 9})), Some(json!({"p": 9}))),
        (
            "a: [&x {p: 1}, &y {p: 2, q: 2}]\nb: {<<: [*x, *y]}",
            Some(json!({"p": 1, "q": 2})),
            Some(json!({"p": 1, "q": 2})),
        ),
        ("b: {y: 1}", Some(json!({"y": 1})), Some(json!({"true": 1}))),
        ("b: {1.50: 1}", None, Some(json!({"1.5": 1}))),
        ("b: {<<: 5}", None, None),
        ("b: {? [x] : 1}", None, None),
    ];
    for (text, v3, v2) in cases {
        for (dialect, expected) in [(Dialect::V3, v3), (Dialect::V2, v2)] {
            let found = read(text, dialect)
                .ok()
                .map(|value| if text.starts_with("a: 1") { value } else { value["b"].clone() });
            assert_eq!(found, expected, "{dialect:?} of {text}");
        }
    }
}

#[test]
fn errors_name_the_place_and_the_key() {
    let cases = [
        (
            "a: 1\nb:\n  c: 1\n  c: 2\n",
            Dialect::V3,
            "line 4, column 3: key 'c' is already defined in this mapping",
        ),
        ("a: {1: b}\n", Dialect::V3, "line 1, column 5: key '1' is not a string; quote it"),
        (
            "a: b\nc: \0\n",
            Dialect::V2,
            "line 2, column 4: control character U+0000 is not allowed in YAML (is this a binary file?)",
        ),
        ("a: &x [*x]\n", Dialect::V3, "line 1, column 8: an anchor's value contains itself"),
        (
            "a: .inf\n",
            Dialect::V2,
            "line 1, column 4: infinity and not-a-number have no form in JSON; quote the value if it is meant as text",
        ),
        (
            "a: 1\n--- b\nc: 2\n",
            Dialect::V3,
            "line 2, column 4: only a comment may follow the document separator '---' on its line",
        ),
        ("a: !!int x\n", Dialect::V2, "line 1, column 10: cannot read the !!str 'x' as !!int"),
        ("a:\n\tb: c\n", Dialect::V3, "line 2, column 2: tabs"),
    ];
    for (text, dialect, message) in cases {
        let error = error(text, dialect);
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn hostile_texts_are_refused_and_not_expanded() {
    let bomb: String = (0..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, at| {
        let alias = format!("*a{at}");
        format!("{text}a{}: &a{} [{}]\n", at + 1, at + 1, [alias.as_str(); 9].join(", "))
    });
    let large = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), ["*a"; 1000].join(", "));
    let deep = "[".repeat(100_000);
    let deep_block = (0..1000).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n");
    let deep_alias: String = (0..10)
        .fold(format!("a0: &a0 {}{}\n", "[".repeat(100), "]".repeat(100)), |text, at| {
            format!("{text}a{}: &a{} {}*a{at}{}\n", at + 1, at + 1, "[".repeat(100), "]".repeat(100))
        });
    for (text, reason) in
        [(bomb, "bomb"), (large, "bomb"), (deep, ""), (deep_block, ""), (deep_alias, "deeper")]
    {
        for dialect in [Dialect::V3, Dialect::V2] {
            let error = error(&text, dialect);
            assert!(error.contains(reason), "{error}");
        }
    }
}

#[test]
fn streams_are_split_into_documents_with_their_lines() {
    let text = "\u{feff}# head\r\n---\r\na: 1\r\n---\r\n# nothing\r\n---\r\n\r\nb: |\r\n  x\r\n  y\r\n";
    let documents = documents(text, Dialect::V3).unwrap();
    let found: Vec<_> = documents.into_iter().map(|document| (document.value, document.line)).collect();
    assert_eq!(found, [(json!({"a": 1}), 3), (json!(null), 4), (json!({"b": "x\ny\n"}), 8)]);
    assert_eq!(first_document("a: 1\n---\n{", Dialect::V2).unwrap().value, json!({"a": 1}));
    assert_eq!(first_document("", Dialect::V2).unwrap().value, Value::Null);
}

#[test]
fn values_are_written_in_block_style() {
    let value = json!({
        "plain": "a b", "typed": ["yes", "0644", "1e3", "2001-01-01", "1:30", ""], "special": "a: b", "quote": "it's: x",
        "lines": "a\n b\n", "no newline": "a\nb", "two": "a\n\n", "tab": "a\tb", "emoji": "\u{1f600}", "number": 1.5e-7,
        "large": 1e21, "empty": {}, "none": [], "nested": [{"a": [1, 2]}, [[3]]], "null": null, "<": "<<",
    });
    let written = "plain: a b\ntyped:\n- \"yes\"\n- \"0644\"\n- \"1e3\"\n- \"2001-01-01\"\n- \"1:30\"\n- \"\"\n\
        special: 'a: b'\nquote: 'it''s: x'\nlines: |\n  a\n   b\nno newline: |-\n  a\n  b\ntwo: |+\n  a\n\n\
        tab: \"a\\tb\"\nemoji: \"\\U0001F600\"\nnumber: 1.5e-7\nlarge: 1e+21\nempty: {}\nnone: []\nnested:\n\
        - a:\n  - 1\n  - 2\n- - - 3\n\"null\": null\n<: \"<<\"\n";
    assert_eq!(to_string(&value), written);
    for dialect in [Dialect::V3, Dialect::V2] {
        assert_eq!(read(written, dialect), Ok(value.clone()));
    }
}

#[test]
fn a_key_of_any_length_is_written_so_that_it_is_read() {
    // The parts are plain, quoted, and of a kind that becomes four times as long when it is written.
    for part in ["k", "k: ", "'", "\u{1}"] {
        for count in [100, 400, 2000] {
            let value = json!({"list": [{part.repeat(count): {"a": 1}}]});
            for dialect in [Dialect::V3, Dialect::V2] {
                assert_eq!(read(&to_string(&value), dialect), Ok(value.clone()), "{count} x {part}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-c:\\-{}\\[\\],&*!|>'\"%@#?~<0-9.xe_ \\n\\t\u{e9}]{0,60}") {
        for dialect in [Dialect::V3, Dialect::V2] {
            if let Ok(documents) = documents(&text, dialect) {
                for document in documents {
                    let _ = to_string(&document.value);
                }
            }
        }
    }

    #[test]
    fn any_string_reads_back_equal(text in any::<String>()) {
        let value = json!({"key": &text, "list": [&text]});
        for dialect in [Dialect::V3, Dialect::V2] {
            prop_assert_eq!(read(&to_string(&value), dialect), Ok(value.clone()));
        }
    }
}

#[test]
fn styles_move_up_behind_what_is_removed() {
    let text = "m: {a: x, b: \"x\", c: \"z\"}\n";
    let mut styles = first_document(text, Dialect::V3).unwrap().styles;
    styles.remove(&[0, 0]);
    let inside = |styles: &Styles| [0, 1, 2].map(|at| styles.at(0).at(at).clone());
    let quoted = Styles::Own(TextStyle::Quoted);
    assert_eq!(inside(&styles), [quoted.clone(), quoted.clone(), Styles::Told]);
    styles.remove(&[0, 0]);
    assert_eq!(inside(&styles), [quoted, Styles::Told, Styles::Told]);
    styles.remove(&[0, 0]);
    assert_eq!(styles, Styles::Told);
}
