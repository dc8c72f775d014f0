//! Selects the objects to delete: managed objects that the build no longer contains, with Flux's guards and
//! one more.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::flux;
use super::inventory::Inventory;
use super::policy::{self, Apply};
use super::stages::sort_ids;
use crate::api::{self, Ownership};
use lockgate_base::keys;
use lockgate_base::model::{Object, ObjectId, Ref};

/// A build that became empty may delete this many objects without permission.
const EMPTY_BUILD_LIMIT: usize = 10;

/// The objects that are in the inventory and not in the build, in the order of deletion: the reverse order of
/// applying.
pub fn prune(build: &[ObjectId], inventory: &Inventory) -> Vec<ObjectId> {
    let wanted: HashSet<&ObjectId> = build.iter().collect();
    let mut stale: Vec<ObjectId> =
        inventory.iter().map(|(id, _)| id).filter(|id| !wanted.contains(id)).cloned().collect();
    sort_ids(&mut stale);
    stale.reverse();
    stale
}

/// A build that became empty and would delete everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneRefused {
    /// The number of objects that would be deleted.
    pub count: usize,
}

/// Refuses to delete more than ten objects because a build became empty: a moved folder looks the same.
/// `annotations` are those of the Kustomization.
pub fn check_prune(
    build: &[ObjectId],
    inventory: &Inventory,
    annotations: &BTreeMap<String, String>,
) -> Result<(), PruneRefused> {
    let count = inventory.len();
    let allowed = annotations.get(keys::PRUNE_ALL).is_some_and(|value| value.eq_ignore_ascii_case("allowed"));
    if build.is_empty() && count > EMPTY_BUILD_LIMIT && !allowed {
        return Err(PruneRefused { count });
    }
    Ok(())
}

/// Whether an object may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneDecision {
    /// It may be deleted.
    Delete {
        /// The uid of the object that was read, so that no other object of that name is deleted.
        uid: String,
    },
    /// It stays.
    Skip(PruneSkip),
}

/// Why an object is not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneSkip {
    /// Its labels name another owner of the same kind.
    OwnedBy(Ref),
    /// Helm's annotations name another release, as `namespace/name`.
    ReleasedBy(String),
    /// It has no owner's labels.
    NotOwned,
    /// `kustomize.toolkit.fluxcd.io/prune: disabled`.
    PruneDisabled,
    /// `kustomize.toolkit.fluxcd.io/reconcile: disabled`.
    ReconcileDisabled,
    /// `kustomize.toolkit.fluxcd.io/ssa: Ignore`.
    Ignored,
    /// It is a part of Flux that lockgate replaces, or defines a kind of Flux: all objects of that kind would
    /// be lost with it.
    Flux,
    /// It is the namespace of its owner.
    Home,
    /// It is the owner itself, its source, an origin of its values or rights, the namespace of one of these,
    /// or would take objects with it that the owner still builds.
    Needed,
    /// The API server creates it itself, or refuses its deletion.
    Permanent,
    /// Another owner manages it, or objects that would be deleted with it; `None` for an owner in another
    /// namespace, which must not be named.
    HeldBy(Option<Ref>),
    /// Another owner takes its files, values or rights from it, or is in it; `None` for an owner in another
    /// namespace.
    NeededBy(Option<Ref>),
}

impl PruneSkip {
    /// Whether people would expect its deletion: it belongs to the owner, and nobody has asked for it to
    /// stay.
    pub const fn is_told(&self) -> bool {
        matches!(self, Self::Home | Self::Needed | Self::Permanent | Self::HeldBy(_) | Self::NeededBy(_))
    }
}

impl fmt::Display for PruneSkip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnedBy(owner) => write!(f, "it is owned by {}", owner.path()),
            Self::ReleasedBy(release) => write!(f, "it belongs to the Helm release {release}"),
            Self::NotOwned => f.write_str("it carries no owner's labels"),
            Self::PruneDisabled => write!(f, "{}: disabled", keys::PRUNE),
            Self::ReconcileDisabled => write!(f, "{}: disabled", keys::RECONCILE),
            Self::Ignored => write!(f, "{}: Ignore", keys::SSA),
            Self::Flux => f.write_str("it is a part of Flux that lockgate replaces or needs"),
            Self::Home => f.write_str("its owner lives in this namespace and would be deleted with it"),
            Self::Needed => f.write_str("its owner needs it"),
            Self::Permanent => f.write_str("it belongs to the API server itself"),
            Self::HeldBy(Some(owner)) => write!(
                f,
                "{owner} manages it, or objects that would be deleted \
                with it"
            ),
            Self::HeldBy(None) => f.write_str(
                "an owner in another namespace manages it, or objects that would be deleted \
                    with it",
            ),
            Self::NeededBy(Some(owner)) => write!(f, "{owner} needs it"),
            Self::NeededBy(None) => f.write_str("an owner in another namespace needs it"),
        }
    }
}

/// The owner in whose name objects are deleted, and the objects to spare.
#[derive(Debug, Clone, Copy)]
pub struct Pruner<'a> {
    /// The owner.
    pub owner: &'a Ref,
    /// The ownership marks of its objects.
    pub ownership: &'a Ownership,
    /// The objects that the owner needs; none if the owner itself is being deleted.
    pub needs: &'a HashSet<ObjectId>,
    /// The namespace and the name of the Helm release whose objects they are; `None` for objects of no
    /// release. Helm itself sets no owner's labels, so its annotations tell the owner of such an object.
    pub release: Option<(&'a str, &'a str)>,
}

/// Whether a live object may be deleted in its owner's name. The live object decides, not the stored
/// inventory: an editor of a status must not be able to have other objects deleted.
pub fn prune_decision(live: &Object, pruner: Pruner<'_>) -> PruneDecision {
    match (stays(live, pruner), live.text("/metadata/uid")) {
        (Some(skip), _) => PruneDecision::Skip(skip),
        (None, Some(uid)) => PruneDecision::Delete { uid: uid.to_owned() },
        // Only an answer of the server has a uid; any other object belongs to nobody.
        (None, None) => PruneDecision::Skip(PruneSkip::NotOwned),
    }
}

/// Why an object may not be deleted for its owner; `None` if it may.
pub fn stays(live: &Object, pruner: Pruner<'_>) -> Option<PruneSkip> {
    let Pruner { owner, ownership, needs, release } = pruner;
    let released = live.annotation(keys::RELEASE_NAMESPACE).zip(live.annotation(keys::RELEASE_NAME));
    if let (Some(own), Some(other)) = (release, released)
        && own != other
    {
        return Some(PruneSkip::ReleasedBy(format!("{}/{}", other.0, other.1)));
    }
    let by_helm = || released.filter(|_| released == release).map(|_| owner.clone());
    match ownership.owner_of(live).or_else(by_helm) {
        None => Some(PruneSkip::NotOwned),
        Some(other) if other != *owner => Some(PruneSkip::OwnedBy(other)),
        Some(_) if policy::is_prune_disabled(live) => Some(PruneSkip::PruneDisabled),
        Some(_) if policy::is_reconcile_disabled(live) => Some(PruneSkip::ReconcileDisabled),
        Some(_) if policy::apply_policy(live) == Apply::Ignore => Some(PruneSkip::Ignored),
        Some(_) if flux::is_replaced(live) || api::defined_by(live).is_some() => Some(PruneSkip::Flux),
        Some(owner) if (live.group(), live.kind()) == ("", "Namespace") && live.name() == owner.namespace => {
            Some(PruneSkip::Home)
        }
        Some(_) if needs.contains(&live.id()) => Some(PruneSkip::Needed),
        Some(_) if is_permanent(live) => Some(PruneSkip::Permanent),
        Some(_) => None,
    }
}

/// Whether the API server creates the object itself or refuses its deletion. Source: kube-apiserver's
/// admission plugin `NamespaceLifecycle`, and the objects that its start hooks create.
fn is_permanent(object: &Object) -> bool {
    match (object.group(), object.kind()) {
        ("", "Namespace") => {
            matches!(object.name(), "default" | "kube-system" | "kube-public" | "kube-node-lease")
        }
        ("", "Service") => (object.namespace(), object.name()) == (Some("default"), "kubernetes"),
        ("rbac.authorization.k8s.io", _) => {
            object.label("kubernetes.io/bootstrapping") == Some("rbac-defaults")
                || object.name().starts_with("system:")
        }
        ("scheduling.k8s.io", "PriorityClass") => object.name().starts_with("system-"),
        ("flowcontrol.apiserver.k8s.io", _) => matches!(object.name(), "exempt" | "catch-all"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{HelmRelease, Kustomization};

    fn ids(text: &str) -> Vec<ObjectId> {
        text.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    fn decided(live: &Object, owner: &Ref, needs: &HashSet<ObjectId>) -> PruneDecision {
        prune_decision(live, Pruner { owner, ownership: Kustomization::OWNERSHIP, needs, release: None })
    }

    fn inventory(text: &str) -> Inventory {
        ids(text).into_iter().map(|id| (id, "v1".to_owned())).collect()
    }

    #[test]
    fn what_is_no_longer_built_goes_in_reverse_order() {
        let old = inventory("_n__Namespace n_a_apps_Deployment n_b__ConfigMap n_c__Service n_d_x.io_Thing");
        let print = |ids: Vec<ObjectId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(
            print(prune(&ids("n_b__ConfigMap"), &old)),
            "n_d_x.io_Thing n_a_apps_Deployment n_c__Service _n__Namespace"
        );
        assert_eq!(print(prune(&ids("n_new__ConfigMap"), &inventory("n_b__ConfigMap"))), "n_b__ConfigMap");
    }

    #[test]
    fn an_empty_build_deletes_ten_objects_at_most() {
        let old = |count: usize| {
            (0..count).map(|n| (ids(&format!("n_c{n}__ConfigMap"))[0].clone(), "v1".into())).collect()
        };
        let says = |value: &str| BTreeMap::from([(keys::PRUNE_ALL.to_owned(), value.to_owned())]);
        let built = ids("n_new__ConfigMap");
        let cases = [
            (&[][..], 10, BTreeMap::new(), Ok(())),
            (&[], 11, BTreeMap::new(), Err(PruneRefused { count: 11 })),
            (&[], 11, says("no"), Err(PruneRefused { count: 11 })),
            (&[], 11, says("Allowed"), Ok(())),
            (&built, 100, BTreeMap::new(), Ok(())),
        ];
        for (build, count, annotations, verdict) in cases {
            assert_eq!(check_prune(build, &old(count), &annotations), verdict, "{count} {annotations:?}");
        }
    }

    #[test]
    fn the_live_object_decides() {
        let live = |extra: Value| {
            let mut labels = json!({keys::OWNER_NAME: "app", keys::OWNER_NAMESPACE: "flux-system"});
            let mut annotations = json!({});
            for (key, value) in extra.as_object().unwrap() {
                let map = if key.starts_with("kustomize.toolkit.fluxcd.io/n") {
                    &mut labels
                } else {
                    &mut annotations
                };
                map[key] = value.clone();
            }
            let metadata = json!({"name": "a", "uid": "u", "labels": labels, "annotations": annotations});
            Object::parse(json!({"apiVersion": "v1", "kind": "A", "metadata": metadata})).unwrap()
        };
        let bare = json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "uid": "u"}});
        let owner = Kustomization::named("flux-system", "app");
        let other = Kustomization::named("flux-system", "other");
        let cases = [
            (live(json!({})), PruneDecision::Delete { uid: "u".into() }),
            (live(json!({keys::OWNER_NAME: "other"})), PruneDecision::Skip(PruneSkip::OwnedBy(other))),
            (Object::parse(bare).unwrap(), PruneDecision::Skip(PruneSkip::NotOwned)),
            (live(json!({keys::PRUNE: "Disabled"})), PruneDecision::Skip(PruneSkip::PruneDisabled)),
            (live(json!({keys::RECONCILE: "disabled"})), PruneDecision::Skip(PruneSkip::ReconcileDisabled)),
            (live(json!({keys::SSA: "ignore"})), PruneDecision::Skip(PruneSkip::Ignored)),
        ];
        for (object, decision) in cases {
            assert_eq!(decided(&object, &owner, &HashSet::new()), decision);
        }
    }

    /// A repository of `flux bootstrap` contains all of these, and Git may drop them in a moment.
    #[test]
    fn what_the_owner_itself_lives_by_is_not_deleted() {
        let cases = [
            ("v1", "Namespace", "flux-system", Some(PruneSkip::Home)),
            ("v1", "Namespace", "apps", None),
            ("v1", "ConfigMap", "flux-system", None),
            ("apps/v1", "Deployment", "source-controller", Some(PruneSkip::Flux)),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "kustomizations.kustomize.toolkit.fluxcd.io",
                Some(PruneSkip::Flux),
            ),
        ];
        for (api_version, kind, name, skip) in cases {
            let labels = json!({keys::OWNER_NAME: "app", keys::OWNER_NAMESPACE: "flux-system",
                                "app.kubernetes.io/part-of": "flux", "app.kubernetes.io/name": "lockgate"});
            let metadata = json!({"name": name, "uid": "u", "labels": labels});
            let live = Object::parse(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}));
            let expected = skip.map_or(PruneDecision::Delete { uid: "u".into() }, PruneDecision::Skip);
            assert_eq!(
                decided(&live.unwrap(), &Kustomization::named("flux-system", "app"), &HashSet::new()),
                expected,
                "{kind} {name}"
            );
        }
    }

    #[test]
    fn the_marks_of_helm_tell_the_objects_of_a_release() {
        let owner = Ref::new(HelmRelease::ID, "flux-system", "app");
        let (name, namespace) = (HelmRelease::OWNERSHIP.name_label, HelmRelease::OWNERSHIP.namespace_label);
        let own = || json!({name: "app", namespace: "flux-system"});
        let of = |release: &str| json!({keys::RELEASE_NAME: release, keys::RELEASE_NAMESPACE: "shop"});
        let deleted = PruneDecision::Delete { uid: "u".into() };
        let stays = PruneDecision::Skip;
        let cases = [
            (own(), of("web"), deleted.clone()),
            (own(), json!({}), deleted.clone()),
            (json!({}), of("web"), deleted),
            (json!({}), json!({}), stays(PruneSkip::NotOwned)),
            (json!({}), json!({keys::RELEASE_NAME: "web"}), stays(PruneSkip::NotOwned)),
            (own(), of("other"), stays(PruneSkip::ReleasedBy("shop/other".into()))),
            (
                json!({name: "other", namespace: "flux-system"}),
                of("web"),
                stays(PruneSkip::OwnedBy(Ref::new(HelmRelease::ID, "flux-system", "other"))),
            ),
        ];
        for (labels, annotations, expected) in cases {
            let metadata = json!({"name": "a", "uid": "u", "labels": labels, "annotations": annotations});
            let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
            let (live, needs) = (Object::parse(live).unwrap(), HashSet::new());
            let release = Some(("shop", "web"));
            let pruner = Pruner { owner: &owner, ownership: HelmRelease::OWNERSHIP, needs: &needs, release };
            assert_eq!(prune_decision(&live, pruner), expected, "{}", live.value());
        }
    }

    #[test]
    fn what_the_owner_needs_and_what_the_server_keeps_stay() {
        let needs = HashSet::from_iter(ids("_sources__Namespace n_key__Secret"));
        let owner = Kustomization::named("flux-system", "app");
        let system = "rbac.authorization.k8s.io/v1";
        let cases = [
            ("v1", "Secret", Some("n"), "key", Some(PruneSkip::Needed)),
            ("v1", "Secret", Some("other"), "key", None),
            ("v1", "Namespace", None, "sources", Some(PruneSkip::Needed)),
            ("v1", "Namespace", None, "kube-system", Some(PruneSkip::Permanent)),
            ("v1", "Service", Some("default"), "kubernetes", Some(PruneSkip::Permanent)),
            ("v1", "Service", Some("apps"), "kubernetes", None),
            (system, "ClusterRole", None, "system:node", Some(PruneSkip::Permanent)),
            (system, "ClusterRole", None, "systematic", None),
        ];
        for (api_version, kind, namespace, name, skip) in cases {
            let labels = json!({keys::OWNER_NAME: "app", keys::OWNER_NAMESPACE: "flux-system"});
            let mut metadata = json!({"name": name, "uid": "u", "labels": labels});
            if let Some(namespace) = namespace {
                metadata["namespace"] = namespace.into();
            }
            let live = Object::parse(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}));
            let expected = skip.map_or(PruneDecision::Delete { uid: "u".into() }, PruneDecision::Skip);
            assert_eq!(decided(&live.unwrap(), &owner, &needs), expected, "{kind} {name}");
        }
    }
}
