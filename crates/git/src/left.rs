//! What an earlier process has left of the object stores: repositories, each with a note of what they were
//! fetched from and which commits are whole in them. They are read where the host is away, and never fetched
//! into.

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
/// How long what nobody has asked for stays.
const LIFE: Duration = Duration::from_mins(15);

/// The repositories that were left, by what they were fetched from.
pub(crate) struct LeftStores {
    by_key: HashMap<Digest, LeftStore>,
    found: Instant,
}

/// One of them.
pub(crate) struct LeftStore {
    number: u64,
    /// Its folder.
    pub(crate) path: PathBuf,
    /// The commits whose trees are all there.
    pub(crate) commits: BTreeSet<Oid>,
}

impl LeftStores {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { by_key: HashMap::new(), found: Instant::now() }
    }

    /// Keeps the repository of a number where it is the newest of its key; the folder that is of no use.
    pub(crate) fn keep(&mut self, number: u64, path: PathBuf) -> Option<PathBuf> {
        let Some((key, commits)) = read(&path) else { return Some(path) };
        let newer = self.by_key.get(&key).is_some_and(|known| known.number > number);
        if newer {
            return Some(path);
        }
        self.by_key.insert(key, LeftStore { number, path, commits }).map(|older| older.path)
    }

    /// Hands out the repository of a key.
    pub(crate) fn take(&mut self, key: &Digest) -> Option<LeftStore> {
        self.by_key.remove(key)
    }

    /// The folders of what is not needed any more, once a key was fetched anew: its own, and all of them
    /// where nobody has asked for them in a while.
    pub(crate) fn outdated(&mut self, key: &Digest) -> Vec<PathBuf> {
        let is_over = self.found.elapsed() > LIFE;
        let outdated = self.by_key.extract_if(|known, _| is_over || known == key);
        outdated.map(|(_, left)| left.path).collect()
    }
}

/// Writes down what is whole in a repository. The note is there as a whole, or the one before it.
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

/// How many bytes a folder takes; those of what cannot be read are not counted.
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

/// Whether files are there with the content that their ids are the digests of. A machine that lost its power
/// may have left something else.
pub(crate) fn are_whole<'i>(repository: &Repository, files: impl IntoIterator<Item = &'i ContentId>) -> bool {
    let Ok(objects) = repository.odb() else { return false };
    files.into_iter().all(|id| {
        let Ok(oid) = Oid::from_bytes(id) else { return false };
        // libgit2 reckons the digest of what it reads. What is too large is refused by whoever asks for it.
        objects.read_header(oid).is_ok_and(|(size, _)| size as u64 > FILE_LIMIT || objects.read(oid).is_ok())
    })
}
