//! The built objects whose version a release of Kubernetes no longer serves.

use serde_json::Value;

use super::input::warn;
use super::output::CommandError;
use lockgate_base::model::Object;
use lockgate_core::plan::removed;
use lockgate_render::helm::chart::capabilities::KubeVersion;

/// Parses a version of Kubernetes as helm does.
pub(in crate::cli) fn kube_version(version: &str) -> Result<KubeVersion, CommandError> {
    KubeVersion::parse(version)
        .map_err(|error| CommandError::usage(format!("invalid kube version '{version}': {error}")))
}

/// A release of Kubernetes, if `--kube-version` names one.
pub(in crate::cli) struct KubeRelease(Option<u32>);

impl KubeRelease {
    /// Parses `--kube-version`.
    pub(in crate::cli) fn named(version: Option<&str>) -> Result<Self, CommandError> {
        let version = version.map(kube_version).transpose()?;
        Ok(Self(version.and_then(|version| version.minor.parse().ok())))
    }

    /// Warns about objects in versions that the release no longer serves.
    pub(in crate::cli) fn warn<'v>(&self, objects: impl Iterator<Item = &'v Value>) {
        let Some(minor) = self.0 else { return };
        let gone = objects.filter_map(|value| {
            let object = Object::parse(value.clone()).ok()?;
            let removed = removed(&object.gvk()).filter(|removed| removed.since <= minor)?;
            Some(format!("{}: {} is {removed}", object.id().subject(), object.api_version()))
        });
        warn(&gone.collect::<Vec<_>>());
    }
}
