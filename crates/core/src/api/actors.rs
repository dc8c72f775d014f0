//! The running controllers of Flux that act on kinds which lockgate does not act on, or leaves to them.

use std::collections::{BTreeMap, BTreeSet};

use super::kind::KindInfo;
use super::kinds::{KINDS, LEFT};
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
        let left = LEFT.iter().find(|(_, kinds)| kinds.contains(&info.id)).map(|(name, _)| *name);
        let name = if info.is_acted_on { left? } else { info.controller };
        self.0.get(name).map(String::as_str)
    }

    /// The kinds that lockgate would act on, and leaves to a running controller.
    pub fn left_kinds(&self) -> BTreeSet<KindId> {
        let left = KINDS.iter().filter(|info| info.is_acted_on && self.of(info).is_some());
        left.map(|info| info.id).collect()
    }

    /// The kinds that neither lockgate nor a running controller acts on.
    pub fn idle_kinds(&self) -> BTreeSet<KindId> {
        let idle = KINDS.iter().filter(|info| !info.is_acted_on && self.of(info).is_none());
        idle.map(|info| info.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::{holds_back, named};
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
        assert_eq!(actors.left_kinds(), BTreeSet::new());
    }

    #[test]
    fn releases_are_left_to_who_makes_them() {
        let kind = |name| named(None, name).unwrap();
        let actors = Actors::new([("flux-system", "helm-controller")]);
        assert_eq!(actors.of(kind("HelmRelease")), Some("flux-system/helm-controller"));
        let left = BTreeSet::from([kind("HelmRelease").id, kind("HelmChart").id]);
        assert_eq!(actors.left_kinds(), left);
        assert_eq!(actors.of(kind("HelmRepository")), None, "lockgate acts on it");
        let held_back = ["source-controller", "kustomize-controller"];
        assert!(held_back.into_iter().all(holds_back));
        assert!(!holds_back("helm-controller") && !holds_back("notification-controller"));
    }
}
