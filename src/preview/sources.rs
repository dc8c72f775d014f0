//! The files that Kustomizations are built from. They are fetched as the agent fetches them, each source
//! once, or read from a working tree.

use std::collections::BTreeMap;

use tokio::sync::Mutex;

use crate::cluster::Reader;
use crate::source::{Ask, FetchAnswer, SourceInputs, Sources};
use lockgate_base::model::{ObjectId, Ref};
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{self, Kustomization};
use lockgate_core::pipeline::ports::{ObjectReference, Reads as _};
use lockgate_core::verdict::{self, unsupported};

/// The snapshots of sources.
pub(crate) struct Snapshots {
    reader: Reader,
    /// The fetcher; `None` if nothing is fetched.
    sources: Option<Sources>,
    known: Mutex<BTreeMap<Ref, Result<Snapshot, String>>>,
}

impl Snapshots {
    /// The snapshots of a cluster's sources. Without `sources` none is fetched.
    pub(crate) fn new(reader: Reader, sources: Option<Sources>) -> Self {
        Self { reader, sources, known: Mutex::default() }
    }

    /// Uses a snapshot in place of a source.
    pub(crate) async fn stand_for(&self, source: Ref, snapshot: Snapshot) {
        self.known.lock().await.insert(source, Ok(snapshot));
    }

    /// The files that a Kustomization is built from; the error says why there are none.
    pub(crate) async fn of(&self, kustomization: &Kustomization) -> Result<Snapshot, String> {
        let reference = &kustomization.spec.source_ref;
        let Some(key) = reference.target(&kustomization.metadata.namespace) else {
            return Err(format!(
                "spec.sourceRef: lockgate serves no source of the kind {}; use {}",
                reference.kind,
                api::either(api::sources())
            ));
        };
        // The lock is held during the fetch, so that a second caller for the same source waits for it.
        let mut known = self.known.lock().await;
        if let Some(found) = known.get(&key) {
            return found.clone();
        }
        let found = self.fetch(&key).await;
        known.insert(key, found.clone());
        found
    }

    async fn fetch(&self, key: &Ref) -> Result<Snapshot, String> {
        let Some(sources) = &self.sources else { return Err(format!("{key} is not fetched here")) };
        let version = api::info(key.kind).and_then(|info| info.versions.first()).copied().unwrap_or_default();
        let id = ObjectId {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            group: key.kind.group.into(),
            kind: key.kind.kind.into(),
        };
        let object = self.reader.get(&ObjectReference::new(id, version)).await;
        let object = object.map_err(|failure| format!("{key} cannot be read: {failure}"))?;
        let object = object
            .ok_or_else(|| format!("there is no {key}: create it, or compare a working tree with --path"))?;
        let source = api::decode_source(&object).map_err(|error| error.to_string())?;
        if let Some(message) = unsupported(&source.unserved) {
            return Err(format!("{key}: {message}"));
        }
        let adapter = sources.of(source.kind).ok_or_else(|| format!("no controller fetches {key}"))?;
        let inputs = SourceInputs::of(self.reader.clone(), &source.metadata.namespace);
        let fetched =
            adapter.fetch(&Ask { source: &source, held: None, upstream: None, inputs: &inputs }).await;
        let redactor = inputs.into_redactor();
        match fetched {
            Ok(FetchAnswer::Updated(news)) => news
                .held
                .into_files()
                .ok_or_else(|| format!("{key} has no files that a Kustomization can build")),
            // The request names no known revision, so the answer cannot be that it is unchanged.
            Ok(FetchAnswer::Unchanged { revision, .. }) => Err(format!(
                "{key}: the host did not send \
                {revision}"
            )),
            Ok(FetchAnswer::Static { .. }) => Err(format!("{key} has no artifact of its own")),
            Err(verdict::Fetched::Failed { message, .. }) => {
                Err(redactor.redact(&format!("{key} cannot be fetched: {message}")))
            }
            Err(_) => Err(format!("{key} cannot be fetched")),
        }
    }
}
