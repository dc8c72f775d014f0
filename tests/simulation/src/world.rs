//! The world outside of the agents: the API server, the Git host, and what has happened so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::chance::Chance;
use crate::laws::{Laws, Made, Who};
use crate::moment::stamp;
use crate::platform::{INPUTS, Platform};
use crate::server::{Answer, Change, Request, Server, Task, Waiting, Watch};

/// What may go wrong with requests, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The request does not reach the server.
    LostBefore,
    /// The server acts, and its answer is lost.
    LostAfter,
    /// The request reaches the server twice.
    Twice,
    /// It reaches the server once more, up to half a minute later.
    Again,
    /// Right before it, another write reaches the same object.
    Raced,
    /// Request and answer take up to half a minute.
    Slow,
    /// The server answers with this code, and does nothing.
    Refused(u16),
}

/// What is wrong with the requests of one agent now.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    pub(crate) trouble: Trouble,
    pub(crate) percent: u64,
    pub(crate) until: Duration,
}

/// The folder in which the machine of an agent keeps what was fetched.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// The commits that are in it.
    pub(crate) commits: BTreeSet<usize>,
    /// Whether it was taken away from under the agent, which is still to find out.
    pub(crate) is_lost: bool,
}

/// All that is shared.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) server: Server,
    pub(crate) chance: Chance,
    /// The commits, the first one first.
    pub(crate) commits: Vec<Platform>,
    /// The commit that each follows on.
    pub(crate) parents: Vec<Option<usize>>,
    /// The commit at the head of the branch.
    pub(crate) head: usize,
    pub(crate) hosts_are_down: bool,
    pub(crate) folders: BTreeMap<&'static str, Folder>,
    /// What the objects outside of Git hold whose values builds take.
    pub(crate) inputs: [u64; INPUTS.len()],
    pub(crate) weather: BTreeMap<&'static str, Weather>,
    /// How often all watches were cut.
    pub(crate) cuts: u64,
    /// Agents whose watches are late, up to a moment.
    pub(crate) late: BTreeMap<&'static str, Duration>,
    /// Agents whose requests do not get through.
    pub(crate) cut_off: BTreeSet<&'static str>,
    /// Agents that stand still up to a moment.
    pub(crate) frozen: BTreeMap<&'static str, Duration>,
    /// After how many writes an agent will stand still, and for how long.
    pub(crate) stalls: BTreeMap<&'static str, (u64, Duration)>,
    /// What has happened; `None` where nobody wants to know.
    pub(crate) history: Option<Vec<String>>,
    pub(crate) laws: Laws,
    /// At which of its next requests an agent ends, whether that is still sent, and how long the agent stays
    /// so.
    pub(crate) dooms: BTreeMap<&'static str, Doom>,
    /// Requests so far, those of watches not counted.
    pub(crate) requests: u64,
    /// Builds so far.
    pub(crate) builds: u64,
    /// Changes whose tasks have been given to controllers.
    handed: usize,
    /// Told when an object of a kind has changed, by its group and plural, or the watches are cut. It wakes
    /// in the order in which it was asked; a channel of tokio's `watch` module does so by chance.
    watched: BTreeMap<(String, String), Arc<Notify>>,
}

/// How an agent is going to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doom {
    /// How many requests are left.
    pub(crate) left: u64,
    /// Whether the last one is still sent.
    pub(crate) is_sent: bool,
    /// When the agent starts again after that.
    pub(crate) pause: Duration,
}

/// A handle to the world.
#[derive(Debug, Clone)]
pub(crate) struct World {
    inner: Arc<Mutex<Inner>>,
    begin: Instant,
    /// Told when an agent is to end now.
    pub(crate) doom: Arc<Notify>,
}

impl World {
    pub(crate) fn new(chance: Chance, platform: Platform, is_told: bool) -> Self {
        let inner = Inner {
            server: Server::default(),
            chance,
            laws: Laws::new(&platform),
            commits: vec![platform],
            parents: vec![None],
            head: 0,
            hosts_are_down: false,
            folders: BTreeMap::new(),
            inputs: [0; INPUTS.len()],
            weather: BTreeMap::new(),
            cuts: 0,
            late: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            frozen: BTreeMap::new(),
            stalls: BTreeMap::new(),
            history: is_told.then(Vec::new),
            dooms: BTreeMap::new(),
            requests: 0,
            builds: 0,
            handed: 0,
            watched: BTreeMap::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), begin: Instant::now(), doom: Arc::new(Notify::new()) }
    }

    /// What is shared. Not to be held across an await.
    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self) -> Instant {
        self.begin
    }

    /// The time since the simulation began.
    pub(crate) fn time(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Writes a line of the history.
    pub(crate) fn tell<T: AsRef<str>>(&self, line: impl FnOnce() -> T) {
        let time = self.time();
        if let Some(history) = &mut self.inner().history {
            let line = line();
            history.push(format!("{:>6}.{:03} {}", time.as_secs(), time.subsec_millis(), line.as_ref()));
        }
    }

    /// Waits while an agent stands still.
    pub(crate) async fn thawed(&self, agent: &'static str) {
        loop {
            let until = self.inner().frozen.get(agent).copied();
            match until {
                Some(until) if until > self.time() => sleep_until(self.begin + until).await,
                _ => return,
            }
        }
    }

    /// Lets the server answer, writes it down, holds it against the laws, and gives controllers what they
    /// have to do.
    pub(crate) fn answer(&self, who: Who<'_>, request: &Request) -> Answer {
        let now = stamp(self.time());
        let (answer, tasks) = {
            let mut inner = self.inner();
            let known = inner.server.changes();
            let answer = inner.server.answer(request, &now);
            inner.hold(who, known, request.method == "DELETE", self.time());
            (answer, inner.tasks())
        };
        // Renewals of the lease would be most of the history.
        let is_renewal = request.method == "PUT" && matches!(answer, Answer::Body(200, _));
        if !is_renewal && (request.is_write() || matches!(answer, Answer::Body(400.., _))) {
            let code = match &answer {
                Answer::Body(code, _) => *code,
                Answer::Watch(_) => 200,
            };
            self.tell(|| {
                let who = if let Who::Agent(agent, _) = who { agent } else { "person" };
                let path = request.path.split("fieldManager").next().unwrap_or_default();
                let body = String::from_utf8_lossy(&request.body);
                let told = if request.path.contains("/status") { body.as_ref() } else { "" };
                format!("{who}: {} {path} -> {code} {told}", request.method)
            });
        }
        self.start(tasks);
        answer
    }

    fn start(&self, tasks: Vec<(Task, Duration)>) {
        for (task, delay) in tasks {
            let world = self.clone();
            tokio::spawn(async move {
                sleep(delay).await;
                let now = stamp(world.time());
                let tasks = {
                    let mut inner = world.inner();
                    let known = inner.server.changes();
                    inner.server.act(&task, &now);
                    inner.hold(Who::Controller, known, false, world.time());
                    inner.tasks()
                };
                world.start(tasks);
            });
        }
    }

    /// Ends all watches.
    pub(crate) fn cut_watches(&self) {
        let mut inner = self.inner();
        inner.cuts += 1;
        inner.watched.values().for_each(|watched| watched.notify_waiters());
    }

    /// A request of a person, which always gets through.
    pub(crate) fn person(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Answer {
        let request = Request {
            method: method.into(),
            path: path.into(),
            accept: "application/json".into(),
            content_type: content_type.into(),
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        self.answer(Who::Person, &request)
    }
}

impl Inner {
    /// Adds a commit, and moves the branch there.
    pub(crate) fn push(&mut self, platform: Platform, parent: Option<usize>) {
        self.commits.push(platform);
        self.parents.push(parent);
        self.moved(self.commits.len() - 1);
    }

    /// Moves the branch to a commit.
    pub(crate) fn moved(&mut self, head: usize) {
        self.head = head;
        self.laws.moved(head, &self.commits[head]);
    }

    /// Whether a commit is the head, or one that it follows on.
    pub(crate) fn is_reached(&self, commit: usize, from: usize) -> bool {
        let mut at = Some(from);
        while let Some(next) = at {
            if next == commit {
                return true;
            }
            at = self.parents[next];
        }
        false
    }

    /// Lets an agent stand still from a write on, where it is to. Returns how much later that arrives.
    pub(crate) fn stalled(
        &mut self,
        agent: &'static str,
        request: &Request,
        time: Duration,
    ) -> Option<Duration> {
        let (left, span) = self.stalls.get_mut(agent)?;
        if !request.is_write() || request.path.contains("/leases") {
            return None;
        }
        *left = left.saturating_sub(1);
        let span = (*left == 0).then_some(*span)?;
        self.stalls.remove(agent);
        self.frozen.insert(agent, time + span);
        Some(span)
    }

    /// Holds what was changed since there were `known` changes against the laws, and tells the watches.
    fn hold(&mut self, who: Who<'_>, known: usize, is_delete: bool, time: Duration) {
        let Self { laws, commits, server, watched, .. } = self;
        let changes = server.changes_since(known);
        if changes.is_empty() {
            return;
        }
        laws.made(&Made { who, changes, is_delete, time }, commits, server);
        for Change { key, .. } in changes.iter().map(|change| &**change) {
            if let Some(watched) = watched.get(&(key.group.clone(), key.plural.clone())) {
                watched.notify_waiters();
            }
        }
    }

    /// What tells of changes of a kind.
    pub(crate) fn changed(&mut self, watch: &Watch) -> Arc<Notify> {
        let (group, plural) = watch.kind();
        Arc::clone(self.watched.entry((group.to_owned(), plural.to_owned())).or_default())
    }

    /// What controllers have to do about what has changed since they were asked last, and when.
    fn tasks(&mut self) -> Vec<(Task, Duration)> {
        let changes = self.server.changes_since(self.handed);
        let tasks: Vec<(Task, Waiting)> = changes.iter().flat_map(|change| Task::of(change)).collect();
        self.handed += changes.len();
        let delay = |(task, waiting)| {
            let longest = if waiting == Waiting::Long { 20_000 } else { 2_000 };
            (task, self.chance.millis(longest))
        };
        tasks.into_iter().map(delay).collect()
    }
}
