//! Generated versions and ranges, read by lockgate and by the library that Flux and helm read them with.

use serde_json::json;

use super::{Helm, difference};
use crate::oracle::random::Random;
use crate::oracle::{cases, seed};

const NUMBERS: [&str; 9] = ["0", "1", "2", "3", "10", "01", "20260101", "18446744073709551615", ""];
const OPEN: [&str; 3] = ["x", "X", "*"];
const PRES: [&str; 11] = ["0", "alpha", "alpha.1", "rc.2", "rc.10", "1", "01", "a-b", "a..b", "é", ""];
const METADATA: [&str; 4] = ["build", "b.7", "up+up", ""];
const OPERATORS: [&str; 16] =
    ["", "", "", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^", "==", "> "];
const BETWEEN: [&str; 9] = [" ", ", ", ",", " , ", " || ", "||", " - ", " -", ""];

/// A version, most often a valid one. As a part of a range it may leave some of its numbers open.
fn version(random: &mut Random, is_in_range: bool) -> String {
    let mut text = String::from(if random.one_in(4) { "v" } else { "" });
    let parts = if random.one_in(3) { 1 + random.below(4) } else { 3 };
    for part in 0..parts {
        if part > 0 {
            text.push('.');
        }
        let pool: &[&str] = match (is_in_range && random.one_in(5), random.one_in(8)) {
            (true, _) => &OPEN,
            (false, true) => &NUMBERS,
            (false, false) => &NUMBERS[..4],
        };
        text.push_str(pool[random.below(pool.len())]);
    }
    if random.one_in(3) {
        text.push('-');
        let pool = if random.one_in(6) { &PRES[..] } else { &PRES[..6] };
        text.push_str(pool[random.below(pool.len())]);
    }
    if random.one_in(6) {
        text.push('+');
        text.push_str(METADATA[random.below(METADATA.len())]);
    }
    text
}

/// A range of one to four conditions.
fn range(random: &mut Random) -> String {
    let mut text = String::new();
    for at in 0..=random.below(3) {
        if at > 0 {
            text.push_str(BETWEEN[random.below(BETWEEN.len())]);
        }
        text.push_str(OPERATORS[random.below(OPERATORS.len())]);
        text.push_str(&version(random, true));
    }
    text
}

#[test]
fn generated_ranges_hold_the_versions_that_masterminds_says_they_hold() {
    let mut helm = Helm::start();
    let mut random = Random::new(seed());
    let mut differences = Vec::new();
    let (count, mut read) = (cases(4000), 0);
    for _ in 0..count {
        let (range, version) = (range(&mut random), version(&mut random, false));
        let template = format!("{{{{ semverCompare {range:?} {version:?} }}}}");
        read += usize::from(super::ours(template.as_bytes(), &json!({})).is_ok());
        differences.extend(difference(&mut helm, template.as_bytes(), &json!({})));
    }
    println!("{count} ranges and versions, {read} of them read, {} differences", differences.len());
    assert!(read > count / 4, "most of what is generated cannot be read: {read} of {count}");
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(12)].join("\n"));
}

#[test]
fn generated_versions_are_in_the_order_of_masterminds() {
    let mut helm = Helm::start();
    let mut random = Random::new(seed());
    let mut differences = Vec::new();
    let count = cases(2000);
    for _ in 0..count {
        let (one, other) = (version(&mut random, false), version(&mut random, false));
        let template = format!("{{{{ (semver {one:?}).Compare (semver {other:?}) }}}}");
        differences.extend(difference(&mut helm, template.as_bytes(), &json!({})));
    }
    println!("{count} pairs of versions, {} differences", differences.len());
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(12)].join("\n"));
}
