//! The syntax against the recorded answers of Flux's envsubst, and the substitution of whole objects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

fn variables(strict: bool) -> Variables {
    let values = [("A", "hello"), ("E", ""), ("P", "a.b.c"), ("N", "5"), ("S", "hunter2"), ("Q", "x: [")];
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Variables::new(values, BTreeSet::from(["S".to_owned(), "Q".to_owned()]), strict).unwrap()
}

fn expand(text: &str) -> String {
    match expand::expand(text, &variables(true), &Budget::default()) {
        Ok(expansion) => expansion.text,
        Err(SubstituteError::Syntax { cause, .. }) => format!("error: {cause}"),
        Err(SubstituteError::Undefined(names)) => format!("undefined: {}", names.join(" ")),
        Err(other) => other.to_string(),
    }
}

#[test]
fn expressions_are_read_as_envsubst_reads_them() {
    let cases = [
        ("${A} $A $(A)", "hello $A $(A)"),
        ("$${A} $$A $$${A} $$", "${A} $A $hello $"),
        ("${M:=d} ${M:-d} ${M=d} ${E:=d} ${E:-d} ${E=d}", "d d d d d d"),
        ("${M:+d} ${A:+d} ${M:?e}", "d hello e"),
        ("${A:1} ${A:1:2} [${A:9}] ${A: -2} ${A:x}", "ello el [] hello hello"),
        ("${#A} ${A^} ${A^^} ${A,} ${A,,}", "5 Hello HELLO hello hello"),
        ("${A/l/L} ${A//l/L} ${A/#he/HE} ${A/%lo/LO} ${A/l/}", "heLlo heLLo HEllo helLO helo"),
        ("${P#*.} ${P##*.} ${P%.*} ${P%%.*}", "b.c c a.b a"),
        ("${M:=${A}-x}", "hello-x"),
        ("${M:=http://x:80/\"y\"}", "http://x:80/\"y\""),
        (r"a\${A}", r"a\hello"),
        ("${A:1:-1} [${A:3:-3}] ${A:1::2} ${A//l//L} ${A^,} ${A/%lo/}", "ell [] el heLLo hello hello"),
        (r"${A/h\/\\e/$$} ${M:=a$$b${A}c\/} [${E/e/${A}}]", r"hello a$$bhelloc\/ []"),
        ("${A#[g-i]} ${A##[x]} ${A%[} ${A#[^x]*l}", "ello hello hello lo"),
        ("${A/l}", "error: bad substitution"),
        ("${A///x}", "error: unable to parse substitution within function"),
        ("${A%} ", "error: unable to parse substitution within function"),
        ("${A:}", "error: unable to parse substitution within function"),
        ("${A%l${M}}", "error: bad substitution"),
        ("${M-d}", "error: missing closing brace"),
        ("${A+d}", "error: missing closing brace"),
        ("${M?e}", "error: missing closing brace"),
        ("${A B}", "error: missing closing brace"),
        ("${A.b}", "error: missing closing brace"),
        ("${A", "error: missing closing brace"),
        ("${A:=", "error: missing closing brace"),
        ("${{ x }}", "error: unable to parse variable name"),
        ("${}", "error: unable to parse variable name"),
        ("${!A}", "error: unable to parse variable name"),
        ("${M} ${K} ${M:0} ${M^} ${M/a/b} ${M%x} ${#M}", "undefined: M K"),
    ];
    for (text, expected) in cases {
        assert_eq!(expand(text), expected, "{text}");
    }
}

#[test]
fn without_strictness_what_is_not_defined_is_empty() {
    assert_eq!(expand::expand("[${M}]", &variables(false), &Budget::default()).unwrap().text, "[]");
}

#[test]
fn deep_nesting_and_growth_are_bounded() {
    let nested = "${M:=".repeat(1000);
    assert_eq!(expand(&nested), "error: too many nested expressions");
}

fn object(spec: &serde_json::Value) -> Object {
    Object::parse(json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}, "spec": spec})).unwrap()
}

#[test]
fn a_value_can_change_its_type() {
    let result = substitute(
        &object(&json!({"replicas": "${N}", "text": "x ${A}"})),
        &variables(true),
        &Budget::default(),
    )
    .unwrap();
    assert_eq!(result.object.pointer("/spec"), Some(&json!({"replicas": 5, "text": "x hello"})));
    assert!(!result.holds_secret);
}

#[test]
fn a_secret_value_is_noticed_and_never_printed() {
    let result =
        substitute(&object(&json!({"password": "${S}"})), &variables(true), &Budget::default()).unwrap();
    assert!(result.holds_secret);
    let error =
        substitute(&object(&json!({"password": "${Q}"})), &variables(true), &Budget::default()).unwrap_err();
    assert!(!error.to_string().contains("x: ["), "{error}");
    assert!(matches!(error, SubstituteError::NotYaml { .. }), "{error:?}");
}

#[test]
fn an_object_can_opt_out() {
    let mut opted_out = object(&json!({"text": "${M}"}));
    opted_out.set_annotation(keys::SUBSTITUTE, "disabled");
    assert_eq!(substitute(&opted_out, &variables(true), &Budget::default()).unwrap().object, opted_out);
}

#[test]
fn names_are_checked_when_the_variables_are_made() {
    let values = BTreeMap::from([("a-b".to_owned(), String::new()), ("ok".to_owned(), String::new())]);
    let error = Variables::new(values, BTreeSet::new(), true).err().unwrap();
    assert_eq!(error, SubstituteError::InvalidNames(vec!["a-b".into()]));
}

#[test]
fn line_ends_are_taken_out_of_values() {
    let values = BTreeMap::from([("X".to_owned(), "a\n---\nkind: B\n".to_owned())]);
    let variables = Variables::new(values, BTreeSet::new(), true).unwrap();
    assert_eq!(expand::expand("${X}", &variables, &Budget::default()).unwrap().text, "a---kind: B");
}
