//! Builds Kustomizations of a tree with no cluster at hand. What the agent would read from the cluster, the
//! values to substitute, comes from the caller, from what was built before, and from the tree.

mod error;
mod search;
mod values;
mod one;
mod sources;
mod walk;
mod parent;
mod dropped;
#[cfg(test)]
mod tests;

pub use dropped::fate;
pub use error::{BuiltKustomization, LocatedObject, OfflineError, oddities};
pub use one::{completed, kustomization};
pub use parent::hints;
pub use search::{find, values_in};
pub use values::{Nowhere, SubstituteValues};
pub use walk::{Platform, Start, recursive};
