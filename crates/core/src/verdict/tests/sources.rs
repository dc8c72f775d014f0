//! The statuses of fetches.

use super::*;
use lockgate_base::model::Condition;

fn source_context<'a>(key: &'a Ref, previous: &'a SourceStatus) -> VerdictContext<'a, SourceStatus> {
    VerdictContext {
        key,
        generation: 2,
        schedule: Schedule::new(Duration::from_secs(60), None, None),
        requested_at: None,
        previous,
        revision: previous.artifact.as_ref().map(|artifact| artifact.revision.as_str()),
        now: at(0),
        took: Std::ZERO,
        origin: None,
        redactor: &NO_SECRETS,
    }
}

pub(super) fn fetch(outcome: &Outcome<Fetched>, previous: &SourceStatus) -> Said<SourceStatus> {
    said(verdict(outcome, &source_context(&key("repo"), previous)))
}

#[test]
fn a_generation_is_said_to_be_fetched_until_it_is() {
    let key = key("repo");
    let said = |previous: &SourceStatus| fetching(&source_context(&key, previous));
    let first = said(&SourceStatus::default()).unwrap();
    let ready = first.conditions.get("Ready").unwrap();
    assert_eq!((ready.status, ready.reason.as_str()), (ConditionStatus::Unknown, "Progressing"));
    assert_eq!(
        first.conditions.get("Reconciling").unwrap().message,
        "processing object: new generation -1 -> 2"
    );

    let unchanged = Outcome::Own(Fetched::Unchanged {
        revision: REVISION.into(),
        url: String::new(),
        selection: Selection::default(),
        content: Content::Files,
        is_verified: false,
    });
    let mut stored = fetch(&unchanged, &first).status.into_inner();
    assert_eq!(said(&stored), None, "nothing is new");
    stored.observed_generation = Some(1);
    let ready = stored.conditions.get("Ready").unwrap().clone();
    stored.conditions.set(Condition { observed_generation: Some(1), ..ready });
    let next = said(&stored).unwrap();
    assert_eq!(
        next.conditions.get("Ready").unwrap().status,
        ConditionStatus::True,
        "what is in store is of use"
    );
    assert!(next.conditions.get("Reconciling").is_some());

    let failed = Outcome::Own(Fetched::Failed {
        cause: FetchCause::Operation,
        message: "the host is down".into(),
        terminal: false,
    });
    assert_eq!(said(&fetch(&failed, &first).status), None, "a failure is not unsaid by each try");
}

#[test]
fn a_fetch_stores_and_a_failure_keeps_what_is_stored() {
    let fetched = Outcome::Own(Fetched::Updated {
        revision: REVISION.into(),
        digest: "sha256:00".into(),
        subject: Some("bump".into()),
        rewritten: Some("old".into()),
        metadata: BTreeMap::new(),
        url: String::new(),
        selection: Selection::default(),
        content: Content::Files,
        is_verified: false,
    });
    let first = fetch(&fetched, &SourceStatus::default());
    assert_eq!(first.notices[0].message, "stored artifact for commit 'bump'");
    assert_eq!(
        first.notices[1].message,
        format!("history rewritten: '{REVISION}' does not descend from old")
    );
    let ready = first.status.conditions.get("Ready").unwrap();
    assert_eq!(ready.message, format!("stored artifact for revision '{REVISION}'"));
    assert_eq!(first.status.conditions.get("ArtifactInStorage").unwrap().status, ConditionStatus::True);
    let unchanged = Outcome::Own(Fetched::Unchanged {
        revision: REVISION.into(),
        url: String::new(),
        selection: Selection::default(),
        content: Content::Files,
        is_verified: false,
    });
    assert_eq!(fetch(&unchanged, &first.status).status, first.status);
    let refetched = Outcome::Own(Fetched::Updated {
        revision: REVISION.into(),
        digest: "sha256:00".into(),
        subject: None,
        rewritten: None,
        metadata: BTreeMap::new(),
        url: String::new(),
        selection: Selection::default(),
        content: Content::Files,
        is_verified: false,
    });
    assert_eq!(fetch(&refetched, &first.status).notices, [], "fetched again after a restart");

    let failed = |terminal| {
        Outcome::Own(Fetched::Failed {
            cause: FetchCause::Authentication,
            message: "the key was refused".into(),
            terminal,
        })
    };
    let after = fetch(&failed(false), &first.status);
    assert_eq!(after.status.artifact, first.status.artifact);
    assert_eq!(after.status.conditions.get("FetchFailed").unwrap().reason, "AuthenticationFailed");
    assert_eq!(
        after.next,
        Next::BackoffTo(Std::from_secs(60)),
        "a host may shut out who tries again and again"
    );
    assert_eq!(fetch(&failed(false), &after.status).notices, [], "said once");
    let stalled = fetch(&failed(true), &after.status);
    assert!(stalled.status.conditions.get("Stalled").is_some());
    assert_eq!(stalled.next, Next::Changed);
    let healed = fetch(&unchanged, &stalled.status).status;
    assert_eq!(healed.conditions.iter().count(), 2, "only Ready and ArtifactInStorage are left");
}

#[test]
fn a_source_that_is_fetched_again_says_so() {
    let unchanged = Outcome::Own(Fetched::Unchanged {
        revision: REVISION.into(),
        url: String::new(),
        selection: Selection::default(),
        content: Content::Files,
        is_verified: false,
    });
    let stored = fetch(&unchanged, &SourceStatus::default()).status;
    let refetched = Outcome::Own(Fetched::Updated {
        revision: REVISION.into(),
        digest: "sha256:00".into(),
        subject: Some("bump".into()),
        rewritten: None,
        metadata: BTreeMap::new(),
        url: String::new(),
        selection: Selection::default(),
        content: Content::Files,
        is_verified: false,
    });
    for cause in [FetchCause::Operation, FetchCause::Storage] {
        let outcome =
            Outcome::Own(Fetched::Failed { cause, message: "the host is down".into(), terminal: false });
        let failed = fetch(&outcome, &stored).status;
        for (outcome, told) in [
            (&unchanged, format!("stored artifact for revision '{REVISION}'")),
            (&refetched, "stored artifact for commit 'bump'".into()),
        ] {
            let healed = fetch(outcome, &failed);
            let [notice] = healed.notices.as_slice() else { panic!("{:?}", healed.notices) };
            assert_eq!((notice.warning, notice.reason(), &notice.message), (false, "Succeeded", &told));
            assert_eq!(fetch(outcome, &healed.status).notices, [], "said once");
        }
    }
}

#[test]
fn a_source_tells_no_secret() {
    let mut redactor = Redactor::default();
    redactor.add(b"hunter2-canary");
    let key = key("repo");
    let told = |message: &str, previous: &SourceStatus| {
        let cause = FetchCause::Operation;
        let outcome = Outcome::Own(Fetched::Failed { cause, message: message.into(), terminal: true });
        said(verdict(&outcome, &VerdictContext { redactor: &redactor, ..source_context(&key, previous) }))
    };
    let first = told("got hunter2-canary", &SourceStatus::default());
    assert!(!format!("{first:?}").contains("hunter2"));
    assert_eq!(first.notices[0].message, "got ***");
    assert_eq!(told("got hunter2-canary", &first.status).notices, [], "said once");
    let cut =
        told(&format!("{}hunter2-canary{}", "x".repeat(EVENT_LIMIT - 20), "y".repeat(99)), &first.status);
    assert!(!format!("{cut:?}").contains("hun"));
}

#[test]
fn what_is_known_of_a_signature_is_a_condition_of_its_own() {
    let unchanged = |is_verified| {
        Outcome::Own(Fetched::Unchanged {
            revision: REVISION.into(),
            url: String::new(),
            selection: Selection::default(),
            content: Content::Files,
            is_verified,
        })
    };
    let verified = fetch(&unchanged(true), &SourceStatus::default()).status;
    let said = verified.conditions.get("SourceVerified").unwrap();
    assert_eq!((said.status, said.reason.as_str()), (ConditionStatus::True, "Succeeded"));
    assert_eq!(said.message, format!("verified signature of revision {REVISION}"));
    let unsigned = Outcome::Own(Fetched::Failed {
        cause: FetchCause::Signature,
        message: "no matching signatures".into(),
        terminal: false,
    });
    let failed = fetch(&unsigned, &verified).status;
    let said = failed.conditions.get("SourceVerified").unwrap();
    assert_eq!((said.status, said.reason.as_str()), (ConditionStatus::False, "VerificationError"));
    assert_eq!(failed.conditions.get("Ready").unwrap().reason, "VerificationError");
    assert!(failed.conditions.get("FetchFailed").is_none(), "it was fetched as far as that goes");
    assert_eq!(failed.artifact, verified.artifact, "what is held stays");
    let without = fetch(&unchanged(false), &failed).status;
    assert!(without.conditions.get("SourceVerified").is_none(), "it is not asked for any more");
}
