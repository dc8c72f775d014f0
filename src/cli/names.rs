//! Checks of object names.

use crate::bootstrap::title::is_label;

/// Checks the name of a namespace.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let told = || format!("'{text}' is no name of a namespace: use a-z, 0-9 and '-'");
    is_label(text).then(|| text.to_owned()).ok_or_else(told)
}

/// Checks the name of another object that bootstrap creates or uses.
pub(super) fn object_name(text: &str) -> Result<String, String> {
    const LIMIT: usize = 253;
    let is_name = text.len() <= LIMIT && text.split('.').all(is_label);
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| format!("'{text}' is no name of an object: use a-z, 0-9, '-' and '.'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_api_server_takes() {
        for (text, is_namespace, is_object) in [
            ("flux-system", true, true),
            ("a.b-c", false, true),
            ("Flux", false, false),
            ("a_b", false, false),
            ("a..b", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                (namespace(text).is_ok(), object_name(text).is_ok()),
                (is_namespace, is_object),
                "{text}"
            );
        }
    }
}
