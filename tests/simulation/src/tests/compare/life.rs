//! What comes to be and goes: definitions and their kinds, namespaces and what is in them, objects that finalizers hold, and fields
//! that cannot be changed.

use std::time::Duration;

use harness::controlplane::{ControlPlane, Options};
use serde_json::{Value, json};

use super::{APPLY, Both, JSON, JSON_PATCH, MERGE, NAMESPACE, normal, request};
use crate::chance::Chance;
use crate::server::Task;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/simulation.dev/v1/namespaces/compared/widgets";
const OTHER_UID: &str = "00000000-0000-0000-0000-000000000000";

impl Both {
    /// What both answer, which must be the same.
    async fn agree(&mut self, method: &str, path: &str, content_type: &str, body: &Value) -> (u16, Value) {
        let request = request(method, path, content_type, body);
        let (real, fake) = (normal(self.real(&request).await), normal(self.fake(&request)));
        assert_eq!(fake, real, "{method} {path} {body}");
        real
    }

    /// The codes that both answer, which must be the same, of kinds that the real server fills in more of.
    async fn agree_in_code(&mut self, method: &str, path: &str, content_type: &str, body: &Value) -> u16 {
        let request = request(method, path, content_type, body);
        let (real, fake) = (self.real(&request).await, self.fake(&request));
        assert_eq!(fake.0, real.0, "{method} {path} {body}\n  real {}\n  fake {}", real.1, fake.1);
        let of = |answer: &Value| {
            let metadata = &answer["metadata"];
            let leaves = metadata.get("deletionTimestamp").is_some();
            (answer["reason"].clone(), metadata["generation"].clone(), metadata["finalizers"].clone(), leaves)
        };
        assert_eq!(of(&fake.1), of(&real.1), "{method} {path} {body}");
        real.0
    }

    /// Lets the controllers of the server in memory do all that they have to do.
    fn settle(&mut self) {
        loop {
            let changes = self.fake.changes_since(self.settled).to_vec();
            self.settled += changes.len();
            if changes.is_empty() {
                return;
            }
            for (task, _) in changes.iter().flat_map(|change| Task::of(change)) {
                self.fake.act(&task, "2026-01-01T00:00:00Z");
            }
        }
    }

    /// Waits until the real server answers with a code, and holds the other one to it.
    async fn until(&mut self, path: &str, code: u16) {
        self.settle();
        let look = request("GET", path, JSON, &Value::Null);
        assert_eq!(self.fake(&look).0, code, "{path}");
        for _ in 0..600 {
            if self.real(&look).await.0 == code {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} is not answered with {code}");
    }
}

async fn both() -> (ControlPlane, Both) {
    let plane = ControlPlane::start(Options::bare()).await.unwrap();
    let real = plane.client().await.unwrap();
    let mut both = Both { real, fake: crate::server::Server::default(), settled: 0 };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    both.agree("POST", "/api/v1/namespaces?fieldManager=test", JSON, &namespace).await;
    (plane, both)
}

fn definition() -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.simulation.dev"},
        "spec": {"group": "simulation.dev", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema}}]}})
}

fn widget(name: &str) -> Value {
    json!({"apiVersion": "simulation.dev/v1", "kind": "Widget", "metadata": {"name": name}})
}

/// One request about a custom resource. `live` is the object as this server has it.
fn next(chance: &mut Chance, live: &Value, name: &str) -> (&'static str, String, &'static str, Value) {
    let manager = if chance.happens(50) { "one" } else { "two" };
    let path = format!("{WIDGETS}/{name}");
    let mut object = widget(name);
    object["spec"] = json!({"a": chance.below(2), "list": [chance.below(2)], "map": {"x": chance.below(2)}});
    if chance.happens(50) {
        object["spec"]["b"] = json!({"c": chance.below(3)});
    }
    let uid = match chance.below(3) {
        0 => json!(OTHER_UID),
        1 => live.pointer("/metadata/uid").cloned().unwrap_or(json!(OTHER_UID)),
        _ => Value::Null,
    };
    match chance.below(16) {
        0..2 => ("POST", format!("{WIDGETS}?fieldManager={manager}"), JSON, object),
        2..6 => {
            let dry_run = if chance.happens(20) { "&dryRun=All" } else { "" };
            ("PATCH", format!("{path}?fieldManager={manager}&force=true{dry_run}"), APPLY, object)
        }
        6..10 => {
            let mut patch = json!({"status": {"ready": chance.below(2), "list": [{"id": chance.below(3)}]}});
            if !uid.is_null() {
                patch["metadata"] = json!({"uid": uid});
            }
            ("PATCH", format!("{path}/status?fieldManager={manager}"), MERGE, patch)
        }
        10 => {
            let mut patch = json!({"spec": {"a": chance.below(5)}, "status": {"ready": 9}});
            if !uid.is_null() {
                patch["metadata"] = json!({"uid": uid});
            }
            ("PATCH", format!("{path}?fieldManager={manager}"), MERGE, patch)
        }
        11 => {
            let test = live.pointer("/metadata/uid").cloned().unwrap_or(json!(OTHER_UID));
            let patch = json!([{"op": "test", "path": "/metadata/uid", "value": test},
                {"op": "test", "path": "/metadata/finalizers", "value": null},
                {"op": "add", "path": "/metadata/finalizers", "value": ["simulation.dev/held"]}]);
            ("PATCH", format!("{path}?fieldManager={manager}"), JSON_PATCH, patch)
        }
        12 => {
            let patch = json!([{"op": "test", "path": "/metadata/uid", "value": OTHER_UID},
                {"op": "add", "path": "/metadata/finalizers", "value": ["simulation.dev/held"]}]);
            ("PATCH", format!("{path}?fieldManager={manager}"), JSON_PATCH, patch)
        }
        13 => {
            let patch = json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "simulation.dev/held"},
                {"op": "remove", "path": "/metadata/finalizers/0"}]);
            ("PATCH", format!("{path}?fieldManager={manager}"), JSON_PATCH, patch)
        }
        14 => (
            "DELETE",
            path,
            JSON,
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}),
        ),
        _ => ("GET", path, JSON, Value::Null),
    }
}

#[tokio::test]
async fn a_kind_that_a_definition_brings_is_served_as_a_real_server_serves_it() {
    let (_plane, mut both) = both().await;
    let (code, _) = both.agree("GET", WIDGETS, JSON, &Value::Null).await;
    assert_eq!(code, 404);
    let made = both
        .agree_in_code(
            "PATCH",
            &format!("{DEFINITIONS}/widgets.simulation.dev?fieldManager=test&force=true"),
            APPLY,
            &definition(),
        )
        .await;
    assert_eq!(made, 201);
    both.until(WIDGETS, 200).await;
    let mut differences = Vec::new();
    for number in 0..400 {
        let chance = Chance::new(number);
        let name = if number % 2 == 0 { "a" } else { "b" };
        let look = request("GET", &format!("{WIDGETS}/{name}"), JSON, &Value::Null);
        let (real, fake) = (both.real(&look).await.1, both.fake(&look).1);
        let (method, path, content_type, to_real) = next(&mut chance.clone(), &real, name);
        let (.., to_fake) = next(&mut chance.clone(), &fake, name);
        let real = normal(both.real(&request(method, &path, content_type, &to_real)).await);
        let fake = normal(both.fake(&request(method, &path, content_type, &to_fake)));
        if real != fake {
            differences
                .push(format!("{number}: {method} {path} {to_real}\n  real {real:?}\n  fake {fake:?}"));
        }
        if differences.len() > 4 {
            break;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    both.agree_in_code("DELETE", &format!("{DEFINITIONS}/widgets.simulation.dev"), JSON, &Value::Null).await;
    both.until(&format!("{DEFINITIONS}/widgets.simulation.dev"), 404).await;
    both.until(WIDGETS, 404).await;
}

#[tokio::test]
async fn a_namespace_goes_as_it_does_on_a_real_server() {
    let (_plane, mut both) = both().await;
    let maps = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"x": "1"}});
    let mut held = map("held");
    held["metadata"]["finalizers"] = json!(["simulation.dev/held"]);
    both.agree("POST", &format!("{maps}?fieldManager=test"), JSON, &held).await;
    both.agree("POST", &format!("{maps}?fieldManager=test"), JSON, &map("free")).await;
    let space = format!("/api/v1/namespaces/{NAMESPACE}");
    both.agree_in_code("DELETE", &space, JSON, &Value::Null).await;
    both.until(&format!("{maps}/free"), 404).await;
    // What is there already can be changed, and nothing made.
    let apply = |name: &str| format!("{maps}/{name}?fieldManager=test&force=true");
    assert_eq!(both.agree_in_code("PATCH", &apply("new"), APPLY, &map("new")).await, 403);
    assert_eq!(
        both.agree_in_code("PATCH", &format!("{}&dryRun=All", apply("new")), APPLY, &map("new")).await,
        403
    );
    assert_eq!(both.agree_in_code("PATCH", &apply("held"), APPLY, &map("held")).await, 200);
    let itself = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"a": "b"}}});
    assert_eq!(
        both.agree_in_code("PATCH", &format!("{space}?fieldManager=test&force=true"), APPLY, &itself).await,
        200
    );
    let free = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    both.agree_in_code("PATCH", &format!("{maps}/held?fieldManager=test"), JSON_PATCH, &free).await;
    both.until(&space, 404).await;
    assert_eq!(both.agree_in_code("PATCH", &apply("new"), APPLY, &map("new")).await, 404);
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_as_a_real_server_refuses_it() {
    let (_plane, mut both) = both().await;
    let containers = |image: &str| json!([{"name": "main", "image": image}]);
    let job = |image: &str| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec":
            {"template": {"spec": {"restartPolicy": "Never", "containers": containers(image)}}}})
    };
    let deployment = |app: &str, image: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec":
            {"selector": {"matchLabels": {"app": app}}, "template": {"metadata": {"labels": {"app": app}},
                "spec": {"containers": containers(image)}}}})
    };
    let jobs = format!("/apis/batch/v1/namespaces/{NAMESPACE}/jobs/job?fieldManager=test&force=true");
    let deployments =
        format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web?fieldManager=test&force=true");
    for (path, object, code) in [
        (&jobs, job("image:1"), 201),
        (&jobs, job("image:1"), 200),
        (&jobs, job("image:2"), 422),
        (&deployments, deployment("a", "image:1"), 201),
        (&deployments, deployment("a", "image:2"), 200),
        (&deployments, deployment("b", "image:2"), 422),
    ] {
        let dry = both.agree_in_code("PATCH", &format!("{path}&dryRun=All"), APPLY, &object).await;
        let told = both.agree_in_code("PATCH", path, APPLY, &object).await;
        assert_eq!((dry, told), (code, code), "{object}");
    }
    let gone = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
    both.agree_in_code("DELETE", &format!("/apis/batch/v1/namespaces/{NAMESPACE}/jobs/job"), JSON, &gone)
        .await;
    both.until(&format!("/apis/batch/v1/namespaces/{NAMESPACE}/jobs/job"), 404).await;
}
