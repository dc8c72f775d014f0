//! The world outside of the agents: the API server, the Git host, and what has happened so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::clock::stamp;
use crate::laws::{Laws, Made};
use crate::platform::Platform;
use crate::server::{Answer, Request, Server, Task, Waiting};

/// What may go wrong with requests, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The request does not reach the server.
    LostBefore,
    /// The server acts, and its answer is lost.
    LostAfter,
    /// The request reaches the server twice.
    Twice,
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

/// All that is shared.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) server: Server,
    pub(crate) chance: Chance,
    /// The commits, the first one first.
    pub(crate) commits: Vec<Platform>,
    /// The commit at the head of the branch.
    pub(crate) head: usize,
    pub(crate) git_is_down: bool,
    pub(crate) weather: BTreeMap<String, Weather>,
    /// How often all watches were cut.
    pub(crate) cuts: u64,
    /// Agents whose requests do not get through.
    pub(crate) cut_off: BTreeSet<String>,
    pub(crate) history: Vec<String>,
    pub(crate) laws: Laws,
    /// After how many more requests an agent ends, and how long it stays so.
    pub(crate) dooms: BTreeMap<String, (u64, Duration)>,
    /// Requests so far, those of watches not counted.
    pub(crate) requests: u64,
    /// Changes whose tasks have been given to controllers.
    handed: usize,
}

/// A handle to the world.
#[derive(Debug, Clone)]
pub(crate) struct World {
    inner: Arc<Mutex<Inner>>,
    begin: Instant,
    /// Told when an object has changed or the watches are cut. It wakes in the order in which it was asked; a channel of tokio's
    /// `watch` module does so by chance.
    pub(crate) changed: Arc<Notify>,
    /// Told when an agent is to end now.
    pub(crate) doom: Arc<Notify>,
}

impl World {
    pub(crate) fn new(chance: Chance, platform: Platform) -> Self {
        let inner = Inner {
            server: Server::default(),
            chance,
            laws: Laws::new(&platform),
            commits: vec![platform],
            head: 0,
            git_is_down: false,
            weather: BTreeMap::new(),
            cuts: 0,
            cut_off: BTreeSet::new(),
            history: Vec::new(),
            dooms: BTreeMap::new(),
            requests: 0,
            handed: 0,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            begin: Instant::now(),
            changed: Arc::new(Notify::new()),
            doom: Arc::new(Notify::new()),
        }
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
    pub(crate) fn tell(&self, line: impl AsRef<str>) {
        let time = self.time();
        let line = format!("{:>6}.{:03} {}", time.as_secs(), time.subsec_millis(), line.as_ref());
        self.inner().history.push(line);
    }

    /// Lets the server answer, writes it down, holds it against the laws, and gives controllers what they have to do.
    pub(crate) fn answer(&self, who: &str, request: &Request) -> Answer {
        let now = stamp(self.time());
        let (answer, tasks) = {
            let mut inner = self.inner();
            let known = inner.server.changes(0).len();
            let answer = inner.server.answer(request, &now);
            let changes = inner.server.changes(known).to_vec();
            let time = self.time();
            let Inner { laws, commits, server, .. } = &mut *inner;
            let made = Made { who, request, changes: &changes, time };
            laws.answered(&made, commits, server);
            (answer, inner.tasks())
        };
        // Renewals of the lease would be most of the history.
        let is_renewal = request.method == "PUT" && matches!(answer, Answer::Body(200, _));
        if !is_renewal && (request.is_write() || matches!(answer, Answer::Body(400.., _))) {
            let code = match &answer {
                Answer::Body(code, _) => *code,
                Answer::Watch(_) => 200,
            };
            self.tell(format!("{who}: {} {} -> {code}", request.method, request.path));
        }
        self.start(tasks);
        answer
    }

    fn start(&self, tasks: Vec<(Task, Duration)>) {
        self.changed.notify_waiters();
        for (task, delay) in tasks {
            let world = self.clone();
            tokio::spawn(async move {
                sleep(delay).await;
                let now = stamp(world.time());
                let tasks = {
                    let mut inner = world.inner();
                    inner.server.act(&task, &now);
                    inner.tasks()
                };
                world.start(tasks);
            });
        }
    }

    /// Ends all watches.
    pub(crate) fn cut_watches(&self) {
        self.inner().cuts += 1;
        self.changed.notify_waiters();
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
        self.answer("person", &request)
    }
}

impl Inner {
    /// What controllers have to do about what has changed since they were asked last, and when.
    fn tasks(&mut self) -> Vec<(Task, Duration)> {
        let changes = self.server.changes(self.handed).to_vec();
        self.handed += changes.len();
        let tasks: Vec<(Task, Waiting)> = changes.iter().flat_map(|change| Task::of(change)).collect();
        let delay = |(task, waiting)| {
            let longest = if waiting == Waiting::Long { 20_000 } else { 2_000 };
            (task, self.chance.millis(longest))
        };
        tasks.into_iter().map(delay).collect()
    }
}
