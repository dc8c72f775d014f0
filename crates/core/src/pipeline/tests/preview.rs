//! What a preview announces is what a run then does.

use super::*;
use crate::verdict::{Change, Deed};

const THING: &str = "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t, namespace: n}\n";
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
                          metadata: {name: things.x.io}\nspec: {group: x.io, names: {kind: Thing}}\n";
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n";
const IGNORED: &str = "apiVersion: v1\nkind: ConfigMap\n\
                       metadata: {name: i, namespace: n, labels: {kustomize.toolkit.fluxcd.io/ssa: Ignore}}\n";

/// A cluster, and what is wanted of it.
struct Case {
    what: &'static str,
    fake: fn() -> Fake,
    spec: Value,
    inventory: Vec<String>,
    files: Vec<(String, String)>,
    /// What the run ends in.
    end: &'static str,
}

impl Case {
    fn new(what: &'static str, fake: fn() -> Fake, end: &'static str) -> Self {
        let files = vec![config_map("a"), config_map("b")];
        Self { what, fake, spec: json!({}), inventory: Vec::new(), files, end }
    }

    fn spec(self, spec: Value) -> Self {
        Self { spec, ..self }
    }

    fn managing(self, names: &[&str]) -> Self {
        Self { inventory: names.iter().map(|name| format!("n_{name}__ConfigMap")).collect(), ..self }
    }

    fn with(mut self, texts: &[&str]) -> Self {
        self.files
            .extend(texts.iter().enumerate().map(|(n, text)| (format!("apps/{n}.yaml"), (*text).to_owned())));
        self
    }

    fn empty(self) -> Self {
        let nothing = ("apps/kustomization.yaml".to_owned(), "resources: []\n".to_owned());
        Self { files: vec![nothing], ..self }
    }
}

fn cases() -> Vec<Case> {
    let all: Vec<String> = (0..11).map(|n| format!("c{n}")).collect();
    let many: Vec<&str> = all.iter().map(String::as_str).collect();
    vec![
        Case::new("all is new", Fake::default, "ready"),
        Case::new("one is there", || Fake::with(&["a"]), "ready").managing(&["a"]),
        Case::new("one was edited", || Fake::with(&["a", "b"]).edited("a"), "ready").managing(&["a", "b"]),
        Case::new("one is deleted", || Fake::with(&["old"]), "ready").managing(&["old"]),
        Case::new("deletion is not wished", || Fake::with(&["old"]), "ready")
            .managing(&["old"])
            .spec(json!({"prune": false})),
        Case::new("another owns what is stale", || Fake::default().foreign("old"), "ready")
            .managing(&["old"]),
        Case::new("one was taken away", || Fake::default().foreign("a"), "ready").managing(&["a"]),
        Case::new("one moves here", || Fake::default().foreign("a"), "ready"),
        Case::new("one is to be left alone", || Fake::with(&["i"]), "ready")
            .managing(&["i"])
            .with(&[IGNORED]),
        Case {
            inventory: vec!["other_a__ConfigMap".into()],
            ..Case::new("one is managed under another name", || Fake::with(&["a"]), "ready")
        },
        Case::new("one is made anew", || Fake::with(&["a"]).freezing("a"), "ready")
            .managing(&["a"])
            .spec(json!({"force": true})),
        Case::new("one cannot be made anew", || Fake::with(&["a", "old"]).freezing("a"), "refused")
            .managing(&["a", "old"]),
        Case::new("one is refused", || Fake::with(&["old"]).refusing("b"), "refused")
            .managing(&["old"])
            .with(&[NAMESPACE]),
        Case::new("one is refused before others", || Fake::default().refusing("n"), "refused")
            .with(&[NAMESPACE]),
        Case::new("one is lost once", || Fake::default().losing("b", 1), "ready"),
        Case::new("one is lost", || Fake::default().losing("b", 9), "refused"),
        Case::new(
            "a kind and a namespace are new",
            || Fake::default().without("Thing").without("n"),
            "ready",
        )
        .with(&[NAMESPACE, DEFINITION, THING]),
        Case::new("a kind is missing", || Fake::default().without("Thing"), "refused").with(&[THING]),
        Case::new("a build became empty", Fake::default, "prune refused").managing(&many).empty(),
    ]
}

/// How a change is told by the cluster's log.
fn lines(changes: &[Change]) -> Vec<String> {
    let lines = changes.iter().flat_map(|change| match change.deed {
        Deed::Created | Deed::Configured => vec![format!("apply {}", change.id.name)],
        Deed::Recreated => vec![format!("clear {}", change.id.name), format!("apply {}", change.id.name)],
        Deed::Deleted => vec![format!("delete {}", change.id.name)],
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn a_preview_announces_what_a_run_does() {
    for case in cases() {
        let what = case.what;
        let inventory: Vec<&str> = case.inventory.iter().map(String::as_str).collect();
        let kustomization = kustomization(&case.spec, &inventory);
        let tree = Tree::in_memory(case.files);
        let snapshot = Snapshot { revision: Revision::git(Some("main"), "aa"), tree, origin: None };

        let looked_at = (case.fake)();
        let built = build(&kustomization, &snapshot.tree, Gathered::none()).unwrap();
        let announced = preview(&looked_at, supported(&kustomization).unwrap(), built).await;
        assert_eq!(looked_at.log(), [] as [&str; 0], "{what}: a preview writes nothing");

        let fake = (case.fake)();
        let (_sender, cancel) = watch::channel(false);
        let finish =
            reconcile(&fake, &fake, &job(&kustomization, &snapshot, cancel), &Diary::default()).await;
        let mut log = fake.log();
        log.sort();
        match (announced, finish.outcome) {
            (Ok(announced), Outcome::Own(Applied::Ready(done))) => {
                assert_eq!(case.end, "ready", "{what}");
                assert_eq!(announced.changes, done.changes, "{what}");
                assert_eq!(announced.warnings, done.warnings, "{what}");
                assert_eq!(announced.refusals, [], "{what}");
                assert_eq!(lines(&announced.changes), log, "{what}");
            }
            (Ok(announced), Outcome::Own(Applied::Refused { refusals, .. })) => {
                assert_eq!(case.end, "refused", "{what}");
                let told: Vec<String> = announced.refusals.iter().map(ToString::to_string).collect();
                let met: Vec<String> = refusals.into_iter().map(|refused| refused.message).collect();
                assert_eq!(told, met, "{what}");
                assert_eq!(lines(&announced.changes), log, "{what}");
            }
            (Err(announced), outcome) => {
                assert_eq!(case.end, "prune refused", "{what}");
                assert_eq!(announced, outcome, "{what}");
                assert_eq!(announced, Applied::PruneRefused { count: 11 }.into(), "{what}");
            }
            (announced, outcome) => panic!("{what}: {announced:?}, {outcome:?}"),
        }
    }
}

/// One look at a preview shows all that is wrong, also what a run would not come to.
#[tokio::test]
async fn a_preview_shows_the_refusals_of_all_stages() {
    let fake = Fake::default().refusing("n").refusing("b");
    let kustomization = kustomization(&json!({}), &[]);
    let namespace = ("apps/n.yaml".to_owned(), NAMESPACE.to_owned());
    let tree = Tree::in_memory([namespace, config_map("a"), config_map("b")]);
    let built = build(&kustomization, &tree, Gathered::none()).unwrap();
    let announced = preview(&fake, supported(&kustomization).unwrap(), built).await.unwrap();
    let refused: Vec<String> = announced.refusals.iter().map(|refusal| refusal.id.subject()).collect();
    assert_eq!(refused, ["Namespace/n", "ConfigMap/n/b"]);
    assert_eq!(announced.stages.len(), 2);
    assert_eq!(announced.changes, []);
}
