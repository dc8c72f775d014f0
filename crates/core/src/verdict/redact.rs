//! The last line of defence against a secret in a message: values that this reconcile has handled are blotted
//! out.
//!
//! The authors of messages leave secrets out already. This catches secrets that a server or a parser has
//! quoted all the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use lockgate_base::model::Secret;

/// The text in place of a secret.
const BLOT: &str = "***";
/// Shorter values are words such as `true` or `prod`, and would make holes in every message.
const SHORTEST: usize = 6;

/// A redactor for runs without secrets, or for texts that hold none.
pub static NO_SECRETS: Redactor = Redactor(Vec::new());

/// Secret values, and their replacement in texts.
#[derive(Debug, Clone, Default)]
pub struct Redactor(Vec<Secret<String>>);

impl Redactor {
    /// Adds a value. Its base64 form, its lines, and its form inside a quoted string are blotted out as well.
    pub fn add(&mut self, value: &[u8]) {
        let Ok(text) = std::str::from_utf8(value) else { return };
        if text.trim().len() < SHORTEST {
            return;
        }
        let quoted = serde_json::Value::from(text).to_string();
        let forms = [text.to_owned(), STANDARD.encode(value), quoted.trim_matches('"').to_owned()];
        for form in forms.into_iter().chain(text.lines().map(|line| line.trim().to_owned())) {
            if form.len() >= SHORTEST && !self.0.iter().any(|known| *known.expose() == form) {
                self.0.push(Secret::new(form));
            }
        }
        // The longest values come first, so that no part of a value is left if a shorter value is inside it.
        self.0.sort_by_key(|value| std::cmp::Reverse(value.expose().len()));
    }

    /// `text` without the values.
    pub fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, value| {
            if text.contains(value.expose()) { text.replace(value.expose(), BLOT) } else { text }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_blotted_out_in_every_form() {
        let mut redactor = Redactor::default();
        redactor.add(b"hunter2-canary");
        redactor.add(b"line-one\nline-two\n");
        redactor.add(b"quo\"ted\tvalue");
        redactor.add(b"prod");
        let cases = [
            ("got hunter2-canary here", "got *** here"),
            ("data aHVudGVyMi1jYW5hcnk= end", "data *** end"),
            ("only line-two", "only ***"),
            (r#"Value:"quo\"ted\tvalue""#, r#"Value:"***""#),
            ("prod stays", "prod stays"),
        ];
        for (text, expected) in cases {
            assert_eq!(redactor.redact(text), expected);
        }
    }

    #[test]
    fn no_part_of_the_longer_of_two_values_is_left() {
        let mut redactor = Redactor::default();
        redactor.add(b"secret");
        redactor.add(b"secret-and-more");
        assert_eq!(redactor.redact("a secret-and-more"), "a ***");
    }
}
