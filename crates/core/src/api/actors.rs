//! The running controllers of Flux that act on kinds which lockgate does not act on.

use std::collections::{BTreeMap, BTreeSet};

use super::kind::KindInfo;
use super::kinds::KINDS;
use lockgate_base::model::KindId;

/// The running controllers of Flux.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actors(BTreeMap<String, String>);

impl Actors {
    /// The controllers of these Deployments, each with its namespace and its name. The first of several with
    /// one name counts.
    pub fn new<N: Into<String>>(deployments: impl IntoIterator<Item = (N, N)>) -> Self {
        let mut controllers = BTreeMap::new();
        for (namespace, name) in deployments {
            let (namespace, name) = (namespace.into(), name.into());
            let path = format!("{namespace}/{name}");
            controllers.entry(name).or_insert(path);
        }
        Self(controllers)
    }

    /// The controller that acts on a kind, as `namespace/name`; `None` if lockgate acts on the kind, or no
    /// controller does.
    pub fn of(&self, info: &KindInfo) -> Option<&str> {
        let path = self.0.get(info.controller).filter(|_| !info.is_acted_on)?;
        Some(path)
    }

    /// The kinds that neither lockgate nor a running controller acts on.
    pub fn idle_kinds(&self) -> BTreeSet<KindId> {
        let idle = KINDS.iter().filter(|info| !info.is_acted_on && self.of(info).is_none());
        idle.map(|info| info.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::named;
    use super::*;

    #[test]
    fn a_kind_is_left_to_its_controller_where_that_runs() {
        let kind = |name| named(None, name).unwrap();
        let actors = Actors::new([
            ("flux-system", "image-automation-controller"),
            ("other", "image-automation-controller"),
            ("flux-system", "kustomize-controller"),
        ]);
        assert_eq!(actors.of(kind("ImageUpdateAutomation")), Some("flux-system/image-automation-controller"));
        assert_eq!(actors.of(kind("Alert")), None);
        assert_eq!(actors.of(kind("Kustomization")), None, "lockgate acts on it");
        let idle = actors.idle_kinds();
        let is_idle = |name| idle.contains(&kind(name).id);
        assert!(is_idle("Alert") && is_idle("Bucket"));
        assert!(
            !is_idle("ImageUpdateAutomation")
                && !is_idle("HelmRelease")
                && !is_idle("Kustomization")
                && !is_idle("GitRepository")
        );
        assert_eq!(Actors::default().idle_kinds().len(), idle.len() + 1);
    }
}
