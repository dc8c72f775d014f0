//! The platform that people keep in Git: Kustomizations and their objects, and the files that they are written to.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_base::model::Revision;
use serde_json::{Value, json};

use crate::server::{BROKEN, Key};

/// Where everything of the agent is.
pub(crate) const HOME: &str = "flux-system";
/// Where the objects are.
pub(crate) const APPS: &str = "apps";

/// An object as Git has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) kind: Form,
    /// What changes when someone changes the object.
    pub(crate) value: u64,
    /// Whether it never becomes healthy.
    pub(crate) broken: bool,
}

/// The kinds of objects on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    ConfigMap,
    Secret,
    ServiceAccount,
    Deployment,
}

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::ConfigMap, Self::Secret, Self::ServiceAccount, Self::Deployment];

    /// API version, kind, group and plural.
    const fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::ConfigMap => ("v1", "ConfigMap", "", "configmaps"),
            Self::Secret => ("v1", "Secret", "", "secrets"),
            Self::ServiceAccount => ("v1", "ServiceAccount", "", "serviceaccounts"),
            Self::Deployment => ("apps/v1", "Deployment", "apps", "deployments"),
        }
    }

    pub(crate) fn of_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.names().3 == plural)
    }

    pub(crate) fn key(self, name: &str) -> Key {
        let (_, _, group, plural) = self.names();
        Key::new(group, plural, APPS, name)
    }

    /// How an inventory names such an object.
    pub(crate) fn inventory_id(self, name: &str) -> String {
        let (_, kind, group, _) = self.names();
        format!("{APPS}_{name}_{group}_{kind}")
    }
}

impl Thing {
    /// The object as it is in a file.
    pub(crate) fn manifest(&self, name: &str) -> Value {
        let (api_version, kind, ..) = self.kind.names();
        let mut object = json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": name, "namespace": APPS, "annotations": {"value": self.value.to_string()}}});
        if self.broken {
            object["metadata"]["annotations"][BROKEN] = "true".into();
        }
        match self.kind {
            Form::ConfigMap => object["data"] = json!({"value": self.value.to_string(), "constant": "x"}),
            Form::Secret => object["data"] = json!({"value": STANDARD.encode(self.value.to_string())}),
            Form::ServiceAccount => {}
            Form::Deployment => {
                object["spec"] = json!({"replicas": 1, "selector": {"matchLabels": {"app": name}},
                    "template": {"metadata": {"labels": {"app": name}},
                        "spec": {"containers": [{"name": "main", "image": format!("image:{}", self.value)}]}}});
            }
        }
        object
    }
}

/// A Kustomization as Git has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Unit {
    pub(crate) depends_on: BTreeSet<String>,
    pub(crate) things: BTreeMap<String, Thing>,
    pub(crate) prune: bool,
    pub(crate) wait: bool,
}

/// What one commit has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Platform {
    pub(crate) units: BTreeMap<String, Unit>,
}

impl Platform {
    /// All files, by path.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        let list = |names: Vec<String>| {
            let resources: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
            json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources})
        };
        for (name, unit) in &self.units {
            files.push((format!("clusters/{name}.yaml"), unit.manifest(name).to_string()));
            for (thing_name, thing) in &unit.things {
                files
                    .push((format!("apps/{name}/{thing_name}.yaml"), thing.manifest(thing_name).to_string()));
            }
            let things = list(unit.things.keys().cloned().collect());
            files.push((format!("apps/{name}/kustomization.yaml"), things.to_string()));
        }
        let units = list(self.units.keys().cloned().collect());
        files.push(("clusters/kustomization.yaml".into(), units.to_string()));
        files
    }

    /// Whether one Kustomization depends on another, over others as well.
    pub(crate) fn depends(&self, unit: &str, on: &str) -> bool {
        let Some(unit) = self.units.get(unit) else { return false };
        unit.depends_on.iter().any(|next| next == on || self.depends(next, on))
    }
}

impl Unit {
    fn manifest(&self, name: &str) -> Value {
        let depends_on: Vec<Value> = self.depends_on.iter().map(|name| json!({"name": name})).collect();
        kustomization(name, &format!("./apps/{name}"), self.prune, self.wait, depends_on)
    }
}

/// A Kustomization of the platform's one source.
pub(crate) fn kustomization(
    name: &str,
    path: &str,
    prune: bool,
    wait: bool,
    depends_on: Vec<Value>,
) -> Value {
    let mut object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": HOME},
        "spec": {"interval": "10m0s", "retryInterval": "1m0s", "timeout": "2m0s", "path": path, "prune": prune,
            "wait": wait, "sourceRef": {"kind": "GitRepository", "name": HOME}}});
    if !depends_on.is_empty() {
        object["spec"]["dependsOn"] = depends_on.into();
    }
    object
}

/// What a person makes before an agent runs.
pub(crate) fn beginning() -> Vec<(&'static str, Value)> {
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let pod = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": HOME}, "spec": {}});
    let source = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": HOME, "namespace": HOME},
        "spec": {"interval": "1m0s", "url": "https://git.example.com/platform", "ref": {"branch": "main"}}});
    let kustomizations = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations";
    vec![
        ("/api/v1/namespaces", namespace(HOME)),
        ("/api/v1/namespaces", namespace(APPS)),
        ("/api/v1/namespaces/flux-system/pods", pod("lockgate-a")),
        ("/api/v1/namespaces/flux-system/pods", pod("lockgate-b")),
        ("/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories", source),
        (kustomizations, kustomization(HOME, "./clusters", true, false, Vec::new())),
    ]
}

/// How statuses name a commit.
pub(crate) fn revision(commit: usize) -> Revision {
    Revision::git(Some("main"), &format!("{commit:040x}"))
}
