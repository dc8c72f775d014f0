//! Fields of the agent's Deployment that others have set and bootstrap leaves alone: replicas, nodes,
//! resources. A given flag wins.

use serde_json::Value;

use super::memory::Flags;
use super::problem::Problem;
use crate::cluster::objects::MANAGER;
use lockgate_base::model::Object;

/// A field of the Deployment, and the flag that sets it.
struct Field {
    path: &'static [&'static str],
    flag: Option<&'static str>,
}

/// A path below the pod's template.
macro_rules! pod {
    ($($name:literal),+) => { &["spec", "template", "spec", $($name),+] };
}

/// The path of a resource of the agent's container.
macro_rules! resource {
    ($list:literal, $name:literal) => {
        pod!("containers", "agent", "resources", $list, $name)
    };
}

/// The fields that others may set. All other fields say how the agent runs, and belong to bootstrap.
const FIELDS: [Field; 10] = [
    Field { path: &["spec", "replicas"], flag: None },
    Field { path: pod!("tolerations"), flag: Some("toleration") },
    Field { path: pod!("nodeSelector"), flag: Some("node-selector") },
    Field { path: pod!("priorityClassName"), flag: None },
    Field { path: pod!("terminationGracePeriodSeconds"), flag: None },
    Field { path: pod!("dnsConfig"), flag: None },
    Field { path: resource!("requests", "cpu"), flag: Some("cpu-request") },
    Field { path: resource!("requests", "memory"), flag: Some("memory-request") },
    Field { path: resource!("limits", "cpu"), flag: Some("cpu-limit") },
    Field { path: resource!("limits", "memory"), flag: Some("memory-limit") },
];

/// The Deployment without the fields that others have set on the live one, and the names of these fields with
/// their managers.
pub(crate) fn yielding(
    wanted: &Object,
    live: Option<&Object>,
    flags: &Flags,
) -> Result<(Object, Vec<String>), Problem> {
    let Some(live) = live else { return Ok((wanted.clone(), Vec::new())) };
    let is_flagged = |field: &&Field| field.flag.is_some_and(|flag| flags.contains_key(flag));
    let foreign = FIELDS.iter().filter(|field| !is_flagged(field));
    let foreign: Vec<(&Field, &str)> =
        foreign.filter_map(|field| Some((field, owner(live, field.path)?))).collect();
    let edited = wanted.clone().edit(|value| foreign.iter().for_each(|(field, _)| remove(value, field.path)));
    let told = foreign.iter().map(|(field, owner)| format!("{} ({owner})", field.path.join(".")));
    Ok((edited.map_err(|error| Problem::Embedded(error.to_string()))?, told.collect()))
}

/// The fields below `spec` that others have set to another value than the wanted one, which replaces it; each
/// with its manager, its value and the wanted one.
pub(crate) fn overridden(wanted: &Object, live: &Object) -> Vec<String> {
    let mut told = Vec::new();
    for (manager, fields) in foreign(live) {
        let values = (&wanted.value()["spec"], &live.value()["spec"]);
        compare(&fields["f:spec"], values, "spec", &mut |path, wanted, found| {
            let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            told.push(format!("{path} ({manager}), {} → {}", shown(found), shown(wanted)));
        });
    }
    told
}

/// Walks through a set of fields, and reports those whose wanted value differs from the live one.
fn compare(
    fields: &Value,
    (wanted, live): (&Value, &Value),
    path: &str,
    report: &mut impl FnMut(&str, &Value, &Value),
) {
    let Some(entries) = fields.as_object().filter(|entries| !entries.is_empty()) else {
        if wanted != live {
            report(path, wanted, live);
        }
        return;
    };
    for (entry, below) in entries {
        let (name, values) = if let Some(name) = entry.strip_prefix("f:") {
            (name.to_owned(), wanted.get(name).zip(live.get(name)))
        } else if let Some(Ok(key)) = entry.strip_prefix("k:").map(serde_json::from_str::<Value>) {
            (item_name(&key), item(wanted, &key).zip(item(live, &key)))
        } else {
            continue;
        };
        if let Some(values) = values {
            compare(below, values, &format!("{path}.{name}"), report);
        }
    }
}

/// The item of a list that has all fields of a key.
fn item<'v>(list: &'v Value, key: &Value) -> Option<&'v Value> {
    let fields = key.as_object()?;
    list.as_array()?.iter().find(|item| fields.iter().all(|(name, value)| item.get(name) == Some(value)))
}

fn item_name(key: &Value) -> String {
    key["name"].as_str().map_or_else(|| key.to_string(), ToOwned::to_owned)
}

/// The fields that each other manager has set, except those of the status.
fn foreign(live: &Object) -> impl Iterator<Item = (&str, &Value)> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().filter_map(|entry| {
        let manager = entry["manager"].as_str().filter(|manager| *manager != MANAGER)?;
        (entry["subresource"] != "status").then_some((manager, &entry["fieldsV1"]))
    })
}

/// Another field manager that has set the field.
fn owner<'o>(live: &'o Object, path: &[&str]) -> Option<&'o str> {
    foreign(live).find_map(|(manager, fields)| has(fields, path).then_some(manager))
}

/// Whether a set of fields contains a field, or one below it.
fn has(fields: &Value, path: &[&str]) -> bool {
    let Some((name, rest)) = path.split_first() else { return true };
    let item = format!("k:{{\"name\":\"{name}\"}}");
    fields.get(format!("f:{name}")).or_else(|| fields.get(&item)).is_some_and(|below| has(below, rest))
}

fn remove(value: &mut Value, path: &[&str]) {
    match path {
        [] => {}
        [name] => {
            if let Some(fields) = value.as_object_mut() {
                fields.shift_remove(*name);
            }
        }
        [name, rest @ ..] => match value {
            Value::Array(items) => {
                items.iter_mut().filter(|item| item["name"] == *name).for_each(|item| remove(item, rest));
            }
            _ => {
                if let Some(below) = value.get_mut(*name) {
                    remove(below, rest);
                }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(managed: Value) -> Object {
        let container = json!({"name": "agent", "image": "i", "resources": {
            "requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}}});
        let mut value = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "lockgate", "namespace": "n"},
            "spec": {"replicas": 1, "template": {"spec": {"tolerations": [], "containers": [container]}}},
        });
        value["metadata"]["managedFields"] = managed;
        Object::parse(value).unwrap()
    }

    #[test]
    fn what_is_put_back_is_told() {
        let container = json!({".": {}, "f:image": {}, "f:args": {}, "f:env": {
            "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}},
            "k:{\"name\":\"THEIRS\"}": {".": {}, "f:name": {}, "f:value": {}},
        }});
        let fields = json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:replicas": {}, "f:paused": {},
            "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"agent\"}": container}}}}});
        let by = |manager: &str| json!([{"manager": manager, "operation": "Update", "fieldsV1": fields}]);
        let of = |managed: Value, image: &str, args: &[&str], value: &str| {
            deployment(managed)
                .edit(|object| {
                    let container = &mut object["spec"]["template"]["spec"]["containers"][0];
                    container["image"] = image.into();
                    container["args"] = json!(args);
                    container["env"] = json!([{"name": "A", "value": value}]);
                })
                .unwrap()
        };
        let wanted = of(json!([]), "i:1", &["agent"], "1");
        let live = of(by("kubectl-set"), "i:9", &["agent", "-x"], "2");
        let agent = "spec.template.spec.containers.agent";
        let expected = [
            format!("{agent}.image (kubectl-set), i:9 → i:1"),
            format!("{agent}.args (kubectl-set), [\"agent\",\"-x\"] → [\"agent\"]"),
            format!("{agent}.env.A.value (kubectl-set), 2 → 1"),
        ];
        assert_eq!(overridden(&wanted, &live), expected);
        assert!(overridden(&wanted, &of(by(MANAGER), "i:9", &[], "2")).is_empty(), "an upgrade is no news");
        assert!(overridden(&wanted, &of(by("kubectl-set"), "i:1", &["agent"], "1")).is_empty());
    }

    #[test]
    fn what_others_have_set_is_left_to_them_unless_a_flag_says_otherwise() {
        let by = |manager: &str, fields: Value| json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
        let limits = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"agent\"}":
            {"f:image": {}, "f:resources": {"f:limits": {"f:memory": {}}}}}}}}});
        let scaled = json!({"f:spec": {"f:replicas": {}}});
        let live =
            deployment(json!([by("edit", limits), by("autoscaler", scaled.clone()), by(MANAGER, scaled)]));
        let wanted = deployment(json!([]));
        let (left, told) = yielding(&wanted, Some(&live), &Flags::new()).unwrap();
        assert_eq!(
            told,
            [
                "spec.replicas (autoscaler)",
                "spec.template.spec.containers.agent.resources.limits.memory (edit)"
            ]
        );
        assert_eq!(left.pointer("/spec/replicas"), None);
        let container = left.pointer("/spec/template/spec/containers/0").unwrap();
        assert_eq!(
            container["resources"],
            json!({"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {}})
        );
        assert_eq!(container["image"], "i", "the image is bootstrap's own");
        assert!(left.pointer("/spec/template/spec/tolerations").is_some());
        let flags = Flags::from([("memory-limit".to_owned(), "1Gi".to_owned())]);
        let (left, told) = yielding(&wanted, Some(&live), &flags).unwrap();
        assert_eq!(
            (told.len(), left.pointer("/spec/template/spec/containers/0/resources/limits/memory")),
            (1, Some(&json!("256Mi")))
        );
        assert_eq!(yielding(&wanted, None, &flags).unwrap().0, wanted);
    }
}
