//! What fetches sources for a command, in a folder of its own that goes with it.

use std::sync::Arc;

use crate::source::Sources;
use lockgate_git::helm::Helm;
use lockgate_git::oci::OciFetcher;
use lockgate_git::{Disk, GitFetcher, SourceError};

/// What fetches sources of all kinds.
pub(crate) struct Fetchers {
    git: GitFetcher,
    disk: Disk,
    folder: tempfile::TempDir,
}

impl Fetchers {
    /// Sets up what is to be set up before there are threads.
    pub(crate) fn new() -> Result<Self, SourceError> {
        let folder = tempfile::Builder::new().prefix("lockgate-").tempdir();
        let folder = folder.map_err(|error| SourceError::Storage(error.to_string()))?;
        let disk = Disk::default();
        let git = GitFetcher::on(folder.path(), &disk)?;
        Ok(Self { git, disk, folder })
    }

    /// The adapters of all kinds of sources. `insecure` lets `spec.insecure` reach registries on other
    /// machines.
    pub(crate) fn sources(&self, insecure: bool) -> Result<Sources, SourceError> {
        let oci = Arc::new(OciFetcher::new(self.folder.path(), &self.disk, insecure)?);
        let helm = Arc::new(Helm::new(self.folder.path(), &self.disk)?);
        Ok(Sources::of_git(Arc::new(self.git.clone())).and_oci(oci.clone()).and_helm(helm, oci))
    }
}
