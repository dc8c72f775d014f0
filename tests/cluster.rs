//! The adapter to a cluster, against a real control plane.

mod apply;
mod busy;
mod drift;
mod dry_run;
mod faults;
mod plan;
mod rights;
mod settle;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::discovery::ApiResource;
use lockgate::tested::{Client, Cluster, ClusterTarget, HeldChange};
use lockgate_base::model::Object;
use lockgate_base::model::Ref;
use lockgate_core::api::Kustomization;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

/// How long a test waits for an expected event.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// How long a test waits for an event that must not come.
pub(crate) const QUIET: Duration = Duration::from_millis(700);

/// A cluster to test against, and a namespace of the test's own.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) changes: UnboundedReceiver<HeldChange>,
    pub(crate) kube: kube::Client,
    pub(crate) namespace: String,
}

impl Stage {
    /// A stage on the control plane that all tests share, as an administrator.
    pub(crate) async fn new() -> Self {
        Self::on(harness::shared()).await
    }

    /// A stage on another control plane.
    pub(crate) async fn on(plane: &harness::ControlPlane) -> Self {
        Self::with(plane, plane.admin_kubeconfig()).await
    }

    /// A stage whose cluster uses another kubeconfig than the test's own requests.
    pub(crate) async fn with(plane: &harness::ControlPlane, kubeconfig: PathBuf) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let namespace = format!("stage-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let target = ClusterTarget { kubeconfig: Some(kubeconfig), ..ClusterTarget::default() };
        let (cluster, changes) = Cluster::new(Client::connect(&target).await.unwrap());
        let kube = plane.client().await.unwrap();
        let stage = Self { cluster, changes, kube, namespace };
        let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.namespace}});
        stage
            .api("v1", "Namespace", "namespaces", false)
            .create(&PostParams::default(), &dynamic(made))
            .await
            .unwrap();
        stage
    }

    /// An object in this stage's namespace, with its owner's labels.
    pub(crate) fn object(&self, api_version: &str, kind: &str, name: &str, rest: Value) -> Object {
        let mut value = json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace, "labels": {
                "kustomize.toolkit.fluxcd.io/name": "apps",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}}});
        if let (Some(value), Value::Object(rest)) = (value.as_object_mut(), rest) {
            value.extend(rest);
        }
        Object::parse(value).unwrap()
    }

    pub(crate) fn config_map(&self, name: &str, data: Value) -> Object {
        self.object("v1", "ConfigMap", name, Value::Object([("data".to_owned(), data)].into_iter().collect()))
    }

    /// An object of a cluster-scoped kind, with its owner's labels.
    pub(crate) fn cluster_object(&self, api_version: &str, kind: &str, name: &str, rest: Value) -> Object {
        self.object(api_version, kind, name, rest)
            .edit(|value| {
                value["metadata"].as_object_mut().unwrap().shift_remove("namespace");
            })
            .unwrap()
    }

    /// kube's own client for a kind, in this stage's namespace or for the whole cluster.
    pub(crate) fn api(
        &self,
        api_version: &str,
        kind: &str,
        plural: &str,
        namespaced: bool,
    ) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: api_version.into(),
            kind: kind.into(),
            plural: plural.into(),
        };
        if namespaced {
            Api::namespaced_with(self.kube.clone(), &self.namespace, &resource)
        } else {
            Api::all_with(self.kube.clone(), &resource)
        }
    }

    pub(crate) fn config_maps(&self) -> Api<DynamicObject> {
        self.api("v1", "ConfigMap", "configmaps", true)
    }

    /// Changes a ConfigMap as another program would.
    pub(crate) async fn edit(&self, manager: &str, name: &str, patch: Value) {
        let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
        self.config_maps().patch(name, &params, &Patch::Merge(patch)).await.unwrap();
    }

    /// The next change; fails if none comes.
    pub(crate) async fn change(&mut self) -> HeldChange {
        tokio::time::timeout(SOON, self.changes.recv())
            .await
            .expect("a change comes")
            .expect("the watches live")
    }

    /// Whether no change comes for a while.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(QUIET, self.changes.recv()).await.is_err()
    }
}

pub(crate) fn dynamic(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

/// The owner in the labels of a stage's objects.
pub(crate) fn owner() -> Ref {
    Kustomization::named("flux-system", "apps")
}

/// A Deployment with one container.
pub(crate) fn deployment(stage: &Stage, name: &str, app: &str) -> Object {
    stage.object(
        "apps/v1",
        "Deployment",
        name,
        json!({"spec": {
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}},
                         "spec": {"containers": [{"name": "c", "image": "example.com/c:1"}]}}}}),
    )
}
