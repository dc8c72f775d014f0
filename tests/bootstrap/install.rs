//! The kinds, the agent without a repository, other SSH servers, and the uninstall.

use std::time::Duration;

use harness::{Registry, RegistryOptions, eventually};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::site::{PATH, Site, done, ended, killed_at};

fn api(client: &kube::Client, group: &str, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(group, version, kind);
    Api::namespaced_with(client.clone(), "default", &ApiResource::from_gvk_with_plural(&gvk, plural))
}

/// The API server accepts the kinds, every version stores without loss, and the rules are Flux's.
#[tokio::test(flavor = "multi_thread")]
async fn the_kinds_serve_every_version_without_loss() {
    let site = Site::new().await;
    done(site.lockgate(&["install"])).await;
    let again = ended(site.lockgate(&["install"])).await;
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
    for command in ["install", "uninstall"] {
        let run = ended(site.lockgate(&[command, "-n", "other"])).await;
        assert_eq!(run.code, 4, "{}", run.stderr);
        assert!(
            run.stderr.contains("installed in the namespace flux-system, not in 'other'"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("fix: name it with -n flux-system"), "{}", run.stderr);
    }
    let client = site.plane.client().await.unwrap();
    let old_spec = json!({
        "interval": "5m", "prune": true, "validation": "client", "path": "./x", "timeout": "2m",
        "sourceRef": {"kind": "GitRepository", "name": "g"},
        "patchesStrategicMerge": [{"kind": "Deployment", "metadata": {"name": "d"}}],
        "patchesJson6902": [{"patch": [{"op": "add", "path": "/a", "value": {"b": [1, "c"]}}], "target": {"kind": "D"}}],
        "images": [{"name": "i", "newTag": "1"}],
        "healthChecks": [{"kind": "Deployment", "name": "d", "namespace": "n"}],
        "postBuild": {"substitute": {"A": "b"}, "substituteFrom": [{"kind": "ConfigMap", "name": "c"}]},
        "decryption": {"provider": "sops", "secretRef": {"name": "s"}},
        "kubeConfig": {"secretRef": {"name": "k", "key": "v"}},
    });
    let (group, kind, plural) = ("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations");
    for version in ["v1beta1", "v1beta2", "v1"] {
        let value = json!({
            "apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": {"name": version}, "spec": old_spec,
        });
        let old = api(&client, group, version, kind, plural);
        let params = PatchParams::apply("test");
        old.patch(version, &params, &Patch::Apply(&value)).await.unwrap();
        let stored = api(&client, group, "v1", kind, plural).get(version).await.unwrap();
        let mut expected = old_spec.clone();
        expected["force"] = false.into();
        expected["postBuild"]["substituteFrom"][0]["optional"] = false.into();
        assert_eq!(stored.data["spec"], expected, "{version}");
        assert_eq!(stored.data["status"], json!({"observedGeneration": -1}));
    }
    let refused = [
        (json!({"interval": "5 minutes"}), "spec.interval"),
        (json!({"prune": null}), "spec.prune"),
        (json!({"targetNamespace": ""}), "spec.targetNamespace"),
        (json!({"deletionPolicy": "Never"}), "spec.deletionPolicy"),
        (json!({"sourceRef": {"kind": "Git", "name": "x"}}), "spec.sourceRef.kind"),
        (json!({"kubeConfig": {"secretRef": null}}), "exactly one of"),
    ];
    for (change, named) in refused {
        let patched = api(&client, group, "v1", kind, plural)
            .patch("v1", &PatchParams::default(), &Patch::Merge(json!({ "spec": change })))
            .await;
        let message = patched.unwrap_err().to_string();
        assert!(message.contains(named), "{change}: {message}");
    }
    repositories_too(&client).await;
    columns_are_what_people_know(&client).await;
}

async fn repositories_too(client: &kube::Client) {
    let (group, kind, plural) = ("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories");
    let spec = json!({
        "interval": "1m", "url": "ssh://git@example.org/r", "gitImplementation": "libgit2", "timeout": "20s",
        "accessFrom": {"namespaceSelectors": [{"matchLabels": {"a": "b"}}]}, "recurseSubmodules": true,
        "verify": {"mode": "head", "secretRef": {"name": "v"}}, "ref": {"branch": "main"},
        "include": [{"repository": {"name": "o"}, "fromPath": "a", "toPath": "b"}],
    });
    for version in ["v1beta1", "v1beta2", "v1"] {
        let value = json!({
            "apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": {"name": version}, "spec": spec,
        });
        let written = api(client, group, version, kind, plural)
            .patch(version, &PatchParams::apply("test"), &Patch::Apply(&value))
            .await;
        assert_eq!(written.unwrap().data["spec"], spec, "{version}");
    }
    let scp = json!({"spec": {"url": "git@example.org:r"}});
    let refused =
        api(client, group, "v1", kind, plural).patch("v1", &PatchParams::default(), &Patch::Merge(scp)).await;
    assert!(refused.unwrap_err().to_string().contains("spec.url"));
}

/// `kubectl get ks` and `kubectl get gitrepo` ask the server for a table.
async fn columns_are_what_people_know(client: &kube::Client) {
    for (path, expected) in [
        (
            "kustomize.toolkit.fluxcd.io/v1/namespaces/default/kustomizations",
            vec!["Name", "Age", "Ready", "Status"],
        ),
        (
            "source.toolkit.fluxcd.io/v1/namespaces/default/gitrepositories",
            vec!["Name", "URL", "Age", "Ready", "Status"],
        ),
    ] {
        let (names, _) = crate::table::printed(client, &format!("/apis/{path}")).await;
        assert_eq!(names, expected);
    }
}

/// `lockgate bootstrap git`: the key is printed, and the run continues when the host accepts it. Then the
/// installation is removed again.
#[tokio::test(flavor = "multi_thread")]
async fn any_ssh_server_will_do_and_the_way_back_leaves_the_workloads() {
    let site = Site::new().await;
    let url = site.git.url(&site.repo);
    let arguments = ["bootstrap", "git", &url, "--path", PATH, "--name", "foobar-infra", "-o", "json"];
    let mut child = site.lockgate(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut events: Vec<Value> = Vec::new();
    let mut agent = None;
    while let Some(line) = lines.next_line().await.unwrap() {
        let event: Value = serde_json::from_str(&line).unwrap();
        let note = event["detail"].as_str().unwrap_or_default();
        if let Some(key) = note.lines().find(|line| line.starts_with("ssh-ed25519 ")) {
            assert!(note.starts_with("add this public key at "), "{note}");
            site.git.authorize(&site.repo, key).unwrap();
        }
        if event["step"] == "deploy key" && event["event"] == "step" {
            agent = Some(site.agent(&[]).await);
        }
        events.push(event);
    }
    let text = || events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    assert!(child.wait().await.unwrap().success(), "{}", text());
    let steps: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "step")
        .map(|event| event["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        ["preflight", "host keys", "secret", "deploy key", "agent", "source", "sync"],
        "{}",
        text()
    );
    assert_eq!(events.last().unwrap()["event"], "done");
    assert!(
        text().contains("compare with the keys that the server's owner publishes: ed25519 SHA256:"),
        "{}",
        text()
    );
    drop(agent);

    let elsewhere = [&arguments[..], &["--branch", "gone", "--replace-sync"]].concat();
    let run = ended(site.lockgate(&elsewhere)).await;
    let told = "the branch 'gone' does not exist; existing branches include 'main'";
    assert!(run.code == 1 && run.stdout.contains(told), "{}{}", run.stdout, run.stderr);

    let leases = async || {
        let leases = site.all("coordination.k8s.io/v1", "Lease", "leases").await;
        leases.iter().filter(|lease| lease["metadata"]["namespace"] == "flux-system").count()
    };
    assert_eq!(leases().await, 1);
    done(site.lockgate(&["uninstall"])).await;
    assert_eq!(leases().await, 0, "the agent's lease is left");
    let maps = site.all("v1", "ConfigMap", "configmaps").await;
    let kept = |name: &str| maps.iter().any(|map| map["metadata"]["name"] == name);
    assert!(kept("base") && kept("apps"), "the workloads are gone");
    // The API server removes a kind a moment after it has accepted its deletion.
    eventually(Duration::from_mins(1), async || {
        let mut left = site.versions().await;
        left.retain(|name| name.contains("\"lockgate") || name.contains("toolkit.fluxcd.io"));
        anyhow::ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(site.secrets().await.len(), 1);
    let again = done(site.lockgate(&["uninstall"])).await;
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
}

/// An uninstall under a running agent prunes nothing; with `--purge` it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_takes_everything_and_a_removal_nothing_even_under_a_running_agent() {
    let site = Site::new().await;
    let has = async |name: &str| {
        site.all("v1", "ConfigMap", "configmaps").await.iter().any(|map| map["metadata"]["name"] == name)
    };
    let (_, _agent) = site.with_agent(site.bootstrap(&[]), &[]).await;
    done(site.lockgate(&["uninstall"])).await;
    assert!(has("base").await && has("apps").await, "the workloads are gone");

    let (_, _agent) = site.with_agent(site.bootstrap(&[]), &[]).await;
    assert_eq!(site.hub.keys().len(), 1, "the key of the Secret that was left is used again");
    let run = done(site.lockgate(&["uninstall", "--purge"])).await;
    let key = &site.hub.keys()[0].title;
    let told = format!("the deploy key \"{key}\" (ed25519 SHA256:");
    assert!(run.stderr.contains(&told), "{told}: {}", run.stderr);
    assert!(run.stderr.contains("stays registered at barolab/foobar-infra until"), "{}", run.stderr);
    assert!(!has("base").await && !has("apps").await, "the workloads are left");
    assert!(site.secrets().await.is_empty());
}

/// An uninstall that was cut off, or kept the Secrets, has already deleted the sources: the key is found
/// without them.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_finds_the_key_without_its_source_and_leaves_other_secrets() {
    let site = Site::new().await;
    // The namespace lacks our label, so it stays.
    site.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})).await;
    assert!(killed_at(site.bootstrap(&[]), "✔ deploy key ").await);
    let labels = json!({"app.kubernetes.io/part-of": "lockgate"});
    for (name, labels, key) in [
        ("theirs", json!({}), "identity"),
        // Somebody else has set the label, which is allowed.
        ("theirs-too", labels.clone(), "identity"),
        ("no-key", labels, "text"),
    ] {
        site.create(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": "flux-system", "labels": labels}, "stringData": {key: "x"},
        }))
        .await;
    }
    done(site.lockgate(&["uninstall"])).await;
    assert_eq!(site.secrets().await.len(), 4);
    let run = done(site.lockgate(&["uninstall", "--purge"])).await;
    let key = &site.hub.keys()[0].title;
    let told = format!("the deploy key \"{key}\" (ed25519 SHA256:");
    assert!(run.stderr.contains(&told), "{told}: {}", run.stderr);
    assert!(run.stderr.contains("stays registered at barolab/foobar-infra until"), "{}", run.stderr);
    assert!(run.stderr.contains("workloads that an earlier removal left stay"), "{}", run.stderr);
    assert!(!run.stderr.contains("nothing was changed"), "{}", run.stderr);
    let left = site.secrets().await;
    let names: Vec<&Value> = left.iter().map(|secret| &secret["metadata"]["name"]).collect();
    assert_eq!(names, ["no-key", "theirs", "theirs-too"]);
}

/// F19: a node keeps what it has pulled by a tag, and the cluster shows no difference; only the registry
/// does. The login that was made for it goes with a purge.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_was_pushed_again_is_told_of() {
    let site = Site::new().await;
    let registry = Registry::start(RegistryOptions { login: true, tls: false }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let push = |text: &str| {
        std::fs::write(folder.path().join("file"), text).unwrap();
        registry.push("org/agent", "1", folder.path(), "main@sha1:1").unwrap()
    };
    let first = push("one");
    let login = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(login.path(), registry.docker_config()).unwrap();
    let name = format!("{}/org/agent", registry.address());
    let (image, secret) = (format!("{name}:1"), format!("pull={}", login.path().display()));
    done(site.lockgate(&["install", "--image", &image, "--image-pull-secret", &secret])).await;
    // As the kubelet tells of what it has pulled.
    let pods: Api<DynamicObject> = Api::namespaced_with(
        site.plane.client().await.unwrap(),
        "flux-system",
        &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod")),
    );
    let pod = pods.list(&ListParams::default()).await.unwrap().items.pop().unwrap();
    let mut containers = pod.data["status"]["containerStatuses"].clone();
    containers[0]["imageID"] = format!("{name}@{first}").into();
    let patch = Patch::Merge(json!({"status": {"containerStatuses": containers}}));
    pods.patch_status(&pod.metadata.name.unwrap(), &PatchParams::default(), &patch).await.unwrap();

    let same = done(site.lockgate(&["install"])).await;
    assert!(!same.stderr.contains("pushed again"), "{}", same.stderr);
    let second = push("two");
    let moved = done(site.lockgate(&["install"])).await;
    let told = format!(
        "the tag {image} was pushed again: it names {second} now, and the pod runs {first}, which its node keeps; give \
         each build a tag of its own, or name this one with --image {name}@{second}"
    );
    assert!(moved.stderr.contains(&told), "{told}: {}", moved.stderr);
    // Another machine may not reach the registry.
    drop(registry);
    let away = done(site.lockgate(&["install"])).await;
    assert!(!away.stderr.contains("pushed again"), "{}", away.stderr);
    assert_eq!(site.secrets().await.len(), 1);
    done(site.lockgate(&["uninstall", "--purge"])).await;
    assert!(site.secrets().await.is_empty(), "the login is left");
}

/// A finalizer of another tool still holds the object.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_takes_off_its_own_finalizer_and_names_those_of_others() {
    let site = Site::new().await;
    done(site.lockgate(&["install"])).await;
    let finalizers = json!(["example.org/hold", "finalizers.fluxcd.io"]);
    for (kind, spec) in [
        ("GitRepository", json!({"interval": "1m", "url": "ssh://git@example.org/r"})),
        (
            "Kustomization",
            json!({"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "held"}}),
        ),
    ] {
        let group = if kind == "GitRepository" { "source" } else { "kustomize" };
        site.create(json!({
            "apiVersion": format!("{group}.toolkit.fluxcd.io/v1"), "kind": kind, "spec": spec,
            "metadata": {"name": "held", "namespace": "default", "finalizers": finalizers},
        }))
        .await;
    }
    let run = done(site.lockgate(&["uninstall"])).await;
    for (api_version, kind, plural) in [
        ("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories"),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations"),
    ] {
        let told = format!("{kind}/default/held (example.org/hold)");
        assert!(run.stderr.contains(&told), "{told}: {}", run.stderr);
        let left = &site.all(api_version, kind, plural).await[0]["metadata"];
        assert_eq!(left["finalizers"], json!(["example.org/hold"]), "{kind}");
        assert!(left["deletionTimestamp"].is_string(), "{kind}");
    }
}

/// A new installation right after an uninstall waits until the old objects are gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_on_its_way_out_is_waited_for() {
    let site = Site::new().await;
    done(site.lockgate(&["install"])).await;
    let client = site.plane.client().await.unwrap();
    let of_cluster = |group: &str, kind: &str| -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        Api::all_with(client.clone(), &resource)
    };
    let crds = of_cluster("apiextensions.k8s.io", "CustomResourceDefinition");
    let leaving =
        [(crds, "gitrepositories.source.toolkit.fluxcd.io"), (of_cluster("", "Namespace"), "flux-system")];
    let hold = async |(api, name): &(Api<DynamicObject>, &str), finalizers: Value| {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        api.patch(name, &PatchParams::default(), &patch).await.unwrap();
    };
    for leaving in &leaving {
        hold(leaving, json!(["example.org/hold"])).await;
    }
    done(site.lockgate(&["uninstall", "--purge"])).await;
    let mut child = site.lockgate(&["install"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut told, mut waits) = (Vec::new(), 0);
    while let Some(line) = lines.next_line().await.unwrap() {
        for leaving in &leaving {
            if line.contains("waiting") && line.contains(&format!("/{} is terminating", leaving.1)) {
                hold(leaving, json!([])).await;
                waits += 1;
            }
        }
        told.push(line);
    }
    assert!(child.wait().await.unwrap().success(), "{told:#?}");
    assert_eq!(waits, 2, "{told:#?}");
    for (api, name) in &leaving {
        assert!(api.get(name).await.unwrap().metadata.deletion_timestamp.is_none(), "{name}");
    }
}

/// A namespace whose finalizers nobody is left to remove is not waited for: the message names the finalizer
/// and the cure.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_held_for_ever_is_named_with_its_cure() {
    let site = Site::new().await;
    done(site.lockgate(&["install"])).await;
    site.create(json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "flux-system", "finalizers": ["finalizers.fluxcd.io"]},
        "spec": {"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "platform"}},
    }))
    .await;
    let client = site.plane.client().await.unwrap();
    let namespaces: Api<DynamicObject> =
        Api::all_with(client, &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")));
    namespaces.delete("flux-system", &kube::api::DeleteParams::default()).await.unwrap();
    for command in [site.lockgate(&["install"]), site.bootstrap(&[])] {
        let run = ended(command).await;
        assert_eq!(run.code, 1, "{}", run.stderr);
        let told = "Namespace/flux-system is being deleted and held by finalizers.fluxcd.io on \
            Kustomization/flux-system/apps; no agent runs to drop it: run lockgate uninstall";
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    assert!(site.hub.keys().is_empty());
    done(site.lockgate(&["uninstall"])).await;
    done(site.lockgate(&["install"])).await;
}

/// The export equals the objects that would be applied, and needs neither cluster nor host.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_asks_nobody() {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lockgate"));
    command.args([
        "bootstrap",
        "github",
        "o/r",
        "--export",
        "--lockdown",
        "--service-account",
        "a",
        "-n",
        "gitops",
    ]);
    command.env("KUBECONFIG", "/nonexistent").env_remove("GITHUB_TOKEN");
    let run = done(command).await;
    assert_eq!(run.stderr, "");
    let documents =
        lockgate_base::model::yaml::documents(&run.stdout, lockgate_base::model::yaml::Dialect::V2).unwrap();
    let kinds: Vec<&str> =
        documents.iter().map(|document| document.value["kind"].as_str().unwrap()).collect();
    for kind in [
        "Namespace",
        "CustomResourceDefinition",
        "Deployment",
        "NetworkPolicy",
        "GitRepository",
        "Kustomization",
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(!kinds.contains(&"Secret"));
    assert!(run.stdout.starts_with("# Not among these: the Secret gitops/flux-system with 'identity'"));
    assert!(!run.stdout.contains("cluster-admin") && !run.stdout.contains("namespace: flux-system"));
}
