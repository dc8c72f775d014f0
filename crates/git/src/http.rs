//! Git over HTTPS: its "smart" protocol of one GET and one POST for each round of negotiation.
//!
//! A client of our own and not libgit2's, because that knows one set of certificate authorities for the whole
//! process, no client certificates, and no limit for a whole request.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use ureq::{Agent, Body};

use crate::SourceError;
use crate::client::{self, ClientOptions, broke_off, explain};
use crate::context::{FetchContext, lock};
use crate::credentials::Credentials;
use crate::error::one_line;
use crate::url::{GitUrl, Scheme};
use crate::web::{REDIRECTS, origin, redirect};

/// The first request, below the address of the repository.
const LIST: &str = "/info/refs?service=git-upload-pack";

/// An HTTP client for one fetch.
pub(crate) struct HttpClient {
    context: Arc<FetchContext>,
    agent: Agent,
    /// The address of the repository after redirects.
    base: Mutex<String>,
}

impl HttpClient {
    /// Creates the client. The reason of a failure is recorded in `context`.
    pub(crate) fn new(context: Arc<FetchContext>) -> Option<Self> {
        let credentials = match &context.credentials {
            Credentials::Http(credentials) => Some(credentials.as_ref()),
            Credentials::None | Credentials::Ssh(_) => None,
        };
        let options = ClientOptions {
            authorities: credentials.and_then(|credentials| credentials.authorities.as_deref()),
            identity: credentials
                .and_then(|credentials| credentials.client.as_ref())
                .map(|(chain, key)| (chain.as_slice(), key.expose().as_slice())),
            is_verified: true,
            https_only: context.url.scheme() == Scheme::Https,
            redirects: 0,
            proxy: ureq::Proxy::try_from_env(),
            name: concat!("git/lockgate-", env!("CARGO_PKG_VERSION")),
        };
        let agent = match client::agent(options) {
            Ok(agent) => agent,
            Err(problem) => {
                let secret = credentials.map_or_else(|| "system certificates".into(), |c| c.source.clone());
                context.fail(SourceError::Credentials { secret, problem });
                return None;
            }
        };
        let url = &context.url;
        let scheme = if url.scheme() == Scheme::Https { "https" } else { "http" };
        let base = format!("{scheme}://{}{}", url.authority(), escape_path(url.path().trim_end_matches('/')));
        Some(Self { context, agent, base: Mutex::new(base) })
    }

    /// Requests the references, wherever the repository has moved on its host.
    pub(crate) fn list(&self) -> io::Result<HttpStream> {
        self.context.now_doing("asking for the references");
        for _ in 0..=REDIRECTS {
            let url = format!("{}{LIST}", lock(&self.base));
            let mut request = self.agent.get(&url);
            if let Some(value) = self.authorization() {
                request = request.header("Authorization", value);
            }
            let request = request.config().timeout_global(Some(self.context.remaining()?)).build();
            let response = request.call().map_err(|error| self.failed(&error))?;
            if !response.status().is_redirection() {
                return self.answer(response, "application/x-git-upload-pack-advertisement");
            }
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            self.follow(&url, location.unwrap_or_default())?;
        }
        Err(self.refuse(format!("it redirects more than {REDIRECTS} times")))
    }

    /// Begins a round of negotiation. The written data is sent when the answer is first read.
    pub(crate) fn negotiate(self: &Arc<Self>) -> HttpStream {
        HttpStream { context: Arc::clone(&self.context), state: State::Writing(Arc::clone(self), Vec::new()) }
    }

    fn post(&self, body: &[u8]) -> io::Result<HttpStream> {
        let url = format!("{}/git-upload-pack", lock(&self.base));
        let mut request = self.agent.post(&url);
        if let Some(value) = self.authorization() {
            request = request.header("Authorization", value);
        }
        let request = request
            .header("Content-Type", "application/x-git-upload-pack-request")
            .header("Accept", "application/x-git-upload-pack-result")
            .config()
            .timeout_global(Some(self.context.remaining()?))
            .build();
        let response = request.send(body).map_err(|error| self.failed(&error))?;
        self.answer(response, "application/x-git-upload-pack-result")
    }

    fn authorization(&self) -> Option<&str> {
        match &self.context.credentials {
            Credentials::Http(http) => http.authorization.as_ref().map(|value| value.expose().as_str()),
            Credentials::None | Credentials::Ssh(_) => None,
        }
    }

    /// Later requests go to the target of a redirect if that is the same host and port, or the same host by
    /// https: the credentials belong to it.
    fn follow(&self, from: &str, location: &str) -> io::Result<()> {
        let Some(to) = redirect(from, location) else {
            let location = one_line(location);
            return Err(self.refuse(format!("it redirects to '{location}', which is no address")));
        };
        let Some(base) = to.strip_suffix(LIST) else {
            let to = one_line(&to);
            return Err(self.refuse(format!("it redirects to {to}, which is not a Git repository")));
        };
        if from.starts_with("https://") && !to.starts_with("https://") {
            return Err(self.refuse("it redirects to plain http, which is not followed".into()));
        }
        let by_https = from.replacen("http://", "https://", 1);
        if origin(&to) != origin(from) && origin(&to) != origin(&by_https) {
            let message = format!("it redirects to another host or port; write spec.url: {}", one_line(base));
            return Err(self.refuse(message));
        }
        base.clone_into(&mut lock(&self.base));
        Ok(())
    }

    fn answer(&self, response: http::Response<Body>, expected: &str) -> io::Result<HttpStream> {
        let status = response.status().as_u16();
        let kind =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        match status {
            200 if kind == expected => {}
            200 => {
                let kind = one_line(kind);
                return Err(self
                    .refuse(format!("it is not a Git repository: {kind} came back instead of references")));
            }
            401 | 403 => return Err(self.rejected(status)),
            404 => {
                let message = "repository not found, or the credentials may not read it (HTTP 404)";
                return Err(self.refuse(message.into()));
            }
            _ => return Err(self.refuse(format!("it answered HTTP {status}"))),
        }
        let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(HttpStream { context: Arc::clone(&self.context), state: State::Reading(Box::new(reader)) })
    }

    fn rejected(&self, status: u16) -> io::Error {
        let host = self.context.host();
        self.context.fail(SourceError::Rejected(match &self.context.credentials {
            Credentials::Http(http) if http.authorization.is_some() => format!(
                "{host} does not accept the credentials of {} (HTTP {status}): they are wrong, expired or may not read \
                 this repository",
                http.source
            ),
            _ => format!("{host} asks for credentials (HTTP {status}): name a Secret in spec.secretRef"),
        }));
        ended()
    }

    fn refuse(&self, message: String) -> io::Error {
        self.context.fail(SourceError::Remote { host: self.context.host(), message });
        ended()
    }

    fn failed(&self, error: &ureq::Error) -> io::Error {
        self.context.fail(explain(&self.context, error));
        ended()
    }
}

/// The references that a host lists with these credentials, in its own form. This blocks.
pub fn advertisement(
    url: &GitUrl,
    credentials: &Credentials,
    limit: Duration,
) -> Result<Vec<u8>, SourceError> {
    let context = Arc::new(FetchContext::new(url.clone(), credentials.clone(), limit));
    let mut listed = Vec::new();
    let read = match HttpClient::new(Arc::clone(&context)) {
        Some(client) => client.list().and_then(|mut answer| answer.read_to_end(&mut listed)),
        None => Err(ended()),
    };
    read.map(|_| listed).map_err(|error| {
        let cause = || SourceError::Remote { host: context.host(), message: error.to_string() };
        context.take_failure().unwrap_or_else(cause)
    })
}

/// One request and its answer.
pub(crate) struct HttpStream {
    context: Arc<FetchContext>,
    state: State,
}

enum State {
    Writing(Arc<HttpClient>, Vec<u8>),
    Reading(Box<dyn Read + Send>),
}

impl Read for HttpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let State::Writing(client, body) = &self.state {
            *self = client.post(body)?;
        }
        let State::Reading(reader) = &mut self.state else { return Ok(0) };
        self.context.remaining()?;
        match reader.read(buffer) {
            Ok(bytes) => {
                self.context.receive(bytes)?;
                Ok(bytes)
            }
            Err(error) => {
                broke_off(&self.context, error);
                Err(ended())
            }
        }
    }
}

impl Write for HttpStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Writing(_, body) => body.extend_from_slice(buffer),
            State::Reading(_) => return Err(io::Error::other("written to after the answer began")),
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Percent-encodes what RFC 3986 does not allow in a path.
fn escape_path(path: &str) -> String {
    const BRACKETS: &AsciiSet = &CONTROLS.add(b'<').add(b'>').add(b'[').add(b']').add(b'{').add(b'}');
    const SET: &AsciiSet =
        &BRACKETS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'?').add(b'\\').add(b'^').add(b'`').add(b'|');
    utf8_percent_encode(path, SET).to_string()
}

/// The error for libgit2; the reason is in the context.
fn ended() -> io::Error {
    io::Error::other("the request failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_for_a_request() {
        assert_eq!(escape_path("/o/a b#c?d%é"), "/o/a%20b%23c%3Fd%25%C3%A9");
    }
}
