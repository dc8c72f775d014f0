//! Builds the Kustomizations and HelmReleases of a tree without a cluster. The values to substitute, which
//! the agent would read from the cluster, come from the caller, from earlier builds, and from the tree.

mod error;
mod search;
mod values;
mod one;
mod sources;
mod charts;
mod anew;
mod release;
mod walk;
mod parent;
mod dropped;
#[cfg(test)]
mod tests;

pub use anew::ANEW;
pub use charts::{ChartWish, Charts, NoChart, ReleaseSetting};
pub use dropped::fate;
pub use error::{BuiltOwner, BuiltRelease, BuiltSet, LocatedObject, OfflineError, oddities};
pub use one::{completed, kustomization};
pub use parent::hints;
pub use release::helm_release;
pub use search::{find, values_in};
pub use values::{Nowhere, SubstituteValues, data_in};
pub use walk::{Platform, Start, recursive};
