//! The fields of a Kustomization's spec that change the kustomization in its folder, in the renderer's types.

use serde_json::Value;

use crate::api::{Image, Json6902Patch, KustomizationSpec, Patch, PatchTarget};
use lockgate_render::kustomize::{self, Overlay, OverlayJson6902, OverlayPatch, Selector};

impl From<&KustomizationSpec> for Overlay {
    fn from(spec: &KustomizationSpec) -> Self {
        Self {
            target_namespace: spec.target_namespace.clone(),
            name_prefix: spec.name_prefix.clone(),
            name_suffix: spec.name_suffix.clone(),
            patches: spec.patches.iter().map(patch).collect(),
            patches_strategic_merge: spec.patches_strategic_merge.clone(),
            patches_json6902: spec.patches_json6902.iter().map(json6902).collect(),
            images: spec.images.iter().map(image).collect(),
            components: spec.components.clone(),
            ignore_missing_components: spec.ignore_missing_components,
            build_metadata: spec.build_metadata.clone(),
        }
    }
}

fn patch(patch: &Patch) -> OverlayPatch {
    OverlayPatch { patch: patch.patch.clone(), target: patch.target.as_ref().map(selector) }
}

fn json6902(patch: &Json6902Patch) -> OverlayJson6902 {
    OverlayJson6902 { patch: Value::Array(patch.patch.clone()), target: selector(&patch.target) }
}

fn image(image: &Image) -> kustomize::Image {
    kustomize::Image {
        name: image.name.clone(),
        new_name: text(image.new_name.as_ref()),
        new_tag: text(image.new_tag.as_ref()),
        digest: text(image.digest.as_ref()),
        ..kustomize::Image::default()
    }
}

fn selector(target: &PatchTarget) -> Selector {
    Selector {
        group: text(target.group.as_ref()),
        version: text(target.version.as_ref()),
        kind: text(target.kind.as_ref()),
        name: text(target.name.as_ref()),
        namespace: text(target.namespace.as_ref()),
        annotation_selector: text(target.annotation_selector.as_ref()),
        label_selector: text(target.label_selector.as_ref()),
    }
}

/// An absent field is an empty text to kustomize.
fn text(field: Option<&String>) -> String {
    field.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The overlay of a decoded object equals the overlay that the renderer reads from the YAML of the
    /// object.
    #[test]
    fn all_that_shapes_a_build_is_carried_over() {
        let target = json!({"group": "apps", "version": "v1", "kind": "Deployment", "name": "a.*", "namespace": "n",
                            "labelSelector": "a=b", "annotationSelector": "c"});
        let written = json!({
            "interval": "1m", "sourceRef": {"kind": "GitRepository", "name": "a"}, "prune": true,
            "targetNamespace": "t", "namePrefix": "p-", "nameSuffix": "-s",
            "patches": [{"patch": "x"}, {"patch": "y", "target": target}],
            "patchesStrategicMerge": [{"kind": "Service"}],
            "patchesJson6902": [{"patch": [{"op": "remove", "path": "/a"}], "target": target}],
            "images": [{"name": "i", "newName": "j", "newTag": "1", "digest": "sha256:00"}],
            "components": ["../c"], "ignoreMissingComponents": true, "buildMetadata": ["originAnnotations"],
        });
        let spec: KustomizationSpec = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(Overlay::from(&spec), Overlay::from_spec(&written).unwrap());
    }
}
