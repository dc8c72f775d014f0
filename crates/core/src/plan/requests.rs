//! Edits that ask for something and are no drift: a restart of pods, and what people set on an object to have it left alone. They
//! stay until somebody takes them off, unless Git sets the very same field.

use serde_json::{Map, Value};

use crate::api;
use lockgate_base::keys;

/// The annotation by which `kubectl rollout restart` has a workload replace its pods.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// What an object says of how it is treated, as a label or an annotation.
const POLICIES: [&str; 4] = [keys::RECONCILE, keys::PRUNE, keys::SSA, keys::FORCE];

/// Whether a path of `fieldsV1`, such as `["f:spec", "f:suspend"]`, is a request. `api_version` is that of the entry.
fn is_request(path: &[&str], api_version: &str) -> bool {
    let of_policy = |field: &str| POLICIES.iter().any(|key| field.strip_prefix("f:") == Some(key));
    match path {
        ["f:metadata", "f:annotations" | "f:labels", field] => of_policy(field),
        ["f:spec", "f:template", "f:metadata", "f:annotations", field] => {
            field.strip_prefix("f:") == Some(RESTARTED_AT)
        }
        ["f:spec", "f:suspend"] => {
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            api::KINDS.iter().any(|info| info.id.group == group)
        }
        _ => false,
    }
}

/// Whether an entry is of a whole object that was applied, or of who set it before anybody applied it. Nothing of it was asked for
/// apart.
fn is_of_a_whole(entry: &Value) -> bool {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    text("operation") == "Apply"
        || matches!(text("manager"), "kubectl-client-side-apply" | "before-first-apply")
}

/// The two halves of an entry's `fieldsV1`: its requests, and everything else. A half without a field is `None`.
pub(super) fn parted(entry: &Value) -> (Option<Value>, Option<Value>) {
    let api_version = entry.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let Some(Value::Object(fields)) = entry.get("fieldsV1") else { return (None, None) };
    if is_of_a_whole(entry) {
        return (None, Some(fields.clone().into()));
    }
    let (requests, rest) = parted_below(fields, &mut Vec::new(), api_version);
    (requests.map(Value::Object), rest.map(Value::Object))
}

type Half = Option<Map<String, Value>>;

fn parted_below<'f>(
    fields: &'f Map<String, Value>,
    path: &mut Vec<&'f str>,
    api_version: &str,
) -> (Half, Half) {
    let (mut requests, mut rest) = (Map::new(), Map::new());
    for (key, node) in fields.iter().filter(|(key, _)| *key != ".") {
        path.push(key);
        match node {
            _ if is_request(path, api_version) => {
                requests.insert(key.clone(), node.clone());
            }
            Value::Object(children) if !children.is_empty() => {
                let (asked, other) = parted_below(children, path, api_version);
                requests.extend(asked.map(|asked| (key.clone(), asked.into())));
                rest.extend(other.map(|other| (key.clone(), other.into())));
            }
            _ => {
                rest.insert(key.clone(), node.clone());
            }
        }
        path.pop();
    }
    if let Some(itself) = fields.get(".") {
        // A map that was made for requests alone is theirs.
        let half = if rest.is_empty() && !requests.is_empty() { &mut requests } else { &mut rest };
        half.insert(".".into(), itself.clone());
    }
    (Some(requests).filter(|half| !half.is_empty()), Some(rest).filter(|half| !half.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(api_version: &str, fields: &Value) -> (Option<Value>, Option<Value>) {
        parted(&json!({"apiVersion": api_version, "fieldsV1": fields}))
    }

    #[test]
    fn a_restart_is_a_request_and_a_replica_count_is_none() {
        let annotations =
            |key: &str| json!({"f:template": {"f:metadata": {"f:annotations": {".": {}, key: {}}}}});
        let restart = json!({"f:spec": annotations("f:kubectl.kubernetes.io/restartedAt")});
        assert_eq!(part("apps/v1", &restart), (Some(restart.clone()), None));
        let other = json!({"f:spec": annotations("f:team")});
        assert_eq!(part("apps/v1", &other), (None, Some(other)));
        let mut both = restart.clone();
        both["f:spec"]["f:replicas"] = json!({});
        assert_eq!(part("apps/v1", &both), (Some(restart), Some(json!({"f:spec": {"f:replicas": {}}}))));
    }

    #[test]
    fn what_has_an_object_left_alone_is_a_request() {
        for key in POLICIES {
            let key = format!("f:{key}");
            for map in ["f:annotations", "f:labels"] {
                let fields = json!({"f:metadata": {map: {&key: {}}}});
                assert_eq!(part("v1", &fields), (Some(fields), None), "{key}");
            }
        }
        let suspend = json!({"f:spec": {"f:suspend": {}}});
        let ours = part("kustomize.toolkit.fluxcd.io/v1", &suspend);
        assert_eq!(ours, (Some(suspend.clone()), None));
        assert_eq!(part("batch/v1", &suspend), (None, Some(suspend)));
    }

    #[test]
    fn an_object_that_was_applied_whole_asks_for_nothing() {
        let fields = json!({"f:metadata": {"f:annotations": {format!("f:{}", keys::PRUNE): {}}}});
        for (manager, operation) in [("kubectl", "Apply"), ("kubectl-client-side-apply", "Update")] {
            let entry =
                json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
            assert_eq!(parted(&entry), (None, Some(fields.clone())), "{manager}");
        }
    }

    #[test]
    fn an_entry_without_fields_has_no_half() {
        assert_eq!(part("v1", &Value::Null), (None, None));
        assert_eq!(part("v1", &json!({})), (None, None));
    }
}
