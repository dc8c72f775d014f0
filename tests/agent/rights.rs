//! Rights: those of the agent itself, and those of the accounts that it impersonates.

use std::collections::BTreeSet;

use harness::eventually;
use harness::flux::controller;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use lockgate::tested::manifests;
use lockgate_base::model::Object;
use serde_json::{Value, json};

use super::stage::{
    HOME, PATIENCE, Running, Stage, api, builder, condition, config_map, installation, stage,
};

/// A binding of a role to a ServiceAccount; of the whole cluster where `namespace` is empty.
fn bind(name: &str, namespace: &str, role: (&str, &str), account: (&str, &str)) -> Value {
    let kind = if namespace.is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
    let mut metadata = json!({"name": name});
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata,
           "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1},
           "subjects": [{"kind": "ServiceAccount", "namespace": account.0, "name": account.1}]})
}

fn service_account(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})
}

/// A stage with an account for the agent that has the shipped roles alone, without the right to apply; and
/// one for tenants.
async fn locked(name: &str, files: &[(&str, &str)]) -> (Stage<'static>, String) {
    let stage = stage(name, files).await;
    let account = format!("agent-{}", stage.namespace);
    let agent = (HOME, account.as_str());
    let objects = [
        service_account(HOME, &account),
        bind(&account, "", ("ClusterRole", "lockgate"), agent),
        bind(&account, HOME, ("Role", "lockgate"), agent),
        service_account(&stage.namespace, "tenant"),
        bind("tenant", &stage.namespace, ("ClusterRole", "admin"), (&stage.namespace, "tenant")),
    ];
    for object in objects {
        stage.apply(object).await.unwrap();
    }
    (stage, account)
}

/// S03: without cluster-admin the agent serves Kustomizations that name an account, with that account's
/// rights.
#[tokio::test]
async fn under_lockdown_an_account_decides_what_is_applied() {
    let files = [("apps/a.yaml", &*config_map("a", "1")), ("none/a.yaml", &*config_map("b", "1"))];
    let (stage, account) = locked("lockdown", &files).await;
    let kubeconfig = stage.plane.service_account_kubeconfig(HOME, &account).await.unwrap();
    let _agent = stage.agent_as(&kubeconfig, &["--lockdown"]);
    stage.kustomization("apps", json!({"serviceAccountName": "tenant"})).await;
    stage.kustomization("none", json!({})).await;
    stage.ready("apps").await;
    let message = stage.reason("none", "AccessDenied").await;
    assert!(message.contains("serviceAccountName"), "{message}");
    stage.kustomization("apps", json!({"serviceAccountName": "tenant", "targetNamespace": "default"})).await;
    let message = stage.reason("apps", "AccessDenied").await;
    // Nothing but another spec helps, so it is not tried again.
    let elsewhere = json!({"kind": "GitRepository", "name": "repo", "namespace": HOME});
    stage.kustomization("other", json!({"serviceAccountName": "tenant", "sourceRef": elsewhere})).await;
    let denied =
        stage.until("other", "stalled", |status| condition(status, "Stalled")["status"] == "True").await;
    assert_eq!(condition(&denied, "Ready")["reason"], "AccessDenied", "{denied}");
    assert_eq!(denied["lastAttemptedRevision"], json!(null), "{denied}");
    assert!(
        message.contains("tenant") && message.contains("configmaps") && message.contains("default"),
        "{message}"
    );
}

/// The kinds of what is waited for: version and kind.
const AWAITED: [(&str, &str); 20] = [
    ("v1", "ConfigMap"),
    ("v1", "Endpoints"),
    ("v1", "LimitRange"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("v1", "ReplicationController"),
    ("v1", "ResourceQuota"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
];

/// A hundred that wait for objects of twenty kinds, in the name of one account, share their watches: each by
/// itself would have two thousand connections.
#[tokio::test]
async fn those_who_wait_in_one_name_share_their_watches() {
    const WAITING: usize = 100;
    let names: Vec<String> = (0..WAITING).map(|at| format!("k{at}")).collect();
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("{name}/a.yaml"), config_map(name, "1"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (stage, account) = locked("waiting", &files).await;
    let kubeconfig = stage.plane.service_account_kubeconfig(HOME, &account).await.unwrap();
    let agent = stage.agent_as(&kubeconfig, &["--lockdown"]);
    let checks = AWAITED.map(|(version, kind)| {
        json!({"apiVersion": version, "kind": kind, "name": "missing", "namespace": stage.namespace})
    });
    let spec = json!({"serviceAccountName": "tenant", "timeout": "1h", "healthChecks": checks});
    for name in &names {
        stage.kustomization(name, spec.clone()).await;
    }
    for name in &names {
        let is_told = |status: &Value| {
            let message = condition(status, "Reconciling")["message"].clone();
            message.as_str().is_some_and(|message| message.contains("missing"))
        };
        stage.until(name, "waiting", is_told).await;
    }
    let open = agent.open_files().unwrap();
    println!("{WAITING} wait for {} kinds with {open} descriptors", AWAITED.len());
    assert!(open < 150, "{open} descriptors");
}

/// S04: who names no account has the rights of the default one of its own namespace, and never the agent's.
#[tokio::test]
async fn who_names_no_account_has_the_rights_of_the_default_one() {
    let stage = stage("default-account", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    // The agent itself may apply anything.
    let _agent = stage.agent_with(&["--default-service-account", "fallback"]).await;
    stage.kustomization("apps", json!({})).await;
    let message = stage.reason("apps", "AccessDenied").await;
    let user = format!("system:serviceaccount:{}:fallback", stage.namespace);
    assert!(message.contains(&user), "{message}");
    assert!(stage.data("a").await.is_none());
    let account = (stage.namespace.as_str(), "fallback");
    stage.apply(bind("fallback", &stage.namespace, ("ClusterRole", "admin"), account)).await.unwrap();
    stage.ready("apps").await;
}

/// S02: the roles that are shipped hold what the agent does, and nothing that it never does.
#[tokio::test]
async fn the_shipped_roles_are_what_the_agent_uses() {
    let (stage, account) = locked("roles", &[("apps/a.yaml", &config_map("${word}", "1"))]).await;
    for (kind, name) in [("ConfigMap", "words"), ("Secret", "passwords")] {
        stage
            .apply(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": stage.namespace,
                          "labels": {"reconcile.fluxcd.io/watch": "Enabled"}}}))
            .await
            .unwrap();
    }
    let words = json!({"data": {"word": "one"}});
    stage.config_maps().patch("words", &PatchParams::default(), &Patch::Merge(words)).await.unwrap();
    let kubeconfig = stage.plane.service_account_kubeconfig(HOME, &account).await.unwrap();
    let start = |pod: &str| {
        let watched = ["--lockdown", "--watch-namespace", stage.namespace.as_str()];
        Running::start(builder(&kubeconfig).args(watched).env("POD_NAME", pod))
    };
    let first = start("lockgate-0");
    let from = json!([{"kind": "ConfigMap", "name": "words"}, {"kind": "Secret", "name": "passwords"}]);
    let spec = json!({"serviceAccountName": "tenant", "postBuild": {"substituteFrom": from}, "wait": true});
    // What is named like a controller of Flux has it look whether it is one.
    stage.apply(controller(&stage.namespace, "image-automation-controller", 1)).await.unwrap();
    stage.kustomization("apps", spec).await;
    stage.ready("apps").await;
    let held_sources = held_sources(&stage).await;
    releases_and_lets_go(&stage).await;
    // The next one looks for the pod of the one that was killed.
    first.kill9();
    let second = start("lockgate-1");
    second.wait_output("became leader", PATIENCE).await.unwrap();
    // A Kustomization whose account has gone is let go, and so is a source that Flux has held.
    stage.kustomization("apps", json!({"serviceAccountName": "gone", "path": "./apps"})).await;
    stage.kustomizations().delete("apps", &DeleteParams::default()).await.unwrap();
    let held = json!({"metadata": {"finalizers": ["finalizers.fluxcd.io"]}});
    stage.sources().patch("repo", &PatchParams::default(), &Patch::Merge(held)).await.unwrap();
    stage.sources().delete("repo", &DeleteParams::default()).await.unwrap();
    for sources in &held_sources {
        sources.delete("held", &DeleteParams::default()).await.unwrap();
    }
    eventually(PATIENCE, async || {
        anyhow::ensure!(
            stage.kustomizations().get_opt("apps").await?.is_none(),
            "the Kustomization is still there"
        );
        anyhow::ensure!(stage.sources().get_opt("repo").await?.is_none(), "the source is still there");
        for sources in &held_sources {
            anyhow::ensure!(sources.get_opt("held").await?.is_none(), "a source is still there");
        }
        Ok(())
    })
    .await
    .unwrap();
    second.term();
    second.wait_exit(PATIENCE).await.unwrap();
    let used = used(&stage, &format!("system:serviceaccount:{HOME}:{account}"));
    let shipped = shipped();
    let never: Vec<_> = shipped.difference(&used).collect();
    let beyond: Vec<_> = used.difference(&shipped).collect();
    assert!(never.is_empty() && beyond.is_empty(), "never used: {never:?}; used and not shipped: {beyond:?}");
}

/// A HelmRelease whose chart is nowhere: its HelmChart is made, and goes with it.
async fn releases_and_lets_go(stage: &Stage<'_>) {
    let (group, source) = ("helm.toolkit.fluxcd.io/v2", "source.toolkit.fluxcd.io/v1");
    let metadata = json!({"name": "web", "namespace": stage.namespace});
    let from = json!({"kind": "HelmRepository", "name": "held"});
    let spec = json!({"interval": "1h", "serviceAccountName": "tenant", "chart": {"spec": {"chart": "web", "sourceRef": from}}});
    let release = json!({"apiVersion": group, "kind": "HelmRelease", "metadata": metadata, "spec": spec});
    stage.apply(release).await.unwrap();
    let releases = api(&stage.client, &stage.namespace, group, "HelmRelease", "helmreleases");
    let charts = api(&stage.client, &stage.namespace, source, "HelmChart", "helmcharts");
    let chart = format!("{}-web", stage.namespace);
    eventually(PATIENCE, async || {
        let status = releases.get("web").await?.data["status"].clone();
        anyhow::ensure!(condition(&status, "Ready")["status"] == "False", "nothing is told: {status}");
        anyhow::ensure!(charts.get_opt(&chart).await?.is_some(), "there is no HelmChart {chart}");
        Ok(())
    })
    .await
    .unwrap();
    releases.delete("web", &DeleteParams::default()).await.unwrap();
    eventually(PATIENCE, async || {
        anyhow::ensure!(releases.get_opt("web").await?.is_none(), "the HelmRelease is still there");
        anyhow::ensure!(charts.get_opt(&chart).await?.is_none(), "the HelmChart is still there");
        Ok(())
    })
    .await
    .unwrap();
}

/// The APIs of the sources besides GitRepositories, each with one that Flux has held and that cannot be
/// fetched, since nobody listens where it is to come from.
async fn held_sources(stage: &Stage<'_>) -> Vec<Api<DynamicObject>> {
    let group = "source.toolkit.fluxcd.io/v1";
    let kinds = [
        (
            "OCIRepository",
            "ocirepositories",
            json!({"interval": "1h", "url": "oci://127.0.0.1:1/manifests", "timeout": "5s"}),
        ),
        (
            "HelmRepository",
            "helmrepositories",
            json!({"interval": "1h", "url": "http://127.0.0.1:1/charts", "timeout": "5s"}),
        ),
        (
            "HelmChart",
            "helmcharts",
            json!({"interval": "1h", "chart": "a", "sourceRef": {"kind": "HelmRepository", "name": "held"}}),
        ),
    ];
    let mut all = Vec::new();
    for (kind, plural, spec) in kinds {
        let metadata =
            json!({"name": "held", "namespace": stage.namespace, "finalizers": ["finalizers.fluxcd.io"]});
        let source = json!({"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec});
        stage.apply(source).await.unwrap();
        let sources = api(&stage.client, &stage.namespace, group, kind, plural);
        eventually(PATIENCE, async || {
            let status = sources.get("held").await?.data["status"].clone();
            anyhow::ensure!(condition(&status, "Ready")["status"] == "False", "nothing is told: {status}");
            Ok(())
        })
        .await
        .unwrap();
        all.push(sources);
    }
    all
}

/// Group, resource and verb of each right in the roles for the agent itself.
fn shipped() -> BTreeSet<String> {
    let objects = manifests::agent(&installation()).unwrap();
    let ours =
        |object: &&Object| ["ClusterRole", "Role"].contains(&object.kind()) && object.name() == "lockgate";
    let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let mut rights = BTreeSet::new();
    let roles: Vec<&Object> = objects.iter().filter(ours).collect();
    assert_eq!(roles.len(), 2);
    for rule in roles.iter().flat_map(|role| role.pointer("/rules").unwrap().as_array().unwrap()) {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                rights.extend(texts(&rule["verbs"]).iter().map(|verb| format!("{verb} {resource}.{group}")));
            }
        }
    }
    rights
}

/// The rights that the account used, as the audit log says. What it did for others counts as acting in their
/// name.
fn used(stage: &Stage<'_>, account: &str) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut used = BTreeSet::new();
    for request in stage.plane.audit_log() {
        if request["user"]["username"] != account {
            continue;
        }
        if request.get("impersonatedUser").is_some() {
            used.insert("impersonate serviceaccounts.".to_owned());
            continue;
        }
        let object = &request["objectRef"];
        // Everybody may ask what the server serves.
        if object.is_null() {
            continue;
        }
        let resource = match object["subresource"].as_str() {
            Some(sub) => format!("{}/{sub}", text(&object["resource"])),
            None => text(&object["resource"]),
        };
        let right = format!("{} {resource}.{}", text(&request["verb"]), text(&object["apiGroup"]));
        if request["responseStatus"]["code"] == 403 {
            // Under lockdown the agent may not watch what was applied, so it looks at the interval.
            let watches = request["verb"] == "list" || request["verb"] == "watch";
            assert!(watches && object["resource"] == "configmaps", "refused: {right}");
            continue;
        }
        if request["verb"] == "patch" && request["responseStatus"]["code"] == 201 {
            // An apply of what is not there needs the right to create it, too.
            used.insert(right.replacen("patch", "create", 1));
        }
        used.insert(right);
    }
    used
}
