//! One fetch of one GitRepository, from what is known of it to what is reported.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::log::log;
use super::shared::Shared;
use super::subject::Subject;
use super::world::{Seen, tree_digest};
use lockgate_base::keys;
use lockgate_base::model::{Condition, ConditionStatus, Digest, Duration as Time, Ref};
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{GitRepository, GitRepositorySpec, GitRepositoryStatus, Metadata};
use lockgate_core::pipeline::ports::{DataKind, Reads as _};
use lockgate_core::pipeline::supported;
use lockgate_core::queue::{End, Next, RunId, Signal};
use lockgate_core::verdict::{
    self, Common, Context, FetchCause, NO_SECRETS, Outcome, Redactor, Said, Schedule, Verdict, verdict,
};
use lockgate_git::{Class, SourceError};
use lockgate_git::{Credentials, Fetched, GitUrl, Reference, Request};

/// How many fetches are begun at once: so many that those which wait for a dead host leave room for others. The adapter has
/// few that run, and fewer for each host.
pub(super) const AT_ONCE: usize = 1024;
/// Flux's default of `spec.timeout`.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The most that counts of `spec.timeout`: for so long a host that does not answer may hold one of the threads.
const CEILING: Duration = Duration::from_mins(10);
/// The interval of an object whose own cannot be read.
const UNKNOWN: Duration = Duration::from_mins(10);

/// What a fetch found.
struct Found {
    outcome: Outcome<verdict::Fetched>,
    snapshot: Option<Snapshot>,
    redactor: Redactor,
}

impl Found {
    fn failed(outcome: impl Into<Outcome<verdict::Fetched>>) -> Self {
        Self { outcome: outcome.into(), snapshot: None, redactor: Redactor::default() }
    }
}

/// Fetches, reports, and says what the queue must know. Once `cancel` is true, what is fetched is no longer wanted.
pub(super) async fn fetch(
    shared: Arc<Shared>,
    key: Ref,
    run: RunId,
    mut cancel: watch::Receiver<bool>,
) -> Signal {
    let started = shared.clock.now();
    let fetched =
        |revision, end: End| Signal::Finished { key: key.clone(), run, end: End { revision, ..end } };
    let Some((seen, held)) = shared.world.source(&key) else {
        return fetched(None, End::silent(Next::Changed));
    };
    if seen.metadata().deletion_timestamp.is_some() {
        let next = let_go(&shared, &key, seen.metadata()).await;
        let held = held.map(|held| identity(&held, ignored_before(&seen)));
        return fetched(held, End::silent(next));
    }
    if held.is_none() && was_made_paused(&seen) {
        return fetched(None, End::silent(Next::Changed));
    }
    let seen = begin(&shared, &key, seen).await;
    let found = tokio::select! {
        biased;
        found = guarded(look(&shared, &seen, held.as_ref())) => found,
        _ = cancel.wait_for(|cancel| *cancel) => {
            let held = held.map(|held| identity(&held, ignored_before(&seen)));
            return fetched(held, End::silent(Next::Changed));
        }
    };
    let is_success = found.outcome.is_success();
    if let Some(snapshot) = &found.snapshot {
        shared.world.store(&key, &seen.metadata().uid, snapshot.clone());
    }
    let ignore = if is_success { ignored_now(&seen) } else { ignored_before(&seen) };
    let held = found.snapshot.as_ref().or(held.as_ref()).map(|snapshot| identity(snapshot, ignore));
    let reported = report(&shared, &key, &seen, &found).await;
    shared.metrics.ended(&key, shared.clock.since(started), is_success);
    fetched(held, reported)
}

/// Whether a source is paused and was never fetched, by Flux or by us, so that nothing depends on what it holds.
fn was_made_paused(seen: &Seen<GitRepositorySpec>) -> bool {
    matches!(seen, Seen::Sound(repository) if repository.spec.suspend && repository.status.artifact.is_none())
}

/// What tells one state of a source from another: its revision, and what was left out of it.
fn identity(snapshot: &Snapshot, ignore: Option<&str>) -> String {
    let without = ignore.map(|ignore| format!(" without {}", Digest::of(ignore))).unwrap_or_default();
    format!("{}{without}", snapshot.revision)
}

fn ignored_now(seen: &Seen<GitRepositorySpec>) -> Option<&str> {
    match seen {
        Seen::Sound(repository) => repository.spec.ignore.as_deref(),
        Seen::Malformed { .. } => None,
    }
}

fn ignored_before(seen: &Seen<GitRepositorySpec>) -> Option<&str> {
    match seen {
        Seen::Sound(repository) => repository.status.observed_ignore.as_deref(),
        Seen::Malformed { .. } => None,
    }
}

/// Takes off the finalizer that Flux leaves on its sources. Nothing of ours is to be cleaned up.
async fn let_go(shared: &Shared, key: &Ref, metadata: &Metadata) -> Next {
    let subject = Subject::of(key, metadata);
    match shared.reporter.let_go(&subject, &metadata.finalizers, keys::FINALIZER).await {
        Ok(()) => Next::Changed,
        Err(error) => {
            tracing::warn!(kind = GitRepository::ID.kind, name = key.name, namespace = key.namespace, %error,
                           "the finalizer could not be taken off");
            Next::Backoff
        }
    }
}

/// Says that a generation is worked on, where nothing has been said of it yet. That it could not be said is no reason not to
/// fetch: the end of the fetch is said as well.
async fn begin(shared: &Shared, key: &Ref, seen: Seen<GitRepositorySpec>) -> Seen<GitRepositorySpec> {
    let Seen::Sound(repository) = &seen else { return seen };
    let context = context(shared, key, &seen, &repository.status);
    let Some(status) = verdict::fetching(&context) else { return seen };
    let subject = Subject::of(key, &repository.metadata);
    if let Ok(version) = shared.reporter.status(&subject, 0, &repository.status, &status).await {
        shared.world.wrote::<GitRepositorySpec>(key, version, |object| object.status = status.into_inner());
    }
    shared.world.source(key).map_or(seen, |(seen, _)| seen)
}

async fn guarded(look: impl Future<Output = Found>) -> Found {
    use futures::FutureExt as _;
    match std::panic::AssertUnwindSafe(look).catch_unwind().await {
        Ok(found) => found,
        Err(_) => Found::failed(Common::Panicked { message: super::fault::place() }),
    }
}

async fn look(shared: &Shared, seen: &Seen<GitRepositorySpec>, held: Option<&Snapshot>) -> Found {
    let repository = match seen {
        Seen::Sound(repository) => repository,
        Seen::Malformed { message, .. } => {
            return Found::failed(Common::Malformed { message: message.clone() });
        }
    };
    if let Err(outcome) = supported(repository) {
        return Found::failed(outcome);
    }
    let mut redactor = Redactor::default();
    let request = match request(shared, repository, held, &mut redactor).await {
        Ok(request) => request,
        Err(failed) => return Found { outcome: failed.into(), snapshot: None, redactor },
    };
    match shared.git.fetch(request).await {
        Ok(Fetched::Unchanged(revision)) => {
            let outcome = verdict::Fetched::Unchanged {
                revision: revision.to_string(),
                ignore: repository.spec.ignore.clone(),
            };
            Found { outcome: outcome.into(), snapshot: None, redactor }
        }
        Ok(Fetched::Updated(update)) => {
            for warning in &update.warnings {
                tracing::warn!(kind = GitRepository::ID.kind, name = repository.metadata.name, %warning, "left out");
            }
            let outcome = verdict::Fetched::Updated {
                revision: update.snapshot.revision.to_string(),
                digest: tree_digest(&update.snapshot).to_string(),
                subject: Some(update.subject),
                rewritten: update.rewritten,
                ignore: repository.spec.ignore.clone(),
            };
            Found { outcome: outcome.into(), snapshot: Some(update.snapshot), redactor }
        }
        Err(error) => {
            let failed = at_most(repository.spec.timeout, error.class(), failed(&error));
            Found { outcome: failed.into(), snapshot: None, redactor }
        }
    }
}

/// What became of a fetch that was to have so much time, with the ceiling of that where it ended there.
fn at_most(wished: Option<Time>, class: Class, failed: verdict::Fetched) -> verdict::Fetched {
    match (wished.filter(|wished| wished.std() > CEILING), failed) {
        (Some(wished), verdict::Fetched::Failed { cause, message, terminal }) if class == Class::Timeout => {
            let ceiling = Time::from(CEILING);
            let message =
                format!("{message}; a fetch may take at most {ceiling}, not the {wished} of spec.timeout");
            verdict::Fetched::Failed { cause, message, terminal }
        }
        (_, failed) => failed,
    }
}

async fn request(
    shared: &Shared,
    repository: &GitRepository,
    held: Option<&Snapshot>,
    redactor: &mut Redactor,
) -> Result<Request, verdict::Fetched> {
    let spec = &repository.spec;
    let url = GitUrl::parse(&spec.url).map_err(|error| failed(&error))?;
    let secret = secret(shared, repository, redactor).await?;
    let named = secret.as_ref().map(|(name, data)| (name.as_str(), data));
    let credentials = Credentials::read(&url, named).map_err(|error| failed(&error))?;
    // A change of what is left out asks for the tree anew, though the revision is the same; and so does a status that could
    // not be written.
    let is_told = |snapshot: &&Snapshot| {
        let artifact = repository.status.artifact.as_ref();
        repository.status.observed_ignore == spec.ignore
            && artifact.is_some_and(|artifact| artifact.revision == snapshot.revision.to_string())
    };
    Ok(Request {
        namespace: repository.metadata.namespace.clone(),
        url,
        reference: reference(repository, held.is_some()),
        credentials,
        timeout: spec.timeout.map_or(TIMEOUT, Time::std).min(CEILING),
        ignore: spec.ignore.clone(),
        known: held.filter(is_told).map(|snapshot| snapshot.revision.clone()),
    })
}

type Secrets = BTreeMap<String, lockgate_base::model::Secret<Vec<u8>>>;

async fn secret(
    shared: &Shared,
    repository: &GitRepository,
    redactor: &mut Redactor,
) -> Result<Option<(String, Secrets)>, verdict::Fetched> {
    let Some(reference) = &repository.spec.secret_ref else { return Ok(None) };
    let namespace = &repository.metadata.namespace;
    let name = format!("Secret {namespace}/{}", reference.name);
    match shared.cluster.data(DataKind::Secret, namespace, &reference.name).await {
        Ok(Some(data)) => {
            let public = ["known_hosts", "identity.pub", "username", "ca.crt", "caFile", "tls.crt"];
            for (_, value) in data.iter().filter(|(key, _)| !public.contains(&key.as_str())) {
                redactor.add(value.expose());
            }
            Ok(Some((name, data)))
        }
        Ok(None) => Err(verdict::Fetched::Failed {
            cause: FetchCause::Authentication,
            message: format!("{name} not found: create it, or correct spec.secretRef"),
            terminal: false,
        }),
        Err(failure) => Err(verdict::Fetched::Failed {
            cause: FetchCause::Authentication,
            message: format!("{name} cannot be read: {failure}"),
            terminal: false,
        }),
    }
}

/// What to check out. A paused source that this process has not fetched yet is fetched at the revision that its status
/// names, so that pausing holds over a restart.
fn reference(repository: &GitRepository, is_held: bool) -> Reference {
    let paused_at = repository.status.artifact.as_ref().filter(|_| repository.spec.suspend && !is_held);
    let wanted = repository.spec.reference.clone().unwrap_or_default();
    Reference {
        branch: wanted.branch,
        tag: wanted.tag,
        semver: wanted.semver,
        name: wanted.name,
        commit: wanted.commit,
        revision: paused_at.and_then(|artifact| artifact.revision.parse().ok()),
    }
}

fn failed(error: &SourceError) -> verdict::Fetched {
    let cause = match error.class() {
        Class::AuthenticationFailed => FetchCause::Authentication,
        Class::GitOperationFailed | Class::Timeout | Class::ReferenceNotFound => FetchCause::Operation,
        Class::UrlInvalid => FetchCause::Url,
        Class::EmptyRepository => FetchCause::Empty,
        Class::Storage => FetchCause::Storage,
    };
    verdict::Fetched::Failed { cause, message: error.to_string(), terminal: error.is_terminal() }
}

fn context<'a>(
    shared: &Shared,
    key: &'a Ref,
    seen: &'a Seen<GitRepositorySpec>,
    previous: &'a GitRepositoryStatus,
) -> Context<'a, GitRepositoryStatus> {
    let interval = match seen {
        Seen::Sound(repository) => repository.spec.interval,
        Seen::Malformed { .. } => UNKNOWN.into(),
    };
    let metadata = seen.metadata();
    Context {
        key,
        generation: metadata.generation,
        schedule: Schedule::new(interval, None, None),
        requested_at: metadata.annotations.get(keys::REQUESTED_AT).map(String::as_str),
        previous,
        revision: previous.artifact.as_ref().map(|artifact| artifact.revision.as_str()),
        now: super::clock::timestamp(shared.clock.wall()),
        took: Duration::ZERO,
        redactor: &NO_SECRETS,
    }
}

async fn report(shared: &Shared, key: &Ref, seen: &Seen<GitRepositorySpec>, found: &Found) -> End {
    let previous = match seen {
        Seen::Sound(repository) => repository.status.clone(),
        Seen::Malformed { .. } => GitRepositoryStatus::default(),
    };
    let context = Context { redactor: &found.redactor, ..context(shared, key, seen, &previous) };
    let said = match verdict(&found.outcome, &context) {
        Verdict::Say(said) => said,
        kept @ (Verdict::Keep { .. } | Verdict::LetGo(_)) => return End::silent(kept.next()),
    };
    let subject = Subject::of(key, seen.metadata());
    if *said.status != previous {
        log(key, &said);
    }
    match shared.reporter.status(&subject, 0, &previous, &said.status).await {
        Ok(version) => {
            let Said { status, notices, next } = said;
            let is_true = |ready: &Condition| ready.status == ConditionStatus::True;
            let ready = status.conditions.get("Ready").is_some_and(is_true);
            shared
                .world
                .wrote::<GitRepositorySpec>(key, version, |object| object.status = status.into_inner());
            shared.tell_of(&subject, &notices);
            End { ready, news: !notices.is_empty(), ..End::silent(next) }
        }
        // Tried again even if the object is said to have gone: where that is so, the watch ends it.
        Err(error) => {
            error.log(&subject);
            End::silent(Next::Backoff)
        }
    }
}

fn log(key: &Ref, said: &Said<GitRepositoryStatus>) {
    let status = &said.status;
    let ready = status.conditions.get("Ready");
    let reason = ready.map(|ready| ready.reason.as_str());
    let message = ready.map_or("", |ready| ready.message.as_str());
    let revision = status.artifact.as_ref().map(|artifact| artifact.revision.as_str());
    let (kind, name, namespace) = (key.kind.kind, &key.name, &key.namespace);
    log!(said.notices, kind, name, namespace, revision, reason, "{message}");
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
        assert_eq!(told(day, Class::Timeout), ceiling);
        assert_eq!(told(day, Class::AuthenticationFailed), "it failed");
        assert_eq!(told(Some(CEILING), Class::Timeout), "it failed");
        assert_eq!(told(None, Class::Timeout), "it failed");
    }
}
