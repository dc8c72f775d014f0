//! The object stores of an earlier process: repositories, each with a note about its address and its complete
//! commits. They are read if the host is unreachable, and never fetched into.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use git2::{Oid, Repository};

use lockgate_base::model::Digest;
use lockgate_base::tree::{ContentId, FILE_LIMIT};

/// The note in the folder of a repository.
const NOTE: &str = "lockgate-note";
/// How long an unused store is kept.
const LIFE: Duration = Duration::from_mins(15);

/// The stores of an earlier process by their keys.
pub(crate) struct LeftStores {
    by_key: HashMap<Digest, LeftStore>,
    found: Instant,
}

/// A store of an earlier process.
pub(crate) struct LeftStore {
    number: u64,
    /// Its folder.
    pub(crate) path: PathBuf,
    /// The commits whose trees are complete.
    pub(crate) commits: BTreeSet<Oid>,
}

impl LeftStores {
    /// Creates an empty set.
    pub(crate) fn new() -> Self {
        Self { by_key: HashMap::new(), found: Instant::now() }
    }

    /// Adds the repository with a number if it is the newest with its key. Returns the folder that is not
    /// needed.
    pub(crate) fn keep(&mut self, number: u64, path: PathBuf) -> Option<PathBuf> {
        let Some((key, commits)) = read(&path) else { return Some(path) };
        let newer = self.by_key.get(&key).is_some_and(|known| known.number > number);
        if newer {
            return Some(path);
        }
        self.by_key.insert(key, LeftStore { number, path, commits }).map(|older| older.path)
    }

    /// Takes the repository with a key.
    pub(crate) fn take(&mut self, key: &Digest) -> Option<LeftStore> {
        self.by_key.remove(key)
    }

    /// The folders that are not needed after a fetch for a key: the key's own, and all unused ones after a
    /// while.
    pub(crate) fn outdated(&mut self, key: &Digest) -> Vec<PathBuf> {
        let is_over = self.found.elapsed() > LIFE;
        let outdated = self.by_key.extract_if(|known, _| is_over || known == key);
        outdated.map(|(_, left)| left.path).collect()
    }
}

/// Records the complete commits of a repository. The note is replaced as a whole.
pub(crate) fn note(path: &Path, key: &Digest, commits: &BTreeSet<Oid>) -> std::io::Result<()> {
    let written = path.join(format!("{NOTE}.new"));
    let mut file = File::options().create(true).write(true).truncate(true).mode(0o600).open(&written)?;
    writeln!(file, "{key}")?;
    for commit in commits {
        writeln!(file, "{commit}")?;
    }
    fs::rename(written, path.join(NOTE))
}

fn read(path: &Path) -> Option<(Digest, BTreeSet<Oid>)> {
    let text = fs::read_to_string(path.join(NOTE)).ok()?;
    let mut lines = text.lines();
    let key = lines.next()?.parse().ok()?;
    Some((key, lines.map(|line| Oid::from_str(line).ok()).collect::<Option<_>>()?))
}

/// The size of a folder in bytes, without unreadable parts.
pub(crate) fn size(path: &Path) -> u64 {
    let mut pending = vec![path.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => pending.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// Whether the content of files has the digests that their ids say. After a power failure it may differ.
pub(crate) fn are_whole<'i>(repository: &Repository, files: impl IntoIterator<Item = &'i ContentId>) -> bool {
    let Ok(objects) = repository.odb() else { return false };
    files.into_iter().all(|id| {
        let Ok(oid) = Oid::from_bytes(id) else { return false };
        // libgit2 checks the digest of what it reads. The caller refuses files that are too large.
        objects.read_header(oid).is_ok_and(|(size, _)| size as u64 > FILE_LIMIT || objects.read(oid).is_ok())
    })
}
