//! Finds Flux's own controllers on a cluster. Anybody who may create a Deployment in some namespace can give
//! it their name and their label, so name and label alone prove nothing. The account of the pods must also
//! hold, by a ClusterRoleBinding, the rights that Flux's installation gives to it. Only an administrator of
//! the cluster can create that binding.

use std::collections::BTreeSet;

use serde_json::Value;

use super::client::{ApiRequest, Client, JSON};
use lockgate_core::api::{self, Actors};
use lockgate_core::pipeline::ports::ApiFailure;

/// The label of Flux's Deployments, and its value.
pub(crate) const LABEL: (&str, &str) = ("app.kubernetes.io/part-of", "flux");
/// The version and the kind of the objects that grant rights to Flux's accounts.
pub(crate) const BINDINGS: (&str, &str) = ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding");

/// A Deployment with the name and the label of a controller of Flux.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FluxController {
    /// Namespace.
    pub namespace: String,
    /// For example `kustomize-controller`.
    pub name: String,
    /// The wanted number of replicas.
    pub replicas: i64,
    /// The ServiceAccount that its pods run as.
    pub account: String,
}

impl FluxController {
    /// The controller that a Deployment with Flux's label claims to be.
    pub(crate) fn claimed(deployment: &Value) -> Option<Self> {
        let text = |pointer| deployment.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = text("/metadata/name");
        let account = Some(text("/spec/template/spec/serviceAccountName")).filter(|name| !name.is_empty());
        api::KINDS.iter().any(|info| info.controller == name).then(|| Self {
            namespace: text("/metadata/namespace").to_owned(),
            name: name.to_owned(),
            replicas: deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1),
            account: account.unwrap_or("default").to_owned(),
        })
    }

    /// Whether any replicas are wanted.
    pub(crate) const fn runs(&self) -> bool {
        self.replicas > 0
    }

    /// Whether one of these ClusterRoleBindings makes its account one of Flux's.
    pub(crate) fn is_genuine<'b>(&self, mut bindings: impl Iterator<Item = &'b Value>) -> bool {
        bindings.any(|binding| self.is_bound_by(binding))
    }

    fn is_bound_by(&self, binding: &Value) -> bool {
        let role = binding.pointer("/roleRef/name").and_then(Value::as_str).unwrap_or_default();
        let subjects = binding["subjects"].as_array().map_or(&[][..], Vec::as_slice);
        is_role_of_flux(role) && subjects.iter().any(|subject| self.is_subject(subject))
    }

    /// Whether a subject of a binding is its account: by itself, as a user, or as one of all accounts of its
    /// namespace.
    fn is_subject(&self, subject: &Value) -> bool {
        let (namespace, account) = (&self.namespace, &self.account);
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("ServiceAccount") => name == account && subject["namespace"] == namespace.as_str(),
            Some("User") => name == format!("system:serviceaccount:{namespace}:{account}"),
            Some("Group") => name == format!("system:serviceaccounts:{namespace}"),
            _ => false,
        }
    }

    /// Whether nothing may be written beside it.
    pub(crate) fn holds_back(&self) -> bool {
        api::holds_back(&self.name)
    }

    /// The controllers of the kinds that lockgate does not act on, or leaves to them.
    pub(crate) fn actors(controllers: &[Self]) -> Actors {
        Actors::new(controllers.iter().map(|one| (one.namespace.as_str(), one.name.as_str())))
    }

    /// The names of several controllers for a message: `namespace/name, namespace/name`.
    pub fn names<'c>(controllers: impl IntoIterator<Item = &'c Self>) -> String {
        let names = controllers.into_iter().map(|one| format!("{}/{}", one.namespace, one.name));
        names.collect::<Vec<_>>().join(", ")
    }

    /// The names of the controllers that do lockgate's work, for a message; `None` if there are none.
    pub(crate) fn rivals(controllers: &[Self]) -> Option<String> {
        let rivals: Vec<&Self> = controllers.iter().filter(|one| api::is_rival(&one.name)).collect();
        (!rivals.is_empty()).then(|| Self::names(rivals))
    }

    /// The names of the controllers beside which nothing may be written, for a message; `None` if there are
    /// none.
    pub(crate) fn in_the_way(controllers: &[Self]) -> Option<String> {
        let found: Vec<&Self> = controllers.iter().filter(|one| one.holds_back()).collect();
        (!found.is_empty()).then(|| Self::names(found))
    }
}

/// Whether a ClusterRole is one that Flux's installation binds to its controllers: `cluster-admin` to those
/// that apply, and to all of them `crd-controller` with the suffix of the installation.
fn is_role_of_flux(name: &str) -> bool {
    name == "cluster-admin" || name == "crd-controller" || name.starts_with("crd-controller-")
}

/// Flux's controllers with at least one replica wanted, in any namespace.
pub async fn flux_controllers(client: &Client) -> Result<Vec<FluxController>, ApiFailure> {
    let (label, value) = LABEL;
    let path = format!("/apis/apps/v1/deployments?labelSelector={}%3D{value}", label.replace('/', "%2F"));
    let deployments = list(client, path).await?;
    let claims: Vec<_> = deployments.iter().filter_map(FluxController::claimed).collect();
    genuine(client, claims.into_iter().filter(FluxController::runs).collect()).await
}

/// The genuine controllers of Flux among these. Without any claim the server is not asked.
pub(crate) async fn genuine(
    client: &Client,
    claims: Vec<FluxController>,
) -> Result<Vec<FluxController>, ApiFailure> {
    if claims.is_empty() {
        return Ok(claims);
    }
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings".to_owned();
    let bindings = list(client, path).await?;
    let (genuine, others): (BTreeSet<_>, BTreeSet<_>) =
        claims.into_iter().partition(|claim| claim.is_genuine(bindings.iter()));
    if !others.is_empty() {
        tracing::debug!(
            deployments = FluxController::names(&others),
            "no controllers of Flux: no ClusterRoleBinding of Flux names their accounts"
        );
    }
    Ok(genuine.into_iter().collect())
}

async fn list(client: &Client, path: String) -> Result<Vec<Value>, ApiFailure> {
    let mut answer = client.send(ApiRequest::get(path, JSON)).await?;
    let items = answer.body["items"].take();
    Ok(if let Value::Array(items) = items { items } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(name: &str, account: &str) -> Value {
        json!({"metadata": {"namespace": "flux-system", "name": name},
               "spec": {"template": {"spec": {"serviceAccountName": account}}}})
    }

    fn binding(role: &str, subject: (&str, &str, &str)) -> Value {
        let (kind, namespace, name) = subject;
        json!({"roleRef": {"kind": "ClusterRole", "name": role},
               "subjects": [{"kind": "ServiceAccount", "namespace": "elsewhere", "name": "other"},
                            {"kind": kind, "namespace": namespace, "name": name}]})
    }

    #[test]
    fn a_controller_is_known_by_what_only_an_administrator_can_give_to_its_account() {
        let claim = FluxController::claimed(&deployment("helm-controller", "helm")).unwrap();
        let account = ("ServiceAccount", "flux-system", "helm");
        let cases = [
            ("cluster-admin", account, true),
            ("crd-controller", account, true),
            ("crd-controller-flux-system", account, true),
            ("crd-controller-flux-system", ("User", "", "system:serviceaccount:flux-system:helm"), true),
            ("crd-controller-flux-system", ("Group", "", "system:serviceaccounts:flux-system"), true),
            // A tenant's account may well have this role.
            ("view", account, false),
            ("flux-view-flux-system", account, false),
            ("crd-controllers", account, false),
            ("cluster-admin", ("ServiceAccount", "flux-system", "kustomize-controller"), false),
            ("cluster-admin", ("ServiceAccount", "ten-a", "helm"), false),
            ("cluster-admin", ("User", "", "helm"), false),
            ("cluster-admin", ("Group", "", "system:serviceaccounts:ten-a"), false),
        ];
        for (role, subject, is_genuine) in cases {
            let bindings = [binding("cluster-admin", ("User", "", "alice")), binding(role, subject)];
            assert_eq!(claim.is_genuine(bindings.iter()), is_genuine, "{role} {subject:?}");
        }
        assert!(!claim.is_genuine([json!({"roleRef": {"name": "cluster-admin"}})].iter()), "no subjects");
    }

    #[test]
    fn only_a_controller_of_a_kind_of_flux_can_be_one() {
        assert_eq!(FluxController::claimed(&deployment("lockgate", "lockgate")), None);
        let named = FluxController::claimed(&deployment("source-controller", "")).unwrap();
        assert_eq!((named.account.as_str(), named.replicas, named.runs()), ("default", 1, true));
    }
}
