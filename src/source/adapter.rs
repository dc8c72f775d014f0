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
/// The most that counts of `spec.timeout`: for so long a host that does not answer may hold one of the
/// threads.
const CEILING: Duration = Duration::from_mins(10);

/// What a fetch will have found, or why it found nothing: what the verdict is told.
pub(crate) type VerdictFuture<'f> =
    Pin<Box<dyn Future<Output = Result<FetchAnswer, verdict::Fetched>> + Send + 'f>>;

/// What an earlier process will have been found to have left.
pub(crate) type ResumeFuture<'f> = Pin<Box<dyn Future<Output = Option<Held>> + Send + 'f>>;

/// What a fetch found.
pub(crate) enum FetchAnswer {
    /// What is held is still what is wanted.
    Unchanged {
        /// Its revision.
        revision: Revision,
        /// What it is.
        content: Content,
    },
    /// Something else.
    Updated(Box<FetchedNews>),
    /// Nothing is to be fetched of the object, which says where others are to be fetched from.
    Static {
        /// What they are made from: others are told where it changes.
        says: String,
    },
}

/// What was not held before.
pub(crate) struct FetchedNews {
    pub(crate) held: Held,
    pub(crate) content: Content,
    /// The commit's subject, where known.
    pub(crate) subject: Option<String>,
    /// What its maker says of it.
    pub(crate) metadata: BTreeMap<String, String>,
    /// The commit that was held before, when the new one does not descend from it.
    pub(crate) rewritten: Option<String>,
    /// What was left out, and why.
    pub(crate) warnings: Vec<String>,
}

impl FetchedNews {
    /// What nothing more is known of.
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

/// A kind of source, as the agent fetches it.
pub(crate) trait Adapter: Send + Sync {
    /// Which kind.
    fn kind(&self) -> KindId;

    /// Fetches what an object asks for. Dropping the future ends the fetch.
    fn fetch<'f>(&'f self, ask: &'f Ask<'f>) -> VerdictFuture<'f>;

    /// What the status says to be held, where an earlier process has left it. Nobody is asked for it.
    fn resume<'f>(&'f self, _ask: &'f Ask<'f>) -> ResumeFuture<'f> {
        Box::pin(std::future::ready(None))
    }
}

/// What is fetched, and with what.
pub(crate) struct Ask<'a> {
    /// The object.
    pub source: &'a Source,
    /// What this process holds of it.
    pub held: Option<&'a Held>,
    /// The source that it is made from, where there is one.
    pub upstream: Option<&'a Upstream>,
    /// The Secrets that it names.
    pub inputs: &'a SourceInputs<'a>,
}

/// The source that another one is made from.
pub(crate) struct Upstream {
    /// Which.
    pub(crate) key: Ref,
    /// The object, where it can be read.
    pub(crate) source: Result<Arc<Source>, NoUpstream>,
    /// What this process holds of it.
    pub(crate) held: Option<Held>,
}

/// Why there is nothing to read of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoUpstream {
    /// It is not there.
    Missing,
    /// It is not of its kind's form: what is wrong with it.
    Malformed(String),
}

impl<'a> Ask<'a> {
    /// The object's `spec` as the type of its kind.
    pub(super) fn spec<S: SourceSpec>(&self) -> Result<&'a S, verdict::Fetched> {
        let foreign = || SourceError::Storage(format!("{} is of another kind", self.source.reference()));
        self.source.spec().ok_or_else(|| failed(&foreign()))
    }

    /// The revision that need not be fetched again: what is held, of the same part of it, and as the status
    /// says. A status that could not be written asks for it anew, and so does an object that was changed and
    /// wants signatures: it may not have wanted them before, or by other keys.
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

    /// The revision at which a paused source stays that this process has not fetched yet: the one that its
    /// status names, so that pausing holds over a restart.
    pub(super) fn paused_at(&self) -> Option<Revision> {
        let is_paused = self.source.spec.suspended() && self.held.is_none();
        self.source.status.artifact.as_ref().filter(|_| is_paused)?.revision.parse().ok()
    }

    /// The revision and the digest of what an earlier process held, where the status still tells of the same
    /// part of it. A paused source is fetched at its revision.
    pub(super) fn left(&self) -> Option<(Revision, &str)> {
        let (spec, status) = (&self.source.spec, &self.source.status);
        let is_same = status.selection() == spec.selection() && !spec.suspended() && self.held.is_none();
        let artifact = status.artifact.as_ref().filter(|_| is_same)?;
        Some((artifact.revision.parse().ok()?, artifact.digest.as_deref()?))
    }

    /// The wall-clock limit of the whole fetch: that of the source that it is made from, where there is one.
    pub(super) fn timeout(&self) -> Duration {
        let upstream = self.upstream.and_then(|upstream| upstream.source.as_ref().ok());
        let spec = upstream.map_or(&self.source.spec, |upstream| &upstream.spec);
        spec.timeout().map_or(TIMEOUT, Time::std).min(CEILING)
    }

    /// What became of the fetch, with the ceiling of its time where it ended there.
    pub(super) fn failed(&self, error: &SourceError) -> verdict::Fetched {
        at_most(self.source.spec.timeout(), error.class(), failed(error))
    }
}

/// What became of a fetch that was to have so much time, with the ceiling of that where it ended there.
fn at_most(wished: Option<Time>, class: FailureClass, failed: verdict::Fetched) -> verdict::Fetched {
    match (wished.filter(|wished| wished.std() > CEILING), failed) {
        (Some(wished), verdict::Fetched::Failed { cause, message, terminal })
            if class == FailureClass::Timeout =>
        {
            let ceiling = Time::from(CEILING);
            let message =
                format!("{message}; a fetch may take at most {ceiling}, not the {wished} of spec.timeout");
            verdict::Fetched::Failed { cause, message, terminal }
        }
        (_, failed) => failed,
    }
}

/// A failure of an adapter, as the verdict is told of it.
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
        let ceiling = "it failed; a fetch may take at most 10m0s, not the 24h0m0s of spec.timeout";
        assert_eq!(told(day, FailureClass::Timeout), ceiling);
        assert_eq!(told(day, FailureClass::AuthenticationFailed), "it failed");
        assert_eq!(told(Some(CEILING), FailureClass::Timeout), "it failed");
        assert_eq!(told(None, FailureClass::Timeout), "it failed");
    }
}
