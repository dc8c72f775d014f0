//! A refusal: the object that cannot be applied, the request that failed, and the cause.

use std::fmt;
use std::ops::Deref;

use serde_json::Value;

use super::answer::{Answer, classify, says_immutable};
use super::cause::Cause;
use super::groups::is_built_in;
use super::redact;
use lockgate_base::model::{Gvk, Object, ObjectId};

/// The refused request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The dry run, before any write of the stage.
    DryRun,
    /// The write itself.
    Apply,
}

/// An object that cannot be applied, and the cause. The text holds no value of a Secret.
///
/// The content is behind a pointer because refusals are the rare half of many results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Box<RefusalContent>);

/// The content of a [`Refusal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalContent {
    /// The refused object.
    pub id: ObjectId,
    /// The request that failed.
    pub phase: Phase,
    /// The cause.
    pub cause: Cause,
    /// The server's reason, for example `Invalid`; empty if there is none.
    reason: String,
    /// The server's text.
    text: String,
}

impl Refusal {
    /// The refusal that an answer of the API server means. For a Secret, values are cut out of the text; for
    /// other objects with secret values see [`Refusal::redacted`].
    pub fn of_answer(id: ObjectId, phase: Phase, answer: Answer) -> Self {
        let cause = classify(&id, &answer);
        let text = answer.message.trim();
        let text = if is_secret(&id) { redact::values(text) } else { redact::shorten(text) };
        Self(Box::new(RefusalContent { id, phase, cause, reason: answer.reason, text }))
    }

    /// A refusal that was not read from an answer of the server. `text` must hold no secret value.
    pub fn new(id: ObjectId, phase: Phase, cause: Cause, text: impl Into<String>) -> Self {
        Self(Box::new(RefusalContent { id, phase, cause, reason: String::new(), text: text.into() }))
    }

    /// The cluster does not serve the object's kind.
    pub fn unknown_kind(id: ObjectId, phase: Phase, gvk: Gvk) -> Self {
        let text = format!("no matches for kind \"{}\" in version \"{}\"", gvk.kind, gvk.api_version());
        Self::new(id, phase, Cause::UnknownKind(gvk), text)
    }

    /// The server behind the kind's API group does not answer.
    pub fn group_down(id: ObjectId, phase: Phase) -> Self {
        let group = id.group.clone();
        Self::new(
            id,
            phase,
            Cause::GroupDown(group.clone()),
            format!("the server behind the API group {group} does not answer"),
        )
    }

    /// The kind is namespaced, and the object names no namespace.
    pub fn namespace_not_specified(id: ObjectId, phase: Phase) -> Self {
        let text = format!("{} is a namespaced kind", id.kind);
        Self::new(id, phase, Cause::NamespaceNotSpecified, text)
    }

    /// The server could not be reached.
    pub fn unavailable(id: ObjectId, phase: Phase, message: impl Into<String>) -> Self {
        Self::new(id, phase, Cause::Unavailable, message)
    }

    /// The server's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// This refusal without any value that the server may have quoted, for an object with secret values in
    /// it.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.0.text = redact::values(&self.0.text);
        self
    }

    /// This refusal with an edited text.
    #[must_use]
    pub fn edited(mut self, edit: impl FnOnce(&str) -> String) -> Self {
        self.0.text = edit(&self.0.text);
        self
    }

    /// This refusal of an object that must not be deleted and recreated, with the loss that this would cause.
    #[must_use]
    pub fn costing(mut self, loss: &'static str) -> Self {
        if let Cause::Immutable { loss: lost } = &mut self.0.cause {
            *lost = Some(loss);
        }
        self
    }

    /// Whether the same object may pass later without a change in Git or of rights.
    pub fn is_transient(&self) -> bool {
        self.cause.is_transient()
    }

    /// Whether the text says that a field cannot change. It may be a webhook's text, which may mean anything
    /// by that.
    pub(super) fn says_immutable(&self) -> bool {
        says_immutable(&self.text)
    }

    /// Whether the refusal may come from a definition, a right, a quota or a policy that the API server has
    /// not seen yet. It reads these from caches, and each of several servers has caches of its own.
    pub fn may_pass_soon(&self) -> bool {
        match &self.cause {
            Cause::Forbidden(_) | Cause::Denied => true,
            _ => self.is_of_schema(),
        }
    }

    /// Whether the schema of a custom resource is the cause.
    pub fn is_of_schema(&self) -> bool {
        let cause = &self.cause;
        let is_schema = matches!(
            cause,
            Cause::UnknownField(_) | Cause::Undeclared(_) | Cause::TypeError | Cause::Invalid
        );
        is_schema && !is_built_in(&self.id.group)
    }

    /// This refusal, with the cause [`Cause::Undeclared`] if the unknown field is not in Git's object.
    #[must_use]
    pub(super) fn seen_beside(mut self, object: &Object) -> Self {
        if let Cause::UnknownField(path) = &self.0.cause
            && !names_field(object.value(), path)
        {
            self.0.cause = Cause::Undeclared(path.clone());
        }
        self
    }

    /// Whether a right is missing.
    pub fn is_forbidden(&self) -> bool {
        matches!(self.cause, Cause::Forbidden(_))
    }

    /// The namespace whose deletion is the cause.
    pub fn terminating_namespace(&self) -> Option<&str> {
        match &self.cause {
            Cause::NamespaceTerminating { namespace, .. } => Some(namespace),
            _ => None,
        }
    }

    /// This refusal with the state of the namespace that is being deleted.
    #[must_use]
    pub fn explained_by(mut self, namespace: &Object) -> Self {
        if let Cause::NamespaceTerminating { state, .. } = &mut self.0.cause {
            *state = terminating(namespace);
        }
        self
    }
}

impl Deref for Refusal {
    type Target = RefusalContent;

    fn deref(&self) -> &RefusalContent {
        &self.0
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    /// Flux's texts, with the cure behind them: `Deployment/ns/n dry-run failed (Invalid): ...; set
    /// spec.force ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.id.subject())?;
        match (&self.cause, self.phase) {
            (Cause::NamespaceMissing(_), _) => f.write_str("not found")?,
            (Cause::NamespaceNotSpecified, _) => f.write_str("namespace not specified")?,
            (Cause::Encrypted, _) => f.write_str("is SOPS encrypted")?,
            (_, Phase::DryRun) => f.write_str("dry-run failed")?,
            (_, Phase::Apply) => f.write_str("apply failed")?,
        }
        if !self.reason.is_empty() && !matches!(self.cause, Cause::NamespaceMissing(_)) {
            write!(f, " ({})", self.reason)?;
        }
        write!(f, ": {}", self.text)?;
        match self.cause.cure() {
            Some(cure) => write!(f, "; {cure}"),
            None => Ok(()),
        }
    }
}

/// Whether objects of the kind hold secret values by their nature.
pub(super) fn is_secret(id: &ObjectId) -> bool {
    id.kind == "Secret" && id.group.is_empty()
}

/// Whether a value has the field at a path such as `spec.ports[name="a"].port`. The key of a list item is not
/// compared.
fn names_field(value: &Value, path: &str) -> bool {
    let path = path.trim_start_matches('.');
    if path.is_empty() {
        return true;
    }
    if let Some((_, rest)) = path.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        let items = value.as_array().map_or(&[][..], Vec::as_slice);
        return items.iter().any(|item| names_field(item, rest));
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    value.get(&path[..end]).is_some_and(|value| names_field(value, &path[end..]))
}

/// Since when a namespace is being deleted, its own finalizers, and those of its objects.
fn terminating(namespace: &Object) -> String {
    let list = |pointer| namespace.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let own = ["/metadata/finalizers", "/spec/finalizers"].map(list).concat();
    let mut holders: Vec<String> = own.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    // Example: "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource
    // instances"
    let inside = list("/status/conditions").iter().filter(|condition| {
        condition["type"] == "NamespaceFinalizersRemaining" && condition["status"] == "True"
    });
    let told = inside.filter_map(|condition| condition["message"].as_str()?.split_once("remaining: "));
    holders.extend(told.map(|(_, rest)| rest.to_owned()));
    let since = namespace.text("/metadata/deletionTimestamp").map(|since| format!(" since {since}"));
    let held = (!holders.is_empty()).then(|| format!(" (finalizers: {})", holders.join(", ")));
    since.unwrap_or_default() + &held.unwrap_or_default()
}

#[cfg(test)]
mod tests;
