//! One question to GitHub and its answer, which may neither take too long nor be too large.

use std::error::Error;
use std::time::Duration;

use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use octocrab::Octocrab;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::GitHub;
use super::error::{self, GitHubError};

/// How long a whole answer may take, with all that is tried for it.
const PATIENCE: Duration = Duration::from_secs(45);
/// The largest answer in bytes. The largest that bootstrap asks for is a file, of which GitHub sends 1 MiB.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

impl GitHub {
    /// Parses an answer.
    pub(super) fn decode<T: DeserializeOwned>(&self, route: &str, body: &[u8]) -> Result<T, GitHubError> {
        serde_json::from_slice(body).map_err(|error| GitHubError::Foreign {
            address: self.address.clone(),
            message: format!("the answer for {route} cannot be read: {error}"),
        })
    }

    /// One question and its whole answer, within [`PATIENCE`].
    pub(super) async fn exchange(
        &self,
        client: &Octocrab,
        method: Method,
        route: &str,
        body: Option<&Value>,
    ) -> Result<(HeaderMap, Vec<u8>), GitHubError> {
        let answer = tokio::time::timeout(PATIENCE, self.answer(client, method, route, body)).await;
        answer.unwrap_or_else(|_| {
            let message = format!("no whole answer came within {} s", PATIENCE.as_secs());
            Err(GitHubError::Unreachable { address: self.address.clone(), message })
        })
    }

    async fn answer(
        &self,
        client: &Octocrab,
        method: Method,
        route: &str,
        body: Option<&Value>,
    ) -> Result<(HeaderMap, Vec<u8>), GitHubError> {
        let unreachable = |error: octocrab::Error| self.unreachable(&error);
        let request = format!("{method} {}", route.split('?').next().unwrap_or(route));
        let response = match method {
            Method::POST => client._post(route, body).await,
            Method::DELETE => client._delete(route, body).await,
            _ => client._get(route).await,
        };
        let response = response.map_err(|error| match error {
            // An App's token is requested on the way, and a refusal arrives as an error.
            octocrab::Error::GitHub { source, .. } => {
                let headers = source.headers.clone().unwrap_or_default();
                let body = json!({"message": source.message}).to_string();
                error::classify(
                    "POST /app/installations/access_tokens",
                    source.status_code.as_u16(),
                    &headers,
                    body.as_bytes(),
                )
            }
            other => unreachable(other),
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        let body = body.map_err(|error| self.cut_off(route, &*error))?.to_bytes().to_vec();
        if status.is_success() {
            Ok((headers, body))
        } else {
            Err(error::classify(&request, status.as_u16(), &headers, &body))
        }
    }

    /// The innermost cause is the network's message; the layers above it only say that something failed.
    fn unreachable(&self, error: &(dyn Error + 'static)) -> GitHubError {
        let mut cause = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let text = cause.to_string();
        let message = text.lines().next().unwrap_or_default().to_owned();
        GitHubError::Unreachable { address: self.address.clone(), message }
    }

    /// The failure of an answer that ended early, or that is longer than [`ANSWER_LIMIT`].
    fn cut_off(&self, route: &str, error: &(dyn Error + Send + Sync + 'static)) -> GitHubError {
        if !error.is::<LengthLimitError>() {
            return self.unreachable(error);
        }
        let limit = ANSWER_LIMIT / (1024 * 1024);
        let message = format!("the answer for {route} is longer than {limit} MiB");
        GitHubError::Foreign { address: self.address.clone(), message }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_limit() {
        for (length, told) in [
            (ANSWER_LIMIT, "the answer for /repos/o/r/keys?per_page=100&page=1 cannot be read: "),
            (ANSWER_LIMIT + 1, "the answer for /repos/o/r/keys?per_page=100&page=1 is longer than 8 MiB"),
        ] {
            let service = tower::service_fn(move |_| async move {
                let body = octocrab::OctoBody::from(vec![b'['; length]);
                Ok::<_, Infallible>(http::Response::new(body))
            });
            let error = GitHub::of_service(service, "o/r").deploy_keys().await.unwrap_err();
            let start = format!("http://test answers, but not as GitHub does: {told}");
            assert!(error.to_string().starts_with(&start) && error.is_unreachable(), "{error}");
        }
    }
}
