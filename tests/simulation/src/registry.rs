//! A registry and a Helm repository in memory: what the platform at the head has pushed there.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockgate_base::model::Digest;
use lockgate_base::tree::{Snapshot, Tree};
use lockgate_git::helm::{Archive, ArchiveRequest, Asking, HelmHost, IndexRequest, Indexed, Listed};
use lockgate_git::oci::OciRequest;
use lockgate_git::{FetchFinding, Fetcher, Fetching, SourceError, Update};

use crate::git::Host;
use crate::platform::{ARCHIVE, CHART, Platform, artifact, index};

impl Fetcher<OciRequest> for Host {
    fn fetch(&self, request: OciRequest) -> Fetching<'_> {
        Box::pin(async move {
            self.reach().await?;
            let tagged = self.head(|platform| platform.artifact);
            // A paused source stays where it was, which is still in the registry.
            let asked = request.reference.revision.as_ref();
            let revision = asked.cloned().unwrap_or_else(|| artifact(tagged));
            if request.known.as_ref() == Some(&revision) {
                return Ok(FetchFinding::Unchanged(revision));
            }
            let tree = Tree::in_memory([("artifact.txt".to_owned(), revision.to_string())]);
            Ok(FetchFinding::Updated(Update {
                snapshot: Snapshot { revision, tree, origin: None },
                subject: None,
                metadata: BTreeMap::new(),
                rewritten: None,
                warnings: Vec::new(),
                received: 1,
            }))
        })
    }
}

impl HelmHost for Host {
    fn index(&self, request: IndexRequest) -> Asking<'_, Listed> {
        Box::pin(async move {
            self.reach().await?;
            let text = index(self.head(|platform| platform.charts));
            if request.known.is_some_and(|known| known.digest == Digest::of(&text)) {
                return Ok(Listed::Unchanged);
            }
            let indexed = Indexed::read(text.as_bytes());
            indexed
                .map(|indexed| Listed::Updated(Arc::new(indexed)))
                .map_err(|error| content(error.to_string()))
        })
    }

    fn archive(&self, request: ArchiveRequest) -> Asking<'_, Archive> {
        Box::pin(async move {
            self.reach().await?;
            let version = request.url.strip_prefix(ARCHIVE.0).and_then(|rest| rest.strip_suffix(ARCHIVE.1));
            let version = version.ok_or_else(|| content(format!("{} is no archive", request.url)))?;
            let manifest = format!("apiVersion: v2\nname: {CHART}\nversion: {version}\n");
            let tree = Tree::in_memory([(format!("{CHART}/Chart.yaml"), manifest.clone())]);
            Ok(Archive { tree, digest: Digest::of(manifest) })
        })
    }
}

impl Host {
    fn head<T>(&self, of: impl FnOnce(&Platform) -> T) -> T {
        let inner = self.world.inner();
        of(&inner.commits[inner.head])
    }
}

fn content(problem: String) -> SourceError {
    SourceError::Content(problem)
}
