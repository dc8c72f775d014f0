//! One conversation with a registry: the login, the allowed redirects, and the meaning of its answers.

use http::{Method, StatusCode};
use ureq::Agent;

use super::challenge::{Challenge, TokenRequest, token, token_request};
use super::login::{self, PullSecret};
use super::repository::Repository;
use crate::SourceError;
use crate::context::FetchContext;
use crate::error::one_line;
use crate::url::{GitUrl, Scheme};
use crate::web::{Web, WebAnswer, origin};
use lockgate_base::model::Secret;
use std::sync::Arc;

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";
/// The largest answer other than a layer, in bytes.
const ANSWER: u64 = 8 << 20;

/// A registry, and the credentials for it.
pub(super) struct Registry<'r> {
    pub(super) web: Web,
    pub(super) repository: &'r Repository,
    /// The address of the repository.
    pub(super) base: GitUrl,
    pub(super) secrets: &'r [PullSecret],
    /// The accepted `Authorization` header.
    authorization: Option<Secret<String>>,
}

impl<'r> Registry<'r> {
    pub(super) fn new(
        context: &'r Arc<FetchContext>,
        agent: Agent,
        repository: &'r Repository,
        base: GitUrl,
        secrets: &'r [PullSecret],
    ) -> Self {
        let chosen = login::choose(secrets, repository);
        let is_private = base.scheme() == Scheme::Https || base.is_loopback();
        let token = chosen.filter(|_| is_private).and_then(|(_, login)| login.registry_token.as_ref());
        let authorization = token.map(|token| Secret::new(format!("Bearer {}", token.expose())));
        Self {
            web: Web::new(context, agent, base.scheme() == Scheme::Https),
            repository,
            base,
            secrets,
            authorization,
        }
    }

    /// Sends a request below the repository, and logs in if the registry demands it.
    pub(super) fn ask(
        &mut self,
        method: &Method,
        path: &str,
        accept: &str,
    ) -> Result<WebAnswer, SourceError> {
        let url = format!("{}/{path}", self.base);
        let headers = [("Accept", accept)];
        let ask = |authorization| self.web.follow(method, &url, &headers, authorization);
        let (answer, asked) = ask(self.authorization.as_ref())?;
        // The target of a redirect must not decide where credentials are sent.
        if answer.status() != StatusCode::UNAUTHORIZED || origin(&asked) != origin(&url) {
            return Ok(answer);
        }
        let header = answer.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
        let Some(challenge) = header.and_then(Challenge::parse) else { return Ok(answer) };
        let Some(authorization) = self.log_in(&challenge)? else { return Ok(answer) };
        self.authorization = Some(authorization);
        Ok(self.web.follow(method, &url, &headers, self.authorization.as_ref())?.0)
    }

    /// The header that answers a challenge; `None` if there are no credentials for it.
    fn log_in(&self, challenge: &Challenge) -> Result<Option<Secret<String>>, SourceError> {
        let chosen = login::choose(self.secrets, self.repository);
        if let Some((source, _)) =
            chosen.filter(|_| self.base.scheme() == Scheme::Http && !self.base.is_loopback())
        {
            let problem = format!("its credentials are not sent to {} over plain http", self.host());
            return Err(SourceError::Credentials { secret: source.to_owned(), problem });
        }
        let login = chosen.map(|(_, login)| login);
        let Challenge::Bearer { realm, service, scope } = challenge else {
            return Ok(login.and_then(super::login::Login::basic));
        };
        let is_tls = realm.starts_with("https://");
        if GitUrl::parse(realm).is_err() || (self.base.scheme() == Scheme::Https && !is_tls) {
            return Err(self.remote(format!(
                "it refers to {} for a token, and lockgate does not ask there",
                one_line(realm)
            )));
        }
        self.web.now_doing("asking for a token");
        let request =
            token_request(realm, service.as_deref(), scope.as_deref(), self.repository.name(), login);
        let answer = match request {
            TokenRequest::Get { url, authorization } => {
                self.web.send(&Method::GET, &url, &[], authorization.as_ref())?
            }
            TokenRequest::Post { url, form } => self.web.post(&url, None, (FORM, &form))?,
        };
        match answer.status().as_u16() {
            200 => {
                let body = self.body(answer)?;
                let token = token(&body).ok_or_else(|| self.remote("it was given no token".into()))?;
                Ok(Some(Secret::new(format!("Bearer {}", token.expose()))))
            }
            400 | 401 | 403 => Err(self.rejected(answer.status().as_u16(), "")),
            status => Err(self.remote(format!("the server of its tokens answered HTTP {status}"))),
        }
    }

    /// The whole body of an answer other than a layer.
    pub(super) fn body(&self, answer: WebAnswer) -> Result<Vec<u8>, SourceError> {
        self.web.body(answer, ANSWER)?.ok_or_else(|| {
            SourceError::TooLarge(format!(
                "the answer of {} is larger than {} MiB, the limit for answers other than layers",
                self.host(),
                ANSWER >> 20
            ))
        })
    }

    /// The error of an answer other than 200. `subject` is the requested object in messages.
    pub(super) fn failed(&self, answer: WebAnswer, subject: &str) -> SourceError {
        let status = answer.status().as_u16();
        let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(one_line);
        let said = self.body(answer).ok().and_then(|body| said(&body));
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        match status {
            401 | 403 => self.rejected(status, &said),
            404 => SourceError::ReferenceNotFound(format!(
                "{subject} not found in {} (HTTP 404){said}",
                self.repository
            )),
            429 => {
                let wait = wait.map(|wait| format!("; it says to wait for {wait} s")).unwrap_or_default();
                self.remote(format!("it received too many requests (HTTP 429){said}{wait}"))
            }
            _ => self.remote(format!("it answered HTTP {status} for {subject}{said}")),
        }
    }

    fn rejected(&self, status: u16, said: &str) -> SourceError {
        let host = self.host();
        SourceError::Rejected(match login::choose(self.secrets, self.repository) {
            Some((source, _)) => format!(
                "{host} does not accept the credentials of {source} (HTTP {status}): they are wrong, expired or may not read \
                 {}{said}",
                self.repository.name()
            ),
            None => {
                format!("{host} asks for credentials (HTTP {status}): {}{said}", login::advice(self.secrets))
            }
        })
    }

    pub(super) fn host(&self) -> String {
        self.repository.authority().to_owned()
    }

    pub(super) fn remote(&self, message: String) -> SourceError {
        SourceError::Remote { host: self.host(), message }
    }
}

/// The first message in an error of the registry.
fn said(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = body.pointer("/errors/0/message")?.as_str()?;
    (!text.is_empty()).then(|| one_line(text))
}
