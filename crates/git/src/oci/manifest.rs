//! The content of a manifest: the layers of an artifact, and its maker's annotations.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::repository::is_digest;
use crate::SourceError;
use crate::error::one_line;

/// The accepted media types of a manifest.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";
/// The most annotations that are kept, and their longest length in bytes.
const ANNOTATIONS: usize = 100;
const ANNOTATION: usize = 4096;
/// The most platforms of an index that a message names.
const PLATFORMS: usize = 5;

/// A manifest.
#[derive(Debug, Deserialize)]
pub(super) struct ImageManifest {
    #[serde(default)]
    layers: Vec<Layer>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// The manifests of an index.
    #[serde(default)]
    manifests: Vec<Child>,
}

/// A layer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Layer {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
}

#[derive(Debug, Deserialize)]
struct Child {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

impl ImageManifest {
    /// Reads the manifest of one artifact. An index of several manifests is refused.
    pub(super) fn read(body: &[u8], digest: &str) -> Result<Self, SourceError> {
        let content = |problem: String| SourceError::Content(format!("the manifest {digest} {problem}"));
        let manifest: Self = serde_json::from_slice(body)
            .map_err(|error| content(format!("cannot be read: {}", one_line(&error.to_string()))))?;
        if manifest.layers.is_empty() && !manifest.manifests.is_empty() {
            let children =
                manifest.manifests.iter().take(PLATFORMS).map(Child::to_string).collect::<Vec<_>>();
            let count = manifest.manifests.len();
            return Err(content(format!(
                "is an index of {count} manifests ({}); push one artifact, or name one of them in spec.ref.digest",
                children.join(", ")
            )));
        }
        Ok(manifest)
    }

    /// The selected layer, and a warning about the choice.
    pub(super) fn select(&self, media_type: Option<&str>) -> Result<(&Layer, Option<String>), SourceError> {
        let Some(first) = self.layers.first() else {
            return Err(SourceError::Content("no layers found in artifact".into()));
        };
        let media_type = media_type.filter(|media_type| !media_type.is_empty());
        let (layer, warning) = match media_type {
            None => (first, None),
            Some(wanted) => {
                let mut fitting = self.layers.iter().filter(|layer| layer.media_type == wanted);
                let layer = fitting.next().ok_or_else(|| self.lacks(wanted))?;
                let more = fitting.count();
                let warning = format!(
                    "{} layers have the media type {wanted} of spec.layerSelector; the first is used",
                    more + 1
                );
                (layer, (more > 0).then_some(warning))
            }
        };
        if !is_digest(&layer.digest) {
            let digest = one_line(&layer.digest);
            return Err(SourceError::Content(format!(
                "the digest of a layer, '{digest}', is not one of SHA-256"
            )));
        }
        Ok((layer, warning))
    }

    fn lacks(&self, wanted: &str) -> SourceError {
        let found = self.layers.iter().take(PLATFORMS).map(|layer| one_line(&layer.media_type));
        SourceError::Content(format!(
            "failed to find layer with media type '{wanted}' in artifact: it has {}; correct spec.layerSelector",
            found.collect::<Vec<_>>().join(", ")
        ))
    }

    /// The maker's annotations, within bounds.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        let short = |(key, value): &(&String, &String)| key.len() + value.len() <= ANNOTATION;
        let kept = self.annotations.iter().filter(short).take(ANNOTATIONS);
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// The digests of the manifests of an index; none of anything else.
pub(super) fn children(body: &[u8]) -> Vec<String> {
    let index = serde_json::from_slice::<ImageManifest>(body);
    let children = index.map(|index| index.manifests).unwrap_or_default();
    children.into_iter().map(|child| child.digest).filter(|digest| is_digest(digest)).collect()
}

impl std::fmt::Display for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(Platform { os, architecture }) = &self.platform {
            write!(f, "{}/{}: ", one_line(os), one_line(architecture))?;
        }
        f.write_str(&one_line(&self.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(media_type: &str, digit: &str) -> String {
        let digest = digit.repeat(64);
        format!(r#"{{"mediaType": "{media_type}", "digest": "sha256:{digest}", "size": 3}}"#)
    }

    fn read(text: &str) -> Result<ImageManifest, SourceError> {
        ImageManifest::read(text.as_bytes(), "sha256:0")
    }

    #[test]
    fn a_layer_is_the_first_or_the_first_of_its_type() {
        let manifest = read(&format!(
            r#"{{"layers": [{}, {}, {}], "annotations": {{"a": "b"}}}}"#,
            layer("one", "1"),
            layer("two", "2"),
            layer("two", "3")
        ))
        .unwrap();
        let selected = |media_type| {
            let (layer, warning) = manifest.select(media_type).unwrap();
            (layer.digest[7..8].to_owned(), warning)
        };
        assert_eq!(selected(None), ("1".into(), None));
        assert_eq!(selected(Some("")), ("1".into(), None));
        assert_eq!(selected(Some("one")), ("1".into(), None));
        let (layer, warning) = selected(Some("two"));
        assert_eq!(layer, "2");
        assert!(warning.unwrap().starts_with("2 layers have the media type two of spec.layerSelector"));
        let missing = manifest.select(Some("three")).unwrap_err().to_string();
        assert_eq!(
            missing,
            "failed to find layer with media type 'three' in artifact: it has one, two, two; correct spec.layerSelector"
        );
        assert_eq!(manifest.annotations(), BTreeMap::from([("a".into(), "b".into())]));
    }

    #[test]
    fn an_index_and_what_is_no_manifest_are_refused() {
        let index = r#"{"manifests": [{"digest": "sha256:1", "platform": {"os": "linux", "architecture": "arm64"}},
                                      {"digest": "sha256:2"}]}"#;
        let told = read(index).unwrap_err().to_string();
        assert_eq!(
            told,
            "the manifest sha256:0 is an index of 2 manifests (linux/arm64: sha256:1, sha256:2); push one artifact, or \
             name one of them in spec.ref.digest"
        );
        assert!(read("<html>").unwrap_err().to_string().contains("cannot be read"));
        let empty = read("{}").unwrap();
        assert_eq!(empty.select(None).unwrap_err().to_string(), "no layers found in artifact");
        let odd = read(r#"{"layers": [{"digest": "sha256:../x", "size": 1}]}"#).unwrap();
        assert!(odd.select(None).unwrap_err().to_string().contains("is not one of SHA-256"));
    }
}
