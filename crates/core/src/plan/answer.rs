//! Reads the API server's answers about an object that it refuses.
//!
//! The answers are texts, and their HTTP status is often a plain 500, so this is the one place that reads
//! them. The cases are those of a kube-apiserver 1.35.

use super::cause::Cause;
use super::denied::Denied;
use lockgate_base::model::{Gvk, ObjectId};

/// An unsuccessful answer of the API server to a request about one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub code: u16,
    /// `status.reason`, for example `Invalid`; empty if the server gave none.
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
    /// The mistake.
    pub message: String,
    /// The path of the field.
    pub field: String,
}

/// Reads an answer. The order matters: the texts of webhooks and admission plugins may quote anything, so
/// they are recognised before the texts that they may quote.
pub(super) fn classify(id: &ObjectId, answer: &Answer) -> Cause {
    let text = answer.message.as_str();
    if let Some(cause) = webhook(text) {
        return cause;
    }
    if answer.code == 413 || TOO_LARGE.iter().any(|mark| text.contains(mark)) {
        return Cause::TooLarge;
    }
    match (answer.code, answer.reason.as_str()) {
        (403, _) => return forbidden(id, answer),
        (404, _) => return not_found(id, text),
        // The API server answers so if the server behind an API group cannot be reached (kube-aggregator's
        // pkg/apiserver/handler_proxy.go).
        (503, _) if !id.group.is_empty() && text.trim() == "service unavailable" => {
            return Cause::GroupDown(id.group.clone());
        }
        (401 | 429 | 502..=504, _) | (_, "ServerTimeout" | "Timeout" | "TooManyRequests") => {
            return Cause::Unavailable;
        }
        _ => {}
    }
    if text.contains("denied request:") {
        return Cause::Denied;
    }
    if is_immutable(answer) {
        return Cause::Immutable { loss: None };
    }
    if answer.code == 409 || text.starts_with(UNFITTING) {
        return Cause::Conflict;
    }
    if let Some(field) = unknown_field(text) {
        return Cause::UnknownField(field);
    }
    if TYPE_ERROR.iter().any(|mark| text.contains(mark)) {
        return Cause::TypeError;
    }
    match answer.code {
        422 | 400 => Cause::Invalid,
        code => Cause::Other { server_fault: code >= 500 },
    }
}

/// The server's text for a JSON patch that does not fit the current object (its api/errors/errors.go).
const UNFITTING: &str = "the server rejected our request due to an error in our request";

/// Texts that mean that an object is too large, beside the status.
const TOO_LARGE: [&str; 4] = [
    "etcdserver: request is too large",
    "equest entity too large",
    "trying to send message larger than max",
    "Too long: may not be more than",
];

/// Texts that mean that a value cannot be read as its type.
const TYPE_ERROR: [&str; 7] = [
    "expected numeric",
    "expected string",
    "expected map",
    "expected list",
    "expected boolean",
    "illegal base64 data",
    "cannot be handled as a",
];

/// Texts that mean that a field cannot change. The status alone does not show that: a wrong value is 422 as
/// well, and recreating the object for it would delete the object and not bring it back.
const IMMUTABLE: [&str; 14] = [
    "is immutable",
    "immutable field",
    "may not be changed",
    "may not change once set",
    "may not change fields other than",
    "spec for fields other than",
    "cannot be changed",
    "cannot change roleref",
    "may not be unset",
    "can not be unset",
    "updates to parameters are forbidden",
    "updates to provisioner are forbidden",
    "updates to reclaimpolicy are forbidden",
    "is not updatable",
];

/// Whether a text means that a field cannot change.
pub(super) fn says_immutable(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    IMMUTABLE.iter().any(|mark| text.contains(mark))
}

/// Whether immutable fields are the only problem. With another problem the object would not come back after
/// its deletion.
fn is_immutable(answer: &Answer) -> bool {
    if answer.causes.is_empty() {
        return says_immutable(&answer.message);
    }
    answer.causes.iter().all(|cause| says_immutable(&cause.message))
}

fn forbidden(id: &ObjectId, answer: &Answer) -> Cause {
    let text = answer.message.as_str();
    let terminating = answer.causes.iter().any(|cause| cause.reason == "NamespaceTerminating");
    if terminating || text.contains("because it is being terminated") {
        return Cause::NamespaceTerminating { namespace: id.namespace.clone(), state: String::new() };
    }
    Denied::read(text).map_or(Cause::Denied, Cause::Forbidden)
}

fn not_found(id: &ObjectId, text: &str) -> Cause {
    let namespace = text.strip_prefix("namespaces \"").and_then(|rest| rest.split_once("\" not found"));
    match namespace {
        Some((namespace, _)) => Cause::NamespaceMissing(namespace.into()),
        // The kind was served when its URL was looked up, and no longer is.
        None if text.contains("could not find the requested resource") || text.contains("page not found") => {
            let gvk = Gvk { group: id.group.clone(), version: String::new(), kind: id.kind.clone() };
            Cause::UnknownKind(gvk)
        }
        None => Cause::Other { server_fault: false },
    }
}

/// Reads the server's texts about a webhook, and the webhook's name.
fn webhook(text: &str) -> Option<Cause> {
    let named = |mark: &str| {
        let (name, rest) = text.split_once(mark)?.1.split_once('"')?;
        Some((name.to_owned(), rest))
    };
    if let Some((name, _)) = named("failed calling webhook \"") {
        return Some(Cause::WebhookDown(name));
    }
    if text.contains("conversion webhook for ") && text.contains(" failed") {
        let name = text.split_once("conversion webhook for ")?.1.split_once(" failed")?.0;
        return Some(Cause::WebhookDown(format!("that converts {name}")));
    }
    let (name, rest) = named("admission webhook \"")?;
    if rest.starts_with(" does not support dry run") {
        return Some(Cause::WebhookWithoutDryRun(name));
    }
    rest.starts_with(" denied the request").then_some(Cause::WebhookDenied(name))
}

/// Reads `.spec.dataa: field not declared in schema` and `unknown field "spec.dataa"`.
fn unknown_field(text: &str) -> Option<String> {
    if let Some((before, _)) = text.split_once(": field not declared in schema") {
        let path = before.rsplit(' ').next().unwrap_or_default();
        return Some(path.trim_start_matches('.').to_owned());
    }
    let (field, _) = text.split_once("unknown field \"")?.1.split_once('"')?;
    Some(field.to_owned())
}
