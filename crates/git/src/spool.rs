//! Stores the files of an unpacked archive, one after the other, in one file on the disk. That file has no
//! name, so it goes with its last holder, however the process ends.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::SourceError;
use crate::disk::{Disk, Share};
use lockgate_base::tree::{Blobs, ContentId, FILE_LIMIT};

/// The folder below the agent's own, with a name that no other program uses.
const FOLDER: &str = "lockgate-artifacts";

/// The folder of spools.
#[derive(Debug)]
pub(crate) struct Spools {
    root: PathBuf,
    made: AtomicU64,
    disk: Disk,
}

impl Spools {
    /// Creates the folder below `state_dir`, readable only for this user, and removes the leftovers of a
    /// killed process.
    pub(crate) fn open(state_dir: &Path, disk: &Disk) -> Result<Self, SourceError> {
        let root = state_dir.join(FOLDER);
        let prepared = fs::create_dir_all(&root)
            .and_then(|()| fs::set_permissions(&root, Permissions::from_mode(0o700)))
            .and_then(|()| fs::read_dir(&root));
        let entries = prepared.map_err(|error| storage(&root, &error))?;
        for entry in entries.filter_map(Result::ok) {
            // A file that cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
        Ok(Self { root, made: AtomicU64::new(0), disk: disk.clone() })
    }

    /// A new spool, empty.
    pub(crate) fn begin(&self) -> Result<Spooling, SourceError> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(format!("{}-{number}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.and_then(|file| fs::remove_file(&path).map(|()| file));
        let file = file.map_err(|error| storage(&self.root, &error))?;
        let share = self.disk.share();
        Ok(Spooling { file: BufWriter::new(file), written: 0, places: HashMap::new(), share })
    }
}

fn storage(path: &Path, error: &io::Error) -> SourceError {
    SourceError::Storage(format!("{}: {error}", path.display()))
}

/// A spool that is being filled.
pub(crate) struct Spooling {
    file: BufWriter<File>,
    written: u64,
    places: HashMap<ContentId, Place>,
    share: Share,
}

/// The place of a file's bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    length: u64,
}

impl Spooling {
    /// Adds a file that `fill` writes. Two files with the same content are stored once.
    pub(crate) fn add(
        &mut self,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<ContentId> {
        let offset = self.written;
        let mut hashing = Hashing { spool: self, hash: Sha256::new() };
        fill(&mut hashing)?;
        let id = hashing.hash.finalize().to_vec();
        let length = self.written - offset;
        self.places.entry(id.clone()).or_insert(Place { offset, length });
        Ok(id)
    }

    /// Ends the filling.
    pub(crate) fn finish(self) -> Result<Arc<dyn Blobs>, SourceError> {
        let file = self.file.into_inner().map_err(|error| SourceError::Storage(error.to_string()))?;
        Ok(Arc::new(Spool { file, places: self.places, _share: self.share }))
    }
}

struct Hashing<'s> {
    spool: &'s mut Spooling,
    hash: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let full = |message| io::Error::new(io::ErrorKind::StorageFull, message);
        self.spool.share.take(bytes.len() as u64).map_err(full)?;
        let written = self.spool.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.spool.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.spool.file.flush()
    }
}

/// A spool that is full.
struct Spool {
    file: File,
    places: HashMap<ContentId, Place>,
    _share: Share,
}

impl Blobs for Spool {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        let place = self.places.get(id).ok_or("it is not in the spool")?;
        if place.length > FILE_LIMIT {
            return Err(format!("it has {} bytes, more than the limit of {FILE_LIMIT}", place.length));
        }
        let length = usize::try_from(place.length).map_err(|error| error.to_string())?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, place.offset).map_err(|error| format!("the spool: {error}"))?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn files_are_read_back_from_a_file_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(FOLDER).join("left");
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(&left, "x").unwrap();
        let spools = Spools::open(folder.path(), &Disk::default()).unwrap();
        assert!(!left.exists(), "what a killed process left");
        let mut spooling = spools.begin().unwrap();
        let mut add = |text: &str| spooling.add(|sink| sink.write_all(text.as_bytes())).unwrap();
        let (one, two, again) = (add("one"), add("twice"), add("one"));
        assert_eq!(one, again);
        let large =
            spooling.add(|sink| io::copy(&mut io::repeat(0).take(FILE_LIMIT + 1), sink).map(drop)).unwrap();
        let spool = spooling.finish().unwrap();
        assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 0);
        assert_eq!((&*spool.read(&one).unwrap(), &*spool.read(&two).unwrap()), (&b"one"[..], &b"twice"[..]));
        assert!(spool.read(&vec![0; 32]).is_err());
        assert!(spool.read(&large).unwrap_err().contains("more than the limit"));
    }
}
