//! The server in memory against a real control plane: the same requests, and the same answers, less what
//! varies.

use harness::controlplane::{ControlPlane, Options};
use kube::client::Body;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::server::{Answer, Request, Server, sorted};

const NAMESPACE: &str = "compared";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const JSON: &str = "application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// Both servers.
struct Both {
    real: kube::Client,
    fake: Server,
}

impl Both {
    async fn real(&self, request: &Request) -> (u16, Value) {
        let built = http::Request::builder()
            .method(request.method.as_str())
            .uri(&request.path)
            .header("accept", &request.accept)
            .header("content-type", &request.content_type)
            .body(Body::from(request.body.clone()))
            .unwrap();
        let response = self.real.send(built).await.unwrap();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect_bytes().await.unwrap();
        (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()))
    }

    fn fake(&mut self, request: &Request) -> (u16, Value) {
        let now = jiff::Timestamp::now().round(jiff::Unit::Second).unwrap().to_string();
        match self.fake.answer(request, &now) {
            Answer::Body(code, body) => (code, Value::clone(&body)),
            Answer::Watch(_) => unreachable!("no watch is asked for"),
        }
    }
}

fn request(method: &str, path: &str, content_type: &str, body: &Value) -> Request {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let (path, content_type) = (path.to_owned(), content_type.to_owned());
    Request { method: method.into(), path, accept: JSON.into(), content_type, body }
}

/// An answer without what differs from one server to another: ids, versions, times, and messages that name
/// them.
fn normal((code, mut body): (u16, Value)) -> (u16, Value) {
    if body["kind"] == "Status" && matches!(body["reason"].as_str(), Some("Conflict" | "Invalid")) {
        body = json!({"reason": body["reason"]});
    }
    clean(&mut body);
    (code, sorted(&body))
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in ["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time"] {
                if let Some(value) = map.get_mut(name) {
                    *value = "varies".into();
                }
            }
            if let Some(Value::Array(entries)) = map.get_mut("managedFields") {
                // Entries of one second are in the order of their names.
                entries.sort_by_key(|entry| format!("{}{}", entry["operation"], entry["manager"]));
            }
            map.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

/// One request of a sequence. `live` is the object as this server has it.
fn next(chance: &mut Chance, live: &Value, (plural, kind, name): (&str, &str, &str)) -> Request {
    let collection = format!("/api/v1/namespaces/{NAMESPACE}/{plural}");
    let path = format!("{collection}/{name}");
    let manager = if chance.happens(50) { "one" } else { "two" };
    let dry_run = if chance.happens(20) { "&dryRun=All" } else { "" };
    let value = |chance: &mut Chance| if chance.happens(50) { "MQ==" } else { "Mg==" };
    let mut data = json!({});
    for key in ["x", "y", "z"] {
        if chance.happens(50) {
            data[key] = value(chance).into();
        }
    }
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data});
    if chance.happens(40) {
        object["metadata"]["labels"] = json!({"l": value(chance).trim_end_matches('=')});
    }
    match chance.below(21) {
        0..3 => request("POST", &format!("{collection}?fieldManager={manager}{dry_run}"), JSON, &object),
        3..10 => {
            let force = if chance.happens(80) { "&force=true" } else { "" };
            request("PATCH", &format!("{path}?fieldManager={manager}{force}{dry_run}"), APPLY, &object)
        }
        10..12 => {
            let mut patch = json!({"data": data});
            patch["data"]["x"] = Value::Null;
            if chance.happens(20) {
                patch["metadata"] = json!({"uid": "00000000-0000-0000-0000-000000000000"});
            }
            request("PATCH", &format!("{path}?fieldManager={manager}{dry_run}"), MERGE, &patch)
        }
        12 => {
            let patch = json!([{"op": "test", "path": "/metadata/finalizers", "value": null},
                {"op": "add", "path": "/metadata/finalizers", "value": ["simulation.dev/held"]}]);
            request("PATCH", &format!("{path}?fieldManager={manager}"), JSON_PATCH, &patch)
        }
        13 => {
            let patch = json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "simulation.dev/held"},
                {"op": "remove", "path": "/metadata/finalizers/0"}]);
            request("PATCH", &format!("{path}?fieldManager={manager}"), JSON_PATCH, &patch)
        }
        14 => {
            if let Some(version) = live.pointer("/metadata/resourceVersion") {
                object["metadata"]["resourceVersion"] = version.clone();
            }
            request("PUT", &format!("{path}?fieldManager={manager}{dry_run}"), JSON, &object)
        }
        15 => {
            object["metadata"]["resourceVersion"] = "1".into();
            request("PUT", &format!("{path}?fieldManager={manager}"), JSON, &object)
        }
        16 => {
            let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {}});
            let other = json!("00000000-0000-0000-0000-000000000000");
            let uid = if chance.happens(50) { live.pointer("/metadata/uid").cloned() } else { Some(other) };
            options["preconditions"]["uid"] = uid.unwrap_or(json!("none"));
            request("DELETE", &path, JSON, &options)
        }
        17 => request("DELETE", &path, JSON, &Value::Null),
        18 => Request { accept: METADATA.into(), ..request("GET", &path, JSON, &Value::Null) },
        19 => {
            let cleared = json!({"metadata": {"managedFields": [{}]}});
            request("PATCH", &format!("{path}?fieldManager={manager}{dry_run}"), MERGE, &cleared)
        }
        _ => request("GET", "/apis/nowhere.dev/v1/things", JSON, &Value::Null),
    }
}

#[tokio::test]
async fn the_server_in_memory_answers_as_a_real_one_does() {
    let plane = ControlPlane::start(Options::bare()).await.unwrap();
    let mut both = Both { real: plane.client().await.unwrap(), fake: Server::default() };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let made = request("POST", "/api/v1/namespaces?fieldManager=test", JSON, &namespace);
    assert_eq!(normal(both.fake(&made)), normal(both.real(&made).await));
    let mut differences = Vec::new();
    for number in 0..500 {
        let mut chance = Chance::new(number);
        let (plural, kind) =
            if chance.happens(70) { ("configmaps", "ConfigMap") } else { ("secrets", "Secret") };
        let name = ["a", "b", "c"][usize::try_from(chance.below(3)).unwrap()];
        let look =
            request("GET", &format!("/api/v1/namespaces/{NAMESPACE}/{plural}/{name}"), JSON, &Value::Null);
        let (real, fake) = (both.real(&look).await, both.fake(&look));
        if normal(real.clone()) != normal(fake.clone()) {
            differences.push(format!(
                "{number}: {look:?}\n  real {}\n  fake {}",
                normal(real).1,
                normal(fake).1
            ));
            break;
        }
        let subject = (plural, kind, name);
        let to_real = next(&mut chance.clone(), &real.1, subject);
        let to_fake = next(&mut chance, &fake.1, subject);
        let (real, fake) = (normal(both.real(&to_real).await), normal(both.fake(&to_fake)));
        if real != fake {
            let body = String::from_utf8_lossy(&to_real.body).into_owned();
            let (method, path) = (&to_real.method, &to_real.path);
            differences.push(format!("{number}: {method} {path} {body}\n  real {real:?}\n  fake {fake:?}"));
        }
        if differences.len() > 4 {
            break;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
