//! One fetch of one source, from the known object to the reported status.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::log::log;
use super::shared::Shared;
use super::subject::Subject;
use super::world::SeenObject;
use crate::cluster::Reader;
use crate::source::{Ask, FetchAnswer, Held, NoUpstream, SourceInputs, Upstream};
use lockgate_base::keys;
use lockgate_base::model::{Condition, ConditionStatus, Digest, Ref};
use lockgate_core::api::{Metadata, Selection, Source, SourceStatus};
use lockgate_core::queue::{Next, RunEnd, RunId, Signal};
use lockgate_core::verdict::{
    self, Common, NO_SECRETS, Outcome, Redactor, Said, Schedule, Verdict, VerdictContext, verdict,
};

/// How many fetches are started at one time. Enough that those waiting for a silent host leave room for
/// others; the adapter runs only a few of them, and fewer for each host.
pub(super) const AT_ONCE: usize = 1024;
/// The interval of a malformed object.
const UNKNOWN: Duration = Duration::from_mins(10);

/// The end of a fetch.
struct Finish {
    outcome: Outcome<verdict::Fetched>,
    /// The fetched files, if they are new.
    held: Option<Held>,
    /// The message for dependents of a source without files.
    says: Option<String>,
    redactor: Redactor,
}

impl Finish {
    fn of(outcome: impl Into<Outcome<verdict::Fetched>>) -> Self {
        Self { outcome: outcome.into(), held: None, says: None, redactor: Redactor::default() }
    }
}

/// Fetches, reports, and returns the signal for the queue. Once `cancel` is true, the result is no longer
/// needed.
pub(super) async fn fetch(
    shared: Arc<Shared>,
    key: Ref,
    run: RunId,
    mut cancel: watch::Receiver<bool>,
) -> Signal {
    let started = shared.clock.now();
    let fetched =
        |revision, end: RunEnd| Signal::Finished { key: key.clone(), run, end: RunEnd { revision, ..end } };
    let Some((seen, held)) = shared.world.source(&key) else {
        return fetched(None, RunEnd::silent(Next::Changed));
    };
    if shared.leaves(key.kind) {
        let held = held.map(|held| identity(&held, &observed(&seen)));
        return fetched(held, RunEnd::silent(Next::Backoff));
    }
    if seen.metadata().deletion_timestamp.is_some() {
        let next = remove_finalizer(&shared, &key, seen.metadata()).await;
        let held = held.map(|held| identity(&held, &observed(&seen)));
        return fetched(held, RunEnd::silent(next));
    }
    if held.is_none() && was_made_paused(&seen) {
        return fetched(None, RunEnd::silent(Next::Changed));
    }
    let seen = begin(&shared, &key, seen).await;
    let found = tokio::select! {
        biased;
        found = admitted(&shared, &key, &seen, held.as_ref()) => found,
        _ = cancel.wait_for(|cancel| *cancel) => {
            let held = held.map(|held| identity(&held, &observed(&seen)));
            return fetched(held, RunEnd::silent(Next::Changed));
        }
    };
    let is_success = found.outcome.is_success();
    if let Some(held) = &found.held {
        shared.world.store(&key, &seen.metadata().uid, held.clone());
    }
    let selection = if is_success { wanted(&seen) } else { observed(&seen) };
    let held = found.held.as_ref().or(held.as_ref()).map(|held| identity(held, &selection));
    let held = found.says.clone().or(held);
    let reported = report(&shared, &key, &seen, &found).await;
    shared.metrics.ended(&key, shared.clock.since(started), is_success);
    fetched(held, reported)
}

/// Whether a source is suspended and has never been fetched, by Flux or by lockgate, so that no object
/// depends on its files.
fn was_made_paused(seen: &SeenObject<Source>) -> bool {
    matches!(seen, SeenObject::Sound(source) if source.spec.suspended() && source.status.artifact.is_none())
}

/// The text that distinguishes one state of a source from another: its revision, and the selected part.
fn identity(held: &Held, selection: &Selection) -> String {
    let revision = held.revision();
    if *selection == Selection::default() {
        return revision.to_string();
    }
    format!("{revision} of {}", Digest::of(format!("{selection:?}")))
}

/// The part of the revision that the spec selects.
fn wanted(seen: &SeenObject<Source>) -> Selection {
    match seen {
        SeenObject::Sound(source) => source.spec.selection(),
        SeenObject::Malformed { .. } => Selection::default(),
    }
}

/// The part of the revision that was fetched last, by the status.
fn observed(seen: &SeenObject<Source>) -> Selection {
    match seen {
        SeenObject::Sound(source) => source.status.selection(),
        SeenObject::Malformed { .. } => Selection::default(),
    }
}

/// Removes the finalizer that Flux leaves on its sources. lockgate has nothing to clean up for a source.
async fn remove_finalizer(shared: &Shared, key: &Ref, metadata: &Metadata) -> Next {
    let subject = Subject::of(key, metadata);
    match shared.reporter.remove_finalizer(&subject, &metadata.finalizers, keys::FINALIZER).await {
        Ok(()) => Next::Changed,
        Err(error) => {
            tracing::warn!(kind = key.kind.kind, name = key.name, namespace = key.namespace, %error,
                           "failed to remove the finalizer");
            Next::Backoff
        }
    }
}

/// Reports that a generation is being fetched, if nothing has been reported of it yet. The fetch continues
/// even if this fails, since its end is reported too.
async fn begin(shared: &Shared, key: &Ref, seen: SeenObject<Source>) -> SeenObject<Source> {
    let SeenObject::Sound(source) = &seen else { return seen };
    if source.spec.is_static() {
        return seen;
    }
    let context = context(shared, key, &seen, &source.status);
    let Some(status) = verdict::fetching(&context) else { return seen };
    let subject = Subject::of(key, &source.metadata);
    let known = shared.world.version::<Source>(key);
    if let Ok(version) = shared.reporter.status(&subject, known, &source.status, &status).await {
        shared.world.wrote::<Source>(key, version, |object| object.status = status.into_inner());
    }
    shared.world.source(key).map_or(seen, |(seen, _)| seen)
}

/// Fetches, unless the agent has ended during earlier fetches of the object. Meanwhile the fetch is marked as
/// running.
async fn admitted(shared: &Shared, key: &Ref, seen: &SeenObject<Source>, held: Option<&Held>) -> Finish {
    let metadata = seen.metadata();
    let requested_at = metadata.annotations.get(keys::REQUESTED_AT).map_or("", String::as_str);
    let state = format!("{}/{}/{requested_at}", metadata.uid, metadata.generation);
    match shared.quarantine.admit(key, state).await {
        Ok(pass) => {
            let begun = Arc::new(pass).begin();
            let found = guarded(look(shared, seen, held)).await;
            begun.done();
            found
        }
        Err(outcome) => Finish::of(outcome),
    }
}

async fn guarded(look: impl Future<Output = Finish>) -> Finish {
    use futures::FutureExt as _;
    match std::panic::AssertUnwindSafe(look).catch_unwind().await {
        Ok(found) => found,
        Err(_) => Finish::of(Common::Panicked { message: super::fault::place() }),
    }
}

async fn look(shared: &Shared, seen: &SeenObject<Source>, held: Option<&Held>) -> Finish {
    let source = match seen {
        SeenObject::Sound(source) => source,
        SeenObject::Malformed { message, .. } => {
            return Finish::of(Common::Malformed { message: message.clone() });
        }
    };
    // If an unsupported field were ignored, the fetch would return something else than the user asked for.
    if let Some(message) = verdict::unsupported(&source.unserved) {
        return Finish::of(Common::Malformed { message });
    }
    let Some(adapter) = shared.sources.of(source.kind) else {
        let message = format!("no adapter fetches objects of the kind {}", source.kind.kind);
        return Finish::of(Common::Malformed { message });
    };
    let upstream = match source.upstream() {
        None => None,
        Some(Ok(key)) => Some(upstream(shared, key)),
        Some(Err(message)) => return Finish::of(Common::Malformed { message }),
    };
    let inputs = SourceInputs::of(Reader::of(shared.cluster.clone()), &source.metadata.namespace);
    let ask = Ask { source, held, upstream: upstream.as_ref(), inputs: &inputs };
    // Content that must be signed stays so even if the host cannot be reached.
    let resumed = if held.is_none() { adapter.resume(&ask).await } else { None };
    if let Some(resumed) = &resumed {
        let Metadata { name, namespace, .. } = &source.metadata;
        let revision = resumed.revision().to_string();
        tracing::info!(
            kind = source.kind.kind,
            name,
            namespace,
            revision,
            "took up what was fetched before the restart"
        );
    }
    let ask = Ask { held: held.or(resumed.as_ref()), ..ask };
    let fetched = adapter.fetch(&ask).await;
    let redactor = inputs.into_redactor();
    let (url, selection) = (source.spec.url().to_owned(), source.spec.selection());
    let is_verified = source.spec.is_verified();
    let finish = match fetched {
        Ok(FetchAnswer::Unchanged { revision, content }) => {
            let revision = revision.to_string();
            Finish::of(verdict::Fetched::Unchanged { revision, url, selection, content, is_verified })
        }
        Ok(FetchAnswer::Updated(news)) => {
            for warning in &news.warnings {
                tracing::warn!(kind = source.kind.kind, name = source.metadata.name, %warning, "file left out of the artifact");
            }
            let outcome = verdict::Fetched::Updated {
                revision: news.held.revision().to_string(),
                digest: news.held.digest().to_string(),
                subject: news.subject,
                rewritten: news.rewritten,
                metadata: news.metadata,
                url,
                selection,
                content: news.content,
                is_verified,
            };
            Finish { held: Some(news.held), ..Finish::of(outcome) }
        }
        Ok(FetchAnswer::Static { says }) => {
            Finish { says: Some(says), ..Finish::of(verdict::Fetched::Static) }
        }
        Err(outcome) => Finish::of(outcome),
    };
    Finish { redactor, held: finish.held.or(resumed), ..finish }
}

fn upstream(shared: &Shared, key: Ref) -> Upstream {
    let (source, held) = match shared.world.source(&key) {
        Some((SeenObject::Sound(source), held)) => (Ok(source), held),
        Some((SeenObject::Malformed { message, .. }, held)) => (Err(NoUpstream::Malformed(message)), held),
        None => (Err(NoUpstream::Missing), None),
    };
    Upstream { key, source, held }
}

fn context<'a>(
    shared: &Shared,
    key: &'a Ref,
    seen: &'a SeenObject<Source>,
    previous: &'a SourceStatus,
) -> VerdictContext<'a, SourceStatus> {
    let interval = match seen {
        SeenObject::Sound(source) => source.spec.interval(),
        SeenObject::Malformed { .. } => UNKNOWN.into(),
    };
    let metadata = seen.metadata();
    VerdictContext {
        key,
        generation: metadata.generation,
        schedule: Schedule::new(interval, None, None),
        requested_at: metadata.annotations.get(keys::REQUESTED_AT).map(String::as_str),
        previous,
        revision: previous.artifact.as_ref().map(|artifact| artifact.revision.as_str()),
        origin: None,
        now: crate::clock::timestamp(shared.clock.wall()),
        took: Duration::ZERO,
        redactor: &NO_SECRETS,
    }
}

async fn report(shared: &Shared, key: &Ref, seen: &SeenObject<Source>, found: &Finish) -> RunEnd {
    let previous = match seen {
        SeenObject::Sound(source) => source.status.clone(),
        SeenObject::Malformed { .. } => SourceStatus::default(),
    };
    let context = VerdictContext { redactor: &found.redactor, ..context(shared, key, seen, &previous) };
    let said = match verdict(&found.outcome, &context) {
        Verdict::Say(said) => said,
        kept @ (Verdict::Keep { .. } | Verdict::LetGo(_)) => return RunEnd::silent(kept.next()),
    };
    let subject = Subject::of(key, seen.metadata());
    if *said.status != previous {
        log(key, &said);
    }
    let known = shared.world.version::<Source>(key);
    match shared.reporter.status(&subject, known, &previous, &said.status).await {
        Ok(version) => {
            let Said { status, notices, next } = said;
            let is_true = |ready: &Condition| ready.status == ConditionStatus::True;
            let ready = status.conditions.get("Ready").is_some_and(is_true);
            shared.world.wrote::<Source>(key, version, |object| object.status = status.into_inner());
            shared.tell_of(&subject, &notices);
            RunEnd { ready, news: !notices.is_empty(), ..RunEnd::silent(next) }
        }
        // Retried even if the object seems to be deleted: if it is, the watch ends the retries.
        Err(error) => {
            error.log(&subject);
            RunEnd::silent(Next::Backoff)
        }
    }
}

fn log(key: &Ref, said: &Said<SourceStatus>) {
    let status = &said.status;
    let ready = status.conditions.get("Ready");
    let reason = ready.map(|ready| ready.reason.as_str());
    let message = ready.map_or("", |ready| ready.message.as_str());
    let revision = status.artifact.as_ref().map(|artifact| artifact.revision.as_str());
    let (kind, name, namespace) = (key.kind.kind, &key.name, &key.namespace);
    log!(ready, said.notices, kind, name, namespace, revision, reason, "{message}");
}
