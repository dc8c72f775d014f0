//! Missing rights: named in full, for ourselves and for the accounts that we act as.

use std::collections::HashSet;

use kube::api::PostParams;
use lockgate::tested::preflight::{self, Right};
use lockgate::tested::{Client, Cluster, ClusterTarget};
use lockgate_core::api::Kustomization;
use lockgate_core::pipeline::ports::{
    ApiFailure, DataKind, Lookup as _, Reads as _, Settle as _, Settled, Writes as _,
};
use serde_json::json;

use super::{SOON, Stage, dynamic};

/// A ServiceAccount of the stage's namespace with these rules there.
async fn account(stage: &Stage, name: &str, rules: serde_json::Value) {
    let meta = json!({"name": name, "namespace": stage.namespace});
    let params = PostParams::default();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta});
    stage.api("v1", "ServiceAccount", "serviceaccounts").create(&params, &dynamic(account)).await.unwrap();
    let rbac = "rbac.authorization.k8s.io/v1";
    let role = json!({"apiVersion": rbac, "kind": "Role", "metadata": meta, "rules": rules});
    stage.api(rbac, "Role", "roles").create(&params, &dynamic(role)).await.unwrap();
    let binding = json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": stage.namespace}]});
    stage.api(rbac, "RoleBinding", "rolebindings").create(&params, &dynamic(binding)).await.unwrap();
}

/// The cluster as a Kustomization of the stage's namespace sees it that names the account.
fn acting(stage: &Stage, account: &str) -> Cluster {
    let owner = Kustomization::named(&stage.namespace, "tenant");
    stage.cluster.acting_for(owner, Some(account)).unwrap()
}

/// Applies an object again and again until the API server's authorizer has caught up with the new role.
async fn apply(cluster: &Cluster, object: &lockgate_base::model::Object) {
    harness::eventually(SOON, async || Ok(cluster.apply(object).await?)).await.unwrap();
}

#[tokio::test]
async fn an_account_has_no_more_rights_than_its_own() {
    let stage = Stage::new().await;
    let rules =
        json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]}]);
    account(&stage, "tenant", rules).await;
    let tenant = acting(&stage, "tenant");
    let user = format!("system:serviceaccount:{}:tenant", stage.namespace);
    let mine = stage.config_map("mine", json!({}));
    apply(&tenant, &mine).await;

    let secret = stage.object("v1", "Secret", "s", json!({}));
    let refusal = tenant.observe(&[secret], &HashSet::new()).await.remove(0).dry_run.unwrap_err();
    assert!(refusal.is_forbidden());
    assert!(refusal.to_string().contains(&user), "{refusal}");

    let read = tenant.data(DataKind::Secret, &stage.namespace, "s").await.unwrap_err();
    let told = format!("{user} may not get secrets in namespace {}", stage.namespace);
    assert_eq!(read.to_string(), told);
    assert!(matches!(read, ApiFailure::Forbidden(_)));

    let deleted = tenant
        .delete(&lockgate_core::pipeline::ports::ObjectReference::to(&mine), "any", None)
        .await
        .unwrap_err();
    assert!(deleted.to_string().contains("may not delete configmaps"), "{deleted}");
}

#[tokio::test]
async fn an_account_that_may_not_watch_settles_by_looking() {
    let stage = Stage::new().await;
    let rules =
        json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]}]);
    account(&stage, "tenant", rules).await;
    let tenant = acting(&stage, "tenant");
    let mine = stage.config_map("mine", json!({}));
    apply(&tenant, &mine).await;
    let reference = lockgate_core::pipeline::ports::ObjectReference::to(&mine);
    // Its owner labels name another Kustomization than the acting one, so the shared watch does not show it.
    assert_eq!(tenant.settle(&[reference], SOON).await, Settled::Healthy);
    let hidden = lockgate_core::pipeline::ports::ObjectReference::to(&super::deployment(&stage, "d", "d"));
    let settled = tenant.settle(&[hidden], SOON).await;
    assert!(matches!(settled, Settled::Unknown(ApiFailure::Forbidden(_))), "{settled:?}");
}

#[tokio::test]
async fn an_agent_that_may_not_watch_says_so_and_applies() {
    let plane = harness::shared();
    let stage = Stage::new().await;
    let rules =
        json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]}]);
    account(&stage, "agent", rules).await;
    let kubeconfig = plane.service_account_kubeconfig(&stage.namespace, "agent").await.unwrap();
    let client = Client::connect(&ClusterTarget { kubeconfig: Some(kubeconfig), ..ClusterTarget::default() })
        .await
        .unwrap();
    let (agent, _changes) = Cluster::new(client);
    let mine = stage.config_map("mine", json!({}));
    apply(&agent, &mine).await;
    harness::eventually(SOON, async || {
        let unwatched = agent.unwatched();
        anyhow::ensure!(unwatched.len() == 1, "{unwatched:?}");
        anyhow::ensure!(
            unwatched[0].1.to_string().contains("may not list configmaps at the cluster scope"),
            "{unwatched:?}"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert!(!agent.intact(&[mine.id()]), "what is not watched has to be looked at");
}

#[tokio::test]
async fn all_missing_rights_are_told_at_once() {
    let plane = harness::shared();
    let stage = Stage::new().await;
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]);
    account(&stage, "poor", rules).await;
    let kubeconfig = plane.service_account_kubeconfig(&stage.namespace, "poor").await.unwrap();
    let client = Client::connect(&ClusterTarget { kubeconfig: Some(kubeconfig), ..ClusterTarget::default() })
        .await
        .unwrap();
    let right = |verb: &str, group: &str, resource: &str, namespace: &str| Right {
        verb: verb.into(),
        group: group.into(),
        resource: resource.into(),
        namespace: namespace.into(),
    };
    let rights = [
        right("get", "", "configmaps", &stage.namespace),
        right("create", "", "namespaces", ""),
        right("patch", "apps", "deployments", &stage.namespace),
    ];
    harness::eventually(SOON, async || {
        let missing = preflight::missing_rights(&client, &rights).await?;
        let told: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let user = format!("system:serviceaccount:{}:poor", stage.namespace);
        let expected = [
            format!("{user} may not create namespaces at the cluster scope"),
            format!("{user} may not patch deployments.apps in namespace {}", stage.namespace),
        ];
        anyhow::ensure!(told == expected, "{told:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Only controllers count whose account an administrator has bound as Flux's installation does.
#[tokio::test]
async fn running_controllers_of_flux_are_found() {
    let stage = Stage::new().await;
    let labelled = |name: &str, replicas: i64| {
        super::deployment(&stage, name, name)
            .edit(|value| {
                value["metadata"]["labels"]["app.kubernetes.io/part-of"] = json!("flux");
                value["spec"]["replicas"] = json!(replicas);
                value["spec"]["template"]["spec"]["serviceAccountName"] = json!(name);
            })
            .unwrap()
    };
    let (genuine, idle) = ("image-reflector-controller", "image-automation-controller");
    for (name, replicas) in [("kustomize-controller", 1), (genuine, 1), (idle, 0)] {
        stage.cluster.apply(&labelled(name, replicas)).await.unwrap();
    }
    let subject = |name| json!({"kind": "ServiceAccount", "namespace": stage.namespace, "name": name});
    let role =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "crd-controller"});
    let binding = stage.cluster_object(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        &format!("crd-controller-{}", stage.namespace),
        json!({"roleRef": role, "subjects": [subject(genuine), subject(idle)]}),
    );
    stage.cluster.apply(&binding).await.unwrap();
    let found = preflight::flux_controllers(stage.cluster.client()).await.unwrap();
    let here: Vec<_> = found.iter().filter(|found| found.namespace == stage.namespace).collect();
    assert_eq!(here.len(), 1, "{here:?}");
    assert_eq!((here[0].name.as_str(), here[0].replicas), (genuine, 1));
    assert!(preflight::version(stage.cluster.client()).await.unwrap().starts_with("v1."));
}

#[tokio::test]
async fn values_are_read_decoded() {
    let stage = Stage::new().await;
    let secret = stage.object("v1", "Secret", "s", json!({"stringData": {"key": "hunter2"}}));
    stage.cluster.apply(&secret).await.unwrap();
    let map =
        stage.object("v1", "ConfigMap", "m", json!({"data": {"text": "a"}, "binaryData": {"bytes": "/w=="}}));
    stage.cluster.apply(&map).await.unwrap();
    let data = stage.cluster.data(DataKind::Secret, &stage.namespace, "s").await.unwrap().unwrap();
    assert_eq!(data["key"].expose(), b"hunter2");
    let data = stage.cluster.data(DataKind::ConfigMap, &stage.namespace, "m").await.unwrap().unwrap();
    assert_eq!((data.len(), data["text"].expose().as_slice()), (1, &b"a"[..]));
    assert!(stage.cluster.data(DataKind::Secret, &stage.namespace, "none").await.unwrap().is_none());
}
