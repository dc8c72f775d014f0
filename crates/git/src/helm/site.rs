//! The address of a Helm repository, the credentials for it, and the addresses that its index leads to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::SourceError;
use crate::credentials::SecretData;
use crate::error::one_line;
use crate::tls::Tls;
use crate::url::{GitUrl, Scheme};
use crate::web::origin;
use lockgate_base::model::{Digest, Secret};

/// The address of a repository.
#[derive(Debug, Clone)]
pub struct Site {
    /// The address with a slash at its end, so that relative addresses resolve below it.
    address: Url,
    checked: GitUrl,
}

/// A user name and a password for a repository.
#[derive(Debug, Clone)]
pub struct SiteLogin {
    /// Their origin, for messages: `Secret namespace/name`.
    source: String,
    authorization: Secret<String>,
    fingerprint: Digest,
}

impl Site {
    /// Reads an address: `https://HOST/PATH`, or plain `http://`.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let invalid =
            |problem: &str| SourceError::InvalidUrl { url: one_line(text), problem: problem.into() };
        if text.starts_with("oci://") {
            return Err(invalid(
                "'oci' URL scheme cannot be used with 'default' HelmRepository type; set spec.type: oci",
            ));
        }
        let checked = GitUrl::site(text)?;
        if checked.user().is_some() {
            return Err(invalid(
                "it must not contain a user name; put that into a Secret, and refer to the Secret in \
                 spec.secretRef",
            ));
        }
        let address = Url::parse(&format!("{}/", text.trim_end_matches('/')));
        Ok(Self { address: address.map_err(|error| invalid(&error.to_string()))?, checked })
    }

    /// Host and scheme of the connection.
    pub(super) fn checked(&self) -> &GitUrl {
        &self.checked
    }

    /// Whether the connection uses TLS.
    pub(super) fn is_private(&self) -> bool {
        self.checked.scheme() == Scheme::Https
    }

    /// The address of the index.
    pub(super) fn index(&self) -> String {
        format!("{}index.yaml", self.address)
    }

    /// The target of an address in the index, which may be a path relative to the repository.
    pub(super) fn resolve(&self, reference: &str) -> Result<Url, SourceError> {
        let shown = one_line(reference);
        let refused = |problem: &str| {
            SourceError::Content(format!("the index names '{shown}' as the address of the chart: {problem}"))
        };
        let found = self.address.join(reference).map_err(|error| refused(&error.to_string()))?;
        if !matches!(found.scheme(), "http" | "https") {
            return Err(refused(
                "only http:// and https:// are followed; charts in a registry need spec.type: oci",
            ));
        }
        if self.is_private() && found.scheme() == "http" {
            return Err(refused("it leads from https to plain http, which is not followed"));
        }
        let mut bare = found.clone();
        bare.set_query(None);
        bare.set_fragment(None);
        let checked = GitUrl::site(bare.as_str()).map_err(|error| refused(&error.to_string()))?;
        if checked.user().is_some() {
            return Err(refused("it has a user name in it"));
        }
        Ok(found)
    }

    /// Whether an address has the repository's own scheme, host and port.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        origin(url.as_str()) == origin(self.address.as_str())
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

impl SiteLogin {
    /// Reads a Secret, which messages call `source` (`Secret namespace/name`): its `username` and `password`,
    /// and the certificates, which Flux used to read from the same Secret.
    pub fn read(source: &str, data: &SecretData) -> Result<(Option<Self>, Option<Tls>), SourceError> {
        let error =
            |problem: &str| SourceError::Credentials { secret: source.into(), problem: problem.into() };
        let text = |key: &str| {
            let bytes = data.get(key).map(|value| value.expose().as_slice()).unwrap_or_default();
            let text = std::str::from_utf8(bytes).map_err(|_| error(&format!("'{key}' is not text")))?;
            let text = text.trim_end_matches(['\r', '\n']);
            let is_clean = !text.chars().any(char::is_control);
            is_clean.then_some(text).ok_or_else(|| error(&format!("'{key}' has a control character in it")))
        };
        let has_certificates =
            ["ca.crt", "caFile", "tls.crt", "certFile"].iter().any(|key| data.contains_key(*key));
        let tls = has_certificates.then(|| Tls::read(source, data)).transpose()?;
        let (username, password) = (text("username")?, text("password")?);
        match (username.is_empty(), password.is_empty()) {
            (true, true) if tls.is_some() => Ok((None, tls)),
            (true, true) => Err(error("it has none of the keys 'username' and 'password'")),
            (true, false) | (false, true) => {
                Err(error("required fields 'username' and 'password'; one of them is missing"))
            }
            (false, false) => {
                let pair = Secret::new(format!("{username}:{password}"));
                let authorization = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
                let fingerprint = Digest::of(pair.expose());
                Ok((Some(Self { source: source.into(), authorization, fingerprint }), tls))
            }
        }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn authorization(&self) -> &Secret<String> {
        &self.authorization
    }

    /// A digest that is equal for equal credentials.
    pub(super) fn fingerprint(&self) -> Digest {
        self.fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(fields: &[(&str, &str)]) -> SecretData {
        let secret = |value: &str| Secret::new(value.as_bytes().to_vec());
        fields.iter().map(|(key, value)| ((*key).to_owned(), secret(value))).collect()
    }

    #[test]
    fn addresses_in_an_index_lead_below_the_repository_or_elsewhere() {
        let site = Site::parse("https://charts.example.com/stable").unwrap();
        assert_eq!(site.index(), "https://charts.example.com/stable/index.yaml");
        for (reference, url, is_own) in [
            ("demo-1.0.0.tgz", "https://charts.example.com/stable/demo-1.0.0.tgz", true),
            ("/charts/demo.tgz?sig=a", "https://charts.example.com/charts/demo.tgz?sig=a", true),
            ("https://charts.example.com:443/demo.tgz", "https://charts.example.com/demo.tgz", true),
            ("https://cdn.example.com/demo.tgz", "https://cdn.example.com/demo.tgz", false),
            ("https://charts.example.com:8443/demo.tgz", "https://charts.example.com:8443/demo.tgz", false),
        ] {
            let found = site.resolve(reference).unwrap();
            assert_eq!((found.as_str(), site.is_own(&found)), (url, is_own), "{reference}");
        }
        for (reference, problem) in [
            ("http://charts.example.com/demo.tgz", "it leads from https to plain http"),
            ("file:///etc/passwd", "only http:// and https:// are followed"),
            ("oci://ghcr.io/demo:1.0.0", "charts in a registry need spec.type: oci"),
            ("https://169.254.169.254/demo.tgz", "link-local"),
            ("https://u:p@charts.example.com/demo.tgz", "a password in the address"),
        ] {
            let told = site.resolve(reference).unwrap_err().to_string();
            assert!(told.starts_with("the index names '") && told.contains(problem), "{told}");
        }
        let bare = Site::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!(bare.index(), "http://127.0.0.1:8080/index.yaml");
    }

    #[test]
    fn an_address_that_cannot_be_one_is_refused() {
        for (text, problem) in [
            ("oci://ghcr.io/charts", "set spec.type: oci"),
            ("ssh://git@h/charts", "write https://"),
            ("https://u@h/charts", "it must not contain a user name"),
            ("https://169.254.169.254/", "link-local"),
            ("charts.example.com", "it has no scheme"),
            ("https://h/charts?token=a", "a query or fragment has no meaning"),
        ] {
            let told = Site::parse(text).unwrap_err().to_string();
            assert!(told.contains(problem), "{text}: {told}");
        }
    }

    #[test]
    fn a_login_is_whole_or_refused() {
        let (login, tls) =
            SiteLogin::read("Secret n/s", &data(&[("username", "u"), ("password", "p\n")])).unwrap();
        assert_eq!(login.unwrap().authorization().expose(), "Basic dTpw");
        assert!(tls.is_none());
        let (login, tls) = SiteLogin::read("Secret n/s", &data(&[("caFile", "x")])).unwrap();
        assert!(login.is_none() && tls.is_some());
        for (fields, problem) in [
            (&[][..], "it has none of the keys 'username' and 'password'"),
            (&[("username", "u")][..], "one of them is missing"),
            (&[("username", "u"), ("password", "a\nb")][..], "'password' has a control character in it"),
        ] {
            let told = SiteLogin::read("Secret n/s", &data(fields)).unwrap_err().to_string();
            assert_eq!(
                told.strip_prefix("Secret n/s: ").map(|told| told.contains(problem)),
                Some(true),
                "{told}"
            );
        }
    }
}
