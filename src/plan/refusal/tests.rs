//! Answers of a kube-apiserver 1.35, and what is made of them.

use super::*;

/// What of an answer is looked at.
struct Case {
    id: &'static str,
    code: u16,
    reason: &'static str,
    message: &'static str,
    cause: Cause,
    told: &'static str,
}

fn refuse(case: &Case) -> Refusal {
    let answer = Answer {
        code: case.code,
        reason: case.reason.into(),
        message: case.message.into(),
        causes: Vec::new(),
    };
    Refusal::of_answer(case.id.parse().unwrap(), Phase::DryRun, answer)
}

fn check(cases: &[Case], transient: bool) {
    for case in cases {
        let refusal = refuse(case);
        assert_eq!(refusal.cause, case.cause, "{}", case.message);
        assert_eq!(refusal.to_string(), case.told);
        assert_eq!(refusal.is_transient(), transient, "{}", case.message);
    }
}

#[test]
fn what_may_pass_by_itself() {
    let bar = Gvk { group: "x.io".into(), version: String::new(), kind: "Bar".into() };
    check(
        &[
            Case {
                id: "nope_a__ConfigMap",
                code: 404,
                reason: "NotFound",
                message: r#"namespaces "nope" not found"#,
                cause: Cause::NamespaceMissing("nope".into()),
                told: "ConfigMap/nope/a not found: namespaces \"nope\" not found; add the Namespace nope to this build \
                       or to one that it depends on",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 403,
                reason: "Forbidden",
                message: r#"configmaps "a" is forbidden: unable to create new content in namespace n because it is being terminated"#,
                cause: Cause::NamespaceTerminating("n".into()),
                told: "ConfigMap/n/a dry-run failed (Forbidden): configmaps \"a\" is forbidden: unable to create new \
                       content in namespace n because it is being terminated; the namespace n is terminating; this is \
                       tried again until it is gone",
            },
            Case {
                id: "n_a_x.io_Bar",
                code: 404,
                reason: "NotFound",
                message: "the server could not find the requested resource",
                cause: Cause::UnknownKind(bar),
                told: "Bar/n/a dry-run failed (NotFound): the server could not find the requested resource; its \
                       CustomResourceDefinition is not there: add it to this build or to one that it depends on",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 500,
                reason: "InternalError",
                message: r#"Internal error occurred: failed calling webhook "dead.x.io": failed to call webhook: Post "https://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused"#,
                cause: Cause::WebhookDown("dead.x.io".into()),
                told: "ConfigMap/n/a dry-run failed (InternalError): Internal error occurred: failed calling webhook \
                       \"dead.x.io\": failed to call webhook: Post \"https://127.0.0.1:1/\": dial tcp 127.0.0.1:1: \
                       connect: connection refused; the webhook dead.x.io does not answer; is what it runs on healthy?",
            },
            Case {
                id: "n_a_x.io_Bar",
                code: 500,
                reason: "",
                message: "conversion webhook for x.io/v1, Kind=Bar failed: Post \"https://x\": EOF",
                cause: Cause::WebhookDown("that converts x.io/v1, Kind=Bar".into()),
                told: "Bar/n/a dry-run failed: conversion webhook for x.io/v1, Kind=Bar failed: Post \"https://x\": EOF; \
                       the webhook that converts x.io/v1, Kind=Bar does not answer; is what it runs on healthy?",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 409,
                reason: "Conflict",
                message: "Operation cannot be fulfilled on configmaps \"a\": the object has been modified",
                cause: Cause::Conflict,
                told: "ConfigMap/n/a dry-run failed (Conflict): Operation cannot be fulfilled on configmaps \"a\": the \
                       object has been modified",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 500,
                reason: "",
                message: "etcdserver: leader changed",
                cause: Cause::Other { server_fault: true },
                told: "ConfigMap/n/a dry-run failed: etcdserver: leader changed",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 429,
                reason: "TooManyRequests",
                message: "too many requests",
                cause: Cause::Unavailable,
                told: "ConfigMap/n/a dry-run failed (TooManyRequests): too many requests",
            },
        ],
        true,
    );
}

#[test]
fn what_needs_a_change_in_git_or_of_rights() {
    let right = |verb: &str, resource: &str, namespace: &str| Cause::Forbidden {
        user: "system:serviceaccount:default:t".into(),
        verb: verb.into(),
        resource: resource.into(),
        namespace: namespace.into(),
    };
    check(
        &[
            Case {
                id: "n_a_apps_Deployment",
                code: 403,
                reason: "Forbidden",
                message: r#"deployments.apps "a" is forbidden: User "system:serviceaccount:default:t" cannot patch resource "deployments" in API group "apps" in the namespace "n""#,
                cause: right("patch", "deployments.apps", "n"),
                told: "Deployment/n/a dry-run failed (Forbidden): deployments.apps \"a\" is forbidden: User \
                       \"system:serviceaccount:default:t\" cannot patch resource \"deployments\" in API group \"apps\" \
                       in the namespace \"n\"; grant patch on deployments.apps in namespace n to \
                       system:serviceaccount:default:t",
            },
            Case {
                id: "_a__Namespace",
                code: 403,
                reason: "Forbidden",
                message: r#"namespaces "a" is forbidden: User "system:serviceaccount:default:t" cannot create resource "namespaces" in API group "" at the cluster scope"#,
                cause: right("create", "namespaces", ""),
                told: "Namespace/a dry-run failed (Forbidden): namespaces \"a\" is forbidden: User \
                       \"system:serviceaccount:default:t\" cannot create resource \"namespaces\" in API group \"\" at \
                       the cluster scope; grant create on namespaces at the cluster scope to \
                       system:serviceaccount:default:t",
            },
            Case {
                id: "n_a__Pod",
                code: 403,
                reason: "Forbidden",
                message: r#"pods "a" is forbidden: violates PodSecurity "restricted:latest": privileged"#,
                cause: Cause::Denied,
                told: "Pod/n/a dry-run failed (Forbidden): pods \"a\" is forbidden: violates PodSecurity \
                       \"restricted:latest\": privileged",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 500,
                reason: "",
                message: "failed to create typed patch object (n/a; /v1, Kind=ConfigMap): .dataa: field not declared in schema",
                cause: Cause::UnknownField("dataa".into()),
                told: "ConfigMap/n/a dry-run failed: failed to create typed patch object (n/a; /v1, Kind=ConfigMap): \
                       .dataa: field not declared in schema; remove the field dataa, or correct its name",
            },
            Case {
                id: "n_a_x.io_Bar",
                code: 400,
                reason: "BadRequest",
                message: r#"strict decoding error: unknown field "spec.dataa""#,
                cause: Cause::UnknownField("spec.dataa".into()),
                told: "Bar/n/a dry-run failed (BadRequest): strict decoding error: unknown field \"spec.dataa\"; remove \
                       the field spec.dataa, or correct its name",
            },
            Case {
                id: "n_a__Pod",
                code: 500,
                reason: "",
                message: "failed to create typed patch object: .spec.x.y: expected numeric (int or float), got string",
                cause: Cause::TypeError,
                told: "Pod/n/a dry-run failed: failed to create typed patch object: .spec.x.y: expected numeric (int or \
                       float), got string",
            },
            Case {
                id: "n_a_apps_Deployment",
                code: 422,
                reason: "Invalid",
                message: r#"Deployment.apps "a" is invalid: spec.replicas: Invalid value: -1: must be 0 or more"#,
                cause: Cause::Invalid,
                told: "Deployment/n/a dry-run failed (Invalid): Deployment.apps \"a\" is invalid: spec.replicas: Invalid \
                       value: -1: must be 0 or more",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 400,
                reason: "BadRequest",
                message: r#"admission webhook "v.x.io" does not support dry run"#,
                cause: Cause::WebhookWithoutDryRun("v.x.io".into()),
                told: "ConfigMap/n/a dry-run failed (BadRequest): admission webhook \"v.x.io\" does not support dry run; \
                       the webhook v.x.io must declare sideEffects: None or NoneOnDryRun in its configuration, since \
                       every object is applied as a dry run first",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 403,
                reason: "Forbidden",
                message: r#"admission webhook "v.x.io" denied the request: it is immutable"#,
                cause: Cause::WebhookDenied("v.x.io".into()),
                told: "ConfigMap/n/a dry-run failed (Forbidden): admission webhook \"v.x.io\" denied the request: it is \
                       immutable",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 422,
                reason: "Invalid",
                message: "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: is immutable",
                cause: Cause::Denied,
                told: "ConfigMap/n/a dry-run failed (Invalid): configmaps \"a\" is forbidden: ValidatingAdmissionPolicy \
                       'p' with binding 'b' denied request: is immutable",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 413,
                reason: "RequestEntityTooLarge",
                message: "Request entity too large: limit is 3145728",
                cause: Cause::TooLarge,
                told: "ConfigMap/n/a dry-run failed (RequestEntityTooLarge): Request entity too large: limit is \
                       3145728; split it, or move the data elsewhere",
            },
            Case {
                id: "n_a__ConfigMap",
                code: 500,
                reason: "",
                message: "etcdserver: request is too large",
                cause: Cause::TooLarge,
                told: "ConfigMap/n/a dry-run failed: etcdserver: request is too large; split it, or move the data \
                       elsewhere",
            },
        ],
        false,
    );
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
        assert_eq!(refusal.cause, Cause::Immutable, "{message}");
        let told = refusal.to_string();
        assert!(
            told.ends_with(
                "; set spec.force, or annotate the object with kustomize.toolkit.fluxcd.io/force: enabled"
            ),
            "{told}"
        );
        assert!(!refusal.is_transient());
    }
    // Made anew, the object would be refused for its other fault, and nothing would be left.
    let cause = |message: &str| AnswerCause { message: message.into(), ..AnswerCause::default() };
    let both =
        vec![cause("Invalid value: 1: field is immutable"), cause("Invalid value: -1: must be 0 or more")];
    assert_eq!(refuse(immutable[0], both).cause, Cause::Invalid);
    assert_eq!(refuse(immutable[0], vec![cause("field is immutable")]).cause, Cause::Immutable);
}

#[test]
fn a_terminating_namespace_is_known_by_its_cause_too() {
    let cause = AnswerCause { reason: "NamespaceTerminating".into(), ..AnswerCause::default() };
    let answer = Answer { code: 403, reason: "Forbidden".into(), message: "no".into(), causes: vec![cause] };
    let refusal = Refusal::of_answer("n_a__ConfigMap".parse().unwrap(), Phase::Apply, answer);
    assert_eq!(refusal.cause, Cause::NamespaceTerminating("n".into()));
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
        // Another kind keeps the text, which helps, unless a secret was put into it.
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
            "Bar/n/a dry-run failed: no matches for kind \"Bar\" in version \"x.io/v1\"; its CustomResourceDefinition is \
             not there: add it to this build or to one that it depends on",
            true,
        ),
        (
            Refusal::namespace_not_specified(bare, Phase::DryRun),
            "Bar/a namespace not specified: Bar is a namespaced kind; set metadata.namespace, or spec.targetNamespace",
            false,
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

/// What a kube-apiserver 1.35 answered to a dry run of each of these.
#[derive(serde::Deserialize)]
struct Recorded {
    case: String,
    /// The name of the cause.
    is: String,
    id: String,
    code: u16,
    #[serde(default)]
    reason: String,
    message: String,
    #[serde(default)]
    causes: Vec<RecordedCause>,
}

#[derive(serde::Deserialize)]
struct RecordedCause {
    #[serde(default)]
    reason: String,
    message: String,
    #[serde(default)]
    field: String,
}

#[test]
fn the_answers_of_a_real_server_are_told_apart() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("answers.json")).unwrap();
    assert!(recorded.len() > 40);
    for recorded in recorded {
        let causes = recorded.causes.into_iter().map(|cause| AnswerCause {
            reason: cause.reason,
            message: cause.message,
            field: cause.field,
        });
        let answer = Answer {
            code: recorded.code,
            reason: recorded.reason,
            message: recorded.message,
            causes: causes.collect(),
        };
        let refusal = Refusal::of_answer(recorded.id.parse().unwrap(), Phase::DryRun, answer);
        let cause = format!("{:?}", refusal.cause);
        let name = cause.split(|c: char| !c.is_alphanumeric()).next().unwrap();
        assert_eq!(name, recorded.is, "{}: {refusal}", recorded.case);
        let told = refusal.to_string();
        assert!(told.len() < 1500, "{}: {} characters", recorded.case, told.len());
        let quotes_value = ["hunter2", "hunter3", "31337"].iter().any(|value| told.contains(value));
        assert!(!quotes_value || refusal.id.kind != "Secret", "{told}");
    }
}
