//! A command's messages about the cluster's answers, and its exit code.

use serde_json::json;

use super::*;
use crate::bootstrap::put::put;
use crate::cluster::objects::tests::answering;
use lockgate_base::model::Object;

#[test]
fn a_cluster_that_answers_is_not_one_that_cannot_be_asked() {
    let answered =
        |code, message: &str| ApiFailure::Answered { code, reason: "R".into(), message: message.into() };
    let webhook = "Internal error occurred: failed calling webhook \"validate.kyverno.svc\": failed to call webhook: \
                   Post \"https://kyverno:443/\": no endpoints available";
    let away = ApiFailure::Unavailable { message: "connection refused".into(), retry_after: None };
    for (failure, class, fix) in [
        (away, ExitClass::Unreachable, Some("check the kubeconfig")),
        (
            answered(500, webhook),
            ExitClass::Failed,
            Some("behind the webhook validate.kyverno.svc, or remove"),
        ),
        (answered(500, "etcdserver: request timed out"), ExitClass::Failed, Some("look at the API server")),
        (answered(409, "the object has been modified"), ExitClass::Failed, Some("run again")),
        (answered(422, "spec: Invalid value"), ExitClass::Failed, None),
        (
            answered(403, "pods \"p\" is forbidden: exceeded quota: q"),
            ExitClass::Failed,
            Some("change the policy"),
        ),
        (
            answered(
                403,
                "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"u\" (groups=[\"g\"]) is attempting to \
                 grant RBAC permissions not currently held",
            ),
            ExitClass::Failed,
            Some("run as a user with these rights"),
        ),
    ] {
        let problem = Problem::cluster("Deployment/n/d", failure);
        assert_eq!(problem.class(), class, "{problem}");
        let told = problem.fix();
        let is_told = fix.map_or(told.is_none(), |fix| told.as_ref().is_some_and(|told| told.contains(fix)));
        assert!(is_told, "{problem}: {told:?}");
    }
}

#[tokio::test]
async fn a_right_that_a_write_turns_out_to_lack_is_told_with_its_fix() {
    let message = "deployments.apps \"d\" is forbidden: User \"u\" cannot patch resource \"deployments\" in API group \
                   \"apps\" in the namespace \"n\"";
    let forbidden = json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": message});
    let absent = json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"});
    let objects = answering(vec![(Some(404), absent), (Some(403), forbidden)]);
    let deployment =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}});
    let failure = put(&objects, &Object::parse(deployment).unwrap()).await.unwrap_err();
    let problem = Problem::cluster("Deployment/n/d", failure);
    assert_eq!(problem.to_string(), "u may not patch deployments.apps in namespace n");
    assert_eq!(problem.fix().as_deref(), Some("run as a cluster administrator, or have one grant it"));
}
