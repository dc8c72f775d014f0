//! A Git host in memory: a list of commits, and which of them the branch is at.

use std::time::Duration;

use lockgate_base::tree::{Snapshot, Tree};
use lockgate_git::{Fetched, Fetcher, Fetching, Request, SourceError, Update};

use crate::platform::revision;
use crate::world::World;

/// The host as one agent reaches it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) world: World,
}

impl Fetcher for Host {
    fn fetch(&self, request: Request) -> Fetching<'_> {
        Box::pin(async move {
            let delay = self.world.inner().chance.millis(2_000);
            tokio::time::sleep(delay + Duration::from_millis(1)).await;
            let inner = self.world.inner();
            if inner.git_is_down {
                return Err(SourceError::Connect {
                    host: "git.example.com:443".into(),
                    cause: "refused".into(),
                });
            }
            let wanted = request.reference.revision.clone().filter(|_| request.known.is_none());
            let commit = (0..inner.commits.len()).find(|commit| Some(revision(*commit)) == wanted);
            let commit = commit.unwrap_or(inner.head);
            let revision = revision(commit);
            if request.known.as_ref() == Some(&revision) {
                return Ok(Fetched::Unchanged(revision));
            }
            let tree = Tree::in_memory(inner.commits[commit].files());
            let subject = format!("commit {commit}");
            let snapshot = Snapshot { revision, tree };
            Ok(Fetched::Updated(Update {
                snapshot,
                subject,
                rewritten: None,
                warnings: Vec::new(),
                received: 1,
            }))
        })
    }
}
