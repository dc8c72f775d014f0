//! Field managers: an edit of kubectl is undone even if the server would refuse it together with Git's
//! fields, and fields that the control plane depends on stay.

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage, api, config_map, stage};

/// Replaces an object by an edited one, as `kubectl edit` does.
async fn replace(objects: &Api<DynamicObject>, name: &str, manager: &str, edit: impl Fn(&mut Value)) {
    let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
    harness::eventually(PATIENCE, async || {
        let mut object = objects.get(name).await?;
        edit(&mut object.data);
        objects.replace(name, &params, &object).await?;
        Ok(())
    })
    .await
    .unwrap();
}

async fn until(objects: &Api<DynamicObject>, name: &str, what: &str, test: impl Fn(&Value) -> bool) {
    harness::eventually(PATIENCE, async || {
        let object = serde_json::to_value(objects.get(name).await?)?;
        anyhow::ensure!(test(&object), "{name} is not {what}: {object:#}");
        Ok(())
    })
    .await
    .unwrap();
}

fn deployment(template: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
           "spec": {"selector": {"matchLabels": {"app": "web"}},
                    "template": {"metadata": {"labels": {"app": "web"}}, "spec": template}}})
}

/// Beside what Git sets, the server would refuse each of these edits for a name that is there twice.
#[tokio::test]
async fn an_edit_that_collides_with_git_is_undone() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "NodePort", "selector": {"app": "web"},
                 "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}]}});
    let pods = json!({
        "volumes": [{"name": "data", "emptyDir": {}}],
        "containers": [{"name": "c", "image": "example.org/c", "ports": [{"name": "http", "containerPort": 80}],
                        "env": [{"name": "A", "value": "1"}], "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]});
    let files = [("apps/a.yaml", service.to_string()), ("apps/b.yaml", deployment(&pods).to_string())];
    let stage = stage("edits", &files.each_ref().map(|(path, text)| (*path, text.as_str()))).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let services = api(&stage.client, &stage.namespace, "v1", "Service", "services");
    let deployments = api(&stage.client, &stage.namespace, "apps/v1", "Deployment", "deployments");
    let node_port = services.get("web").await.unwrap().data["spec"]["ports"][1]["nodePort"].clone();

    replace(&services, "web", "kubectl-edit", |data| data["spec"]["ports"][0]["port"] = json!(8080)).await;
    until(&services, "web", "put back", |object| {
        let ports = object["spec"]["ports"].as_array().unwrap();
        ports.len() == 2 && ports[0]["port"] == 80 && ports[1]["nodePort"] == node_port
    })
    .await;
    let edits: [fn(&mut Value); 3] = [
        |spec| spec["containers"][0]["ports"][0]["containerPort"] = json!(8081),
        |spec| {
            spec["containers"][0]["name"] = json!("renamed");
            spec["containers"][0]["env"][0]["name"] = json!("B");
        },
        |spec| {
            spec["volumes"][0]["name"] = json!("renamed");
            spec["containers"][0]["volumeMounts"][0]["name"] = json!("renamed");
        },
    ];
    for (round, edit) in edits.into_iter().enumerate() {
        replace(&deployments, "web", "kubectl-edit", |data| edit(&mut data["spec"]["template"]["spec"]))
            .await;
        until(&deployments, "web", &format!("put back in round {round}"), |object| {
            let spec = &object["spec"]["template"]["spec"];
            let containers = spec["containers"].as_array().unwrap();
            let container = &containers[0];
            containers.len() == 1
                && container["name"] == "c"
                && container["ports"] == json!([{"name": "http", "containerPort": 80, "protocol": "TCP"}])
                && container["env"] == json!([{"name": "A", "value": "1"}])
                && spec["volumes"] == json!([{"name": "data", "emptyDir": {}}])
        })
        .await;
    }
    stage.ready("apps").await;
}

/// What names an item of a list is one field, and another of its fields is held unique: by the API server, or
/// by a rule of the definition, as with the listeners of a Gateway.
#[tokio::test]
async fn what_is_swapped_or_renamed_in_a_list_is_put_back() {
    let stage = stage("swapped", &[]).await;
    let group = format!("{}.example.com", stage.namespace);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [
            {"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30781},
            {"name": "https", "port": 443, "targetPort": 8443, "nodePort": 30782}]}});
    let gateway = json!({"apiVersion": format!("{group}/v1"), "kind": "Gateway", "metadata": {"name": "web"},
        "spec": {"listeners": [{"name": "http", "port": 80}, {"name": "https", "port": 443}]}});
    stage.push(&[
        ("crds/crd.yaml", &with_listeners(&group).to_string()),
        ("apps/service.yaml", &service.to_string()),
        ("apps/gateway.yaml", &gateway.to_string()),
    ]);
    let _agent = stage.agent().await;
    stage.kustomization("crds", json!({"targetNamespace": null})).await;
    stage.kustomization("apps", json!({"dependsOn": [{"name": "crds"}]})).await;
    stage.ready("apps").await;
    let services = api(&stage.client, &stage.namespace, "v1", "Service", "services");
    let gateways = api(&stage.client, &stage.namespace, &format!("{group}/v1"), "Gateway", "gateways");
    let swaps: [fn(&mut [Value], &str); 3] = [
        |ports, field| {
            let (one, other) = (ports[0][field].clone(), ports[1][field].clone());
            (ports[0][field], ports[1][field]) = (other, one);
        },
        |ports, _| ports[0]["name"] = json!("renamed"),
        |ports, _| ports[1]["port"] = json!(444),
    ];
    let edits = [(0, "targetPort"), (0, "nodePort"), (0, "name"), (0, "port"), (1, ""), (2, "")];
    for (swap, field) in edits {
        replace(&services, "web", "kubectl-edit", |data| {
            swaps[swap](data["spec"]["ports"].as_array_mut().unwrap(), field);
        })
        .await;
        until(&services, "web", &format!("put back: {swap} {field}"), |object| {
            let ports = object["spec"]["ports"].as_array().unwrap();
            let fields =
                |port: &Value| ["name", "port", "targetPort", "nodePort"].map(|field| port[field].clone());
            let mut live: Vec<_> = ports.iter().map(fields).collect();
            live.sort_by_key(|fields| fields[1].as_u64());
            live == service["spec"]["ports"].as_array().unwrap().iter().map(fields).collect::<Vec<_>>()
        })
        .await;
    }
    for (swap, field) in [(0, "port"), (1, ""), (2, "")] {
        replace(&gateways, "web", "kubectl-edit", |data| {
            swaps[swap](data["spec"]["listeners"].as_array_mut().unwrap(), field);
        })
        .await;
        until(&gateways, "web", &format!("put back: {swap} {field}"), |object| {
            let mut live = object["spec"]["listeners"].as_array().cloned().unwrap_or_default();
            live.sort_by_key(|listener| listener["name"].to_string());
            Value::from(live) == gateway["spec"]["listeners"]
        })
        .await;
    }
    stage.ready("apps").await;
}

/// A definition with a list whose items have a name, and a port that is held unique.
fn with_listeners(group: &str) -> Value {
    let item = json!({"type": "object", "required": ["name", "port"],
        "properties": {"name": {"type": "string", "maxLength": 63}, "port": {"type": "integer"}}});
    let unique = json!([{"message": "each port once",
                         "rule": "self.all(one, self.exists_one(other, one.port == other.port))"}]);
    let listeners = json!({"type": "array", "maxItems": 8, "items": item, "x-kubernetes-list-type": "map",
                           "x-kubernetes-list-map-keys": ["name"], "x-kubernetes-validations": unique});
    let spec = json!({"type": "object", "properties": {"listeners": listeners}});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
           "metadata": {"name": format!("gateways.{group}")},
           "spec": {"group": group, "scope": "Namespaced",
                    "names": {"kind": "Gateway", "plural": "gateways", "singular": "gateway"},
                    "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}

/// A definition of which the later version has a field by default.
fn definition(group: &str) -> Value {
    let version = |name: &str, is_stored: bool, fields: Value| {
        let schema =
            json!({"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}});
        json!({"name": name, "served": true, "storage": is_stored, "schema": {"openAPIV3Schema": schema}})
    };
    let text = json!({"type": "string"});
    let later = json!({"port": text, "policy": {"type": "string", "default": "deny"}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
           "metadata": {"name": format!("servers.{group}")},
           "spec": {"group": group, "scope": "Namespaced",
                    "names": {"kind": "Server", "plural": "servers", "singular": "server"},
                    "versions": [version("v1beta1", false, json!({"port": text})), version("v1beta3", true, later)]}})
}

#[tokio::test]
async fn a_custom_resource_moves_to_a_version_with_more_fields() {
    let stage = stage("raised", &[]).await;
    let group = format!("{}.example.com", stage.namespace);
    let server = |version: &str, spec: Value| {
        json!({"apiVersion": format!("{group}/{version}"), "kind": "Server",
               "metadata": {"name": "s", "namespace": stage.namespace}, "spec": spec})
        .to_string()
    };
    stage.push(&[
        ("apps/crd.yaml", &definition(&group).to_string()),
        ("apps/s.yaml", &server("v1beta1", json!({"port": "http"}))),
    ]);
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({"targetNamespace": null})).await;
    stage.ready("apps").await;
    // Another manager's entry is in the old version, too.
    let servers = api(&stage.client, &stage.namespace, &format!("{group}/v1beta1"), "Server", "servers");
    let params = PatchParams { field_manager: Some("other".into()), ..PatchParams::default() };
    let note = json!({"metadata": {"annotations": {"x": "y"}}});
    servers.patch("s", &params, &Patch::Merge(note)).await.unwrap();

    stage.push(&[("apps/s.yaml", &server("v1beta3", json!({"port": "http"})))]);
    stage.ready("apps").await;
    stage.push(&[("apps/s.yaml", &server("v1beta3", json!({"port": "http", "policy": "allow"})))]);
    stage.ready("apps").await;
    let servers = api(&stage.client, &stage.namespace, &format!("{group}/v1beta3"), "Server", "servers");
    let live = servers.get("s").await.unwrap();
    assert_eq!(live.data["spec"], json!({"port": "http", "policy": "allow"}));
    assert_eq!(live.metadata.annotations.unwrap()["x"], "y");
    stage.push(&[("apps/s.yaml", &server("v1beta3", json!({"policy": "allow"})))]);
    stage.ready("apps").await;
    let live = servers.get("s").await.unwrap();
    assert_eq!(live.data["spec"], json!({"policy": "allow"}), "a field that Git drops goes");
}

/// Clearing managedFields is a usual cure, and a restore from a backup does it as well.
#[tokio::test]
async fn an_object_whose_managers_were_lost_keeps_what_git_does_not_set() {
    let pods = json!({"containers": [{"name": "c", "image": "example.org/c"}]});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}});
    let stage = stage("lost", &[]).await;
    let kinds = [
        ("v1", "ConfigMap", "configmaps", "c", serde_json::from_str(&config_map("c", "1")).unwrap()),
        ("v1", "Service", "services", "web", service),
        ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "data", claim),
        ("apps/v1", "Deployment", "deployments", "web", deployment(&pods)),
    ];
    let kubectl = PatchParams::apply("kubectl").force();
    let operator = PatchParams { field_manager: Some("operator".into()), ..PatchParams::default() };
    let secret = api(&stage.client, &stage.namespace, "v1", "Secret", "secrets").get("repo").await.unwrap();
    let owner = json!({"apiVersion": "v1", "kind": "Secret", "name": "repo", "uid": secret.metadata.uid});
    for (api_version, kind, plural, name, object) in &kinds {
        let objects = api(&stage.client, &stage.namespace, api_version, kind, plural);
        objects.patch(name, &kubectl, &Patch::Apply(object)).await.unwrap();
        let mut set = json!({"metadata": {"finalizers": ["example.com/hold"]}});
        match *kind {
            "ConfigMap" => {
                set["metadata"]["ownerReferences"] = json!([owner]);
                set["data"] = json!({"injected": "x"});
            }
            "Deployment" => set["spec"] = json!({"replicas": 3}),
            "PersistentVolumeClaim" => set["spec"] = json!({"volumeName": "volume"}),
            _ => {}
        }
        objects.patch(name, &operator, &Patch::Merge(set)).await.unwrap();
        let lose = json!({"metadata": {"managedFields": [{}]}});
        objects.patch(name, &PatchParams::default(), &Patch::Merge(lose)).await.unwrap();
    }
    let files =
        kinds.each_ref().map(|(_, kind, .., object)| (format!("apps/{kind}.yaml"), object.to_string()));
    stage.push(&files.each_ref().map(|(path, text)| (path.as_str(), text.as_str())));
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    // What Git sets is ours from here on: a field that it drops goes.
    let mut changed = config_map("c", "1");
    changed = changed.replace("\"value\":\"1\"", "\"other\":\"1\"");
    stage.push(&[("apps/ConfigMap.yaml", &changed)]);
    stage.ready("apps").await;
    let live = async |at: usize| {
        let (api_version, kind, plural, name, _) = &kinds[at];
        let object = api(&stage.client, &stage.namespace, api_version, kind, plural).get(name).await.unwrap();
        serde_json::to_value(object).unwrap()
    };
    for at in 0..kinds.len() {
        let live = live(at).await;
        let finalizers = live["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        assert!(finalizers.contains(&json!("example.com/hold")), "{live:#}");
    }
    let map = live(0).await;
    assert_eq!(map["metadata"]["ownerReferences"][0]["name"], "repo");
    assert_eq!(map["data"], json!({"injected": "x", "other": "1"}));
    assert_eq!(live(2).await["spec"]["volumeName"], "volume");
    assert_eq!(live(3).await["spec"]["replicas"], 3);
    let release = json!({"metadata": {"finalizers": null}});
    for (api_version, kind, plural, name, _) in &kinds {
        let objects = api(&stage.client, &stage.namespace, api_version, kind, plural);
        objects.patch(name, &operator, &Patch::Merge(release.clone())).await.unwrap();
    }
}

/// The count stays if Git no longer sets it, whoever has set it last.
#[tokio::test]
async fn a_replica_count_that_git_drops_stays() {
    let with = |replicas: Option<u32>| {
        let mut object = deployment(&json!({"containers": [{"name": "c", "image": "example.org/c"}]}));
        if let Some(replicas) = replicas {
            object["spec"]["replicas"] = replicas.into();
        }
        object.to_string()
    };
    let stage = stage("counts", &[("apps/web.yaml", &with(Some(4)))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let deployments = api(&stage.client, &stage.namespace, "apps/v1", "Deployment", "deployments");
    let count = async || deployments.get("web").await.unwrap().data["spec"]["replicas"].clone();
    stage.push(&[("apps/web.yaml", &with(None))]);
    stage.ready("apps").await;
    assert_eq!(count().await, 4);
    scale(&stage, 6).await;
    stage.push(&[("apps/web.yaml", &with(None).replace("example.org/c", "example.org/d"))]);
    stage.ready("apps").await;
    assert_eq!(count().await, 6);
    stage.push(&[("apps/web.yaml", &with(Some(2)))]);
    stage.ready("apps").await;
    assert_eq!(count().await, 2);
}

/// Sets the count as an autoscaler does.
async fn scale(stage: &Stage<'_>, count: u32) {
    let gvk = GroupVersionKind::gvk("apps", "v1", "Deployment");
    let resource = kube::api::ApiResource::from_gvk_with_plural(&gvk, "deployments");
    let deployments: Api<DynamicObject> =
        Api::namespaced_with(stage.client.clone(), &stage.namespace, &resource);
    let params =
        PatchParams { field_manager: Some("kube-controller-manager".into()), ..PatchParams::default() };
    let patch = json!({"spec": {"replicas": count}});
    deployments.patch_scale("web", &params, &Patch::Merge(patch)).await.unwrap();
}

/// Git adds and takes away its own; those of others stay.
#[tokio::test]
async fn a_finalizer_and_an_owner_that_git_adds_or_drops_are_applied() {
    let stage = stage("finalizers", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let secret = api(&stage.client, &stage.namespace, "v1", "Secret", "secrets").get("repo").await.unwrap();
    let source = stage.sources().get("repo").await.unwrap();
    let owner = json!({"apiVersion": "v1", "kind": "Secret", "name": "repo", "uid": secret.metadata.uid});
    let theirs = json!({"metadata": {"finalizers": ["example.com/theirs"], "ownerReferences": [owner]}});
    let operator = PatchParams { field_manager: Some("operator".into()), ..PatchParams::default() };
    stage.config_maps().patch("a", &operator, &Patch::Merge(theirs)).await.unwrap();
    let mut held: Value = serde_json::from_str(&config_map("a", "1")).unwrap();
    held["metadata"]["finalizers"] = json!(["example.com/ours"]);
    held["metadata"]["ownerReferences"] = json!([{"apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository", "name": "repo", "uid": source.metadata.uid}]);
    let names = async || {
        let metadata = stage.config_maps().get("a").await.unwrap().metadata;
        let owners = metadata.owner_references.unwrap_or_default().into_iter().map(|owner| owner.kind);
        let mut names: Vec<String> =
            metadata.finalizers.unwrap_or_default().into_iter().chain(owners).collect();
        names.sort();
        names
    };
    stage.push(&[("apps/a.yaml", &held.to_string())]);
    stage.ready("apps").await;
    assert_eq!(names().await, ["GitRepository", "Secret", "example.com/ours", "example.com/theirs"]);
    stage.push(&[("apps/a.yaml", &config_map("a", "1"))]);
    stage.ready("apps").await;
    assert_eq!(names().await, ["Secret", "example.com/theirs"]);
    let release = json!({"metadata": {"finalizers": null}});
    stage.config_maps().patch("a", &operator, &Patch::Merge(release)).await.unwrap();
}

/// An object of Helm is taken over, and the fields that Helm set and Git does not set stay, with a note.
#[tokio::test]
async fn what_helm_has_left_is_told_once() {
    let made = |containers: Value| deployment(&json!({"containers": containers}));
    let stage = stage("left", &[]).await;
    let sidecar = json!({"name": "sidecar", "image": "example.org/old"});
    let own = json!({"name": "c", "image": "example.org/c", "env": [{"name": "OLD", "value": "1"}]});
    let mut by_helm = made(json!([own, sidecar]));
    by_helm["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
    let deployments = api(&stage.client, &stage.namespace, "apps/v1", "Deployment", "deployments");
    let params = PostParams { field_manager: Some("helm".into()), ..PostParams::default() };
    deployments.create(&params, &serde_json::from_value(by_helm).unwrap()).await.unwrap();
    stage.push(&[("apps/web.yaml", &made(json!([{"name": "c", "image": "example.org/d"}])).to_string())]);
    let _agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    let event =
        stage.event("of what stays", |message| message.contains("helm has set what Git does not")).await;
    let message = event.data["message"].as_str().unwrap();
    for field in ["metadata.labels", "containers[name=c].env", "containers[name=sidecar]"] {
        assert!(message.contains(field), "{field}: {message}");
    }
    let live = deployments.get("web").await.unwrap();
    assert_eq!(live.data["spec"]["template"]["spec"]["containers"][0]["image"], "example.org/d");
}
