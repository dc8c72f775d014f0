//! Deletions before and after the wait for health, their order, and messages that are given once.

use super::*;
use crate::plan::{Answer, Cause, Phase, Refusal};

/// A pod of the old roll-out refers to one of two objects that Git has dropped.
#[tokio::test(start_paused = true)]
async fn what_pods_still_use_goes_once_the_new_ones_are_healthy() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", "namespace": "n"},
                     "spec": {"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "used"}}]}]}});
    let with_pod = || Fake::with(&["used", "idle"]).beside(Object::parse(pod.clone()).unwrap());
    let managed = &["n_used__ConfigMap", "n_idle__ConfigMap"];
    let waits = kustomization(&json!({"wait": true}), managed);

    let fake = with_pod();
    let diary = Diary::beside(&fake);
    let finish = run(&fake, &diary, &waits, &["a"], None).await;
    assert_eq!(fake.log(), ["apply a", "delete idle", "waits", "resumes", "delete used"]);
    assert_eq!(inventory_of(&finish.outcome), ["n_a__ConfigMap"]);
    assert!(finish.memo.is_some());

    let fake = with_pod().never_healthy();
    let finish = run(&fake, &Diary::default(), &waits, &["a"], None).await;
    assert_eq!(fake.log(), ["apply a", "delete idle"]);
    assert_eq!(inventory_of(&finish.outcome), ["n_a__ConfigMap", "n_used__ConfigMap"]);

    let fake = with_pod();
    run(&fake, &Diary::default(), &kustomization(&json!({}), managed), &["a"], None).await;
    assert_eq!(fake.log(), ["apply a", "delete used", "delete idle"], "nobody waits");
}

/// A finalizer may hold an object for longer than a run.
#[tokio::test]
async fn a_forced_deletion_is_told_once() {
    let forced = kustomization(&json!({"force": true}), &["n_a__ConfigMap"]);
    for (is_leaving, told) in [(false, 1), (true, 0)] {
        let fake = Fake::with(&["a"]).freezing("a");
        let fake = if is_leaving { fake.leaving("a") } else { fake };
        run(&fake, &Diary::beside(&fake), &forced, &["a"], None).await;
        let lines = fake.log();
        assert_eq!(lines.iter().filter(|line| line.starts_with("forced")).count(), told, "{lines:?}");
        assert!(lines.contains(&"clear a".to_owned()) && lines.contains(&"apply a".to_owned()), "{lines:?}");
    }
}

/// A refusal that this run's own changes may have caused passes within seconds.
#[tokio::test(start_paused = true)]
async fn what_a_run_allows_is_waited_for() {
    let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: quota}\n";
    let denied = || Answer { code: 403, message: "exceeded quota: quota".into(), ..Answer::default() };
    let cases = [(Some(quota), 3, true), (Some(quota), 99, false), (None, 3, false)];
    for (judge, times, passes) in cases {
        let fake = Fake::default().refusing_for(times, "a", denied());
        let mut files = vec![config_map("a")];
        files.extend(judge.map(|text| ("apps/quota.yaml".to_owned(), text.to_owned())));
        let snapshot = Snapshot {
            revision: Revision::git(Some("main"), "aa"),
            tree: Tree::in_memory(files),
            origin: None,
        };
        let (_sender, cancel) = watch::channel(false);
        let kustomization = kustomization(&json!({}), &[]);
        let outcome =
            reconcile(&fake, &fake, &job(&kustomization, &snapshot, cancel), &Diary::default()).await.outcome;
        assert_eq!(matches!(outcome, Outcome::Own(Applied::Ready(_))), passes, "{outcome:?}");
        assert_eq!(fake.log().contains(&"apply a".to_owned()), passes);
        let Outcome::Own(Applied::Refused { refusals, .. }) = outcome else { continue };
        assert!(refusals.iter().all(|refusal| refusal.soon && !refusal.transient), "{refusals:?}");
    }
    let denied = Refusal::of_answer("n_a__ConfigMap".parse().unwrap(), Phase::DryRun, denied());
    assert_eq!(denied.cause, Cause::Denied);
}

/// A warning of the server is given once, however many objects it is about.
#[tokio::test]
async fn a_warning_of_the_server_is_told_once() {
    let text = "policy/v1beta1 PodDisruptionBudget is deprecated";
    let fake = Fake::default().warning(text);
    let finish = run(&fake, &Diary::default(), &kustomization(&json!({}), &[]), &["a", "b"], None).await;
    let warnings = &finish.outcome.done().unwrap().warnings;
    assert_eq!(*warnings, [format!("ConfigMap/n/a, ConfigMap/n/b: {text}")]);
}
