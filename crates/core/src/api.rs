//! The kinds of Flux: their fields in every served version. There is one file for each kind, and one table of
//! all kinds.
//!
//! All versions of a kind share one schema, the union of their fields, so an object is read the same
//! whichever version it was written in, and nothing is lost by storing it. Fields and defaults: Flux 2.9
//! `api/` types and the removed versions before it.

mod metadata;
mod reference;
mod ownership;
mod malformed;
mod status;
mod source;
mod kind;
mod decode;
mod kinds;
mod actors;
pub mod crd;
mod unknown;
#[cfg(test)]
pub(crate) mod tests;

pub use actors::Actors;
pub use decode::decode;
pub use kind::{Column, Grant, Kind, KindInfo, Resource, Role};
pub use kinds::git_repository::{GitReference, GitRepository, GitRepositorySpec, PROVIDER_GITHUB};
pub use kinds::helm_chart::{HelmChart, HelmChartSpec, ReconcileStrategy};
pub use kinds::helm_release::actions::{
    CrdsPolicy, Install, RemediationStrategy, Rollback, TestAction, Uninstall, Upgrade,
};
pub use kinds::helm_release::chart::is_as_wanted;
pub use kinds::helm_release::remedy::Remedy;
pub use kinds::helm_release::status::{HelmReleaseStatus, ReleaseSnapshot};
pub use kinds::helm_release::values::{DriftMode, KustomizeRenderer, PostRenderer, ValuesFrom};
pub use kinds::helm_release::{ChartTemplate, ChartTemplateSpec, HelmRelease, HelmReleaseSpec};
pub use kinds::helm_repository::{HelmRepository, HelmRepositorySpec, RepositoryType};
pub use kinds::kustomization::{
    CommonMetadata, Decryption, DeletionPolicy, DependsOn, HealthCheck, HealthCheckExpr, HistoryEntry,
    IgnoreRule, Image, InventoryEntry, InventoryStatus, Json6902Patch, Kustomization, KustomizationSpec,
    KustomizationStatus, Patch, PatchTarget, PostBuild, SubstituteFrom, SubstituteStrategy, folder,
};
pub use kinds::oci_repository::{OciReference, OciRepository, OciRepositorySpec};
pub use kinds::{
    KINDS, acted_on, built_from, decode_source, defined_by, either, holds_back, info, is_rival, named,
    source, sources,
};
pub use malformed::Malformed;
pub use metadata::Metadata;
pub(crate) use metadata::null_as_default;
pub use ownership::Ownership;
pub use reference::{DEFAULT_SOURCE, LocalReference, SourceReference};
pub use source::{
    Artifact, LayerOperation, LayerSelector, Selection, Source, SourceInfo, SourceSpec, SourceStatus,
    Verification,
};
pub use status::Status;
pub use unknown::unknown;
