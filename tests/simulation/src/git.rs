//! A Git host in memory: commits, each with the one that it follows on, and which of them the branch is at.

use std::collections::BTreeMap;
use std::time::Duration;

use lockgate_base::tree::{Snapshot, Tree};
use lockgate_git::{FetchFinding, Fetcher, Fetching, GitRequest, SourceError, Update};

use crate::people::files;
use crate::platform::revision;
use crate::world::{Inner, World};

/// The hosts of sources as one agent reaches them, and the folder in which its machine keeps what was
/// fetched.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) world: World,
    pub(crate) agent: &'static str,
}

impl Host {
    /// Reaches a host after a while, unless it is gone.
    pub(crate) async fn reach(&self) -> Result<(), SourceError> {
        let delay = self.world.inner().chance.millis(2_000);
        tokio::time::sleep(delay + Duration::from_millis(1)).await;
        self.world.thawed(self.agent).await;
        let inner = self.world.inner();
        if inner.hosts_are_down || inner.cut_off.contains(self.agent) {
            return Err(SourceError::Connect { host: "git.example.com:443".into(), cause: "refused".into() });
        }
        Ok(())
    }
}

impl Fetcher for Host {
    fn fetch(&self, request: GitRequest) -> Fetching<'_> {
        Box::pin(async move {
            self.reach().await?;
            self.world.inner().fetch(self.agent, &request)
        })
    }
}

impl Inner {
    fn fetch(&mut self, agent: &'static str, request: &GitRequest) -> Result<FetchFinding, SourceError> {
        let folder = self.folders.entry(agent).or_default();
        if std::mem::take(&mut folder.is_lost) {
            folder.commits.clear();
            return Err(SourceError::Storage("the folder has gone".into()));
        }
        let asked = request.reference.revision.as_ref();
        let commit = match asked {
            Some(asked) => (0..self.commits.len())
                .find(|commit| revision(*commit) == *asked)
                .filter(|commit| self.holds(agent, *commit) || self.is_reached(*commit, self.head))
                .ok_or_else(|| SourceError::ReferenceNotFound(format!("commit '{asked}' not found")))?,
            None => self.head,
        };
        let revision_of_it = revision(commit);
        if request.known.as_ref() == Some(&revision_of_it) {
            return Ok(FetchFinding::Unchanged(revision_of_it));
        }
        let known = request.known.as_ref();
        let known =
            known.and_then(|known| (0..self.commits.len()).find(|commit| revision(*commit) == *known));
        let rewritten = known
            .filter(|known| asked.is_none() && self.holds(agent, *known) && !self.is_reached(*known, commit))
            .map(|known| revision(known).hex().to_owned());
        self.folders.entry(agent).or_default().commits.insert(commit);
        let tree = Tree::in_memory(files(&self.commits[commit]));
        Ok(FetchFinding::Updated(Update {
            snapshot: Snapshot { revision: revision_of_it, tree, origin: None },
            subject: Some(format!("commit {commit}")),
            metadata: BTreeMap::new(),
            rewritten,
            warnings: Vec::new(),
            received: 1,
        }))
    }

    fn holds(&self, agent: &str, commit: usize) -> bool {
        self.folders.get(agent).is_some_and(|folder| folder.commits.contains(&commit))
    }
}
