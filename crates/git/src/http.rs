//! Git over HTTPS: its "smart" protocol of one GET and one POST for each round of negotiation.
//!
//! A client of our own and not libgit2's, because that knows one set of certificate authorities for the whole process, no
//! client certificates, and no limit for a whole request.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, OnceLock};

use http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::config::{Config, RedirectAuthHeaders};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, ResponseExt as _};

use crate::SourceError;
use crate::context::{Context, lock};
use crate::credentials::{Credentials, HttpCredentials};
use crate::error::one_line;
use crate::url::{Scheme, is_forbidden};

/// An HTTP client for one fetch.
pub(crate) struct HttpClient {
    context: Arc<Context>,
    agent: Agent,
    /// Where the repository is, after redirects.
    base: Mutex<String>,
}

impl HttpClient {
    /// Sets the client up. The reason of a failure is left in `context`.
    pub(crate) fn new(context: Arc<Context>) -> Option<Self> {
        let credentials = match &context.credentials {
            Credentials::Http(credentials) => Some(credentials.as_ref()),
            Credentials::None | Credentials::Ssh(_) => None,
        };
        let tls = match tls(credentials) {
            Ok(tls) => tls,
            Err(problem) => {
                let secret = credentials.map_or_else(|| "system certificates".into(), |c| c.source.clone());
                context.fail(SourceError::Credentials { secret, problem });
                return None;
            }
        };
        let config = Config::builder()
            .tls_config(tls)
            .https_only(context.url.scheme() == Scheme::Https)
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .max_redirects(5)
            .proxy(ureq::Proxy::try_from_env())
            .user_agent(concat!("git/lockgate-", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::with_parts(
            config,
            DefaultConnector::default(),
            GuardedResolver(DefaultResolver::default()),
        );
        let url = &context.url;
        let scheme = if url.scheme() == Scheme::Https { "https" } else { "http" };
        let base = format!("{scheme}://{}{}", url.authority(), escape_path(url.path().trim_end_matches('/')));
        Some(Self { context, agent, base: Mutex::new(base) })
    }

    /// Asks for the references.
    pub(crate) fn list(&self) -> io::Result<HttpStream> {
        self.context.now_doing("asking for the references");
        let url = format!("{}/info/refs?service=git-upload-pack", lock(&self.base));
        let mut request = self.agent.get(&url);
        if let Some(value) = self.authorization() {
            request = request.header("Authorization", value);
        }
        let request = request.config().timeout_global(Some(self.context.remaining()?)).build();
        let response = request.call().map_err(|error| self.failed(&error))?;
        self.follow(response.get_uri())?;
        self.answer(response, "application/x-git-upload-pack-advertisement")
    }

    /// Begins a round of negotiation; what is written is sent when the answer is first read.
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

    /// Later requests go to where the first was sent on to, if that is the same host: the credentials are its own.
    fn follow(&self, arrived: &Uri) -> io::Result<()> {
        let host = arrived.host().unwrap_or_default().trim_matches(['[', ']']);
        let arrived = arrived.to_string();
        let Some(base) = arrived.strip_suffix("/info/refs?service=git-upload-pack") else {
            return Err(
                self.refuse(format!("it redirects to {}, which is not a Git repository", one_line(&arrived)))
            );
        };
        if !host.eq_ignore_ascii_case(self.context.url.host()) {
            return Err(
                self.refuse(format!("it redirects to another host; write spec.url: {}", one_line(base)))
            );
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

/// One request and its answer.
pub(crate) struct HttpStream {
    context: Arc<Context>,
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
                let reason = match error.downcast::<ureq::Error>() {
                    Ok(error) => explain(&self.context, &error),
                    Err(error) => explain(&self.context, &ureq::Error::Io(error)),
                };
                self.context.fail(reason);
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

fn explain(context: &Context, error: &ureq::Error) -> SourceError {
    let host = context.host();
    match error {
        ureq::Error::Timeout(_) => context.timeout(),
        ureq::Error::HostNotFound => {
            SourceError::Connect { host, cause: "its name has no address that may be connected to".into() }
        }
        ureq::Error::RequireHttpsOnly(_) => {
            SourceError::Remote { host, message: "it redirects to plain http, which is not followed".into() }
        }
        ureq::Error::Rustls(rustls::Error::InvalidCertificate(why)) => SourceError::HostKey(format!(
            "the certificate of {host} is not trusted: {}; a private authority goes into ca.crt of the Secret",
            one_line(&why.to_string())
        )),
        ureq::Error::Io(error) => match certificate_error(error) {
            Some(why) => SourceError::HostKey(format!(
                "the certificate of {host} is not trusted: {why}; a private authority goes into ca.crt of the Secret"
            )),
            None => SourceError::Connect { host, cause: one_line(&error.to_string()) },
        },
        other => SourceError::Connect { host, cause: one_line(&other.to_string()) },
    }
}

/// rustls hides its errors in those of the stream.
fn certificate_error(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(one_line(&why.to_string())),
        _ => None,
    }
}

fn tls(credentials: Option<&HttpCredentials>) -> Result<TlsConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = system_roots().to_vec();
    let mut client = None;
    if let Some(credentials) = credentials {
        if let Some(pem) = &credentials.authorities {
            let own = certificates(pem).map_err(|problem| format!("ca.crt {problem}"))?;
            roots.extend(own);
        }
        if let Some((chain, key)) = &credentials.client {
            client = Some(client_certificate(chain, key.expose(), &provider)?);
        }
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(client)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

/// A certificate to show and its key. They are tried here, since the HTTP client panics on a pair that cannot be used.
fn client_certificate(chain: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<ClientCert, String> {
    let chain = certificates(chain).map_err(|problem| format!("tls.crt {problem}"))?;
    let no_key = "tls.key is not a private key in PEM form";
    let der = PrivateKeyDer::from_pem_slice(key).map_err(|_| no_key)?;
    let key = PrivateKey::from_pem(key).map_err(|_| no_key)?;
    let certificates = chain.iter().map(|certificate| CertificateDer::from(certificate.der()).into_owned());
    match CertifiedKey::from_der(certificates.collect(), der, provider) {
        Ok(_) => Ok(ClientCert::new_with_certs(&chain, key)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err("tls.key is not the key of the first certificate in tls.crt".into())
        }
        Err(error) => Err(format!("tls.crt and tls.key cannot be used: {}", one_line(&error.to_string()))),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(_) => return Err("is damaged".into()),
        }
    }
    if found.is_empty() { Err("holds no certificate in PEM form".into()) } else { Ok(found) }
}

/// The machine's certificate authorities, read once.
fn system_roots() -> &'static [Certificate<'static>] {
    static ROOTS: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        found.certs.iter().map(|der| Certificate::from_der(der.as_ref()).to_owned()).collect()
    })
}

/// Resolves names and leaves out the addresses that must never be connected to, wherever a name or redirect leads.
#[derive(Debug)]
struct GuardedResolver(DefaultResolver);

impl Resolver for GuardedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| !is_forbidden(address.ip())) {
            allowed.push(*address);
        }
        if allowed.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(allowed) }
    }
}

/// Percent-encodes what RFC 3986 does not allow in a path.
fn escape_path(path: &str) -> String {
    const BRACKETS: &AsciiSet = &CONTROLS.add(b'<').add(b'>').add(b'[').add(b']').add(b'{').add(b'}');
    const SET: &AsciiSet =
        &BRACKETS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'?').add(b'\\').add(b'^').add(b'`').add(b'|');
    utf8_percent_encode(path, SET).to_string()
}

/// What libgit2 is told; the reason is in the context.
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

    #[test]
    fn what_is_not_a_certificate_is_refused() {
        assert!(certificates(b"hello").is_err());
        assert!(certificates(b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").is_err());
    }
}
