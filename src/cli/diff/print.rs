//! Prints differences: for people, for a pull request's comment, and as names.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::changes::ValueChange;
use super::lines::{Line, Sign, lines};
use super::section::{Action, Section, SectionItem};
use crate::cli::output::printable;
use crate::preview::LookStop;
use lockgate_core::api::HelmRelease;

/// A part of a comment with more lines than this is folded.
const LONG: usize = 20;

/// Colours for a terminal, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    fn line(self, colour: &str, line: &str) -> String {
        if self.0 { format!("\x1b[{colour}m{line}\x1b[0m\n") } else { format!("{line}\n") }
    }
}

/// A Kustomization or HelmRelease for people; a single line if nothing differs.
pub(super) fn text(section: &Section, paint: Paint) -> String {
    let mut text = String::new();
    if !section.items.is_empty() || !section.notes.is_empty() || section.stop.is_some() {
        text.push_str(&paint.line("1", format!("{}  {}", section.subject(), section.revision).trim_end()));
    }
    text.push_str(&body(section, paint, false));
    let _ = writeln!(text, "{}: {}", section.key.name, section.summary());
    text
}

/// The text below the heading. New objects are shown in full only if `whole` is set.
fn body(section: &Section, paint: Paint, whole: bool) -> String {
    let mut text = String::new();
    for note in &section.notes {
        let _ = writeln!(text, "# {}", printable(note));
    }
    if let Some(LookStop::Unreachable(message) | LookStop::Unbuilt(message) | LookStop::Refused(message)) =
        &section.stop
    {
        for (at, line) in message.lines().enumerate() {
            text.push_str(
                &paint.line("31", &format!("{} {}", if at == 0 { '!' } else { ' ' }, printable(line))),
            );
        }
    }
    for item in &section.items {
        text.push_str(&paint.line(colour(item.deed), &heading(item)));
        let lines = match (&item.change, &item.object) {
            (Some(change), _) => lines(change),
            (None, Some(object)) if whole => created(object),
            _ => Vec::new(),
        };
        for (sign, line) in lines {
            let line = format!("{}   {}", sign.mark(), printable(&line));
            match sign {
                Sign::Around => text.extend([line.trim_end(), "\n"]),
                Sign::Gone => text.push_str(&paint.line("31", &line)),
                Sign::New => text.push_str(&paint.line("32", &line)),
            }
        }
    }
    text
}

/// All lines of a new object.
fn created(object: &Value) -> Vec<Line> {
    let fields = object.as_object().into_iter().flatten();
    let fields = fields
        .map(|(key, value)| (key.clone(), ValueChange::Value { before: None, after: Some(value.clone()) }));
    lines(&ValueChange::Map(fields.collect()))
}

fn heading(item: &SectionItem) -> String {
    let SectionItem { id, deed, text, .. } = item;
    let (sign, subject, text) = (deed.sign(), id.subject(), printable(&text.replace('\n', "; ")));
    match deed {
        Action::Refused | Action::Kept => format!("{sign} {subject}: {}: {text}", deed.word()),
        Action::Recreated | Action::Pruned if text.is_empty() => {
            format!("{sign} {subject} ({})", deed.word())
        }
        Action::Recreated | Action::Pruned => format!("{sign} {subject} ({}, {text})", deed.word()),
        Action::Created | Action::Configured if text.is_empty() => format!("{sign} {subject}"),
        Action::Created | Action::Configured => format!("{sign} {subject} ({text})"),
    }
}

const fn colour(deed: Action) -> &'static str {
    match deed {
        Action::Created => "32",
        Action::Configured | Action::Recreated => "33",
        Action::Pruned | Action::Refused => "31",
        Action::Kept => "36",
    }
}

/// The objects that differ or are refused, `kind/namespace/name`, one a line.
pub(super) fn names(section: &Section) -> String {
    let items = section.items.iter().filter(|item| item.deed != Action::Kept);
    items.fold(String::new(), |mut text, SectionItem { id, .. }| {
        let path =
            if id.namespace.is_empty() { id.name.clone() } else { format!("{}/{}", id.namespace, id.name) };
        let _ = writeln!(text, "{}/{path}", id.kind.to_lowercase());
        text
    })
}

/// A comment for a pull request.
pub(super) fn markdown(sections: &[Section], errors: &[String]) -> String {
    let mut text = String::from("### lockgate diff\n\n");
    let differing = sections.iter().filter(|section| !section.items.is_empty() || section.stop.is_some());
    let mut is_same = errors.is_empty();
    for error in errors {
        let _ = writeln!(text, "> **Error**: {}\n", printable(&error.replace('\n', " ")));
    }
    for section in differing {
        is_same = false;
        let body = body(section, Paint(false), true);
        let fence = fence(&body);
        let heading =
            format!("<code>{}</code> {}: {}", section.subject(), section.revision, section.summary());
        let open = if body.lines().count() > LONG { "" } else { " open" };
        let _ = write!(
            text,
            "<details{open}>\n<summary>{heading}</summary>\n\n{fence}diff\n{body}{fence}\n\n</details>\n\n"
        );
    }
    let same = sections.iter().filter(|section| section.items.is_empty() && section.stop.is_none()).count();
    match (is_same, same) {
        (true, _) => text.push_str("No change.\n"),
        (false, 0) => {}
        (false, 1) => text.push_str("One more Kustomization or HelmRelease does not change.\n"),
        (false, more) => {
            let _ = writeln!(text, "{more} more Kustomizations and HelmReleases do not change.");
        }
    }
    text
}

/// A fence that no line inside closes.
fn fence(body: &str) -> String {
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(3.max(longest + 1))
}

/// The whole result for programs.
pub(super) fn value(sections: &[Section], errors: &[String]) -> Value {
    let differs = sections.iter().any(Section::differs);
    let (releases, kustomizations): (Vec<_>, Vec<_>) =
        sections.iter().partition(|section| section.key.kind == HelmRelease::ID);
    let values = |sections: Vec<&Section>| sections.into_iter().map(Section::value).collect::<Vec<_>>();
    json!({
        "differs": differs, "kustomizations": values(kustomizations), "releases": values(releases),
        "errors": errors,
    })
}

#[cfg(test)]
mod tests {
    use super::super::changes::compare;
    use super::*;
    use lockgate_core::api::Kustomization;

    fn item(deed: Action, name: &str, text: &str) -> SectionItem {
        let id = format!("n_{name}__ConfigMap").parse().unwrap();
        let (change, object, file) = (None, None, String::new());
        SectionItem { id, deed, change, object, text: text.to_owned(), file }
    }

    fn section(name: &str, items: Vec<SectionItem>) -> Section {
        let key = Kustomization::named("flux-system", name);
        Section { key, revision: "main@sha1:aa".into(), items, notes: Vec::new(), stop: None }
    }

    fn configured(lines: usize) -> SectionItem {
        let value = |at: usize| json!({"data": (0..lines).map(|n| (n.to_string(), json!(at))).collect::<serde_json::Map<_, _>>()});
        SectionItem { change: compare(&value(1), &value(2)), ..item(Action::Configured, "a", "") }
    }

    #[test]
    fn each_deed_has_a_line_and_colours_are_for_terminals() {
        let items = vec![
            configured(1),
            item(Action::Created, "b", ""),
            item(Action::Recreated, "c", "losing its pods, since x"),
            item(Action::Pruned, "d", ""),
            item(Action::Refused, "e", "no\nline"),
            item(Action::Kept, "f", "a \x1b[31mguard"),
        ];
        let section = section("apps", items);
        let expected = "\
Kustomization/flux-system/apps  main@sha1:aa
~ ConfigMap/n/a
    data:
-     \"0\": 1
+     \"0\": 2
+ ConfigMap/n/b
± ConfigMap/n/c (recreated, losing its pods, since x)
- ConfigMap/n/d (pruned)
! ConfigMap/n/e: refused: no; line
= ConfigMap/n/f: kept: a \\u{1b}[31mguard
apps: 1 created, 1 configured, 1 recreated, 1 pruned, 1 refused, 1 kept
";
        assert_eq!(text(&section, Paint(false)), expected);
        let coloured = text(&section, Paint(true));
        assert!(coloured.contains("\x1b[32m+     \"0\": 2\x1b[0m\n"), "{coloured:?}");
        assert_eq!(
            names(&section),
            "configmap/n/a\nconfigmap/n/b\nconfigmap/n/c\nconfigmap/n/d\nconfigmap/n/e\n"
        );
    }

    #[test]
    fn a_comment_folds_what_is_long_and_counts_what_does_not_change() {
        let mut fenced = item(Action::Created, "b", "");
        fenced.object = Some(json!({"data": {"text": "```"}}));
        let all = [
            section("short", vec![fenced]),
            section("long", vec![configured(20)]),
            section("same", Vec::new()),
        ];
        let text = markdown(&all, &["one\nerror".to_owned()]);
        for part in [
            "> **Error**: one error\n",
            "<details open>\n<summary><code>Kustomization/flux-system/short</code> main@sha1:aa: 1 created</summary>\n\n````diff\n",
            "<details>\n<summary><code>Kustomization/flux-system/long</code>",
            "One more Kustomization or HelmRelease does not change.\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(markdown(&all[2..], &[]), "### lockgate diff\n\nNo change.\n");
    }
}
