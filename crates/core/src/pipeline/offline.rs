//! Builds the Kustomizations of a tree without a cluster. The values to substitute, which the agent would
//! read from the cluster, come from the caller, from earlier builds, and from the tree.

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
