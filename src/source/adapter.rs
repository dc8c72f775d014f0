//! The agent's interface to a kind of source, and the input of one fetch.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::held::Held;
use super::inputs::SourceInputs;
use lockgate_base::model::{Duration as Time, KindId, Ref, Revision};
use lockgate_core::api::{Source, SourceSpec};
use lockgate_core::verdict::{self, Content, FetchCause};
use lockgate_git::{FailureClass, FetchFinding, SourceError, Update};

/// Flux's default of `spec.timeout`.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The longest `spec.timeout` that counts: a silent host may occupy a thread for this long.
const CEILING: Duration = Duration::from_mins(10);

/// The future result of a fetch, for the verdict.
pub(crate) type VerdictFuture<'f> =
    Pin<Box<dyn Future<Output = Result<FetchAnswer, verdict::Fetched>> + Send + 'f>>;

/// The future result of a search for the files of an earlier process.
pub(crate) type ResumeFuture<'f> = Pin<Box<dyn Future<Output = Option<Held>> + Send + 'f>>;

/// The result of a fetch.
pub(crate) enum FetchAnswer {
    /// The fetched revision is still the wanted one.
    Unchanged {
        /// The revision.
        revision: Revision,
        /// The content of the revision.
        content: Content,
    },
    /// A new revision.
    Updated(Box<FetchedNews>),
    /// The object is not fetched; it tells other sources where to fetch.
    Static {
        /// The text on which dependents depend: they are notified when it changes.
        says: String,
    },
}

/// A newly fetched revision.
pub(crate) struct FetchedNews {
    pub(crate) held: Held,
    pub(crate) content: Content,
    /// The subject of the commit, if it is known.
    pub(crate) subject: Option<String>,
    /// The maker's metadata.
    pub(crate) metadata: BTreeMap<String, String>,
    /// The previous commit, if the new one does not descend from it.
    pub(crate) rewritten: Option<String>,
    /// What was left out, and why.
    pub(crate) warnings: Vec<String>,
}

impl FetchedNews {
    /// A fetched revision without further information.
    pub(super) fn of(held: Held, content: Content) -> Self {
        let metadata = BTreeMap::new();
        Self { held, content, subject: None, metadata, rewritten: None, warnings: Vec::new() }
    }
}

impl From<FetchFinding> for FetchAnswer {
    fn from(fetched: FetchFinding) -> Self {
        match fetched {
            FetchFinding::Unchanged(revision) => Self::Unchanged { revision, content: Content::Files },
            FetchFinding::Updated(Update { snapshot, subject, metadata, rewritten, warnings, .. }) => {
                let news = FetchedNews::of(Held::Files(snapshot), Content::Files);
                Self::Updated(Box::new(FetchedNews { subject, metadata, rewritten, warnings, ..news }))
            }
        }
    }
}

/// The adapter of a kind of source.
pub(crate) trait Adapter: Send + Sync {
    /// The kind.
    fn kind(&self) -> KindId;

    /// Fetches the wanted revision of an object. Dropping the future ends the fetch.
    fn fetch<'f>(&'f self, ask: &'f Ask<'f>) -> VerdictFuture<'f>;

    /// The revision in the status, if the files of an earlier process are still there. No host is contacted.
    fn resume<'f>(&'f self, _ask: &'f Ask<'f>) -> ResumeFuture<'f> {
        Box::pin(std::future::ready(None))
    }
}

/// The input of a fetch.
pub(crate) struct Ask<'a> {
    /// The source.
    pub source: &'a Source,
    /// The fetched files of the source, if any.
    pub held: Option<&'a Held>,
    /// The source that it is made from, if any.
    pub upstream: Option<&'a Upstream>,
    /// The Secrets that it names.
    pub inputs: &'a SourceInputs<'a>,
}

/// The source from which another one is made.
pub(crate) struct Upstream {
    /// The name of the source.
    pub(crate) key: Ref,
    /// The source, if it can be read.
    pub(crate) source: Result<Arc<Source>, NoUpstream>,
    /// The fetched files of the source, if any.
    pub(crate) held: Option<Held>,
}

/// Why a source cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoUpstream {
    /// It does not exist.
    Missing,
    /// It is malformed; the text says how.
    Malformed(String),
}

impl<'a> Ask<'a> {
    /// The object's `spec` as the type of its kind.
    pub(super) fn spec<S: SourceSpec>(&self) -> Result<&'a S, verdict::Fetched> {
        let foreign = || SourceError::Storage(format!("{} is of another kind", self.source.reference()));
        self.source.spec().ok_or_else(|| failed(&foreign()))
    }

    /// The revision that need not be fetched again: the fetched one, if it has the wanted part and the status
    /// names it. It is fetched again if the status could not be written, and if the object was changed and
    /// demands signatures, since it may not have demanded them before, or by other keys.
    pub(super) fn known(&self) -> Option<Revision> {
        let (spec, status) = (&self.source.spec, &self.source.status);
        if spec.is_verified() && status.observed_generation != Some(self.source.metadata.generation) {
            return None;
        }
        let is_told = |revision: &&Revision| {
            let artifact = status.artifact.as_ref();
            status.selection() == spec.selection()
                && artifact.is_some_and(|artifact| artifact.revision == revision.to_string())
        };
        self.held.map(Held::revision).filter(is_told).cloned()
    }

    /// The revision at which a suspended source stays that this process has not fetched yet: the one in its
    /// status, so that a suspension survives a restart.
    pub(super) fn paused_at(&self) -> Option<Revision> {
        let is_paused = self.source.spec.suspended() && self.held.is_none();
        self.source.status.artifact.as_ref().filter(|_| is_paused)?.revision.parse().ok()
    }

    /// The revision and the digest of an earlier process's files, if the status names the same part. A
    /// suspended source is fetched at its revision.
    pub(super) fn left(&self) -> Option<(Revision, &str)> {
        let (spec, status) = (&self.source.spec, &self.source.status);
        let is_same = status.selection() == spec.selection() && !spec.suspended() && self.held.is_none();
        let artifact = status.artifact.as_ref().filter(|_| is_same)?;
        Some((artifact.revision.parse().ok()?, artifact.digest.as_deref()?))
    }

    /// The time limit of the whole fetch: that of the source that it is made from, if there is one.
    pub(super) fn timeout(&self) -> Duration {
        let upstream = self.upstream.and_then(|upstream| upstream.source.as_ref().ok());
        let spec = upstream.map_or(&self.source.spec, |upstream| &upstream.spec);
        spec.timeout().map_or(TIMEOUT, Time::std).min(CEILING)
    }

    /// The outcome of a failed fetch. If it has reached the agent's time limit, the message says so.
    pub(super) fn failed(&self, error: &SourceError) -> verdict::Fetched {
        at_most(self.source.spec.timeout(), error.class(), failed(error))
    }
}

/// The outcome of a failed fetch with this wished timeout. If it has reached the agent's time limit, the
/// message says so.
fn at_most(wished: Option<Time>, class: FailureClass, failed: verdict::Fetched) -> verdict::Fetched {
    match (wished.filter(|wished| wished.std() > CEILING), failed) {
        (Some(wished), verdict::Fetched::Failed { cause, message, terminal })
            if class == FailureClass::Timeout =>
        {
            let ceiling = Time::from(CEILING);
            let message = format!(
                "{message}; the agent limits a fetch to {ceiling}, less than the {wished} of \
                 spec.timeout"
            );
            verdict::Fetched::Failed { cause, message, terminal }
        }
        (_, failed) => failed,
    }
}

/// The verdict's view of an adapter's failure.
pub(super) fn failed(error: &SourceError) -> verdict::Fetched {
    let cause = match error.class() {
        FailureClass::AuthenticationFailed => FetchCause::Authentication,
        FailureClass::ProviderInvalid => FetchCause::Provider,
        FailureClass::GitOperationFailed | FailureClass::Timeout | FailureClass::ReferenceNotFound => {
            FetchCause::Operation
        }
        FailureClass::UrlInvalid => FetchCause::Url,
        FailureClass::EmptyRepository => FetchCause::Empty,
        FailureClass::ListingFailed => FetchCause::Listing,
        FailureClass::ContentInvalid => FetchCause::Content,
        FailureClass::Unsigned => FetchCause::Signature,
        FailureClass::Storage => FetchCause::Storage,
    };
    verdict::Fetched::Failed { cause, message: error.to_string(), terminal: error.is_terminal() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_of_a_fetch_is_told_where_it_was_reached() {
        let told = |timeout: Option<Duration>, class| {
            let failed = verdict::Fetched::Failed {
                cause: FetchCause::Operation,
                message: "it failed".into(),
                terminal: false,
            };
            match at_most(timeout.map(Into::into), class, failed) {
                verdict::Fetched::Failed { message, .. } => message,
                other => panic!("{other:?}"),
            }
        };
        let day = Some(Duration::from_hours(24));
        let ceiling = "it failed; the agent limits a fetch to 10m0s, less than the 24h0m0s of spec.timeout";
        assert_eq!(told(day, FailureClass::Timeout), ceiling);
        assert_eq!(told(day, FailureClass::AuthenticationFailed), "it failed");
        assert_eq!(told(Some(CEILING), FailureClass::Timeout), "it failed");
        assert_eq!(told(None, FailureClass::Timeout), "it failed");
    }
}
