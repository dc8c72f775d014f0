//! The HTTP client of all fetches: the certificates that it trusts and presents, the addresses that it never
//! connects to, and the meaning of its errors.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::Uri;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::Agent;
use ureq::config::{Config, RedirectAuthHeaders};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::SourceError;
use crate::context::FetchContext;
use crate::error::one_line;
use crate::url::is_forbidden;

/// The `User-Agent` of all requests except Git's own protocol.
pub(crate) const NAME: &str = concat!("lockgate/", env!("CARGO_PKG_VERSION"));

/// The settings of a client.
pub(crate) struct ClientOptions<'a> {
    /// PEM certificates of authorities to trust in addition to the system's.
    pub(crate) authorities: Option<&'a [u8]>,
    /// A PEM certificate chain to present, and its PEM key.
    pub(crate) identity: Option<(&'a [u8], &'a [u8])>,
    /// Whether an authority must vouch for the host's certificate.
    pub(crate) is_verified: bool,
    /// Whether plain HTTP is refused, also as the target of a redirect.
    pub(crate) https_only: bool,
    /// How many redirects are followed; the answer of the last one is returned.
    pub(crate) redirects: u32,
    /// The proxy for connections.
    pub(crate) proxy: Option<ureq::Proxy>,
    /// The `User-Agent`.
    pub(crate) name: &'static str,
}

/// Creates a client. An error is a fragment of a message about certificates or keys.
pub(crate) fn agent(options: ClientOptions<'_>) -> Result<Agent, String> {
    let config = Config::builder()
        .tls_config(tls(&options)?)
        .https_only(options.https_only)
        .http_status_as_error(false)
        .redirect_auth_headers(RedirectAuthHeaders::SameHost)
        .max_redirects(options.redirects)
        .max_redirects_will_error(options.redirects > 0)
        .proxy(options.proxy)
        .user_agent(options.name)
        .build();
    let resolver = GuardedResolver::new(|address| !is_forbidden(address), None);
    Ok(Agent::with_parts(config, DefaultConnector::default(), resolver))
}

/// The fetch's error for an error of the client.
pub(crate) fn explain(context: &FetchContext, error: &ureq::Error) -> SourceError {
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

/// Records in the context why an answer was cut off.
pub(crate) fn broke_off(context: &FetchContext, error: io::Error) {
    let error = error.downcast::<ureq::Error>().unwrap_or_else(ureq::Error::Io);
    context.fail(explain(context, &error));
}

/// rustls wraps its errors in those of the stream.
fn certificate_error(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(one_line(&why.to_string())),
        _ => None,
    }
}

fn tls(options: &ClientOptions<'_>) -> Result<TlsConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = system_roots().to_vec();
    if let Some(pem) = options.authorities {
        roots.extend(certificates(pem).map_err(|problem| format!("ca.crt {problem}"))?);
    }
    let client =
        options.identity.map(|(chain, key)| client_certificate(chain, key, &provider)).transpose()?;
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(client)
        .disable_verification(!options.is_verified)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

/// A certificate to present, and its key. They are checked here, since the HTTP client panics on an unusable
/// pair.
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

/// Checks whether a file contains certificates in PEM form. The error says what is wrong.
pub fn check_certificates(pem: &[u8]) -> Result<(), String> {
    certificates(pem).map(drop)
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

/// The default certificate authorities, read once: the machine's, or those that SSL_CERT_FILE and
/// SSL_CERT_DIR name. Mozilla's are in the binary. They are used if a machine has none, as in the image, and
/// in addition to those of SSL_CERT_DIR. SSL_CERT_FILE replaces all of them.
pub fn system_roots() -> &'static [Certificate<'static>] {
    static ROOTS: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs().certs;
        let is_set = |name: &str| std::env::var_os(name).is_some();
        let with_mozilla = !is_set("SSL_CERT_FILE") && (found.is_empty() || is_set("SSL_CERT_DIR"));
        let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter(|_| with_mozilla);
        found.iter().chain(mozilla).map(|der| Certificate::from_der(der.as_ref()).to_owned()).collect()
    })
}

/// Resolves names, and drops the addresses that are not allowed, wherever a name or redirect leads.
#[derive(Debug)]
pub struct GuardedResolver {
    resolver: DefaultResolver,
    is_allowed: fn(IpAddr) -> bool,
    proxy: Option<Uri>,
}

impl GuardedResolver {
    /// A proxy may have any address: it decides where it connects to.
    pub fn new(is_allowed: fn(IpAddr) -> bool, proxy: Option<Uri>) -> Self {
        Self { resolver: DefaultResolver::default(), is_allowed, proxy }
    }
}

impl Resolver for GuardedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        let is_proxy = self.proxy.as_ref().is_some_and(|proxy| proxy.authority() == uri.authority());
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| is_proxy || (self.is_allowed)(address.ip())) {
            allowed.push(*address);
        }
        if allowed.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(allowed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_certificate_is_refused() {
        assert!(certificates(b"hello").is_err());
        assert!(certificates(b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").is_err());
    }
}
