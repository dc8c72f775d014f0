//! The agent's knowledge of objects, and how long it lasts.

use serde_json::json;

use super::*;

/// A world of one Kustomization, looked at each minute.
fn with_one() -> (World, Ref) {
    let (world, key) = (World::default(), Kustomization::named("n", "apps"));
    let object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "n"},
        "spec": {"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "r"}},
    });
    world.see::<Kustomization>(&key, SeenObject::read(&Object::parse(object).unwrap()), 1);
    (world, key)
}

#[test]
fn a_wait_that_is_cut_off_goes_on_until_something_else_is_waited_for() {
    let (world, key) = with_one();
    let aim = |revision: &str, requested_at: Option<&str>| Aim {
        generation: 1,
        revision: revision.into(),
        requested_at: requested_at.map(Into::into),
    };
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let waited = |aim: &Aim, seconds| world.waited(&key, aim, at(seconds)).as_secs();
    let first = aim("a", None);
    assert_eq!(waited(&first, 5), 0);
    world.waits(&key, &first, at(10));
    world.waits(&key, &first, at(20));
    assert_eq!(waited(&first, 30), 20, "the second has gone on with the first");
    assert_eq!(waited(&aim("b", None), 30), 0);
    assert_eq!(waited(&aim("a", Some("now")), 30), 0);
    world.waits(&key, &aim("b", None), at(40));
    assert_eq!((waited(&first, 50), waited(&aim("b", None), 50)), (0, 10));
    world.ended(&key);
    assert_eq!(waited(&aim("b", None), 60), 0);
}

#[test]
fn who_is_blocked_is_told_that_what_it_waits_for_is_paused() {
    let world = World::default();
    let see = |name: &str, needs: &[&str], suspend: bool| {
        let needs: Vec<_> = needs.iter().map(|name| json!({"name": name})).collect();
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": name, "namespace": "n", "generation": 2},
            "spec": {
                "interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "r"},
                "dependsOn": needs, "suspend": suspend,
            },
            "status": {"observedGeneration": 1, "conditions": [{
                "type": "Ready", "status": "True", "reason": "ReconciliationSucceeded",
                "message": "Applied revision: main@sha1:1", "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        });
        let key = Kustomization::named("n", name);
        world.see::<Kustomization>(&key, SeenObject::read(&Object::parse(object).unwrap()), 1);
        let Some(SeenObject::Sound(kustomization)) = world.get::<Kustomization>(&key) else {
            unreachable!("{name}")
        };
        kustomization
    };
    see("base", &[], true);
    see("middle", &["base"], false);
    let top = see("top", &["middle"], false);
    let said = |top: &Kustomization| match world.dependencies(
        &top.reference(),
        top.spec.source_ref.target("flux-system").as_ref(),
        "main@sha1:1",
    ) {
        Err(Common::Blocked(Blocker { reason: BlockReason::NotReady { chain, message }, .. })) => {
            (chain.iter().map(|key| key.name.clone()).collect::<Vec<_>>(), message.unwrap())
        }
        other => unreachable!("{other:?}"),
    };
    let (chain, message) = said(&top);
    assert_eq!(chain, ["middle", "base"]);
    assert_eq!(
        message,
        "Kustomization 'n/base' is suspended; set its spec.suspend to false (flux resume kustomization base -n n)"
    );
    see("base", &[], false);
    assert!(!said(&top).1.contains("suspended"));
}
