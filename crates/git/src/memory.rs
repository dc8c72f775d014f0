//! The memory that all running fetches may use together, so that several large ones do not use up the memory
//! of the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The default limit for all fetches, in bytes.
const LIMIT: u64 = 64 << 20;

/// The memory for fetches. A namespace gets at most half of it, and the last eighth is for small fetches.
/// Clones share it.
#[derive(Debug, Clone)]
pub struct FetchMemory(Arc<Ledger>);

#[derive(Debug)]
struct Ledger {
    limit: u64,
    /// The memory that each namespace uses.
    taken: Mutex<BTreeMap<Arc<str>, u64>>,
}

/// The memory that one fetch uses. Dropping it returns the memory.
#[derive(Debug)]
pub(crate) struct FetchShare {
    memory: FetchMemory,
    namespace: Arc<str>,
    taken: AtomicU64,
}

impl FetchMemory {
    /// A limit of so many bytes.
    pub fn of(limit: u64) -> Self {
        Self(Arc::new(Ledger { limit, taken: Mutex::default() }))
    }

    /// The empty share of a fetch for a namespace.
    pub(crate) fn share(&self, namespace: &str) -> FetchShare {
        FetchShare { memory: self.clone(), namespace: namespace.into(), taken: AtomicU64::new(0) }
    }
}

impl Ledger {
    fn taken(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, u64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FetchMemory {
    fn default() -> Self {
        Self::of(LIMIT)
    }
}

impl FetchShare {
    /// Takes more memory. The error is a message that there is not enough.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), String> {
        let limit = self.memory.0.limit;
        let mut all = self.memory.0.taken();
        let sum = all.values().sum::<u64>().saturating_add(bytes);
        let own = all.get(&self.namespace).copied().unwrap_or_default().saturating_add(bytes);
        let room = if own > limit / 8 { limit - limit / 8 } else { limit };
        if sum > room || own > limit / 2 {
            let mebibytes = limit >> 20;
            return Err(format!(
                "it would take more of the {mebibytes} MiB of memory for fetches than is left, or more than a namespace may \
                 have, which is half; fetch less, or give the agent more memory"
            ));
        }
        all.insert(Arc::clone(&self.namespace), own);
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for FetchShare {
    fn drop(&mut self) {
        let taken = *self.taken.get_mut();
        let mut all = self.memory.0.taken();
        if let Some(own) = all.get_mut(&self.namespace) {
            *own -= taken;
            if *own == 0 {
                all.remove(&self.namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_large_fetches_take_leaves_room_for_small_ones_of_others() {
        let memory = FetchMemory::of(80);
        let (first, second) = (memory.share("a"), memory.share("a"));
        assert_eq!(first.take(30), Ok(()));
        assert!(second.take(11).unwrap_err().contains("memory for fetches"), "a namespace has half of it");
        assert_eq!(second.take(10), Ok(()));
        let other = memory.share("b");
        assert!(other.take(31).is_err(), "the last eighth is for those that take little");
        assert_eq!(other.take(30), Ok(()));
        let small = memory.share("c");
        assert_eq!(small.take(10), Ok(()));
        assert!(small.take(1).is_err(), "nothing is left");
        drop((first, second));
        assert_eq!(small.take(1), Ok(()));
        drop((other, small));
        assert!(memory.0.taken().is_empty());
    }
}
