//! What goes wrong while a release is acted on, and what people are told of it.

use super::spec::with;
use super::*;
use crate::plan::Cause;

/// Installs, and asks for an upgrade that brings one object more.
async fn upgrading(store: Store, upgrade: Value) -> (Store, HelmRelease) {
    let mut first = release(1, &json!({"values": {"message": "one"}}));
    assert_eq!(step(&store, &mut first, &chart("1.0.0")).await.0, ReleaseEnd::Ready);
    let mut second = release(2, &json!({"values": {"message": "two", "extra": true}, "upgrade": upgrade}));
    second.status = first.status;
    (store, second)
}

/// The cause of the last failure.
async fn failure(store: &Store, release: &mut HelmRelease, snapshot: &Snapshot) -> String {
    let finish = run(store, release, snapshot).await;
    let Released { status, done, .. } = released(&finish).clone();
    release.status = status;
    done.into_iter().rev().find_map(|end| end.failure).unwrap()
}

/// F17: health that never comes is told with its object and its cause, and newer work ends the wait.
#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_says_what_for() {
    let (store, mut release) = upgrading(Store::default().ill("b"), json!({})).await;
    let told = failure(&store, &mut release, &chart("1.0.0")).await;
    assert!(told.starts_with("timeout waiting for: [ConfigMap/n/b status: 'InProgress']"), "{told}");
    let (store, release) = upgrading(Store::default().ill("b"), json!({"timeout": "1h"})).await;
    let (sender, cancel) = watch::channel(false);
    let snapshot = chart("1.0.0");
    let job = ReleaseJob { cancel, ..job(&release, &snapshot, &store) };
    sender.send_replace(true);
    let finish = reconcile_release(&store, &store, &job, &Diary::default()).await;
    assert_eq!(released(&finish).end, ReleaseEnd::Cancelled);
    assert_eq!(store.versions_kept(), ["v1 deployed", "v2 pending-upgrade"]);
}

/// A hook that hangs, fails, cannot get its image, or is deleted by hand.
#[tokio::test(start_paused = true)]
async fn a_hook_that_does_not_end_well_is_told_with_its_cause() {
    let image = "container main: ImagePullBackOff";
    let cases = [
        (
            Store::default().ill("pre-upgrade"),
            "timeout waiting for: [Job/n/pre-upgrade status: 'InProgress']",
        ),
        (Store::default().ill("pre-upgrade").because(image), image),
        (
            Store::default().stalled("pre-upgrade"),
            "failed early due to stalled resources: [Job/n/pre-upgrade",
        ),
    ];
    for (store, expected) in cases {
        let (store, mut release) = upgrading(store, json!({"timeout": "1m"})).await;
        let told = failure(&store, &mut release, &chart("1.0.0")).await;
        assert!(told.contains(expected), "{told}");
        assert_eq!(
            store.object("a").unwrap().text("/data/message"),
            Some("one"),
            "nothing of it was applied"
        );
        assert_eq!(store.versions_kept(), ["v1 deployed", "v2 failed"]);
    }
}

/// I32, I33, I31, a namespace on its way out: what the server refuses in its dry run leaves all as it was.
#[tokio::test(start_paused = true)]
async fn what_is_refused_at_first_leaves_the_objects_as_they_are() {
    let terminating = Cause::NamespaceTerminating { namespace: "n".into(), state: String::new() };
    let cases = [
        (Cause::WebhookDenied("guard.example".into()), ": no"),
        (Cause::WebhookWithoutDryRun("guard.example".into()), "sideEffects"),
        (Cause::Immutable { loss: None }, "set spec.force"),
        (terminating, "namespace"),
    ];
    for (cause, expected) in cases {
        let (store, mut release) = upgrading(Store::default(), json!({})).await;
        store.refuse_by("b", cause.clone(), false);
        let told = failure(&store, &mut release, &chart("1.0.0")).await;
        assert!(told.contains(expected) && told.contains("ConfigMap/n/b"), "{cause:?}: {told}");
        assert_eq!(store.object("a").unwrap().text("/data/message"), Some("one"), "{cause:?}");
        assert_eq!(store.versions_kept(), ["v1 deployed", "v2 failed"], "{cause:?}");
    }
}

/// I32: a webhook that lets the dry run pass and refuses the write of one object, half-way. The upgrade is
/// rolled back, or tried again, as is said.
#[tokio::test(start_paused = true)]
async fn what_is_refused_half_way_is_remedied() {
    let remedied = json!({"remediation": {"retries": 1}});
    let (store, mut release) = upgrading(Store::default(), remedied).await;
    store.refuse_by("b", Cause::WebhookDenied("guard.example".into()), true);
    let (end, done) = step(&store, &mut release, &chart("1.0.0")).await;
    assert_eq!(done, ["upgrade n/web.v2 failed", "rollback n/web.v3"]);
    assert_eq!(end, ReleaseEnd::Again);
    assert_eq!(store.object("a").unwrap().text("/data/message"), Some("one"));
    let (store, mut release) =
        upgrading(Store::default(), json!({"strategy": {"name": "RetryOnFailure"}})).await;
    store.refuse_by("b", Cause::WebhookDenied("guard.example".into()), true);
    assert!(matches!(step(&store, &mut release, &chart("1.0.0")).await.0, ReleaseEnd::Retry(_)));
    store.allow();
    assert_eq!(step(&store, &mut release, &chart("1.0.0")).await.1, ["upgrade n/web.v3"]);
    assert!(store.object("b").is_some());
}

/// I34: a finalizer that nobody takes off holds an object of a release that is uninstalled.
#[tokio::test(start_paused = true)]
async fn an_uninstall_says_what_holds_it_and_is_tried_again() {
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    step(&store, &mut release, &chart("1.0.0")).await;
    store.stick("a");
    let Common::RemovalFailed { failures } = removed(&store, &release).await else { panic!("it is gone") };
    assert_eq!(failures, ["still being deleted after the timeout: ConfigMap/n/a"]);
    assert_eq!(store.versions_kept(), ["v1 uninstalling"]);
    store.allow();
    assert!(matches!(removed(&store, &release).await, Common::Removed { .. }));
    assert_eq!(store.versions_kept(), Vec::<String>::new());
}

/// What is stored was damaged: it is told by its name, and nothing is written over it.
#[tokio::test(start_paused = true)]
async fn a_damaged_secret_is_named_and_left() {
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    step(&store, &mut release, &chart("1.0.0")).await;
    store.replace("sh.helm.release.v1.web.v1", |value| value["data"]["release"] = "SDRzSUFBQUE=".into());
    let before = store.log();
    let (end, done) = step(&store, &mut release, &chart("1.0.0")).await;
    let ReleaseEnd::State { message } = end else { panic!("{end:?}") };
    assert!(message.starts_with("Secret/n/sh.helm.release.v1.web.v1 holds no release: "), "{message}");
    assert_eq!((done, store.log()), (vec![], before));
}

/// A definition stays when the chart drops it: what it defines would go with it.
#[tokio::test(start_paused = true)]
async fn a_definition_that_a_chart_drops_stays() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x.io}\n";
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    step(&store, &mut release, &with(&[("crds/things.yaml", definition)])).await;
    assert_eq!(step(&store, &mut release, &chart("2.0.0")).await.1, ["upgrade n/web.v2"]);
    assert!(store.object("things.x.io").is_some());
}

/// Another chart by another name takes the place of the one before, or is upgraded to where that is wished.
#[tokio::test(start_paused = true)]
async fn a_chart_of_another_name_is_installed_anew_or_upgraded_to() {
    let renamed = Snapshot {
        tree: chart("1.0.0").tree.with_files(vec![(
            "Chart.yaml".into(),
            b"{apiVersion: v2, name: other, version: 1.0.0}".to_vec(),
        )]),
        ..chart("1.0.0")
    };
    let cases = [
        (json!({}), vec!["uninstall n/web.v1", "install n/web.v1"]),
        (json!({"chartNameChangeStrategy": "InPlaceUpdate"}), vec!["upgrade n/web.v2"]),
    ];
    for (upgrade, expected) in cases {
        let (store, mut release) = (Store::default(), release(1, &json!({"upgrade": upgrade})));
        step(&store, &mut release, &chart("1.0.0")).await;
        assert_eq!(step(&store, &mut release, &renamed).await.1, expected);
        assert!(store.object("a").is_some());
    }
}

/// A Secret with values that vanishes leaves the release as it is, until it is back.
#[tokio::test(start_paused = true)]
async fn values_that_vanish_leave_the_release_as_it_is() {
    let from = json!({"valuesFrom": [{"kind": "Secret", "name": "more"}]});
    let store = Store::default().with("Secret/more", "values.yaml", "message: from a secret\n");
    let mut release = release(1, &from);
    step(&store, &mut release, &chart("1.0.0")).await;
    let gone = store.without_data("Secret/more");
    let before = gone.state();
    let (end, done) = step(&gone, &mut release, &chart("1.1.0")).await;
    let ReleaseEnd::Values { message } = end else { panic!("{end:?}") };
    assert!(message.contains("'n/more'") && message.contains("not found"), "{message}");
    assert_eq!((done, gone.state()), (vec![], before));
    let back = gone.with("Secret/more", "values.yaml", "message: from a secret\n");
    assert_eq!(step(&back, &mut release, &chart("1.1.0")).await.1, ["upgrade n/web.v2"]);
}

/// I19: a definition that the server refuses stops the release before anything of it is written.
#[tokio::test(start_paused = true)]
async fn a_definition_that_is_refused_stops_the_release_at_first() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x.io}\n";
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    store.refuse_by("things.x.io", Cause::Invalid, false);
    let told = failure(&store, &mut release, &with(&[("crds/things.yaml", definition)])).await;
    assert!(told.starts_with("CustomResourceDefinition/") && told.contains("things.x.io"), "{told}");
    assert_eq!(store.log(), Vec::<String>::new());
}
