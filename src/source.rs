//! Where the files of sources come from: how an object becomes a request to the adapter of its kind, one file
//! a kind.
//!
//! ```text
//! object, what is held, Secrets → Request → Fetcher (lockgate-git) → Snapshot, or why not
//! ```

mod inputs;
mod held;
mod adapter;
mod git;
mod oci;
mod helm_repository;
mod helm_chart;

use std::sync::Arc;

use lockgate_base::model::KindId;
use lockgate_git::Fetcher;
use lockgate_git::helm::HelmHost;

pub(crate) use adapter::{Adapter, Ask, FetchAnswer, NoUpstream, Upstream};
pub(crate) use held::Held;
pub(crate) use inputs::SourceInputs;

/// The adapters of all kinds that lockgate acts on.
#[derive(Clone, Default)]
pub struct Sources(Vec<Arc<dyn Adapter>>);

impl Sources {
    /// GitRepositories, and where their files come from.
    pub fn of_git(git: Arc<dyn Fetcher>) -> Self {
        Self(vec![Arc::new(git::Git::new(git))])
    }

    /// OCIRepositories as well.
    #[must_use]
    pub fn and_oci(mut self, oci: Arc<dyn Fetcher<lockgate_git::oci::OciRequest>>) -> Self {
        self.0.push(Arc::new(oci::Oci(oci)));
        self
    }

    /// HelmRepositories as well, and the charts of these, of the registry and of GitRepositories.
    #[must_use]
    pub fn and_helm(
        mut self,
        helm: Arc<dyn HelmHost>,
        oci: Arc<dyn Fetcher<lockgate_git::oci::OciRequest>>,
    ) -> Self {
        self.0.push(Arc::new(helm_chart::HelmCharts::new(Arc::clone(&helm), oci)));
        self.0.push(Arc::new(helm_repository::HelmRepositories(helm)));
        self
    }

    /// The adapter of a kind.
    pub(crate) fn of(&self, kind: KindId) -> Option<&dyn Adapter> {
        self.0.iter().find(|adapter| adapter.kind() == kind).map(|adapter| &**adapter)
    }
}
