//! Differences as lines of YAML: removed lines, added lines, and the fields around them.

use serde_json::{Value, json};

use super::changes::{ListItem, ValueChange};
use lockgate_base::model::yaml::{self, Layout};

/// How many unchanged lines of a text are shown around the changed ones.
const AROUND: usize = 3;

/// The role of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It is unchanged.
    Around,
    /// It is removed.
    Gone,
    /// It is added.
    New,
}

impl Sign {
    /// The mark before the line.
    pub(super) const fn mark(self) -> char {
        match self {
            Self::Around => ' ',
            Self::Gone => '-',
            Self::New => '+',
        }
    }
}

/// A line of YAML, without its end.
pub(super) type Line = (Sign, String);

/// The lines of a difference.
pub(super) fn lines(change: &ValueChange) -> Vec<Line> {
    let mut lines = Vec::new();
    below(change, 0, &mut lines);
    lines
}

/// The lines below a field, an item, or the root.
fn below(change: &ValueChange, depth: usize, lines: &mut Vec<Line>) {
    match change {
        ValueChange::Map(fields) => {
            for (key, change) in fields {
                field(key, change, depth, lines);
            }
        }
        ValueChange::List(items) => {
            for (item, change) in items {
                list_item(item, change, depth, lines);
            }
        }
        // Only a field or an item has a value.
        ValueChange::Value { .. } | ValueChange::Text { .. } | ValueChange::Same(_) => {}
    }
}

fn field(key: &str, change: &ValueChange, depth: usize, lines: &mut Vec<Line>) {
    let of = |value: &Value| json!({key: value});
    match change {
        ValueChange::Value { before, after } => values(before.as_ref(), after.as_ref(), of, depth, lines),
        ValueChange::Same(value) => print(Sign::Around, &of(value), depth, lines),
        ValueChange::Text { before, after } => text(key, before, after, depth, lines),
        ValueChange::Map(_) | ValueChange::List(_) => {
            lines.push((Sign::Around, format!("{}{}:", indent(depth), plain_key(key))));
            // kubectl prints a list at the depth of its field.
            let is_list = matches!(change, ValueChange::List(_));
            below(change, depth + usize::from(!is_list), lines);
        }
    }
}

fn list_item(item: &ListItem, change: &ValueChange, depth: usize, lines: &mut Vec<Line>) {
    let of = |value: &Value| json!([value]);
    match change {
        ValueChange::Value { before, after } => values(before.as_ref(), after.as_ref(), of, depth, lines),
        ValueChange::Same(value) => print(Sign::Around, &of(value), depth, lines),
        ValueChange::Text { before, after } => {
            values(Some(&before.as_str().into()), Some(&after.as_str().into()), of, depth, lines);
        }
        ValueChange::Map(_) | ValueChange::List(_) => {
            match item {
                ListItem::Known(key, value) => print(Sign::Around, &json!([{*key: value}]), depth, lines),
                ListItem::At(at) => {
                    lines.push((Sign::Around, format!("{}- # item {}", indent(depth), at + 1)));
                }
            }
            below(change, depth + 1, lines);
        }
    }
}

/// Prints one value in place of another.
fn values(
    before: Option<&Value>,
    after: Option<&Value>,
    of: impl Fn(&Value) -> Value,
    depth: usize,
    lines: &mut Vec<Line>,
) {
    for (sign, value) in [(Sign::Gone, before), (Sign::New, after)] {
        if let Some(value) = value {
            print(sign, &of(value), depth, lines);
        }
    }
}

fn print(sign: Sign, value: &Value, depth: usize, lines: &mut Vec<Line>) {
    let text = yaml::print(value, Layout::V2);
    lines.extend(text.lines().map(|line| (sign, format!("{}{line}", indent(depth)))));
}

/// Prints a text of several lines: its changed lines, and some around them.
fn text(key: &str, before: &str, after: &str, depth: usize, lines: &mut Vec<Line>) {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let ops = similar::capture_diff_slices(similar::Algorithm::Myers, &old, &new);
    lines.push((Sign::Around, format!("{}{}: |", indent(depth), plain_key(key))));
    let mut show = |sign, line: &str| {
        let shown = if line.is_empty() { String::new() } else { format!("{}{line}", indent(depth + 1)) };
        lines.push((sign, shown));
    };
    let groups = similar::group_diff_ops(ops, AROUND);
    if groups.is_empty() {
        // The texts differ only in the last line end.
        show(
            Sign::Gone,
            if before.ends_with('\n') { "(with a final newline)" } else { "(no final newline)" },
        );
        show(Sign::New, if after.ends_with('\n') { "(with a final newline)" } else { "(no final newline)" });
        return;
    }
    let mut shown_up_to = 0;
    for group in groups {
        if group.first().is_some_and(|op| op.old_range().start > shown_up_to) {
            show(Sign::Around, "…");
        }
        for op in group {
            if op.tag() == similar::DiffTag::Equal {
                op.old_range().for_each(|at| show(Sign::Around, old[at]));
            } else {
                op.old_range().for_each(|at| show(Sign::Gone, old[at]));
                op.new_range().for_each(|at| show(Sign::New, new[at]));
            }
            shown_up_to = op.old_range().end;
        }
    }
    if shown_up_to < old.len() {
        show(Sign::Around, "…");
    }
}

/// A key as YAML writes it.
fn plain_key(key: &str) -> String {
    let text = yaml::print(&json!({key: null}), Layout::V2);
    text.trim_end().strip_suffix(": null").unwrap_or(key).to_owned()
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

#[cfg(test)]
mod tests {
    use super::super::changes::compare;
    use super::*;

    fn shown(before: &Value, after: &Value) -> String {
        let change = compare(before, after).unwrap();
        let lines = lines(&change);
        lines.iter().map(|(sign, line)| format!("{} {line}\n", sign.mark())).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_field_stands_among_those_around_it() {
        let deployment = |image: &str, replicas: Option<u8>| {
            json!({"spec": {"replicas": replicas, "template": {"spec": {"containers": [
                {"name": "log", "image": "l"}, {"name": "web", "image": image, "args": ["-v", image]}]}}}})
        };
        assert_eq!(
            shown(&deployment("web:1", Some(1)), &deployment("web:2", Some(2))),
            "  spec:
-   replicas: 1
+   replicas: 2
    template:
      spec:
        containers:
        - name: web
-         image: web:1
+         image: web:2
          args:
-         - web:1
+         - web:2
"
        );
    }

    #[test]
    fn what_comes_and_goes_is_shown_whole() {
        assert_eq!(
            shown(&json!({"a": {"b": [1, {"c": "x"}]}}), &json!({"d.io/e": {"f": null}, "yes": "no"})),
            "\
- a:
-   b:
-   - 1
-   - c: x
+ d.io/e:
+   f: null
+ \"yes\": \"no\"
"
        );
    }

    #[test]
    fn of_a_long_text_the_lines_around_are_shown() {
        let text = |changed: &str| {
            let lines: Vec<String> =
                (1..=20).map(|n| if n == 10 { changed.to_owned() } else { format!("line {n}") }).collect();
            json!({"data": {"config.yaml": lines.join("\n") + "\n"}})
        };
        assert_eq!(
            shown(&text("old"), &text("new")),
            "  data:
    config.yaml: |
      …
      line 7
      line 8
      line 9
-     old
+     new
      line 11
      line 12
      line 13
      …
"
        );
        let end = |text: &str| json!({"a": text});
        assert!(shown(&end("x\ny\n"), &end("x\ny")).contains("+   (no final newline)"));
    }
}
