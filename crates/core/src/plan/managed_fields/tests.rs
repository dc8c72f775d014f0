//! Entries of kubectl, of earlier applies, and of objects whose managers were lost.

use super::*;
use crate::api::{HelmRelease, Kustomization};
use lockgate_base::keys;

const OURS: &Ownership = Kustomization::OWNERSHIP;

fn object(mut metadata: Value, spec: impl Into<Value>) -> Object {
    metadata["name"] = "a".into();
    let spec = spec.into();
    Object::parse(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}))
        .unwrap()
}

fn entry(manager: &str, operation: &str, fields: impl Into<Value>) -> Value {
    let fields = fields.into();
    json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
           "fieldsV1": fields})
}

/// The entries that taking over leaves, `wanted` being what an apply would make of the object.
fn entries_after(live: &Object, wanted: Option<&Object>) -> Option<Value> {
    let patch = take_over(live, live, wanted, OURS)?;
    let operations = patch.as_array().unwrap();
    operations.iter().find(|operation| operation["op"] == "add").map(|add| add["value"].clone())
}

#[test]
fn kubectl_is_overridden_and_controllers_are_not() {
    let cases = [
        ("kubectl-edit", "Update", "", true),
        ("kubectl", "Apply", "", true),
        ("kubectl-client-side-apply", "Update", "", true),
        ("before-first-apply", "Update", "", false),
        ("kustomize-controller", "Update", "", true),
        ("kustomize-controller-2", "Update", "", false),
        ("kustomize-controller", "Update", "scale", false),
        ("kustomize-controller", "Apply", "", false),
        ("kubectl", "Update", "scale", false),
        ("kube-controller-manager", "Update", "status", false),
        ("flux-client-side-apply", "Update", "", false),
    ];
    for (manager, operation, subresource, overridden) in cases {
        let mut entry = entry(manager, operation, json!({"f:spec": {"f:x": {}}}));
        entry["subresource"] = subresource.into();
        let live = object(json!({"managedFields": [entry]}), json!({}));
        assert_eq!(is_edited(&live, OURS), overridden, "{manager} {operation} {subresource}");
    }
    for (manager, operation, subresource, overridden) in [
        ("helm", "Apply", "", true),
        ("helm", "Update", "", true),
        ("helm", "Update", "status", false),
        ("helm-controller", "Apply", "", false),
    ] {
        let mut entry = entry(manager, operation, json!({"f:spec": {"f:x": {}}}));
        entry["subresource"] = subresource.into();
        let live = object(json!({"managedFields": [entry]}), json!({}));
        let edited = [HelmRelease::OWNERSHIP, OURS].map(|ownership| is_edited(&live, ownership));
        assert_eq!(edited, [overridden, false], "{manager} {operation} {subresource}");
    }
}

#[test]
fn what_the_control_plane_lives_by_stays_unless_git_sets_it() {
    let hold = json!({"f:finalizers": {".": {}, "v:\"a/b\"": {}}});
    let by_kubectl = |fields: &Value| entry("kubectl-edit", "Update", fields.clone());
    let kept = json!({"f:metadata": hold, "f:spec": {"f:replicas": {}}});
    let live = object(json!({"managedFields": [by_kubectl(&kept)]}), json!({"replicas": 3}));
    assert!(!is_edited(&live, OURS));
    assert_eq!(entries_after(&live, None), None);
    let ours = entry("kustomize-controller", "Apply", json!({"f:spec": {"f:replicas": {}}}));
    let live = object(json!({"managedFields": [ours.clone(), by_kubectl(&kept)]}), json!({"replicas": 3}));
    assert!(is_edited(&live, OURS));
    assert_eq!(entries_after(&live, None), Some(json!([by_kubectl(&json!({"f:metadata": hold})), ours])));
}

#[test]
fn a_port_of_a_node_goes_with_a_port_that_git_does_not_have() {
    let port = |number: u32| {
        let key = format!("k:{{\"port\":{number},\"protocol\":\"TCP\"}}");
        json!({"f:spec": {"f:ports": {key: {"f:nodePort": {}}}}})
    };
    let service = |entries: Value| {
        let metadata = json!({"name": "a", "managedFields": entries});
        Object::parse(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata})).unwrap()
    };
    let ours =
        json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}});
    let ours = entry("kustomize-controller", "Apply", ours);
    for (number, goes) in [(80, false), (8080, true)] {
        let live = service(json!([ours.clone(), entry("kubectl-edit", "Update", port(number))]));
        assert_eq!(is_edited(&live, OURS), goes, "{number}");
    }
}

/// The server names a manager of its own for all that there is in an object whose managers were lost.
#[test]
fn of_an_object_whose_managers_were_lost_only_what_git_sets_is_taken() {
    let all = json!({"f:spec": {".": {}, "f:paused": {}, "f:replicas": {}}});
    let of_git = entry("kustomize-controller", "Apply", json!({"f:spec": {"f:paused": {}}}));
    let rest = entry("before-first-apply", "Update", json!({"f:spec": {"f:replicas": {}, ".": {}}}));
    let before = entry("before-first-apply", "Update", all);
    let wanted = object(json!({"managedFields": [of_git, before]}), json!({}));
    let lost = object(json!({}), json!({"replicas": 3}));
    assert_eq!(entries_after(&lost, Some(&wanted)), Some(json!([rest, of_git])));
    // This is so if the first apply did not cover the whole object.
    assert!(is_edited(&wanted, OURS));
    assert_eq!(entries_after(&wanted, Some(&wanted)), Some(json!([rest, of_git])));
    let after = object(json!({"managedFields": [rest, of_git]}), json!({}));
    assert!(!is_edited(&after, OURS));
    assert_eq!(entries_after(&after, Some(&after)), None);
}

/// An autoscaler of an earlier version has its target elsewhere.
#[test]
fn entries_of_several_versions_become_one_of_the_version_asked_for() {
    let ours = entry("kustomize-controller", "Apply", json!({"f:spec": {"f:kept": {}, "f:gone": {}}}));
    let mut edit = entry("kubectl-edit", "Update", json!({"f:spec": {"f:moved": {}, "f:added": {}}}));
    edit["apiVersion"] = "apps/v1beta2".into();
    let live = object(json!({"managedFields": [ours, edit]}), json!({"kept": 1, "added": 1, "other": 1}));
    let merged =
        json!([entry("kustomize-controller", "Apply", json!({"f:spec": {"f:kept": {}, "f:added": {}}}))]);
    assert_eq!(entries_after(&live, None), Some(merged));
}

#[test]
fn the_fields_of_kubectl_become_ours() {
    let live = object(
        json!({"resourceVersion": "7", "managedFields": [
            entry("kustomize-controller", "Apply", json!({"f:spec": {"f:replicas": {}, "f:template": {}}})),
            entry("hpa", "Update", json!({"f:spec": {"f:x": {}}})),
            entry("kubectl-edit", "Update", json!({"f:spec": {"f:paused": {}, "f:template": {"f:a": {}}}})),
        ]}),
        json!({}),
    );
    let ours = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:a": {}, ".": {}}, "f:paused": {}}});
    assert_eq!(
        take_over(&live, &live, None, OURS).unwrap(),
        json!([
            {"op": "add", "path": "/metadata/managedFields", "value": [
                entry("hpa", "Update", json!({"f:spec": {"f:x": {}}})),
                entry("kustomize-controller", "Apply", ours),
            ]},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        ])
    );
}

#[test]
fn an_object_that_kubectl_made_is_renamed_to_ours() {
    let live = object(
        json!({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}, "managedFields": [
            entry("kubectl-client-side-apply", "Update", json!({"f:spec": {"f:template": {}}})),
            entry("kubectl-edit", "Update", json!({"f:spec": {"f:paused": {}}})),
        ]}),
        json!({}),
    );
    let ours = entry("kustomize-controller", "Apply", json!({"f:spec": {"f:template": {}, "f:paused": {}}}));
    assert_eq!(
        take_over(&live, &live, None, OURS).unwrap(),
        json!([
            {"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
            {"op": "add", "path": "/metadata/managedFields", "value": [ours]},
        ])
    );
}

#[test]
fn what_is_only_ours_is_left_alone() {
    let ours = entry("kustomize-controller", "Apply", json!({"f:spec": {}}));
    let status =
        json!({"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {}});
    let taken = |live: &Object| take_over(live, live, None, OURS);
    assert_eq!(taken(&object(json!({"managedFields": [ours, status]}), json!({}))), None);
    assert_eq!(taken(&object(json!({}), json!({}))), None);
    let managed = json!([entry("kubectl-edit", "Update", json!({"f:spec": {"f:paused": {}}}))]);
    let merge = json!({"managedFields": managed, "labels": {keys::SSA: "merge"}});
    assert_eq!(taken(&object(merge, json!({}))), None);
    assert!(taken(&object(json!({"managedFields": managed}), json!({}))).is_some());
}

#[test]
fn fields_that_git_does_not_set_are_told() {
    let containers =
        json!({"k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:tty": {}}, "k:{\"name\":\"x\"}": {}});
    let ports = json!({"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:hostPort": {}}});
    let edited = json!({
        "f:metadata": {"f:annotations": {"f:e.io/a": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}},
                       "f:finalizers": {"v:\"kept\"": {}, "v:\"added\"": {}}},
        "f:spec": {"f:paused": {}, "f:containers": containers, "f:ports": ports},
        "f:status": {"f:x": {}},
    });
    let managed =
        json!([entry("kustomize-controller", "Apply", json!({})), entry("kubectl-edit", "Update", edited)]);
    let desired = object(
        json!({"finalizers": ["kept"], "annotations": {}}),
        json!({"containers": [{"name": "web", "image": "i"}], "ports": [{"containerPort": 80}]}),
    );
    let found: Vec<String> =
        foreign_fields(&object(json!({"managedFields": managed}), json!({})), &desired, OURS)
            .iter()
            .map(ToString::to_string)
            .collect();
    assert_eq!(
        found,
        [
            "metadata.annotations[e.io/a]: set by kubectl-edit → (removed)",
            "spec.paused: set by kubectl-edit → (removed)",
            "spec.containers[name=web].tty: set by kubectl-edit → (removed)",
            "spec.containers[name=x]: set by kubectl-edit → (removed)",
            "spec.ports[containerPort=80,protocol=TCP].hostPort: set by kubectl-edit → (removed)",
        ]
    );
}

/// The server's defaults are owned by the creator of the object, so only fields without defaults are
/// reported.
#[test]
fn what_another_tool_has_left_is_told_on_adoption() {
    let helm = entry(
        "helm",
        "Update",
        json!({"f:metadata": {"f:labels": {"f:team": {}, "f:helm.sh/chart": {}}, "f:annotations": {"f:note": {}}},
               "f:spec": {"f:strategy": {"f:type": {}}, "f:template": {"f:spec": {"f:containers": {
                   "k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:imagePullPolicy": {},
                       "f:env": {".": {}, "k:{\"name\":\"OLD\"}": {".": {}}}},
                   "k:{\"name\":\"sidecar\"}": {".": {}, "f:image": {}}}}}}}),
    );
    let desired = object(
        json!({"labels": {"team": "a"}}),
        json!({"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}),
    );
    let left = |entries: Value| {
        let live = object(json!({"managedFields": entries}), json!({}));
        let left = left_by_others(&live, &desired, OURS);
        left.iter().map(|drift| drift.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        left(json!([helm])),
        [
            "metadata.labels[helm.sh/chart]",
            "metadata.annotations",
            "spec.template.spec.containers[name=c].env",
            "spec.template.spec.containers[name=sidecar]",
        ]
    );
    let ours = entry(OURS.manager, "Apply", json!({"f:spec": {}}));
    assert_eq!(left(json!([helm, ours])), [""; 0], "it was told before");
    let binder =
        entry("kube-controller-manager", "Update", json!({"f:metadata": {"f:annotations": {"f:a": {}}}}));
    assert_eq!(left(json!([binder])), [""; 0], "a controller sets what is its own");
}
