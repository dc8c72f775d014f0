//! A run does exactly the steps that a preview announces.

use super::*;
use crate::plan::Foreseen;
use crate::verdict::{ChangedObject, Deed};

const THING: &str = "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t, namespace: n}\n";
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
                          metadata: {name: things.x.io}\nspec: {group: x.io, names: {kind: Thing}}\n";
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n";
const IGNORED: &str = "apiVersion: v1\nkind: ConfigMap\n\
                       metadata: {name: i, namespace: n, labels: {kustomize.toolkit.fluxcd.io/ssa: Ignore}}\n";

/// A cluster, and the expected preview.
struct Case {
    what: &'static str,
    fake: fn() -> Fake,
    spec: Value,
    inventory: Vec<String>,
    files: Vec<(String, String)>,
    /// The claim of another owner, and whether it is waited for.
    claim: Option<(&'static str, bool)>,
    /// The end of the run.
    end: &'static str,
}

impl Case {
    fn new(what: &'static str, fake: fn() -> Fake, end: &'static str) -> Self {
        let files = vec![config_map("a"), config_map("b")];
        Self { what, fake, spec: json!({}), inventory: Vec::new(), files, claim: None, end }
    }

    fn spec(self, spec: Value) -> Self {
        Self { spec, ..self }
    }

    fn managing(self, names: &[&str]) -> Self {
        Self { inventory: names.iter().map(|name| format!("n_{name}__ConfigMap")).collect(), ..self }
    }

    fn claimed(self, id: &'static str, awaited: bool) -> Self {
        Self { claim: Some((id, awaited)), ..self }
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
        Case::new("one is handed over", || Fake::with(&["old", "gone"]), "ready")
            .managing(&["old", "gone"])
            .claimed("n_old__ConfigMap", false),
        Case::new("one is about to be handed over", || Fake::with(&["old", "gone"]), "ready")
            .managing(&["old", "gone"])
            .claimed("n_old__ConfigMap", true),
        Case::new(
            "the server warns",
            || Fake::with(&["a"]).edited("a").warning("v1 is old").warning("and so are you"),
            "ready",
        )
        .managing(&["a"]),
        Case::new(
            "the server warns of what is not written",
            || Fake::with(&["a", "b"]).warning("v1 is old"),
            "ready",
        )
        .managing(&["a", "b"]),
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

/// The built objects, previewed as by an agent without flags.
fn input(built: Build) -> PreviewInput {
    let Build { resources, digest, .. } = built;
    PreviewInput { resources, digest: Some(digest), drift: plan::DriftPolicy::Watch }
}

/// A change in the words of the cluster's log.
fn lines(changes: &[ChangedObject]) -> Vec<String> {
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
        let diary = || {
            let diary = Diary::default();
            if let Some((id, awaited)) = case.claim {
                diary.claim(id, "next", awaited);
            }
            diary
        };
        let supported = supported(&kustomization).unwrap();
        let announced =
            preview(&looked_at, supported, input(built), &diary(), &mut Foreseen::default()).await;
        assert_eq!(looked_at.log(), [] as [&str; 0], "{what}: a preview writes nothing");

        let fake = (case.fake)();
        let (_sender, cancel) = watch::channel(false);
        let finish = reconcile(&fake, &fake, &job(&kustomization, &snapshot, cancel), &diary()).await;
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
                let located = |refusal: &plan::Refusal| {
                    let is_it = |known: &&Announced| known.entry.object.id() == refusal.id;
                    let origin = announced.objects.iter().find(is_it).map(|known| known.origin.as_str());
                    format!("{refusal} (in {})", origin.unwrap_or_default())
                };
                let told: Vec<String> = announced.refusals.iter().map(located).collect();
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

/// One preview shows all mistakes, including those that a run would not reach.
#[tokio::test]
async fn a_preview_shows_the_refusals_of_all_stages() {
    let fake = Fake::default().refusing("n").refusing("b");
    let kustomization = kustomization(&json!({}), &[]);
    let namespace = ("apps/n.yaml".to_owned(), NAMESPACE.to_owned());
    let tree = Tree::in_memory([namespace, config_map("a"), config_map("b")]);
    let built = build(&kustomization, &tree, Gathered::none()).unwrap();
    let supported = supported(&kustomization).unwrap();
    let announced =
        preview(&fake, supported, input(built), &Diary::default(), &mut Foreseen::default()).await.unwrap();
    let refused: Vec<String> = announced.refusals.iter().map(|refusal| refusal.id.subject()).collect();
    assert_eq!(refused, ["Namespace/n", "ConfigMap/n/b"]);
    assert_eq!(announced.objects.len(), 3);
    assert!(announced.objects.iter().all(|object| !object.is_reached));
    assert_eq!(announced.changes, []);
}

/// A namespace in Git is removed from an object of a cluster-scoped kind, whether the kind exists or is only
/// being created. Values of a Secret in it stay hidden.
#[tokio::test]
async fn what_lives_in_no_namespace_is_announced_in_none_and_stays_sensitive() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
                      metadata: {name: globals.x.io}\nspec: {group: x.io, scope: Cluster, names: {kind: Global}}\n";
    let global = "apiVersion: x.io/v1\nkind: Global\nmetadata: {name: g, namespace: n}\n";
    let kustomization = kustomization(&json!({}), &[]);
    for fake in [Fake::default(), Fake::default().without("Global")] {
        let files =
            [("apps/a.yaml".to_owned(), definition.to_owned()), ("apps/g.yaml".into(), global.into())];
        let mut built = build(&kustomization, &Tree::in_memory(files), Gathered::none()).unwrap();
        for resource in &mut built.resources {
            resource.holds_secret = resource.object.kind() == "Global";
        }
        let supported = supported(&kustomization).unwrap();
        let announced = preview(&fake, supported, input(built), &Diary::default(), &mut Foreseen::default())
            .await
            .unwrap();
        let told: Vec<_> = announced
            .objects
            .iter()
            .map(|object| (object.entry.object.id().subject(), object.is_sensitive, object.origin.as_str()))
            .collect();
        let expected = [
            ("CustomResourceDefinition/globals.x.io".to_owned(), false, "apps/a.yaml"),
            ("Global/g".to_owned(), true, "apps/g.yaml"),
        ];
        assert_eq!(told, expected);
    }
}

/// Dropped objects have their fate, and existing ones appear only if they are compared.
#[tokio::test]
async fn a_preview_says_what_becomes_of_what_is_dropped() {
    let fake = Fake::with(&["a", "gone", "moves"]).edited("a").foreign("other");
    let managed = ["a", "gone", "moves", "other", "nowhere"].map(|name| format!("n_{name}__ConfigMap"));
    let managed: Vec<&str> = managed.iter().map(String::as_str).collect();
    let diary = Diary::default();
    diary.claim("n_moves__ConfigMap", "next", true);
    let tree = Tree::in_memory([config_map("a"), config_map("b")]);
    let looked = async |spec: Value| {
        let kustomization = kustomization(&spec, &managed);
        let built = build(&kustomization, &tree, Gathered::none()).unwrap();
        preview(&fake, supported(&kustomization).unwrap(), input(built), &diary, &mut Foreseen::default())
            .await
            .unwrap()
    };
    let announced = looked(json!({})).await;
    let fates: Vec<(&str, Option<Fate>)> = announced
        .dropped
        .iter()
        .map(|dropped| (dropped.id.name.as_str(), dropped.fate.clone().unwrap()))
        .collect();
    let next = Some(Kustomization::named("flux-system", "next"));
    let another = Kustomization::named("flux-system", "another");
    assert_eq!(
        fates,
        [
            ("other", Some(Fate::Kept(plan::PruneSkip::OwnedBy(another)))),
            ("nowhere", Some(Fate::Gone)),
            ("moves", Some(Fate::Awaited(plan::PruneSkip::HeldBy(next)))),
            ("gone", Some(Fate::Deleted)),
        ]
    );
    let [a, b] = announced.objects.as_slice() else { panic!("{announced:?}") };
    assert!(a.live.is_some() && a.wanted.is_some() && a.origin == "apps/a.yaml", "{a:?}");
    assert!(b.live.is_none() && b.wanted.is_some(), "{b:?}");
    let let_go = looked(json!({"prune": false})).await.dropped;
    assert!(let_go.iter().all(|dropped| dropped.fate == Ok(None)) && let_go.len() == 4, "{let_go:?}");
}
