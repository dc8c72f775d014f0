//! Judges what only a fetch of a source can end in.

use std::collections::BTreeMap;

use crate::api::{OciRepository, SourceStatus};
use crate::queue::Next;
use crate::verdict::context::Context;
use crate::verdict::face::Face;
use crate::verdict::judgement::{Failure, Judgement, Success};
use crate::verdict::notice::Notice;
use crate::verdict::outcome::{FetchCause, Fetched};
use crate::verdict::reason::Reason;
use crate::verdict::texts;
use crate::verdict::writer::Writer;
use lockgate_base::model::KindId;

/// `failed` is whether the status says that the last fetch failed.
pub(in crate::verdict) fn judge(
    fetched: &Fetched,
    failed: bool,
    context: &Context<'_, SourceStatus>,
) -> Judgement {
    match fetched {
        Fetched::Updated { revision, subject, rewritten, metadata, url, .. } => {
            let news = texts::fetched(context.key.kind, revision, subject.as_deref(), url, metadata);
            let mut notices: Vec<Notice> =
                stored_notice(revision, &news, failed, context).into_iter().collect();
            if let Some(old) = rewritten {
                let message = format!("history rewritten: '{revision}' does not descend from {old}");
                let writer = Writer::new(context);
                notices.push(writer.notice(true, Reason::HistoryRewritten, &message, Some(revision)));
            }
            stored(revision, notices, context)
        }
        Fetched::Unchanged { revision, url, .. } => {
            let none = BTreeMap::new();
            let artifact = context.previous.artifact.as_ref();
            let metadata = artifact.map_or(&none, |artifact| &artifact.metadata);
            let news = texts::fetched(context.key.kind, revision, None, url, metadata);
            stored(revision, stored_notice(revision, &news, failed, context).into_iter().collect(), context)
        }
        Fetched::Failed { cause, message, terminal } => {
            let next = match cause {
                _ if *terminal => Next::Changed,
                // A host may shut out for good who tries wrong credentials again and again.
                FetchCause::Authentication => Next::BackoffTo(context.schedule.interval),
                _ => Next::Backoff,
            };
            let failure = Failure::fetching(reason(context.key.kind, *cause), message.clone(), next);
            Judgement::Failure(if *terminal { failure.stalled() } else { failure })
        }
    }
}

fn stored(revision: &str, notices: Vec<Notice>, context: &Context<'_, SourceStatus>) -> Judgement {
    let message = texts::stored(context.key.kind, revision);
    Judgement::Success(Success { reason: Reason::Succeeded, message, notices })
}

/// An artifact that the status already names is news to this process only, unless it could not be fetched for a while.
fn stored_notice(
    revision: &str,
    news: &str,
    failed: bool,
    context: &Context<'_, SourceStatus>,
) -> Option<Notice> {
    let reason = match (context.previous.is_at(revision), failed) {
        (false, _) => Reason::NewArtifact,
        (true, true) => Reason::Succeeded,
        (true, false) => return None,
    };
    Some(Writer::new(context).notice(false, reason, news, Some(revision)))
}

/// What Flux's condition FetchFailed gives as its reason.
fn reason(kind: KindId, cause: FetchCause) -> Reason {
    match cause {
        FetchCause::Authentication => Reason::AuthenticationFailed,
        FetchCause::Operation => operation_failed(kind),
        FetchCause::Listing => Reason::ReadOperationFailed,
        FetchCause::Content => Reason::OciLayerOperationFailed,
        FetchCause::Url => Reason::UrlInvalid,
        FetchCause::Empty => Reason::EmptyRepository,
        FetchCause::Storage => Reason::StorageOperationFailed,
    }
}

/// The reason where the host, the network, or what was asked of them is to blame.
pub(in crate::verdict) fn operation_failed(kind: KindId) -> Reason {
    if kind == OciRepository::ID { Reason::OciPullFailed } else { Reason::GitOperationFailed }
}
