//! Judges the outcomes that only a fetch of a source has.

use std::collections::BTreeMap;

use crate::api::{HelmRepository, OciRepository, SourceStatus};
use crate::queue::Next;
use crate::verdict::context::VerdictContext;
use crate::verdict::face::Face;
use crate::verdict::judgement::{Failure, Judgement, Success};
use crate::verdict::notice::Notice;
use crate::verdict::outcome::{Content, FetchCause, Fetched};
use crate::verdict::reason::Reason;
use crate::verdict::texts;
use crate::verdict::writer::Writer;
use lockgate_base::model::KindId;

/// `failed` is whether the status says that the last fetch failed.
pub(in crate::verdict) fn judge(
    fetched: &Fetched,
    failed: bool,
    context: &VerdictContext<'_, SourceStatus>,
) -> Judgement {
    match fetched {
        Fetched::Updated { revision, subject, rewritten, metadata, url, content, .. } => {
            let subject = subject.as_deref();
            let news = texts::fetched(context.key.kind, revision, subject, url, metadata, content);
            let mut notices: Vec<Notice> =
                stored_notice(revision, &news, content, failed, context).into_iter().collect();
            if let Some(old) = rewritten {
                let message = format!("history rewritten: '{revision}' does not descend from {old}");
                let writer = Writer::new(context);
                notices.push(writer.notice(true, Reason::HistoryRewritten, &message, Some(revision)));
            }
            stored(revision, content, notices, context)
        }
        Fetched::Unchanged { revision, url, content, .. } => {
            let none = BTreeMap::new();
            let artifact = context.previous.artifact.as_ref();
            let metadata = artifact.map_or(&none, |artifact| &artifact.metadata);
            let news = texts::fetched(context.key.kind, revision, None, url, metadata, content);
            let notices = stored_notice(revision, &news, content, failed, context).into_iter().collect();
            stored(revision, content, notices, context)
        }
        Fetched::Static => Judgement::Unsaid(Next::Changed),
        Fetched::Failed { cause, message, terminal } => {
            let next = match cause {
                _ if *terminal || cause.is_waited_for() => Next::Changed,
                // A host may shut out for good who tries wrong credentials again and again.
                FetchCause::Authentication | FetchCause::Provider => {
                    Next::BackoffTo(context.schedule.interval)
                }
                _ => Next::Backoff,
            };
            let failure = Failure::fetching(reason(context.key.kind, *cause), message.clone(), next);
            let failure = if cause.is_waited_for() { failure.expected() } else { failure };
            Judgement::Failure(if *terminal { failure.stalled() } else { failure })
        }
    }
}

fn stored(
    revision: &str,
    content: &Content,
    notices: Vec<Notice>,
    context: &VerdictContext<'_, SourceStatus>,
) -> Judgement {
    let message = texts::stored(context.key.kind, revision, content);
    let reason = made(content).unwrap_or(Reason::Succeeded);
    Judgement::Success(Success { reason, message, notices })
}

/// The reason that says how a chart was made; `None` for other content.
const fn made(content: &Content) -> Option<Reason> {
    match content {
        Content::Chart(chart) if chart.is_packaged => Some(Reason::ChartPackageSucceeded),
        Content::Chart(_) => Some(Reason::ChartPullSucceeded),
        Content::Files | Content::Index { .. } => None,
    }
}

/// An artifact that the status already names is news to this process only, unless it could not be fetched for
/// a while.
fn stored_notice(
    revision: &str,
    news: &str,
    content: &Content,
    failed: bool,
    context: &VerdictContext<'_, SourceStatus>,
) -> Option<Notice> {
    let reason = match (context.previous.is_at(revision), failed) {
        (false, _) => Reason::NewArtifact,
        (true, true) => Reason::Succeeded,
        (true, false) => return None,
    };
    let reason = made(content).unwrap_or(reason);
    Some(Writer::new(context).notice(false, reason, news, Some(revision)))
}

/// The reason that Flux's condition FetchFailed would have.
fn reason(kind: KindId, cause: FetchCause) -> Reason {
    match cause {
        FetchCause::Authentication => Reason::AuthenticationFailed,
        FetchCause::Provider => Reason::InvalidProvider,
        FetchCause::Operation => operation_failed(kind),
        FetchCause::Listing if kind == HelmRepository::ID => Reason::Failed,
        FetchCause::Listing => Reason::ReadOperationFailed,
        FetchCause::Content => content_failed(kind),
        FetchCause::Url => Reason::UrlInvalid,
        FetchCause::Empty => Reason::EmptyRepository,
        FetchCause::Signature => Reason::VerificationError,
        FetchCause::Storage => Reason::StorageOperationFailed,
        FetchCause::NoSource => Reason::SourceUnavailable,
        FetchCause::NoArtifact => Reason::NoSourceArtifact,
        FetchCause::Reference => Reason::InvalidChartReference,
        FetchCause::Pull => Reason::ChartPull,
        FetchCause::Version => Reason::MetadataPatch,
        FetchCause::ValuesFiles => Reason::ValuesFiles,
        FetchCause::Dependencies => Reason::DependencyBuild,
        FetchCause::Package => Reason::ChartPackage,
    }
}

/// The reason if the fetched content has the wrong form.
fn content_failed(kind: KindId) -> Reason {
    if kind == HelmRepository::ID { Reason::IndexationFailed } else { Reason::OciLayerOperationFailed }
}

/// The reason if the host, the network, or the request is the cause.
pub(in crate::verdict) fn operation_failed(kind: KindId) -> Reason {
    match kind {
        _ if kind == OciRepository::ID => Reason::OciPullFailed,
        _ if kind == HelmRepository::ID => Reason::Failed,
        _ => Reason::GitOperationFailed,
    }
}
