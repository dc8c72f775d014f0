//! The API server's answers to requests that it refuses, in its own words.

use serde_json::{Value, json};

use super::kinds::Kind;

/// An unsuccessful answer: an HTTP status and its body.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// HTTP status.
    pub code: u16,
    /// `metav1.Status`, or plain text.
    pub body: Value,
}

impl Refused {
    pub(crate) fn new(code: u16, reason: &str, message: &str, details: Value) -> Self {
        let mut body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code});
        if !details.is_null() {
            body["details"] = details;
        }
        Self { code, body }
    }

    fn of(code: u16, reason: &str, kind: &Kind, name: &str, message: &str) -> Self {
        Self::new(code, reason, message, details(kind, name))
    }

    /// The answer, in plain text, for a path that nobody serves.
    pub(crate) fn unserved() -> Self {
        Self { code: 404, body: "404 page not found\n".into() }
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::of(404, "NotFound", kind, name, &format!("{} \"{name}\" not found", kind.qualified()))
    }

    pub(crate) fn no_namespace(name: &str) -> Self {
        let message = format!("namespaces \"{name}\" not found");
        Self::new(404, "NotFound", &message, json!({"name": name, "kind": "namespaces"}))
    }

    pub(crate) fn exists(kind: &Kind, name: &str, is_leaving: bool) -> Self {
        let leaving = if is_leaving { "object is being deleted: " } else { "" };
        let message = format!("{leaving}{} \"{name}\" already exists", kind.qualified());
        Self::of(409, "AlreadyExists", kind, name, &message)
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::of(409, "Conflict", kind, name, &message)
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub(crate) fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let message = format!(
            "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
            kind.qualified()
        );
        let mut refused = Self::of(403, "Forbidden", kind, name, &message);
        refused.body["details"]["causes"] = json!([{"reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"), "field": "metadata.namespace"}]);
        refused
    }

    pub(crate) fn denied(webhook: &str, why: &str) -> Self {
        let message = format!("admission webhook \"{webhook}\" denied the request: {why}");
        Self {
            code: 400,
            body: json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "code": 400}),
        }
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, field: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is invalid: {field}: {why}", kind.of_group());
        let mut refused = Self::new(422, "Invalid", &message, json!({"name": name, "kind": kind.kind}));
        if !kind.group.is_empty() {
            refused.body["details"]["group"] = kind.group.clone().into();
        }
        refused.body["details"]["causes"] =
            json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]);
        refused
    }

    pub(crate) fn bad(message: &str) -> Self {
        Self::new(400, "BadRequest", message, Value::Null)
    }

    pub(crate) fn expired(since: u64) -> Self {
        Self::new(410, "Expired", &format!("too old resource version: {since}"), Value::Null)
    }

    /// An internal error of the server.
    pub fn fault(code: u16) -> Self {
        let (reason, message) = match code {
            409 => (
                "Conflict",
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            429 => (
                "TooManyRequests",
                "the server has received too many requests and has asked us to try again later",
            ),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
        };
        Self::new(code, reason, message, Value::Null)
    }
}

/// The object in the details of a status.
pub(crate) fn details(kind: &Kind, name: &str) -> Value {
    let mut details = json!({"name": name, "kind": kind.plural});
    if !kind.group.is_empty() {
        details["group"] = kind.group.clone().into();
    }
    details
}
