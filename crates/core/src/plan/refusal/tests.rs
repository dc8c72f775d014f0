//! Answers of an API server, and the refusals that are read from them.

use super::super::answer::AnswerCause;
use super::*;

/// An answer, and the expected refusal.
#[derive(serde::Deserialize)]
struct Case {
    /// The cause, as `Debug` prints it; its name alone in `answers.json`.
    is: String,
    id: String,
    code: u16,
    #[serde(default)]
    reason: String,
    message: String,
    #[serde(default)]
    causes: Vec<CaseCause>,
    /// Whether the same object may pass later.
    #[serde(default)]
    transient: bool,
    /// The whole message.
    #[serde(default)]
    told: String,
}

#[derive(serde::Deserialize)]
struct CaseCause {
    #[serde(default)]
    reason: String,
    message: String,
    #[serde(default)]
    field: String,
}

impl Case {
    fn refuse(&self) -> Refusal {
        let causes = self.causes.iter().map(|cause| AnswerCause {
            reason: cause.reason.clone(),
            message: cause.message.clone(),
            field: cause.field.clone(),
        });
        let answer = Answer {
            code: self.code,
            reason: self.reason.clone(),
            message: self.message.clone(),
            causes: causes.collect(),
        };
        Refusal::of_answer(self.id.parse().unwrap(), Phase::DryRun, answer)
    }
}

#[test]
fn an_answer_is_told_with_its_cure() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("told.json")).unwrap();
    for case in cases {
        let refusal = case.refuse();
        assert_eq!(format!("{:?}", refusal.cause), case.is, "{}", case.message);
        assert_eq!(refusal.to_string(), case.told);
        assert_eq!(refusal.is_transient(), case.transient, "{}", case.message);
        assert_eq!(refusal.is_forbidden(), case.is.starts_with("Forbidden"), "{}", case.message);
    }
}

/// The answers of a kube-apiserver 1.35 to dry runs of wrong objects.
#[test]
fn the_answers_of_a_real_server_are_told_apart() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("answers.json")).unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let refusal = case.refuse();
        let cause = format!("{:?}", refusal.cause);
        let name = cause.split(|c: char| !c.is_alphanumeric()).next().unwrap();
        let told = refusal.to_string();
        assert_eq!(name, case.is, "{told}");
        assert!(told.len() < 1500, "{told}");
        let quotes_value = ["hunter2", "hunter3", "31337"].iter().any(|value| told.contains(value));
        assert!(!quotes_value || refusal.id.kind != "Secret", "{told}");
    }
}

/// A message names a cure only if its premise holds.
#[test]
fn a_field_that_git_does_not_set_is_not_to_be_removed_from_git() {
    let object = serde_json::json!({"apiVersion": "x.io/v2", "kind": "Thing", "metadata": {"name": "a"},
                                    "spec": {"port": 1, "list": [{"name": "a"}]}});
    let object = Object::parse(object).unwrap();
    for (path, is_in_git) in [
        ("spec.port", true),
        ("spec.list[name=\"a\"].name", true),
        ("spec.policy", false),
        ("spec.list[0].x", false),
    ] {
        let message =
            format!("failed to create manager for existing fields: .{path}: field not declared in schema");
        let answer = Answer { code: 500, reason: "InternalError".into(), message, ..Answer::default() };
        let refusal = Refusal::of_answer(object.id(), Phase::DryRun, answer).seen_beside(&object);
        assert_eq!(matches!(refusal.cause, Cause::UnknownField(_)), is_in_git, "{refusal}");
        assert_eq!(refusal.to_string().contains("remove the field"), is_in_git, "{refusal}");
        assert!(refusal.may_pass_soon() && !refusal.is_transient());
    }
}

/// Everything that a cluster may lack, and the message about it.
#[test]
fn a_kind_that_is_not_served_is_told_with_the_right_cure() {
    let cases = [
        (
            "extensions",
            "v1beta1",
            "Ingress",
            "is gone since Kubernetes 1.22, use networking.k8s.io/v1",
            false,
        ),
        ("batch", "v1beta1", "CronJob", "is gone since Kubernetes 1.25, use batch/v1", false),
        ("resource.k8s.io", "v1", "ResourceClaim", "this release of Kubernetes does not serve it", true),
        ("x.io", "v1", "Thing", "its CustomResourceDefinition does not exist", true),
    ];
    for (group, version, kind, cure, transient) in cases {
        let gvk = Gvk { group: group.into(), version: version.into(), kind: kind.into() };
        let id = format!("n_a_{group}_{kind}").parse().unwrap();
        let refusal = Refusal::unknown_kind(id, Phase::DryRun, gvk);
        assert!(refusal.to_string().contains(cure), "{refusal}");
        assert_eq!(refusal.is_transient(), transient, "{refusal}");
    }
}

#[test]
fn a_field_that_cannot_change_is_told_from_a_wrong_one() {
    let immutable = [
        r#"Deployment.apps "a" is invalid: spec.selector: Invalid value: {"x":"y"}: field is immutable"#,
        r#"Secret "a" is invalid: data: Forbidden: field is immutable when `immutable` is set"#,
        r#"Service "a" is invalid: spec.clusterIPs[0]: Invalid value: ["10.0.0.9"]: may not change once set"#,
        r#"PersistentVolumeClaim "a" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests"#,
        r#"StatefulSet.apps "a" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template' are forbidden"#,
        r#"Pod "a" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"#,
        r#"RoleBinding.rbac.authorization.k8s.io "a" is invalid: roleRef: Invalid value: {"name":"b"}: cannot change roleRef"#,
        r#"StorageClass.storage.k8s.io "a" is invalid: parameters: Forbidden: updates to parameters are forbidden."#,
        r#"Bar.x.io "a" is invalid: spec.host: Invalid value: "b": Value is immutable"#,
    ];
    let refuse = |message: &str, causes: Vec<AnswerCause>| {
        let answer = Answer { code: 422, reason: "Invalid".into(), message: message.into(), causes };
        Refusal::of_answer("n_a_apps_Deployment".parse().unwrap(), Phase::DryRun, answer)
    };
    for message in immutable {
        let refusal = refuse(message, Vec::new());
        assert_eq!(refusal.cause, Cause::Immutable { loss: None }, "{message}");
        let told = refusal.to_string();
        assert!(
            told.ends_with(
                "; set spec.force, or annotate the object with kustomize.toolkit.fluxcd.io/force: enabled"
            ),
            "{told}"
        );
        assert!(!refusal.is_transient());
    }
    // The recreated object would be refused for its other fault, and the old one would be gone.
    let cause = |message: &str| AnswerCause { message: message.into(), ..AnswerCause::default() };
    let both =
        vec![cause("Invalid value: 1: field is immutable"), cause("Invalid value: -1: must be 0 or more")];
    assert_eq!(refuse(immutable[0], both).cause, Cause::Invalid);
    assert_eq!(
        refuse(immutable[0], vec![cause("field is immutable")]).cause,
        Cause::Immutable { loss: None }
    );
}

#[test]
fn a_terminating_namespace_is_known_by_its_cause_too() {
    let cause = AnswerCause { reason: "NamespaceTerminating".into(), ..AnswerCause::default() };
    let answer = Answer { code: 403, reason: "Forbidden".into(), message: "no".into(), causes: vec![cause] };
    let refusal = Refusal::of_answer("n_a__ConfigMap".parse().unwrap(), Phase::Apply, answer);
    assert!(refusal.is_transient());
    assert!(refusal.to_string().contains("; namespace n terminating; "), "{refusal}");
    let namespace = serde_json::json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "n", "deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": ["x.io/a"]},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"conditions": [
            {"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources are remaining: b"},
            {"type": "NamespaceFinalizersRemaining", "status": "True",
             "message": "Some content in the namespace has finalizers remaining: x.io/hold in 1 resource instances"}]}});
    let told = refusal.explained_by(&Object::parse(namespace).unwrap()).to_string();
    let expected = "; namespace n terminating since 2026-01-02T03:04:05Z (finalizers: x.io/a, kubernetes, x.io/hold in 1 \
                    resource instances); this is tried again until it is gone";
    assert!(told.ends_with(expected), "{told}");
}

#[test]
fn values_of_secrets_are_not_quoted() {
    let texts = [
        (
            ".stringData.password: expected string, got &value.valueUnstructured{Value:31337}",
            ".stringData.password: expected string, got ***",
        ),
        (
            r#".stringData.password: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"inner":"hunter2"}}"#,
            ".stringData.password: expected string, got ***",
        ),
        (".data: expected map, got &{hunter2}", ".data: expected map, got ***"),
        (
            ".data.password: expected string, got &{[hunter2 31337]}",
            ".data.password: expected string, got ***",
        ),
    ];
    let refuse = |id: &str, message: &str| {
        let answer = Answer { code: 500, message: message.into(), ..Answer::default() };
        Refusal::of_answer(id.parse().unwrap(), Phase::DryRun, answer)
    };
    for (message, told) in texts {
        let secret = refuse("n_s__Secret", message);
        assert_eq!(secret.to_string(), format!("Secret/n/s dry-run failed: {told}"));
        assert_eq!(secret.cause, Cause::TypeError);
        // Another kind keeps the text, which helps, unless a secret value is in it.
        let other = refuse("n_s_x.io_Bar", message);
        assert_eq!(other.to_string(), format!("Bar/n/s dry-run failed: {message}"));
        assert_eq!(other.redacted().to_string(), format!("Bar/n/s dry-run failed: {told}"));
    }
}

#[test]
fn refusals_of_our_own() {
    let id = || "n_a_x.io_Bar".parse::<ObjectId>().unwrap();
    let gvk = Gvk { group: "x.io".into(), version: "v1".into(), kind: "Bar".into() };
    let bare: ObjectId = "_a_x.io_Bar".parse().unwrap();
    let cases = [
        (
            Refusal::unknown_kind(id(), Phase::DryRun, gvk),
            "Bar/n/a dry-run failed: no matches for kind \"Bar\" in version \"x.io/v1\"; its \
             CustomResourceDefinition does not exist: add it to this build, or to one that this build \
             depends on",
            true,
        ),
        (
            Refusal::namespace_not_specified(bare, Phase::DryRun),
            "Bar/a namespace not specified: Bar is a namespaced kind; set metadata.namespace, or spec.targetNamespace",
            false,
        ),
        (
            Refusal::group_down(id(), Phase::DryRun),
            "Bar/n/a dry-run failed: the server behind the API group x.io does not answer; see kubectl get \
             apiservices; is the Service of its APIService healthy?",
            true,
        ),
        (
            Refusal::unavailable(id(), Phase::Apply, "connection refused"),
            "Bar/n/a apply failed: connection refused",
            true,
        ),
    ];
    for (refusal, told, transient) in cases {
        assert_eq!(refusal.to_string(), told);
        assert_eq!(refusal.is_transient(), transient);
    }
}
