//! What of a HelmRelease shapes its render: values from elsewhere, post-renderers, and what is done about
//! drift.

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
    /// Name, in the HelmRelease's namespace.
    pub name: String,
    /// The key; `values.yaml` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_key: Option<String>,
    /// Where a single value is written to; the key holds a file of values where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_path: Option<String>,
    /// Whether the object or its key may be missing.
    #[serde(default)]
    pub optional: bool,
    /// Whether the value is a text as it stands.
    #[serde(default)]
    pub literal: bool,
}

/// One thing that is done to the rendered objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostRenderer {
    /// By kustomize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizeRenderer>,
}

/// What kustomize does to the rendered objects. The order of the fields is the one of their digest.
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
    /// Image names, tags and digests.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
}

/// What is done about drift.
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
