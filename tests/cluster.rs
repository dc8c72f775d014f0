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
use std::time::Duration;

use kube::api::{DynamicObject, Patch, PatchParams};
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
    shared: harness::Stage,
}

impl std::ops::Deref for Stage {
    type Target = harness::Stage;

    fn deref(&self) -> &harness::Stage {
        &self.shared
    }
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
        let target = ClusterTarget { kubeconfig: Some(kubeconfig), ..ClusterTarget::default() };
        let (cluster, changes) = Cluster::new(Client::connect(&target).await.unwrap());
        Self { cluster, changes, shared: harness::Stage::new(plane, "stage").await.unwrap() }
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
