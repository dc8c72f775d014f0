//! Cuts values out of the API server's texts, because the server quotes the parts of a Secret that it could
//! not read.
//!
//! Only the value goes. The path and the reason stay, since nobody could mend the object without them.

/// The text in place of a value.
const CUT: &str = "***";

/// The longest value that is shown in full.
const LONGEST: usize = 200;

/// The texts right before a value, in type errors of the merge and in errors of the validation.
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

/// The text without a value that would fill the page: the server quotes the whole template of a changed Job.
pub(super) fn shorten(text: &str) -> String {
    let (Some(start), Some(end)) = (text.find("Invalid value: {"), text.rfind("}: ")) else {
        return text.to_owned();
    };
    let start = start + "Invalid value: ".len();
    if end < start + LONGEST { text.to_owned() } else { format!("{}{{…{}", &text[..start], &text[end..]) }
}

fn next_mark(text: &str) -> Option<(usize, &'static str)> {
    BEFORE_VALUE.iter().filter_map(|mark| Some((text.find(mark)?, *mark))).min()
}

/// The text behind a value. A quoted string ends at its closing quote, and the reason behind it stays. Any
/// other value is in Go's notation, whose end cannot be told from its content, so all text behind it is
/// dropped.
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
    fn a_value_that_fills_the_page_is_shortened() {
        let text = |value: &str| {
            format!("Job.batch \"j\" is invalid: spec.template: Invalid value: {value}: field is immutable")
        };
        let short = r#"{"a":"b"}"#;
        assert_eq!(shorten(&text(short)), text(short));
        assert_eq!(shorten(&text(&format!("{{\"a\":{{\"b\":\"{}\"}}}}", "x".repeat(300)))), text("{…}"));
        assert_eq!(shorten("}: Invalid value: {"), "}: Invalid value: {");
    }

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
