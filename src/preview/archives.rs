//! A folder of charts' archives, in place of every repository and registry.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::source::Sources;
use lockgate_base::model::{Digest, Revision};
use lockgate_base::tree::{Snapshot, Tree};
use lockgate_git::helm::{Archive, ArchiveRequest, Asking, HelmHost, IndexRequest, Indexed, Listed};
use lockgate_git::oci::{ArtifactRequest, OciRequest};
use lockgate_git::{FetchFinding, Fetcher, Fetching, SourceError, Update};
use lockgate_render::helm::chart::archive::{Bounds, files_in};
use lockgate_render::helm::chart::package::{PackageError, described};

/// The largest archive that is read, in bytes.
const ARCHIVE: u64 = 20 << 20;
/// How the names of archives end.
const ENDINGS: [&str; 2] = [".tgz", ".tar.gz"];

/// The charts in a folder, each as the archive that `helm package` makes and `helm pull` brings.
pub(crate) struct Archives {
    folder: Option<PathBuf>,
    index: Arc<Indexed>,
}

impl Archives {
    /// Reads what each archive of a folder holds; without a folder there are no charts. Archives that hold no
    /// chart are passed over, each with a line that says so.
    pub(crate) fn read(folder: Option<&Path>) -> Result<(Self, Vec<String>), String> {
        let (mut entries, mut told) = (BTreeMap::<String, Vec<Value>>::new(), Vec::new());
        for (name, path) in folder.map(archives_in).transpose()?.unwrap_or_default() {
            match chart_in(&path) {
                Ok((_, digest, (chart, version))) => {
                    let digest = digest.to_string();
                    let offer = json!({"name": chart, "version": version, "urls": [name], "digest": digest});
                    entries.entry(chart).or_default().push(offer);
                }
                Err(problem) => told.push(problem),
            }
        }
        let index = json!({"apiVersion": "v1", "entries": entries}).to_string();
        let index = Indexed::read(index.as_bytes()).map_err(|error| error.to_string())?;
        Ok((Self { folder: folder.map(Path::to_owned), index: Arc::new(index) }, told))
    }

    /// The folder.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The adapters of the kinds of sources that have charts.
    pub(crate) fn sources(self: Arc<Self>) -> Sources {
        Sources::default().and_oci(self.clone()).and_helm(self.clone(), self)
    }

    fn archive_at(&self, name: &str) -> Result<Archive, SourceError> {
        let path = self.folder.as_ref().map(|folder| folder.join(name)).unwrap_or_default();
        let (tree, digest, _) = chart_in(&path).map_err(SourceError::Content)?;
        Ok(Archive { tree, digest })
    }

    /// The artifact of a registry: the chart that has the name of its repository.
    fn artifact(&self, request: &OciRequest) -> Result<Update, SourceError> {
        let repository = request.repository.to_string();
        let name = repository.rsplit('/').next().unwrap_or(&repository);
        let ArtifactRequest { digest, semver, tag, .. } = &request.reference;
        let wanted = match (tag, semver) {
            // A tag has no plus, so that of a chart has an underscore for it.
            (Some(tag), _) => tag.replace('_', "+"),
            (None, Some(range)) => range.clone(),
            (None, None) if digest.is_some() => {
                let message = format!("{repository}: an archive does not tell the digest of its artifact");
                return Err(SourceError::Listing(message));
            }
            (None, None) => String::new(),
        };
        let choice = self.index.index.choose(name, &wanted);
        let choice = choice.map_err(|missing| SourceError::Listing(missing.to_string()))?;
        let Archive { tree, digest } = self.archive_at(choice.url.unwrap_or_default())?;
        let revision = Revision::oci(Some(&choice.version.replace('+', "_")), &digest.to_string());
        let snapshot = Snapshot { revision, tree, origin: None };
        let (metadata, warnings) = (BTreeMap::new(), Vec::new());
        Ok(Update { snapshot, subject: None, metadata, rewritten: None, warnings, received: 0 })
    }
}

/// The archives in a folder, by name.
fn archives_in(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let failed = |error: io::Error| format!("{}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Of a name that is no text no address in an index can be made.
        found.extend(entry.file_name().into_string().ok().map(|name| (name, entry.path())));
    }
    found.retain(|(name, _)| ENDINGS.iter().any(|ending| name.ends_with(ending)));
    found.sort_unstable();
    Ok(found)
}

/// The files of the chart in an archive, in a folder of its name, the archive's digest, and the name and
/// version of the chart.
fn chart_in(path: &Path) -> Result<(Tree, Digest, (String, String)), String> {
    let failed = |problem: String| format!("{}: {problem}", path.display());
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > ARCHIVE {
        return Err(failed(format!("is larger than {} MiB", ARCHIVE >> 20)));
    }
    let archive = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let files = files_in(&archive, &mut Bounds::default()).map_err(|error| failed(error.text()))?;
    let files: Vec<_> = files.into_iter().map(|file| (file.path, file.content.to_vec())).collect();
    let root = Tree::in_memory(files.clone());
    let (name, version) = described(&root).map_err(|error| match error {
        PackageError::Chart(error) | PackageError::Version(error) | PackageError::Values(error) => {
            failed(error.text())
        }
    })?;
    let tree = Tree::in_memory(files.into_iter().map(|(path, content)| (format!("{name}/{path}"), content)));
    Ok((tree, Digest::of(&archive), (name, version)))
}

impl HelmHost for Archives {
    fn index(&self, _: IndexRequest) -> Asking<'_, Listed> {
        Box::pin(std::future::ready(Ok(Listed::Updated(Arc::clone(&self.index)))))
    }

    fn archive(&self, request: ArchiveRequest) -> Asking<'_, Archive> {
        Box::pin(std::future::ready(self.archive_at(&request.url)))
    }
}

impl Fetcher<OciRequest> for Archives {
    fn fetch(&self, request: OciRequest) -> Fetching<'_> {
        Box::pin(std::future::ready(self.artifact(&request).map(FetchFinding::Updated)))
    }
}
