//! What is, or seems to be, Flux, and its CLI.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::process::built_by;

/// The real flux CLI, as a user of one cluster runs it.
#[derive(Debug)]
pub struct FluxCli {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl FluxCli {
    /// For the cluster of a kubeconfig; the first call on a machine builds the CLI.
    pub fn of(kubeconfig: &Path) -> anyhow::Result<Self> {
        let program = built_by("flux/build.sh")?.join("flux");
        Ok(Self { program, kubeconfig: kubeconfig.to_owned() })
    }

    /// Runs a command in a namespace. Returns standard output, standard error, and whether it has succeeded.
    pub fn run(&self, namespace: &str, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--timeout", "1m", "--namespace", namespace, "--kubeconfig"]);
        let output = command.arg(&self.kubeconfig).output()?;
        let printed = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8(printed)?))
    }
}

/// A Deployment with the label of Flux's, as anybody may make one in his own namespace.
#[must_use]
pub fn controller(namespace: &str, name: &str, replicas: u8) -> Value {
    let labels = json!({"app.kubernetes.io/part-of": "flux", "app": name});
    let pod =
        json!({"serviceAccountName": name, "containers": [{"name": "manager", "image": "example.org/flux"}]});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })
}

/// The ClusterRoleBinding that Flux's installation makes for its controllers, in the namespace `flux-system`.
#[must_use]
pub fn binding(names: &[&str]) -> Value {
    let subjects =
        names.iter().map(|name| json!({"kind": "ServiceAccount", "namespace": "flux-system", "name": name}));
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "crd-controller-flux-system"});
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
           "metadata": {"name": "crd-controller-flux-system"}, "roleRef": role, "subjects": subjects.collect::<Vec<_>>()})
}
