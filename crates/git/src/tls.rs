//! Certificates and proxies for servers that are no Git hosts, as Secrets hold them.

use lockgate_base::model::Secret;

use crate::SourceError;
use crate::credentials::SecretData;

/// Certificates for a server.
#[derive(Debug, Clone)]
pub struct Tls {
    source: String,
    authorities: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Secret<Vec<u8>>)>,
}

impl Tls {
    /// Reads a Secret, which messages call `source` (`Secret namespace/name`): `ca.crt`, `tls.crt` and
    /// `tls.key`.
    pub fn read(source: &str, data: &SecretData) -> Result<Self, SourceError> {
        let error = |problem: &str| SourceError::Credentials {
            secret: source.to_owned(),
            problem: problem.to_owned(),
        };
        let find = |key: &str| data.get(key).filter(|value| !value.expose().is_empty());
        let authorities = find("ca.crt").or_else(|| find("caFile")).map(|pem| pem.expose().clone());
        let pair =
            (find("tls.crt").or_else(|| find("certFile")), find("tls.key").or_else(|| find("keyFile")));
        let identity = match pair {
            (Some(chain), Some(key)) => Some((chain.expose().clone(), key.clone())),
            (None, None) => None,
            _ => return Err(error("tls.crt and tls.key belong together; one is missing")),
        };
        if authorities.is_none() && identity.is_none() {
            return Err(error("it has none of the keys 'ca.crt', 'tls.crt' and 'tls.key'"));
        }
        Ok(Self { source: source.to_owned(), authorities, identity })
    }

    /// PEM certificates of authorities.
    pub(crate) fn authorities(&self) -> Option<&[u8]> {
        self.authorities.as_deref()
    }

    /// A PEM certificate chain, and its PEM key.
    pub(crate) fn identity(&self) -> Option<(&[u8], &[u8])> {
        self.identity.as_ref().map(|(chain, key)| (chain.as_slice(), key.expose().as_slice()))
    }

    /// The error for certificates with which no client can be built.
    pub(crate) fn unusable(tls: Option<&Self>, problem: String) -> SourceError {
        let secret = tls.map_or_else(|| "system certificates".into(), |tls| tls.source.clone());
        SourceError::Credentials { secret, problem }
    }
}

/// A proxy on the way to a server.
#[derive(Debug, Clone)]
pub struct Proxy(ureq::Proxy);

impl Proxy {
    /// The proxy in the client's type.
    pub(crate) fn client(&self) -> ureq::Proxy {
        self.0.clone()
    }

    /// Reads a Secret, which messages call `source` (`Secret namespace/name`): `address`, `username` and
    /// `password`.
    pub fn read(source: &str, data: &SecretData) -> Result<Self, SourceError> {
        let error = |problem: &str| SourceError::Credentials {
            secret: source.to_owned(),
            problem: problem.to_owned(),
        };
        let text = |key: &str| {
            let bytes = data.get(key).map(|value| value.expose().as_slice()).unwrap_or_default();
            std::str::from_utf8(bytes).map(str::trim).map_err(|_| error(&format!("'{key}' is not text")))
        };
        let (address, username, password) = (text("address")?, text("username")?, text("password")?);
        let no_address = "'address' is not the address of a proxy; write http://HOST:PORT";
        let uri: http::Uri = address.parse().map_err(|_| error(no_address))?;
        let protocol = match uri.scheme_str() {
            Some("http") => ureq::ProxyProtocol::Http,
            Some("https") => ureq::ProxyProtocol::Https,
            _ => return Err(error(no_address)),
        };
        let host = uri.host().ok_or_else(|| error(no_address))?;
        let mut builder = ureq::Proxy::builder(protocol).host(host);
        if let Some(port) = uri.port_u16() {
            builder = builder.port(port);
        }
        if !username.is_empty() {
            builder = builder.username(username).password(password);
        }
        builder.build().map(Self).map_err(|_| error(no_address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_and_proxies_are_read_from_their_secrets() {
        let data = |fields: &[(&str, &str)]| -> SecretData {
            let secret = |value: &str| Secret::new(value.as_bytes().to_vec());
            fields.iter().map(|(key, value)| ((*key).to_owned(), secret(value))).collect()
        };
        assert!(Tls::read("Secret n/tls", &data(&[("ca.crt", "x")])).is_ok());
        for (fields, problem) in [
            (&[][..], "it has none of the keys"),
            (&[("tls.crt", "x")][..], "belong together; one is missing"),
        ] {
            let told = Tls::read("Secret n/tls", &data(fields)).unwrap_err().to_string();
            assert!(told.starts_with("Secret n/tls: ") && told.contains(problem), "{told}");
        }
        let proxy = [("address", "http://proxy.local:3128"), ("username", "u"), ("password", "p")];
        assert!(Proxy::read("Secret n/proxy", &data(&proxy)).is_ok());
        for address in ["", "proxy.local:3128", "socks5://h:1"] {
            let told = Proxy::read("Secret n/proxy", &data(&[("address", address)])).unwrap_err().to_string();
            assert!(told.contains("write http://HOST:PORT"), "{told}");
        }
    }
}
