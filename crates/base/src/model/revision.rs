//! A source's revision in Flux's form, `main@sha1:<40 hex digits>`.

use std::fmt;
use std::str::FromStr;

/// A revision: an optional reference name and a digest, printed as `<name>@<algorithm>:<hex>` or
/// `<algorithm>:<hex>` (Flux RFC-0005). The revision of a chart is its version alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision {
    name: Option<String>,
    /// Empty if the revision is a version alone.
    digest: String,
}

/// A text that is not a revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a revision of the form <name>@<algorithm>:<hex>")]
pub struct ParseRevisionError(String);

impl Revision {
    /// A Git commit: `name` is a branch or tag, or a full reference such as `refs/pull/1/head`; `sha1` is 40
    /// hex digits.
    pub fn git(name: Option<&str>, sha1: &str) -> Self {
        Self { name: name.map(Into::into), digest: format!("sha1:{sha1}") }
    }

    /// An OCI artifact: `digest` is `sha256:` and 64 hex digits.
    pub fn oci(tag: Option<&str>, digest: &str) -> Self {
        Self { name: tag.map(Into::into), digest: digest.into() }
    }

    /// The revision of a chart: its version.
    pub fn chart(version: &str) -> Self {
        Self { name: Some(version.into()), digest: String::new() }
    }

    /// The branch, tag, reference or version.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The hex digits of the digest.
    pub fn hex(&self) -> &str {
        self.digest.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// The first seven digits, as Git prints a commit for people.
    pub fn short(&self) -> &str {
        let hex = self.hex();
        hex.get(..7).unwrap_or(hex)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) if self.digest.is_empty() => f.write_str(name),
            Some(name) => write!(f, "{name}@{}", self.digest),
            None => f.write_str(&self.digest),
        }
    }
}

impl FromStr for Revision {
    type Err = ParseRevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = match text.rsplit_once('@') {
            Some((name, digest)) => (Some(name.to_owned()), digest),
            None => (None, text),
        };
        let (algorithm, hex) = digest.split_once(':').ok_or_else(|| ParseRevisionError(text.into()))?;
        if algorithm.is_empty() || hex.is_empty() || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseRevisionError(text.into()));
        }
        Ok(Self { name, digest: digest.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_reads_back_as_written() {
        for text in ["main@sha1:09507f1a", "sha1:09507f1a", "refs/pull/1/head@sha1:aa", "user@host@sha1:bb"] {
            assert_eq!(text.parse::<Revision>().unwrap().to_string(), text);
        }
        assert_eq!(Revision::chart("1.2.3+4").to_string(), "1.2.3+4");
        assert_eq!("main@sha1:09507f1abc".parse::<Revision>().unwrap().short(), "09507f1");
    }

    #[test]
    fn a_text_without_a_digest_is_refused() {
        for text in ["", "main", "main/abc", "main@sha1:", "main@sha1:xyz"] {
            assert!(text.parse::<Revision>().is_err(), "{text}");
        }
    }
}
