//! Releases that others act on as well, and charts that cannot be released.

use super::spec::with;
use super::*;
use lockgate_base::model::Digest;

#[tokio::test(start_paused = true)]
async fn a_release_that_was_uninstalled_by_hand_is_installed_anew() {
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    step(&store, &mut release, &chart("1.0.0")).await;
    step(&store, &mut release, &chart("1.1.0")).await;
    for name in ["a", "sh.helm.release.v1.web.v1", "sh.helm.release.v1.web.v2"] {
        store.lose(name);
    }
    let (end, done) = step(&store, &mut release, &chart("1.1.0")).await;
    assert_eq!((end, done), (ReleaseEnd::Ready, vec!["install n/web.v1".into()]));
    // What was known of the versions before would be taken for later ones.
    assert_eq!(history(&release), "v1 deployed");
    assert_eq!(step(&store, &mut release, &chart("1.1.0")).await, (ReleaseEnd::Ready, vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_helm_itself_has_applied_goes_with_its_release_and_what_another_owns_stays() {
    let extra = json!({"values": {"extra": true}});
    let plain = |store: &Store| {
        store.replace("b", |value| {
            let labels = value["metadata"]["labels"].as_object_mut().unwrap();
            labels.retain(|label, _| !label.starts_with("helm.toolkit.fluxcd.io/"));
        });
    };
    let of_other = |store: &Store| {
        plain(store);
        store.replace("b", |value| {
            value["metadata"]["annotations"]["meta.helm.sh/release-name"] = "shop".into();
        });
    };
    let bare = |store: &Store| {
        plain(store);
        store.replace("b", |value| value["metadata"]["annotations"] = json!({}));
    };
    let edits: [(&str, &dyn Fn(&Store), bool); 3] =
        [("helm's own", &plain, false), ("another release's", &of_other, true), ("nobody's", &bare, true)];
    for (what, edit, stays) in edits {
        let (store, mut first) = (Store::default(), release(1, &extra));
        step(&store, &mut first, &chart("1.0.0")).await;
        edit(&store);
        let mut second = release(2, &json!({}));
        second.status = first.status.clone();
        step(&store, &mut second, &chart("1.0.0")).await;
        assert_eq!(store.object("b").is_some(), stays, "{what}: an upgrade drops it");

        let (store, mut first) = (Store::default(), release(1, &extra));
        step(&store, &mut first, &chart("1.0.0")).await;
        edit(&store);
        removed(&store, &first).await;
        assert_eq!(store.object("b").is_some(), stays, "{what}: the release is uninstalled");
    }
}

#[tokio::test(start_paused = true)]
async fn two_of_one_release_name_do_not_upgrade_it_in_turns() {
    let (store, mut first) = (Store::default(), release(1, &json!({})));
    step(&store, &mut first, &chart("1.0.0")).await;
    let mut second = release(1, &json!({"releaseName": "web"}));
    second.metadata.name = "other".into();
    let before = store.state();
    let (end, done) = step(&store, &mut second, &chart("1.0.0")).await;
    let ReleaseEnd::State { message } = end else { panic!("{end:?}") };
    assert!(message.contains("release n/web belongs to HelmRelease/n/web"), "{message}");
    assert_eq!((done, store.state()), (vec![], before.clone()));
    // Nor does the one take the release of the other along.
    second.status = first.status.clone();
    assert_eq!(removed(&store, &second).await, Common::Removed { deleted: 0, note: None });
    assert_eq!(store.state(), before);
    // One that has gone has left it to the next.
    let mut before = release(1, &json!({"releaseName": "web"}));
    before.metadata.name = "gone".into();
    let store = Store::default();
    step(&store, &mut before, &chart("1.0.0")).await;
    let mut next = release(1, &json!({}));
    assert_eq!(step(&store, &mut next, &chart("1.0.0")).await.1, ["upgrade n/web.v2"]);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_no_secret_can_hold_is_refused_before_anything_is_written() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x.io}\n";
    // Hex digits of hashes: half of them is left when they are compressed.
    let noise = (0..50_000_u32).map(|at| Digest::of(at.to_le_bytes()).to_string()).collect::<String>();
    let snapshot = with(&[("crds/things.yaml", definition), ("files/noise", &noise)]);
    let (store, mut release) = (Store::default(), release(1, &json!({"install": {"createNamespace": true}})));
    let finish = run(&store, &release, &snapshot).await;
    assert_eq!(store.log(), Vec::<String>::new());
    let Released { done, end, status, .. } = released(&finish).clone();
    assert_eq!(end, ReleaseEnd::Failed);
    let failure = done[0].failure.clone().unwrap();
    assert!(failure.contains("bytes as a Secret") && failure.contains("of other files"), "{failure}");
    // One that fits is released, though it takes more than the limit as it is sent.
    release.status = status;
    let fits = &noise[..noise.len() / 10 * 3];
    let snapshot = with(&[("files/noise", fits)]);
    assert_eq!(step(&store, &mut release, &snapshot).await.1, ["install n/web.v1"]);
    let secret = store.object("sh.helm.release.v1.web.v1").unwrap();
    let sent = secret.text("/data/release").unwrap().len();
    assert!((1024 * 1024..1024 * 1024 / 3 * 4).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_refers_elsewhere_is_held_to_what_stands_there() {
    let schema = r#"{"$ref": "https://schemas.example/message.json"}"#;
    let snapshot = with(&[("values.schema.json", schema)]);
    let document = r#"{"properties": {"message": {"type": "integer"}}}"#;
    let store = Store::default().with("Document", "https://schemas.example/message.json", document);
    let mut strict = release(1, &json!({}));
    let finish = run(&store, &strict, &snapshot).await;
    let failure = released(&finish).done[0].failure.clone().unwrap();
    assert!(failure.contains("at '/message': got string, want integer"), "{failure}");
    strict.spec.values = json!({"message": 1}).as_object().cloned();
    assert_eq!(step(&store, &mut strict, &snapshot).await.1, ["install n/web.v1"]);
    // A document that is not to be had allows everything.
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    assert_eq!(step(&store, &mut release, &snapshot).await.1, ["install n/web.v1"]);
}

#[tokio::test(start_paused = true)]
async fn a_chart_is_read_once_for_all_its_releases() {
    let before = charts_read();
    for at in 0..100 {
        let (store, mut release) =
            (Store::default(), release(1, &json!({"values": {"message": at.to_string()}})));
        assert_eq!(step(&store, &mut release, &chart("7.0.0")).await.0, ReleaseEnd::Ready);
        let message = at.to_string();
        assert_eq!(store.object("a").unwrap().text("/data/message"), Some(&*message));
    }
    assert_eq!(charts_read() - before, 1);
}
