//! How a platform stands, as its objects tell: what is ready, what fails, what is blocked by it, and by which chain.
//!
//! It is what `lockgate status` prints and what bootstrap shows while it waits. Nothing but the objects is looked at, so
//! read access is all it needs, and the agent need not run.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{self, GitRepository, Kind as _, Kustomization};
use lockgate_base::model::{Condition, ConditionStatus, Conditions, Object, Timestamp};

#[cfg(test)]
mod tests;

/// Sources and Kustomizations, those that need attention first.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// The sources.
    pub sources: Vec<Source>,
    /// The Kustomizations: failing, blocked, on their way, paused, ready.
    pub kustomizations: Vec<Row>,
    /// What holds up the rest: each that fails by its own fault and not its source's, and the ends of the chains that no
    /// failing one ends (a dependency that is not there, or a cycle).
    pub root_causes: Vec<Key>,
}

/// A source.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its address.
    pub url: String,
    /// `main@sha1:09507f1`, shortened.
    pub revision: Option<String>,
    /// When that was fetched.
    pub fetched: Option<Timestamp>,
    /// The Ready condition's status.
    pub ready: ConditionStatus,
    /// The Ready condition's message.
    pub message: String,
}

/// A Kustomization.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// The commit that is applied, or for a failing one the commit that was tried; seven digits.
    pub revision: Option<String>,
    /// Since when its Ready condition has the status it has.
    pub since: Option<Timestamp>,
    /// How many objects it manages.
    pub objects: usize,
    /// The cause of a failure, or what it is doing.
    pub what: String,
    /// The Kustomizations that must be ready first.
    pub depends_on: Vec<Key>,
    /// Whether its Ready condition is true of what it is now, as dependents see it; a paused one may be.
    pub is_ready: bool,
    /// The GitRepository that it is built from.
    pub source: Option<Key>,
    /// Whether it fails for want of its source.
    pub lacks_source: bool,
    /// How the chain of a blocked one ends.
    pub end: End,
}

/// How a chain of those that wait for each other ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// At one that waits for no other.
    #[default]
    Open,
    /// At one that does not exist.
    Missing,
    /// Where it began.
    Cycle,
}

/// How a Kustomization stands. The order is that of attention.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It fails by its own fault.
    Failing,
    /// It waits for others: the first of them, what that one waits for, and so on to the root cause. Empty where all that
    /// it depends on is ready, and yet not as it was when it looked, or not at the revision that it wants.
    Blocked(Vec<Key>),
    /// It is being reconciled, or has not been looked at.
    Progressing,
    /// It is paused.
    Suspended,
    /// It is ready.
    Ready,
}

/// Namespace and name.
pub type Key = (String, String);

impl Overview {
    /// Reads the objects. One that is malformed becomes a failing row of its own.
    pub fn of(sources: &[Object], kustomizations: &[Object]) -> Self {
        let mut read: Vec<Row> = kustomizations.iter().map(row).collect();
        let sources: Vec<Source> = sources.iter().map(source).collect();
        let states: BTreeMap<Key, Row> = read.iter().map(|row| (row.key(), row.clone())).collect();
        for row in &mut read {
            if matches!(row.state, State::Blocked(_)) {
                let chain = chain(&row.key(), &states);
                row.end = match chain.last() {
                    Some(last) if !states.contains_key(last) => End::Missing,
                    // It ends at one that was met before, and not only at one that itself is in a cycle.
                    Some(last) if *last == row.key() => End::Cycle,
                    _ => End::Open,
                };
                row.state = State::Blocked(chain);
            }
        }
        read.sort_by(|a, b| {
            let depth = |row: &Row| if let State::Blocked(chain) = &row.state { chain.len() } else { 0 };
            (a.state.rank(), depth(a), a.key()).cmp(&(b.state.rank(), depth(b), b.key()))
        });
        let mut overview = Self { sources, kustomizations: read, root_causes: Vec::new() };
        overview.root_causes = overview.causes();
        overview
    }

    /// Whether there is anything, and everything of it that is not paused is ready.
    pub fn is_ready(&self) -> bool {
        let source = |source: &Source| source.ready == ConditionStatus::True;
        let row = |row: &Row| matches!(row.state, State::Ready | State::Suspended);
        !self.is_empty() && self.sources.iter().all(source) && self.kustomizations.iter().all(row)
    }

    /// Whether there is nothing to show.
    pub const fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.kustomizations.is_empty()
    }

    /// What concerns one namespace. What blocks it from elsewhere is still named.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.sources.retain(|source| source.namespace == namespace);
        self.kustomizations.retain(|row| row.namespace == namespace);
        let rows = &self.kustomizations;
        self.root_causes.retain(|cause| {
            let ends = |row: &Row| matches!(&row.state, State::Blocked(chain) if chain.last() == Some(cause));
            rows.iter().any(|row| row.key() == *cause || ends(row))
        });
        self
    }

    /// The sources that are not ready.
    pub fn broken_sources(&self) -> Vec<Key> {
        let broken = self.sources.iter().filter(|source| source.ready == ConditionStatus::False);
        broken.map(|source| (source.namespace.clone(), source.name.clone())).collect()
    }

    fn causes(&self) -> Vec<Key> {
        let broken = self.broken_sources();
        let is_source =
            |row: &Row| row.lacks_source && row.source.as_ref().is_some_and(|source| broken.contains(source));
        let by_source: Vec<Key> =
            self.kustomizations.iter().filter(|row| is_source(row)).map(Row::key).collect();
        let mut causes = BTreeSet::new();
        for row in &self.kustomizations {
            match &row.state {
                State::Failing => {
                    causes.insert(row.key());
                }
                State::Blocked(chain) => {
                    causes.extend(chain.last().filter(|end| !self.is_moving(end)).cloned());
                }
                State::Progressing | State::Suspended | State::Ready => {}
            }
        }
        causes.into_iter().filter(|cause| !by_source.contains(cause)).collect()
    }

    /// The Kustomizations by levels of `dependsOn`: each depends on earlier levels only. Members of a cycle come last.
    pub fn levels(&self) -> Vec<Vec<Key>> {
        let mut left: BTreeMap<Key, &Row> = self.kustomizations.iter().map(|row| (row.key(), row)).collect();
        let mut levels = Vec::new();
        while !left.is_empty() {
            let is_free = |row: &Row| row.depends_on.iter().all(|wanted| !left.contains_key(wanted));
            let mut level: Vec<Key> =
                left.iter().filter(|(_, row)| is_free(row)).map(|(key, _)| key.clone()).collect();
            if level.is_empty() {
                level = left.keys().cloned().collect();
            }
            left.retain(|key, _| !level.contains(key));
            levels.push(level);
        }
        levels
    }

    fn is_moving(&self, key: &Key) -> bool {
        let row = self.kustomizations.iter().find(|row| row.key() == *key);
        row.is_some_and(|row| matches!(row.state, State::Progressing | State::Ready))
    }
}

impl Row {
    /// Namespace and name.
    pub fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
}

impl State {
    /// One word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Blocked(_) => "blocked",
            Self::Progressing => "progressing",
            Self::Suspended => "suspended",
            Self::Ready => "ready",
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Failing => 0,
            Self::Blocked(_) => 1,
            Self::Progressing => 2,
            Self::Suspended => 3,
            Self::Ready => 4,
        }
    }
}

/// From a blocked Kustomization to the end of what blocks it. A cycle ends where it would begin again.
fn chain(start: &Key, states: &BTreeMap<Key, Row>) -> Vec<Key> {
    let mut chain = Vec::new();
    let mut at = states.get(start);
    while let Some(row) = at {
        let is_open = |key: &&Key| states.get(*key).is_none_or(|row| !row.is_ready);
        let Some(next) = row.depends_on.iter().find(is_open) else { break };
        let is_known = chain.contains(next) || next == start;
        chain.push(next.clone());
        if is_known {
            break;
        }
        at = states.get(next).filter(|row| matches!(row.state, State::Blocked(_)));
    }
    chain
}

fn row(object: &Object) -> Row {
    let id = object.id();
    let mut row = Row {
        namespace: id.namespace,
        name: id.name,
        state: State::Failing,
        revision: None,
        since: None,
        objects: 0,
        what: String::new(),
        depends_on: Vec::new(),
        is_ready: false,
        source: None,
        lacks_source: false,
        end: End::Open,
    };
    let kustomization: Kustomization = match api::decode(object) {
        Ok(kustomization) => kustomization,
        Err(malformed) => return Row { what: malformed.to_string(), ..row },
    };
    let (spec, status) = (&kustomization.spec, &kustomization.status);
    let ready = status.conditions.get("Ready");
    row.state = state(&kustomization, ready);
    row.is_ready = is_ready(&kustomization, ready);
    row.lacks_source = ready.is_some_and(lacks_source);
    let from = &spec.source_ref;
    row.source = (from.kind == GitRepository::KIND)
        .then(|| (from.namespace.clone().unwrap_or_else(|| row.namespace.clone()), from.name.clone()));
    let applied = status.last_applied_revision.as_ref();
    let attempted = status.last_attempted_revision.as_ref();
    let revision = if row.state == State::Failing { attempted.or(applied) } else { applied };
    row.revision = revision.map(|text| short_commit(text));
    row.since = ready.map(|condition| condition.last_transition_time);
    row.objects = status.inventory.as_ref().map_or(0, |inventory| inventory.entries.len());
    row.what = what(&row.state, &status.conditions);
    let own = &row.namespace;
    let key = |wanted: &api::DependsOn| {
        (wanted.namespace.clone().unwrap_or_else(|| own.clone()), wanted.name.clone())
    };
    row.depends_on = spec.depends_on.iter().map(key).collect();
    row
}

fn is_ready(kustomization: &Kustomization, ready: Option<&Condition>) -> bool {
    let is_current = kustomization.status.observed_generation == Some(kustomization.metadata.generation);
    is_current && ready.is_some_and(|ready| ready.status == ConditionStatus::True)
}

fn state(kustomization: &Kustomization, ready: Option<&Condition>) -> State {
    if kustomization.spec.suspend {
        return State::Suspended;
    }
    let Some(ready) = ready else { return State::Progressing };
    match ready.status {
        ConditionStatus::True if is_ready(kustomization, Some(ready)) => State::Ready,
        ConditionStatus::True | ConditionStatus::Unknown => State::Progressing,
        ConditionStatus::False if ready.reason == "DependencyNotReady" => State::Blocked(Vec::new()),
        ConditionStatus::False => State::Failing,
    }
}

/// How the message begins of a `spec.path` that the source does not have; the reason is the same as for a missing source.
pub const PATH_MISSING: &str = "kustomization path not found: ";

fn lacks_source(ready: &Condition) -> bool {
    ready.status == ConditionStatus::False
        && ready.reason == "ArtifactFailed"
        && !ready.message.starts_with(PATH_MISSING)
}

/// What stands in a message between the stage and the objects that are waited for.
pub const WAITING: &str = ": waiting for ";

fn what(state: &State, conditions: &Conditions) -> String {
    let message = |kind: &str| conditions.get(kind).map(|condition| condition.message.clone());
    match state {
        State::Ready | State::Suspended => String::new(),
        State::Failing | State::Blocked(_) => message("Ready").unwrap_or_default(),
        State::Progressing => message("Reconciling")
            .map(|message| match message.split_once(WAITING) {
                Some((_, objects)) => format!("waiting for {objects}"),
                None => message,
            })
            .or_else(|| message("Ready"))
            .unwrap_or_else(|| "not looked at by the agent yet".into()),
    }
}

fn source(object: &Object) -> Source {
    let id = object.id();
    let url = object.text("/spec/url").unwrap_or_default().to_owned();
    let mut source = Source {
        namespace: id.namespace,
        name: id.name,
        url,
        revision: None,
        fetched: None,
        ready: ConditionStatus::False,
        message: String::new(),
    };
    let repository: GitRepository = match api::decode(object) {
        Ok(repository) => repository,
        Err(malformed) => return Source { message: malformed.to_string(), ..source },
    };
    if let Some(artifact) = &repository.status.artifact {
        source.revision = Some(short_revision(&artifact.revision));
        source.fetched = Some(artifact.last_update_time);
    }
    match repository.status.conditions.get("Ready") {
        Some(ready) => {
            source.ready = ready.status;
            source.message.clone_from(&ready.message);
        }
        None => source.ready = ConditionStatus::Unknown,
    }
    source
}

/// `09507f1` of `main@sha1:09507f1…`.
pub fn short_commit(revision: &str) -> String {
    match revision.parse::<lockgate_base::model::Revision>() {
        Ok(revision) => revision.short().to_owned(),
        Err(_) => revision.to_owned(),
    }
}

/// `main@sha1:09507f1` of the same with all digits.
pub fn short_revision(revision: &str) -> String {
    match revision.rsplit_once(':') {
        Some((before, digits)) => format!("{before}:{}", digits.get(..7).unwrap_or(digits)),
        None => revision.to_owned(),
    }
}
