//! Objects that have another owner, or will have.

use serde_json::json;

use super::fake::{Diary, Fake};
use super::{inventory_of, kustomization, run};
use crate::pipeline::remove;
use crate::verdict::Common;

/// What another holds is let go; what another only builds is managed until that one has recorded it.
#[tokio::test]
async fn what_another_holds_is_handed_over() {
    for (recorded, managed) in
        [(true, &["n_a__ConfigMap"][..]), (false, &["n_a__ConfigMap", "n_old__ConfigMap"])]
    {
        let fake = Fake::with(&["old", "gone"]);
        let diary = Diary::beside(&fake);
        diary.claim("n_old__ConfigMap", "next", recorded);
        let before = kustomization(&json!({}), &["n_old__ConfigMap", "n_gone__ConfigMap"]);
        let finish = run(&fake, &diary, &before, &["a"], None).await;
        assert_eq!(inventory_of(&finish.outcome), managed, "{recorded}");
        let kept = "kept ConfigMap/n/old is not deleted: Kustomization/flux-system/next holds it, or what would go with it";
        let told: Vec<String> = fake.log().into_iter().filter(|line| line.starts_with("kept")).collect();
        assert_eq!(told, if recorded { vec![kept.to_owned()] } else { vec![] });
        assert!(fake.object("old").is_some() && fake.object("gone").is_none());
    }
}

#[tokio::test]
async fn a_removal_waits_for_the_next_owner_to_record_what_it_builds() {
    let fake = Fake::with(&["old"]);
    let diary = Diary::default();
    diary.claim("n_old__ConfigMap", "next", false);
    let renamed = kustomization(&json!({}), &["n_old__ConfigMap"]);
    let outcome = remove(Ok(&fake), &fake, &renamed, None, &diary).await;
    assert!(matches!(&outcome, Common::RemovalFailed { failures } if failures.len() == 1), "{outcome:?}");
    let diary = Diary::default();
    diary.claim("n_old__ConfigMap", "next", true);
    let outcome = remove(Ok(&fake), &fake, &renamed, None, &diary).await;
    let Common::Removed { deleted: 0, note: Some(note) } = outcome else { panic!("{outcome:?}") };
    assert!(note.contains("Kustomization/flux-system/next holds it"), "{note}");
    assert!(fake.object("old").is_some());
}
