//! What is brought up: chains and fleets of Kustomizations, as files of a source and as objects.

use serde_json::{Value, json};

/// The namespace that all objects of the workload live in.
pub(crate) const NAMESPACE: &str = "bench";

/// What the files come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A repository that is reached over SSH.
    Git,
    /// An artifact of a registry.
    Registry,
}

impl Origin {
    /// The kind of its source.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Git => "GitRepository",
            Self::Registry => "OCIRepository",
        }
    }
}

/// Some Kustomizations, each a folder of objects.
pub(crate) struct Workload {
    /// How it is called in the table.
    pub(crate) title: &'static str,
    /// Names of the Kustomizations, in order.
    names: Vec<String>,
    /// Whether each depends on the one before it.
    chained: bool,
    /// How many objects each has, ten at most.
    each: usize,
    /// What they are built from.
    pub(crate) origin: Origin,
}

impl Workload {
    /// Four Kustomizations, each depending on the one before.
    pub(crate) fn chain() -> Self {
        let names = ["crds", "kube-network", "kube-security", "foobar"];
        let names = names.map(Into::into).to_vec();
        Self { title: "chain of 4", names, chained: true, each: 10, origin: Origin::Git }
    }

    /// A hundred Kustomizations that depend on nothing.
    pub(crate) fn fleet() -> Self {
        Self::many("100 x 10 objects", 100, 10)
    }

    /// A thousand Kustomizations of one object, which depend on nothing.
    pub(crate) fn crowd() -> Self {
        Self::many("1,000 x 1 object", 1000, 1)
    }

    /// The fleet, from one artifact of a registry.
    pub(crate) fn artifact() -> Self {
        Self { title: "100 x 10, OCI", origin: Origin::Registry, ..Self::fleet() }
    }

    fn many(title: &'static str, count: usize, each: usize) -> Self {
        let names = (0..count).map(|number| format!("app-{number:04}")).collect();
        Self { title, names, chained: false, each, origin: Origin::Git }
    }

    /// The files of the source, one a Kustomization.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let file = |name: &String| {
            let documents: Vec<String> =
                self.objects_of(name, NAMESPACE).map(|object| object.to_string()).collect();
            (format!("{name}/objects.yaml"), documents.join("\n---\n"))
        };
        self.names.iter().map(file).collect()
    }

    /// The names of the Kustomizations.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// All objects that the Kustomizations hold, in another namespace.
    pub(crate) fn objects(&self, namespace: &str) -> Vec<Value> {
        self.names.iter().flat_map(|name| self.objects_of(name, namespace)).collect()
    }

    fn objects_of(&self, name: &str, namespace: &str) -> impl Iterator<Item = Value> {
        objects_of(name, namespace).into_iter().take(self.each)
    }

    /// The Kustomization objects, reading from the source `bench`.
    pub(crate) fn kustomizations(&self) -> Vec<Value> {
        let mut before: Option<&String> = None;
        let mut result = Vec::new();
        for name in &self.names {
            let mut object = json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization",
                "metadata": {"name": name, "namespace": "flux-system"},
                "spec": {
                    "interval": "1h",
                    "timeout": "5m",
                    "sourceRef": {"kind": self.origin.kind(), "name": "bench"},
                    "path": format!("./{name}"),
                    "prune": true,
                    "wait": true,
                },
            });
            if let Some(before) = before.filter(|_| self.chained) {
                object["spec"]["dependsOn"] = json!([{"name": before}]);
            }
            result.push(object);
            before = Some(name);
        }
        result
    }
}

/// Ten objects: one application as people write it.
fn objects_of(name: &str, namespace: &str) -> Vec<Value> {
    let metadata = |suffix: &str| json!({"name": format!("{name}{suffix}"), "namespace": namespace});
    let labels = json!({"app.kubernetes.io/name": name});
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("")}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata(""),
               "stringData": {"password": "not-a-secret"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata(""),
               "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}),
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(""),
               "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(""), "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"serviceAccountName": name, "containers": [{
                    "name": "app", "image": "registry.example.com/app:1.0.0",
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "envFrom": [{"configMapRef": {"name": format!("{name}-0")}}],
                }]},
            },
        }}),
    ];
    objects.extend((0..5).map(|number| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(&format!("-{number}")),
               "data": {"LOG_LEVEL": "info", "number": number.to_string()}})
    }));
    objects
}
