//! `spec.ignore`: fields that stay as they are on the cluster.

use serde_json::Value;

use super::fields::{self, Fields, follow};
use super::managed_fields::entries;
use crate::api::{IgnoreRule, Ownership, PatchTarget};
use lockgate_base::model::Object;
use lockgate_render::kustomize::{Selection, Selector};

/// The rules of a Kustomization.
#[derive(Debug, Clone, Default)]
pub struct Ignored(Vec<(Option<Selection>, Vec<String>)>);

impl Ignored {
    /// Reads the rules of `spec.ignore`. An error names the rule and the field.
    pub fn read(rules: &[IgnoreRule]) -> Result<Self, String> {
        let mut read = Vec::with_capacity(rules.len());
        for (at, rule) in rules.iter().enumerate() {
            let wrong = |what: String| format!("spec.ignore[{at}].{what}");
            if let Some(path) = rule.paths.iter().find(|path| !path.starts_with('/')) {
                return Err(wrong(format!("paths: '{path}' is no JSON pointer; it begins with a slash")));
            }
            let target = rule.target.as_ref().map(|target| Selection::new(&selector(target)));
            let target = target.transpose().map_err(|error| wrong(error.to_string()))?;
            read.push((target, rule.paths.clone()));
        }
        Ok(Self(read))
    }

    /// The JSON pointers of the fields of an object that stay as they are.
    pub(super) fn paths<'r>(&'r self, object: &Object) -> impl Iterator<Item = &'r str> {
        let rules = self.0.iter().filter(|(target, _)| target.as_ref().is_none_or(|it| it.means(object)));
        rules.flat_map(|(_, paths)| paths).map(String::as_str)
    }
}

fn selector(target: &PatchTarget) -> Selector {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Selector {
        group: text(&target.group),
        version: text(&target.version),
        kind: text(&target.kind),
        name: text(&target.name),
        namespace: text(&target.namespace),
        annotation_selector: text(&target.annotation_selector),
        label_selector: text(&target.label_selector),
    }
}

/// An object to apply, and the expected result, with fields left as they are on the cluster. A field that
/// another manager applies is not sent. Any other field is sent with its live value, or with Git's value if
/// it does not exist. Only fields that differ are touched, so that we stay the manager of the others.
pub(super) fn left(
    (desired, wanted): (&Object, &Object),
    live: &Object,
    paths: &[&str],
    ownership: &Ownership,
) -> (Object, Object) {
    let (mut sent, mut result) = (desired.value().clone(), wanted.value().clone());
    for path in paths {
        let there = live.pointer(path);
        if there == wanted.pointer(path) {
            continue;
        }
        put(&mut result, path, there);
        match there {
            _ if is_applied_by_another(live, path, ownership) => put(&mut sent, path, None),
            Some(there) if desired.pointer(path).is_some() => put(&mut sent, path, Some(there)),
            _ => {}
        }
    }
    let object =
        |value: Value, otherwise: &Object| Object::parse(value).unwrap_or_else(|_| otherwise.clone());
    (object(sent, desired), object(result, wanted))
}

/// Sets or removes the value at a path whose parent exists.
pub(super) fn put(value: &mut Value, path: &str, new: Option<&Value>) {
    let Some((parent, name)) = path.rsplit_once('/') else { return };
    let name = name.replace("~1", "/").replace("~0", "~");
    match (value.pointer_mut(parent), new) {
        (Some(Value::Object(fields)), Some(new)) => {
            fields.insert(name, new.clone());
        }
        (Some(Value::Object(fields)), None) => {
            fields.shift_remove(&name);
        }
        (Some(Value::Array(items)), new) => {
            let at = name.parse().ok().filter(|at| *at < items.len());
            match (at, new) {
                (Some(at), Some(new)) => items[at] = new.clone(),
                (Some(at), None) => drop(items.remove(at)),
                (None, _) => {}
            }
        }
        _ => {}
    }
}

/// Whether another manager applies the field, or something below it.
fn is_applied_by_another(live: &Object, path: &str, ownership: &Ownership) -> bool {
    is_held(live, path, &|entry| entry["operation"] == "Apply" && !ownership.is_own(entry))
}

/// Whether an entry for which `counts` returns true has the field at a JSON pointer, or something below it.
pub(super) fn is_held(live: &Object, path: &str, counts: &dyn Fn(&Value) -> bool) -> bool {
    let steps: Vec<String> =
        path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    entries(live)
        .iter()
        .filter(|entry| counts(entry))
        .filter_map(fields::of)
        .any(|of| holds(of, live.value(), &steps))
}

fn holds(node: &Fields, value: &Value, steps: &[String]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    let below = match value {
        Value::Array(items) => {
            let item = step.parse().ok().and_then(|at: usize| items.get(at));
            let is_it = |edge: &String| {
                item.is_some_and(|item| follow(edge, value).is_some_and(|found| std::ptr::eq(found, item)))
            };
            node.iter().find(|(edge, _)| is_it(edge)).zip(item).map(|((_, node), item)| (node, item))
        }
        _ => node.get(&format!("f:{step}")).zip(value.get(step)),
    };
    match below {
        // The manager of an atomic map or list holds it as a whole.
        Some((Value::Object(node), _)) if node.is_empty() => true,
        Some((Value::Object(node), value)) => holds(node, value, rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Kustomization;

    fn object(entries: &Value, spec: &Value) -> Object {
        let metadata =
            json!({"name": "web", "namespace": "n", "labels": {"app": "web"}, "managedFields": entries});
        let value =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec});
        Object::parse(value).unwrap()
    }

    fn applied(entries: &Value, live: &Value, git: &Value, path: &str) -> (Value, Value) {
        let (desired, live) = (object(&json!([]), git), object(entries, live));
        let (sent, result) = left((&desired, &desired), &live, &[path], Kustomization::OWNERSHIP);
        (sent.pointer("/spec").unwrap().clone(), result.pointer("/spec").unwrap().clone())
    }

    #[test]
    fn what_another_applies_is_not_sent_and_the_rest_is_as_it_is_there() {
        let entry = |operation: &str, fields: Value| json!([{"manager": "vpa", "operation": operation, "fieldsV1": fields}]);
        let (git, live) = (json!({"replicas": 2, "paused": false}), json!({"replicas": 5, "paused": false}));
        let count = json!({"f:spec": {"f:replicas": {}}});
        let (sent, result) = applied(&entry("Apply", count.clone()), &live, &git, "/spec/replicas");
        assert_eq!((sent, result), (json!({"paused": false}), live.clone()));
        let (sent, result) = applied(&entry("Update", count), &live, &git, "/spec/replicas");
        assert_eq!((sent, result), (live.clone(), live.clone()));
        // A field that does not differ stays ours, and an absent field is sent as Git has it.
        assert_eq!(applied(&json!([]), &git, &git, "/spec/replicas"), (git.clone(), git.clone()));
        let none = json!({"paused": false});
        assert_eq!(applied(&json!([]), &none, &git, "/spec/replicas"), (git.clone(), none));
    }

    #[test]
    fn a_path_leads_through_lists() {
        let containers = |image: &str| json!({"containers": [{"name": "a"}, {"name": "b", "image": image}]});
        let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"b\"}": {"f:image": {}}}}});
        let entries = json!([{"manager": "vpa", "operation": "Apply", "fieldsV1": fields}]);
        let (sent, _) = applied(&entries, &containers("2"), &containers("1"), "/spec/containers/1/image");
        assert_eq!(sent, json!({"containers": [{"name": "a"}, {"name": "b"}]}));
        let (sent, _) = applied(&json!([]), &containers("2"), &containers("1"), "/spec/containers/1/image");
        assert_eq!(sent, containers("2"));
    }

    #[test]
    fn a_rule_means_the_objects_of_its_target() {
        let rule = |target: Value, path: &str| {
            let rule = serde_json::from_value(json!({"paths": [path], "target": target})).unwrap();
            Ignored::read(&[rule])
        };
        let web = object(&json!([]), &json!({}));
        let cases = [
            (Value::Null, true),
            (json!({"kind": "Deployment", "name": "w.*", "labelSelector": "app=web"}), true),
            (json!({"kind": "StatefulSet"}), false),
            (json!({"namespace": "other"}), false),
        ];
        for (target, means) in cases {
            let ignored = rule(target.clone(), "/spec/replicas").unwrap();
            assert_eq!(ignored.paths(&web).count(), usize::from(means), "{target}");
        }
        let wrong = rule(json!({"name": "["}), "/spec/replicas").unwrap_err();
        assert!(wrong.starts_with("spec.ignore[0].target.name"), "{wrong}");
        assert!(rule(Value::Null, "spec.replicas").unwrap_err().contains("is no JSON pointer"));
    }
}
