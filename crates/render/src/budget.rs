//! The largest cost of one build. All costs are counted and none is timed, so that the same build ends in the
//! same way on each machine.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Fault, FaultCategory, RenderError};

/// How deep the values of an object may nest. Objects of a cluster stay below 60.
pub const DEPTH_LIMIT: usize = 200;

/// The counted quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Steps of globs, of regular expressions and of a chart's templates.
    Steps,
    /// Bytes of the files that are read; a file counts as often as it is read.
    FileBytes,
    /// Values that are read from YAML.
    Nodes,
    /// Values that patches, replacements and the like put into objects.
    Copied,
    /// Bytes of texts that patches, replacements, variables and the like put into objects.
    CopiedBytes,
    /// Bytes of the texts in which variables are substituted, after that.
    SubstitutedBytes,
    /// Objects that are built.
    Objects,
    /// Bytes of all objects that are built.
    RenderedBytes,
    /// Folders that are gone through.
    Folders,
    /// Bytes of memory that all of this takes together, by estimate.
    Memory,
}

/// Each cost with its limit, how many bytes of memory one of it takes, and its name in messages. The memory
/// was measured: a value that is read is noted with where and how it was written, and a file is a text before
/// it is values.
const LIMITS: [(Cost, u64, u64, &str); 10] = [
    (Cost::Steps, 50_000_000, 0, "steps of patterns or templates"),
    (Cost::FileBytes, 64 << 20, 3, "bytes of files that are read"),
    (Cost::Nodes, 1_000_000, 450, "values that are read"),
    (Cost::Copied, 1_000_000, 100, "values that are put into objects"),
    (Cost::CopiedBytes, 64 << 20, 1, "bytes that are put into objects"),
    (Cost::SubstitutedBytes, 64 << 20, 2, "bytes of text with substituted variables"),
    (Cost::Objects, 50_000, 500, "objects"),
    (Cost::RenderedBytes, 64 << 20, 0, "bytes of objects that are built"),
    (Cost::Folders, 10_000, 500, "folders that are used"),
    (Cost::Memory, 160 << 20, 0, "bytes of memory, by estimate"),
];

/// How many bytes of memory make a build a large one.
const LARGE: u64 = 32 << 20;

/// The memory that all builds of a process share.
pub trait Memory: fmt::Debug + Send + Sync {
    /// The most that one build may take, in bytes.
    fn limit(&self) -> u64;

    /// Waits until no other large build is running. The turn ends when the returned value is dropped.
    fn turn(&self) -> Turn;
}

/// The turn of a large build.
pub type Turn = Arc<dyn fmt::Debug + Send + Sync>;

/// The remaining budget of one build. All parts of the build share and spend it.
#[derive(Debug, Clone)]
pub struct Budget {
    left: [Cell<u64>; LIMITS.len()],
    memory: Option<Arc<dyn Memory>>,
    /// The turn of the build, once it is a large one.
    turn: RefCell<Option<Turn>>,
    /// Whether something of it was asked for in vain.
    is_over: Cell<bool>,
}

/// The budget of a build is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// Something that is counted has reached its limit.
    Count(Cost),
    /// The memory of a build, in bytes.
    Memory(u64),
    /// An object would nest deeper than [`DEPTH_LIMIT`].
    Depth,
}

impl Cost {
    /// The most of it that a build may spend.
    pub const fn limit(self) -> u64 {
        LIMITS[self as usize].1
    }

    /// How many bytes of memory one of it takes.
    const fn weight(self) -> u64 {
        LIMITS[self as usize].2
    }
}

impl Default for Budget {
    fn default() -> Self {
        let left = LIMITS.map(|(_, limit, ..)| Cell::new(limit));
        Self { left, memory: None, turn: RefCell::default(), is_over: Cell::default() }
    }
}

impl Budget {
    /// The budget of a build beside others, which share the memory of a process with it.
    pub fn sharing(memory: Arc<dyn Memory>) -> Self {
        let budget = Self::default();
        budget.left[Cost::Memory as usize].set(memory.limit());
        Self { memory: Some(memory), ..budget }
    }

    /// The most memory that the build may take, in bytes.
    fn memory_limit(&self) -> u64 {
        self.memory.as_ref().map_or(Cost::Memory.limit(), |memory| memory.limit())
    }

    /// Spends an amount of something, and the memory that it takes. A build that becomes a large one waits
    /// for its turn.
    pub fn spend(&self, cost: Cost, amount: usize) -> Result<(), Spent> {
        self.count(cost, amount as u64)?;
        self.count(Cost::Memory, (amount as u64).saturating_mul(cost.weight()))?;
        if self.spent(Cost::Memory) > LARGE {
            self.take_turn();
        }
        Ok(())
    }

    fn take_turn(&self) {
        if let Some(memory) = self.memory.as_ref().filter(|_| self.turn.borrow().is_none()) {
            *self.turn.borrow_mut() = Some(memory.turn());
        }
    }

    fn count(&self, cost: Cost, amount: u64) -> Result<(), Spent> {
        let left = &self.left[cost as usize];
        if let Some(rest) = left.get().checked_sub(amount) {
            left.set(rest);
            Ok(())
        } else {
            left.set(0);
            Err(self.over(cost))
        }
    }

    /// How much is left of something.
    pub fn left(&self, cost: Cost) -> u64 {
        self.left[cost as usize].get()
    }

    /// How much was spent of something.
    pub fn spent(&self, cost: Cost) -> u64 {
        let limit = if cost == Cost::Memory { self.memory_limit() } else { cost.limit() };
        limit.saturating_sub(self.left(cost))
    }

    /// Whether the build has exceeded its budget. Nothing more may be read then, since the memory of what was
    /// read is still in use.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    fn over(&self, cost: Cost) -> Spent {
        self.is_over.set(true);
        if cost == Cost::Memory { Spent::Memory(self.memory_limit()) } else { Spent::Count(cost) }
    }

    /// Reads YAML within the rest of [`Cost::Nodes`], which `read` counts down. If the rest is not used up,
    /// an error of `read` is returned as it is. If the YAML makes the build a large one, it is read again
    /// once it is the build's turn.
    pub fn reading<T, E>(&self, read: impl Fn(&mut usize) -> Result<T, E>) -> Result<Result<T, E>, Spent> {
        if self.memory.is_some() && self.turn.borrow().is_none() {
            let small = LARGE.saturating_sub(self.spent(Cost::Memory)) / Cost::Nodes.weight();
            let most = usize::try_from(small.min(self.left(Cost::Nodes))).unwrap_or(usize::MAX);
            let mut left = most;
            let outcome = read(&mut left);
            if outcome.is_ok() || left > 0 {
                self.spend(Cost::Nodes, most - left)?;
                return Ok(outcome);
            }
            drop(outcome);
            self.take_turn();
        }
        let fit = self.left(Cost::Memory) / Cost::Nodes.weight();
        let (cost, most) = if fit < self.left(Cost::Nodes) {
            (Cost::Memory, fit)
        } else {
            (Cost::Nodes, self.left(Cost::Nodes))
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut left = most;
        let outcome = read(&mut left);
        self.spend(Cost::Nodes, most - left)?;
        if outcome.is_err() && left == 0 { Err(self.over(cost)) } else { Ok(outcome) }
    }

    /// Returns a part of the budget, for a value that was replaced by another.
    pub fn give_back(&self, cost: Cost, amount: u64) {
        for (cost, amount) in [(cost, amount), (Cost::Memory, amount.saturating_mul(cost.weight()))] {
            let left = &self.left[cost as usize];
            let limit = if cost == Cost::Memory { self.memory_limit() } else { cost.limit() };
            left.set(left.get().saturating_add(amount).min(limit));
        }
    }

    /// A budget of which only so much of something is left.
    #[cfg(test)]
    pub(crate) fn with_left(cost: Cost, amount: u64) -> Self {
        let budget = Self::default();
        budget.left[cost as usize].set(amount);
        budget
    }

    /// Spends what it takes to put a value into an object.
    pub fn copy(&self, value: &Value) -> Result<(), Spent> {
        let Size { nodes, bytes } = Size::of(value);
        self.spend(Cost::Copied, nodes)?;
        self.spend(Cost::CopiedBytes, bytes)
    }

    /// Spends what it takes to put a text into an object.
    pub(crate) fn copy_text(&self, text: &str) -> Result<(), Spent> {
        self.spend(Cost::Copied, 1)?;
        self.spend(Cost::CopiedBytes, text.len())
    }
}

/// How large a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    /// Values in it, itself included.
    pub(crate) nodes: usize,
    /// Bytes of its keys and texts.
    pub(crate) bytes: usize,
}

impl Size {
    /// The size of a value.
    pub(crate) fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value);
        size
    }

    fn add(&mut self, value: &Value) {
        self.nodes += 1;
        match value {
            Value::String(text) => self.bytes += text.len(),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(map) => {
                for (key, value) in map {
                    self.bytes += key.len();
                    self.add(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Fails where a value nests deeper than an object may. It looks no deeper than that.
pub(crate) fn check_depth(value: &Value) -> Result<(), Spent> {
    if is_within(value, DEPTH_LIMIT) { Ok(()) } else { Err(Spent::Depth) }
}

fn is_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_within(item, levels - 1)),
        Value::Object(map) => levels > 0 && map.values().all(|value| is_within(value, levels - 1)),
        _ => true,
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(cost) => {
                let (_, limit, _, name) = LIMITS[*cost as usize];
                write!(f, "the build is too expensive: more than {limit} {name}")
            }
            Self::Memory(limit) => {
                write!(f, "the build is too expensive: more than {limit} bytes of memory, by estimate")
            }
            Self::Depth => {
                write!(f, "the build is too expensive: an object nests deeper than {DEPTH_LIMIT} levels")
            }
        }
    }
}

impl std::error::Error for Spent {}

impl From<Spent> for Fault {
    fn from(spent: Spent) -> Self {
        Self::of(FaultCategory::Build, spent.to_string())
    }
}

impl From<Spent> for RenderError {
    fn from(spent: Spent) -> Self {
        Fault::from(spent).into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_cost_has_its_own_limit() {
        for (index, (cost, ..)) in LIMITS.iter().enumerate() {
            assert_eq!(*cost as usize, index);
        }
    }

    #[test]
    fn what_is_spent_stays_spent() {
        let budget = Budget::default();
        assert_eq!(budget.spend(Cost::Folders, 9_999), Ok(()));
        assert_eq!((budget.left(Cost::Folders), budget.spent(Cost::Folders)), (1, 9_999));
        assert_eq!(budget.spend(Cost::Folders, 2), Err(Spent::Count(Cost::Folders)));
        assert_eq!(budget.spend(Cost::Folders, 1), Err(Spent::Count(Cost::Folders)));
        let message = "the build is too expensive: more than 10000 folders that are used";
        assert_eq!(Spent::Count(Cost::Folders).to_string(), message);
    }

    #[test]
    fn what_is_spent_takes_memory_and_gives_it_back() {
        let budget = Budget::default();
        budget.spend(Cost::Nodes, 1_000).unwrap();
        budget.spend(Cost::FileBytes, 10).unwrap();
        assert_eq!(budget.spent(Cost::Memory), 450_030);
        budget.give_back(Cost::Nodes, 1_000);
        assert_eq!(budget.spent(Cost::Memory), 30);
        let budget = Budget::with_left(Cost::Memory, 4_500);
        let read = |most: usize| {
            budget.reading(|left: &mut usize| {
                *left = left.checked_sub(most).ok_or(()).inspect_err(|()| *left = 0)?;
                Ok::<(), ()>(())
            })
        };
        assert_eq!(read(4), Ok(Ok(())));
        assert_eq!(read(7), Err(Spent::Memory(Cost::Memory.limit())));
    }

    /// Counts turns.
    #[derive(Debug)]
    struct Counter(Arc<()>);

    impl Memory for Counter {
        fn limit(&self) -> u64 {
            64 << 20
        }

        fn turn(&self) -> Turn {
            Arc::clone(&self.0) as Turn
        }
    }

    #[test]
    fn a_build_takes_its_turn_once_it_is_large_and_until_it_ends() {
        let turns = Arc::new(());
        let budget = Budget::sharing(Arc::new(Counter(Arc::clone(&turns))));
        // The test and the counter.
        let taken = || Arc::strong_count(&turns) - 2;
        budget.spend(Cost::CopiedBytes, 30 << 20).unwrap();
        assert_eq!(taken(), 0);
        budget.spend(Cost::CopiedBytes, 3 << 20).unwrap();
        budget.spend(Cost::CopiedBytes, 3 << 20).unwrap();
        assert_eq!(taken(), 1);
        assert_eq!(budget.spend(Cost::SubstitutedBytes, 20 << 20), Err(Spent::Memory(64 << 20)));
        drop(budget);
        assert_eq!(Arc::strong_count(&turns), 1);
    }

    #[test]
    fn what_makes_a_build_large_is_read_again_in_its_turn() {
        let turns = Arc::new(());
        let budget = Budget::sharing(Arc::new(Counter(Arc::clone(&turns))));
        let reads = Cell::new(0);
        let outcome = budget.reading(|left: &mut usize| {
            reads.set(reads.get() + 1);
            if *left < 100_000 {
                *left = 0;
                return Err(());
            }
            *left -= 100_000;
            Ok(())
        });
        assert_eq!((outcome, reads.get(), Arc::strong_count(&turns)), (Ok(Ok(())), 2, 3));
        assert_eq!(budget.spent(Cost::Nodes), 100_000);
    }

    #[test]
    fn a_value_may_nest_as_deep_as_the_limit() {
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(check_depth(&nested(DEPTH_LIMIT)), Ok(()));
        assert_eq!(check_depth(&nested(DEPTH_LIMIT + 1)), Err(Spent::Depth));
    }

    #[test]
    fn keys_and_texts_are_the_size_of_a_value() {
        assert_eq!(Size::of(&json!({"ab": ["cd", 1, {"e": null}]})), Size { nodes: 6, bytes: 5 });
    }
}
