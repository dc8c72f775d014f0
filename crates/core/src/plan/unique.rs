//! Values that can exist only once in a cluster, so that a new object is refused while an old one has them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cause::Cause;
use super::refusal::Refusal;
use lockgate_base::model::{Object, ObjectId};

/// The places of such values, by group and kind, as the API server enforces them. `*` stands for each item of
/// a list.
const UNIQUE: [(&str, &str, &[&str]); 2] = [
    (
        "",
        "Service",
        &["/spec/ports/*/nodePort", "/spec/clusterIP", "/spec/healthCheckNodePort", "/spec/loadBalancerIP"],
    ),
    ("scheduling.k8s.io", "PriorityClass", &["/globalDefault"]),
];

/// The kind whose hosts and paths webhooks and policies hold unique, each in its own way.
const INGRESS: (&str, &str) = ("networking.k8s.io", "Ingress");

/// Whether objects of the kind have values that can exist only once.
pub fn has_unique(id: &ObjectId) -> bool {
    let kind = (id.group.as_str(), id.kind.as_str());
    kind == INGRESS || UNIQUE.iter().any(|(group, named, _)| (*group, *named) == kind)
}

/// Whether a live object of the same kind has what an object asks for that is refused, and of which there can
/// be only one.
pub fn is_in_the_way(live: &Object, refused: &Object, refusal: &Refusal) -> bool {
    let kind = (live.group(), live.kind());
    if kind != (refused.group(), refused.kind()) {
        return false;
    }
    if kind != INGRESS {
        return !values(live).is_disjoint(&values(refused));
    }
    // An Ingress may share its host with others, unless somebody says no, and means that.
    if !matches!(refusal.cause, Cause::WebhookDenied(_) | Cause::Denied) {
        return false;
    }
    let (old, new) = (routes(live), routes(refused));
    let names = |host: &str| refusal.text().contains(host) || refusal.text().contains(live.name());
    !old.is_disjoint(&new)
        || old.iter().any(|(host, _)| new.iter().any(|(other, _)| host == other) && names(host))
}

fn values(object: &Object) -> BTreeSet<(&'static str, String)> {
    let of_kind = UNIQUE.iter().filter(|(group, kind, _)| (*group, *kind) == (object.group(), object.kind()));
    let mut values = BTreeSet::new();
    for path in of_kind.flat_map(|(.., paths)| *paths) {
        let found: Vec<&Value> = match path.split_once("/*") {
            Some((list, rest)) => items(object.value(), list).filter_map(|item| item.pointer(rest)).collect(),
            None => object.pointer(path).into_iter().collect(),
        };
        let says_nothing = |value: &&Value| {
            value.is_null() || **value == false || **value == "" || **value == "None" || **value == 0
        };
        values.extend(
            found.into_iter().filter(|value| !says_nothing(value)).map(|value| (*path, value.to_string())),
        );
    }
    values
}

/// The hosts and paths of an Ingress. A rule without a host, which stands for all, is left out.
fn routes(ingress: &Object) -> BTreeSet<(&str, &str)> {
    let mut routes = BTreeSet::new();
    for rule in items(ingress.value(), "/spec/rules") {
        let host = rule.get("host").and_then(Value::as_str).unwrap_or_default();
        if host.is_empty() {
            continue;
        }
        let paths: Vec<&str> = items(rule, "/http/paths")
            .map(|path| {
                path.get("path").and_then(Value::as_str).filter(|path| !path.is_empty()).unwrap_or("/")
            })
            .collect();
        if paths.is_empty() {
            routes.insert((host, "/"));
        }
        routes.extend(paths.into_iter().map(|path| (host, path)));
    }
    routes
}

fn items<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{Answer, Phase};

    fn object(api_version: &str, kind: &str, name: &str, content: &Value) -> Object {
        let mut value = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
        value.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        Object::parse(value).unwrap()
    }

    fn refusal(of: &Object, code: u16, message: &str) -> Refusal {
        let answer = Answer { code, message: message.into(), ..Answer::default() };
        Refusal::of_answer(of.id(), Phase::DryRun, answer)
    }

    #[test]
    fn what_the_server_holds_unique_is_in_the_way() {
        let service = |name: &str, spec: &Value| object("v1", "Service", name, &json!({"spec": spec}));
        let cases = [
            (
                json!({"ports": [{"nodePort": 30001}, {"nodePort": 30002}]}),
                json!({"ports": [{"nodePort": 30002}]}),
                true,
            ),
            (json!({"ports": [{"nodePort": 30001}]}), json!({"ports": [{"nodePort": 30002}]}), false),
            (json!({"ports": [{"port": 80}]}), json!({"ports": [{"port": 80}]}), false),
            (json!({"clusterIP": "10.0.0.9"}), json!({"clusterIP": "10.0.0.9"}), true),
            (json!({"clusterIP": "None"}), json!({"clusterIP": "None"}), false),
        ];
        for (old, new, blocks) in cases {
            let (live, wanted) = (service("old", &old), service("new", &new));
            let refusal = refusal(&wanted, 422, "provided port is already allocated");
            assert_eq!(is_in_the_way(&live, &wanted, &refusal), blocks, "{old} {new}");
        }
        for (old, new, blocks) in [(true, true, true), (true, false, false), (false, false, false)] {
            let class = |name: &str, is_default: bool| {
                object("scheduling.k8s.io/v1", "PriorityClass", name, &json!({"globalDefault": is_default}))
            };
            let (live, wanted) = (class("old", old), class("new", new));
            let refusal = refusal(&wanted, 403, "only one default can exist");
            assert_eq!(is_in_the_way(&live, &wanted, &refusal), blocks, "{old} {new}");
        }
    }

    #[test]
    fn an_ingress_is_in_the_way_where_somebody_says_so() {
        let ingress = |name: &str, routes: &[(&str, &str)]| {
            let rule = |(host, path): &(&str, &str)| json!({"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix"}]}});
            let rules: Vec<Value> = routes.iter().map(rule).collect();
            object("networking.k8s.io/v1", "Ingress", name, &json!({"spec": {"rules": rules}}))
        };
        let denied = "admission webhook \"w\" denied the request: ";
        let live = ingress("old", &[("a.example.com", "/"), ("b.example.com", "/x")]);
        let cases = [
            ("a.example.com", "", 400, format!("{denied}no"), true),
            ("a.example.com", "/y", 400, format!("{denied}host \"a.example.com\" is taken"), true),
            ("a.example.com", "/y", 400, format!("{denied}it is that of ns/old"), true),
            ("a.example.com", "/y", 400, format!("{denied}this class is not allowed"), false),
            ("b.example.com", "/x", 403, "denied request: each host once".into(), true),
            ("c.example.com", "/", 400, format!("{denied}host \"c.example.com\" is taken"), false),
            ("a.example.com", "/", 422, "spec.rules[0].http.paths[0].pathType: Required value".into(), false),
        ];
        for (host, path, code, message, blocks) in cases {
            let wanted = ingress("new", &[(host, path)]);
            let refusal = refusal(&wanted, code, &message);
            assert_eq!(is_in_the_way(&live, &wanted, &refusal), blocks, "{host} {path} {message}");
        }
    }
}
