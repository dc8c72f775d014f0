//! The meaning of an unsuccessful answer for a request. `plan` reads its meaning for an object.

use std::error::Error as _;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use lockgate_base::model::{Gvk, Object};
use lockgate_core::pipeline::ports::{ApiFailure, Denied};
use lockgate_core::plan::{Answer, AnswerCause, Phase, Refusal};

/// How long to wait for a busy server that gives no Retry-After.
const BUSY: Duration = Duration::from_secs(1);

/// A failed request, with the server's full answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestFailure {
    /// The server was not reached, or did not answer in time.
    Unavailable(String),
    /// The server is busy and wants to be left alone for a while.
    Busy { answer: Answer, delay: Duration },
    /// The server did not answer with success.
    Answered(Answer),
    /// The cluster has no such kind; or the server behind its group does not answer.
    UnknownKind { gvk: Gvk, unreachable: bool },
    /// The fence forbids writes.
    Fenced(String),
}

impl From<RequestFailure> for ApiFailure {
    fn from(failure: RequestFailure) -> Self {
        match failure {
            RequestFailure::Unavailable(message) => Self::Unavailable { message, retry_after: None },
            RequestFailure::Busy { answer, delay } => {
                Self::Unavailable { message: answer.message, retry_after: Some(delay) }
            }
            RequestFailure::UnknownKind { gvk, unreachable } => Self::UnknownKind { gvk, unreachable },
            RequestFailure::Fenced(reason) => Self::Fenced(reason),
            RequestFailure::Answered(Answer { code: 401, .. }) => Self::Answered {
                code: 401,
                reason: "Unauthorized".into(),
                message: "the API server does not accept the credentials: they are wrong or have expired"
                    .into(),
            },
            RequestFailure::Answered(Answer { code: 502..=504, message, .. }) => {
                Self::Unavailable { message, retry_after: None }
            }
            RequestFailure::Answered(answer) => match Denied::read(&answer.message) {
                Some(denied) if answer.code == 403 => Self::Forbidden(denied),
                _ => Self::Answered { code: answer.code, reason: answer.reason, message: answer.message },
            },
        }
    }
}

/// Turns a failure into the refusal of an object.
pub(super) fn refusal(object: &Object, phase: Phase, failure: RequestFailure) -> Refusal {
    let id = object.id();
    match failure {
        RequestFailure::Unavailable(message) => Refusal::unavailable(id, phase, message),
        RequestFailure::Busy { answer, .. } => Refusal::unavailable(id, phase, answer.message),
        RequestFailure::Answered(answer) => Refusal::of_answer(id, phase, answer),
        RequestFailure::UnknownKind { gvk, unreachable: false } => Refusal::unknown_kind(id, phase, gvk),
        RequestFailure::UnknownKind { unreachable: true, .. } => Refusal::group_down(id, phase),
        RequestFailure::Fenced(reason) => {
            Refusal::unavailable(id, phase, format!("nothing was written: {reason}"))
        }
    }
}

/// The parts of `metav1.Status` that are read.
#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    causes: Vec<StatusCause>,
}

#[derive(Debug, Default, Deserialize)]
struct StatusCause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    field: String,
}

/// The failure to reach the server, or to understand its answer.
pub(super) fn unavailable(message: impl Into<String>) -> RequestFailure {
    RequestFailure::Unavailable(message.into())
}

/// An answer that is made here in place of the server, which would give it.
pub(super) fn answered(code: StatusCode, reason: &str, message: String) -> RequestFailure {
    RequestFailure::Answered(Answer {
        code: code.as_u16(),
        reason: reason.into(),
        message,
        causes: Vec::new(),
    })
}

/// The failure of an answer whose status is not 2xx.
pub(super) fn of_answer(code: StatusCode, body: &[u8], retry_after: Option<Duration>) -> RequestFailure {
    let status = serde_json::from_slice(body).unwrap_or_else(|_| Status {
        // Proxies and a starting API server answer in plain text.
        message: String::from_utf8_lossy(&body[..body.len().min(512)]).trim().to_owned(),
        ..Status::default()
    });
    let message = if status.message.is_empty() { code.to_string() } else { status.message };
    let busy = (code == StatusCode::TOO_MANY_REQUESTS).then_some(BUSY);
    let is_busy = matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let cause =
        |cause: StatusCause| AnswerCause { reason: cause.reason, message: cause.message, field: cause.field };
    let answer = Answer {
        code: code.as_u16(),
        reason: status.reason,
        message,
        causes: status.details.unwrap_or_default().causes.into_iter().map(cause).collect(),
    };
    match retry_after.filter(|_| is_busy).or(busy) {
        Some(delay) => RequestFailure::Busy { answer, delay },
        None => RequestFailure::Answered(answer),
    }
}

/// The failure of an error of kube's client.
pub(super) fn of_kube(error: &kube::Error) -> RequestFailure {
    match error {
        kube::Error::Api(status) => RequestFailure::Answered(Answer {
            code: status.code,
            reason: status.reason.clone(),
            message: status.message.clone(),
            causes: Vec::new(),
        }),
        other => of_transport(other),
    }
}

/// Whether the server does not know the path; a missing object on a known path is another failure.
pub(super) fn is_unserved(failure: &RequestFailure) -> bool {
    matches!(failure, RequestFailure::Answered(Answer { code: 404, message, .. }) if is_unserved_path(message))
}

/// Whether the message of a 404 is about an unknown path and not about a missing object.
pub(crate) fn is_unserved_path(message: &str) -> bool {
    ["404 page not found", "the server could not find the requested resource"].contains(&message.trim_end())
}

/// An error on the way to the server. Its causes are joined, since the outermost only says that something
/// failed.
pub(super) fn of_transport(error: &kube::Error) -> RequestFailure {
    let mut message = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
        cause = error.source();
    }
    unavailable(if message.is_empty() { error.to_string() } else { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, reason: &str, message: &str) -> ApiFailure {
        let body = serde_json::json!({"kind": "Status", "reason": reason, "message": message}).to_string();
        of_answer(StatusCode::from_u16(code).unwrap(), body.as_bytes(), None).into()
    }

    #[test]
    fn a_missing_right_is_named_in_full() {
        let cases = [
            (
                r#"secrets "s" is forbidden: User "system:serviceaccount:n:a" cannot get resource "secrets" in API group "" in the namespace "x""#,
                "system:serviceaccount:n:a may not get secrets in namespace x",
            ),
            (
                r#"deployments.apps "d" is forbidden: User "u" cannot patch resource "deployments" in API group "apps" in the namespace "y""#,
                "u may not patch deployments.apps in namespace y",
            ),
            (
                r#"clusterroles.rbac.authorization.k8s.io is forbidden: User "u" cannot list resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope"#,
                "u may not list clusterroles.rbac.authorization.k8s.io at the cluster scope",
            ),
            (
                r#"serviceaccounts "a" is forbidden: User "u" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "n""#,
                "u may not impersonate serviceaccounts in namespace n",
            ),
        ];
        for (message, told) in cases {
            let failure = answer(403, "Forbidden", message);
            assert!(matches!(failure, ApiFailure::Forbidden(_)), "{message}");
            assert_eq!(failure.to_string(), told);
            assert!(!failure.is_transient());
        }
    }

    #[test]
    fn an_admission_plugin_is_no_missing_right() {
        let message = r#"pods "p" is forbidden: violates PodSecurity "restricted:latest": privileged"#;
        let failure = answer(403, "Forbidden", message);
        assert_eq!(failure.to_string(), message);
        assert!(!failure.is_transient());
    }

    #[test]
    fn what_may_pass_by_itself_is_transient() {
        for (code, transient) in
            [(400, false), (404, false), (409, true), (422, false), (429, true), (503, true), (500, true)]
        {
            assert_eq!(answer(code, "", "m").is_transient(), transient, "{code}");
        }
    }

    #[test]
    fn an_answer_in_plain_text_is_kept() {
        let failure = ApiFailure::from(of_answer(StatusCode::BAD_GATEWAY, b"upstream is gone\n", None));
        assert_eq!(failure.to_string(), "the API server cannot be reached: upstream is gone");
    }
}
