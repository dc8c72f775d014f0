//! Objects that the API server refuses after it has accepted their dry run.

use super::*;
use crate::plan::Answer;

const THING: &str = "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t, namespace: n}\nspec: {new: 1}\n";

fn undeclared() -> Answer {
    let message = "failed to create typed patch object (n/t; x.io/v1, Kind=Thing): .spec.new: field not declared in schema";
    Answer { code: 500, message: message.into(), ..Answer::default() }
}

/// A reconcile of an object of a custom kind and of a ConfigMap.
async fn applied(fake: &Fake) -> Outcome<Applied> {
    let files = [("apps/t.yaml".to_owned(), THING.to_owned()), config_map("a")];
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
