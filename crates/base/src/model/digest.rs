//! A SHA-256 digest over named parts, which identifies work that has been done already.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, printed as `sha256:<64 hex digits>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of one run of bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes.as_ref()).into())
    }

    /// The digest of several parts. Each is preceded by its length, so that moving a byte from one part to
    /// the next changes the digest.
    pub fn of_parts(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            let part = part.as_ref();
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A text that is not a digest of SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a digest of the form sha256:<64 hex digits>")]
pub struct ParseDigestError(String);

impl FromStr for Digest {
    type Err = ParseDigestError;

    /// Reads `sha256:<64 hex digits>`, or the digits alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        let read = hex::decode_to_slice(text.strip_prefix("sha256:").unwrap_or(text), &mut bytes);
        read.map(|()| Self(bytes)).map_err(|_| ParseDigestError(text.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_as_it_is_printed() {
        let digest = Digest::of("a");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string()["sha256:".len()..].parse(), Ok(digest));
        for text in ["", "sha256:", "sha1:aa", "sha256:zz"] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn parts_are_kept_apart() {
        let parts = |a: &[u8], b: &[u8]| Digest::of_parts([a, b]);
        assert_ne!(parts(b"ab", b"c"), parts(b"a", b"bc"));
    }
}
