//! The address of an artifact's repository, `oci://HOST/NAME`, and the reference to one artifact in it.

use lockgate_base::model::Revision;
use lockgate_base::model::version::Range;
use regex::Regex;

use crate::SourceError;
use crate::error::one_line;
use crate::url::GitUrl;

/// The scheme of an address.
const SCHEME: &str = "oci://";
/// Docker Hub's name in addresses, its host, and the name under which its credentials are kept.
const DOCKER_HUB: [&str; 3] = ["docker.io", "registry-1.docker.io", "index.docker.io"];
/// The largest compiled regular expression, in bytes.
const FILTER_SIZE: usize = 1 << 20;

/// A repository in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `host` or `host:port` of the connection.
    authority: String,
    /// The name below the host.
    name: String,
}

impl Repository {
    /// Reads `oci://HOST[:PORT]/NAME`.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let invalid =
            |problem: &str| SourceError::InvalidUrl { url: text.to_owned(), problem: problem.to_owned() };
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| invalid("write oci://HOST/REPOSITORY, as in oci://ghcr.io/org/manifests"))?;
        // The registry decides which names are valid; the address is checked like any other.
        let url = GitUrl::parse(&format!("https://{rest}")).map_err(|error| match error {
            SourceError::InvalidUrl { problem, .. } => invalid(&problem),
            other => other,
        })?;
        if url.user().is_some() {
            return Err(invalid(
                "it must not contain a user name; put that into a Secret, and refer to the Secret in \
                 spec.secretRef",
            ));
        }
        let name = url.path().trim_matches('/');
        if let Some((_, tag)) = name.rsplit_once('@').or_else(|| name.rsplit_once(':')) {
            return Err(invalid(&format!("it names a version ('{tag}'), which belongs into spec.ref")));
        }
        if !is_name(name) {
            return Err(invalid(
                "the repository's name has lower-case letters, digits, '.', '_', '-' and '/' only",
            ));
        }
        let is_hub = DOCKER_HUB.contains(&url.host());
        let authority = if is_hub { DOCKER_HUB[1].to_owned() } else { url.authority() };
        let name = if is_hub && !name.contains('/') { format!("library/{name}") } else { name.to_owned() };
        Ok(Self { authority, name })
    }

    /// Whether the registry is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.base(true).is_ok_and(|base| base.is_loopback())
    }

    /// `host` or `host:port` of the connection.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// The name below the host.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The URL of the registry, over TLS or over plain HTTP.
    pub(super) fn base(&self, is_plain: bool) -> Result<GitUrl, SourceError> {
        let scheme = if is_plain { "http" } else { "https" };
        GitUrl::parse(&format!("{scheme}://{}/v2/{}", self.authority, self.name))
    }

    /// How well a registry's name in a pull secret fits this repository: `ghcr.io`,
    /// `https://index.docker.io/v1/`, `*.azurecr.io`, `ghcr.io/org`. A name with more of the path fits
    /// better; `None` if it does not fit.
    pub(super) fn fit(&self, entry: &str) -> Option<usize> {
        let bare = entry.strip_prefix("https://").or_else(|| entry.strip_prefix("http://")).unwrap_or(entry);
        let bare = bare.trim_end_matches('/');
        let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        let fits_host = if DOCKER_HUB.contains(&self.authority.as_str()) {
            DOCKER_HUB.contains(&host)
        } else {
            is_host(host, &self.authority)
        };
        let fits_path = path.is_empty()
            || self.name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        (fits_host && fits_path).then_some(path.len())
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.authority, self.name)
    }
}

/// Whether a host matches a pattern such as `*.azurecr.io`. A `*` stands for one label.
fn is_host(pattern: &str, host: &str) -> bool {
    let (mut patterns, mut labels) = (pattern.split('.'), host.split('.'));
    loop {
        match (patterns.next(), labels.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(pattern), Some(label)) if pattern.eq_ignore_ascii_case(label) => {}
            _ => return false,
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    name.len() <= 255 && name.split('/').all(is_part)
}

/// `spec.ref` of an OCIRepository, and the revision that a suspended one keeps. The first that is set wins:
/// revision, digest, semver, tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArtifactRequest {
    /// `sha256:…`.
    pub digest: Option<String>,
    /// A range of versions.
    pub semver: Option<String>,
    /// A regular expression that selects the tags for the range.
    pub semver_filter: Option<String>,
    /// A tag.
    pub tag: Option<String>,
    /// The revision to keep.
    pub revision: Option<Revision>,
}

/// The meaning of a reference.
#[derive(Debug, Clone)]
pub(super) enum TagSelector {
    Digest { tag: Option<String>, digest: String },
    Tag(String),
    Versions { range: Range, text: String, filter: Option<Regex> },
}

impl ArtifactRequest {
    pub(super) fn wanted(&self) -> Result<TagSelector, SourceError> {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(revision) = &self.revision {
            let tag = revision.name().map(ToOwned::to_owned);
            let text = revision.to_string();
            let digest = text.rsplit_once('@').map_or(text.as_str(), |(_, digest)| digest).to_owned();
            return Ok(TagSelector::Digest { tag, digest });
        }
        if let Some(digest) = set(&self.digest) {
            if !is_digest(&digest) {
                let message = format!("spec.ref.digest: '{digest}' is not sha256: and 64 hex digits");
                return Err(SourceError::InvalidReference(message));
            }
            return Ok(TagSelector::Digest { tag: None, digest });
        }
        if let Some(text) = set(&self.semver) {
            let invalid = |field: &str, problem: String| {
                SourceError::InvalidReference(format!("spec.ref.{field}: {problem}"))
            };
            let range = Range::parse(&text)
                .map_err(|error| invalid("semver", format!("semver '{text}' parse error: {error}")))?;
            let compile = |text: String| regex::RegexBuilder::new(&text).size_limit(FILTER_SIZE).build();
            let filter = set(&self.semver_filter).map(compile).transpose();
            let filter = filter.map_err(|error| invalid("semverFilter", one_line(&error.to_string())))?;
            return Ok(TagSelector::Versions { range, text, filter });
        }
        let tag = set(&self.tag).unwrap_or_else(|| "latest".into());
        if is_tag(&tag) {
            return Ok(TagSelector::Tag(tag));
        }
        let message = format!(
            "spec.ref.tag: '{}' is not a tag: up to 128 letters, digits, '.', '_' and '-'",
            tag.escape_debug()
        );
        Err(SourceError::InvalidReference(message))
    }
}

/// Whether a text is `sha256:` and 64 hex digits.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

/// Whether a text is a valid tag, which can stand in an address.
pub(super) fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(is_word) && text.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused_with_the_cure() {
        let shown = |text: &str| Repository::parse(text).unwrap().to_string();
        assert_eq!(shown("oci://ghcr.io/org/manifests"), "ghcr.io/org/manifests");
        assert_eq!(shown("oci://127.0.0.1:5000/a/b/"), "127.0.0.1:5000/a/b");
        assert_eq!(shown("oci://docker.io/alpine"), "registry-1.docker.io/library/alpine");
        assert_eq!(shown("oci://docker.io/org/alpine"), "registry-1.docker.io/org/alpine");
        for (text, problem) in [
            ("https://ghcr.io/a", "write oci://HOST/REPOSITORY"),
            ("oci://ghcr.io", "names no repository after the host"),
            ("oci://ghcr.io/a:v1", "it names a version ('v1'), which belongs into spec.ref"),
            ("oci://ghcr.io/a@sha256:00", "belongs into spec.ref"),
            ("oci://u@ghcr.io/a", "it must not contain a user name"),
            ("oci://u:p@ghcr.io/a", "a password in the address"),
            ("oci://ghcr.io/A", "lower-case letters"),
            ("oci://ghcr.io/a/../b", "'..'"),
        ] {
            let error = Repository::parse(text).unwrap_err();
            assert!(error.is_terminal() && error.to_string().contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn a_pull_secret_fits_by_host_and_path() {
        let fit = |url: &str, entry: &str| Repository::parse(url).unwrap().fit(entry);
        assert_eq!(fit("oci://ghcr.io/org/a", "ghcr.io"), Some(0));
        assert_eq!(fit("oci://ghcr.io/org/a", "https://ghcr.io/v2/"), Some(0));
        assert_eq!(fit("oci://ghcr.io/org/a", "ghcr.io/org"), Some(3));
        assert_eq!(fit("oci://ghcr.io/organisation/a", "ghcr.io/org"), None);
        assert_eq!(fit("oci://ghcr.io/org/a", "quay.io"), None);
        assert_eq!(fit("oci://docker.io/org/a", "https://index.docker.io/v1/"), Some(0));
        assert_eq!(fit("oci://me.azurecr.io/a", "*.azurecr.io"), Some(0));
        assert_eq!(fit("oci://a.b.azurecr.io/a", "*.azurecr.io"), None);
        assert_eq!(fit("oci://127.0.0.1:5000/a", "127.0.0.1:5000"), Some(0));
        assert_eq!(fit("oci://127.0.0.1:5000/a", "127.0.0.1"), None, "another port is another registry");
    }

    #[test]
    fn a_reference_comes_down_to_one_wish() {
        let wanted = |reference: ArtifactRequest| reference.wanted().map(|wanted| format!("{wanted:?}"));
        let text = |text: &str| Some(text.to_owned());
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(wanted(ArtifactRequest::default()).unwrap(), "Tag(\"latest\")");
        let all = ArtifactRequest {
            digest: Some(digest.clone()),
            semver: text("1.x"),
            tag: text("v1"),
            ..ArtifactRequest::default()
        };
        assert!(wanted(all.clone()).unwrap().starts_with("Digest"));
        assert!(wanted(ArtifactRequest { digest: None, ..all }).unwrap().starts_with("Versions"));
        let paused = ArtifactRequest {
            revision: Some(format!("v1@{digest}").parse().unwrap()),
            ..ArtifactRequest::default()
        };
        assert_eq!(wanted(paused).unwrap(), format!("Digest {{ tag: Some(\"v1\"), digest: \"{digest}\" }}"));
        for (reference, problem) in [
            (ArtifactRequest { digest: text("sha256:1"), ..ArtifactRequest::default() }, "64 hex digits"),
            (ArtifactRequest { semver: text(">="), ..ArtifactRequest::default() }, "semver '>=' parse error"),
            (
                ArtifactRequest { semver: text("*"), semver_filter: text("("), ..ArtifactRequest::default() },
                "spec.ref.semverFilter",
            ),
            (ArtifactRequest { tag: text("a/b"), ..ArtifactRequest::default() }, "is not a tag"),
        ] {
            let error = reference.wanted().unwrap_err();
            assert!(error.is_terminal() && error.to_string().contains(problem), "{error}");
        }
    }
}
