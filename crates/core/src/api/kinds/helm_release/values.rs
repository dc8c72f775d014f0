//! The fields of a HelmRelease that affect the rendered objects: values from other objects, post-renderers,
//! and drift detection.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::kinds::kustomization::{IgnoreRule, Image, Json6902Patch, Patch};
use crate::api::null_as_default;

/// Values in a ConfigMap or Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValuesFrom {
    /// `ConfigMap` or `Secret`.
    #[schemars(extend("enum" = ["Secret", "ConfigMap"]))]
    pub kind: String,
    /// Name of the object, in the HelmRelease's namespace.
    pub name: String,
    /// The key with the values. Defaults to `values.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_key: Option<String>,
    /// The path at which a single value is set. If it is not set, the key contains a YAML file of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_path: Option<String>,
    /// Whether the object or its key may be missing.
    #[serde(default)]
    pub optional: bool,
    /// Whether the value is a text, and not parsed.
    #[serde(default)]
    pub literal: bool,
}

/// One change of the rendered objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostRenderer {
    /// A change by kustomize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizeRenderer>,
}

/// The changes that kustomize makes to the rendered objects. The digest uses the order of these fields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizeRenderer {
    /// Strategic merge and JSON 6902 patches.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Strategic merge patches (v2beta1).
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub patches_strategic_merge: Vec<Value>,
    /// JSON 6902 patches (v2beta1).
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "patchesJson6902")]
    pub patches_json6902: Vec<Json6902Patch>,
    /// New names, tags and digests for images.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
}

/// How to handle drift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftDetection {
    /// What is done; nothing where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DriftMode>,
    /// Fields that are left as they are.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Value>")]
    pub ignore: Vec<IgnoreRule>,
}

/// What is done about objects that others have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriftMode {
    /// They are put back.
    Enabled,
    /// They are told.
    Warn,
    /// Nothing.
    #[default]
    Disabled,
}
