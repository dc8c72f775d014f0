//! Every written status is read back as the state that it was written for.

use std::collections::HashSet;
use std::mem::discriminant;

use super::sources::fetch;
use super::*;

fn standing(status: &KustomizationStatus) -> Standing {
    Standing::of(3, status)
}

/// The state after an outcome, and whether only a change of the object can end it; `None` if the outcome
/// writes nothing. A new outcome does not compile until it is here.
fn expected(outcome: &Outcome<Applied>) -> Option<(Stance, bool)> {
    Some(match outcome {
        Outcome::Common(common) => match common {
            Common::Suspended | Common::Fenced | Common::Removed { .. } | Common::Abandoned { .. } => {
                return None;
            }
            Common::Unreachable { .. }
            | Common::AccessDenied { .. }
            | Common::InputMissing { .. }
            | Common::RemovalFailed { .. } => (Stance::Failing, false),
            Common::Malformed { .. }
            | Common::Panicked { .. }
            | Common::Quarantined { .. }
            | Common::SourceForbidden { .. } => (Stance::Failing, true),
            Common::Blocked(_) | Common::RemovalWaits { .. } => (Stance::Blocked, false),
            Common::Cyclic(_) => (Stance::Blocked, true),
            Common::SourceMissing { .. } | Common::SourceNotReady { .. } => (Stance::Sourceless, false),
            Common::SourceRefused { .. } => (Stance::Sourceless, true),
        },
        Outcome::Own(applied) => match applied {
            Applied::Cancelled { .. } => return None,
            Applied::Ready(_) | Applied::Unchanged => (Stance::Ready, false),
            Applied::PruneRefused { .. } => (Stance::Failing, true),
            Applied::Unhealthy { .. }
            | Applied::NotEstablished { .. }
            | Applied::Refused { .. }
            | Applied::PruneFailed { .. }
            | Applied::PathMissing { .. }
            | Applied::Unrenderable { .. }
            | Applied::Unsubstituted { .. } => (Stance::Failing, false),
        },
    })
}

/// All outcomes that are no failure.
fn others() -> Vec<Outcome<Applied>> {
    vec![
        Common::Suspended.into(),
        Common::Fenced.into(),
        Common::Unreachable { message: "connection refused".into() }.into(),
        Common::Removed { deleted: 1, note: None }.into(),
        Common::Abandoned { account: "deployer".into(), deleted: 0, left: Vec::new() }.into(),
        Applied::Ready(done()).into(),
        Applied::Unchanged.into(),
        Applied::Cancelled { done: done() }.into(),
    ]
}

#[test]
fn every_outcome_reads_back_as_what_it_is() {
    let key = key("apps");
    let before = KustomizationStatus::default();
    let failures = failures::failures().into_iter().map(|(outcome, ..)| outcome);
    let (mut common, mut applied) = (HashSet::new(), HashSet::new());
    for outcome in failures.chain(others()) {
        match &outcome {
            Outcome::Common(outcome) => common.insert(discriminant(outcome)),
            Outcome::Own(outcome) => applied.insert(discriminant(outcome)),
        };
        match (verdict(&outcome, &context(&key, &before)), expected(&outcome)) {
            (Verdict::Say(said), Some((stance, stalled))) => {
                let ready = said.status.conditions.get("Ready").unwrap();
                let read = Standing {
                    stance,
                    stalled,
                    ready: ready.status,
                    message: ready.message.clone(),
                    since: Some(at(0)),
                };
                assert_eq!(standing(&said.status), read, "{outcome:?}");
            }
            (Verdict::Keep { .. } | Verdict::LetGo(_), None) => {}
            (verdict, expected) => panic!("{outcome:?}: {verdict:?}, {expected:?}"),
        }
    }
    assert_eq!((common.len(), applied.len()), (18, 11), "an outcome is missing here");
}

#[test]
fn what_is_under_way_reads_back_with_what_it_waits_for() {
    let (key, before) = (key("apps"), KustomizationStatus::default());
    assert_eq!(standing(&before).stance, Stance::Progressing(Progress::Unseen));
    let first = context(&key, &before);
    let begun = applying(&first, Vec::new()).into_inner();
    let stage = format!("Detecting drift for revision {REVISION} with a timeout of 9m30s");
    assert_eq!(standing(&begun).stance, Stance::Progressing(Progress::Working(stage)));
    let cause = "image pull: waiting for a node".to_owned();
    let ill = Ill { subject: "Pod/n/p".into(), status: "InProgress".into(), cause };
    let status = waiting(&VerdictContext { previous: &begun, ..first }, &[ill]);
    let waited = "Pod/n/p: image pull: waiting for a node".to_owned();
    assert_eq!(standing(&status).stance, Stance::Progressing(Progress::Waiting(waited)));
}

#[test]
fn ready_is_said_of_the_generation_that_stands() {
    let status = ready();
    assert_eq!(standing(&status).stance, Stance::Ready);
    let edited = Standing::of(4, &status);
    assert_eq!(edited.ready, ConditionStatus::True);
    assert_eq!(
        edited.stance,
        Stance::Progressing(Progress::Working(format!("Applied revision: {REVISION}")))
    );
}

#[test]
fn the_outcomes_of_a_fetch_read_back_too() {
    let failed = |cause| Fetched::Failed { cause, message: "m".into(), terminal: cause == FetchCause::Url };
    let causes = [
        FetchCause::Authentication,
        FetchCause::Provider,
        FetchCause::Operation,
        FetchCause::Url,
        FetchCause::Empty,
        FetchCause::Listing,
        FetchCause::Content,
        FetchCause::Storage,
    ];
    for cause in causes {
        let status = fetch(&failed(cause).into(), &SourceStatus::default()).status;
        let read = Standing::of(2, &*status);
        assert_eq!((read.stance, read.stalled), (Stance::Failing, cause == FetchCause::Url), "{cause:?}");
        assert_eq!(read.message, "m");
    }
    let (revision, url, selection) = (REVISION.to_owned(), String::new(), Selection::default());
    let content = Content::Files;
    let updated = Fetched::Updated {
        revision: revision.clone(),
        digest: "sha256:00".into(),
        subject: None,
        rewritten: None,
        metadata: BTreeMap::new(),
        url: String::new(),
        selection: Selection::default(),
        content: content.clone(),
        is_verified: false,
    };
    for fetched in [updated, Fetched::Unchanged { revision, url, selection, content, is_verified: false }] {
        let status = fetch(&fetched.into(), &SourceStatus::default()).status;
        let read = Standing::of(2, &*status);
        assert_eq!((read.stance, read.ready), (Stance::Ready, ConditionStatus::True));
    }
}
