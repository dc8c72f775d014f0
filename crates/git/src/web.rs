//! One conversation over HTTP: the allowed redirects, the headers that follow a redirect, and the limits of
//! its fetch.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Uri};
use ureq::{Agent, Body};

use crate::SourceError;
use crate::client::{broke_off, explain};
use crate::context::FetchContext;
use crate::error::one_line;
use lockgate_base::model::Secret;

/// How many redirects are followed.
pub(crate) const REDIRECTS: usize = 5;

/// An answer.
pub(crate) type WebAnswer = http::Response<Body>;

/// A client, within the limits of one fetch.
pub(crate) struct Web {
    context: Arc<FetchContext>,
    agent: Agent,
    /// Whether plain HTTP is refused.
    is_private: bool,
}

impl Web {
    pub(crate) fn new(context: &Arc<FetchContext>, agent: Agent, is_private: bool) -> Self {
        Self { context: Arc::clone(context), agent, is_private }
    }

    /// Sets the text for the message of a timeout.
    pub(crate) fn now_doing(&self, what: &'static str) {
        self.context.now_doing(what);
    }

    /// Sends a request, and follows redirects. Returns the answer and its address. Credentials go only to the
    /// requested host and port.
    pub(crate) fn follow(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&'static str, &str)],
        mut authorization: Option<&Secret<String>>,
    ) -> Result<(WebAnswer, String), SourceError> {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS {
            let answer = self.send(method, &url, headers, authorization)?;
            // "Not modified" has a status of the same hundred.
            if !answer.status().is_redirection() || answer.status() == http::StatusCode::NOT_MODIFIED {
                return Ok((answer, url));
            }
            let location =
                answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let next = redirect(&url, location).ok_or_else(|| {
                self.remote(format!("it redirects to '{}', which is no address", one_line(location)))
            })?;
            if self.is_private && !next.starts_with("https://") {
                return Err(self.remote("it redirects to plain http, which is not followed".into()));
            }
            if origin(&next) != origin(&url) {
                authorization = None;
            }
            url = next;
        }
        Err(self.remote(format!("it redirects more than {REDIRECTS} times")))
    }

    /// Sends a request that has no body.
    pub(crate) fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&'static str, &str)],
        authorization: Option<&Secret<String>>,
    ) -> Result<WebAnswer, SourceError> {
        let mut request = if method == Method::HEAD { self.agent.head(url) } else { self.agent.get(url) };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(value) = authorization {
            request = request.header("Authorization", value.expose());
        }
        let request = request.config().timeout_global(Some(self.remaining()?)).build();
        request.call().map_err(|error| explain(&self.context, &error))
    }

    /// Sends a body of a type.
    pub(crate) fn post(
        &self,
        url: &str,
        authorization: Option<&Secret<String>>,
        (content_type, body): (&str, &Secret<String>),
    ) -> Result<WebAnswer, SourceError> {
        let mut request = self.agent.post(url).header("Content-Type", content_type);
        if let Some(value) = authorization {
            request = request.header("Authorization", value.expose());
        }
        let request = request.config().timeout_global(Some(self.remaining()?)).build();
        request.send(body.expose().as_bytes()).map_err(|error| explain(&self.context, &error))
    }

    fn remaining(&self) -> Result<Duration, SourceError> {
        self.context.remaining().map_err(|_| self.context.timeout())
    }

    /// The body as a stream, within the limits of the fetch.
    pub(crate) fn reader(&self, answer: WebAnswer) -> Incoming {
        let reader = answer.into_body().into_with_config().limit(u64::MAX).reader();
        Incoming { context: Arc::clone(&self.context), reader: Box::new(reader) }
    }

    /// The whole body of an answer, unless it is larger than `limit` bytes.
    pub(crate) fn body(&self, answer: WebAnswer, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let mut body = Vec::new();
        let mut reader = self.reader(answer).take(limit + 1);
        reader.read_to_end(&mut body).map_err(|error| self.broken(&error))?;
        Ok((body.len() as u64 <= limit).then_some(body))
    }

    /// The meaning of an error of [`Web::reader`].
    pub(crate) fn broken(&self, error: &io::Error) -> SourceError {
        let cause =
            || SourceError::Connect { host: self.context.host(), cause: one_line(&error.to_string()) };
        self.context.take_failure().unwrap_or_else(cause)
    }

    fn remote(&self, message: String) -> SourceError {
        SourceError::Remote { host: self.context.host(), message }
    }
}

/// A body as a stream.
pub(crate) struct Incoming {
    context: Arc<FetchContext>,
    reader: Box<dyn Read + Send>,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.context.remaining()?;
        match self.reader.read(buffer) {
            Ok(bytes) => {
                self.context.receive(bytes)?;
                Ok(bytes)
            }
            Err(error) => {
                broke_off(&self.context, error);
                Err(io::Error::other("the answer broke off"))
            }
        }
    }
}

/// Scheme, host and port.
pub(crate) fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_owned();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

/// The target of a redirect from `url`; `None` if it is no web address.
pub(crate) fn redirect(url: &str, location: &str) -> Option<String> {
    if location.starts_with("https://") || location.starts_with("http://") {
        let uri: Uri = location.parse().ok()?;
        // A user name would be sent as credentials.
        return (!uri.authority()?.as_str().contains('@')).then(|| location.to_owned());
    }
    let uri: Uri = url.parse().ok()?;
    let path = location.strip_prefix('/').filter(|path| !path.starts_with('/'))?;
    Some(format!("{}://{}/{path}", uri.scheme_str()?, uri.authority()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved_and_origins_told_apart() {
        let from = "https://h:5000/v2/a/blobs/x";
        assert_eq!(redirect(from, "/b?c=d").as_deref(), Some("https://h:5000/b?c=d"));
        assert_eq!(redirect(from, "http://o/b").as_deref(), Some("http://o/b"));
        for strange in ["", "//o/b", "b", "ftp://o/b", "https://u:p@o/b"] {
            assert_eq!(redirect(from, strange), None, "{strange}");
        }
        assert_eq!(origin("https://H/a"), origin("https://h:443/b"));
        assert_ne!(origin("https://h/a"), origin("https://h:444/a"));
        assert_ne!(origin("https://h/a"), origin("http://h/a"));
    }
}
