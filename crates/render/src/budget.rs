//! What one build may cost at most. All of it is counted, none of it is timed, so that the same build ends the same way
//! on each machine.

use std::cell::Cell;
use std::fmt;

use serde_json::Value;

use crate::error::{Category, Fault, RenderError};

/// How deep the values of an object may nest. Objects of a cluster stay below 60.
pub const DEPTH_LIMIT: usize = 200;

/// What is counted.
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
}

/// Each cost with its limit and its name in messages. Where values are counted, one takes up about 100 bytes.
const LIMITS: [(Cost, u64, &str); 9] = [
    (Cost::Steps, 50_000_000, "steps of patterns or templates"),
    (Cost::FileBytes, 64 << 20, "bytes of files that are read"),
    (Cost::Nodes, 1_000_000, "values that are read"),
    (Cost::Copied, 1_000_000, "values that are put into objects"),
    (Cost::CopiedBytes, 64 << 20, "bytes that are put into objects"),
    (Cost::SubstitutedBytes, 64 << 20, "bytes of text with substituted variables"),
    (Cost::Objects, 50_000, "objects"),
    (Cost::RenderedBytes, 64 << 20, "bytes of objects that are built"),
    (Cost::Folders, 10_000, "folders that are used"),
];

/// What is left to one build. It is spent by all of its parts, which share it.
#[derive(Debug, Clone)]
pub struct Budget {
    left: [Cell<u64>; LIMITS.len()],
}

/// The budget of a build is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// Something that is counted has reached its limit.
    Count(Cost),
    /// An object would nest deeper than [`DEPTH_LIMIT`].
    Depth,
}

impl Cost {
    /// The most of it that a build may spend.
    pub const fn limit(self) -> u64 {
        LIMITS[self as usize].1
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: LIMITS.map(|(_, limit, _)| Cell::new(limit)) }
    }
}

impl Budget {
    /// Spends an amount of something.
    pub fn spend(&self, cost: Cost, amount: usize) -> Result<(), Spent> {
        let left = &self.left[cost as usize];
        if let Some(rest) = left.get().checked_sub(amount as u64) {
            left.set(rest);
            Ok(())
        } else {
            left.set(0);
            Err(Spent::Count(cost))
        }
    }

    /// How much is left of something.
    pub fn left(&self, cost: Cost) -> u64 {
        self.left[cost as usize].get()
    }

    /// How much was spent of something.
    pub fn spent(&self, cost: Cost) -> u64 {
        cost.limit() - self.left(cost)
    }

    /// Reads YAML with what is left of [`Cost::Nodes`], which `read` counts down. An error of `read` is its own, where
    /// that is not used up.
    pub(crate) fn reading<T, E>(
        &self,
        read: impl FnOnce(&mut usize) -> Result<T, E>,
    ) -> Result<Result<T, E>, Spent> {
        let cell = &self.left[Cost::Nodes as usize];
        let mut left = usize::try_from(cell.get()).unwrap_or(usize::MAX);
        let outcome = read(&mut left);
        cell.set(left as u64);
        if outcome.is_err() && left == 0 { Err(Spent::Count(Cost::Nodes)) } else { Ok(outcome) }
    }

    /// Gives back what was spent for something that took the place of another.
    pub(crate) fn give_back(&self, cost: Cost, amount: u64) {
        let left = &self.left[cost as usize];
        left.set(left.get().saturating_add(amount).min(cost.limit()));
    }

    /// Spends what it takes to put a value into an object.
    pub(crate) fn copy(&self, value: &Value) -> Result<(), Spent> {
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
                let (_, limit, name) = LIMITS[*cost as usize];
                write!(f, "the build is too expensive: more than {limit} {name}")
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
        Self::of(Category::Build, spent.to_string())
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
