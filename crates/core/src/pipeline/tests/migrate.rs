//! Fields of others that are handed over before an object is decided about.

use super::*;

/// On a Ready object nothing is said of a server that cannot be asked; what the server denies must be told.
#[tokio::test]
async fn a_hand_over_that_is_denied_is_told_as_a_refusal() {
    let cases = [
        (400, "admission webhook \"w\" denied the request: no", true),
        (403, "admission webhook \"w\" denied the request: no", true),
        (422, "it is invalid", true),
        (409, "the object has been modified", false),
        (422, "the server rejected our request due to an error in our request", false),
        (503, "not now", false),
    ];
    for (code, message, told) in cases {
        let answer = plan::Answer { code, message: message.into(), ..plan::Answer::default() };
        let fake = Fake::default().untaken("a", answer);
        let kustomization = kustomization(&json!({}), &["n_a__ConfigMap"]);
        let outcome = run(&fake, &Diary::default(), &kustomization, &["a"], None).await.outcome;
        // What has changed since it was looked at is looked at again.
        assert!(fake.log().iter().all(|line| line == "take over a"), "{:?}", fake.log());
        assert_eq!(matches!(outcome, Outcome::Own(Applied::Refused { .. })), told, "{code}: {outcome:?}");
        assert_eq!(
            matches!(outcome, Outcome::Common(Common::Unreachable { .. })),
            !told,
            "{code}: {outcome:?}"
        );
    }
}
