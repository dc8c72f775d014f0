//! What is brought up: chains and fleets of Kustomizations, and releases of a chart, as files of a source and
//! as objects.

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

/// What brings the objects up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applier {
    /// Each has a folder of the source.
    Kustomization,
    /// All release the chart that is the source.
    HelmRelease,
}

impl Applier {
    /// Group, version and kind.
    pub(crate) fn kind(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Kustomization => ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization"),
            Self::HelmRelease => ("helm.toolkit.fluxcd.io", "v2", "HelmRelease"),
        }
    }
}

/// Some Kustomizations or HelmReleases, each with its objects.
pub(crate) struct Workload {
    /// How it is called in the table.
    pub(crate) title: &'static str,
    /// Names of the Kustomizations or HelmReleases, in order.
    names: Vec<String>,
    /// Which of the two.
    pub(crate) applier: Applier,
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
        Self { chained: true, names, ..Self::many("chain of 4", 0, 10) }
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

    /// A hundred releases of one chart of five objects, from one artifact of a registry.
    pub(crate) fn releases() -> Self {
        let many = Self::many("100 releases x 5", 100, 5);
        Self { applier: Applier::HelmRelease, origin: Origin::Registry, ..many }
    }

    fn many(title: &'static str, count: usize, each: usize) -> Self {
        let names = (0..count).map(|number| format!("app-{number:04}")).collect();
        let applier = Applier::Kustomization;
        Self { title, names, applier, chained: false, each, origin: Origin::Git }
    }

    /// The files of the source: one a Kustomization, or those of the chart.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        if self.applier == Applier::HelmRelease {
            let objects = self.objects_of("{{ .Release.Name }}", "{{ .Release.Namespace }}");
            let documents: Vec<String> = objects.map(|object| object.to_string()).collect();
            let about = "{apiVersion: v2, name: bench, version: 1.0.0}".to_owned();
            return vec![
                ("Chart.yaml".into(), about),
                ("templates/objects.yaml".into(), documents.join("\n---\n")),
            ];
        }
        let file = |name: &String| {
            let documents: Vec<String> =
                self.objects_of(name, NAMESPACE).map(|object| object.to_string()).collect();
            (format!("{name}/objects.yaml"), documents.join("\n---\n"))
        };
        self.names.iter().map(file).collect()
    }

    /// The names of the Kustomizations or HelmReleases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// All objects that are held, in another namespace, with the Secrets that releases are stored in.
    pub(crate) fn objects(&self, namespace: &str) -> Vec<Value> {
        let stored = |name: &String| (self.applier == Applier::HelmRelease).then(|| stored(name, namespace));
        self.names.iter().flat_map(|name| self.objects_of(name, namespace).chain(stored(name))).collect()
    }

    fn objects_of(&self, name: &str, namespace: &str) -> impl Iterator<Item = Value> {
        // Helm would read back a Secret's `stringData` as a change, so the chart has none, nor a budget.
        let in_chart =
            |object: &Value| !matches!(object["kind"].as_str(), Some("Secret" | "PodDisruptionBudget"));
        let is_chart = self.applier == Applier::HelmRelease;
        let all = objects_of(name, namespace).into_iter().filter(move |object| !is_chart || in_chart(object));
        all.take(self.each)
    }

    /// The Kustomizations or HelmReleases, reading from the source `bench`.
    pub(crate) fn appliers(&self) -> Vec<Value> {
        match self.applier {
            Applier::Kustomization => self.kustomizations(),
            Applier::HelmRelease => self.names.iter().map(|name| self.release(name)).collect(),
        }
    }

    fn release(&self, name: &str) -> Value {
        json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {
                "interval": "1h",
                "timeout": "5m",
                "chartRef": {"kind": self.origin.kind(), "name": "bench"},
                "releaseName": name,
                "targetNamespace": NAMESPACE,
            },
        })
    }

    fn kustomizations(&self) -> Vec<Value> {
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

/// The Secret of a release, of about the size that it has.
fn stored(name: &str, namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
           "metadata": {"name": format!("sh.helm.release.v1.{name}.v1"), "namespace": namespace},
           "data": {"release": "TG9j".repeat(700)}})
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
