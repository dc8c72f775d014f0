//! Host keys as lines of a `known_hosts` file, and the addresses that they stand for.

use std::str::FromStr;

use ssh_key::{HashAlg, PublicKey};

use super::key;
use lockgate_git::SourceError;
use lockgate_git::known_hosts::known_as;
use lockgate_git::ssh::DEFAULT_USER;
use lockgate_git::{GitUrl, KnownHosts, Scheme};

/// A repository's address over SSH, as the agent reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshUrl {
    git: GitUrl,
    /// The path as written, with its escapes.
    path: String,
}

/// An unusable address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no address of a repository.
    #[error("{0}")]
    Invalid(#[from] SourceError),
    /// It does not begin with `ssh://`.
    #[error("'{0}' is not of the form ssh://user@host[:port]/path")]
    NotSsh(GitUrl),
}

impl FromStr for SshUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let git = GitUrl::parse(text)?;
        if git.scheme() != Scheme::Ssh {
            return Err(AddressError::NotSsh(git));
        }
        // The path follows the scheme, the empty part after it, and the host.
        let path = text.splitn(4, '/').nth(3).unwrap_or_default();
        Ok(Self { git, path: format!("/{path}") })
    }
}

impl SshUrl {
    /// The address as the agent parses it.
    pub const fn git(&self) -> &GitUrl {
        &self.git
    }

    /// The user; `git` unless the address names one.
    pub fn user(&self) -> &str {
        self.git.user().unwrap_or(DEFAULT_USER)
    }

    /// The URL in the form for the API.
    pub fn url(&self) -> String {
        format!("{}{}", self.server(), self.path)
    }

    /// Another repository of the same server.
    pub fn with_path(&self, path: &str) -> Result<Self, AddressError> {
        format!("{}{path}", self.server()).parse()
    }

    fn server(&self) -> String {
        format!("ssh://{}@{}", self.user(), self.git.authority())
    }

    /// The name of the server in `known_hosts`: `host`, or `[host]:port`.
    pub fn known_as(&self) -> String {
        known_as(self.git.host(), self.git.port())
    }

    /// The keys of this server in a `known_hosts`.
    pub fn keys_in<'k>(&self, known_hosts: &'k KnownHosts) -> Vec<&'k PublicKey> {
        known_hosts.lookup(self.git.host(), self.git.port()).into_accepted()
    }
}

/// The line of a `known_hosts` file that binds a key to a server.
pub(crate) fn line(url: &SshUrl, key: &PublicKey) -> Option<String> {
    let text = key.to_openssh().ok()?;
    let (kind, content) = key::identity_of(&text)?;
    Some(format!("{} {kind} {content}", url.known_as()))
}

/// Turns published keys, each `type content`, into lines, and skips types that libssh2 does not know.
pub(crate) fn lines(url: &SshUrl, published: &[String]) -> Vec<String> {
    let keys = published.iter().filter_map(|text| PublicKey::from_openssh(text).ok());
    keys.filter_map(|key| line(url, &key)).collect()
}

/// The short names of the keys' types, each once: `ed25519 ecdsa rsa`.
pub(crate) fn kinds(keys: &[&PublicKey]) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for kind in keys.iter().map(|key| key::short_name(key.algorithm().as_str()).to_owned()) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.join(" ")
}

/// The fingerprint of a key, as `ed25519 SHA256:…`.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key::short_name(key.algorithm().as_str()), key.fingerprint(HashAlg::Sha256))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::key::{Algorithm, KeyPair};

    #[test]
    fn addresses_are_read_and_written() {
        for (text, user, known_as, path) in [
            ("ssh://git@github.com/o/r", "git", "github.com", "/o/r"),
            ("ssh://git@127.0.0.1:2222/o/r.git", "git", "[127.0.0.1]:2222", "/o/r.git"),
            ("ssh://a@[::1]:2222/r", "a", "[::1]:2222", "/r"),
            ("ssh://me@host/~me/a%20repository", "me", "host", "/~me/a repository"),
        ] {
            let url: SshUrl = text.parse().unwrap();
            assert_eq!((url.user(), url.known_as().as_str(), url.git().path()), (user, known_as, path));
            assert_eq!(url.url(), text);
        }
        let url: SshUrl = "ssh://host:22/r".parse().unwrap();
        assert_eq!(url.url(), "ssh://git@host/r");
        assert_eq!(url.with_path("/o/new").unwrap().url(), "ssh://git@host/o/new");
        assert!(url.with_path("/../r").is_err());
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        for (text, message) in [
            ("git@github.com:o/r.git", "write \"ssh://git@github.com/o/r.git\""),
            ("github.com:o/r", "write \"ssh://git@github.com/o/r\""),
            ("https://me@github.com/o/r", "'https://github.com/o/r' is not of the form ssh://"),
            ("ssh://-oProxyCommand=x/r", "begins with '-'"),
            ("ssh://me:hunter2@host/r", "a password in the address"),
            ("https://me:hunter2@host/r", "a password in the address"),
            ("file:///etc", "'file' is not allowed"),
        ] {
            let error = text.parse::<SshUrl>().unwrap_err().to_string();
            assert!(error.contains(message) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn published_keys_become_lines_that_cover_the_server() {
        let url: SshUrl = "ssh://git@127.0.0.1:2222/r".parse().unwrap();
        let key = |algorithm| KeyPair::generate(algorithm, "").unwrap().public_line();
        let published = [key(Algorithm::Ed25519), key(Algorithm::EcdsaP256), "ssh-nonsense AAAA".into()];
        let lines = lines(&url, &published);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("[127.0.0.1]:2222 ssh-ed25519 AAAA"), "{lines:?}");
        let known = KnownHosts::parse(&lines.join("\n"));
        let keys = url.keys_in(&known);
        assert_eq!(kinds(&keys), "ed25519 ecdsa");
        assert!(fingerprint(keys[0]).starts_with("ed25519 SHA256:"));
        let other: SshUrl = "ssh://git@127.0.0.1:2223/r".parse().unwrap();
        assert!(other.keys_in(&known).is_empty());
    }
}
