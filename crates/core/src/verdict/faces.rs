//! The faces of the kinds: one file a kind.

pub(super) mod helm_release;
pub(super) mod kustomization;
pub(super) mod source;
