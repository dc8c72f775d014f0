//! The order of keys in goyaml: numbers within keys count as numbers, and letters come after all else.

use crate::helm::go::unicode::{Category, is};

/// Whether one key stands before another one. This is no total order for every set of keys.
fn stands_before(left: &[char], right: &[char]) -> bool {
    let digit = |c: Option<&char>| c.is_some_and(|c| is(Category::Digit, *c));
    for (at, (a, b)) in left.iter().zip(right).enumerate() {
        if a == b {
            continue;
        }
        let (a_letter, b_letter) = (is(Category::Letter, *a), is(Category::Letter, *b));
        if a_letter && b_letter {
            return a < b;
        }
        if a_letter || b_letter {
            return b_letter;
        }
        let mut start = 0;
        if *a == '0' || *b == '0' {
            let digits = left[..at].iter().rev().take_while(|c| is(Category::Digit, **c));
            start = i64::from(digits.into_iter().any(|c| *c != '0'));
        }
        let number = |chars: &[char]| {
            let (mut number, mut end) = (start, at);
            while digit(chars.get(end)) {
                let value = i64::from(u32::from(chars[end])) - i64::from(u32::from('0'));
                number = number.wrapping_mul(10).wrapping_add(value);
                end += 1;
            }
            (number, end)
        };
        let ((a_number, a_end), (b_number, b_end)) = (number(left), number(right));
        if a_number != b_number {
            return a_number < b_number;
        }
        if a_end != b_end {
            return a_end < b_end;
        }
        return a < b;
    }
    left.len() < right.len()
}

/// Sorts entries by their keys.
pub(super) fn sort_entries<V>(entries: Vec<(String, V)>) -> Vec<(String, V)> {
    let mut keyed: Vec<(Vec<char>, (String, V))> =
        entries.into_iter().map(|entry| (entry.0.chars().collect(), entry)).collect();
    // The sort of the standard library may panic where the order is none, so runs are merged by hand.
    let mut width = 1;
    while width < keyed.len() {
        let mut merged = Vec::with_capacity(keyed.len());
        let mut rest = keyed.into_iter().peekable();
        while rest.peek().is_some() {
            let left: Vec<_> = rest.by_ref().take(width).collect();
            let right: Vec<_> = rest.by_ref().take(width).collect();
            let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
            while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
                let next = if stands_before(&b.0, &a.0) { right.next() } else { left.next() };
                merged.extend(next);
            }
            merged.extend(left);
            merged.extend(right);
        }
        keyed = merged;
        width *= 2;
    }
    keyed.into_iter().map(|(_, entry)| entry).collect()
}
