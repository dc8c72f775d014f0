//! Objects that have another owner, or will have one.

use std::collections::HashSet;

use serde_json::json;

use super::diary::Diary;
use super::fake::Fake;
use super::machine::Here;
use super::{inventory_of, kustomization, run, snapshot};
use crate::pipeline::{held, remove};
use crate::verdict::Common;
use lockgate_base::keys;
use lockgate_base::model::Object;

/// An object that another owner manages stays managed until that owner has set its labels; then it is given
/// up.
#[tokio::test]
async fn what_another_holds_is_handed_over() {
    for (awaited, managed) in
        [(false, &["n_a__ConfigMap"][..]), (true, &["n_a__ConfigMap", "n_old__ConfigMap"])]
    {
        let fake = Fake::with(&["old", "gone"]);
        let diary = Diary::beside(&fake);
        diary.claim("n_old__ConfigMap", "next", awaited);
        let before = kustomization(&json!({}), &["n_old__ConfigMap", "n_gone__ConfigMap"]);
        let finish = run(&fake, &diary, &before, &["a"], None).await;
        assert_eq!(inventory_of(&finish.outcome), managed, "{awaited}");
        // The next run asks again.
        assert_eq!(finish.memo.is_none(), awaited);
        let told: Vec<String> = fake.log().into_iter().filter(|line| line.starts_with("kept")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains(
                "Kustomization/flux-system/next manages it, or objects that would be deleted \
                with it"
            ),
            "{told:?}"
        );
        assert!(fake.object("old").is_some() && fake.object("gone").is_none());
    }
}

/// That owner takes the objects over once the value exists.
#[tokio::test]
async fn what_lacks_a_value_holds_all_the_same_what_it_builds() {
    let values = json!({"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "missing"}]}});
    let next = kustomization(&values, &[]);
    let held = held(&Fake::with(&["a"]), &next, &snapshot(&["a"]), None, &Here).await;
    assert_eq!(held, HashSet::from(["n_a__ConfigMap".parse().unwrap()]));
}

/// The owner that takes values from an object does not take the object over.
#[tokio::test]
async fn what_another_needs_stays_and_is_let_go() {
    let fake = Fake::with(&["vars"]);
    let diary = Diary::beside(&fake);
    diary.need("n_vars__ConfigMap", "next");
    let finish = run(&fake, &diary, &kustomization(&json!({}), &["n_vars__ConfigMap"]), &["a"], None).await;
    assert_eq!(inventory_of(&finish.outcome), ["n_a__ConfigMap"]);
    let told = "kept ConfigMap/n/vars is not deleted: Kustomization/flux-system/next needs it";
    assert!(fake.log().iter().any(|line| line == told), "{:?}", fake.log());
    assert!(fake.object("vars").is_some());
}

/// A namespace is not deleted with what its own owner still builds in it.
#[tokio::test]
async fn a_namespace_stays_while_its_owner_builds_objects_in_it() {
    let labels = json!({keys::OWNER_NAME: "apps", keys::OWNER_NAMESPACE: "flux-system"});
    let namespace = |name: &str| {
        let metadata = json!({"name": name, "uid": "u", "resourceVersion": "1", "labels": labels});
        Object::parse(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})).unwrap()
    };
    let fake = Fake::default().beside(namespace("n")).beside(namespace("m"));
    let managed = kustomization(&json!({}), &["_n__Namespace", "_m__Namespace"]);
    let finish = run(&fake, &Diary::beside(&fake), &managed, &["a"], None).await;
    assert_eq!(inventory_of(&finish.outcome), ["n_a__ConfigMap"]);
    let told = "kept Namespace/n is not deleted: its owner needs it";
    assert_eq!(fake.log(), ["apply a", "delete m", told]);
}

#[tokio::test]
async fn a_removal_waits_for_the_next_owner_to_take_over() {
    let fake = Fake::with(&["old"]);
    let renamed = kustomization(&json!({}), &["n_old__ConfigMap"]);
    let diary = Diary::default();
    diary.claim("n_old__ConfigMap", "next", true);
    let outcome = remove(Ok(&fake), &fake, &renamed, None, &diary).await;
    assert!(matches!(&outcome, Common::RemovalFailed { failures } if failures.len() == 1), "{outcome:?}");
    let diary = Diary::default();
    diary.claim("n_old__ConfigMap", "next", false);
    let outcome = remove(Ok(&fake), &fake, &renamed, None, &diary).await;
    let Common::Removed { deleted: 0, note: Some(note) } = outcome else { panic!("{outcome:?}") };
    assert!(note.contains("Kustomization/flux-system/next manages it"), "{note}");
    assert!(fake.object("old").is_some());
}

/// Each is deleted before its dependencies, even if their names have another order.
#[tokio::test]
async fn what_depends_on_another_is_deleted_before_it() {
    let fake = Fake::with(&["a", "b", "c"]);
    let ids = ["n_a__ConfigMap", "n_b__ConfigMap", "n_c__ConfigMap"];
    let before = kustomization(&json!({}), &ids);
    // A circle ends somewhere.
    let diary = Diary::default().depends(ids[0], ids[1]).depends(ids[1], ids[2]).depends(ids[2], ids[0]);
    remove(Ok(&fake), &fake, &before, None, &diary).await;
    assert_eq!(fake.log().len(), 3, "{:?}", fake.log());
    let fake = Fake::with(&["a", "b", "c"]);
    let diary = Diary::default().depends(ids[0], ids[1]).depends(ids[1], ids[2]);
    remove(Ok(&fake), &fake, &before, None, &diary).await;
    assert_eq!(fake.log(), ["delete a", "delete b", "delete c"]);
}
