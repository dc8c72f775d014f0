//! How much of the disk all that was fetched may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What there is for all sources where nobody says otherwise, in bytes. It leaves a quarter of the volume
/// that the agent's Deployment asks for to what a repository's index takes, and to what is written while it
/// is made.
const LIMIT: u64 = 3 << 30;

/// The disk, as far as it is for what is fetched. Clones share it.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Room>);

#[derive(Debug)]
struct Room {
    limit: u64,
    taken: AtomicU64,
}

/// What one repository or artifact takes of it, counted as it comes in. It is given back with this.
#[derive(Debug)]
pub(crate) struct Share {
    disk: Disk,
    taken: AtomicU64,
}

impl Disk {
    /// A disk of which so many bytes may be taken.
    pub fn of(limit: u64) -> Self {
        Self(Arc::new(Room { limit, taken: AtomicU64::new(0) }))
    }

    /// A share, of nothing yet.
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
    /// Takes more, before it is written. Where that is not there, the message says so.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), String> {
        let room = &self.disk.0;
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        if room.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= room.limit {
            return Ok(());
        }
        let mebibytes = room.limit >> 20;
        Err(format!(
            "all sources together take more than {mebibytes} MiB of the disk; fetch less, or give the agent more with --disk-limit"
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
