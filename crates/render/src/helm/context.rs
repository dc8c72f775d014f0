//! The state that the functions of a render share: its inputs besides the values, and its remaining budget.

use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::search::Patterns;
use super::value::{Allowance, Map, Value, live};
use crate::budget::{Budget, Cost};

/// The largest string, in bytes.
pub const STRING_LIMIT: usize = 16 * 1024 * 1024;
/// The most output of all templates of a chart together, in bytes.
pub const OUTPUT_LIMIT: usize = 64 * 1024 * 1024;
/// The most memory of all values of a render at one time, in bytes.
const MEMORY_LIMIT: usize = 128 * 1024 * 1024;

/// A point in time, as input of a render.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Seconds since 1970, UTC.
    pub seconds: i64,
    /// Nanoseconds of that second.
    pub nanoseconds: u32,
}

/// A question of `lookup` to the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LookupQuery {
    /// Such as `apps/v1`.
    pub api_version: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// Empty for all namespaces, or for a cluster-scoped kind.
    pub namespace: String,
    /// Empty for a list.
    pub name: String,
}

/// The source of the answers for `lookup`.
pub trait Lookups {
    /// The requested object or list, with numbers as `int64`; an empty map if there is none.
    fn look(&self, query: &LookupQuery) -> Result<Value, Error>;
}

/// A render without a cluster, as in `helm template`: each `lookup` returns an empty map.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCluster;

impl Lookups for NoCluster {
    fn look(&self, _query: &LookupQuery) -> Result<Value, Error> {
        Ok(Value::map::<&str>([]))
    }
}

/// The state that the functions of one render share.
pub struct RenderContext<'i> {
    /// The result of `now`.
    pub now: Now,
    /// The source of `lookup`.
    pub lookups: &'i dyn Lookups,
    /// The regular expressions that were used last.
    pub patterns: Patterns,
    entropy: [u8; 32],
    drawn: u64,
    budget: Budget,
    /// The memory that the thread held when the render began.
    base: usize,
    /// The part of that memory that the render uses too.
    shared: usize,
    /// Changed maps that may contain themselves.
    changed: Vec<Map>,
}

impl<'i> RenderContext<'i> {
    /// The context of a render. Equal entropy gives equal draws.
    pub fn new(now: Now, entropy: [u8; 32], lookups: &'i dyn Lookups) -> Self {
        Self {
            now,
            lookups,
            patterns: Patterns::default(),
            entropy,
            drawn: 0,
            budget: Budget::default(),
            base: live(),
            shared: 0,
            changed: Vec::new(),
        }
    }

    /// Fills `out` with the render's next random bytes: SHA-256 of the entropy and a counter.
    pub fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(32) {
            let block = Sha256::new().chain_update(self.entropy).chain_update(self.drawn.to_le_bytes());
            self.drawn += 1;
            let block = block.finalize();
            piece.copy_from_slice(&block[..piece.len()]);
        }
    }

    /// A random number below `limit`, each equally likely. Zero for a limit of zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 {
            return 0;
        }
        // Numbers above the last whole multiple of the limit would make the small ones more likely.
        let most = u64::MAX - u64::MAX % limit;
        loop {
            let mut bytes = [0; 8];
            self.fill(&mut bytes);
            let number = u64::from_le_bytes(bytes);
            if number < most {
                return number % limit;
            }
        }
    }

    /// The budget of the build that this render is part of.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Counts work: a visited node, a call, or an item that a function looks at. A function whose work grows
    /// with its input passes the number of items or of 64-byte blocks.
    pub fn spend(&mut self, steps: usize) -> Result<(), Error> {
        self.budget.spend(Cost::Steps, steps).map_err(|spent| Error::bound(spent.to_string()))
    }

    /// Reserves room for a string of this many bytes before it is made. A function whose result can be larger
    /// than all its arguments together calls this first.
    pub fn room(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > STRING_LIMIT {
            return Err(Error::bound(format!("a string is larger than {} MiB", STRING_LIMIT >> 20)));
        }
        self.spend(bytes / 64)?;
        self.memory(bytes)
    }

    /// Reserves room for a list or a map of this many items before it is made.
    pub fn room_for_items(&mut self, items: usize) -> Result<(), Error> {
        self.spend(items)?;
        self.memory(items.saturating_mul(size_of::<Value>()))
    }

    /// Fails if values would exceed their memory limit with this many bytes more.
    pub fn memory(&self, bytes: usize) -> Result<(), Error> {
        let held = live().saturating_sub(self.base).saturating_add(self.shared);
        if held.saturating_add(bytes) > MEMORY_LIMIT {
            let limit = MEMORY_LIMIT >> 20;
            return Err(Error::bound(format!("the chart's values take more than {limit} MiB of memory")));
        }
        Ok(())
    }

    /// Counts bytes that this render uses and that an earlier render made.
    pub fn share(&mut self, bytes: usize) {
        self.shared = self.shared.saturating_add(bytes);
    }

    /// Remembers a changed map that may contain itself, so that the end of the render frees it. A function
    /// that puts a list or a map into a map calls this.
    pub fn changed(&mut self, map: &Map) {
        if !self.changed.iter().rev().take(8).any(|known| known.is_same(map)) {
            self.changed.push(map.clone());
        }
    }
}

impl Allowance for RenderContext<'_> {
    fn room(&mut self, bytes: usize) -> Result<(), Error> {
        RenderContext::room(self, bytes)
    }
}

impl Drop for RenderContext<'_> {
    fn drop(&mut self) {
        // A map that contains itself would never be freed otherwise.
        for map in &self.changed {
            map.clear();
        }
    }
}
