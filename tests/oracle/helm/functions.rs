//! Every function, with arguments from tables and with random ones of right and wrong types.

use std::collections::BTreeSet;
use std::path::Path;

use lockgate_render::helm::funcs::{function, names};
use lockgate_render::helm::function::Function;
use serde_json::{Value, json};

use super::values::{VALUES, any, fitting};
use super::{Helm, difference};
use crate::oracle::random::Random;
use crate::oracle::{cases, seed};

/// Functions whose results are random, come in no order, or depend on the machine's clock where Go decides
/// so.
const UNEQUAL: &[&str] = &[
    "ago",
    "bcrypt",
    "buildCustomCert",
    "date",
    "dateInZone",
    "date_in_zone",
    "derivePassword",
    "durationRound",
    "encryptAES",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htmlDate",
    "htmlDateInZone",
    "htpasswd",
    "keys",
    "randAlpha",
    "randAlphaNum",
    "randAscii",
    "randBytes",
    "randInt",
    "randNumeric",
    "shuffle",
    "uuidv4",
    "values",
    // A map that holds itself ends the real engine.
    "set",
];

/// Functions that give a pointer, whose address is printed by `%#v`.
const POINTERS: &[&str] = &["semver"];

/// The template that prints an expression with its type.
fn shown(expression: &str) -> String {
    format!("{{{{ printf \"%[1]T|%#[1]v\" ({expression}) }}}}")
}

/// A call with as many arguments as the function takes, most of them of the right type.
fn call(random: &mut Random, function: &Function) -> String {
    let mut call = function.name.to_owned();
    let mut argument = |random: &mut Random, wanted| {
        call.push(' ');
        call.push_str(if random.one_in(12) { any(random) } else { fitting(random, wanted) });
    };
    for wanted in function.signature.fixed {
        // Too few arguments are refused before the call.
        if !random.one_in(60) {
            argument(random, *wanted);
        }
    }
    if let Some(wanted) = function.signature.rest {
        for _ in 0..random.below(4) {
            argument(random, wanted);
        }
    } else if random.one_in(60) {
        argument(random, lockgate_render::helm::value::Type::Any);
    }
    call
}

#[test]
fn functions_do_what_helms_do_whatever_they_are_given() {
    let mut helm = Helm::start();
    let mut random = Random::new(seed());
    let values: Value = serde_json::from_str(VALUES).expect("JSON");
    let functions: Vec<&Function> =
        names().filter(|name| !UNEQUAL.contains(name)).filter_map(function).collect();
    let mut differences = Vec::new();
    let count = cases(40 * functions.len());
    for at in 0..count {
        let function = functions[at % functions.len()];
        let call = call(&mut random, function);
        let template =
            if POINTERS.contains(&function.name) { format!("{{{{ {call} }}}}") } else { shown(&call) };
        differences.extend(difference(&mut helm, template.as_bytes(), &values));
    }
    println!("{count} calls of {} functions, {} differences", functions.len(), differences.len());
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(12)].join("\n"));
}

#[test]
fn names_are_helms_names() {
    let mut helm = Helm::start();
    let theirs = helm.ask(b"{{ functionNames }}", &json!({})).expect("names");
    let theirs = String::from_utf8(theirs).expect("text");
    let theirs: BTreeSet<&str> = theirs.split(' ').collect();
    // These are bound to the templates of a render, and Go's own are no part of helm's table.
    let ours: BTreeSet<&str> = names().chain(["include", "tpl"]).collect();
    let missing: Vec<_> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    for name in names() {
        let template = format!("{{{{ if false }}}}{{{{ {name} }}}}{{{{ end }}}}");
        assert_eq!(helm.ask(template.as_bytes(), &json!({})), Ok(Vec::new()), "{name}");
    }
}

/// Holds the lines of a table against the real engine. A line that begins with `VALUES` sets what `.Values`
/// holds; the others are templates, or expressions that are printed with their types.
fn hold(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/helm/tables").join(table);
    let text = std::fs::read_to_string(path).expect("the table is there");
    let mut helm = Helm::start();
    let mut values = json!({});
    let (mut count, mut differences) = (0, Vec::new());
    for line in text.lines() {
        if let Some(json) = line.strip_prefix("VALUES ") {
            values = serde_json::from_str(json).expect("JSON");
            continue;
        }
        let template = if line.starts_with("{{") { line.to_owned() } else { shown(line) };
        differences.extend(difference(&mut helm, template.as_bytes(), &values));
        count += 1;
    }
    assert!(count > 50, "{table} has {count} cases only");
    assert!(differences.is_empty(), "{table}:\n{}", differences.join("\n"));
}

#[test]
fn values_are_printed_as_go_prints_them() {
    hold("print.txt");
}

#[test]
fn numbers_are_gos_numbers() {
    hold("numbers.txt");
}

#[test]
fn strings_lists_and_maps_are_sprigs() {
    hold("strings.txt");
}

#[test]
fn dates_are_read_and_written_by_gos_layouts() {
    hold("dates.txt");
}

#[test]
fn versions_are_masterminds_versions() {
    hold("versions.txt");
}

#[test]
fn regular_expressions_are_gos() {
    hold("regex.txt");
}

#[test]
fn addresses_are_parsed_and_joined_as_by_go() {
    hold("addresses.txt");
}

#[test]
fn sums_and_passwords_are_sprigs() {
    hold("crypto.txt");
}

#[test]
fn json_and_yaml_are_written_and_read_as_by_gos_libraries() {
    hold("documents.txt");
}

#[test]
fn toml_has_the_layout_of_gos_library() {
    hold("toml.txt");
}

#[test]
fn toml_is_read_and_refused_in_the_words_of_gos_library() {
    hold("from_toml.txt");
}
