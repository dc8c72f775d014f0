//! The state of a platform, read from its objects: ready objects, failures, the objects that they block, and
//! the chain between them.
//!
//! `lockgate status` prints it, and bootstrap shows it while it waits. It is read from the objects alone, so
//! it needs only read access, and the agent need not run.

use std::collections::HashSet;

use crate::api::{self, HelmRelease, Kustomization};
use crate::graph::{Cycle, Dependencies as _, Graph};
use crate::verdict::{Progress, Stance, Standing};
use lockgate_base::model::{ConditionStatus, Object, Ref, Timestamp};

#[cfg(test)]
mod tests;

/// Sources and Kustomizations, with those first that need attention.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// The sources.
    pub sources: Vec<SourceRow>,
    /// The Kustomizations and HelmReleases: failing, blocked, on their way, paused, ready.
    pub kustomizations: Vec<Row>,
    /// The root causes: Kustomizations that fail by their own fault and not their source's, and ends of
    /// chains without a failing one (a missing dependency, or a cycle).
    pub root_causes: Vec<Ref>,
}

/// A source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// The source.
    pub key: Ref,
    /// Its address.
    pub url: String,
    /// `main@sha1:09507f1`, shortened.
    pub revision: Option<String>,
    /// The time of the fetch.
    pub fetched: Option<Timestamp>,
    /// The Ready condition's status.
    pub ready: ConditionStatus,
    /// The Ready condition's message.
    pub message: String,
}

/// A Kustomization or a HelmRelease.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The Kustomization.
    pub key: Ref,
    /// Its state.
    pub state: State,
    /// The commit that is applied, or for a failing one the commit that was tried, in seven digits; of a
    /// HelmRelease the chart and its version.
    pub revision: Option<String>,
    /// Since when its Ready condition has the status it has.
    pub since: Option<Timestamp>,
    /// The number of its objects.
    pub objects: usize,
    /// The cause of a failure, or the present work.
    pub what: String,
    /// Its dependencies.
    pub depends_on: Vec<Ref>,
    /// The end of its chain, if it is blocked.
    pub end: ChainEnd,
}

/// The end of a chain of Kustomizations that wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChainEnd {
    /// It ends at one that waits for no other.
    #[default]
    Open,
    /// It ends at a missing one.
    Missing,
    /// It returns to its beginning.
    Cycle,
}

/// The state of a Kustomization, in the order of urgency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It fails by its own fault.
    Failing,
    /// It waits for others: the first of them, the one that this one waits for, and so on to the root cause.
    /// Empty if all its dependencies are ready now but were not when it looked, or are not at its revision
    /// yet.
    Blocked(Vec<Ref>),
    /// It is being reconciled, or was not reconciled yet.
    Progressing,
    /// It is suspended.
    Suspended,
    /// It is ready.
    Ready,
}

impl Overview {
    /// Reads the objects. A malformed one becomes a failing row of its own.
    pub fn of(sources: &[Object], kustomizations: &[Object]) -> Self {
        let sources: Vec<SourceRow> = sources.iter().filter_map(source).collect();
        let mut read: Vec<Read> = kustomizations.iter().map(read).collect();
        let ready: HashSet<Ref> = ready(&sources, &read).cloned().collect();
        let waits = waits(&sources, &read);
        for Read { row, .. } in &mut read {
            if matches!(row.state, State::Blocked(_)) {
                let (chain, end) = chain(&row.key, &waits, |key| ready.contains(key));
                (row.state, row.end) = (State::Blocked(chain), end);
            }
        }
        read.sort_by(|Read { row: a, .. }, Read { row: b, .. }| {
            let depth = |row: &Row| if let State::Blocked(chain) = &row.state { chain.len() } else { 0 };
            (a.state.rank(), depth(a), &a.key).cmp(&(b.state.rank(), depth(b), &b.key))
        });
        let root_causes = root_causes(&sources, &read);
        Self { sources, kustomizations: read.into_iter().map(|read| read.row).collect(), root_causes }
    }

    /// Whether there are any objects, and all of them are ready or suspended.
    pub fn is_ready(&self) -> bool {
        let source = |source: &SourceRow| source.ready == ConditionStatus::True;
        let row = |row: &Row| matches!(row.state, State::Ready | State::Suspended);
        !self.is_empty() && self.sources.iter().all(source) && self.kustomizations.iter().all(row)
    }

    /// Whether there are no objects.
    pub const fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.kustomizations.is_empty()
    }

    /// The objects of one namespace. Causes in other namespaces are still named.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.sources.retain(|source| source.key.namespace == namespace);
        self.kustomizations.retain(|row| row.key.namespace == namespace);
        let rows = &self.kustomizations;
        self.root_causes.retain(|cause| {
            let ends = |row: &Row| matches!(&row.state, State::Blocked(chain) if chain.last() == Some(cause));
            rows.iter().any(|row| row.key == *cause || ends(row))
        });
        self
    }

    /// The sources that are not ready.
    pub fn broken_sources(&self) -> impl Iterator<Item = &Ref> {
        broken(&self.sources)
    }

    /// The Kustomizations by levels of `dependsOn`: each depends on earlier levels only. Members of a cycle
    /// come last.
    pub fn levels(&self) -> Vec<Vec<Ref>> {
        let edges = self.kustomizations.iter().map(|row| (row.key.clone(), row.depends_on.clone()));
        let graph: Graph = edges.collect();
        graph.levels().into_iter().map(|level| level.into_iter().cloned().collect()).collect()
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

/// A Kustomization, and the data that only the other rows need.
struct Read {
    row: Row,
    /// Whether dependents see it as ready for its current generation; a suspended one may be.
    is_ready: bool,
    /// The missing source because of which it fails.
    lacks: Option<Ref>,
}

fn ready<'r>(sources: &'r [SourceRow], read: &'r [Read]) -> impl Iterator<Item = &'r Ref> {
    let sources = sources.iter().filter(|source| source.ready == ConditionStatus::True);
    let rows = read.iter().filter(|read| read.is_ready);
    sources.map(|source| &source.key).chain(rows.map(|read| &read.row.key))
}

fn broken(sources: &[SourceRow]) -> impl Iterator<Item = &Ref> {
    sources.iter().filter(|source| source.ready == ConditionStatus::False).map(|source| &source.key)
}

/// The graph of waits. Edges lead only from blocked Kustomizations: a chain ends at one that fails by its own
/// fault, is in progress or is suspended, whatever its dependencies.
fn waits(sources: &[SourceRow], read: &[Read]) -> Graph {
    let sources = sources.iter().map(|source| (source.key.clone(), Vec::new()));
    let rows = read.iter().map(|Read { row, .. }| {
        let is_blocked = matches!(row.state, State::Blocked(_));
        (row.key.clone(), if is_blocked { row.depends_on.clone() } else { Vec::new() })
    });
    sources.chain(rows).collect()
}

/// From a blocked Kustomization to the end of its chain. A cycle ends where it began.
fn chain(key: &Ref, waits: &Graph, is_ready: impl Fn(&Ref) -> bool) -> (Vec<Ref>, ChainEnd) {
    if let Some(Cycle(members)) = waits.cycle_of(key) {
        return (members.into_iter().skip(1).chain([key.clone()]).collect(), ChainEnd::Cycle);
    }
    let chain: Vec<Ref> = waits.root_cause(key, is_ready).into_iter().cloned().collect();
    let is_missing = chain.last().is_some_and(|last| !waits.contains(last));
    (chain, if is_missing { ChainEnd::Missing } else { ChainEnd::Open })
}

/// The root causes, without the sources that are not ready.
fn root_causes(sources: &[SourceRow], read: &[Read]) -> Vec<Ref> {
    let broken: HashSet<&Ref> = broken(sources).collect();
    let is_moving = |key: &Ref| {
        let row = read.iter().find(|read| read.row.key == *key);
        row.is_some_and(|read| matches!(read.row.state, State::Progressing | State::Ready))
    };
    let causes = read.iter().filter_map(|Read { row, .. }| match &row.state {
        State::Failing => Some(&row.key),
        State::Blocked(chain) => chain.last().filter(|end| !is_moving(end)),
        State::Progressing | State::Suspended | State::Ready => None,
    });
    let lacks_broken = |read: &&Read| read.lacks.as_ref().is_some_and(|source| broken.contains(source));
    let by_source: HashSet<&Ref> = read.iter().filter(lacks_broken).map(|read| &read.row.key).collect();
    let own = causes
        .filter(|cause| !by_source.contains(cause) && sources.iter().all(|source| source.key != **cause));
    let causes: std::collections::BTreeSet<&Ref> = own.collect();
    causes.into_iter().cloned().collect()
}

/// The data of a row, for objects of every kind.
struct Seen {
    is_suspended: bool,
    standing: Standing,
    source: Option<Ref>,
    depends_on: Vec<Ref>,
    /// The applied revision, and the last attempted one.
    revisions: (Option<String>, Option<String>),
    objects: usize,
}

fn read(object: &Object) -> Read {
    let id = object.id();
    let is_release = HelmRelease::INFO.is_of(object);
    let kind = if is_release { HelmRelease::ID } else { Kustomization::ID };
    let mut row = Row {
        key: Ref::new(kind, id.namespace, id.name),
        state: State::Failing,
        revision: None,
        since: None,
        objects: 0,
        what: String::new(),
        depends_on: Vec::new(),
        end: ChainEnd::Open,
    };
    let seen = if is_release {
        api::decode(object).map(|release| release_seen(&release))
    } else {
        api::decode(object).map(|kustomization| kustomization_seen(&kustomization))
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(malformed) => {
            row.what = malformed.to_string();
            return Read { row, is_ready: false, lacks: None };
        }
    };
    let Seen { is_suspended, standing, source, depends_on, revisions, objects } = seen;
    row.state = match &standing.stance {
        _ if is_suspended => State::Suspended,
        Stance::Ready => State::Ready,
        Stance::Progressing(_) => State::Progressing,
        Stance::Blocked => State::Blocked(Vec::new()),
        Stance::Sourceless | Stance::Failing => State::Failing,
    };
    let lacks = source.filter(|_| standing.stance == Stance::Sourceless);
    let (applied, attempted) = revisions;
    row.revision = if row.state == State::Failing { attempted.or(applied) } else { applied };
    row.since = standing.since;
    row.objects = objects;
    row.depends_on = depends_on;
    let is_ready = standing.stance == Stance::Ready;
    row.what = what(&row.state, standing);
    Read { row, is_ready, lacks }
}

/// The objects in `dependsOn`. One that can never be ready is left out, since the object itself is stalled
/// and reports it.
fn targets(own: &Ref, named: &[api::DependsOn]) -> Vec<Ref> {
    named.iter().filter_map(|named| named.target(own).ok()).collect()
}

fn managed(inventory: Option<&api::InventoryStatus>) -> usize {
    inventory.map_or(0, |inventory| inventory.entries.len())
}

fn kustomization_seen(kustomization: &Kustomization) -> Seen {
    let (spec, status, own) = (&kustomization.spec, &kustomization.status, kustomization.reference());
    let from = &spec.source_ref;
    let source = api::source(from.api_version.as_deref(), &from.kind)
        .map(|info| Ref::new(info.id, from.namespace.as_ref().unwrap_or(&own.namespace), &from.name));
    let short = |revision: &Option<String>| revision.as_ref().map(|text| short_commit(text));
    Seen {
        is_suspended: spec.suspend,
        standing: Standing::of(kustomization.metadata.generation, status),
        source,
        depends_on: targets(&own, &spec.depends_on),
        revisions: (short(&status.last_applied_revision), short(&status.last_attempted_revision)),
        objects: managed(status.inventory.as_ref()),
    }
}

/// A release is at a version of a chart.
fn release_seen(release: &HelmRelease) -> Seen {
    let (spec, status) = (&release.spec, &release.status);
    let newest = status.history.first();
    let applied = newest.map(|newest| format!("{}@{}", newest.chart_name, newest.chart_version));
    let name = newest.map(|newest| newest.chart_name.as_str());
    let attempted = status.last_attempted_revision.as_ref();
    let attempted = attempted.map(|version| match name {
        Some(name) => format!("{name}@{version}"),
        None => version.clone(),
    });
    Seen {
        is_suspended: spec.suspend,
        standing: Standing::of(release.metadata.generation, status),
        source: release.chart().ok(),
        depends_on: targets(&release.reference(), &spec.depends_on),
        revisions: (applied, attempted),
        objects: managed(status.inventory.as_ref()),
    }
}

fn what(state: &State, standing: Standing) -> String {
    match (state, standing.stance) {
        (State::Ready | State::Suspended, _) => String::new(),
        (State::Progressing, Stance::Progressing(Progress::Unseen)) => {
            "the agent has not reconciled it yet".into()
        }
        (State::Progressing, Stance::Progressing(Progress::Working(what))) => what,
        (State::Progressing, Stance::Progressing(Progress::Waiting(objects))) => {
            format!("waiting for {objects}")
        }
        (State::Failing | State::Blocked(_) | State::Progressing, _) => standing.message,
    }
}

/// A source, if lockgate acts on its kind.
fn source(object: &Object) -> Option<SourceRow> {
    let info = api::sources().find(|info| info.is_of(object))?;
    let id = object.id();
    let url = object.text("/spec/url").unwrap_or_default().to_owned();
    let mut source = SourceRow {
        key: Ref::new(info.id, id.namespace, id.name),
        url,
        revision: None,
        fetched: None,
        ready: ConditionStatus::False,
        message: String::new(),
    };
    let api::Source { metadata, status, spec, .. } = match api::decode_source(object) {
        Ok(read) => read,
        Err(malformed) => return Some(SourceRow { message: malformed.to_string(), ..source }),
    };
    if let Some(artifact) = &status.artifact {
        source.revision = Some(short_revision(&artifact.revision));
        source.fetched = Some(artifact.last_update_time);
    }
    if spec.is_static() {
        return Some(SourceRow { ready: ConditionStatus::True, ..source });
    }
    let standing = Standing::of(metadata.generation, &status);
    Some(SourceRow { ready: standing.ready, message: standing.message, ..source })
}

/// `09507f1` of `main@sha1:09507f1…`.
fn short_commit(revision: &str) -> String {
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
