//! Waits, each with its reason and its duration. A wait ends early if more time would not help.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Poll;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::held;
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressEvent, ProgressLog, at};
use super::put::{self, PutOutcome};
use super::ssh::SshError;
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::{Object, ObjectId, Ref};
use lockgate_core::api::Kustomization;
use lockgate_core::overview::{Overview, Row, State};
use lockgate_core::pipeline::ports::ApiFailure;

/// The pause between two reads.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the API server may take to serve a new kind, or may be unreachable during an apply.
const DISCOVERY: Duration = Duration::from_secs(15);
/// How long a failure must last to be final: a new key needs a moment to work, and an agent to start.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// The field of a status with the last handled request to reconcile.
const HANDLED: &str = "/status/lastHandledReconcileAt";

/// The time limit of a step.
pub(crate) struct Patience {
    name: &'static str,
    began: Instant,
    timeout: Duration,
}

impl Patience {
    /// Begins now.
    pub(crate) fn new(name: &'static str, timeout: Duration) -> Self {
        Self { name, began: Instant::now(), timeout }
    }

    /// The step that waits.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.began.elapsed() >= self.timeout
    }

    /// The problem of an object that did not become ready in time.
    pub(crate) fn ended(&self, what: &Object, cause: &str) -> Problem {
        self.ended_with(what, cause, None)
    }

    /// The same problem with its cure.
    pub(crate) fn ended_with(&self, what: &Object, cause: &str, cure: Option<&'static str>) -> Problem {
        Problem::NotReady {
            what: what.id().subject(),
            seconds: self.began.elapsed().as_secs(),
            cause: if cause.is_empty() {
                "it has no status; is the agent running?".into()
            } else {
                cause.into()
            },
            cure,
        }
    }
}

/// One wait. It reports its reason when that changes.
pub(crate) struct Wait<'w, 'p> {
    patience: &'w Patience,
    progress: &'w mut ProgressLog<'p>,
    told: String,
}

impl<'w, 'p> Wait<'w, 'p> {
    /// Begins a wait.
    pub(crate) const fn new(patience: &'w Patience, progress: &'w mut ProgressLog<'p>) -> Self {
        Self { patience, progress, told: String::new() }
    }

    /// The API server's answer. A failure that may pass is waited for until the time is over; then the result
    /// is `None`, and the request has to be repeated.
    pub(crate) async fn answer<T>(
        &mut self,
        context: impl Into<String>,
        answer: Result<T, ApiFailure>,
    ) -> Result<Poll<T>, Problem> {
        match answer {
            Ok(answer) => Ok(Poll::Ready(answer)),
            Err(failure) => {
                let may_pass = failure.is_transient() && !self.patience.is_over();
                let problem = Problem::cluster(context, failure);
                if !may_pass {
                    return Err(problem);
                }
                self.on(problem.to_string()).await;
                Ok(Poll::Pending)
            }
        }
    }

    /// Reports the reason of the wait, and waits a little.
    pub(crate) async fn on(&mut self, detail: String) {
        if self.told != detail {
            let since = self.patience.began.elapsed();
            self.progress.tell(ProgressEvent::Waiting {
                name: self.patience.name,
                detail: detail.clone(),
                since,
            });
            self.told = detail;
        }
        tokio::time::sleep(PAUSE).await;
    }

    /// The current object.
    pub(super) async fn look(
        &mut self,
        objects: &Objects,
        object: &Object,
    ) -> Result<Poll<Option<Object>>, Problem> {
        let live = objects.get(object).await;
        self.answer(object.id().subject(), live).await
    }
}

/// Applies an object whose kind may have been added a moment ago. The server may be unreachable for a moment.
pub(crate) async fn through_discovery(objects: &Objects, object: &Object) -> Result<PutOutcome, ApiFailure> {
    let began = Instant::now();
    loop {
        match put::put(objects, object).await {
            Err(ApiFailure::Answered { code: 404, .. } | ApiFailure::UnknownKind { .. })
                if began.elapsed() < DISCOVERY => {}
            Err(failure) if failure.is_transient() && began.elapsed() < DISCOVERY => {}
            done => return done,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until the API server serves the kinds.
pub(crate) async fn established(
    objects: &Objects,
    crds: &[Object],
    patience: &Patience,
    progress: &mut ProgressLog<'_>,
) -> Result<(), Problem> {
    let mut wait = Wait::new(patience, progress);
    for crd in crds {
        loop {
            let Poll::Ready(live) = wait.look(objects, crd).await? else { continue };
            let established = live.as_ref().and_then(|live| condition(live, "Established"));
            if established.is_some_and(|condition| condition["status"] == "True") {
                break;
            }
            if patience.is_over() {
                return Err(patience.ended(crd, "it is not established"));
            }
            wait.on(format!("for {} to be established", crd.id().subject())).await;
        }
    }
    Ok(())
}

/// Waits until a terminating object is gone, such as a namespace after a purge.
pub(crate) async fn not_ending(
    objects: &Objects,
    object: &Object,
    patience: &Patience,
    progress: &mut ProgressLog<'_>,
) -> Result<(), Problem> {
    let mut wait = Wait::new(patience, progress);
    loop {
        let Poll::Ready(live) = wait.look(objects, object).await? else { continue };
        if live.is_none_or(|live| live.text("/metadata/deletionTimestamp").is_none()) {
            return Ok(());
        }
        if object.kind() == "Namespace" {
            let held = held::for_ever(objects, object).await;
            if let Poll::Ready(Some(problem)) = wait.answer("what holds the namespace", held).await? {
                return Err(problem);
            }
        }
        if patience.is_over() {
            return Err(patience.ended(object, "it is terminating"));
        }
        wait.on(format!("{} is terminating", object.id().subject())).await;
    }
}

/// The state of a source before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its status said why it could not fetch.
    Failing,
    /// It had fetched, or had not tried yet.
    Fetched,
}

/// The state of a source; `None` if it does not exist or is suspended, so that nobody reconciles it.
pub(crate) async fn standing(
    objects: &Objects,
    source: &Object,
    patience: &Patience,
    progress: &mut ProgressLog<'_>,
) -> Result<Option<Standing>, Problem> {
    let mut wait = Wait::new(patience, progress);
    loop {
        let Poll::Ready(live) = wait.look(objects, source).await? else { continue };
        let is_failing =
            |live: &Object| condition(live, "Ready").is_some_and(|ready| ready["status"] == "False");
        let live = live.filter(|live| live.pointer("/spec/suspend") != Some(&Value::Bool(true)));
        return Ok(live.map(|live| if is_failing(&live) { Standing::Failing } else { Standing::Fetched }));
    }
}

/// Waits until the source has fetched. Returns the revision.
pub(crate) async fn fetched(
    objects: &Objects,
    source: &Object,
    patience: &Patience,
    progress: &mut ProgressLog<'_>,
) -> Result<String, Problem> {
    fetched_as(objects, source, |_| true, patience, progress).await
}

/// Waits until the source has fetched after the request with a token.
pub(crate) async fn refetched(
    objects: &Objects,
    source: &Object,
    token: &str,
    patience: &Patience,
    progress: &mut ProgressLog<'_>,
) -> Result<String, Problem> {
    fetched_as(objects, source, |live| has_handled(live, token), patience, progress).await
}

/// Whether an object has handled the request with a token, or a later one of another run.
fn has_handled(live: &Object, token: &str) -> bool {
    let handled = live.text(HANDLED);
    handled == Some(token) || (handled.is_some() && handled == live.annotation(keys::REQUESTED_AT))
}

/// Waits until the source has fetched and `is_meant` accepts its status. Returns the revision.
async fn fetched_as(
    objects: &Objects,
    source: &Object,
    is_meant: impl Fn(&Object) -> bool,
    patience: &Patience,
    progress: &mut ProgressLog<'_>,
) -> Result<String, Problem> {
    let mut wait = Wait::new(patience, progress);
    let mut failing_since: Option<Instant> = None;
    loop {
        let Poll::Ready(live) = wait.look(objects, source).await? else { continue };
        let meant = live.as_ref().filter(|live| is_meant(live));
        let ready = meant.and_then(|live| condition(live, "Ready").filter(|ready| is_observed(live, ready)));
        let cause = ready.and_then(|ready| ready["message"].as_str()).unwrap_or_default().to_owned();
        let status = ready.and_then(|ready| ready["status"].as_str()).unwrap_or("Unknown");
        let revision = live.as_ref().and_then(|live| live.text("/status/artifact/revision"));
        if let ("True", Some(revision)) = (status, revision) {
            return Ok(revision.into());
        }
        failing_since = if status == "False" { failing_since.or(Some(Instant::now())) } else { None };
        let is_final = failing_since.is_some_and(|since| since.elapsed() >= GRACE);
        if patience.is_over() || is_final {
            let is_silent = cause.is_empty() && live.is_some_and(|live| live.pointer("/status").is_some());
            let silence = "its status has not changed yet; is the agent running?";
            return Err(patience.ended(source, if is_silent { silence } else { &cause }));
        }
        wait.on(if cause.is_empty() { "to be fetched".into() } else { cause }).await;
    }
}

/// Whether a condition is about the current generation. The status as a whole lags behind until the first
/// fetch.
fn is_observed(object: &Object, condition: &Value) -> bool {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let observed = condition["observedGeneration"].as_i64();
    observed.or_else(|| object.pointer("/status/observedGeneration").and_then(Value::as_i64)) >= generation
}

/// Waits until a host accepts the key. Before each try the duration of the wait is reported.
pub(crate) async fn let_in<T>(
    timeout: Duration,
    poll: Duration,
    mut ask: impl AsyncFnMut() -> Result<T, SshError>,
    mut tell: impl FnMut(Duration),
) -> Result<T, SshError> {
    let began = Instant::now();
    let mut was_denied = false;
    loop {
        match ask().await {
            Err(SshError::Denied { .. }) if began.elapsed() < timeout => was_denied = true,
            // The host answered a moment ago: it may block an address with failed logins for a while.
            Err(SshError::Unreachable { .. }) if was_denied && began.elapsed() < timeout => {}
            ended => return ended,
        }
        tell(began.elapsed());
        tokio::time::sleep(poll).await;
    }
}

/// Waits until the root Kustomization and all that it applies are ready, and reports the progress. With a
/// token, an earlier status of the root does not count.
pub(crate) async fn synced(
    objects: &Objects,
    root: &Object,
    token: Option<&str>,
    patience: &Patience,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let mut tree = Tree::new(named(root.id()));
    let mut wait = Wait::new(patience, progress);
    loop {
        let info = Kustomization::INFO;
        let all = objects.list(&info.api_version(), info.id.kind, None, "").await;
        let Poll::Ready(all) = wait.answer("Kustomizations", all).await.map_err(at("sync"))? else {
            continue;
        };
        let is_root = |object: &&Object| object.id() == root.id();
        let is_behind = |live: &Object| {
            token.is_some_and(|token| !has_handled(live, token))
                && live.pointer("/spec/suspend") != Some(&Value::Bool(true))
        };
        if all.iter().find(is_root).is_some_and(is_behind) && !patience.is_over() {
            wait.on("for the agent to reconcile again".into()).await;
            continue;
        }
        let overview = Overview::of(&[], &reachable(root, all));
        for event in tree.update(&overview, Instant::now()) {
            wait.progress.tell(event);
        }
        if overview.is_ready() && !overview.kustomizations.is_empty() {
            let count = overview.kustomizations.len();
            wait.progress.done("sync", patience.began, format!("{count} Kustomizations ready"), None);
            if let Some(note) = paused(&overview) {
                wait.progress.tell(ProgressEvent::Note(note));
            }
            return Ok(());
        }
        if patience.is_over() || tree.is_stuck(&overview, Instant::now()) {
            return Err(unready(&overview, patience));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The suspended objects, which nobody updates, for example after an interrupted uninstall.
fn paused(overview: &Overview) -> Option<String> {
    let paused = overview.kustomizations.iter().filter(|row| row.state == State::Suspended);
    let names: Vec<String> = paused.map(|row| row.key.path()).collect();
    let names = (!names.is_empty()).then(|| names.join(", "))?;
    Some(format!("suspended: {names}; set spec.suspend to false to resume"))
}

/// The problems of all objects that fail by themselves, or else of all that are not ready.
fn unready(overview: &Overview, patience: &Patience) -> FailedStep {
    let seconds = patience.began.elapsed().as_secs();
    let causes = &overview.root_causes;
    let is_cause = |row: &&Row| causes.contains(&row.key) || (causes.is_empty() && row.state != State::Ready);
    let problem = |row: &Row| Problem::NotReady {
        what: row.key.to_string(),
        seconds,
        cause: row.what.clone(),
        cure: None,
    };
    let mut problems: Vec<Problem> = overview.kustomizations.iter().filter(is_cause).map(problem).collect();
    if problems.is_empty() {
        problems =
            overview.kustomizations.iter().filter(|row| row.state != State::Ready).map(problem).collect();
    }
    FailedStep { step: "sync", problems }
}

/// The Kustomization with an id.
fn named(id: ObjectId) -> Ref {
    Kustomization::named(id.namespace, id.name)
}

/// The root, and all Kustomizations that it applies directly or through others.
fn reachable(root: &Object, all: Vec<Object>) -> Vec<Object> {
    let mut by_key: BTreeMap<Ref, Object> = BTreeMap::new();
    for object in all {
        by_key.insert(named(object.id()), object);
    }
    let mut pending = vec![named(root.id())];
    let mut found = Vec::new();
    while let Some(key) = pending.pop() {
        let Some(object) = by_key.remove(&key) else { continue };
        let entries = object.pointer("/status/inventory/entries").and_then(Value::as_array);
        let ours = Kustomization::ID;
        for entry in entries.into_iter().flatten() {
            let parsed = entry["id"].as_str().and_then(|text| text.parse::<ObjectId>().ok());
            pending.extend(
                parsed
                    .filter(|id| (id.group.as_str(), id.kind.as_str()) == (ours.group, ours.kind))
                    .map(named),
            );
        }
        found.push(object);
    }
    found
}

/// The reported state of each Kustomization, so that only changes are reported.
struct Tree {
    root: Ref,
    order: Vec<Vec<Ref>>,
    free_since: BTreeMap<Ref, Instant>,
    told: BTreeMap<Ref, (&'static str, String)>,
    stuck_since: Option<Instant>,
}

impl Tree {
    const fn new(root: Ref) -> Self {
        Self {
            root,
            order: Vec::new(),
            free_since: BTreeMap::new(),
            told: BTreeMap::new(),
            stuck_since: None,
        }
    }

    fn update(&mut self, overview: &Overview, now: Instant) -> Vec<ProgressEvent> {
        let mut events = Vec::new();
        // The root comes first, and depends on nothing.
        let levels = overview.levels();
        let others = levels
            .iter()
            .map(|level| level.iter().filter(|key| **key != self.root).cloned().collect::<Vec<_>>());
        let order: Vec<Vec<Ref>> = others.filter(|level| !level.is_empty()).collect();
        if order.len() > 1 && order != self.order {
            events.push(ProgressEvent::Order(order.clone()));
            self.order = order;
        }
        // In the order of their runs: dependencies first.
        let place = |key: &Ref| levels.iter().position(|level| level.contains(key));
        let mut rows: Vec<&Row> = overview.kustomizations.iter().collect();
        rows.sort_by_key(|row| (row.key != self.root, place(&row.key), row.key.clone()));
        for row in rows {
            let key = row.key.clone();
            // Its dependency has just become ready, and it has not been reconciled since.
            if row.state == State::Blocked(Vec::new()) {
                continue;
            }
            let is_blocked = matches!(row.state, State::Blocked(_));
            if is_blocked {
                self.free_since.remove(&key);
            }
            let began = if is_blocked { now } else { *self.free_since.entry(key.clone()).or_insert(now) };
            let word = row.state.word();
            let detail = match &row.state {
                State::Ready | State::Suspended => format!("{} objects", row.objects),
                State::Blocked(chain) => {
                    let names: Vec<&str> = chain.iter().map(|key| key.name.as_str()).collect();
                    format!("blocked by {}", names.join(" → "))
                }
                State::Failing | State::Progressing => row.what.clone(),
            };
            let news = (word, detail.clone());
            if self.told.get(&key) != Some(&news) {
                self.told.insert(key.clone(), news);
                let took = now.saturating_duration_since(began);
                events.push(ProgressEvent::Kustomization { key, state: word, detail, took });
            }
        }
        events
    }

    /// Whether there is no more progress: for a while, all that is not ready has failed or was blocked by a
    /// failure.
    fn is_stuck(&mut self, overview: &Overview, now: Instant) -> bool {
        let states: BTreeSet<&'static str> =
            overview.kustomizations.iter().map(|row| row.state.word()).collect();
        let is_stuck = !overview.root_causes.is_empty() && !states.contains("progressing");
        self.stuck_since = if is_stuck { self.stuck_since.or(Some(now)) } else { None };
        self.stuck_since.is_some_and(|since| now.saturating_duration_since(since) >= GRACE)
    }
}

/// The condition of a type.
pub(super) fn condition<'o>(object: &'o Object, kind: &str) -> Option<&'o Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests;
