//! The Secret of a version.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_base::model::Timestamp;

use super::*;

pub(super) fn now() -> Timestamp {
    Timestamp::from_unix(1_796_022_804)
}

/// The JSON in a Secret.
pub(super) fn unpacked(secret: &Object) -> Vec<u8> {
    let outer = STANDARD.decode(secret.text("/data/release").unwrap()).unwrap();
    let mut json = Vec::new();
    flate2::read::GzDecoder::new(&STANDARD.decode(outer).unwrap()[..]).read_to_end(&mut json).unwrap();
    json
}

#[test]
fn a_version_is_stored_as_helm_stores_it() {
    let made = secret(
        &record(2, ReleaseStatus::PendingUpgrade, &json!({})),
        "store",
        None,
        Some("upgrade/1/3"),
        now(),
    );
    let made = made.unwrap();
    assert_eq!(made.id(), reference("store", "web", 2));
    assert_eq!(made.name(), "sh.helm.release.v1.web.v2");
    assert_eq!(made.text("/type"), Some("helm.sh/release.v1"));
    let labels = json!({"name": "web", "owner": "helm", "status": "pending-upgrade", "version": "2",
                        "createdAt": "1796022804"});
    assert_eq!(made.pointer("/metadata/labels"), Some(&labels));
    assert_eq!(made.annotation(OURS), Some("upgrade/1/3"));
    assert_eq!((version_of(&made, "web"), version_of(&made, "other")), (Some(2), None));
    let stored = made.edit(|value| value["metadata"]["resourceVersion"] = json!("7")).unwrap();
    let again = secret(&read(&stored).unwrap(), "store", Some(&stored), None, now()).unwrap();
    assert_eq!(again.text("/metadata/resourceVersion"), Some("7"));
    assert_eq!((again.annotation(OURS), again.label("createdAt")), (None, None));
    assert_eq!(again.label("modifiedAt"), Some("1796022804"));
}

#[test]
fn a_release_that_no_secret_can_hold_is_refused_with_the_sizes_of_its_parts() {
    let mut large = record(1, ReleaseStatus::PendingInstall, &json!({"a": "v"}));
    // What chance makes cannot be compressed.
    let noise: Vec<u8> =
        (0..900_000_u32).flat_map(|at| Digest::of(at.to_be_bytes()).bytes()[..1].to_vec()).collect();
    large.chart["files"] = json!([{"name": "a", "data": STANDARD.encode(noise)}]);
    let error = secret(&large, "apps", None, None, now()).unwrap_err();
    assert!(error.size() > 1024 * 1024);
    let text = error.to_string();
    assert!(text.starts_with("release apps/web.v1 takes "), "{text}");
    assert!(text.contains(" bytes of templates, 1200024 of other files, "), "{text}");
}

#[test]
fn a_secret_that_is_damaged_is_told_without_what_it_holds() {
    let sound = secret(
        &record(1, ReleaseStatus::Deployed, &json!({"password": "s3cr3t"})),
        "apps",
        None,
        None,
        now(),
    );
    let told = |data: Value| {
        let damaged = sound.clone().unwrap().edit(|value| value["data"] = data).unwrap();
        read(&damaged).unwrap_err().to_string()
    };
    let packed = |json: &str| json!({"release": STANDARD.encode(STANDARD.encode(json))});
    assert!(told(json!({})).contains("its key release is missing"));
    assert!(told(json!({"release": "%"})).contains("no Base64"));
    assert!(told(packed("\u{1f}")).contains("line 1"));
    let text = told(packed(r#"{"name": "web", "info": "s3cr3t"}"#));
    assert!(text.contains("line 1, column") && !text.contains("s3cr3t"), "{text}");
}

/// Helm 3 writes an empty text where nothing was deleted, times with a zone, and nothing of how it applies.
#[test]
fn a_release_of_helm_3_is_read() {
    let json = r#"{"name":"web","info":{"first_deployed":"2026-11-30T08:11:04.9+01:00","last_deployed":"2026-11-30T08:11:04.9+01:00","deleted":"","description":"Install complete","status":"deployed"},"chart":{"metadata":{"name":"tiny","version":"1.0.0"},"lock":null,"templates":[],"values":{"a":1.50},"schema":null,"files":null},"manifest":"","version":1,"namespace":"apps"}"#;
    let value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "apps"},
                       "data": {"release": STANDARD.encode(STANDARD.encode(json))}});
    let head = read_head(&Object::parse(value).unwrap()).unwrap();
    let seen = observed(&head, None, None);
    assert_eq!((seen.status.as_str(), seen.deleted, head.apply_method.as_str()), ("deployed", None, ""));
    assert_eq!(seen.first_deployed.to_string(), "2026-11-30T07:11:04Z");
}

#[test]
fn the_objects_of_a_version_are_read_out_of_its_documents() {
    let recorded = RecordedRelease::read("hooks").last();
    let subjects =
        |objects: Vec<Object>| objects.iter().map(|object| object.id().subject()).collect::<Vec<_>>();
    assert_eq!(
        subjects(objects(&recorded).unwrap()),
        [
            "ServiceAccount/apps/hooks",
            "Secret/apps/hooks",
            "ConfigMap/apps/hooks",
            "Service/apps/hooks",
            "Deployment/apps/hooks"
        ]
    );
    let hook = hook_object(&recorded, &recorded.hooks[0]).unwrap();
    assert_eq!(hook.id().subject(), "Job/apps/hooks-pre-install");
    let mut odd = record(1, ReleaseStatus::Deployed, &json!({}));
    odd.manifest = "---\n# Source: t/a.yaml\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n\
                    - {apiVersion: v1, kind: B, metadata: {name: b, namespace: other, annotations: {helm.sh/resource-policy: keep}}}\n---\n# only\n"
        .into();
    let read = objects(&odd).unwrap();
    assert_eq!(kept(&read).iter().map(ToString::to_string).collect::<Vec<_>>(), ["other_b__B"]);
    assert_eq!(inventory(&read).len(), 1);
    assert_eq!(subjects(read), ["A/apps/a", "B/other/b"]);
    odd.manifest = "---\n# Source: t/b.yaml\nmetadata: {name: a}\n".into();
    assert!(objects(&odd).unwrap_err().starts_with("t/b.yaml: "));
}
