//! Fields of other managers that are handed over before an object's step is decided.

use super::*;

/// An unreachable server changes nothing on a Ready object; a denial by the server must be reported.
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
        // An object that has changed since it was observed is observed again.
        assert!(fake.log().iter().all(|line| line == "take over a"), "{:?}", fake.log());
        assert_eq!(matches!(outcome, Outcome::Own(Applied::Refused { .. })), told, "{code}: {outcome:?}");
        assert_eq!(
            matches!(outcome, Outcome::Common(Common::Unreachable { .. })),
            !told,
            "{code}: {outcome:?}"
        );
    }
}
