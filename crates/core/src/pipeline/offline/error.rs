//! The result of an offline build, and the reasons why one fails.

use crate::api;
use crate::api::{HelmRelease, Kustomization};
use crate::graph::Cycle;
use crate::pipeline::RenderedHook;
use lockgate_base::model::{Digest, Object, Ref};
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

/// The build of one Kustomization or HelmRelease, or of the requested folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BuiltSet {
    /// `Kustomization/namespace/name in FILE`, or the folder.
    pub subject: String,
    /// Whose objects these are.
    pub owner: BuiltOwner,
    /// The objects in order, each with its file.
    pub resources: Vec<RenderedObject>,
    /// The digest of the build, as the agent records it of a Kustomization.
    pub digest: Option<Digest>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// Whose objects are built.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum BuiltOwner {
    /// A folder's.
    #[default]
    Folder,
    /// A Kustomization's.
    Kustomization(Box<Kustomization>),
    /// A HelmRelease's.
    Release(Box<BuiltRelease>),
    /// Nobody's: what would be built is elsewhere, and a warning says where.
    LeftOut(Ref),
}

/// What is known of a rendered HelmRelease beside its objects.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltRelease {
    /// The HelmRelease.
    pub release: HelmRelease,
    /// `name@version` of its chart.
    pub chart: String,
    /// How many of the objects, which come first, are of its `crds/`.
    pub definitions: usize,
    /// The hooks, in the order of their kinds.
    pub hooks: Vec<RenderedHook>,
    /// The values that the chart makes anew at each render, each with its object; they are
    /// [`ANEW`](super::ANEW) in the objects. None where chance was given.
    pub anew: Vec<String>,
}

impl BuiltSet {
    /// The Kustomization, if it is one.
    pub fn kustomization(&self) -> Option<&Kustomization> {
        match &self.owner {
            BuiltOwner::Kustomization(kustomization) => Some(kustomization),
            _ => None,
        }
    }

    /// The hooks, if it is a HelmRelease.
    pub fn hooks(&self) -> &[RenderedHook] {
        match &self.owner {
            BuiltOwner::Release(built) => &built.hooks,
            _ => &[],
        }
    }
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
    /// Objects that wait for each other.
    #[error("{subject}: dependsOn is a {cycle}")]
    Cycle {
        /// `Kustomization/namespace/name in FILE`, or the folder.
        subject: String,
        /// All members.
        cycle: Cycle,
    },
    /// Objects nested too deeply in each other's builds.
    #[error("{subject}: Kustomizations and HelmReleases are nested deeper than {limit}")]
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
    /// A HelmRelease cannot be rendered.
    #[error("{subject}: {message}")]
    Release {
        /// `HelmRelease/namespace/name in FILE`.
        subject: String,
        /// The cause.
        message: String,
    },
    /// The chart of a HelmRelease is not at hand.
    #[error("{subject}: {message}")]
    NoChart {
        /// `HelmRelease/namespace/name in FILE`.
        subject: String,
        /// The chart, and how it is to be had.
        message: String,
    },
    /// There is no object of that kind and name.
    #[error("there is no {kind} '{name}' in {}", if .folder.is_empty() { "the tree" } else { .folder })]
    NotFound {
        /// The kind.
        kind: &'static str,
        /// The requested name.
        name: String,
        /// The folder of the search.
        folder: String,
    },
    /// There is more than one.
    #[error("there is more than one {kind} '{name}': {}; name a file, or the folder it is in", .files.join(", "))]
    Ambiguous {
        /// The kind.
        kind: &'static str,
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
