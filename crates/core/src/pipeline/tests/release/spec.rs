//! What fields of a HelmRelease do.

use super::*;

/// The chart with files beside its own.
pub(super) fn with(files: &[(&str, &str)]) -> Snapshot {
    let files: Vec<_> =
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    Snapshot { tree: chart("1.0.0").tree.with_files(files), ..chart("1.0.0") }
}

#[tokio::test]
async fn what_is_done_to_the_documents_is_stored_and_applied() {
    let store = Store::default();
    let patch = "- {op: add, path: /data/patched, value: by-us}";
    let spec = json!({
        "commonMetadata": {"labels": {"team": "shop"}, "annotations": {"owner": "me"}},
        "postRenderers": [{"kustomize": {"patches": [{"patch": patch, "target": {"kind": "ConfigMap"}}]}}],
    });
    let mut release = release(1, &spec);
    step(&store, &mut release, &chart("1.0.0")).await;
    let map = store.object("a").unwrap();
    assert_eq!((map.text("/data/patched"), map.label("team")), (Some("by-us"), Some("shop")));
    assert_eq!(map.annotation("owner"), Some("me"));
    assert!(store.record(1).manifest.contains("patched: by-us"));
    // Another one is another version.
    assert_eq!(step(&store, &mut release, &chart("1.0.0")).await.1, Vec::<String>::new());
    release.spec.common_metadata = None;
    assert_eq!(step(&store, &mut release, &chart("1.0.0")).await.1, ["upgrade n/web.v2"]);
}

#[tokio::test(start_paused = true)]
async fn definitions_and_the_namespace_come_first_and_stay() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x.io}\n";
    let snapshot = with(&[("crds/things.yaml", definition)]);
    for (install, expected) in [
        (json!({"createNamespace": true}), &["apply things.x.io", "apply n", "store v1 pending-install"][..]),
        (json!({"crds": "Skip"}), &["store v1 pending-install"]),
        (json!({"skipCRDs": true}), &["store v1 pending-install"]),
    ] {
        let (store, mut release) = (Store::default(), release(1, &json!({"install": install})));
        step(&store, &mut release, &snapshot).await;
        assert_eq!(store.log()[..expected.len()], *expected);
        release.metadata.deletion_timestamp = Some(Timestamp::from_unix(0));
        removed(&store, &release).await;
        assert!(store.object("a").is_none());
        assert_eq!(store.object("things.x.io").is_some(), expected.len() > 1);
    }
}

#[tokio::test(start_paused = true)]
async fn values_fit_the_schema_unless_that_is_not_wished() {
    let schema = r#"{"properties": {"message": {"type": "integer"}}}"#;
    let snapshot = with(&[("values.schema.json", schema)]);
    let (store, mut strict) = (Store::default(), release(1, &json!({})));
    assert_eq!(step(&store, &mut strict, &snapshot).await.0, ReleaseEnd::Failed);
    let unchecked = json!({"disableSchemaValidation": true});
    let mut loose = release(2, &json!({"install": unchecked, "upgrade": unchecked}));
    assert_eq!(step(&store, &mut loose, &snapshot).await.1, ["install n/web.v1"]);
    loose.spec.values = json!({"message": "two"}).as_object().cloned();
    assert_eq!(step(&store, &mut loose, &snapshot).await.1, ["upgrade n/web.v2"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_in_use_is_taken_again_where_that_is_wished() {
    let kept = json!({"uninstall": {"keepHistory": true}});
    let (store, mut first) = (Store::default(), release(1, &kept));
    step(&store, &mut first, &chart("1.0.0")).await;
    removed(&store, &first).await;
    assert_eq!(store.versions_kept(), ["v1 uninstalled"]);
    let mut again = release(1, &kept);
    let (end, done) = step(&store, &mut again, &chart("1.0.0")).await;
    assert_eq!((end, done), (ReleaseEnd::Failed, vec!["install n/web failed".into()]));
    let mut again = release(1, &json!({"install": {"replace": true}}));
    assert_eq!(step(&store, &mut again, &chart("1.0.0")).await.1, ["install n/web.v2"]);
    // As helm-controller's own record has it.
    assert_eq!(store.versions_kept(), ["v1 superseded", "v2 deployed"]);
}

#[tokio::test(start_paused = true)]
async fn a_release_may_live_and_be_stored_elsewhere() {
    let spec = json!({"targetNamespace": "shop", "storageNamespace": "vault"});
    let (store, mut release) = (Store::default(), release(1, &spec));
    assert_eq!(step(&store, &mut release, &chart("1.0.0")).await.1, ["install shop/shop-web.v1"]);
    assert_eq!(store.object("a").unwrap().namespace(), Some("shop"));
    let secret = store.object("sh.helm.release.v1.shop-web.v1").unwrap();
    assert_eq!(secret.namespace(), Some("vault"));
    assert_eq!(release.status.storage_namespace.as_deref(), Some("vault"));
    removed(&store, &release).await;
    assert!(store.object("a").is_none() && store.versions_kept().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_paused_is_left_as_it_is() {
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    step(&store, &mut release, &chart("1.0.0")).await;
    release.spec.suspend = true;
    let before = store.state();
    let note = Some("the release was left as it is".into());
    assert_eq!(removed(&store, &release).await, Common::Removed { deleted: 0, note });
    assert_eq!(store.state(), before);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_upgrade_has_made_goes_where_that_is_wished() {
    for (cleans_up, is_left) in [(false, true), (true, false)] {
        let store = Store::default().ill("b");
        let mut first = release(1, &json!({}));
        step(&store, &mut first, &chart("1.0.0")).await;
        let spec = json!({"values": {"extra": true}, "upgrade": {"cleanupOnFail": cleans_up}});
        let mut second = release(2, &spec);
        second.status = first.status;
        assert_eq!(step(&store, &mut second, &chart("1.0.0")).await.1, ["upgrade n/web.v2 failed"]);
        assert_eq!(store.object("b").is_some(), is_left);
        assert!(store.object("a").is_some(), "what was there stays");
    }
}

#[tokio::test(start_paused = true)]
async fn values_come_from_where_they_are_and_secrets_are_hidden() {
    let store = Store::default()
        .with("ConfigMap/base", "values.yaml", "message: from a map\nextra: true\n")
        .with("Secret/more", "token", "hunter2-hunter2");
    let from = json!([{"kind": "ConfigMap", "name": "base"},
                      {"kind": "Secret", "name": "more", "valuesKey": "token", "targetPath": "message"},
                      {"kind": "Secret", "name": "gone", "optional": true}]);
    let mut sound = release(1, &json!({"valuesFrom": from}));
    step(&store, &mut sound, &chart("1.0.0")).await;
    assert_eq!(store.object("a").unwrap().text("/data/message"), Some("hunter2-hunter2"));
    assert!(store.object("b").is_some());
    let broken = with(&[("templates/x.yaml", "{{ fail .Values.message }}")]);
    let mut release = release(2, &json!({"valuesFrom": from}));
    release.status = sound.status;
    release.spec.common_metadata = Some(crate::api::CommonMetadata::default());
    let finish = run(&store, &release, &broken).await;
    let failure = released(&finish).done[0].failure.clone().unwrap();
    assert!(!failure.contains("hunter2"), "{failure}");
    release.spec.values_from[2].optional = false;
    let finish = run(&store, &release, &chart("1.0.0")).await;
    let ReleaseEnd::Values { message } = &released(&finish).end else { panic!("{finish:?}") };
    assert!(message.ends_with("'n/gone' with key 'values.yaml': secrets \"gone\" not found"), "{message}");
}
