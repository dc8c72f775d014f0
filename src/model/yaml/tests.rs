//! Tables of what each dialect makes of a text. The answers are those of the Go programs, which `tests/oracle` asks
//! about many more.

use serde_json::{Value, json};

use super::{Dialect, documents, first_document, to_string};

fn read(text: &str, dialect: Dialect) -> Value {
    documents(text, dialect).unwrap().remove(0).value
}

#[test]
fn smoke() {
    assert_eq!(read("a: 0644", Dialect::V3), json!({"a": 420}));
    assert_eq!(read("y: yes", Dialect::V2), json!({"true": true}));
    assert_eq!(first_document("", Dialect::V2).unwrap().value, Value::Null);
    assert_eq!(to_string(&json!({"a": "yes"})), "a: \"yes\"\n");
}
