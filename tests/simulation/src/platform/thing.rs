//! An object in Git: its text in a file, its path on the server, and its id in an inventory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use lockgate_base::keys::FORCE;

use super::{APPS, VARIABLE};
use crate::server::{BROKEN, Key};

/// How the types of Secrets begin that are not the common one.
const SECRET_TYPE: &str = "simulation.dev/type-";
/// The group of the kinds that a platform defines.
const GROUP: &str = "simulation.dev";

/// An object as Git has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) kind: Form,
    /// What changes when someone changes the object.
    pub(crate) value: u64,
    /// Whether it never becomes healthy.
    pub(crate) broken: bool,
    /// What cannot be changed once the object is there.
    pub(crate) fixed: u64,
    /// Whether it carries the annotation that has it made anew where that has been changed.
    pub(crate) forced: bool,
    /// The thing that must be there first: the namespace that it stands in, or the definition of its kind.
    pub(crate) within: Option<String>,
}

/// The kinds of objects on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    ConfigMap,
    Secret,
    ServiceAccount,
    Deployment,
    /// It carries the annotation that has it made anew where a field of it cannot be changed.
    Job,
    Namespace,
    /// A CustomResourceDefinition.
    Definition,
    /// Of a kind that a definition of the platform brings.
    Custom,
}

impl Form {
    /// What needs nothing but its namespace.
    pub(crate) const PLAIN: [Self; 5] =
        [Self::ConfigMap, Self::Secret, Self::ServiceAccount, Self::Deployment, Self::Job];

    /// Whether several Kustomizations can hold one and become ready all the same.
    pub(crate) const fn can_be_shared(self) -> bool {
        matches!(self, Self::ConfigMap | Self::Secret | Self::ServiceAccount)
    }

    /// Whether a field of it cannot be changed, which people change all the same.
    pub(crate) const fn has_fixed(self) -> bool {
        matches!(self, Self::Deployment | Self::Secret | Self::Custom)
    }

    /// Whether other things stand in it.
    pub(crate) const fn holds_others(self) -> bool {
        matches!(self, Self::Namespace | Self::Definition)
    }
}

impl Thing {
    /// One in the namespace of all.
    pub(crate) const fn new(kind: Form, value: u64) -> Self {
        Self { kind, value, broken: false, fixed: 0, forced: false, within: None }
    }

    /// What a live object has of what cannot be changed.
    pub(crate) fn fixed_of(&self, live: &Value) -> u64 {
        let number = match self.kind {
            Form::Deployment => live.pointer("/spec/selector/matchLabels/fixed"),
            Form::Secret => live.get("type"),
            Form::Custom => return live.pointer("/spec/fixed").and_then(Value::as_u64).unwrap_or_default(),
            _ => None,
        };
        let number = number.and_then(Value::as_str).map(|text| text.trim_start_matches(SECRET_TYPE));
        number.and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    /// Whether it is made anew where what cannot be changed is another: by the annotation in Git or on the
    /// live object, or by `force` of its Kustomization, which means nothing to what holds data of others.
    pub(crate) fn may_be_made_anew(&self, live: &Value, force: bool) -> bool {
        let is_forced = live["metadata"]["annotations"].get(FORCE).is_some_and(|said| said == "enabled");
        self.forced || is_forced || self.kind == Form::Job || force && self.kind != Form::Custom
    }

    /// Group, version, kind and plural.
    fn names(&self) -> (&'static str, &'static str, String, String) {
        let (group, version, kind, plural) = match self.kind {
            Form::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Form::Secret => ("", "v1", "Secret", "secrets"),
            Form::ServiceAccount => ("", "v1", "ServiceAccount", "serviceaccounts"),
            Form::Deployment => ("apps", "v1", "Deployment", "deployments"),
            Form::Job => ("batch", "v1", "Job", "jobs"),
            Form::Namespace => ("", "v1", "Namespace", "namespaces"),
            Form::Definition => {
                ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
            }
            Form::Custom => {
                let (kind, plural) = defined(self.within.as_deref().unwrap_or_default());
                return (GROUP, "v1", kind, plural);
            }
        };
        (group, version, kind.into(), plural.into())
    }

    /// Empty for one in no namespace.
    fn namespace(&self) -> &str {
        match self.kind {
            Form::Namespace | Form::Definition => "",
            Form::Custom => APPS,
            _ => self.within.as_deref().unwrap_or(APPS),
        }
    }

    /// Where the server has it.
    pub(crate) fn key(&self, name: &str) -> Key {
        let (group, _, _, plural) = self.names();
        Key::new(group, &plural, self.namespace(), name)
    }

    /// How an inventory names it.
    pub(crate) fn inventory_id(&self, name: &str) -> String {
        let (group, _, kind, _) = self.names();
        format!("{}_{}_{group}_{kind}", self.namespace(), name.replace(':', "__"))
    }

    /// The object as it is once built, where its Kustomization takes the variable from elsewhere, with its
    /// value; in a file that is where it is taken from.
    pub(crate) fn manifest(&self, name: &str, variable: Option<&str>) -> Value {
        let (group, version, kind, _) = self.names();
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let mut object = json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": name, "annotations": {"value": self.value.to_string()}}});
        if !self.namespace().is_empty() {
            object["metadata"]["namespace"] = self.namespace().into();
        }
        if self.broken {
            object["metadata"]["annotations"][BROKEN] = "true".into();
        }
        if self.forced || self.kind == Form::Job {
            object["metadata"]["annotations"][FORCE] = "enabled".into();
        }
        if let Some(variable) = variable.filter(|_| self.kind != Form::Definition) {
            object["metadata"]["annotations"][VARIABLE] = variable.into();
        }
        self.fill(&mut object, name);
        object
    }

    fn fill(&self, object: &mut Value, name: &str) {
        let containers = json!([{"name": "main", "image": format!("image:{}", self.value)}]);
        match self.kind {
            Form::ConfigMap => object["data"] = json!({"value": self.value.to_string(), "constant": "x"}),
            Form::Secret => {
                object["data"] = json!({"value": encoded(&self.value.to_string())});
                if self.fixed > 0 {
                    object["type"] = format!("{SECRET_TYPE}{}", self.fixed).into();
                }
            }
            Form::ServiceAccount | Form::Namespace => {}
            Form::Deployment => {
                let mut labels = json!({"app": name});
                if self.fixed > 0 {
                    labels["fixed"] = self.fixed.to_string().into();
                }
                object["spec"] = json!({"replicas": 1, "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}});
            }
            Form::Job => {
                object["spec"] =
                    json!({"template": {"spec": {"restartPolicy": "Never", "containers": containers}}});
            }
            Form::Definition => {
                let (kind, plural) = defined(name);
                let rule = json!({"rule": "self == oldSelf", "message": "value is immutable"});
                let fixed = json!({"type": "integer", "x-kubernetes-validations": [rule]});
                let spec = json!({"type": "object", "properties": {"fixed": fixed},
                    "x-kubernetes-preserve-unknown-fields": true});
                let schema = json!({"type": "object", "properties": {"spec": spec}});
                object["spec"] = json!({"group": GROUP, "scope": "Namespaced",
                    "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
                    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]});
            }
            Form::Custom => object["spec"] = json!({"value": self.value, "fixed": self.fixed}),
        }
    }
}

/// Kind and plural of what a definition of this name defines.
fn defined(definition: &str) -> (String, String) {
    let plural = definition.split('.').next().unwrap_or_default();
    let singular = plural.strip_suffix('s').unwrap_or(plural);
    let mut letters = singular.chars();
    let kind = letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect();
    (kind, plural.to_owned())
}

/// The name of a definition.
pub(crate) fn definition_name(number: u64) -> String {
    format!("kind{number}s.{GROUP}")
}

/// As a Secret's values are written.
pub(crate) fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}
