//! Why an object cannot be applied: what the API server answered, what that means, and what helps.

use std::fmt;
use std::ops::Deref;

use serde_json::Value;

use super::answer::classify;
use super::redact;
use lockgate_base::keys;
use lockgate_base::model::{Gvk, Object, ObjectId};

/// What the API server answered to a request about one object, other than success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub code: u16,
    /// `status.reason`, for example `Invalid`; empty where the server gave none.
    pub reason: String,
    /// `status.message`.
    pub message: String,
    /// `status.details.causes`.
    pub causes: Vec<AnswerCause>,
}

/// One of `status.details.causes`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerCause {
    /// For example `FieldValueInvalid`.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// Which field.
    pub field: String,
}

/// Which request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The dry run, before anything of the stage was written.
    DryRun,
    /// The write itself.
    Apply,
}

/// An object that cannot be applied, and why. Its text holds no value of a Secret.
///
/// The content stands behind a pointer, since a refusal is the rare half of many results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Box<Content>);

/// The content of a [`Refusal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Which object.
    pub id: ObjectId,
    /// At which request.
    pub phase: Phase,
    /// What is the matter.
    pub cause: Cause,
    /// The server's reason, for example `Invalid`; empty where there is none.
    reason: String,
    /// The server's text.
    text: String,
}

/// What is the matter with an object that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The namespace does not exist, or not yet.
    NamespaceMissing(String),
    /// The namespace is being deleted.
    NamespaceTerminating {
        /// Which.
        namespace: String,
        /// Since when, and what holds it; empty where it was not looked at.
        state: String,
    },
    /// The object's kind is namespaced, and it names no namespace.
    NamespaceNotSpecified,
    /// A right is missing.
    Forbidden {
        /// Who asked.
        user: String,
        /// `patch`, `create`, ...
        verb: String,
        /// `deployments.apps`, ...
        resource: String,
        /// Empty at the cluster's scope.
        namespace: String,
    },
    /// An admission plugin or policy of the API server says no: a quota, Pod Security, a `ValidatingAdmissionPolicy`.
    Denied,
    /// A field that cannot change has changed; the object has to be made anew.
    Immutable,
    /// A field that the kind does not have, by its path.
    UnknownField(String),
    /// A value of the wrong type, or one that cannot be read.
    TypeError,
    /// A value that is not allowed.
    Invalid,
    /// The cluster has no such kind, or not yet.
    UnknownKind(Gvk),
    /// The server behind the kind's API group does not answer.
    GroupDown(String),
    /// A webhook says no.
    WebhookDenied(String),
    /// A webhook cannot be asked.
    WebhookDown(String),
    /// A webhook has side effects, so a dry run cannot ask it.
    WebhookWithoutDryRun(String),
    /// The object is larger than the server or its store takes.
    TooLarge,
    /// Something else changed the object meanwhile, or it is still being deleted.
    Conflict,
    /// A Secret that is still encrypted with SOPS.
    Encrypted,
    /// The server could not be asked.
    Unavailable,
    /// Anything else, and whether the server is at fault rather than the object.
    Other {
        /// It is, so the same request may pass later.
        server_fault: bool,
    },
}

impl Refusal {
    /// What an answer of the API server means. Values are cut out of its text for a Secret; for other objects that hold
    /// secret values see [`Refusal::redacted`].
    pub fn of_answer(id: ObjectId, phase: Phase, answer: Answer) -> Self {
        let cause = classify(&id, &answer);
        let text = answer.message.trim();
        let text = if is_secret(&id) { redact::values(text) } else { redact::shorten(text) };
        Self(Box::new(Content { id, phase, cause, reason: answer.reason, text }))
    }

    /// A refusal that is known without the server's answer, or where there was none. `text` holds no value.
    pub fn new(id: ObjectId, phase: Phase, cause: Cause, text: impl Into<String>) -> Self {
        Self(Box::new(Content { id, phase, cause, reason: String::new(), text: text.into() }))
    }

    /// The cluster does not serve the object's kind.
    pub fn unknown_kind(id: ObjectId, phase: Phase, gvk: Gvk) -> Self {
        let text = format!("no matches for kind \"{}\" in version \"{}\"", gvk.kind, gvk.api_version());
        Self::new(id, phase, Cause::UnknownKind(gvk), text)
    }

    /// The kind's API group is served by something that does not answer.
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

    /// The server could not be asked.
    pub fn unavailable(id: ObjectId, phase: Phase, message: impl Into<String>) -> Self {
        Self::new(id, phase, Cause::Unavailable, message)
    }

    /// The server's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same without any value that the server may have quoted, for an object with secret values in it.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.0.text = redact::values(&self.0.text);
        self
    }

    /// The same with an edited text.
    #[must_use]
    pub fn edited(mut self, edit: impl FnOnce(&str) -> String) -> Self {
        self.0.text = edit(&self.0.text);
        self
    }

    /// Whether the same object may pass later without a change in Git or of rights.
    pub fn is_transient(&self) -> bool {
        match &self.cause {
            Cause::NamespaceMissing(_)
            | Cause::NamespaceTerminating { .. }
            | Cause::UnknownKind(_)
            | Cause::GroupDown(_)
            | Cause::WebhookDown(_)
            | Cause::Conflict
            | Cause::Unavailable => true,
            Cause::Other { server_fault } => *server_fault,
            Cause::NamespaceNotSpecified
            | Cause::Forbidden { .. }
            | Cause::Denied
            | Cause::Immutable
            | Cause::UnknownField(_)
            | Cause::TypeError
            | Cause::Invalid
            | Cause::WebhookDenied(_)
            | Cause::WebhookWithoutDryRun(_)
            | Cause::TooLarge
            | Cause::Encrypted => false,
        }
    }

    /// Whether a right is missing.
    pub fn is_forbidden(&self) -> bool {
        matches!(self.cause, Cause::Forbidden { .. })
    }

    /// The namespace whose end stands in the way.
    pub fn terminating_namespace(&self) -> Option<&str> {
        match &self.cause {
            Cause::NamespaceTerminating { namespace, .. } => Some(namespace),
            _ => None,
        }
    }

    /// The same with what the namespace that is being deleted says of itself.
    #[must_use]
    pub fn explained_by(mut self, namespace: &Object) -> Self {
        if let Cause::NamespaceTerminating { state, .. } = &mut self.0.cause {
            *state = terminating(namespace);
        }
        self
    }

    /// What helps, where that is known.
    pub fn cure(&self) -> Option<String> {
        Some(match &self.cause {
            Cause::NamespaceMissing(namespace) => {
                format!("add the Namespace {namespace} to this build or to one that it depends on")
            }
            Cause::NamespaceTerminating { namespace, state } => {
                format!("namespace {namespace} terminating{state}; this is tried again until it is gone")
            }
            Cause::NamespaceNotSpecified => "set metadata.namespace, or spec.targetNamespace".into(),
            Cause::Forbidden { user, verb, resource, namespace } => {
                let place = match namespace.as_str() {
                    "" => "at the cluster scope".to_owned(),
                    namespace => format!("in namespace {namespace}"),
                };
                format!("grant {verb} on {resource} {place} to {user}")
            }
            Cause::Immutable => {
                format!("set spec.force, or annotate the object with {}: enabled", keys::FORCE)
            }
            Cause::UnknownField(path) => format!("remove the field {path}, or correct its name"),
            Cause::UnknownKind(_) => {
                "its CustomResourceDefinition is not there: add it to this build or to one that it depends on"
                    .into()
            }
            Cause::GroupDown(_) => {
                "see kubectl get apiservices; is what its APIService points to healthy?".into()
            }
            Cause::WebhookDown(name) => {
                format!("the webhook {name} does not answer; is what it runs on healthy?")
            }
            Cause::WebhookWithoutDryRun(name) => format!(
                "the webhook {name} must declare sideEffects: None or NoneOnDryRun in its configuration, since every \
                 object is applied as a dry run first"
            ),
            Cause::TooLarge => "split it, or move the data elsewhere".into(),
            Cause::Encrypted => "configure spec.decryption".into(),
            Cause::Denied
            | Cause::TypeError
            | Cause::Invalid
            | Cause::WebhookDenied(_)
            | Cause::Conflict
            | Cause::Unavailable
            | Cause::Other { .. } => return None,
        })
    }
}

impl Deref for Refusal {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.0
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    /// Flux's texts, with the cure behind them: `Deployment/ns/n dry-run failed (Invalid): ...; set spec.force ...`.
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
        match self.cure() {
            Some(cure) => write!(f, "; {cure}"),
            None => Ok(()),
        }
    }
}

/// Whether objects of the kind hold secret values by their nature.
pub(super) fn is_secret(id: &ObjectId) -> bool {
    id.kind == "Secret" && id.group.is_empty()
}

/// Since when a namespace is being deleted, its own finalizers, and those of what is in it.
fn terminating(namespace: &Object) -> String {
    let list = |pointer| namespace.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let own = ["/metadata/finalizers", "/spec/finalizers"].map(list).concat();
    let mut holders: Vec<String> = own.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    // "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
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
