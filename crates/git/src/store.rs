//! The object stores: one bare repository for each address and credential, shared by all fetches with these.
//!
//! libgit2 collects no garbage, so a store is replaced after some fetches. Trees from the old store keep it
//! alive, and its folder goes with the last of them. The content of a store can always be fetched again, so a
//! store that is damaged or left over from an earlier process is deleted. A folder that no process of
//! lockgate made stays.

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
    /// The handle for reading objects; a fetch opens the repository for itself.
    reader: Mutex<Repository>,
    fetches: AtomicU32,
    /// The commits whose trees are complete in this store.
    complete: Mutex<BTreeSet<Oid>>,
    /// Its share of the disk.
    pub(crate) share: Arc<Share>,
}

impl Stores {
    /// Takes the folder below `state_dir` for this process, and removes the stores of earlier ones: they can
    /// be fetched again, so none is checked for damage.
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
        for entry in fs::read_dir(&root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_str().is_some_and(is_store) && entry.file_type().map_err(failed)?.is_dir()
            {
                fs::remove_dir_all(entry.path()).map_err(failed)?;
            }
        }
        Ok(Self { root, _lock: lock, disk: disk.clone(), open: Mutex::default(), created: AtomicU64::new(0) })
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
        current: &mut Option<Arc<Generation>>,
    ) -> Result<Arc<Generation>, SourceError> {
        let young = current.as_ref().filter(|present| present.fetches.load(Ordering::Relaxed) < FETCHES);
        if let Some(generation) = young {
            return Ok(Arc::clone(generation));
        }
        let number = self.created.fetch_add(1, Ordering::Relaxed);
        let generation =
            Arc::new(Generation::create(self.root.join(format!("{number}{SUFFIX}")), &self.disk)?);
        *current = Some(Arc::clone(&generation));
        Ok(generation)
    }
}

impl Generation {
    fn create(path: PathBuf, disk: &Disk) -> Result<Self, SourceError> {
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| storage(&path, &error))?;
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false).no_reinit(true);
        let opened = Repository::init_opts(&path, &options);
        let reader = opened.map_err(|error| SourceError::Storage(error.message().to_owned()))?;
        Ok(Self {
            path,
            reader: Mutex::new(reader),
            fetches: AtomicU32::new(0),
            complete: Mutex::default(),
            share: Arc::new(disk.share()),
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
        seal(&self.path).map_err(|error| storage(&self.path, &error))?;
        if lock(&self.complete).insert(commit) {
            self.fetches.fetch_add(1, Ordering::Relaxed);
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

/// Whether [`Stores::generation`] gives such a name.
fn is_store(name: &str) -> bool {
    let number = name.strip_suffix(SUFFIX);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
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
mod tests {
    use super::*;

    #[test]
    fn a_replaced_store_lives_as_long_as_its_trees() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::open(folder.path(), &Disk::default()).unwrap();
        let mut current = None;
        let first = stores.generation(&mut current).unwrap();
        let commit = Oid::from_bytes(&[1; 20]).unwrap();
        first.completed(commit).unwrap();
        for number in 1..FETCHES {
            assert!(Arc::ptr_eq(&first, &stores.generation(&mut current).unwrap()));
            first.completed(commit).unwrap();
            first.completed(Oid::from_bytes(&[1 + u8::try_from(number).unwrap(); 20]).unwrap()).unwrap();
        }
        let second = stores.generation(&mut current).unwrap();
        assert!(!Arc::ptr_eq(&first, &second) && !second.has(commit) && first.has(commit));
        let path = first.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(first);
        assert!(!path.exists() && second.path.exists());
    }

    #[test]
    fn a_store_is_shared_while_it_is_used_and_forgotten_after() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::open(folder.path(), &Disk::default()).unwrap();
        let first = stores.get(Digest::of(b"a"));
        assert!(Arc::ptr_eq(&first, &stores.get(Digest::of(b"a"))));
        assert!(!Arc::ptr_eq(&first, &stores.get(Digest::of(b"b"))));
        drop(first);
        stores.get(Digest::of(b"b"));
        assert_eq!(lock(&stores.open).len(), 1);
    }

    #[test]
    fn what_an_earlier_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(FOLDER);
        let (left, others) =
            (root.join("0.git/junk"), ["git/a", "lockgate-objects/a.git/b", "lockgate-objects/1.git.bak"]);
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(&left, "x").unwrap();
        for other in others.map(|path| folder.path().join(path)) {
            fs::create_dir_all(other.parent().unwrap()).unwrap();
            fs::write(other, "x").unwrap();
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        let stores = Stores::open(folder.path(), &Disk::default()).unwrap();
        stores.generation(&mut None).unwrap();
        assert!(!left.exists());
        for other in others {
            assert!(folder.path().join(other).exists(), "{other}");
        }
        assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_has_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Stores::open(folder.path(), &Disk::default()).unwrap();
        let generation = first.generation(&mut None).unwrap();
        let refused = Stores::open(folder.path(), &Disk::default()).err().unwrap().to_string();
        assert!(
            refused.contains("in use by another agent; name another folder with --state-dir"),
            "{refused}"
        );
        assert!(generation.path.exists());
        drop(first);
        assert!(Stores::open(folder.path(), &Disk::default()).is_ok());
    }
}
