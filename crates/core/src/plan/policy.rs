//! The policies that an object sets for itself: the `kustomize.toolkit.fluxcd.io/*` keys, as a label or an
//! annotation, in any case.

use lockgate_base::keys;
use lockgate_base::model::Object;

/// `kustomize.toolkit.fluxcd.io/ssa`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apply {
    /// Git decides; edits made with kubectl are undone. The default.
    Override,
    /// Git decides about the fields that it sets; fields that others add stay.
    Merge,
    /// The object is created, and left alone once it exists.
    IfNotPresent,
    /// The object is neither applied nor deleted.
    Ignore,
}

/// The treatment of drift: `--drift` of the agent, and [`keys::DRIFT`] on a Kustomization or an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriftPolicy {
    /// Drift is corrected as soon as the watch shows it. The default.
    #[default]
    Watch,
    /// Drift is corrected when all objects are compared, at the interval or at a new revision.
    Interval,
    /// Drift is shown in a condition and a metric, and not corrected.
    Report,
}

impl DriftPolicy {
    /// Reads `watch`, `interval` or `report`, in any case.
    pub fn read(text: &str) -> Option<Self> {
        let known = [("watch", Self::Watch), ("interval", Self::Interval), ("report", Self::Report)];
        known.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, policy)| policy)
    }
}

/// The drift policy that an object or a Kustomization sets.
pub fn drift_policy(object: &Object) -> Option<DriftPolicy> {
    [object.annotation(keys::DRIFT), object.label(keys::DRIFT)]
        .into_iter()
        .flatten()
        .find_map(DriftPolicy::read)
}

/// The apply policy that the object sets.
pub fn apply_policy(object: &Object) -> Apply {
    let says = |value: &str| says(object, keys::SSA, value);
    if says("Ignore") {
        Apply::Ignore
    } else if says("IfNotPresent") {
        Apply::IfNotPresent
    } else if says("Merge") {
        Apply::Merge
    } else {
        Apply::Override
    }
}

/// Whether the object may be deleted and recreated when an immutable field changes.
pub fn is_forced(object: &Object) -> bool {
    says(object, keys::FORCE, "enabled")
}

/// Whether the object is neither applied nor deleted.
pub fn is_reconcile_disabled(object: &Object) -> bool {
    says(object, keys::RECONCILE, "disabled")
}

/// Whether the object is never deleted.
pub(super) fn is_prune_disabled(object: &Object) -> bool {
    says(object, keys::PRUNE, "disabled")
}

fn says(object: &Object, key: &str, value: &str) -> bool {
    [object.label(key), object.annotation(key)]
        .into_iter()
        .flatten()
        .any(|said| said.eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_or_an_annotation_in_any_case() {
        let cases = [
            ("labels", "merge", Apply::Merge),
            ("annotations", "MERGE", Apply::Merge),
            ("annotations", "ifnotpresent", Apply::IfNotPresent),
            ("labels", "Ignore", Apply::Ignore),
            ("labels", "Override", Apply::Override),
            ("labels", "nonsense", Apply::Override),
        ];
        for (map, value, policy) in cases {
            let object =
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", map: {keys::SSA: value}}});
            assert_eq!(apply_policy(&Object::parse(object).unwrap()), policy, "{map} {value}");
        }
    }

    #[test]
    fn the_switches_are_read_by_their_own_key() {
        type Read = fn(&Object) -> bool;
        let switches: [(&str, &str, Read); 3] = [
            (keys::FORCE, "Enabled", is_forced),
            (keys::RECONCILE, "Disabled", is_reconcile_disabled),
            (keys::PRUNE, "DISABLED", is_prune_disabled),
        ];
        for (key, value, read) in switches {
            let with = |value: &str| {
                let object = json!({"apiVersion": "v1", "kind": "A",
                                    "metadata": {"name": "a", "annotations": {key: value}}});
                Object::parse(object).unwrap()
            };
            assert!(read(&with(value)), "{key}");
            assert!(!read(&with("other")), "{key}");
            for (other, _, read_other) in switches.iter().filter(|(other, ..)| *other != key) {
                assert!(!read_other(&with(value)), "{other} read from {key}");
            }
        }
    }
}
