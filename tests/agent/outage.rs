//! Outages of the API server, and malformed objects of our kinds. The tests have a control plane of their
//! own, since they would disturb others.

use std::time::{Duration, Instant};

use harness::{ControlPlane, Mode, Options, Proxy, eventually};
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::stage::{HOME, LISTEN, PATIENCE, Running, apply, condition, config_map, stage_on};

#[tokio::test]
async fn a_control_plane_that_fails_and_returns() {
    let plane = ControlPlane::start(Options::bare()).await.unwrap();
    what_was_stored_before_the_schema_stalls_alone(&plane).await;
    a_dead_group_holds_up_no_other(&plane).await;
    a_wait_outlives_the_api_server(&plane).await;
    what_was_committed_while_the_line_was_cut_is_not_replayed(&plane).await;
    an_api_server_that_is_killed_is_waited_for(&plane).await;
}

/// I38: objects from before there was a schema: each stalls by itself and says which field, and the others go
/// on.
async fn what_was_stored_before_the_schema_stalls_alone(plane: &ControlPlane) {
    let client = plane.client().await.unwrap();
    let kinds = [
        ("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories"),
        ("source.toolkit.fluxcd.io", "HelmRepository", "helmrepositories"),
        ("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations"),
    ];
    for (group, kind, plural) in kinds {
        apply(&client, without_schema(group, kind, plural)).await.unwrap();
    }
    let source = json!({"kind": "GitRepository", "name": "repo"});
    let malformed = [
        (
            "Kustomization",
            "words",
            json!({"interval": "5 minutes", "prune": true, "sourceRef": source}),
            "5 minutes",
        ),
        (
            "Kustomization",
            "number",
            json!({"interval": "5m", "prune": "yes", "sourceRef": source}),
            "spec.prune",
        ),
        ("Kustomization", "text", json!("apps"), "spec"),
        ("Kustomization", "nothing", Value::Null, "spec"),
        ("GitRepository", "odd", json!({"interval": 60, "url": "ssh://git@host/r"}), "spec.interval"),
        ("HelmRepository", "charts", json!({"interval": "1h", "url": 5}), "spec.url"),
    ];
    let namespace = "schema";
    apply(&client, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
        .await
        .unwrap();
    for (kind, name, spec, _) in &malformed {
        let (group, _, plural) = kinds.into_iter().find(|(_, found, _)| found == kind).unwrap();
        let gvk = GroupVersionKind::gvk(group, "v1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let object = json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": name}, "spec": spec});
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        eventually(PATIENCE, async || Ok(api.create(&PostParams::default(), &object).await?)).await.unwrap();
    }
    // Now the schema comes, and with it the agent.
    let stage = stage_on(plane, "sound", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let agent = stage.agent_everywhere().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let stage = stage.moved_to(namespace);
    for (kind, name, _, told) in &malformed {
        let is_stalled = |status: &Value| condition(status, "Stalled")["status"] == "True";
        let status = match *kind {
            "Kustomization" => stage.until(name, "stalled", is_stalled).await,
            "GitRepository" => stage.until_source(name, "stalled", is_stalled).await,
            _ => {
                let group = "source.toolkit.fluxcd.io/v1";
                let all =
                    super::stage::api(&stage.client, namespace, group, "HelmRepository", "helmrepositories");
                super::stage::until(&all, name, "stalled", is_stalled).await
            }
        };
        let ready = condition(&status, "Ready");
        assert_eq!(ready["reason"], "InvalidSpec", "{ready}");
        assert!(ready["message"].as_str().unwrap().contains(told), "{name}: {ready}");
    }
    drop(agent);
}

/// A definition of one of our kinds that takes any object.
fn without_schema(group: &str, kind: &str, plural: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
           "metadata": {"name": format!("{plural}.{group}")},
           "spec": {"group": group, "scope": "Namespaced",
                    "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
                    "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema,
                                  "subresources": {"status": {}}}]}})
}

/// F14: with an aggregated API that does not answer, only objects of its group are in trouble, and say so.
async fn a_dead_group_holds_up_no_other(plane: &ControlPlane) {
    let metrics =
        json!({"apiVersion": "metrics.k8s.io/v1beta1", "kind": "NodeMetrics", "metadata": {"name": "n"}});
    let files = [("apps/a.yaml", config_map("a", "1")), ("metrics/m.yaml", metrics.to_string())];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let stage = stage_on(plane, "group", &files).await;
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
                 "insecureSkipTLSVerify": true, "service": {"name": "gone", "namespace": "default"}}});
    stage.apply(service).await.unwrap();
    eventually(PATIENCE, async || {
        let groups = stage.client.list_api_groups().await?.groups;
        anyhow::ensure!(groups.iter().any(|group| group.name == "metrics.k8s.io"), "it is not served");
        Ok(())
    })
    .await
    .unwrap();
    let _agent = stage.agent().await;
    stage.kustomization("metrics", json!({})).await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let message = stage.reason("metrics", "ReconciliationFailed").await;
    let told = "dry-run failed: the server behind the API group metrics.k8s.io does not answer";
    assert!(message.starts_with("NodeMetrics/") && message.contains(told), "{message}");
    // What was known before is known still: a new revision of the others is applied, and what was dropped is
    // deleted.
    stage.push(&[("apps/a.yaml", &config_map("b", "1"))]);
    stage.ready("apps").await;
    assert!(stage.data("a").await.is_none() && stage.data("b").await.is_some());
    let gvk = GroupVersionKind::gvk("apiregistration.k8s.io", "v1", "APIService");
    let services: Api<DynamicObject> =
        Api::all_with(stage.client.clone(), &ApiResource::from_gvk_with_plural(&gvk, "apiservices"));
    services.delete("v1beta1.metrics.k8s.io", &DeleteParams::default()).await.unwrap();
    // Nobody serves the kind any more, and that is said as soon as it is so.
    stage
        .until("metrics", "told that there is no such kind", |status| {
            condition(status, "Ready")["message"].to_string().contains("no matches for kind")
        })
        .await;
}

/// An agent whose health is waited for while its API server goes away does not stay `Progressing`.
async fn a_wait_outlives_the_api_server(plane: &ControlPlane) {
    let stage = stage_on(plane, "wait", &[("apps/p.yaml", &pod())]).await;
    let proxy = Proxy::start(plane.address()).unwrap();
    let kubeconfig = plane.service_account_kubeconfig(HOME, "lockgate").await.unwrap();
    let through = plane.kubeconfig_through(&kubeconfig, proxy.address()).unwrap();
    let agent = stage.agent_as(&through, LISTEN);
    stage.kustomization("apps", json!({"wait": true, "timeout": "10m"})).await;
    // Until then requests are under way whose loss would end the run.
    let waiting = format!(": waiting for Pod/{}/p", stage.namespace);
    let is_waiting =
        |status: &Value| condition(status, "Reconciling")["message"].to_string().contains(&waiting);
    stage.until("apps", "waiting", is_waiting).await;
    let pods = super::stage::api(&stage.client, &stage.namespace, "v1", "Pod", "pods");
    proxy.set(Mode::Refuse).await;
    agent.wait_output("watch interrupted", PATIENCE).await.unwrap();
    // Nobody runs pods here, so the test plays the kubelet, while the agent does not see it.
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    let params = kube::api::PatchParams::default();
    pods.patch_status("p", &params, &kube::api::Patch::Merge(status)).await.unwrap();
    proxy.set(Mode::Pass).await;
    let status = stage.ready("apps").await;
    assert_eq!(condition(&status, "Healthy")["status"], "True");
    assert_eq!(condition(&status, "Reconciling"), Value::Null);
    assert_eq!(ended(&agent, r#"result="failure""#).await, 0, "it was one wait, and not one after the other");
    // Of most kinds nothing changes that could show that the watch is back.
    is_ready(&agent).await;
}

/// F16: of the commits that land while the line to the API server is cut, the newest alone is applied and
/// told of.
async fn what_was_committed_while_the_line_was_cut_is_not_replayed(plane: &ControlPlane) {
    let stage = stage_on(plane, "cut", &[("apps/a.yaml", &config_map("a", "0"))]).await;
    let proxy = Proxy::start(plane.address()).unwrap();
    let kubeconfig = plane.service_account_kubeconfig(HOME, "lockgate").await.unwrap();
    let through = plane.kubeconfig_through(&kubeconfig, proxy.address()).unwrap();
    let agent = stage.agent_as(&through, &[]);
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    proxy.set(Mode::Refuse).await;
    agent.wait_output("watch interrupted", PATIENCE).await.unwrap();
    let commits: Vec<String> =
        (1..=5).map(|at| stage.push(&[("apps/a.yaml", &config_map("a", &at.to_string()))])).collect();
    proxy.set(Mode::Pass).await;
    stage.ready("apps").await;
    assert_eq!(stage.data("a").await.unwrap()["value"], "5");
    let events = super::stage::api(&stage.client, &stage.namespace, "v1", "Event", "events");
    let told = async || {
        let all = events.list(&kube::api::ListParams::default()).await?.items;
        let of_apps = all.into_iter().filter(|event| event.data["involvedObject"]["kind"] == "Kustomization");
        let revisions =
            of_apps.flat_map(|event| event.metadata.annotations.unwrap_or_default().into_values());
        anyhow::Ok(revisions.collect::<Vec<String>>())
    };
    // Events are written in their order, and the one about the last commit is the last one.
    let told = eventually(PATIENCE, async || {
        let told = told().await?;
        anyhow::ensure!(told.contains(&commits[4]), "{told:?}");
        Ok(told)
    })
    .await
    .unwrap();
    assert!(!commits[..4].iter().any(|commit| told.contains(commit)), "{told:?}");
}

async fn is_ready(agent: &Running) {
    eventually(PATIENCE, async || {
        anyhow::ensure!(probe(agent, "/readyz").await == 200, "it does not call itself ready");
        Ok(())
    })
    .await
    .unwrap();
}

fn pod() -> String {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
           "spec": {"containers": [{"name": "c", "image": "example.org/c"}]}})
    .to_string()
}

/// F02: while the API server is gone the agent lives, is not ready, and does not spin; when it is back it
/// goes on.
async fn an_api_server_that_is_killed_is_waited_for(plane: &ControlPlane) {
    let stage = stage_on(plane, "down", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let agent = stage.agent_with(LISTEN).await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    assert_eq!(probe(&agent, "/readyz").await, 200);
    plane.kill_apiserver();
    stage.push(&[("apps/a.yaml", &config_map("a", "2"))]);
    eventually(PATIENCE, async || {
        anyhow::ensure!(probe(&agent, "/readyz").await == 503, "it calls itself ready");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(probe(&agent, "/healthz").await, 200, "the kubelet has no reason to restart it");
    let before = agent.cpu_seconds().unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(agent.exited().is_none());
    let spent = agent.cpu_seconds().unwrap() - before;
    assert!(spent < 3.0, "it spins: {spent} s of processor time in 30 s");
    // However many watches have ended, and however often they and the lease were tried again.
    let output = agent.output();
    let count = |text: &str| output.lines().filter(|line| line.contains(text)).count();
    assert_eq!((count("watch interrupted"), count("eof in poll")), (1, 0), "{output}");
    assert!((1..=3).contains(&count("failed to renew the lease")), "{output}");
    plane.start_apiserver().await.unwrap();
    let back = Instant::now();
    stage.ready("apps").await;
    println!("converged {:?} after the API server was back", back.elapsed());
    assert_eq!(stage.data("a").await.unwrap()["value"], "2");
    is_ready(&agent).await;
}

/// The status that the agent's web server answers with.
async fn probe(agent: &Running, path: &str) -> u16 {
    answer(agent, path).await.split(' ').nth(1).unwrap().parse().unwrap()
}

/// How many reconciles have ended so far, of those whose labels contain a text.
pub(crate) async fn ended(agent: &Running, labels: &str) -> u64 {
    let metrics = body(agent, "/metrics").await;
    let of_kind = |line: &&str| line.starts_with(r#"lockgate_runs_total{kind="Kustomization""#);
    let counts = metrics.lines().filter(of_kind).filter(|line| line.contains(labels));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// What it answers.
pub(crate) async fn body(agent: &Running, path: &str) -> String {
    let answer = answer(agent, path).await;
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

async fn answer(agent: &Running, path: &str) -> String {
    let address = address(agent, if path == "/metrics" { "serving metrics" } else { "serving probes" });
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Where the agent listens, as the line of its log says that has this message.
pub(crate) fn address(agent: &Running, message: &str) -> String {
    let output = agent.output();
    let line = output.lines().find(|line| line.contains(message)).expect("it serves nothing");
    serde_json::from_str::<Value>(line).unwrap()["address"].as_str().unwrap().to_owned()
}
