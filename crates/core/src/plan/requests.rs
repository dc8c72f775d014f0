//! Edits that are requests and not drift: a restart of pods, and the marks that make controllers leave an
//! object alone. They stay until somebody removes them, unless Git sets the very same field.

use serde_json::Value;

use crate::api;
use lockgate_base::keys;

/// The annotation with which `kubectl rollout restart` makes a workload replace its pods.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// The labels and annotations by which an object sets its own policies.
const POLICIES: [&str; 4] = [keys::RECONCILE, keys::PRUNE, keys::SSA, keys::FORCE];

/// Whether a field of an entry of `metadata.managedFields` is a request, by its path in `fieldsV1`, such as
/// `["f:spec", "f:suspend"]`.
pub(super) fn is_request(entry: &Value, path: &[&str]) -> bool {
    let of_policy = |field: &str| POLICIES.iter().any(|key| field.strip_prefix("f:") == Some(key));
    let is_one = match path {
        ["f:metadata", "f:annotations" | "f:labels", field] => of_policy(field),
        ["f:spec", "f:template", "f:metadata", "f:annotations", field] => {
            field.strip_prefix("f:") == Some(RESTARTED_AT)
        }
        ["f:spec", "f:suspend"] => {
            let api_version = entry.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            api::KINDS.iter().any(|info| info.id.group == group)
        }
        _ => false,
    };
    is_one && !is_of_a_whole(entry)
}

/// Whether an entry stands for a whole object that was applied, and so for no single request.
fn is_of_a_whole(entry: &Value) -> bool {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    text("operation") == "Apply" || text("manager") == "kubectl-client-side-apply"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(api_version: &str) -> Value {
        json!({"manager": "kubectl-edit", "operation": "Update", "apiVersion": api_version})
    }

    #[test]
    fn a_restart_is_a_request_and_a_replica_count_is_none() {
        let annotation = |key| ["f:spec", "f:template", "f:metadata", "f:annotations", key];
        let of_apps = entry("apps/v1");
        assert!(is_request(&of_apps, &annotation("f:kubectl.kubernetes.io/restartedAt")));
        assert!(!is_request(&of_apps, &annotation("f:team")));
        assert!(!is_request(&of_apps, &["f:spec", "f:replicas"]));
    }

    #[test]
    fn what_has_an_object_left_alone_is_a_request() {
        for key in POLICIES {
            let key = format!("f:{key}");
            for map in ["f:annotations", "f:labels"] {
                assert!(is_request(&entry("v1"), &["f:metadata", map, &key]), "{map} {key}");
            }
        }
        let suspend = ["f:spec", "f:suspend"];
        assert!(is_request(&entry("kustomize.toolkit.fluxcd.io/v1"), &suspend));
        assert!(!is_request(&entry("batch/v1"), &suspend));
    }

    #[test]
    fn an_object_that_was_applied_whole_asks_for_nothing() {
        let key = format!("f:{}", keys::PRUNE);
        let path = ["f:metadata", "f:annotations", &key];
        for (manager, operation) in [("kubectl", "Apply"), ("kubectl-client-side-apply", "Update")] {
            let entry = json!({"manager": manager, "operation": operation, "apiVersion": "v1"});
            assert!(!is_request(&entry, &path), "{manager}");
        }
    }
}
