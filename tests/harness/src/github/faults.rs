//! Refusals of GitHub, in its own words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

/// A failure of GitHub.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// 401 `Bad credentials`.
    Unauthorized,
    /// 403: the organization requires single sign-on; the header X-GitHub-SSO has the address.
    SsoRequired,
    /// 403 `Resource not accessible by personal access token`, the answer to a fine-grained token without the
    /// right.
    MissingPermission,
    /// 403 for a classic token with the scope `gist` only.
    MissingScope,
    /// 404 `Not Found`, the answer to a user who is no admin.
    NotFound,
    /// 422 `key is already in use`.
    KeyInUse,
    /// 422: the organization does not allow deploy keys.
    KeysDisabled,
    /// A 5xx without JSON.
    ServerError(u16),
    /// 403 of the secondary rate limit, with Retry-After in seconds.
    SecondaryRateLimit(u64),
    /// 403 of the primary rate limit, which ends in this many seconds.
    RateLimit(u64),
    /// Any status with any body.
    Status(u16, Value),
    /// The right answer after a delay.
    Delay(Duration),
    /// The request is carried out, and its answer never comes. A refusal is still answered.
    Lost,
}

/// The number of requests that GitHub answers in an hour.
pub(super) const RATE_LIMIT: u64 = 5000;

/// A fault, and the requests that get it.
#[derive(Debug)]
pub(super) struct Planned {
    method: String,
    path: String,
    fault: Fault,
    times: Option<usize>,
}

impl Planned {
    pub(super) fn new(method: &str, path: &str, fault: Fault, times: Option<usize>) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), fault, times }
    }

    /// The fault of the first plan that fits; a plan that is used up is removed.
    pub(super) fn take(plans: &mut Vec<Self>, method: &str, path: &str) -> Option<Fault> {
        let fits =
            |plan: &Self| (plan.method.is_empty() || plan.method == method) && path.contains(&plan.path);
        plans.retain(|plan| plan.times != Some(0));
        let plan = plans.iter_mut().find(|plan| fits(plan))?;
        plan.times = plan.times.map(|times| times - 1);
        Some(plan.fault.clone())
    }
}

impl Fault {
    /// The answer; `None` for a fault after which the right answer follows.
    pub(super) fn answer(&self) -> Option<Response> {
        let limited =
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        let sso = "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization.";
        Some(match self {
            Self::Unauthorized => refusal(401, "Bad credentials", &[]),
            Self::SsoRequired => {
                let header = "required; url=https://github.com/orgs/octo-org/sso?authorization_request=AZSCKtL4U8yX1H3sCQIVnVgmjmon5fWxks5YrqhJgah0b2tlbl9pZM4EuMz4";
                refusal(403, sso, &[("x-github-sso", header)])
            }
            Self::MissingPermission => refusal(
                403,
                "Resource not accessible by personal access token",
                &[("x-accepted-github-permissions", "administration=write")],
            ),
            Self::MissingScope => refusal(
                403,
                "Must have admin rights to Repository.",
                &[("x-oauth-scopes", "gist"), ("x-accepted-oauth-scopes", "repo")],
            ),
            Self::NotFound => not_found(),
            Self::KeyInUse => invalid("key is already in use"),
            Self::KeysDisabled => keys_disabled(),
            Self::ServerError(code) => (status(*code), "<html>Unicorn!</html>").into_response(),
            Self::SecondaryRateLimit(seconds) => {
                refusal(403, limited, &[("retry-after", &seconds.to_string())])
            }
            Self::RateLimit(seconds) => {
                let mut response = refusal(403, "API rate limit exceeded for user ID 1.", &[]);
                tell_limit(&mut response, 0, *seconds);
                response
            }
            Self::Status(code, body) => (status(*code), Json(body.clone())).into_response(),
            Self::Delay(_) | Self::Lost => return None,
        })
    }
}

/// Adds the headers with the rest of the rate limit, and with the time until it begins again.
pub(super) fn tell_limit(response: &mut Response, remaining: u64, seconds: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for (name, number) in [
        ("x-ratelimit-limit", RATE_LIMIT),
        ("x-ratelimit-remaining", remaining),
        ("x-ratelimit-reset", now + seconds),
    ] {
        response.headers_mut().insert(HeaderName::from_static(name), number.into());
    }
}

/// The answer for an object that does not exist, or that the caller may not see.
pub(super) fn not_found() -> Response {
    refusal(404, "Not Found", &[])
}

/// The body of an error, as GitHub writes it.
pub(super) fn refusal(code: u16, message: &str, headers: &[(&'static str, &str)]) -> Response {
    let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": code.to_string() });
    let mut response = (status(code), Json(body)).into_response();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// The answer to a new key if the policy of an organisation forbids keys.
pub(super) fn keys_disabled() -> Response {
    refusal(422, "Deploy keys are disabled for this repository", &[])
}

/// The body of the answer to an invalid key, as GitHub writes it.
pub(super) fn invalid(message: &str) -> Response {
    let error = json!({ "resource": "PublicKey", "code": "custom", "field": "key", "message": message });
    let body = json!({
        "message": "Validation Failed",
        "errors": [error],
        "documentation_url": "https://docs.github.com/rest/deploy-keys/deploy-keys#create-a-deploy-key",
        "status": "422",
    });
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
