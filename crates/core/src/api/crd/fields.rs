//! The constraints that Flux's schemas put on fields which the serde types hold as plain values, and the
//! fields of older versions that lockgate stores but never reads. The source is Flux 2.9's definitions and
//! those of the removed versions.

use serde_json::{Value, json};

/// A field, and the change that is laid over its schema.
pub(super) type Override = (&'static str, fn() -> Value);

/// `Kustomization`.
pub(super) const KUSTOMIZATION: &[Override] = &[
    ("spec/force", || json!({"default": false})),
    ("spec/postBuild/substituteFrom/[]/optional", || json!({"default": false})),
    ("spec/buildMetadata/[]", || json!({"enum": ["originAnnotations", "transformerAnnotations"]})),
    ("spec/kubeConfig", kube_config),
    ("spec/ignore/[]", ignore_rule),
    ("spec/patchesStrategicMerge/[]", || json!({"x-kubernetes-preserve-unknown-fields": true})),
    ("spec/patchesJson6902/[]/patch/[]", json6902_operation),
    ("spec/validation", || json!({"enum": ["none", "client", "server"]})),
    ("status/conditions", conditions),
    // v1beta1 kept its inventory here.
    ("status/snapshot", || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
];

/// Git repositories.
pub(super) const GIT_REPOSITORY: &[Override] = &[
    ("spec/timeout", || json!({"default": "60s"})),
    ("spec/verify", verify),
    ("spec/include/[]", include),
    ("spec/accessFrom", access_from),
    ("spec/gitImplementation", || json!({"enum": ["go-git", "libgit2"]})),
    ("status/conditions", conditions),
    ("status/artifact/digest", || json!({"pattern": "^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"})),
    ("status/artifact/checksum", || json!({"type": "string"})),
    ("status/includedArtifacts", || json!({"type": "array", "items": open_object()})),
    ("status/observedInclude", || json!({"type": "array", "items": open_object()})),
    ("status/observedRecurseSubmodules", || json!({"type": "boolean"})),
    ("status/observedSparseCheckout", || json!({"type": "array", "items": {"type": "string"}})),
    ("status/sourceVerificationMode", || json!({"type": "string"})),
    ("status/contentConfigChecksum", || json!({"type": "string"})),
    ("status/url", || json!({"type": "string"})),
];

fn open_object() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn reference(description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "required": ["name"],
        "properties": {"name": {"type": "string", "description": "Name of the referent."}},
    })
}

fn kube_config() -> Value {
    let message =
        "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified";
    json!({
        "type": "object",
        "properties": {
            "configMapRef": reference("A ConfigMap with the login at the cluster's provider."),
            "secretRef": {
                "type": "object",
                "description": "A Secret with a kubeconfig.",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "description": "Name of the Secret."},
                    "key": {"type": "string", "description": "Key in the Secret. Defaults to `value`."},
                },
            },
        },
        "x-kubernetes-validations": [
            {"rule": "has(self.configMapRef) || has(self.secretRef)", "message": message},
            {"rule": "!has(self.configMapRef) || !has(self.secretRef)", "message": message},
        ],
    })
}

fn ignore_rule() -> Value {
    let text = || json!({"type": "string"});
    json!({
        "type": "object",
        "required": ["paths"],
        "properties": {
            "paths": {"type": "array", "description": "The fields, as JSON pointers (RFC 6901).", "items": {"type": "string"}},
            "target": {
                "type": "object",
                "description": "The objects with these fields. Defaults to all.",
                "properties": {
                    "group": text(), "version": text(), "kind": text(), "name": text(), "namespace": text(),
                    "labelSelector": text(), "annotationSelector": text(),
                },
            },
        },
    })
}

fn json6902_operation() -> Value {
    json!({
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["test", "remove", "add", "replace", "move", "copy"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {"x-kubernetes-preserve-unknown-fields": true},
        },
    })
}

fn verify() -> Value {
    json!({
        "type": "object",
        "properties": {
            "mode": {
                "type": "string",
                "description": "The objects whose signatures are verified. `head` is the older name of `HEAD`.",
                "default": "HEAD",
                "enum": ["head", "HEAD", "Tag", "TagAndHEAD"],
            },
            "secretRef": reference("A Secret with the public keys of trusted signers."),
        },
    })
}

fn include() -> Value {
    json!({
        "type": "object",
        "required": ["repository"],
        "properties": {
            "repository": reference("Another GitRepository in the same namespace."),
            "fromPath": {"type": "string", "description": "The path to copy from. Defaults to the root."},
            "toPath": {"type": "string", "description": "The path to copy to. Defaults to the name of the repository."},
        },
    })
}

fn access_from() -> Value {
    json!({
        "type": "object",
        "required": ["namespaceSelectors"],
        "properties": {"namespaceSelectors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        }},
    })
}

/// `metav1.Condition` with its validations.
pub(super) fn conditions() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "type": "string",
                    "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?\
                                (([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"type": "string", "maxLength": 32768},
            },
        },
    })
}
