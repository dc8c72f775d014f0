//! Fetches a repository: chooses the commit from the listing, fetches only missing objects, and returns the
//! tree.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use git2::Oid;

use crate::SourceError;
use crate::context::{FetchContext, lock};
use crate::credentials::Credentials;
use crate::disk::Disk;
use crate::history;
use crate::memory::FetchMemory;
use crate::objects::Commit;
use crate::pool::{self, CancelOnDrop, Pool};
use crate::refs::{Listing, RefRequest, RefTarget, Tip};
use crate::session::{Depth, Session};
use crate::store::{Generation, GenerationBlobs, Store, Stores};
use crate::url::GitUrl;
use crate::{ignore, left, libgit2, walk};
use lockgate_base::model::{Digest, Revision};
use lockgate_base::tree::{Snapshot, Tree, TreeEntry};

/// How far back a commit is searched before the whole history is fetched.
const SOME: i32 = 50;

/// What to fetch.
#[derive(Debug, Clone)]
pub struct GitRequest {
    /// The namespace on whose behalf it is fetched. Each namespace has a share of the threads.
    pub namespace: String,
    /// The address of the repository.
    pub url: GitUrl,
    /// The reference to fetch.
    pub reference: RefRequest,
    /// The credentials.
    pub credentials: Credentials,
    /// The time limit of the whole fetch.
    pub timeout: Duration,
    /// `spec.ignore`: lines in `.gitignore` syntax.
    pub ignore: Option<String>,
    /// The revision whose [`Snapshot`] the caller has, taken with the same `ignore`.
    pub known: Option<Revision>,
}

/// The result of a fetch.
#[derive(Debug, Clone)]
pub enum FetchFinding {
    /// The reference still has the known revision.
    Unchanged(Revision),
    /// A new revision.
    Updated(Update),
}

/// A revision and its files.
#[derive(Debug, Clone)]
pub struct Update {
    /// The revision and its files.
    pub snapshot: Snapshot,
    /// The first line of the commit's message, of a Git repository.
    pub subject: Option<String>,
    /// The maker's metadata: the annotations of an OCI artifact.
    pub metadata: BTreeMap<String, String>,
    /// The id of the known commit, if the new one does not descend from it: the branch was force-pushed, or a
    /// tag moved.
    pub rewritten: Option<String>,
    /// What is missing in the tree, and why.
    pub warnings: Vec<String>,
    /// How many bytes the host has sent.
    pub received: u64,
}

/// The future result of a fetch.
pub type Fetching<'f> = Pin<Box<dyn Future<Output = Result<FetchFinding, SourceError>> + Send + 'f>>;

/// The future result of a search for an earlier process's files.
pub type Resuming<'f> = Pin<Box<dyn Future<Output = Option<Snapshot>> + Send + 'f>>;

/// The port to the hosts of a kind of source. `R` is the request for that kind.
pub trait Fetcher<R = GitRequest>: Send + Sync {
    /// Fetches within the time limit of the request. Dropping the future ends the fetch.
    fn fetch(&self, request: R) -> Fetching<'_>;

    /// The files of a revision that an earlier process has fetched with the same request, if they are still
    /// complete. The host is not contacted.
    fn resume(&self, _request: R, _revision: Revision) -> Resuming<'_> {
        Box::pin(std::future::ready(None))
    }
}

impl Fetcher for GitFetcher {
    fn fetch(&self, request: GitRequest) -> Fetching<'_> {
        Box::pin(Self::fetch(self, request))
    }

    fn resume(&self, request: GitRequest, revision: Revision) -> Resuming<'_> {
        Box::pin(self.left(request, revision))
    }
}

/// The adapter for Git repositories.
#[derive(Clone)]
pub struct GitFetcher {
    stores: Arc<Stores>,
    pool: Arc<Pool>,
}

impl GitFetcher {
    /// Creates the adapter with its folder below `state_dir`, which only one process at a time may use.
    pub fn new(state_dir: &Path) -> Result<Self, SourceError> {
        Self::on(state_dir, &Disk::default())
    }

    /// The adapter on disk space that other adapters share.
    pub fn on(state_dir: &Path, disk: &Disk) -> Result<Self, SourceError> {
        libgit2::init(state_dir)?;
        Ok(Self {
            stores: Arc::new(Stores::open(state_dir, disk)?),
            pool: Arc::new(Pool::sharing(&FetchMemory::default())),
        })
    }

    /// This adapter with memory that other adapters share.
    #[must_use]
    pub fn sharing(self, memory: &FetchMemory) -> Self {
        Self { pool: Arc::new(Pool::sharing(memory)), ..self }
    }

    /// Fetches within the time limit of the request, whatever the host does. The wait for a free thread has
    /// the same limit of its own.
    pub async fn fetch(&self, request: GitRequest) -> Result<FetchFinding, SourceError> {
        let wanted = request.reference.wanted()?;
        if let Some(known) = immutable(&wanted, request.known.as_ref()) {
            return Ok(FetchFinding::Unchanged(known));
        }
        let key = key(&request);
        let store = self.stores.get(key);
        let begin =
            || Arc::new(FetchContext::new(request.url.clone(), request.credentials.clone(), request.timeout));
        let waiting = begin();
        let turn = async {
            let current = Arc::clone(&store.current).lock_owned().await;
            Ok((current, self.pool.slot(&waiting.host(), &request.namespace).await?))
        };
        let turn = tokio::time::timeout(request.timeout, turn).await;
        let (mut current, slot) = turn.unwrap_or_else(|_| Err(waiting.timeout()))?;
        // The wait for other fetches from the host does not count against the time of this one.
        let context = begin();
        context.holds_in(self.pool.memory.share(&request.namespace));
        let _cancel = CancelOnDrop(Arc::clone(&context));
        let deadline = tokio::time::Instant::from_std(context.deadline());
        let work = async {
            let (stores, store, context) =
                (Arc::clone(&self.stores), Arc::clone(&store), Arc::clone(&context));
            pool::run(slot, move || {
                let generation = stores.generation(key, &mut current)?;
                context.keeps_in(Arc::clone(&generation.share));
                let job = Job { context: &context, request: &request, wanted: &wanted, generation, store };
                let result = context.enter(|| job.run());
                if matches!(result, Err(SourceError::Storage(_))) {
                    // A damaged or incomplete store is not used again.
                    *current = None;
                }
                if result.is_ok() {
                    stores.forget_left(&key);
                }
                result
            })
            .await
        };
        tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| Err(context.timeout()))
    }

    /// The files of a revision that an earlier process has left. Every file is read once, since nothing else
    /// proves that it is complete.
    async fn left(&self, request: GitRequest, revision: Revision) -> Option<Snapshot> {
        let (commit, key) = (Oid::from_str(revision.hex()).ok()?, key(&request));
        let store = self.stores.get(key);
        let mut current = Arc::clone(&store.current).lock_owned().await;
        let stores = Arc::clone(&self.stores);
        let look = move || {
            let generation = stores.holding(&key, commit, &mut current)?;
            let found =
                taken_up(&request, &store, &generation, Tip { full_name: String::new(), commit, revision });
            if found.is_none() {
                *current = None;
            }
            found
        };
        tokio::task::spawn_blocking(look).await.ok()?
    }
}

/// The key that distinguishes the stores.
fn key(request: &GitRequest) -> Digest {
    Digest::of_parts([
        request.url.to_string().as_bytes(),
        request.credentials.fingerprint().bytes().as_slice(),
    ])
}

/// A commit never changes, so a known one need not be requested again.
fn immutable(wanted: &RefTarget, known: Option<&Revision>) -> Option<Revision> {
    let revision = match wanted {
        RefTarget::Commit { oid, branch } => Revision::git(branch.as_deref(), &oid.to_string()),
        RefTarget::Revision { revision, .. } => revision.clone(),
        _ => return None,
    };
    (known == Some(&revision)).then_some(revision)
}

/// The files of a commit in a store, if all of them are complete.
fn taken_up(
    request: &GitRequest,
    store: &Arc<Store>,
    generation: &Arc<Generation>,
    tip: Tip,
) -> Option<Snapshot> {
    let repository = generation.repository().ok()?;
    let context = FetchContext::new(request.url.clone(), request.credentials.clone(), request.timeout);
    let wanted = RefTarget::Commit { oid: tip.commit, branch: None };
    let (generation, store) = (Arc::clone(generation), Arc::clone(store));
    let job = Job { context: &context, request, wanted: &wanted, generation, store };
    let FetchFinding::Updated(Update { snapshot, .. }) = job.update(&repository, tip, None).ok()? else {
        return None;
    };
    let files = snapshot.tree.entries().filter_map(|(_, entry)| match entry {
        TreeEntry::File(id) => Some(id),
        _ => None,
    });
    left::are_whole(&repository, files).then_some(snapshot)
}

/// One fetch on its thread.
struct Job<'j> {
    context: &'j FetchContext,
    request: &'j GitRequest,
    wanted: &'j RefTarget,
    generation: Arc<Generation>,
    store: Arc<Store>,
}

impl Job<'_> {
    fn run(self) -> Result<FetchFinding, SourceError> {
        let repository = self.generation.repository()?;
        let session = Session::open(self.context, &repository)?;
        let listing = session.list()?;
        if listing.is_empty() {
            return Err(SourceError::Empty(self.request.url.to_string()));
        }
        let tip = match (listing.find(self.wanted)?, self.wanted) {
            (Some(tip), _) => {
                if self.request.known.as_ref() == Some(&tip.revision) {
                    return Ok(FetchFinding::Unchanged(tip.revision));
                }
                self.bring(session, &tip)?;
                tip
            }
            (None, RefTarget::Commit { oid, branch }) => {
                self.commit(session, &repository, &listing, *oid, branch.as_deref())?
            }
            (None, RefTarget::Revision { oid, reference, revision }) => {
                let full_name = self.by_id(session, &repository, &listing, *oid, reference.as_deref())?;
                Tip { full_name, commit: *oid, revision: revision.clone() }
            }
            (None, _) => return Err(SourceError::ReferenceNotFound("no reference is requested".into())),
        };
        self.generation.completed(tip.commit)?;
        let rewritten = self.rewritten(&repository, &tip);
        self.update(&repository, tip, rewritten)
    }

    /// Fetches a tip, unless another source has already brought it into the shared store.
    fn bring(&self, session: Session<'_>, tip: &Tip) -> Result<(), SourceError> {
        if self.generation.has(tip.commit) {
            return Ok(());
        }
        session.fetch(&[&tip.full_name], Depth::Commits(1))
    }

    /// Finds a commit by its id, and on a branch if one is named.
    fn commit(
        &self,
        session: Session<'_>,
        repository: &git2::Repository,
        listing: &Listing,
        commit: Oid,
        branch: Option<&str>,
    ) -> Result<Tip, SourceError> {
        let revision = Revision::git(branch, &commit.to_string());
        let found = |full_name: String| Tip { full_name, commit, revision };
        let Some(branch) = branch else {
            return self.by_id(session, repository, listing, commit, None).map(found);
        };
        let tip = listing.branch(branch)?;
        if tip.commit == commit {
            self.bring(session, &tip)?;
            return Ok(found(tip.full_name));
        }
        drop(session);
        // If it were requested by its id alone, a host would also send a commit of a fork or of a deleted
        // branch.
        self.on_branch(repository, &tip, commit, branch)?;
        Ok(found(tip.full_name))
    }

    /// Fetches a commit: as a tip, or by its id, or through the history, first that of `near`. Returns the
    /// reference that led to it, if any.
    fn by_id(
        &self,
        session: Session<'_>,
        repository: &git2::Repository,
        listing: &Listing,
        commit: Oid,
        near: Option<&str>,
    ) -> Result<String, SourceError> {
        if self.generation.has(commit) {
            return Ok(String::new());
        }
        if let Some(name) = listing.leading_to(commit) {
            session.fetch(&[name], Depth::Commits(1))?;
            return Ok(name.to_owned());
        }
        match session.fetch(&[&commit.to_string()], Depth::Commits(1)) {
            Ok(()) => return Ok(String::new()),
            // The host does not send commits by id, or does not have this one: its history is fetched.
            Err(SourceError::Remote { .. }) => {}
            Err(error) => return Err(error),
        }
        let near = near.filter(|name| listing.has(name)).map(|name| (vec![name], Depth::Commits(SOME)));
        let far = (vec!["refs/heads/*", "refs/tags/*"], Depth::Whole);
        for (names, depth) in near.into_iter().chain([far]) {
            Session::open(self.context, repository)?.fetch(&names, depth)?;
            if history::objects(repository)?.exists(commit) {
                return Ok(String::new());
            }
        }
        Err(SourceError::ReferenceNotFound(format!(
            "commit '{commit}' not found in any branch or tag of {}",
            self.request.url
        )))
    }

    fn on_branch(
        &self,
        repository: &git2::Repository,
        tip: &Tip,
        commit: Oid,
        branch: &str,
    ) -> Result<(), SourceError> {
        for depth in [Depth::Commits(SOME), Depth::Whole] {
            Session::open(self.context, repository)?.fetch(&[&tip.full_name], depth)?;
            if history::descends(&history::objects(repository)?, tip.commit, commit) {
                return Ok(());
            }
        }
        Err(SourceError::ReferenceNotFound(format!("commit '{commit}' is not on branch '{branch}'")))
    }

    /// Whether the known commit is no ancestor of the new one. If this cannot be found out, it counts as one:
    /// a false alarm for each push of several commits would soon be ignored.
    fn rewritten(&self, repository: &git2::Repository, tip: &Tip) -> Option<String> {
        if matches!(
            self.wanted,
            RefTarget::Commit { .. } | RefTarget::Revision { .. } | RefTarget::Versions { .. }
        ) {
            return None;
        }
        let known = self.request.known.as_ref().filter(|known| known.name() == tip.revision.name())?;
        let old = Oid::from_str(known.hex()).ok()?;
        let first = history::compare(&history::objects(repository).ok()?, old, tip.commit);
        let verdict = first.or_else(|| {
            // A slow host must not use up the time limit for a question that the fetch can do without.
            self.context.remaining().ok().filter(|left| *left > self.request.timeout / 2)?;
            Session::open(self.context, repository)
                .ok()?
                .fetch(&[&tip.full_name], Depth::Commits(SOME))
                .ok()?;
            let verdict = history::compare(&history::objects(repository).ok()?, old, tip.commit);
            self.context.take_failure();
            verdict
        });
        (verdict == Some(history::Change::Rewritten)).then(|| known.hex().to_owned())
    }

    fn update(
        self,
        repository: &git2::Repository,
        tip: Tip,
        rewritten: Option<String>,
    ) -> Result<FetchFinding, SourceError> {
        let commit = Commit::read(&history::objects(repository)?, tip.commit)?;
        let mut folders = lock(&self.store.folders);
        let files = walk::walk(repository, commit.tree, &mut folders.known)?;
        let blobs = GenerationBlobs { generation: self.generation, _store: Arc::clone(&self.store) };
        let tree = Tree::of(files.root, Arc::new(blobs));
        self.context.now_doing("applying .sourceignore");
        let go_on = || self.context.remaining().map(drop);
        let ignore = self.request.ignore.as_deref();
        let kept = folders.kept(commit.tree, ignore);
        let tree = match kept {
            Some(kept) => tree.with_root(kept),
            None => ignore::applied(&tree, ignore, go_on).map_err(|_| self.context.timeout())?,
        };
        folders.keeps(commit.tree, ignore, tree.root());
        Ok(FetchFinding::Updated(Update {
            snapshot: Snapshot { revision: tip.revision, tree, origin: None },
            subject: Some(commit.subject),
            metadata: BTreeMap::new(),
            rewritten,
            warnings: files.warnings,
            received: self.context.received(),
        }))
    }
}
