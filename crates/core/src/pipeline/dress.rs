//! Adds to every object, before it is applied, the owner labels, the common metadata, and the namespace that
//! its kind asks for.

use serde_json::Value;

use super::ports::{ApiFailure, Reads, Scope};
use crate::api::{CommonMetadata, Ownership};
use lockgate_base::model::{Object, Ref};

/// Sets the owner labels, and then the common labels and annotations, which win over them.
pub(super) fn dress(
    object: &mut Object,
    ownership: &Ownership,
    owner: &Ref,
    common: Option<&CommonMetadata>,
) {
    ownership.label(object, &owner.namespace, &owner.name);
    let Some(common) = common else { return };
    for (key, value) in &common.labels {
        object.set_label(key, value);
    }
    for (key, value) in &common.annotations {
        object.set_annotation(key, value);
    }
}

/// Removes the namespace from an object whose kind is cluster-scoped. Returns `false`, and leaves the object
/// unchanged, if the cluster does not have the kind yet.
pub(super) async fn place(object: &mut Object, cluster: &impl Reads) -> Result<bool, ApiFailure> {
    if object.namespace().is_none() {
        return Ok(true);
    }
    match cluster.scope(&object.gvk()).await {
        Ok(Scope::Cluster) => {
            take_out(object);
            Ok(true)
        }
        Ok(Scope::Namespaced) => Ok(true),
        Err(ApiFailure::UnknownKind { .. }) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Removes the namespace from an object.
pub(super) fn take_out(object: &mut Object) {
    let edited = object.clone().edit(|value| {
        if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
            metadata.shift_remove("namespace");
        }
    });
    // The edit touched only the namespace, so the result is still an object.
    if let Ok(edited) = edited {
        *object = edited;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{DEFAULT_SOURCE, Kustomization, decode, info};
    use lockgate_base::keys;
    use lockgate_base::model::KindId;

    #[test]
    fn common_metadata_wins_over_owner_labels_as_in_flux() {
        let kustomization: Kustomization = decode(
            &Object::parse(json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "apps", "namespace": "flux-system"},
                "spec": {"interval": "1m", "prune": true, "sourceRef": {"kind": DEFAULT_SOURCE, "name": "r"},
                         "commonMetadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}},
            }))
            .unwrap(),
        )
        .unwrap();
        let mut object =
            Object::parse(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}))
                .unwrap();
        let common = kustomization.spec.common_metadata.as_ref();
        dress(&mut object, Kustomization::OWNERSHIP, &kustomization.reference(), common);
        assert_eq!(object.label(keys::OWNER_NAME), Some("apps"));
        assert_eq!(object.label(keys::OWNER_NAMESPACE), Some("flux-system"));
        assert_eq!((object.label("team"), object.annotation("note")), (Some("a"), Some("b")));
    }

    #[test]
    fn each_kind_of_appliers_labels_what_it_applies_with_labels_of_its_own() {
        for (group, kind, prefix) in [
            ("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomize.toolkit.fluxcd.io"),
            ("helm.toolkit.fluxcd.io", "HelmRelease", "helm.toolkit.fluxcd.io"),
        ] {
            let owner = Ref::new(KindId { group, kind }, "flux-system", "apps");
            let ownership = info(owner.kind).unwrap().ownership().unwrap();
            let mut object =
                Object::parse(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}))
                    .unwrap();
            dress(&mut object, ownership, &owner, None);
            let labels =
                json!({format!("{prefix}/name"): "apps", format!("{prefix}/namespace"): "flux-system"});
            assert_eq!(object.pointer("/metadata/labels"), Some(&labels));
            assert_eq!(ownership.owner_of(&object), Some(owner));
        }
    }
}
