//! The result of an offline build, and the reasons why one fails.

use crate::api;
use crate::api::Kustomization;
use crate::graph::Cycle;
use lockgate_base::model::{Digest, Object};
use lockgate_render::budget::Spent;
use lockgate_render::substitute::SubstituteError;
use lockgate_render::{RenderError, RenderedObject};

/// An object and its file in the tree; the file's name is empty if it is unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct LocatedObject {
    /// Path of the file.
    pub file: String,
    /// The object.
    pub object: Object,
}

/// The build of one Kustomization, or of the requested folder.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltKustomization {
    /// `Kustomization/namespace/name in FILE`, or the folder.
    pub subject: String,
    /// The Kustomization; `None` for a folder.
    pub kustomization: Option<Box<Kustomization>>,
    /// The objects in order, each with its file.
    pub resources: Vec<RenderedObject>,
    /// The digest of the build, as the agent records it; `None` for a folder.
    pub digest: Option<Digest>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// Why something cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The files do not build.
    #[error("{subject}: {error}")]
    Render {
        /// `Kustomization/namespace/name in FILE`, or the folder.
        subject: String,
        /// The cause.
        error: RenderError,
    },
    /// The object is no valid Kustomization.
    #[error("{file}{}{error}", if .file.is_empty() { "" } else { ": " })]
    Malformed {
        /// Path of the file.
        file: String,
        /// The object, and its mistake.
        error: api::Malformed,
    },
    /// The values cannot be substituted.
    #[error("{subject}: {error}")]
    Substitute {
        /// `Kustomization/namespace/name in FILE`, or the folder.
        subject: String,
        /// The cause.
        error: SubstituteError,
    },
    /// Values that cannot be read.
    #[error("{subject}: {message}")]
    Values {
        /// `Kustomization/namespace/name in FILE`, or the folder.
        subject: String,
        /// The cause.
        message: String,
    },
    /// Values that are referred to and missing.
    #[error(
        "{subject}: substitute from {}: not found in the tree, or there more than once; give it with --substitute-from, or \
         build with --recursive the folder that makes it",
        .missing.join(", ")
    )]
    MissingValues {
        /// `Kustomization/namespace/name in FILE`, or the folder.
        subject: String,
        /// `Kind/name` of each.
        missing: Vec<String>,
    },
    /// Kustomizations that wait for each other.
    #[error("{subject}: dependsOn is a {cycle}")]
    Cycle {
        /// `Kustomization/namespace/name in FILE`, or the folder.
        subject: String,
        /// All members.
        cycle: Cycle,
    },
    /// Kustomizations nested too deeply in each other's builds.
    #[error("{subject}: Kustomizations are nested deeper than {limit}")]
    TooDeep {
        /// `Kustomization/namespace/name in FILE`, or the folder.
        subject: String,
        /// The limit.
        limit: usize,
    },
    /// The tree has more objects of a kind than can be searched.
    #[error("{file}: {spent}")]
    TooLarge {
        /// The file that was too much.
        file: String,
        /// The exceeded limit.
        spent: Spent,
    },
    /// There is no Kustomization of that name.
    #[error("there is no Kustomization '{name}' in {}", if .folder.is_empty() { "the tree" } else { .folder })]
    NotFound {
        /// The requested name.
        name: String,
        /// The folder of the search.
        folder: String,
    },
    /// There is more than one.
    #[error("there is more than one Kustomization '{name}': {}; name a file, or the folder it is in", .files.join(", "))]
    Ambiguous {
        /// The requested name.
        name: String,
        /// Their files.
        files: Vec<String>,
    },
}

/// The unknown fields of an object of Flux's kinds: a line for each.
pub fn oddities(found: &LocatedObject) -> Vec<String> {
    let subject = subject(found);
    api::unknown(&found.object).into_iter().map(|line| format!("{subject}: {line}")).collect()
}

/// [`oddities`] of built objects.
pub(super) fn oddities_of(resources: &[RenderedObject]) -> Vec<String> {
    let found =
        |built: &RenderedObject| LocatedObject { file: built.origin.clone(), object: built.object.clone() };
    // Most objects are of no kind of Flux, and are not copied.
    let odd = resources.iter().filter(|built| !api::unknown(&built.object).is_empty());
    odd.flat_map(|built| oddities(&found(built))).collect()
}

/// `Kustomization/namespace/name in FILE`.
pub(super) fn subject(found: &LocatedObject) -> String {
    let subject = found.object.id().subject();
    if found.file.is_empty() { subject } else { format!("{subject} in {}", found.file) }
}
