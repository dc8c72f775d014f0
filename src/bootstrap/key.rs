//! The key pair with which the cluster reads the repository. It lives in memory and in one Secret, never on a
//! disk.

use std::fmt;
use std::str::FromStr;

use ssh_key::{EcdsaCurve, HashAlg, LineEnding, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use lockgate_base::model::Secret;
use lockgate_git::Identity;

/// The type of a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Algorithm {
    /// Ed25519.
    #[default]
    Ed25519,
    /// ECDSA on the curve P-256.
    EcdsaP256,
    /// ECDSA on the curve P-384.
    EcdsaP384,
    /// ECDSA on the curve P-521.
    EcdsaP521,
}

impl Algorithm {
    /// All algorithms with their names on the command line.
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("ed25519", Self::Ed25519),
        ("ecdsa-p256", Self::EcdsaP256),
        ("ecdsa-p384", Self::EcdsaP384),
        ("ecdsa-p521", Self::EcdsaP521),
    ];

    fn ssh(self) -> ssh_key::Algorithm {
        let curve = match self {
            Self::Ed25519 => return ssh_key::Algorithm::Ed25519,
            Self::EcdsaP256 => EcdsaCurve::NistP256,
            Self::EcdsaP384 => EcdsaCurve::NistP384,
            Self::EcdsaP521 => EcdsaCurve::NistP521,
        };
        ssh_key::Algorithm::Ecdsa { curve }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, algorithm)| algorithm == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let known = Self::NAMES.iter().find(|(name, _)| *name == text);
        known.map(|(_, algorithm)| *algorithm).ok_or_else(|| KeyError::UnknownAlgorithm(text.into()))
    }
}

/// The problem with a key. No message contains a part of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a name of [`Algorithm::NAMES`].
    #[error("'{0}' is not a key algorithm; choose ed25519, ecdsa-p256, ecdsa-p384 or ecdsa-p521")]
    UnknownAlgorithm(String),
    /// The library could not create a key.
    #[error("no key could be created: {0}")]
    Make(String),
    /// An encrypted PEM key without `identity.pub`.
    #[error(
        "'identity' is encrypted in a form that does not tell its public half, and 'identity.pub' is no public key"
    )]
    NoPublicHalf,
}

/// A private and a public key.
#[derive(Debug, Clone)]
pub(crate) struct KeyPair {
    identity: Secret<String>,
    public: PublicKey,
}

impl KeyPair {
    /// Creates a new key. The comment is at the end of its public line.
    pub(crate) fn generate(algorithm: Algorithm, comment: &str) -> Result<Self, KeyError> {
        let make = |error: ssh_key::Error| KeyError::Make(error.to_string());
        let mut private = PrivateKey::random(&mut rand_core::OsRng, algorithm.ssh()).map_err(make)?;
        private.set_comment(comment);
        let text: Zeroizing<String> = private.to_openssh(LineEnding::LF).map_err(make)?;
        Ok(Self { identity: Secret::new(text.as_str().to_owned()), public: private.public_key().clone() })
    }

    /// An existing key. The encrypted PEM forms need the public key in addition.
    pub(crate) fn existing(identity: &Identity, public_line: Option<&str>) -> Result<Self, KeyError> {
        let beside = || PublicKey::from_openssh(public_line?.trim()).ok();
        let public = identity.public().cloned().or_else(beside).ok_or(KeyError::NoPublicHalf)?;
        Ok(Self { identity: identity.pem().clone(), public })
    }

    /// The pair with another comment.
    #[must_use]
    pub(crate) fn called(&self, comment: &str) -> Self {
        let mut pair = self.clone();
        pair.public.set_comment(comment);
        pair
    }

    /// Whether two pairs are the same, whatever their comments.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.public.key_data() == other.public.key_data()
    }

    /// The private key in OpenSSH or PEM form.
    pub(crate) fn identity(&self) -> &Secret<String> {
        &self.identity
    }

    /// The public key.
    pub(crate) const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public key as one line with its comment.
    pub(crate) fn public_line(&self) -> String {
        self.public.to_openssh().unwrap_or_default()
    }

    /// The type and the fingerprint, such as `ed25519 SHA256:…`.
    pub(crate) fn summary(&self) -> String {
        let name = self.public.algorithm();
        format!("{} {}", short_name(name.as_str()), self.public.fingerprint(HashAlg::Sha256))
    }
}

/// The parts of a public line that make two keys the same: type and content, without the comment.
pub fn identity_of(public_line: &str) -> Option<(&str, &str)> {
    let mut words = public_line.split_ascii_whitespace();
    Some((words.next()?, words.next()?))
}

/// The comment that ends a public line, if there is one.
pub(crate) fn comment_of(public_line: &str) -> Option<&str> {
    let (_kind, rest) = public_line.trim().split_once(char::is_whitespace)?;
    let (_content, comment) = rest.trim_start().split_once(char::is_whitespace)?;
    Some(comment.trim_start())
}

/// `ed25519` for `ssh-ed25519`, `ecdsa` for `ecdsa-sha2-nistp256`, and so on.
pub(crate) fn short_name(algorithm: &str) -> &str {
    let name = algorithm.strip_prefix("ssh-").unwrap_or(algorithm);
    name.split_once('-').map_or(name, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_makes_a_key_that_reads_back() {
        for (name, algorithm) in Algorithm::NAMES {
            let made = KeyPair::generate(algorithm, "lockgate test").unwrap();
            let identity = Identity::parse(made.identity().expose(), None).unwrap();
            let read = KeyPair::existing(&identity, None).unwrap();
            assert_eq!(made.public_line(), read.public_line(), "{name}");
            assert!(made.public_line().ends_with(" lockgate test"), "{}", made.public_line());
            assert_eq!(name.parse::<Algorithm>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn two_keys_differ() {
        let key = || KeyPair::generate(Algorithm::Ed25519, "").unwrap().public_line();
        assert_ne!(key(), key());
    }

    #[test]
    fn an_encrypted_pem_key_needs_its_public_half() {
        let pem =
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMHcC\n-----END EC PRIVATE KEY-----\n";
        let identity = Identity::parse(pem, Some("open sesame")).unwrap();
        let public = KeyPair::generate(Algorithm::EcdsaP256, "x").unwrap().public_line();
        assert_eq!(KeyPair::existing(&identity, Some(&public)).unwrap().public_line(), public);
        for line in [None, Some("junk")] {
            assert_eq!(KeyPair::existing(&identity, line).unwrap_err(), KeyError::NoPublicHalf);
        }
    }

    #[test]
    fn keys_are_compared_without_their_comments() {
        assert_eq!(identity_of("ssh-ed25519 AAAA one"), identity_of("ssh-ed25519  AAAA"));
        assert_ne!(identity_of("ssh-ed25519 AAAA"), identity_of("ssh-ed25519 AAAB"));
        assert_eq!(identity_of("ssh-ed25519"), None);
        assert_eq!(comment_of("ssh-ed25519  AAAA one of two\n"), Some("one of two"));
        assert_eq!(comment_of("ssh-ed25519 AAAA \n"), None);
    }

    #[test]
    fn key_types_have_short_names() {
        for (long, short) in [
            ("ssh-ed25519", "ed25519"),
            ("ecdsa-sha2-nistp256", "ecdsa"),
            ("ssh-rsa", "rsa"),
            ("rsa-sha2-512", "rsa"),
        ] {
            assert_eq!(short_name(long), short);
        }
    }
}
