//! The changes of one Kustomization or HelmRelease.

use serde_json::{Value, json};

use super::changes::{ValueChange, compare, compare_hidden, flat, hidden};
use crate::preview::{Look, LookStop};
use lockgate_base::model::{Object, ObjectId, Ref};
use lockgate_core::pipeline::{Announced, Dropped, Fate};
use lockgate_core::plan::{Refusal, Step, compared};

/// The action on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The object is created.
    Created,
    /// The object is changed.
    Configured,
    /// The object is deleted and recreated.
    Recreated,
    /// The object is deleted.
    Pruned,
    /// The object cannot be applied or deleted.
    Refused,
    /// The build no longer contains the object, and it stays.
    Kept,
}

impl Action {
    /// All actions, in the order of the summary.
    pub(super) const ALL: [Self; 6] =
        [Self::Created, Self::Configured, Self::Recreated, Self::Pruned, Self::Refused, Self::Kept];

    /// The word in the summary.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Recreated => "recreated",
            Self::Pruned => "pruned",
            Self::Refused => "refused",
            Self::Kept => "kept",
        }
    }

    /// The sign before the object.
    pub(super) const fn sign(self) -> char {
        match self {
            Self::Created => '+',
            Self::Configured => '~',
            Self::Recreated => '±',
            Self::Pruned => '-',
            Self::Refused => '!',
            Self::Kept => '=',
        }
    }
}

/// An object and the action on it.
#[derive(Debug)]
pub(super) struct SectionItem {
    pub(super) id: ObjectId,
    pub(super) deed: Action,
    /// The changed fields.
    pub(super) change: Option<ValueChange>,
    /// The new object, if it is created.
    pub(super) object: Option<Value>,
    /// The reason, or the losses.
    pub(super) text: String,
    /// The path of the object's file; empty if it is unknown.
    pub(super) file: String,
}

/// The actions on the objects of one Kustomization or HelmRelease.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) key: Ref,
    /// The revision that is compared with the cluster.
    pub(super) revision: String,
    pub(super) items: Vec<SectionItem>,
    pub(super) notes: Vec<String>,
    /// Why there are no changes to show.
    pub(super) stop: Option<LookStop>,
}

impl Section {
    /// From what was seen. `with` says how much goes with an object that goes.
    pub(super) fn of(
        key: Ref,
        revision: String,
        look: Look,
        with: impl Fn(&ObjectId) -> Option<String>,
    ) -> Self {
        let Look { end, mut notes, redactor } = look;
        let (mut items, mut stop) = (Vec::new(), None);
        match end {
            Ok(preview) => {
                notes.extend(preview.warnings);
                let drifted = preview.drifted.into_iter();
                notes.extend(drifted.map(|line| format!("has drifted, and is not corrected: {line}")));
                items.extend(preview.objects.into_iter().filter_map(item));
                items.extend(preview.refusals.iter().map(refused));
                items.extend(preview.dropped.into_iter().filter_map(|dropped| gone(dropped, &with)));
            }
            Err(reason) => stop = Some(reason),
        }
        for item in &mut items {
            item.text = redactor.redact(&item.text);
        }
        let notes = notes.into_iter().map(|note| redactor.redact(&note)).collect();
        Self { key, revision, items, notes, stop }
    }

    /// `Kustomization/namespace/name`, or the folder that no Kustomization applies.
    pub(super) fn subject(&self) -> String {
        if self.key.namespace.is_empty() { self.key.name.clone() } else { self.key.to_string() }
    }

    /// The number of objects with this action.
    pub(super) fn count(&self, deed: Action) -> usize {
        self.items.iter().filter(|item| item.deed == deed).count()
    }

    /// Whether anything would change.
    pub(super) fn differs(&self) -> bool {
        self.items.iter().any(|item| !matches!(item.deed, Action::Refused | Action::Kept))
    }

    /// `1 created, 2 pruned`.
    pub(super) fn summary(&self) -> String {
        if let Some(stop) = &self.stop {
            return match stop {
                LookStop::Unreachable(_) => "the server could not be reached",
                LookStop::Unbuilt(_) => "cannot be built",
                LookStop::Refused(_) => "refused",
            }
            .to_owned();
        }
        let counts = Action::ALL.map(|deed| (self.count(deed), deed.word()));
        let parts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        if parts.is_empty() { "no change".to_owned() } else { parts.join(", ") }
    }

    /// The value for programs.
    pub(super) fn value(&self) -> Value {
        let counts = Action::ALL.map(|deed| (deed.word().to_owned(), json!(self.count(deed))));
        let error = self.stop.as_ref().map(|stop| {
            let (kind, message) = match stop {
                LookStop::Unreachable(message) => ("unreachable", message),
                LookStop::Unbuilt(message) => ("build", message),
                LookStop::Refused(message) => ("refused", message),
            };
            json!({"kind": kind, "message": message})
        });
        json!({
            "kind": self.key.kind.kind, "namespace": self.key.namespace, "name": self.key.name, "revision": self.revision,
            "differs": self.differs(), "summary": counts.into_iter().collect::<serde_json::Map<_, _>>(),
            "objects": self.items.iter().map(SectionItem::value).collect::<Vec<_>>(),
            "notes": self.notes, "error": error,
        })
    }
}

impl SectionItem {
    /// One of two revisions, or of two sides: `None` where nothing differs.
    pub(super) fn between(before: Option<&Side>, after: Option<&Side>) -> Option<Self> {
        let (deed, side) = match (before, after) {
            (None, None) => return None,
            (None, Some(after)) => (Action::Created, after),
            (Some(before), None) => (Action::Pruned, before),
            (Some(_), Some(after)) => (Action::Configured, after),
        };
        let is_sensitive = [before, after].into_iter().flatten().any(|side| side.is_sensitive);
        let change = match (before, after) {
            (Some(before), Some(after)) => Some(change(&before.object, &after.object, is_sensitive)?),
            _ => None,
        };
        let object = (deed == Action::Created).then(|| shown(&side.object, is_sensitive));
        let (file, text) = (side.file.clone(), side.hook.as_ref().map(|hook| format!("hook: {hook}")));
        Some(Self { id: side.object.id(), deed, change, object, text: text.unwrap_or_default(), file })
    }

    /// An object of the revision before that stays though nothing makes it any more.
    pub(super) fn kept(before: &Side, reason: &str) -> Self {
        let (id, file) = (before.object.id(), before.file.clone());
        Self { id, deed: Action::Kept, change: None, object: None, text: reason.to_owned(), file }
    }

    /// What an object of the revision before becomes that is not in the one after.
    pub(super) fn dropped(before: &Side, fate: Option<Fate>) -> Option<Self> {
        let item = gone(Dropped { id: before.object.id(), fate: Ok(fate) }, |_| None)?;
        Some(Self { file: before.file.clone(), ..item })
    }

    fn value(&self) -> Value {
        let fields = self.change.as_ref().map(|change| {
            let fields = flat(change).into_iter();
            fields
                .map(|(path, before, after)| json!({"path": path, "before": before, "after": after}))
                .collect::<Vec<_>>()
        });
        json!({
            "action": self.deed.word(), "group": self.id.group, "kind": self.id.kind,
            "namespace": self.id.namespace, "name": self.id.name, "file": self.file,
            "message": self.text, "fields": fields.unwrap_or_default(), "object": self.object,
        })
    }
}

/// An object of a revision.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) object: Object,
    pub(super) file: String,
    /// When it is run, if it is a hook of a chart.
    pub(super) hook: Option<String>,
    /// Whether it is of a chart's `crds/`.
    pub(super) is_definition: bool,
    /// Whether it holds values of Secrets.
    pub(super) is_sensitive: bool,
}

fn is_secret(object: &Object) -> bool {
    (object.group(), object.kind()) == ("", "Secret")
}

/// How an object changes; `None` where it does not.
fn change(before: &Object, after: &Object, is_sensitive: bool) -> Option<ValueChange> {
    let (before, after) = (compared(before), (compared(after), is_secret(after)));
    if is_sensitive { compare_hidden(&before, &after.0, after.1) } else { compare(&before, &after.0) }
}

/// An object that comes, without values that nobody may see.
fn shown(object: &Object, is_sensitive: bool) -> Value {
    let mut value = object.value().clone();
    if !is_sensitive {
        return value;
    }
    if !is_secret(object) {
        for (_, field) in value
            .as_object_mut()
            .into_iter()
            .flatten()
            .filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata"))
        {
            *field = hidden(field);
        }
    }
    for pointer in ["/data", "/stringData", "/metadata/annotations"] {
        if let Some(field) = value.pointer_mut(pointer) {
            *field = hidden(field);
        }
    }
    value
}

fn item(announced: Announced) -> Option<SectionItem> {
    let Announced { entry, live, wanted, origin, is_sensitive, is_reached } = announced;
    let change = live.zip(wanted).and_then(|(live, wanted)| change(&live, &wanted, is_sensitive));
    let mut texts = Vec::new();
    let deed = match &entry.step {
        Step::Create => Action::Created,
        Step::Configure { drift, .. } => {
            if change.is_none() && drift.is_empty() {
                texts.push("the agent becomes the field manager; no value changes".to_owned());
            } else if change.is_none() {
                // The server says what it makes of the object only once others have let go of fields.
                texts.extend(drift.iter().map(ToString::to_string));
            }
            Action::Configured
        }
        Step::Recreate { reason, with, .. } => {
            let with = with.map(|with| format!("losing {with}, ")).unwrap_or_default();
            texts.push(format!("{with}since {reason}"));
            Action::Recreated
        }
        Step::Keep | Step::Skip(_) | Step::Refuse(_) => return None,
    };
    if !is_reached {
        texts.push("only after the refusals are corrected".to_owned());
    }
    let text = texts.join("; ");
    let object = (deed == Action::Created).then(|| shown(&entry.object, is_sensitive));
    Some(SectionItem { id: entry.object.id(), deed, change, object, text, file: origin })
}

fn refused(refusal: &Refusal) -> SectionItem {
    let text = refusal.to_string();
    let subject = format!("{} ", refusal.id.subject());
    let text = text.strip_prefix(&subject).map_or(text.clone(), ToOwned::to_owned);
    let file = String::new();
    SectionItem { id: refusal.id.clone(), deed: Action::Refused, change: None, object: None, text, file }
}

fn gone(dropped: Dropped, with: impl Fn(&ObjectId) -> Option<String>) -> Option<SectionItem> {
    let Dropped { id, fate } = dropped;
    let (deed, text) = match fate {
        Ok(Some(Fate::Gone)) => return None,
        Ok(Some(Fate::Deleted)) => (Action::Pruned, with(&id).unwrap_or_default()),
        Ok(Some(Fate::Kept(reason))) => (Action::Kept, reason.to_string()),
        Ok(Some(Fate::Awaited(reason))) => (Action::Kept, format!("{reason}, and will take it over")),
        Ok(None) => (
            Action::Kept,
            "it is no longer managed and not deleted, because of spec.prune or of the \
                object's own policy"
                .to_owned(),
        ),
        Err(message) => (Action::Refused, message),
    };
    Some(SectionItem { id, deed, change: None, object: None, text, file: String::new() })
}
