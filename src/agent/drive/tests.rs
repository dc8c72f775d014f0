//! The ends of runs, and the state that is dropped with them.

use serde_json::json;

use super::*;
use crate::agent::world::SeenObject;
use lockgate_base::model::Object;
use lockgate_core::api::{GitRepository, Kustomization, Source};

#[tokio::test]
async fn a_run_that_panics_still_ends() {
    let key = GitRepository::named("n", "s");
    let end = |next| Signal::Finished { key: key.clone(), run: 7, end: RunEnd::silent(next) };
    assert_eq!(
        ended(async { panic!("where nothing tells it") }, end(Next::Backoff)).await,
        end(Next::Backoff)
    );
    assert_eq!(ended(async { end(Next::Changed) }, end(Next::Backoff)).await, end(Next::Changed));
}

#[test]
fn the_metrics_of_both_kinds_go_with_the_object_or_with_its_last_run() {
    let world = World::default();
    let both = |name| (Kustomization::named("n", name), GitRepository::named("n", name));
    let ((here, source_here), (gone, source_gone)) = (both("here"), both("gone"));
    let object = |info: &KindInfo| {
        let (api_version, kind) = (info.api_version(), info.id.kind);
        Object::parse(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "here"}})).unwrap()
    };
    world.see::<Kustomization>(&here, SeenObject::read(&object(Kustomization::INFO)), 1);
    world.see::<Source>(&source_here, SeenObject::read(&object(GitRepository::INFO)), 1);
    let finished =
        |key: &Ref| Signal::Finished { key: key.clone(), run: 1, end: RunEnd::silent(Next::Changed) };
    for (signal, expected) in [
        (Signal::Gone(gone.clone()), Some(&gone)),
        (Signal::Gone(source_gone.clone()), Some(&source_gone)),
        (finished(&gone), Some(&gone)),
        (finished(&source_gone), Some(&source_gone)),
        (finished(&here), None),
        (finished(&source_here), None),
        (Signal::Tick, None),
    ] {
        assert_eq!(departed(&signal, &world), expected, "{signal:?}");
    }
}
