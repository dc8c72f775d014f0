//! The content of a Secret that authenticates us to a Git host, and the host to us.
//!
//! The keys are Flux's: `identity`, `password` and `known_hosts` for SSH; `username` and `password`,
//! `bearerToken`, `ca.crt` (or `caFile`), `tls.crt` and `tls.key` for HTTPS. The keys of a GitHub App are
//! read in `app`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::SourceError;
use crate::identity::Identity;
use crate::known_hosts::KnownHosts;
use crate::url::{GitUrl, Scheme};
use lockgate_base::model::{Digest, Secret};

/// The credentials for a host.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// None.
    None,
    /// A key, and the known keys of the host.
    Ssh(Box<SshCredentials>),
    /// A header, a client certificate or both.
    Http(Box<HttpCredentials>),
}

/// An SSH key, and the trusted host keys.
#[derive(Debug, Clone)]
pub struct SshCredentials {
    /// Their origin, for messages: `Secret namespace/name`.
    pub source: String,
    /// The private key.
    pub identity: Identity,
    /// The known keys of the host.
    pub known_hosts: KnownHosts,
    fingerprint: Digest,
}

/// The credentials for an HTTPS host, and the certificate authorities to trust in addition to the system's.
#[derive(Debug, Clone)]
pub struct HttpCredentials {
    /// Their origin, for messages: `Secret namespace/name`.
    pub(crate) source: String,
    /// The value of the `Authorization` header.
    pub(crate) authorization: Option<Secret<String>>,
    /// PEM certificates.
    pub(crate) authorities: Option<Vec<u8>>,
    /// A PEM certificate chain and its PEM key.
    pub(crate) client: Option<(Vec<u8>, Secret<Vec<u8>>)>,
    fingerprint: Digest,
}

/// The data of a Secret: the bytes of each key, decoded.
pub type SecretData = BTreeMap<String, Secret<Vec<u8>>>;

impl Credentials {
    /// The credentials for `url` from a Secret called `source` in messages (`Secret namespace/name`); `None`
    /// if the object names no Secret.
    pub fn read(url: &GitUrl, secret: Option<(&str, &SecretData)>) -> Result<Self, SourceError> {
        if let Some((source, _)) = secret.filter(|(_, data)| holds_app(data)) {
            // These are Flux's words.
            let name = source.strip_prefix("Secret ").unwrap_or(source);
            return Err(SourceError::Provider(format!(
                "secretRef '{name}' has github app data but provider is not set to github"
            )));
        }
        let Some((source, data)) = secret else {
            return match url.scheme() {
                Scheme::Ssh => Err(SourceError::Credentials {
                    secret: "spec.secretRef".into(),
                    problem: "an ssh:// address needs a Secret with identity and known_hosts".into(),
                }),
                Scheme::Https | Scheme::Http => Ok(Self::None),
            };
        };
        let fields = Fields { source, data };
        match url.scheme() {
            Scheme::Ssh => fields.ssh().map(|credentials| Self::Ssh(Box::new(credentials))),
            Scheme::Https | Scheme::Http => {
                let credentials = fields.http(url)?;
                if credentials.authorization.is_some() || credentials.client.is_some() {
                    refuse_plain_http(url, source)?;
                }
                Ok(Self::Http(Box::new(credentials)))
            }
        }
    }

    /// The credentials of a GitHub App, whose Secret is called `source` in messages, with the header of its
    /// present token.
    pub(crate) fn of_app(
        source: &str,
        authorization: Secret<String>,
        (authorities, client): &Certificates,
        fingerprint: Digest,
    ) -> Self {
        Self::Http(Box::new(HttpCredentials {
            source: source.into(),
            authorization: Some(authorization),
            authorities: authorities.clone(),
            client: client.clone(),
            fingerprint,
        }))
    }

    /// A digest that is equal for equal credentials. It distinguishes object stores.
    pub(crate) fn fingerprint(&self) -> Digest {
        match self {
            Self::None => Digest::of(b""),
            Self::Ssh(ssh) => ssh.fingerprint,
            Self::Http(http) => http.fingerprint,
        }
    }
}

/// The header of a user name and a password.
pub(crate) fn basic(username: &str, password: &str) -> Secret<String> {
    let pair = Secret::new(format!("{username}:{password}"));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

/// The key that marks the Secret of a GitHub App.
pub(crate) const APP_ID: &str = "githubAppID";

/// Whether a Secret is that of a GitHub App.
pub(crate) fn holds_app(data: &SecretData) -> bool {
    data.get(APP_ID).is_some_and(|id| !id.expose().is_empty())
}

/// Refuses to send the credentials of a Secret over plain HTTP, except to this machine.
pub(crate) fn refuse_plain_http(url: &GitUrl, source: &str) -> Result<(), SourceError> {
    if url.scheme() != Scheme::Http || url.is_loopback() {
        return Ok(());
    }
    Err(SourceError::InvalidUrl {
        url: url.to_string(),
        problem: format!("the credentials of {source} are not sent over plain http; write https://"),
    })
}

/// The values of a Secret.
pub(crate) struct Fields<'a> {
    /// The name of the Secret in messages.
    pub(crate) source: &'a str,
    pub(crate) data: &'a SecretData,
}

/// PEM certificates of authorities, and a PEM certificate chain with its PEM key.
pub(crate) type Certificates = (Option<Vec<u8>>, Option<(Vec<u8>, Secret<Vec<u8>>)>);

impl Fields<'_> {
    fn ssh(&self) -> Result<SshCredentials, SourceError> {
        let identity =
            self.text("identity")?.ok_or_else(|| self.error("it has no key 'identity' (the private key)"))?;
        let known_hosts = self.text("known_hosts")?.ok_or_else(|| {
            self.error("it has no key 'known_hosts'; without it the host cannot be told from an impostor (see ssh-keyscan)")
        })?;
        let identity =
            Identity::parse(identity, self.text("password")?).map_err(|problem| self.error(&problem))?;
        let known_hosts = KnownHosts::parse(known_hosts);
        if let Some(remark) = known_hosts.unreadable_revocation() {
            return Err(self.error(&format!(
                "known_hosts has an unreadable line with @revoked ({remark}); correct or remove the line"
            )));
        }
        if known_hosts.is_empty() {
            let remark = known_hosts.unreadable().first().map_or_else(|| "it is empty".into(), Clone::clone);
            return Err(self.error(&format!("known_hosts has no host key ({remark})")));
        }
        Ok(SshCredentials {
            source: self.source.into(),
            identity,
            known_hosts,
            fingerprint: self.fingerprint(),
        })
    }

    fn http(&self, url: &GitUrl) -> Result<HttpCredentials, SourceError> {
        let username = self.text("username")?.or(url.user());
        let authorization = match (username, self.text("password")?, self.text("bearerToken")?) {
            (None, None, None) => None,
            (_, None, Some(token)) => {
                self.refuse_control_characters("bearerToken", token)?;
                Some(Secret::new(format!("Bearer {token}")))
            }
            (_, Some(_), Some(_)) => return Err(self.error("it has both password and bearerToken; keep one")),
            (Some(username), password, None) => Some(basic(username, password.unwrap_or_default())),
            (None, Some(_), None) => return Err(self.error("it has a password and no username")),
        };
        let (authorities, client) = self.certificates()?;
        Ok(HttpCredentials {
            source: self.source.into(),
            authorization,
            authorities,
            client,
            fingerprint: self.fingerprint(),
        })
    }

    pub(crate) fn certificates(&self) -> Result<Certificates, SourceError> {
        let authorities =
            self.bytes("ca.crt").or_else(|| self.bytes("caFile")).map(|pem| pem.expose().clone());
        let client = match (self.bytes("tls.crt"), self.bytes("tls.key")) {
            (Some(chain), Some(key)) => Some((chain.expose().clone(), key.clone())),
            (None, None) => None,
            _ => return Err(self.error("tls.crt and tls.key belong together; one is missing")),
        };
        Ok((authorities, client))
    }

    pub(crate) fn bytes(&self, key: &str) -> Option<&Secret<Vec<u8>>> {
        self.data.get(key).filter(|value| !value.expose().is_empty())
    }

    /// A value without the line break that editors and `echo` leave at its end.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, SourceError> {
        let Some(bytes) = self.bytes(key) else { return Ok(None) };
        let text =
            std::str::from_utf8(bytes.expose()).map_err(|_| self.error(&format!("'{key}' is not text")))?;
        Ok(Some(text.trim_end_matches(['\r', '\n'])).filter(|text| !text.is_empty()))
    }

    fn refuse_control_characters(&self, key: &str, value: &str) -> Result<(), SourceError> {
        if value.chars().any(char::is_control) {
            return Err(self.error(&format!("'{key}' has a line break or control character in it")));
        }
        Ok(())
    }

    pub(crate) fn error(&self, problem: &str) -> SourceError {
        SourceError::Credentials { secret: self.source.into(), problem: problem.into() }
    }

    pub(crate) fn fingerprint(&self) -> Digest {
        let fields = self.data.iter().flat_map(|(key, value)| [key.as_bytes(), value.expose().as_slice()]);
        Digest::of_parts(std::iter::once(self.source.as_bytes()).chain(fields))
    }
}

#[cfg(test)]
mod tests {
    use ssh_key::rand_core::OsRng;
    use ssh_key::{Algorithm, LineEnding, PrivateKey};

    use super::*;

    const KNOWN: &str =
        "h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n";

    type Fields<'f> = &'f [(&'f str, &'f str)];

    fn read(url: &str, fields: Fields<'_>) -> Result<Credentials, SourceError> {
        let data = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Secret::new(value.as_bytes().to_vec())))
            .collect();
        Credentials::read(&GitUrl::parse(url).unwrap(), Some(("Secret a/b", &data)))
    }

    fn header(url: &str, fields: Fields<'_>) -> Option<String> {
        match read(url, fields).unwrap() {
            Credentials::Http(http) => http.authorization.as_ref().map(|value| value.expose().clone()),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn what_is_missing_or_contradicts_itself_is_named() {
        let key =
            PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap().to_openssh(LineEnding::LF).unwrap();
        let cases: &[(&str, Fields<'_>, &str)] = &[
            ("ssh://h/r", &[], "'identity'"),
            ("ssh://h/r", &[("identity", &key)], "'known_hosts'"),
            (
                "ssh://h/r",
                &[("identity", &key), ("known_hosts", "\n# none\n")],
                "known_hosts has no host key (it is empty)",
            ),
            (
                "ssh://h/r",
                &[("identity", &key), ("known_hosts", "h junk")],
                "known_hosts has no host key (line 1",
            ),
            (
                "ssh://h/r",
                &[("identity", &key), ("known_hosts", &format!("{KNOWN}@revoked h junk\n"))],
                "has an unreadable line with @revoked (line 2",
            ),
            ("ssh://h/r", &[("identity", "junk"), ("known_hosts", KNOWN)], "identity is not a private key"),
            ("https://h/r", &[("password", "hunter2")], "no username"),
            ("https://h/r", &[("username", "u"), ("password", "hunter2"), ("bearerToken", "t")], "keep one"),
            ("https://h/r", &[("bearerToken", "hunter2\r\nX: y")], "line break"),
            ("https://h/r", &[("tls.crt", "x")], "belong together"),
        ];
        for (url, fields, problem) in cases {
            let message = read(url, fields).unwrap_err().to_string();
            assert!(message.starts_with("Secret a/b: ") && message.contains(problem), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(read("ssh://h/r", &[("identity", &key), ("known_hosts", KNOWN)]).is_ok());
        let none = Credentials::read(&GitUrl::parse("ssh://h/r").unwrap(), None).unwrap_err();
        assert!(none.to_string().contains("spec.secretRef"), "{none}");
    }

    #[test]
    fn headers() {
        let basic = Some("Basic dTpw".to_owned());
        assert_eq!(header("https://h/r", &[("username", "u"), ("password", "p\n")]), basic);
        assert_eq!(header("https://u@h/r", &[("password", "p")]), basic);
        assert_eq!(header("https://h/r", &[("bearerToken", "t\n")]), Some("Bearer t".into()));
        assert_eq!(header("https://h/r", &[("ca.crt", "x")]), None);
    }

    #[test]
    fn secrets_are_not_sent_in_the_clear() {
        let fields = [("username", "u"), ("password", "hunter2")];
        let error = read("http://example.org/r", &fields).unwrap_err();
        assert!(
            matches!(&error, SourceError::InvalidUrl { .. }) && error.to_string().contains("plain http"),
            "{error}"
        );
        assert!(read("http://127.0.0.1:8080/r", &fields).is_ok());
        assert!(read("http://example.org/r", &[]).is_ok());
    }

    #[test]
    fn no_debug_text_shows_a_secret_and_different_secrets_are_told_apart() {
        let first = read("https://h/r", &[("username", "u"), ("password", "hunter2")]).unwrap();
        let second = read("https://h/r", &[("username", "u"), ("password", "hunter3")]).unwrap();
        assert!(!format!("{first:?}").contains("hunter2") && !format!("{first:?}").contains("dTpo"));
        assert_ne!(first.fingerprint(), second.fingerprint());
    }
}
