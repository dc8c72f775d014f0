//! Values of which there can be only one in a cluster, so that a new object is refused while an old one has
//! them.

use std::collections::BTreeSet;

use serde_json::Value;

use lockgate_base::model::{Object, ObjectId};

/// Where such values are, by group and kind. `*` stands for each item of a list. That of an Ingress is unique
/// by the webhook of its controller.
const UNIQUE: [(&str, &str, &[&str]); 2] = [
    (
        "",
        "Service",
        &["/spec/ports/*/nodePort", "/spec/clusterIP", "/spec/healthCheckNodePort", "/spec/loadBalancerIP"],
    ),
    ("networking.k8s.io", "Ingress", &["/spec/rules/*/host"]),
];

/// Whether objects of the kind hold values of which there can be only one.
pub fn has_unique(id: &ObjectId) -> bool {
    UNIQUE.iter().any(|(group, kind, _)| (*group, *kind) == (id.group.as_str(), id.kind.as_str()))
}

/// Whether two objects of one kind ask for the same value, of which there can be only one.
pub fn shares_unique(one: &Object, other: &Object) -> bool {
    let is_one_kind = (one.group(), one.kind()) == (other.group(), other.kind());
    is_one_kind && !values(one).is_disjoint(&values(other))
}

fn values(object: &Object) -> BTreeSet<(&'static str, String)> {
    let of_kind = UNIQUE.iter().filter(|(group, kind, _)| (*group, *kind) == (object.group(), object.kind()));
    let mut values = BTreeSet::new();
    for path in of_kind.flat_map(|(.., paths)| *paths) {
        let found: Vec<&Value> = match path.split_once("/*") {
            Some((list, rest)) => {
                let items = object.pointer(list).and_then(Value::as_array).into_iter().flatten();
                items.filter_map(|item| item.pointer(rest)).collect()
            }
            None => object.pointer(path).into_iter().collect(),
        };
        let says_nothing =
            |value: &&Value| value.is_null() || **value == "" || **value == "None" || **value == 0;
        values.extend(
            found.into_iter().filter(|value| !says_nothing(value)).map(|value| (*path, value.to_string())),
        );
    }
    values
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(spec: Value) -> Object {
        let mut value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}});
        value["spec"] = spec;
        Object::parse(value).unwrap()
    }

    #[test]
    fn two_services_share_a_port_of_the_nodes_or_an_address() {
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
        for (one, other, shared) in cases {
            assert_eq!(
                shares_unique(&service(one.clone()), &service(other.clone())),
                shared,
                "{one} {other}"
            );
        }
    }
}
