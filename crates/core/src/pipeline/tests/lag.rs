//! What the API server refuses until it has seen what the same run has changed, in the dry run, and at the
//! apply after an accepted dry run.

use super::*;
use crate::plan::Answer;

const THING: &str = "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t, namespace: n}\nspec: {new: 1}\n";

fn undeclared() -> Answer {
    let message = "failed to create typed patch object (n/t; x.io/v1, Kind=Thing): .spec.new: field not declared in schema";
    Answer { code: 500, message: message.into(), ..Answer::default() }
}

/// A reconcile of an object of a custom kind and of a ConfigMap.
async fn applied(fake: &Fake) -> Outcome<Applied> {
    built(fake, [("apps/t.yaml".to_owned(), THING.to_owned()), config_map("a")]).await
}

async fn built(fake: &Fake, files: [(String, String); 2]) -> Outcome<Applied> {
    let snapshot =
        Snapshot { revision: Revision::git(Some("main"), "aa"), tree: Tree::in_memory(files), origin: None };
    let (_sender, cancel) = watch::channel(false);
    let kustomization = kustomization(&json!({}), &[]);
    reconcile(fake, fake, &job(&kustomization, &snapshot, cancel), &Diary::default()).await.outcome
}

/// One of several servers, or one of its caches, goes by the schema from before.
#[tokio::test(start_paused = true)]
async fn what_the_schema_refuses_after_an_accepted_dry_run_is_applied_again() {
    for (times, tries, passes) in [(0, 1, true), (2, 3, true), (3, 4, true), (4, 4, false)] {
        let fake = Fake::default().refusing_applies(times, "t", undeclared());
        let outcome = applied(&fake).await;
        assert_eq!(fake.log().iter().filter(|line| *line == "apply t").count(), tries, "{times}");
        assert_eq!(matches!(outcome, Outcome::Own(Applied::Ready(_))), passes, "{outcome:?}");
        assert_eq!(fake.object("t").is_some(), passes);
        let Outcome::Own(Applied::Refused { refusals, .. }) = outcome else { continue };
        let [refused] = refusals.as_slice() else { panic!("{refusals:?}") };
        assert!(refused.soon && refused.message.starts_with("Thing/n/t apply failed: "), "{refused:?}");
        assert!(refused.message.ends_with(" (in apps/t.yaml)"), "{refused:?}");
    }
}

/// A refusal for any other reason will not pass by itself in a moment.
#[tokio::test(start_paused = true)]
async fn what_is_refused_for_another_reason_is_tried_once() {
    let cases = [
        (
            "t",
            Answer {
                code: 400,
                message: "admission webhook \"w\" denied the request: no".into(),
                ..Answer::default()
            },
        ),
        // A kind of Kubernetes itself has one schema.
        (
            "a",
            Answer {
                message: undeclared().message.replace("x.io/v1, Kind=Thing", "/v1, Kind=ConfigMap"),
                ..undeclared()
            },
        ),
    ];
    for (name, answer) in cases {
        let fake = Fake::default().refusing_applies(9, name, answer);
        let outcome = applied(&fake).await;
        assert!(matches!(outcome, Outcome::Own(Applied::Refused { .. })), "{outcome:?}");
        let tried = format!("apply {name}");
        assert_eq!(fake.log().iter().filter(|line| **line == tried).count(), 1, "{:?}", fake.log());
    }
}

/// Of several servers, the one that is asked to apply an object may be the last to see a change.
#[tokio::test(start_paused = true)]
async fn what_a_run_changes_is_waited_for_in_the_dry_run_and_at_the_apply() {
    const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: \
                              things.x.io}\nspec: {group: x.io, names: {kind: Thing}}\n";
    const ROLE: &str =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: role}\nrules: []\n";
    const POLICY: &str = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: policy}\n";
    const QUOTA: &str = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: quota, namespace: n}\n";
    let enumeration = "Thing.x.io \"t\" is invalid: spec.new: Unsupported value: 1: supported values: \"0\"";
    let right = "things.x.io \"t\" is forbidden: User \"u\" cannot patch resource \"things\" in API group \"x.io\" in the \
                 namespace \"n\"";
    let denied = "things.x.io \"t\" is forbidden: ValidatingAdmissionPolicy 'policy' denied request: no";
    let exceeded = "things.x.io \"t\" is forbidden: exceeded quota: quota, requested: count/things.x.io=1, used: \
                    count/things.x.io=2, limited: count/things.x.io=2";
    let cases = [
        (DEFINITION, 422, enumeration, 6, true),
        (DEFINITION, 500, &undeclared().message, 6, true),
        (ROLE, 403, right, 6, true),
        (POLICY, 422, denied, 6, true),
        (QUOTA, 403, exceeded, 6, true),
        // What nothing of the run explains is waited for briefly, or not at all.
        (ROLE, 422, enumeration, 3, true),
        (ROLE, 422, enumeration, 6, false),
        (DEFINITION, 403, right, 1, false),
        (DEFINITION, 422, denied, 1, false),
    ];
    for (judge, code, message, times, passes) in cases {
        let answer = Answer { code, message: message.to_owned(), ..Answer::default() };
        let dry_run = Fake::default().refusing_for(times + 1, "t", answer.clone());
        let apply = Fake::default().refusing_applies(times, "t", answer);
        for (fake, phase) in [(dry_run, "dry run"), (apply, "apply")] {
            let thing = ("apps/t.yaml".to_owned(), THING.to_owned());
            let outcome = built(&fake, [thing, ("apps/judge.yaml".to_owned(), judge.to_owned())]).await;
            let is_ready = matches!(outcome, Outcome::Own(Applied::Ready(_)));
            assert_eq!(is_ready, passes, "{phase}, {times} times: {message}: {outcome:?}");
        }
    }
}
