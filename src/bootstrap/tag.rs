//! Tells of a tag that was pushed again: nodes keep the image that they have pulled by it, so the agent goes
//! on with that one, and neither the cluster nor its Deployment shows a difference.

use std::time::Duration;

use super::manifests::{self, Installation};
use super::put::PutOutcome;
use super::secret;
use crate::cluster::objects::Objects;
use lockgate_base::model::Object;
use lockgate_git::Disk;
use lockgate_git::oci::{ArtifactRequest, OciFetcher, OciRequest, PullSecret, Repository};

/// How long the registry may take. It may be one that only the cluster reaches.
const LIMIT: Duration = Duration::from_secs(3);
/// The registry of images that name none.
const DEFAULT: &str = "docker.io";

/// What to say where the image's tag names another image at the registry than the one that the agent's pod
/// runs; `None` where it does not, and where that cannot be found out.
pub(crate) async fn moved(
    objects: &Objects,
    installation: &Installation,
    change: PutOutcome,
) -> Option<String> {
    // What was installed just now has been pulled just now.
    let image = Image::parse(&installation.image).filter(|_| change != PutOutcome::Created)?;
    let pods = objects.list("v1", "Pod", Some(&installation.namespace), manifests::AGENT).await.ok()?;
    let running = pods.iter().find_map(|pod| digest_of(pod, &installation.image))?;
    let named = image.digests(logins(objects, installation).await).await?;
    let now = named.first().filter(|_| !named.contains(&running))?;
    Some(format!(
        "the tag {} was pushed again: it names {now} now, and the pod runs {running}, which its node keeps; give each \
         build a tag of its own, or name this one with --image {}@{now}",
        installation.image, image.name
    ))
}

/// An image that is named by a tag.
#[derive(Debug, PartialEq, Eq)]
struct Image {
    /// What stands before the tag.
    name: String,
    /// The registry and the repository, as an address.
    address: String,
    tag: String,
    /// Whether the registry is on this machine, and may do without TLS.
    is_local: bool,
}

impl Image {
    /// Reads `[REGISTRY/]NAME[:TAG]`; `None` for what is named by its digest.
    fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            return None;
        }
        // A colon before the last slash is that of a port.
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, "latest"),
        };
        let registry = name.split_once('/').map(|(registry, _)| registry);
        let registry = registry.filter(|registry| registry.contains(['.', ':']) || *registry == "localhost");
        let address = match registry {
            Some(_) => format!("oci://{name}"),
            None => format!("oci://{DEFAULT}/{name}"),
        };
        let is_local = Repository::parse(&address).is_ok_and(|repository| repository.is_loopback());
        Some(Self { name: name.into(), address, tag: tag.into(), is_local })
    }

    /// The digests by which what the tag names now is known, its own first; `None` where the registry does
    /// not say.
    async fn digests(&self, secrets: Vec<PullSecret>) -> Option<Vec<String>> {
        let folder = tempfile::tempdir().ok()?;
        let fetcher = OciFetcher::new(folder.path(), &Disk::default(), false).ok()?;
        let request = OciRequest {
            namespace: String::new(),
            repository: Repository::parse(&self.address).ok()?,
            reference: ArtifactRequest { tag: Some(self.tag.clone()), ..ArtifactRequest::default() },
            secrets,
            tls: None,
            proxy: None,
            insecure: self.is_local,
            media_type: None,
            whole: true,
            ignore: None,
            keys: None,
            timeout: LIMIT,
            known: None,
        };
        fetcher.digests(request).await.ok()
    }
}

/// The digest of the image that a pod runs by this name. A runtime that was given the image without a
/// registry knows none that a registry would.
fn digest_of(pod: &Object, image: &str) -> Option<String> {
    let is_meant = pod.text("/spec/containers/0/image") == Some(image);
    let is_leaving = pod.text("/metadata/deletionTimestamp").is_some();
    let id = pod.text("/status/containerStatuses/0/imageID").filter(|_| is_meant && !is_leaving)?;
    id.rsplit_once('@').map(|(_, digest)| digest.to_owned())
}

/// What the pod signs in with at registries, as far as it can be read.
async fn logins(objects: &Objects, installation: &Installation) -> Vec<PullSecret> {
    let mut found = Vec::new();
    for login in &installation.pod.logins {
        let Ok(shell) = login.secret(&installation.namespace) else { continue };
        let Ok(Some(live)) = objects.get(&shell).await else { continue };
        found.extend(PullSecret::read(&shell.id().subject(), &secret::data(&live)));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_is_read_as_container_runtimes_read_it() {
        let read = |text: &str| Image::parse(text).map(|image| (image.address, image.tag, image.is_local));
        for (text, address, tag, is_local) in [
            ("ghcr.io/a/b:1.2", "oci://ghcr.io/a/b", "1.2", false),
            ("10.0.0.1:5000/b", "oci://10.0.0.1:5000/b", "latest", false),
            ("127.0.0.1:5000/b:x", "oci://127.0.0.1:5000/b", "x", true),
            ("localhost/b:x", "oci://localhost/b", "x", true),
            ("org/b:x", "oci://docker.io/org/b", "x", false),
            ("b", "oci://docker.io/b", "latest", false),
        ] {
            assert_eq!(read(text), Some((address.into(), tag.into(), is_local)), "{text}");
        }
        assert_eq!(read("ghcr.io/a/b:1.2@sha256:00"), None);
    }

    #[test]
    fn the_digest_is_that_of_the_pod_that_runs_the_image() {
        let pod = |image: &str, id: &str, is_leaving: bool| {
            let leaves = is_leaving.then_some("2026-01-01T00:00:00Z");
            let value = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "deletionTimestamp": leaves},
                "spec": {"containers": [{"image": image}]}, "status": {"containerStatuses": [{"imageID": id}]},
            });
            digest_of(&Object::parse(value).unwrap(), "r.io/a:1")
        };
        assert_eq!(pod("r.io/a:1", "r.io/a@sha256:01", false).as_deref(), Some("sha256:01"));
        assert_eq!(
            pod("r.io/a:1", "docker-pullable://r.io/a@sha256:01", false).as_deref(),
            Some("sha256:01")
        );
        assert_eq!(pod("r.io/a:1", "sha256:01", false), None, "it was loaded, and not pulled");
        assert_eq!(pod("r.io/a:2", "r.io/a@sha256:01", false), None);
        assert_eq!(pod("r.io/a:1", "r.io/a@sha256:01", true), None);
    }
}
