//! Keys that kustomize cannot write: it writes them without quotes, and then reads back something else.

use crate::error::{Fault, Result};
use lockgate_base::model::yaml::{Dialect, plain_value};

/// Refuses a key that would read back as a number, a boolean, a date or null.
pub(crate) fn check(key: &str) -> Result<()> {
    if is_plain_text(key) {
        return Ok(());
    }
    let message = format!(
        "'{key}' cannot be a key: kustomize writes keys without quotes, and without them this one \
         is no string"
    );
    Err(Fault::new(message).into())
}

fn is_plain_text(key: &str) -> bool {
    // Almost all keys begin with a letter and contain a sign that no other scalar has, so they need not be
    // parsed.
    let first = key.bytes().next().unwrap_or(b'0');
    let words = ["true", "false", "null"];
    if first.is_ascii_alphabetic() && !words.contains(&key.to_ascii_lowercase().as_str()) {
        return true;
    }
    !key.is_empty() && plain_value(key, Dialect::V3).is_ok_and(|value| value == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_no_strings_are_refused() {
        for key in ["true", "False", "1", "1.5", "0x1f", "~", "2020-01-01", "null", ""] {
            assert!(check(key).is_err(), "{key}");
        }
        for key in ["app", "app.kubernetes.io/name", "y", "no", "on", "1a", "1.2.3.4/x", "-", "truely"] {
            assert!(check(key).is_ok(), "{key}");
        }
    }
}
