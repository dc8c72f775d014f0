//! Objects of a release that others have changed.

use super::*;
use crate::verdict::{DriftEnd, DriftFound};

/// A release that looks for drift, and has two objects.
async fn installed(detection: Value) -> (Store, HelmRelease) {
    let spec = json!({"driftDetection": detection, "values": {"extra": true, "message": "mine"}});
    let (store, mut release) = (Store::default(), release(1, &spec));
    assert_eq!(step(&store, &mut release, &chart("1.0.0")).await.0, ReleaseEnd::Ready);
    (store, release)
}

/// What a run finds.
async fn found(store: &Store, release: &HelmRelease) -> (ReleaseEnd, DriftEnd) {
    let finish = run(store, release, &chart("1.0.0")).await;
    let Released { end, drift, .. } = released(&finish).clone();
    (end, drift)
}

fn change(store: &Store) {
    store.replace("a", |value| value["data"]["message"] = "yours".into());
    store.lose("b");
}

const LINES: [&str; 2] =
    ["ConfigMap/n/a changed (0 additions, 1 changes, 0 removals)", "ConfigMap/n/b removed"];

#[tokio::test]
async fn a_field_that_others_have_changed_is_told_and_put_back() {
    for (mode, is_put_back) in [("enabled", true), ("warn", false)] {
        let (store, release) = installed(json!({"mode": mode})).await;
        let none = DriftFound { release: "n/web.v1".into(), ..DriftFound::default() };
        assert_eq!(found(&store, &release).await, (ReleaseEnd::Ready, DriftEnd::Looked(none)), "{mode}");
        change(&store);
        let (end, drift) = found(&store, &release).await;
        let DriftEnd::Looked(drift) = drift else { panic!("{drift:?}") };
        assert_eq!(
            (end, drift.lines.as_slice()),
            (ReleaseEnd::Ready, LINES.map(String::from).as_slice()),
            "{mode}"
        );
        assert_eq!(
            (drift.stays(), drift.changes.len()),
            (!is_put_back, if is_put_back { 2 } else { 0 }),
            "{mode}"
        );
        assert_eq!(store.object("b").is_some(), is_put_back, "{mode}");
        let message = if is_put_back { "mine" } else { "yours" };
        assert_eq!(store.object("a").unwrap().text("/data/message"), Some(message), "{mode}");
        assert_eq!(store.versions_kept(), ["v1 deployed"], "{mode}: it is no new version");
    }
    for detection in [json!({}), json!({"mode": "disabled"})] {
        let (store, release) = installed(detection).await;
        change(&store);
        assert_eq!(found(&store, &release).await, (ReleaseEnd::Ready, DriftEnd::NotAsked));
        assert!(store.object("b").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn fields_that_are_ignored_stay_as_they_are() {
    let ignore = json!([{"paths": ["/data/message"], "target": {"kind": "ConfigMap", "name": "a"}}]);
    let (store, release) = installed(json!({"mode": "enabled", "ignore": ignore})).await;
    change(&store);
    let (_, drift) = found(&store, &release).await;
    let DriftEnd::Looked(drift) = drift else { panic!("{drift:?}") };
    assert_eq!(drift.lines, [LINES[1]]);
    assert_eq!(store.object("a").unwrap().text("/data/message"), Some("yours"));
    assert!(store.object("b").is_some());
    let mut wrong = release;
    wrong.spec.drift_detection =
        serde_json::from_value(json!({"mode": "warn", "ignore": [{"paths": ["data"]}]})).unwrap();
    let (end, _) = found(&store, &wrong).await;
    let ReleaseEnd::State { message } = end else { panic!("{end:?}") };
    assert!(
        message.starts_with("spec.driftDetection.ignore[0].paths: 'data' is no JSON pointer"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_and_tried_again() {
    let (store, release) = installed(json!({"mode": "enabled"})).await;
    change(&store);
    store.refuse("mine");
    let (end, drift) = found(&store, &release).await;
    let ReleaseEnd::Drifted { message } = end else { panic!("{end:?}") };
    assert!(
        message.starts_with("release n/web.v1 has drifted and is not put back: ConfigMap/n/a"),
        "{message}"
    );
    assert!(matches!(drift, DriftEnd::Looked(DriftFound { corrected: Some(Err(_)), .. })));
    assert_eq!(store.versions_kept(), ["v1 deployed"]);
}
