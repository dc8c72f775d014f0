//! Judges what only a fetch of a source can end in.

use crate::queue::Next;
use crate::verdict::context::Context;
use crate::verdict::face::Face;
use crate::verdict::judgement::{Failure, Judgement, Success};
use crate::verdict::notice::Notice;
use crate::verdict::outcome::{FetchCause, Fetched};
use crate::verdict::reason::Reason;
use crate::verdict::writer::Writer;

/// `failed` is whether the status says that the last fetch failed.
pub(in crate::verdict) fn judge<F: Face>(
    fetched: &Fetched,
    failed: bool,
    context: &Context<'_, F>,
) -> Judgement {
    match fetched {
        Fetched::Updated { revision, subject, rewritten, .. } => {
            let mut notices: Vec<Notice> =
                stored_notice(revision, subject.as_deref(), failed, context).into_iter().collect();
            if let Some(old) = rewritten {
                let message = format!("history rewritten: '{revision}' does not descend from {old}");
                let writer = Writer::new(context);
                notices.push(writer.notice(true, Reason::HistoryRewritten, &message, Some(revision)));
            }
            stored(revision, notices)
        }
        Fetched::Unchanged { revision, .. } => {
            stored(revision, stored_notice(revision, None, failed, context).into_iter().collect())
        }
        Fetched::Failed { cause, message, terminal } => {
            let next = if *terminal { Next::Changed } else { Next::Backoff };
            let failure = Failure::fetching(reason(*cause), message.clone(), next);
            Judgement::Failure(if *terminal { failure.stalled() } else { failure })
        }
    }
}

fn stored(revision: &str, notices: Vec<Notice>) -> Judgement {
    let message = format!("stored artifact for revision '{revision}'");
    Judgement::Success(Success { reason: Reason::Succeeded, message, notices })
}

/// An artifact that the status already names is news to this process only, unless it could not be fetched for a while.
fn stored_notice<F: Face>(
    revision: &str,
    subject: Option<&str>,
    failed: bool,
    context: &Context<'_, F>,
) -> Option<Notice> {
    let reason = match (context.previous.is_at(revision), failed) {
        (false, _) => Reason::NewArtifact,
        (true, true) => Reason::Succeeded,
        (true, false) => return None,
    };
    let message = match subject {
        Some(subject) => format!("stored artifact for commit '{subject}'"),
        None => format!("stored artifact for revision '{revision}'"),
    };
    Some(Writer::new(context).notice(false, reason, &message, Some(revision)))
}

const fn reason(cause: FetchCause) -> Reason {
    match cause {
        FetchCause::Authentication => Reason::AuthenticationFailed,
        FetchCause::Operation => Reason::GitOperationFailed,
        FetchCause::Url => Reason::UrlInvalid,
        FetchCause::Empty => Reason::EmptyRepository,
        FetchCause::Storage => Reason::StorageOperationFailed,
    }
}
