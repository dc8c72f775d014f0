//! The order in which Go's YAML libraries print the keys of a mapping: numbers in names count as numbers, and
//! letters come behind everything else.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// The entries of a mapping, sorted.
pub(super) fn sorted(map: &Map<String, Value>, is_v3: bool) -> Vec<(&String, &Value)> {
    let entries: Vec<(&String, &Value)> = map.iter().collect();
    let is_before = |a: &str, b: &str| compare(a, b, is_v3) == Ordering::Less;
    if entries.windows(2).all(|pair| is_before(pair[0].0, pair[1].0)) {
        return entries;
    }
    merge_sort(entries, &|a, b| is_before(a.0, b.0))
}

/// A merge sort, because the order of go-yaml v2 has cycles (`a9`, `a10`, `a1b`), for which the library's own
/// sorts may panic.
fn merge_sort<T: Copy>(mut items: Vec<T>, is_before: &dyn Fn(&T, &T) -> bool) -> Vec<T> {
    let mut width = 1;
    while width < items.len() {
        let mut merged = Vec::with_capacity(items.len());
        for run in items.chunks(width * 2) {
            let (left, right) = run.split_at(width.min(run.len()));
            let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
            loop {
                let from_right = match (left.peek(), right.peek()) {
                    (Some(left), Some(right)) => is_before(right, left),
                    (None, Some(_)) => true,
                    (Some(_), None) => false,
                    (None, None) => break,
                };
                merged.extend(if from_right { right.next() } else { left.next() });
            }
        }
        items = merged;
        width *= 2;
    }
    items
}

/// `keyList.Less` of go-yaml's sorter.go, for strings.
fn compare(a: &str, b: &str, is_v3: bool) -> Ordering {
    let at = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let at = (0..=at).rev().find(|at| a.is_char_boundary(*at) && b.is_char_boundary(*at)).unwrap_or_default();
    let (common, rest_a, rest_b) = (&a[..at], &a[at..], &b[at..]);
    let (Some(first_a), Some(first_b)) = (rest_a.chars().next(), rest_b.chars().next()) else {
        return rest_a.len().cmp(&rest_b.len());
    };
    match (is_letter(first_a), is_letter(first_b)) {
        (true, true) => return first_a.cmp(&first_b),
        (false, false) => {}
        (letter_a, _) => {
            let in_number = is_v3 && common.ends_with(|c: char| c.is_ascii_digit());
            return if letter_a == in_number { Ordering::Less } else { Ordering::Greater };
        }
    }
    // A zero is not a leading one if another digit stands before it.
    let mut digits = common.bytes().rev().take_while(u8::is_ascii_digit);
    let begun = (first_a == '0' || first_b == '0') && digits.any(|digit| digit != b'0');
    let (number_a, length_a) = number(rest_a, begun);
    let (number_b, length_b) = number(rest_b, begun);
    number_a.cmp(&number_b).then(length_a.cmp(&length_b)).then(first_a.cmp(&first_b))
}

/// The number that the digits at the beginning of a text make, and the number of these digits.
fn number(text: &str, begun: bool) -> (i64, usize) {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    digits.fold((i64::from(begun), 0), |(number, length), digit| {
        (number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')), length + 1)
    })
}

/// Go's `unicode.IsLetter`, as closely as Rust's own tables allow.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || (!c.is_ascii() && c.is_alphabetic() && !c.is_numeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_go() {
        for (before, after, is_v3) in [
            ("a2", "a10", false),
            ("a-b", "aB", false),
            ("A", "a", false),
            ("a", "a1", false),
            ("a1", "a01", false),
            ("a10", "a1b", false),
            ("a1b", "a10", true),
            ("1.5", "1.10", false),
            ("é", "ê", false),
        ] {
            assert_eq!(compare(before, after, is_v3), Ordering::Less, "{before} {after}");
            assert_eq!(compare(after, before, is_v3), Ordering::Greater, "{after} {before}");
        }
    }

    #[test]
    fn a_circle_of_keys_ends() {
        let keys = ["a9", "a10", "a1b"];
        let map: Map<String, Value> =
            (0..100).map(|at| (format!("{}{at}", keys[at % 3]), Value::Null)).collect();
        assert_eq!(sorted(&map, false).len(), 100);
    }
}
