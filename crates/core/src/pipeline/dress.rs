//! What every object is given before it is applied: owner labels, common metadata, and the namespace that its kind asks for.

use serde_json::Value;

use super::ports::{ApiFailure, Reads, Scope};
use crate::api::Kustomization;
use lockgate_base::keys;
use lockgate_base::model::Object;

/// Sets the owner labels and then, so that they win, the labels and annotations of `spec.commonMetadata`.
pub(super) fn dress(object: &mut Object, kustomization: &Kustomization) {
    object.set_label(keys::OWNER_NAME, &kustomization.metadata.name);
    object.set_label(keys::OWNER_NAMESPACE, &kustomization.metadata.namespace);
    let Some(common) = &kustomization.spec.common_metadata else { return };
    for (key, value) in &common.labels {
        object.set_label(key, value);
    }
    for (key, value) in &common.annotations {
        object.set_annotation(key, value);
    }
}

/// Takes the namespace off an object whose kind has none. A kind that the cluster does not have yet is left as it is.
pub(super) async fn place(object: Object, cluster: &impl Reads) -> Result<Object, ApiFailure> {
    if object.namespace().is_none() {
        return Ok(object);
    }
    match cluster.scope(&object.gvk()).await {
        Ok(Scope::Cluster) => {
            let edited = object.clone().edit(|value| {
                if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
                    metadata.shift_remove("namespace");
                }
            });
            // Nothing but the namespace was touched, so it is still an object.
            Ok(edited.unwrap_or(object))
        }
        Ok(Scope::Namespaced) | Err(ApiFailure::UnknownKind { .. }) => Ok(object),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::decode;

    #[test]
    fn common_metadata_wins_over_owner_labels_as_in_flux() {
        let kustomization: Kustomization = decode(
            &Object::parse(json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "apps", "namespace": "flux-system"},
                "spec": {"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "r"},
                         "commonMetadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}},
            }))
            .unwrap(),
        )
        .unwrap();
        let mut object =
            Object::parse(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}))
                .unwrap();
        dress(&mut object, &kustomization);
        assert_eq!(object.label(keys::OWNER_NAME), Some("apps"));
        assert_eq!(object.label(keys::OWNER_NAMESPACE), Some("flux-system"));
        assert_eq!((object.label("team"), object.annotation("note")), (Some("a"), Some("b")));
    }
}
