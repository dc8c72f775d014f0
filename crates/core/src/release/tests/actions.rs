//! Tables: how a release stands, what is done next, and by which acts.

use std::time::Duration;

use super::*;

fn release(spec: &Value, status: &HelmReleaseStatus) -> HelmRelease {
    let mut all = json!({"interval": "10m", "chartRef": {"kind": "HelmChart", "name": "c"}});
    json_patch::merge(&mut all, spec);
    let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                        "metadata": {"name": "web", "namespace": "apps", "generation": 3}, "spec": all});
    let mut release: HelmRelease = decode(&Object::parse(object).unwrap()).unwrap();
    release.status = status.clone();
    release
}

/// A status that has observed versions, the newest last.
fn status_of(versions: &[&Record]) -> HelmReleaseStatus {
    let mut ledger = ReleaseLedger::new(HelmReleaseStatus::default());
    for version in versions {
        ledger.observe(&version.head(), Some(ReleaseDeed::Install), None);
    }
    HelmReleaseStatus { storage_namespace: Some("apps".into()), ..ledger.status().clone() }
}

#[test]
fn how_a_release_stands_follows_from_what_is_stored_and_observed() {
    let wanted = json!({"a": 1});
    let found = |last: &Record, status: &HelmReleaseStatus, begun: Option<&str>| {
        let begun = begun.map(|text| ActionProgress::read(text).unwrap());
        state(Some(&last.head()), begun, (3, status), &want())
    };
    let none = HelmReleaseStatus::default();
    assert_eq!(state(None, None, (3, &none), &want()), ReleaseState::Absent);
    let deployed = record(1, ReleaseStatus::Deployed, &wanted);
    let status = status_of(&[&deployed]);
    assert_eq!(found(&deployed, &status, None), ReleaseState::InSync);
    assert!(matches!(found(&deployed, &none, None), ReleaseState::Unmanaged(_)));
    let other = record(1, ReleaseStatus::Deployed, &json!({"a": 2}));
    assert_eq!(found(&other, &status_of(&[&other]), None), ReleaseState::OutOfSync("values changed".into()));
    // Somebody has edited the Secret, or has made a version of their own.
    assert!(matches!(found(&other, &status, None), ReleaseState::Unmanaged(_)));
    assert!(matches!(
        found(&record(2, ReleaseStatus::Deployed, &wanted), &status, None),
        ReleaseState::Unmanaged(_)
    ));
    let failed = record(1, ReleaseStatus::Failed, &wanted);
    assert_eq!(found(&failed, &status_of(&[&failed]), None), ReleaseState::Failed);
    assert_eq!(found(&record(1, ReleaseStatus::Uninstalled, &wanted), &status, None), ReleaseState::Absent);
    assert_eq!(found(&record(1, ReleaseStatus::Uninstalled, &wanted), &none, None), ReleaseState::Absent);
    let superseded = record(1, ReleaseStatus::Superseded, &wanted);
    assert_eq!(
        found(&superseded, &status_of(&[&superseded]), None),
        ReleaseState::Unknown(ReleaseStatus::Superseded)
    );
    let post_rendered = HelmReleaseStatus { observed_post_renderers_digest: Some("x".into()), ..status };
    assert_eq!(
        found(&deployed, &post_rendered, None),
        ReleaseState::OutOfSync("postRenderers changed".into())
    );
}

#[test]
fn what_was_cut_off_is_gone_on_with_where_it_is_ours_and_still_wanted() {
    let none = HelmReleaseStatus::default();
    let found = |stored: ReleaseStatus, values: Value, begun: Option<&str>| {
        let begun = begun.and_then(ActionProgress::read);
        state(Some(&record(2, stored, &values).head()), begun, (3, &none), &want())
    };
    let ours = |deed, generation| ReleaseState::Interrupted(ActionProgress { deed, acts: 2, generation });
    let (pending, wanted) = (ReleaseStatus::PendingUpgrade, json!({"a": 1}));
    assert_eq!(found(pending, wanted.clone(), Some("upgrade/2/3")), ours(ReleaseDeed::Upgrade, 3));
    assert_eq!(found(pending, wanted.clone(), None), ReleaseState::Locked(pending));
    assert_eq!(found(pending, wanted.clone(), Some("upgrade/2/2")), ReleaseState::Locked(pending));
    assert_eq!(found(pending, json!({"a": 2}), Some("upgrade/2/3")), ReleaseState::Locked(pending));
    // What is brought back, or taken away, does not depend on what is wanted now.
    let back = ReleaseStatus::PendingRollback;
    assert_eq!(found(back, json!({"a": 2}), Some("rollback/2/2")), ours(ReleaseDeed::Rollback, 2));
    let leaves = ReleaseStatus::Uninstalling;
    assert_eq!(found(leaves, json!({}), Some("uninstall/2/2")), ours(ReleaseDeed::Uninstall, 2));
    assert_eq!(found(leaves, json!({}), None), ReleaseState::Locked(leaves));
}

#[test]
fn progress_reads_back_as_it_is_written() {
    for deed in [
        ReleaseDeed::Install,
        ReleaseDeed::Upgrade,
        ReleaseDeed::Rollback,
        ReleaseDeed::Uninstall,
        ReleaseDeed::UninstallRemediation,
    ] {
        let progress = ActionProgress { deed, acts: 4, generation: 7 };
        assert_eq!(ActionProgress::read(&progress.to_string()), Some(progress));
    }
    for text in ["", "install", "install/x/1", "install/1", "install/1/1/1", "dance/1/1"] {
        assert_eq!(ActionProgress::read(text), None, "{text}");
    }
}

#[test]
fn another_release_than_the_one_that_is_there_takes_its_place() {
    let status = status_of(&[&record(1, ReleaseStatus::Deployed, &json!({}))]);
    let moved = |spec: Value, want: WantedRelease| is_moved(&release(&spec, &status), &want);
    assert_eq!(moved(json!({}), want()), None);
    assert_eq!(
        moved(json!({}), WantedRelease { name: "shop".into(), ..want() }),
        Some("release name changed from 'web' to 'shop'".into())
    );
    assert!(moved(json!({}), WantedRelease { namespace: "shop".into(), ..want() }).is_some());
    assert!(moved(json!({}), WantedRelease { storage: "shop".into(), ..want() }).is_some());
    let renamed = || WantedRelease {
        chart: ChartHead { metadata: json!({"name": "huge", "version": "1.0.0"}) },
        ..want()
    };
    assert!(moved(json!({}), renamed()).is_some());
    assert_eq!(moved(json!({"upgrade": {"chartNameChangeStrategy": "InPlaceUpdate"}}), renamed()), None);
    assert_eq!(is_moved(&release(&json!({}), &HelmReleaseStatus::default()), &renamed()), None);
}

/// A status after an action that failed so many times.
fn after(deed: ReleaseDeed, failures: i64) -> ReleaseLedger {
    let mut ledger = ReleaseLedger::new(HelmReleaseStatus {
        last_attempted_release_action: Some(deed.as_str().into()),
        ..HelmReleaseStatus::default()
    });
    (0..failures).for_each(|_| ledger.failed(deed));
    ledger
}

#[test]
fn what_is_done_next_follows_from_the_state_and_the_spec() {
    let remediated = |action: &str, retries: i64| json!({action: {"remediation": {"retries": retries}}});
    let retried = json!({"upgrade": {"strategy": {"name": "RetryOnFailure", "retryInterval": "2m"}},
                         "install": {"strategy": {"name": "RetryOnFailure"}}});
    let no_last = json!({"upgrade": {"remediation": {"retries": 1, "remediateLastFailure": false}}});
    let uninstalls = json!({"upgrade": {"remediation": {"retries": 1, "strategy": "uninstall"}}});
    let (plain, calm) = (json!({}), ReleaseRequests::default());
    let force = ReleaseRequests { force: true, ..calm };
    let tried = ReleaseRequests { has_tried: true, ..calm };
    let stall = |deed, attempts| ReleaseAction::Stall { deed, attempts };
    let back = ReleaseAction::Remedy(RemedyStep::Rollback { to: 1 });
    let away = ReleaseAction::Remedy(RemedyStep::Uninstall);
    let changed = || ReleaseState::OutOfSync("values changed".into());
    let none = ReleaseLedger::new(HelmReleaseStatus::default());
    let install = |failures| after(ReleaseDeed::Install, failures);
    let upgrade = |failures| after(ReleaseDeed::Upgrade, failures);
    for (state, spec, ledger, requests, expected) in [
        (ReleaseState::InSync, &plain, &none, calm, ReleaseAction::Nothing),
        (ReleaseState::InSync, &plain, &none, force, ReleaseAction::Upgrade),
        (ReleaseState::Absent, &plain, &none, calm, ReleaseAction::Install),
        (ReleaseState::Absent, &plain, &install(1), calm, stall(ReleaseDeed::Install, 1)),
        (ReleaseState::Absent, &plain, &install(1), force, ReleaseAction::Install),
        (ReleaseState::Absent, &remediated("install", 1), &install(1), calm, ReleaseAction::Install),
        (ReleaseState::Absent, &remediated("install", 1), &install(2), calm, stall(ReleaseDeed::Install, 2)),
        (ReleaseState::Absent, &remediated("install", -1), &install(9), calm, ReleaseAction::Install),
        (
            ReleaseState::Locked(ReleaseStatus::PendingInstall),
            &plain,
            &none,
            calm,
            ReleaseAction::Unlock(ReleaseStatus::PendingInstall),
        ),
        (ReleaseState::Unmanaged(String::new()), &plain, &none, calm, ReleaseAction::Upgrade),
        (changed(), &plain, &none, calm, ReleaseAction::Upgrade),
        (changed(), &plain, &upgrade(1), calm, stall(ReleaseDeed::Upgrade, 1)),
        (changed(), &remediated("upgrade", 2), &upgrade(2), calm, ReleaseAction::Upgrade),
        (ReleaseState::Failed, &plain, &none, calm, ReleaseAction::Upgrade),
        (ReleaseState::Failed, &plain, &install(0), calm, ReleaseAction::Upgrade),
        (ReleaseState::Failed, &plain, &install(1), calm, stall(ReleaseDeed::Install, 1)),
        (ReleaseState::Failed, &plain, &install(1), force, ReleaseAction::Upgrade),
        (ReleaseState::Failed, &remediated("install", 1), &install(1), calm, away.clone()),
        (ReleaseState::Failed, &remediated("install", 1), &install(2), calm, stall(ReleaseDeed::Install, 2)),
        (ReleaseState::Failed, &plain, &upgrade(1), calm, stall(ReleaseDeed::Upgrade, 1)),
        (ReleaseState::Failed, &remediated("upgrade", 1), &upgrade(1), calm, back.clone()),
        (ReleaseState::Failed, &remediated("upgrade", 1), &upgrade(2), calm, back),
        (ReleaseState::Failed, &no_last, &upgrade(2), calm, stall(ReleaseDeed::Upgrade, 2)),
        (ReleaseState::Failed, &uninstalls, &upgrade(1), calm, away),
        (ReleaseState::Failed, &retried, &upgrade(7), calm, ReleaseAction::Upgrade),
        (ReleaseState::Failed, &retried, &upgrade(7), tried, ReleaseAction::After(Duration::from_secs(120))),
        (ReleaseState::Failed, &retried, &install(7), tried, ReleaseAction::After(Duration::from_secs(300))),
        (
            ReleaseState::Unknown(ReleaseStatus::Superseded),
            &plain,
            &none,
            calm,
            ReleaseAction::Stuck(ReleaseStatus::Superseded),
        ),
    ] {
        let of = release(spec, &HelmReleaseStatus::default()).spec;
        let what = format!("{state:?} {spec} {:?} {requests:?}", ledger.status());
        assert_eq!(next(&state, &of, ledger, requests, Some(1)), expected, "{what}");
    }
}

#[test]
fn without_a_version_to_roll_back_to_it_is_upgraded_as_often_as_it_may_be() {
    let spec =
        release(&json!({"upgrade": {"remediation": {"retries": 1}}}), &HelmReleaseStatus::default()).spec;
    let next = |failures| {
        next(
            &ReleaseState::Failed,
            &spec,
            &after(ReleaseDeed::Upgrade, failures),
            ReleaseRequests::default(),
            None,
        )
    };
    assert_eq!(next(1), ReleaseAction::Upgrade);
    assert_eq!(next(2), ReleaseAction::Stall { deed: ReleaseDeed::Upgrade, attempts: 2 });
}

#[test]
fn an_action_is_a_list_of_acts() {
    let hooks = [
        hook("b", &["pre-install", "pre-upgrade"], 5),
        hook("a", &["pre-install"], 5),
        hook("c", &["pre-install", "post-install"], -1),
        hook("d", &["post-delete"], 0),
        hook("t", &["test"], 0),
    ];
    let of = |deed| ScriptTerms { deed, runs_hooks: true, waits: true, keeps_history: false };
    assert_eq!(
        script(of(ReleaseDeed::Install), &hooks),
        [
            ReleaseAct::Define,
            ReleaseAct::Store(ReleaseStatus::PendingInstall),
            ReleaseAct::Hook(2),
            ReleaseAct::Hook(1),
            ReleaseAct::Hook(0),
            ReleaseAct::Sweep("pre-install"),
            ReleaseAct::Apply,
            ReleaseAct::Prune,
            ReleaseAct::Await,
            ReleaseAct::Hook(2),
            ReleaseAct::Sweep("post-install"),
            ReleaseAct::Supersede,
            ReleaseAct::Store(ReleaseStatus::Deployed),
            ReleaseAct::Trim,
        ]
    );
    let quick = ScriptTerms { runs_hooks: false, waits: false, ..of(ReleaseDeed::Upgrade) };
    let expected = [
        ReleaseAct::Define,
        ReleaseAct::Store(ReleaseStatus::PendingUpgrade),
        ReleaseAct::Apply,
        ReleaseAct::Prune,
        ReleaseAct::Supersede,
        ReleaseAct::Store(ReleaseStatus::Deployed),
        ReleaseAct::Trim,
    ];
    assert_eq!(script(quick, &hooks), expected);
    assert_eq!(
        script(of(ReleaseDeed::Rollback), &hooks)[0],
        ReleaseAct::Store(ReleaseStatus::PendingRollback)
    );
    assert_eq!(
        script(of(ReleaseDeed::Uninstall), &hooks),
        [
            ReleaseAct::Store(ReleaseStatus::Uninstalling),
            ReleaseAct::Delete,
            ReleaseAct::Gone,
            ReleaseAct::Hook(3),
            ReleaseAct::Sweep("post-delete"),
            ReleaseAct::Purge,
        ]
    );
    let kept = ScriptTerms { keeps_history: true, ..of(ReleaseDeed::UninstallRemediation) };
    assert_eq!(script(kept, &hooks).last(), Some(&ReleaseAct::Store(ReleaseStatus::Uninstalled)));
}

/// As helm-controller's own record of two upgrades that failed and were rolled back, and a third.
#[test]
fn a_history_ends_at_the_first_success_before_the_newest_version() {
    let mut ledger = ReleaseLedger::new(HelmReleaseStatus::default());
    let mut see = |version, status, deed| {
        ledger.observe(&record(version, status, &json!({})).head(), deed, None);
        let history = ledger.status().history.iter();
        history.map(|seen| format!("v{} {}", seen.version, seen.status)).collect::<Vec<_>>().join(", ")
    };
    see(1, ReleaseStatus::Deployed, Some(ReleaseDeed::Install));
    assert_eq!(see(2, ReleaseStatus::Failed, Some(ReleaseDeed::Upgrade)), "v2 failed, v1 deployed");
    see(1, ReleaseStatus::Superseded, Some(ReleaseDeed::Rollback));
    assert_eq!(
        see(3, ReleaseStatus::Deployed, Some(ReleaseDeed::Rollback)),
        "v3 deployed, v2 failed, v1 superseded"
    );
    see(3, ReleaseStatus::Superseded, None);
    assert_eq!(see(4, ReleaseStatus::Deployed, Some(ReleaseDeed::Upgrade)), "v4 deployed, v3 superseded");
    let mut ledger = ReleaseLedger::new(HelmReleaseStatus::default());
    for version in 1..9 {
        ledger.observe(
            &record(version, ReleaseStatus::Failed, &json!({})).head(),
            Some(ReleaseDeed::Upgrade),
            None,
        );
    }
    assert_eq!(ledger.status().history.len(), 5);
    ledger.forget();
    assert!(ledger.status().history.is_empty());
}
