//! The host keys that one Secret vouches for, in OpenSSH's `known_hosts` format.
//!
//! This module reads plain and hashed names, `[host]:port`, the patterns `*`, `?` and `!`, and `@revoked`. It
//! does not support certificates (`@cert-authority`): a refusal that they may explain says that they were
//! ignored.

use hmac::{Hmac, Mac};
use sha1::Sha1;
use ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, PublicKey};

/// The host keys of one Secret.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
    /// Line numbers, and why the lines could not be read.
    unreadable: Vec<String>,
    /// The first unreadable line that was meant to revoke a key.
    unreadable_revocation: Option<String>,
}

/// The known keys of one host.
pub struct Known<'k> {
    host: String,
    accepted: Vec<&'k PublicKey>,
    revoked: Vec<&'k PublicKey>,
    has_authority: bool,
    unreadable: &'k [String],
}

impl KnownHosts {
    /// Reads the lines. An unreadable line is kept as a remark and does not affect the others.
    pub fn parse(text: &str) -> Self {
        let mut known = Self::default();
        for (number, line) in text.lines().enumerate() {
            // Any number of blanks may separate the fields.
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let line = fields.join(" ");
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.parse::<Entry>() {
                Ok(entry) => known.entries.push(entry),
                Err(error) => {
                    let remark = format!("line {}: {error}", number + 1);
                    if fields[0] == "@revoked" {
                        known.unreadable_revocation.get_or_insert_with(|| remark.clone());
                    }
                    known.unreadable.push(remark);
                }
            }
        }
        known
    }

    /// Whether no line could be read.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The remarks on lines that could not be read.
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// The remark on an unreadable line that was meant to revoke a key. Nobody can tell which key that is.
    pub fn unreadable_revocation(&self) -> Option<&str> {
        self.unreadable_revocation.as_deref()
    }

    /// The known keys of `host`. As in OpenSSH, lines without a port also vouch for a host on another port.
    pub fn lookup(&self, host: &str, port: u16) -> Known<'_> {
        let with_port = format!("[{host}]:{port}");
        let names: &[&str] = &[with_port.as_str(), host];
        let mut known = Known {
            host: known_as(host, port),
            accepted: Vec::new(),
            revoked: Vec::new(),
            has_authority: false,
            unreadable: &self.unreadable,
        };
        for entry in self.entries.iter().filter(|entry| matches(entry.host_patterns(), names)) {
            match entry.marker() {
                None => known.accepted.push(entry.public_key()),
                Some(Marker::Revoked) => known.revoked.push(entry.public_key()),
                Some(Marker::CertAuthority) => known.has_authority = true,
            }
        }
        known
    }
}

/// The name of a server in `known_hosts`: `host`, or `[host]:port`.
pub fn known_as(host: &str, port: u16) -> String {
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
}

impl<'k> Known<'k> {
    /// The accepted keys.
    pub fn into_accepted(self) -> Vec<&'k PublicKey> {
        self.accepted
    }

    /// The host-key algorithms to request. Those of the known keys come first, so that a host with several
    /// keys presents a known one. The others follow, so that a host with a new type of key can be told from a
    /// broken one.
    pub fn algorithms(&self) -> String {
        const ALL: [(&str, &[&str]); 5] = [
            ("ssh-ed25519", &["ssh-ed25519"]),
            ("ecdsa-sha2-nistp256", &["ecdsa-sha2-nistp256"]),
            ("ecdsa-sha2-nistp384", &["ecdsa-sha2-nistp384"]),
            ("ecdsa-sha2-nistp521", &["ecdsa-sha2-nistp521"]),
            ("ssh-rsa", &["rsa-sha2-512", "rsa-sha2-256"]),
        ];
        let is_known = |name: &str| self.accepted.iter().any(|key| key.algorithm().as_str() == name);
        let (first, last): (Vec<_>, Vec<_>) = ALL.iter().partition(|(name, _)| is_known(name));
        first
            .into_iter()
            .chain(last)
            .flat_map(|(_, names)| names.iter().copied())
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Checks that the Secret vouches for the key that the host has presented, in SSH's wire format; the
    /// error says why it does not. `source` names the origin of the known hosts.
    pub fn check(&self, shown: &[u8], source: &str) -> Result<(), String> {
        let host = &self.host;
        let shown = PublicKey::from_bytes(shown)
            .map_err(|error| format!("host key of {host} is of a type that is not supported: {error}"))?;
        let is_shown = |key: &&PublicKey| key.key_data() == shown.key_data();
        if self.revoked.iter().any(is_shown) {
            return Err(format!(
                "host key of {host} is revoked: {} is marked @revoked in known_hosts of {source}; \
                 do not connect before the host has a new key",
                describe(&shown)
            ));
        }
        if self.accepted.iter().any(is_shown) {
            return Ok(());
        }
        if self.accepted.is_empty() {
            return Err(self.nothing_known(&shown, source));
        }
        let known: Vec<String> = self.accepted.iter().map(|key| describe(key)).collect();
        Err(format!(
            "host key mismatch for {host}: got {}, known_hosts has {}; if the host really changed its key, update \
             known_hosts in {source}",
            describe(&shown),
            known.join(", ")
        ))
    }

    fn nothing_known(&self, shown: &PublicKey, source: &str) -> String {
        let host = &self.host;
        let remark = if self.has_authority {
            "; its @cert-authority line is ignored, host certificates are not supported".to_owned()
        } else if let Some(first) = self.unreadable.first() {
            format!("; a line could not be read ({first})")
        } else {
            String::new()
        };
        format!(
            "unknown host {host}: known_hosts in {source} has no line for it{remark}; it shows {}: compare that with what \
             its owner publishes, then add the line of ssh-keyscan",
            describe(shown)
        )
    }
}

/// The fingerprint and short type of a key: `SHA256:… (ed25519)`.
pub(crate) fn describe(key: &PublicKey) -> String {
    let kind = match key.algorithm() {
        Algorithm::Ed25519 => "ed25519".to_owned(),
        Algorithm::Rsa { .. } => "rsa".to_owned(),
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => "ecdsa-p256".to_owned(),
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 } => "ecdsa-p384".to_owned(),
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 } => "ecdsa-p521".to_owned(),
        other => other.to_string(),
    };
    format!("{} ({kind})", key.fingerprint(HashAlg::Sha256))
}

fn matches(patterns: &HostPatterns, names: &[&str]) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => names.iter().any(|name| hashed(salt, name) == *hash),
        HostPatterns::Patterns(patterns) => names.iter().any(|name| {
            let mut is_match = false;
            for pattern in patterns {
                let pattern = pattern.to_ascii_lowercase();
                match pattern.strip_prefix('!') {
                    Some(pattern) if glob(pattern.as_bytes(), name.as_bytes()) => return false,
                    Some(_) => {}
                    None => is_match |= glob(pattern.as_bytes(), name.as_bytes()),
                }
            }
            is_match
        }),
    }
}

fn hashed(salt: &[u8], name: &str) -> [u8; 20] {
    // HMAC accepts a key of any length, so this cannot fail; a hash of zeros would match nothing.
    Hmac::<Sha1>::new_from_slice(salt)
        .map_or([0; 20], |mac| mac.chain_update(name).finalize().into_bytes().into())
}

/// Whether `name` matches a pattern of `*` and `?`. Only the last star is retried, so no pattern makes the
/// match slow.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (p, n) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

    proptest::proptest! {
        /// S18.
        #[test]
        fn no_text_makes_the_reader_panic(text in "(@revoked |@cert-authority )?[-a-z0-9*?!,.\\[\\]:|=]{0,20} (ssh-ed25519|x)? ?[A-Za-z0-9+/=]{0,80}|.{0,60}", port in 1..u16::MAX) {
            let known = KnownHosts::parse(&text);
            let _ = known.lookup("git.example.com", port).check(&bytes(ED25519), "Secret a/b");
        }
    }

    fn bytes(key: &str) -> Vec<u8> {
        key.parse::<PublicKey>().unwrap().to_bytes().unwrap()
    }

    fn check(lines: &str, host: &str, port: u16, shown: &str) -> Result<(), String> {
        KnownHosts::parse(lines).lookup(host, port).check(&bytes(shown), "Secret a/b")
    }

    #[test]
    fn names_ports_patterns_and_hashes() {
        // The hashed line is the output of `ssh-keygen -H` for `github.com`.
        let hashed = "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|";
        let salt = [0_u8; 20];
        let hash = |name: &str| {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            STANDARD.encode(super::hashed(&salt, name))
        };
        let cases = [
            (format!("github.com {ED25519}"), true),
            (format!("gitlab.com {ED25519}"), false),
            (format!("gitlab.com,github.com {ED25519} comment"), true),
            (format!("GitHub.com {ED25519}"), true),
            (format!("*.com {ED25519}"), true),
            (format!("git?ub.* {ED25519}"), true),
            (format!("*.com,!github.com {ED25519}"), false),
            (format!("[github.com]:22 {ED25519}"), true),
            (format!("[github.com]:2222 {ED25519}"), false),
            (format!("{hashed}{} {ED25519}", hash("github.com")), true),
            (format!("{hashed}{} {ED25519}", hash("gitlab.com")), false),
            (format!("# comment\n\nnot a line\ngithub.com {ED25519}"), true),
            (format!("@cert-authority github.com {ED25519}"), false),
            (format!("\tgithub.com \t {}", ED25519.replace(' ', "\t")), true),
            (format!("github.com {ED25519}\n@revoked\t*  {ED25519}"), false),
        ];
        for (lines, accepted) in cases {
            assert_eq!(check(&lines, "github.com", 22, ED25519).is_ok(), accepted, "{lines}");
        }
        assert!(check(&format!("[h]:2222 {ED25519}"), "h", 2222, ED25519).is_ok());
        assert!(check(&format!("h {ED25519}"), "h", 2222, ED25519).is_ok());
        assert!(check(&format!("{hashed}{} {ED25519}", hash("[h]:2222")), "h", 2222, ED25519).is_ok());
    }

    #[test]
    fn a_hash_made_by_ssh_keygen_matches() {
        // `printf 'example.org ssh-ed25519 …' | ssh-keygen -H` with the salt it chose.
        let line = format!("|1|U4Z8YiICOIhRMhEzDR026jleXCo=|EJMueuVGG6LVx1yVCnUcPSL/IDo= {ED25519}");
        assert!(check(&line, "example.org", 22, ED25519).is_ok());
        assert!(check(&line, "example.com", 22, ED25519).is_err());
    }

    #[test]
    fn refusals_say_what_was_seen_and_what_to_do() {
        let mismatch = check(&format!("h {ECDSA}"), "h", 22, ED25519).unwrap_err();
        assert!(mismatch.starts_with("host key mismatch for h: got SHA256:"), "{mismatch}");
        assert!(
            mismatch.contains("(ed25519), known_hosts has SHA256:") && mismatch.contains("(ecdsa-p256)"),
            "{mismatch}"
        );
        assert!(mismatch.ends_with("update known_hosts in Secret a/b"), "{mismatch}");
        let revoked = check(&format!("h {ED25519}\n@revoked * {ED25519}"), "h", 22, ED25519).unwrap_err();
        assert!(revoked.contains("is revoked"), "{revoked}");
        let unknown = check(&format!("@cert-authority h {ED25519}"), "h", 22, ED25519).unwrap_err();
        assert!(unknown.contains("unknown host h") && unknown.contains("@cert-authority"), "{unknown}");
        let spoilt = KnownHosts::parse(&format!("h {ED25519}\n@revoked * ssh-ed25519 AAAA\nh junk"));
        let remark = spoilt.unreadable_revocation().unwrap();
        assert!(remark.starts_with("line 2: "), "{remark}");
        let unreadable = check("h ssh-ed25519 AAAA", "h", 22, ED25519).unwrap_err();
        assert!(unreadable.contains("line 1"), "{unreadable}");
    }

    #[test]
    fn the_known_types_are_asked_for_first() {
        let known = KnownHosts::parse(&format!("h {ECDSA}"));
        assert!(known.lookup("h", 22).algorithms().starts_with("ecdsa-sha2-nistp256,ssh-ed25519,"));
        assert!(known.lookup("other", 22).algorithms().starts_with("ssh-ed25519,"));
    }

    #[test]
    fn a_pattern_of_many_stars_is_not_slow() {
        let pattern = "*a".repeat(2000);
        assert!(!glob(pattern.as_bytes(), &b"a".repeat(1999)));
    }
}
