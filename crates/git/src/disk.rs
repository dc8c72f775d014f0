//! The limit on the disk space that all fetched files may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The default limit for all sources together, in bytes. It leaves a quarter of the volume that the agent's
/// Deployment requests to the indexes of repositories and to files that are being written.
const LIMIT: u64 = 3 << 30;

/// The disk space for fetched files. Clones share it.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Room>);

#[derive(Debug)]
struct Room {
    limit: u64,
    taken: AtomicU64,
}

/// The space that one repository or artifact takes, counted while it is fetched. It is given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    disk: Disk,
    taken: AtomicU64,
}

impl Disk {
    /// A disk with at most `limit` bytes.
    pub fn of(limit: u64) -> Self {
        Self(Arc::new(Room { limit, taken: AtomicU64::new(0) }))
    }

    /// A share that is still empty.
    pub(crate) fn share(&self) -> Share {
        Share { disk: self.clone(), taken: AtomicU64::new(0) }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::of(LIMIT)
    }
}

impl Share {
    /// Takes more space, before it is written. The error is a message that there is no more.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), String> {
        let room = &self.disk.0;
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        if room.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= room.limit {
            return Ok(());
        }
        let mebibytes = room.limit >> 20;
        Err(format!(
            "all sources together need more than {mebibytes} MiB of disk space; fetch less, or raise \
             --disk-limit"
        ))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.disk.0.taken.fetch_sub(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_takes_the_others_do_not_have_until_it_has_gone() {
        let disk = Disk::of(100);
        let (first, second) = (disk.share(), disk.share());
        assert_eq!(first.take(60), Ok(()));
        assert_eq!(second.take(40), Ok(()));
        assert!(second.take(1).unwrap_err().contains("--disk-limit"));
        drop(second);
        assert_eq!(first.take(40), Ok(()));
        drop(first);
        assert_eq!(disk.share().take(100), Ok(()));
    }
}
