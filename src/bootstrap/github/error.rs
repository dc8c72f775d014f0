//! The errors of GitHub, distinguished by status, headers and text, each with its cure.

use http::HeaderMap;
use serde::Deserialize;

use crate::clock;

/// A failed request to GitHub. Each message names the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// 401.
    #[error("GitHub 401 for {request}: the token is not valid, or has expired")]
    BadToken {
        /// Method and path.
        request: String,
    },
    /// 403 until the token is allowed for an organisation with single sign-on.
    #[error("GitHub 403 for {request}: the organisation wants single sign-on for this token")]
    SingleSignOn {
        /// Method and path.
        request: String,
        /// Where to allow it.
        url: String,
    },
    /// 403 because a classic token has too few scopes.
    #[error("GitHub 403 for {request}: the token has the scopes [{has}], the request needs one of [{needs}]")]
    MissingScope {
        /// Method and path.
        request: String,
        /// `X-OAuth-Scopes`.
        has: String,
        /// `X-Accepted-OAuth-Scopes`.
        needs: String,
    },
    /// 403 for a fine-grained token or an App.
    #[error("GitHub 403 for {request}: {message}")]
    Forbidden {
        /// Method and path.
        request: String,
        /// GitHub's words.
        message: String,
        /// `X-Accepted-GitHub-Permissions`.
        needs: Option<String>,
    },
    /// 404: the resource does not exist, or the token may not see it.
    #[error("GitHub 404 for {request}: it does not exist, or the token may not see it")]
    NotFound {
        /// Method and path.
        request: String,
    },
    /// 422 because another repository has the key.
    #[error("GitHub 422 for {request}: the public key is in use at another repository or account")]
    KeyInUse {
        /// Method and path.
        request: String,
    },
    /// 422 because the organisation has forbidden deploy keys.
    #[error("GitHub 422 for {request}: deploy keys are disabled for this repository")]
    KeysDisabled {
        /// Method and path.
        request: String,
    },
    /// 403 because the repository is archived.
    #[error("GitHub 403 for {request}: the repository is archived, so no deploy key can be added")]
    Archived {
        /// Method and path.
        request: String,
    },
    /// 403 because of this machine's address.
    #[error(
        "GitHub 403 for {request}: the organisation's IP allow list does not contain this machine's address"
    )]
    AddressNotAllowed {
        /// Method and path.
        request: String,
    },
    /// The App does not exist with this id and key, or has no installation with this id.
    #[error("GitHub {status} for {request}: the App cannot sign in: {message}")]
    App {
        /// Method and path.
        request: String,
        /// The status.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// 403 or 429 because of too many requests.
    #[error("GitHub {status} for {request}: too many requests{}", .wait.map(|s| format!("; ask again in {s} s")).unwrap_or_default())]
    RateLimited {
        /// Method and path.
        request: String,
        /// The status.
        status: u16,
        /// How long GitHub asks to wait, in seconds.
        wait: Option<u64>,
    },
    /// 5xx.
    #[error("GitHub {status} for {request}: GitHub has a problem")]
    Unavailable {
        /// Method and path.
        request: String,
        /// The status.
        status: u16,
    },
    /// No answer.
    #[error("GitHub cannot be reached at {address}: {message}")]
    Unreachable {
        /// Scheme, host and port.
        address: String,
        /// The network's message.
        message: String,
    },
    /// An answer that is not GitHub's.
    #[error("{address} answers, but not as GitHub does: {message}")]
    Foreign {
        /// Scheme, host and port.
        address: String,
        /// What is wrong with the answer.
        message: String,
    },
    /// Any other answer.
    #[error("GitHub {status} for {request}: {message}")]
    Other {
        /// Method and path.
        request: String,
        /// The status.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// An unusable address or key.
    #[error("{0}")]
    Usage(String),
}

impl GitHubError {
    /// What the user can do about it.
    pub fn fix(&self, repository: &str) -> Option<String> {
        let permission = "\"Administration: read and write\" and \"Contents: read-only\"";
        Some(match self {
            Self::BadToken { .. } => {
                format!("create a fine-grained token for {repository} with {permission}, and put it into \
                 GITHUB_TOKEN")
            }
            Self::SingleSignOn { url, .. } => format!("allow the token for the organisation at {url}, then run again"),
            Self::MissingScope { .. } => format!("use a classic token with the scope 'repo', or a fine-grained one with {permission}"),
            Self::Forbidden { needs, .. } => {
                let detail = needs.as_ref().map(|needs| format!(" (GitHub asks for {needs})")).unwrap_or_default();
                format!("give the token {permission} on {repository}{detail}")
            }
            Self::NotFound { .. } => {
                format!("check the spelling of {repository}; a fine-grained token must list the repository, and needs {permission}")
            }
            Self::KeyInUse { .. } => "a deploy key serves one repository: name another Secret with \
                --secret-name, and a new key is created for it".into(),
            Self::Archived { .. } => format!("unarchive {repository} at its Settings, then run again"),
            Self::AddressNotAllowed { .. } => {
                "run from an address on the list, or have an owner of the organisation add this one".into()
            }
            Self::App { .. } => format!(
                "check --app-id, --app-private-key-file, this machine's clock, and that the App is installed for {repository}, \
                 under --app-installation-id where that is given"
            ),
            Self::RateLimited { .. } | Self::Unavailable { .. } => "wait, then run the same command again: \
                it continues where it stopped".into(),
            Self::Unreachable { .. } => "check the network and --api-url (no proxy is used for it); without the API, `lockgate bootstrap git URL` needs SSH only".into(),
            Self::Foreign { .. } => "check --api-url: it is https://HOST/api/v3 for GitHub Enterprise".into(),
            // The caller that needs a key reports these with their cure.
            Self::KeysDisabled { .. } | Self::Other { .. } | Self::Usage(_) => return None,
        })
    }

    /// Whether the usage was wrong.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }

    /// Whether GitHub could not be reached. An answer that says no is something else.
    pub const fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Unavailable { .. }
                | Self::Unreachable { .. }
                | Self::Foreign { .. }
        )
    }
}

/// The parts of an error's body that are used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    message: String,
    errors: Vec<serde_json::Value>,
}

impl Body {
    /// The message and those of its single errors, in one line. The message of a 422 alone only says that
    /// something is wrong.
    fn text(&self) -> String {
        let single =
            self.errors.iter().filter_map(|error| error.as_str().or_else(|| error["message"].as_str()));
        let parts: Vec<&str> = std::iter::once(self.message.as_str()).chain(single).collect();
        parts.join(": ").lines().collect::<Vec<_>>().join(" ")
    }
}

/// The longest wait in seconds that a limit of GitHub can ask for; a longer one is no date of GitHub's.
const LONGEST_WAIT: u64 = 24 * 60 * 60;
/// The path at which an App gets an installation's token.
const APP_ROUTE: &str = "/app/installations";
/// The path at which an App finds its installation.
pub(super) const INSTALLATION_ROUTE: &str = "/installation";

/// Finds the cause of a refusal. `request` is method and path.
pub(super) fn classify(request: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> GitHubError {
    let request = request.to_owned();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let message = body.text();
    let text = message.to_lowercase();
    match status {
        401 | 404 if request.contains(APP_ROUTE) || request.ends_with(INSTALLATION_ROUTE) => {
            GitHubError::App { request, status, message }
        }
        401 => GitHubError::BadToken { request },
        403 | 429 if is_rate_limit(status, &text, header("x-ratelimit-remaining").as_deref()) => {
            let number = |name: &str| header(name).and_then(|seconds| seconds.parse::<u64>().ok());
            let now = clock::now().unix().cast_unsigned();
            let wait: Option<u64> = number("retry-after")
                .or_else(|| number("x-ratelimit-reset").map(|reset| reset.saturating_sub(now)))
                .filter(|wait| *wait <= LONGEST_WAIT);
            GitHubError::RateLimited { request, status, wait }
        }
        403 => match (header("x-github-sso"), header("x-accepted-oauth-scopes"), header("x-oauth-scopes")) {
            (Some(sso), _, _) => {
                let url = sso.split_once("url=").map_or(sso.as_str(), |(_, url)| url).to_owned();
                GitHubError::SingleSignOn { request, url }
            }
            (None, Some(needs), Some(has)) if !needs.is_empty() && !shares_a_scope(&needs, &has) => {
                GitHubError::MissingScope { request, has, needs }
            }
            _ if text.contains("archived") => GitHubError::Archived { request },
            _ if text.contains("ip allow list") => GitHubError::AddressNotAllowed { request },
            _ => GitHubError::Forbidden { request, message, needs: header("x-accepted-github-permissions") },
        },
        404 => GitHubError::NotFound { request },
        422 if text.contains("already in use") => GitHubError::KeyInUse { request },
        422 if text.contains("deploy keys are disabled") => GitHubError::KeysDisabled { request },
        500.. => GitHubError::Unavailable { request, status },
        _ => GitHubError::Other { request, status, message },
    }
}

fn is_rate_limit(status: u16, text: &str, remaining: Option<&str>) -> bool {
    status == 429 || remaining == Some("0") || text.contains("rate limit")
}

fn shares_a_scope(needs: &str, has: &str) -> bool {
    let has: Vec<&str> = has.split(',').map(str::trim).collect();
    needs.split(',').any(|scope| has.contains(&scope.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, headers and body; the expected texts of the cause and the fix.
    type Case = (u16, &'static [(&'static str, &'static str)], &'static str, &'static str, &'static str);

    fn classified(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> GitHubError {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        classify("GET /repos/o/r", status, &headers.collect(), body.as_bytes())
    }

    #[test]
    fn every_refusal_has_a_one_line_cause_and_a_fix() {
        let forbidden = r#"{"message": "Resource not accessible by personal access token"}"#;
        let in_use = r#"{"message": "Validation Failed", "errors": [{"message": "key is already in use"}]}"#;
        let secondary = r#"{"message": "You have exceeded a secondary rate limit"}"#;
        let disabled = r#"{"message": "Deploy keys are disabled for this repository"}"#;
        let archived = r#"{"message": "Repository was archived so is read-only."}"#;
        let address = r#"{"message": "Although you appear to have the correct authorization credentials, the `o` organization has an IP allow list enabled"}"#;
        assert!(matches!(classified(422, &[], disabled), GitHubError::KeysDisabled { .. }));
        let cases: [Case; 11] = [
            (403, &[], archived, "the repository is archived", "unarchive o/r"),
            (403, &[], address, "IP allow list does not contain", "run from an address on the list"),
            (401, &[], "", "the token is not valid", "Administration: read and write"),
            (
                403,
                &[("x-github-sso", "required; url=https://github.com/orgs/o/sso?x=1")],
                "",
                "single sign-on",
                "at https://github.com/orgs/o/sso?x=1,",
            ),
            (
                403,
                &[("x-oauth-scopes", "gist"), ("x-accepted-oauth-scopes", "repo")],
                "",
                "has the scopes [gist], the request needs one of [repo]",
                "scope 'repo'",
            ),
            (
                403,
                &[("x-accepted-github-permissions", "administration=write")],
                forbidden,
                "Resource not accessible by personal access token",
                "administration=write",
            ),
            (404, &[], "", "may not see it", "must list the repository"),
            (422, &[], in_use, "in use at another repository", "--secret-name"),
            (403, &[("retry-after", "60")], secondary, "ask again in 60 s", "run the same command again"),
            (429, &[], "", "too many requests", "run the same command again"),
            (502, &[], "<html>", "GitHub has a problem", "run the same command again"),
        ];
        for (status, headers, body, cause, fix) in cases {
            let error = classified(status, headers, body);
            let message = error.to_string();
            assert!(message.starts_with(&format!("GitHub {status} for GET /repos/o/r: ")), "{message}");
            assert!(message.contains(cause) && !message.contains('\n'), "{message}");
            assert!(error.fix("o/r").unwrap().contains(fix), "{:?}", error.fix("o/r"));
            assert_eq!(error.is_unreachable(), matches!(status, 429 | 502) || message.contains("60 s"));
        }
    }

    #[test]
    fn a_wait_that_no_limit_has_is_not_told() {
        for (seconds, told) in [("86400", "ask again in 86400 s"), ("99999999999", "too many requests")] {
            let error = classify(
                "GET /x",
                429,
                &HeaderMap::from_iter([(
                    http::HeaderName::from_static("retry-after"),
                    http::HeaderValue::from_static(seconds),
                )]),
                b"",
            );
            assert!(error.to_string().ends_with(told), "{error}");
        }
    }

    #[test]
    fn a_422_of_another_kind_keeps_githubs_words() {
        for (body, told) in [
            (r#"{"message": "key is invalid"}"#, "key is invalid"),
            (
                r#"{"message": "Validation Failed", "errors": [{"code": "custom", "message": "too many\nkeys"}, "and more"]}"#,
                "Validation Failed: too many keys: and more",
            ),
        ] {
            assert_eq!(
                classified(422, &[], body).to_string(),
                format!("GitHub 422 for GET /repos/o/r: {told}")
            );
        }
    }

    #[test]
    fn an_app_that_cannot_sign_in_is_told_which_flags_to_look_at() {
        for status in [401, 404] {
            let body = br#"{"message": "Integration not found"}"#;
            let error = classify("POST /app/installations/access_tokens", status, &HeaderMap::new(), body);
            assert!(error.to_string().ends_with("the App cannot sign in: Integration not found"), "{error}");
            let fix = error.fix("o/r").unwrap();
            assert!(fix.contains("--app-installation-id") && fix.contains("installed for o/r"), "{fix}");
        }
    }
}
