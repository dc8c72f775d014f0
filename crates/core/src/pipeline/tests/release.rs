//! Scenarios of releases against a cluster in memory.

mod cuts;
mod drift;
mod faults;
mod others;
mod spec;
mod store;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::super::clock::Watch;
use super::super::*;
use super::Diary;
use super::machine::{Here, charts_read};
use crate::api::{HelmRelease, decode};
use crate::release::{ReleaseDeed, ReleaseLedger};
use crate::verdict::{ActionKind, Common, ReleaseEnd, Released};
use lockgate_base::model::{Duration as Limit, Object, Ref, Revision, Timestamp};
use lockgate_base::tree::{Snapshot, Tree};
use store::Store;

/// A chart with a ConfigMap of its values, one more where it is wished, and a hook for each event.
fn chart(version: &str) -> Snapshot {
    let hook = |event: &str| {
        let text = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {event}\n  annotations: {{helm.sh/hook: {event}}}\n"
        );
        (format!("templates/{event}.yaml"), text)
    };
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let files = [
        ("Chart.yaml".to_owned(), format!("{{apiVersion: v2, name: tiny, version: {version}}}")),
        ("values.yaml".into(), "extra: false\nmessage: none\n".into()),
        (
            "templates/a.yaml".into(),
            format!("{}data: {{message: {{{{ .Values.message | quote }}}}}}\n", map("a")),
        ),
        ("templates/b.yaml".into(), format!("{{{{ if .Values.extra }}}}{}{{{{ end }}}}", map("b"))),
        ("templates/NOTES.txt".into(), "says {{ .Values.message }}".into()),
    ];
    let events = [
        "pre-install",
        "post-install",
        "pre-upgrade",
        "post-upgrade",
        "pre-rollback",
        "pre-delete",
        "post-delete",
    ];
    Snapshot {
        revision: Revision::chart(version),
        tree: Tree::in_memory(files.into_iter().chain(events.iter().map(|event| hook(event)))),
        origin: None,
    }
}

fn release(generation: i64, spec: &Value) -> HelmRelease {
    let mut all = json!({"interval": "10m", "timeout": "1s", "chartRef": {"kind": "HelmChart", "name": "c"}});
    json_patch::merge(&mut all, spec);
    let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                        "metadata": {"name": "web", "namespace": "n", "generation": generation}, "spec": all});
    decode(&Object::parse(object).unwrap()).unwrap()
}

impl ReleaseJournal for Diary {
    async fn running(&self, _: &ReleaseLedger, deed: ReleaseDeed, _: Limit) -> Result<(), JournalError> {
        self.note(format!("running {}", deed.as_str()));
        Ok(())
    }

    fn is_there(&self, release: &Ref) -> bool {
        release.name != "gone"
    }

    fn tell(&self, news: &News) {
        Journal::tell(self, news);
    }
}

async fn run(store: &Store, release: &HelmRelease, snapshot: &Snapshot) -> ReleaseFinish {
    run_with(store, release, snapshot, None).await
}

async fn run_with(
    store: &Store,
    release: &HelmRelease,
    snapshot: &Snapshot,
    memo: Option<&ReleaseMemo>,
) -> ReleaseFinish {
    let job = ReleaseJob { memo, ..job(release, snapshot, store) };
    reconcile_release(store, store, &job, &Diary::default()).await
}

/// A run that nothing ends before its time.
fn job<'a>(release: &'a HelmRelease, snapshot: &'a Snapshot, store: &'a Store) -> ReleaseJob<'a> {
    ReleaseJob {
        release: supported(release).unwrap(),
        snapshot,
        is_artifact: false,
        made_chart: None,
        memo: None,
        thorough: false,
        entropy: [0; 32],
        told_after: Duration::from_mins(1),
        clock: &Watch,
        workers: &Here,
        documents: store,
        cancel: watch::channel(false).1,
    }
}

fn released(finish: &ReleaseFinish) -> &Released {
    match &finish.outcome {
        Outcome::Own(released) => released,
        Outcome::Common(common) => panic!("{common:?}"),
    }
}

/// Runs, and has the status say what came of it.
async fn step(store: &Store, release: &mut HelmRelease, snapshot: &Snapshot) -> (ReleaseEnd, Vec<String>) {
    let finish = run(store, release, snapshot).await;
    let Released { status, done, end, .. } = released(&finish).clone();
    release.status = status;
    let done = done.iter().map(|end| match end.kind {
        ActionKind::Deed(deed) => {
            format!("{} {}{}", deed.as_str(), end.release, if end.failure.is_some() { " failed" } else { "" })
        }
        ActionKind::Unlock(_) => format!("unlock {}", end.release),
    });
    (end, done.collect())
}

fn history(release: &HelmRelease) -> String {
    let history = release.status.history.iter();
    history.map(|seen| format!("v{} {}", seen.version, seen.status)).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_release_is_stored_first_and_its_hooks_run_around_its_objects() {
    let (store, mut release) = (Store::default(), release(1, &json!({"values": {"message": "hi"}})));
    let (end, done) = step(&store, &mut release, &chart("1.0.0")).await;
    assert_eq!((end, done), (ReleaseEnd::Ready, vec!["install n/web.v1".into()]));
    let expected = [
        "store v1 pending-install",
        "store v1 pending-install",
        "apply pre-install",
        "store v1 pending-install",
        "apply a",
        "store v1 pending-install",
        "apply post-install",
        "store v1 pending-install",
        "store v1 deployed",
    ];
    assert_eq!(store.log(), expected);
    assert_eq!(history(&release), "v1 deployed");
    let map = store.object("a").unwrap();
    assert_eq!(map.text("/data/message"), Some("hi"));
    assert_eq!(map.label("app.kubernetes.io/managed-by"), Some("Helm"));
    assert_eq!(map.label("helm.toolkit.fluxcd.io/name"), Some("web"));
    assert_eq!(map.annotation("meta.helm.sh/release-namespace"), Some("n"));
    let record = store.record(1);
    assert_eq!(
        (record.info.notes.as_str(), record.info.description.as_str()),
        ("says hi", "Install complete")
    );
    let inventory = release.status.inventory.unwrap().entries;
    assert_eq!(inventory.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["n_a__ConfigMap"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_as_it_was_is_neither_rendered_nor_written_again() {
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    let snapshot = chart("1.0.0");
    let first = run(&store, &release, &snapshot).await;
    release.status = released(&first).status.clone();
    let written = store.log().len();
    let second = run_with(&store, &release, &snapshot, first.memo.as_ref()).await;
    assert_eq!(released(&second).end, ReleaseEnd::Unchanged);
    let asked = store.capabilities_asked();
    let third = run(&store, &release, &snapshot).await;
    assert_eq!((&released(&third).end, store.log().len()), (&ReleaseEnd::Ready, written));
    assert_eq!(store.capabilities_asked(), asked, "nothing was rendered");
    // Somebody has written to the newest version.
    store.edit(1, |record| record.info.description = "mine".into());
    let fourth = run_with(&store, &release, &snapshot, third.memo.as_ref()).await;
    assert_eq!(
        released(&fourth).status.history[0].version,
        2,
        "another has changed it, so that it is made anew"
    );
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_deletes_what_it_drops_and_supersedes_the_version_before() {
    let store = Store::default();
    let mut first = release(1, &json!({"values": {"extra": true}, "maxHistory": 2}));
    step(&store, &mut first, &chart("1.0.0")).await;
    assert!(store.object("b").is_some());
    let mut second = release(2, &json!({"maxHistory": 2}));
    second.status = first.status;
    let (end, done) = step(&store, &mut second, &chart("1.0.0")).await;
    assert_eq!((end, done), (ReleaseEnd::Ready, vec!["upgrade n/web.v2".into()]));
    assert!(store.object("b").is_none());
    assert_eq!(history(&second), "v2 deployed, v1 superseded");
    let (end, done) = step(&store, &mut second, &chart("1.1.0")).await;
    assert_eq!((end, done), (ReleaseEnd::Ready, vec!["upgrade n/web.v3".into()]));
    assert_eq!(store.versions_kept(), ["v2 superseded", "v3 deployed"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_is_a_failure_that_is_remedied_as_often_as_is_said() {
    let retries = json!({"install": {"remediation": {"retries": 1, "remediateLastFailure": true}}});
    let (store, mut release) = (Store::default().ill("a"), release(1, &retries));
    let (end, done) = step(&store, &mut release, &chart("1.0.0")).await;
    assert_eq!(done, ["install n/web.v1 failed", "uninstall-remediation n/web.v1"]);
    assert_eq!(end, ReleaseEnd::Again);
    assert_eq!(store.versions_kept(), Vec::<String>::new());
    let (end, done) = step(&store, &mut release, &chart("1.0.0")).await;
    assert_eq!(done, ["install n/web.v1 failed", "uninstall-remediation n/web.v1"]);
    assert_eq!(end, ReleaseEnd::Stalled { deed: ReleaseDeed::Install, attempts: 2 });
    assert_eq!(step(&store, &mut release, &chart("1.0.0")).await.1, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_fails_is_rolled_back_to_what_was_there() {
    let store = Store::default();
    let mut first = release(1, &json!({"values": {"message": "good"}}));
    step(&store, &mut first, &chart("1.0.0")).await;
    let retries = json!({"values": {"message": "bad"}, "upgrade": {"remediation": {"retries": 1}}});
    let mut second = release(2, &retries);
    second.status = first.status;
    store.refuse("bad");
    let (end, done) = step(&store, &mut second, &chart("1.0.0")).await;
    assert_eq!(done, ["upgrade n/web.v2 failed", "rollback n/web.v3"]);
    assert_eq!(end, ReleaseEnd::Again);
    assert_eq!(store.object("a").unwrap().text("/data/message"), Some("good"));
    let (end, done) = step(&store, &mut second, &chart("1.0.0")).await;
    assert_eq!(done, ["upgrade n/web.v4 failed", "rollback n/web.v5"]);
    assert_eq!(end, ReleaseEnd::Stalled { deed: ReleaseDeed::Upgrade, attempts: 2 });
    // As helm-controller's own record has it.
    assert_eq!(history(&second), "v5 deployed, v4 failed, v3 superseded");
}

#[tokio::test(start_paused = true)]
async fn a_template_that_fails_stores_nothing_and_is_not_tried_without_a_change() {
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    let broken = Snapshot {
        tree: chart("1.0.0")
            .tree
            .with_files(vec![("templates/x.yaml".into(), b"{{ fail \"no\" }}".to_vec())]),
        ..chart("1.0.0")
    };
    let (end, done) = step(&store, &mut release, &broken).await;
    assert_eq!((end, done), (ReleaseEnd::Failed, vec!["install n/web failed".into()]));
    assert_eq!(store.log(), Vec::<String>::new());
    assert_eq!((release.status.failures, release.status.install_failures), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_helm_has_left_pending_is_unlocked_and_upgraded() {
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    step(&store, &mut release, &chart("1.0.0")).await;
    store.edit(1, |record| record.info.status = crate::release::ReleaseStatus::PendingUpgrade);
    let (end, done) = step(&store, &mut release, &chart("1.0.0")).await;
    assert_eq!(done, ["unlock n/web.v1", "upgrade n/web.v2"]);
    assert_eq!(end, ReleaseEnd::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_release_of_another_name_takes_the_place_of_the_one_before() {
    let (store, mut first) = (Store::default(), release(1, &json!({})));
    step(&store, &mut first, &chart("1.0.0")).await;
    let mut second = release(2, &json!({"releaseName": "shop"}));
    second.status = first.status;
    let (end, done) = step(&store, &mut second, &chart("1.0.0")).await;
    assert_eq!(done, ["uninstall n/web.v1", "install n/shop.v1"]);
    assert_eq!((end, history(&second).as_str()), (ReleaseEnd::Ready, "v1 deployed"));
    assert_eq!(store.versions_kept(), ["v1 deployed"]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_ends_the_action_before_its_objects() {
    let (store, mut release) = (Store::default().ill("pre-install"), release(1, &json!({})));
    let (end, done) = step(&store, &mut release, &chart("1.0.0")).await;
    assert_eq!(done, ["install n/web.v1 failed"]);
    assert_eq!(end, ReleaseEnd::Stalled { deed: ReleaseDeed::Install, attempts: 1 });
    assert!(store.object("a").is_none());
    let record = store.record(1);
    assert!(record.info.description.starts_with("Release \"web\" failed: "), "{}", record.info.description);
}

async fn removed(store: &Store, release: &HelmRelease) -> Common {
    let (_sender, cancel) = watch::channel(false);
    let run = ReleaseRun { release, told_after: Duration::from_mins(1), clock: &Watch, cancel };
    uninstall_release(Ok(store), store, Some("gone"), &run, &Diary::default()).await
}

#[tokio::test(start_paused = true)]
async fn a_release_is_uninstalled_with_its_hooks_and_its_secrets() {
    let (store, mut release) = (Store::default(), release(1, &json!({})));
    step(&store, &mut release, &chart("1.0.0")).await;
    let before = store.log().len();
    assert_eq!(removed(&store, &release).await, Common::Removed { deleted: 1, note: None });
    let expected = [
        "store v1 uninstalling",
        "store v1 uninstalling",
        "apply pre-delete",
        "store v1 uninstalling",
        "delete a",
        "store v1 uninstalling",
        "apply post-delete",
        "store v1 uninstalling",
        "delete sh.helm.release.v1.web.v1",
    ];
    assert_eq!(store.log()[before..], expected);
    // Without the account that it acts as it could never be deleted.
    store.deny();
    let expected =
        Common::Abandoned { account: "gone".into(), deleted: 0, left: vec!["ConfigMap/n/a".into()] };
    assert_eq!(removed(&store, &release).await, expected);
    // One that this HelmRelease has nothing to do with stays.
    let other = Store::default();
    step(&other, &mut release.clone(), &chart("1.0.0")).await;
    release.status = crate::api::HelmReleaseStatus::default();
    assert_eq!(removed(&other, &release).await, Common::Removed { deleted: 0, note: None });
    assert!(other.object("a").is_some());
}
