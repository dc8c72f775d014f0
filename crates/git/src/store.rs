//! The object stores: one bare repository for each address and credential, shared by all fetches with these.
//!
//! libgit2 collects no garbage, so a store is replaced after some fetches. Trees from the old store keep it
//! alive, and its folder is deleted with the last of them. The content of a store can always be fetched
//! again, so a damaged store is deleted. Of the stores of an earlier process, the newest for each address and
//! credential is used if it has the wanted commit. A folder that no process of lockgate created stays.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use git2::{ObjectType, Oid, Repository, RepositoryInitOptions};

use crate::SourceError;
use crate::context::lock;
use crate::disk::{Disk, Share};
use crate::left::{self, LeftStore, LeftStores};
use crate::walk::KnownFolders;
use lockgate_base::model::Digest;
use lockgate_base::tree::{Blobs, ContentId, FILE_LIMIT, Folder, WeakFolder};

/// The number of fetches after which a store is replaced.
const FETCHES: u32 = 20;

/// The folder of all stores, with a name that no other program uses.
const FOLDER: &str = "lockgate-objects";
/// The suffix behind the number in the name of a repository.
const SUFFIX: &str = ".git";
/// The file that the process holding the folder has locked.
const LOCK: &str = "lock";

/// All stores below one folder.
pub(crate) struct Stores {
    root: PathBuf,
    /// Locked as long as it is open, so that no other process takes the stores for leftovers.
    _lock: File,
    disk: Disk,
    open: Mutex<HashMap<Digest, Weak<Store>>>,
    left: Mutex<LeftStores>,
    created: AtomicU64,
}

/// The store of one address and credential. Its lock is held during a whole fetch.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) current: Arc<tokio::sync::Mutex<Option<Arc<Generation>>>>,
    pub(crate) folders: Mutex<Folders>,
}

/// The folders of those trees of a store that are in use. The trees share their common folders.
#[derive(Default)]
pub(crate) struct Folders {
    pub(crate) known: KnownFolders,
    /// The remaining files of a commit's tree after the rules of a source, by the digest of both.
    kept: HashMap<Digest, WeakFolder>,
}

impl Folders {
    /// The remaining files of a tree after `spec.ignore` and its own files, if somebody holds them.
    pub(crate) fn kept(&self, tree: Oid, ignore: Option<&str>) -> Option<Folder> {
        self.kept.get(&Self::key(tree, ignore))?.upgrade()
    }

    /// Stores the remaining files of a tree.
    pub(crate) fn keeps(&mut self, tree: Oid, ignore: Option<&str>, root: &Folder) {
        self.kept.retain(|_, folder| folder.is_held());
        self.kept.insert(Self::key(tree, ignore), root.downgrade());
    }

    fn key(tree: Oid, ignore: Option<&str>) -> Digest {
        Digest::of_parts([tree.as_bytes(), ignore.unwrap_or_default().as_bytes()])
    }
}

/// One bare repository.
pub(crate) struct Generation {
    path: PathBuf,
    /// The address and the credential, as one digest.
    key: Digest,
    /// The handle for reading objects; a fetch opens the repository for itself.
    reader: Mutex<Repository>,
    fetches: AtomicU32,
    /// The commits whose trees are complete in this store.
    complete: Mutex<BTreeSet<Oid>>,
    /// Its share of the disk.
    pub(crate) share: Arc<Share>,
}

impl Stores {
    /// Takes the folder below `state_dir` for this process, and removes useless stores of earlier processes.
    pub(crate) fn open(state_dir: &Path, disk: &Disk) -> Result<Self, SourceError> {
        let root = state_dir.join(FOLDER);
        let failed = |error: std::io::Error| storage(&root, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(failed)?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let lock = File::options().create(true).write(true).truncate(false).mode(0o600).open(root.join(LOCK));
        let lock = lock.map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => SourceError::Storage(format!(
                "{} is in use by another agent; name another folder with --state-dir",
                root.display()
            )),
            TryLockError::Error(error) => failed(error),
        })?;
        let (mut left, mut created) = (LeftStores::new(), 0);
        for entry in fs::read_dir(&root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(number) = entry.file_name().to_str().and_then(number) else { continue };
            if entry.file_type().map_err(failed)?.is_dir() {
                created = created.max(number.saturating_add(1));
                if let Some(useless) = left.keep(number, entry.path()) {
                    fs::remove_dir_all(useless).map_err(failed)?;
                }
            }
        }
        Ok(Self {
            root,
            _lock: lock,
            disk: disk.clone(),
            open: Mutex::default(),
            left: Mutex::new(left),
            created: AtomicU64::new(created),
        })
    }

    /// The repository that has a commit completely: the present one, or that of an earlier process.
    pub(crate) fn holding(
        &self,
        key: &Digest,
        commit: Oid,
        current: &mut Option<Arc<Generation>>,
    ) -> Option<Arc<Generation>> {
        if current.is_none() {
            let left = lock(&self.left).take(key)?;
            *current = Generation::of_left(left, *key, &self.disk).map(Arc::new);
        }
        current.as_ref().filter(|generation| generation.has(commit)).cloned()
    }

    /// Removes the earlier process's store for a key after a fetch, and unused stores.
    pub(crate) fn forget_left(&self, key: &Digest) {
        for path in lock(&self.left).outdated(key) {
            // A folder that cannot be removed now is removed at the next start.
            let _ = fs::remove_dir_all(path);
        }
    }

    /// The store of a key. It lives as long as a tree from it, or a fetch into it.
    pub(crate) fn get(&self, key: Digest) -> Arc<Store> {
        let mut open = lock(&self.open);
        open.retain(|_, store| store.strong_count() > 0);
        if let Some(store) = open.get(&key).and_then(Weak::upgrade) {
            return store;
        }
        let store = Arc::new(Store::default());
        open.insert(key, Arc::downgrade(&store));
        store
    }

    /// The repository to fetch into: the present one, or a new one if there is none or the present one is
    /// old.
    pub(crate) fn generation(
        &self,
        key: Digest,
        current: &mut Option<Arc<Generation>>,
    ) -> Result<Arc<Generation>, SourceError> {
        let young = current.as_ref().filter(|present| present.fetches.load(Ordering::Relaxed) < FETCHES);
        if let Some(generation) = young {
            return Ok(Arc::clone(generation));
        }
        let number = self.created.fetch_add(1, Ordering::Relaxed);
        let generation =
            Arc::new(Generation::create(self.root.join(format!("{number}{SUFFIX}")), key, &self.disk)?);
        *current = Some(Arc::clone(&generation));
        Ok(generation)
    }
}

impl Generation {
    fn create(path: PathBuf, key: Digest, disk: &Disk) -> Result<Self, SourceError> {
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| storage(&path, &error))?;
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false).no_reinit(true);
        let opened = Repository::init_opts(&path, &options);
        let reader = opened.map_err(|error| SourceError::Storage(error.message().to_owned()))?;
        Ok(Self {
            path,
            key,
            reader: Mutex::new(reader),
            fetches: AtomicU32::new(0),
            complete: Mutex::default(),
            share: Arc::new(disk.share()),
        })
    }

    /// The store of an earlier process. It counts as old, so that the next fetch replaces it: it is only
    /// read. A useless folder is removed.
    fn of_left(left: LeftStore, key: Digest, disk: &Disk) -> Option<Self> {
        let LeftStore { path, commits, .. } = left;
        let share = disk.share();
        let opened = Repository::open_bare(&path).ok().filter(|_| share.take(left::size(&path)).is_ok());
        let Some(reader) = opened else {
            let _ = fs::remove_dir_all(&path);
            return None;
        };
        Some(Self {
            path,
            key,
            reader: Mutex::new(reader),
            fetches: AtomicU32::new(FETCHES),
            complete: Mutex::new(commits),
            share: Arc::new(share),
        })
    }

    /// A separate handle for a fetch.
    pub(crate) fn repository(&self) -> Result<Repository, SourceError> {
        Repository::open_bare(&self.path).map_err(|error| SourceError::Storage(error.message().to_owned()))
    }

    /// Whether a commit and all its files are in the store.
    pub(crate) fn has(&self, commit: Oid) -> bool {
        lock(&self.complete).contains(&commit)
    }

    /// Notes that a commit and all its files have arrived.
    pub(crate) fn completed(&self, commit: Oid) -> Result<(), SourceError> {
        let failed = |error: std::io::Error| storage(&self.path, &error);
        seal(&self.path).map_err(failed)?;
        let mut complete = lock(&self.complete);
        if complete.insert(commit) {
            self.fetches.fetch_add(1, Ordering::Relaxed);
            left::note(&self.path, &self.key, &complete).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // A folder that cannot be removed now is removed at the next start.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The number in a name that [`Stores::generation`] gives; `None` for any other name.
fn number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

/// The blobs of one generation. They keep the generation and its store alive.
pub(crate) struct GenerationBlobs {
    pub(crate) generation: Arc<Generation>,
    /// Kept so that the next fetch finds this store.
    pub(crate) _store: Arc<Store>,
}

impl Blobs for GenerationBlobs {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        read_blob(&lock(&self.generation.reader), id)
    }
}

/// The bytes of a file. Its size is checked first.
pub(crate) fn read_blob(repository: &Repository, id: &ContentId) -> Result<Arc<[u8]>, String> {
    let oid = Oid::from_bytes(id).map_err(|error| error.message().to_owned())?;
    let damaged = |error: git2::Error| format!("object {oid} cannot be read: {}", error.message());
    let objects = repository.odb().map_err(damaged)?;
    let (size, kind) = objects.read_header(oid).map_err(damaged)?;
    if size as u64 > FILE_LIMIT {
        return Err(format!("is {size} bytes, more than the limit of {FILE_LIMIT}"));
    }
    if kind != ObjectType::Blob {
        return Err(format!("object {oid} is a {kind}, not a file"));
    }
    let object = objects.read(oid).map_err(damaged)?;
    Ok(Arc::from(object.data()))
}

/// Removes the rights of everybody else, whatever the process's umask. The folder around these has none for
/// them either.
fn seal(folder: &Path) -> std::io::Result<()> {
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let is_folder = entry.file_type()?.is_dir();
            let mode = if is_folder { 0o700 } else { 0o600 };
            if entry.metadata()?.permissions().mode() & 0o777 != mode {
                fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
            }
            if is_folder {
                pending.push(entry.path());
            }
        }
    }
    Ok(())
}

fn storage(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::Storage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
