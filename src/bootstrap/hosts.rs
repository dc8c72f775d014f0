//! Host keys as lines of a `known_hosts` file, and the addresses that they stand for.

use std::str::FromStr;

use ssh_key::known_hosts::{Entry, HostPatterns};
use ssh_key::{HashAlg, PublicKey};

use super::key;

/// A repository's address over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshUrl {
    /// The user; `git` nearly everywhere.
    pub user: String,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; 22 unless the URL says otherwise.
    pub port: u16,
    /// Path of the repository, with its leading slash.
    pub path: String,
}

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `ssh://`.
    #[error("'{0}' is not of the form ssh://user@host[:port]/path")]
    NotSsh(String),
    /// `git@host:path`, which the Flux API does not take.
    #[error("'{given}' is the short form of an address; write {long}")]
    ShortForm {
        /// As given.
        given: String,
        /// The same address as a URL.
        long: String,
    },
    /// A part that a program might take for an option, or that holds a password.
    #[error("the {part} of the address is not allowed: {reason}")]
    Unsafe {
        /// `user`, `host` or `path`.
        part: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl FromStr for SshUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some(rest) = text.strip_prefix("ssh://") else { return Err(not_ssh(text)) };
        let (authority, path) = rest.split_once('/').ok_or_else(|| not_ssh(text))?;
        let (user, address) = authority.rsplit_once('@').unwrap_or(("git", authority));
        if user.contains(':') {
            return Err(AddressError::Unsafe { part: "user", reason: "it holds a password" });
        }
        let (host, port) = split_port(address).ok_or_else(|| not_ssh(text))?;
        let url = Self { user: user.into(), host, port, path: format!("/{path}") };
        url.check()?;
        Ok(url)
    }
}

impl SshUrl {
    /// The URL as the API takes it.
    pub fn url(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = if self.port == 22 { String::new() } else { format!(":{}", self.port) };
        format!("ssh://{}@{host}{port}{}", self.user, self.path)
    }

    /// Another repository of the same server.
    pub fn with_path(&self, path: &str) -> Result<Self, AddressError> {
        let url = Self { path: path.into(), ..self.clone() };
        url.check().map(|()| url)
    }

    /// The name that `known_hosts` has for the server: `host`, or `[host]:port`.
    pub fn known_as(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }

    /// The last part of the path without `.git`.
    pub fn name(&self) -> &str {
        let last = self.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        last.strip_suffix(".git").unwrap_or(last)
    }

    fn check(&self) -> Result<(), AddressError> {
        let plain = |text: &str, extra: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c) || extra.contains(c))
        };
        for (part, text, extra) in [("user", &self.user, "+"), ("host", &self.host, ":")] {
            if !plain(text, extra) {
                return Err(AddressError::Unsafe {
                    part,
                    reason: "it holds characters that names do not have",
                });
            }
            if text.starts_with('-') {
                return Err(AddressError::Unsafe { part, reason: "it begins with '-', as an option does" });
            }
        }
        if self.path.len() < 2 || self.path.chars().any(char::is_control) {
            return Err(AddressError::Unsafe {
                part: "path",
                reason: "it is empty or holds control characters",
            });
        }
        Ok(())
    }
}

fn not_ssh(text: &str) -> AddressError {
    if let (false, Some((address, path))) = (text.contains("://"), text.split_once(':')) {
        let user = if address.contains('@') { "" } else { "git@" };
        let long = format!("ssh://{user}{address}/{}", path.trim_start_matches('/'));
        return AddressError::ShortForm { given: text.into(), long };
    }
    // What stands before the host may be a password.
    let shown = match text.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
        }
        None => text.into(),
    };
    AddressError::NotSsh(shown)
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(super) fn split_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = port.map_or(Ok(22), str::parse).ok()?;
    (!host.is_empty() && port > 0).then(|| (host.into(), port))
}

/// The line of a `known_hosts` file that ties a key to a server.
pub fn line(url: &SshUrl, key: &PublicKey) -> Option<String> {
    let text = key.to_openssh().ok()?;
    let (kind, content) = key::identity_of(&text)?;
    Some(format!("{} {kind} {content}", url.known_as()))
}

/// Reads published keys, each `type content`, into lines; those of types that libssh2 does not know are passed over.
pub fn lines(url: &SshUrl, published: &[String]) -> Vec<String> {
    let keys = published.iter().filter_map(|text| PublicKey::from_openssh(text).ok());
    keys.filter_map(|key| line(url, &key)).collect()
}

/// Whether a `known_hosts` text says anything of the server. Hashed names and patterns count, since only the agent's
/// matcher can tell.
pub fn covers(known_hosts: &str, url: &SshUrl) -> bool {
    let name = url.known_as();
    let entries = known_hosts.lines().filter_map(|line| line.trim().parse::<Entry>().ok());
    entries.into_iter().any(|entry| match entry.host_patterns() {
        HostPatterns::Patterns(patterns) => {
            patterns.iter().any(|pattern| *pattern == name || pattern.contains(['*', '?']))
        }
        HostPatterns::HashedName { .. } => true,
    })
}

/// The short names of the key types in `known_hosts` lines, each once: `ed25519 ecdsa rsa`.
pub fn kinds(lines: &[String]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for kind in lines.iter().filter_map(|line| line.split_ascii_whitespace().nth(1)).map(key::short_name) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.join(" ")
}

/// `ed25519 SHA256:…` of each line.
pub fn fingerprints(lines: &[String]) -> Vec<String> {
    let entries = lines.iter().filter_map(|line| line.parse::<Entry>().ok());
    let describe = |entry: Entry| {
        let key = entry.public_key();
        format!("{} {}", key::short_name(key.algorithm().as_str()), key.fingerprint(HashAlg::Sha256))
    };
    entries.map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::key::{Algorithm, KeyPair};

    #[test]
    fn addresses_are_read_and_written() {
        for (text, host, port, known_as, name) in [
            ("ssh://git@github.com/o/r", "github.com", 22, "github.com", "r"),
            ("ssh://git@127.0.0.1:2222/o/r.git", "127.0.0.1", 2222, "[127.0.0.1]:2222", "r"),
            ("ssh://a@[::1]:2222/r", "::1", 2222, "[::1]:2222", "r"),
        ] {
            let url: SshUrl = text.parse().unwrap();
            assert_eq!(
                (url.host.as_str(), url.port, url.known_as().as_str(), url.name()),
                (host, port, known_as, name)
            );
            assert_eq!(url.url(), text);
        }
        assert_eq!("ssh://host/r".parse::<SshUrl>().unwrap().url(), "ssh://git@host/r");
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        for (text, message) in [
            ("git@github.com:o/r.git", "write ssh://git@github.com/o/r.git"),
            ("github.com:o/r", "write ssh://git@github.com/o/r"),
            ("https://github.com/o/r", "not of the form"),
            ("ssh://-oProxyCommand=x/r", "the host of the address is not allowed"),
            ("ssh://-o@host/r", "the user of the address is not allowed: it begins with '-'"),
            ("ssh://me:hunter2@host/r", "it holds a password"),
            ("ssh://host:0/r", "not of the form"),
            ("ssh://host:x/r", "not of the form"),
            ("ssh://ho st/r", "the host of the address is not allowed"),
            ("ssh://host/", "the path of the address is not allowed"),
            ("ssh://host", "not of the form"),
            ("https://me:hunter2@host/r", "'https://host/r' is not of the form"),
            ("file:///etc", "not of the form"),
            ("ext::sh -c x", "short form"),
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
        assert_eq!(kinds(&lines), "ed25519 ecdsa");
        assert!(fingerprints(&lines)[0].starts_with("ed25519 SHA256:"));
        assert!(covers(&lines.join("\n"), &url));
        let other: SshUrl = "ssh://git@127.0.0.1:2223/r".parse().unwrap();
        assert!(!covers(&lines.join("\n"), &other));
        assert!(!covers("", &url));
    }
}
