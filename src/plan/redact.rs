//! Values are cut out of the API server's texts: for a Secret it quotes what it could not read.
//!
//! Only the value goes. The path and the reason stay, since without them nobody can mend the object.

/// What stands in place of a value.
const CUT: &str = "***";

/// What comes right before a value: the merge's type errors, and those of the validation.
const BEFORE_VALUE: [&str; 6] =
    ["got ", "Value:", "Invalid value: ", "Unsupported value: ", "Duplicate value: ", "Not found: "];

/// The text without the values that the server quotes in it.
pub(super) fn values(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, mark)) = next_mark(rest) {
        let (before, value) = rest.split_at(at + mark.len());
        result.push_str(before);
        result.push_str(CUT);
        rest = after_value(value);
    }
    result.push_str(rest);
    result
}

fn next_mark(text: &str) -> Option<(usize, &'static str)> {
    BEFORE_VALUE.iter().filter_map(|mark| Some((text.find(mark)?, *mark))).min()
}

/// What follows a value. A quoted string ends at its closing quote, and the reason behind it stays; anything else is a
/// value in Go's notation, whose end cannot be told from its content, so all that follows goes.
fn after_value(value: &str) -> &str {
    let Some(inside) = value.strip_prefix('"') else { return "" };
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &inside[at + 1..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_goes_and_the_rest_stays() {
        let cases = [
            (
                ".stringData.password: expected string, got &value.valueUnstructured{Value:31337}",
                ".stringData.password: expected string, got ***",
            ),
            (
                r#".stringData.a: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"inner":"hunter2"}}"#,
                ".stringData.a: expected string, got ***",
            ),
            (".data: expected map, got &{hunter2}", ".data: expected map, got ***"),
            (r#"errors: Value:map[string]interface {}{"inner":"hunter2"}}"#, "errors: Value:***"),
            (
                r#"spec.host: Invalid value: "hun\"ter2": must be a name"#,
                "spec.host: Invalid value: ***: must be a name",
            ),
            (
                r#"a: Unsupported value: "hunter2": supported values: "A", "B""#,
                r#"a: Unsupported value: ***: supported values: "A", "B""#,
            ),
            (r#"a: Invalid value: "hunter2"#, "a: Invalid value: ***"),
            (
                r#"Secret "s" is invalid: type: Invalid value: "x": field is immutable, a: Invalid value: "y": b"#,
                r#"Secret "s" is invalid: type: Invalid value: ***: field is immutable, a: Invalid value: ***: b"#,
            ),
            ("illegal base64 data at input byte 7", "illegal base64 data at input byte 7"),
        ];
        for (text, cut) in cases {
            assert_eq!(values(text), cut);
        }
    }
}
