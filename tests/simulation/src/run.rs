//! Runs a scenario: the agents before the world, people and faults in their order, and at the end the question whether all is
//! as it must be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockgate::tested::{AgentConfig, Client, run_agent};
use lockgate_core::pipeline::workers::{Ended, Work, Workers};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, sleep_until};

use crate::chance::Chance;
use crate::clock::MachineClock;
use crate::git::Host;
use crate::line::Line;
use crate::people;
use crate::platform::{HOME, beginning};
use crate::step::{AGENTS, Scenario, Step};
use crate::world::{Weather, World};

/// How long all that can be Ready may take to be so, once people and faults have stopped: the interval of the Kustomizations, and
/// half of it more.
const SETTLED_WITHIN: Duration = Duration::from_mins(15);
/// How long it is watched for a busy loop afterwards.
const QUIET: Duration = Duration::from_mins(10);
/// How many requests a Kustomization may cost in that time, and how many the two agents besides: the holder of the lease renews
/// it each 5 s, and the other looks at it each 2 s.
const MOST_REQUESTS: (u64, u64) = (100, 800);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What happened, a line each.
    pub history: Vec<String>,
    /// The laws that were broken, and how.
    pub broken: Vec<String>,
    /// How many requests the agents made.
    pub requests: u64,
}

/// Runs a scenario.
///
/// # Panics
///
/// Where the runtime cannot be made, which needs nothing of the system.
pub fn run(scenario: &Scenario) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
    // The agent's own future is for one thread.
    LocalSet::new().block_on(&runtime, async {
        let mut stage = Stage::new(scenario);
        stage.play(scenario).await;
        stage.end().await
    })
}

/// Builds where the agent is, which stands still meanwhile: no simulated time passes.
#[derive(Debug)]
struct InPlace;

impl Workers for InPlace {
    fn run(&self, work: Work) -> Ended {
        Box::pin(async move {
            work();
            Ok(())
        })
    }
}

/// An agent, and the machine that it runs on.
struct Agent {
    name: &'static str,
    clock: Arc<MachineClock>,
    task: Option<JoinHandle<()>>,
    /// Kept so that it is told to end by nothing.
    stop: watch::Sender<bool>,
}

struct Stage {
    world: World,
    agents: Vec<Agent>,
    /// What ends by itself or begins anew, and when.
    later: BTreeMap<(Duration, u64), Later>,
    count: u64,
}

#[derive(Debug, Clone)]
enum Later {
    Start(usize),
    Reach(usize),
    GitUp,
}

impl Stage {
    fn new(scenario: &Scenario) -> Self {
        let mut chance = Chance::new(scenario.seed ^ 0x5EED);
        let platform = people::first(&mut chance, scenario.units);
        let world = World::new(chance, platform);
        for (path, object) in beginning() {
            world.person("POST", path, "application/json", &object);
        }
        let agent = |name| {
            let clock = Arc::new(MachineClock::new(world.begin()));
            Agent { name, clock, task: None, stop: watch::channel(false).0 }
        };
        let agents = AGENTS.into_iter().map(agent).collect();
        let mut stage = Self { world, agents, later: BTreeMap::new(), count: 0 };
        stage.start(0);
        stage.start(1);
        stage
    }

    fn start(&mut self, agent: usize) {
        let agent = &mut self.agents[agent];
        if agent.task.is_some() {
            return;
        }
        let line = Line { world: self.world.clone(), agent: agent.name.to_owned() };
        let (stop, stopped) = watch::channel(false);
        agent.stop = stop;
        let config = AgentConfig {
            client: Client::of_service(line, "https://simulated"),
            namespace: HOME.into(),
            watch_namespace: None,
            pod: Some(agent.name.into()),
            listen: None,
            fetcher: Arc::new(Host { world: self.world.clone() }),
            clock: agent.clock.clone(),
            workers: Arc::new(InPlace),
            adopt: false,
            lockdown: false,
            default_service_account: None,
            concurrency: 4,
        };
        self.world.tell(format!("{} starts", agent.name));
        let (world, name) = (self.world.clone(), agent.name);
        agent.task = Some(spawn_local(async move {
            let end = run_agent(config, stopped).await;
            let time = world.time();
            world.inner().laws.failed(&format!("{name} has ended by itself: {end:?}"), time);
        }));
    }

    fn kill(&mut self, agent: usize) {
        if let Some(task) = self.agents[agent].task.take() {
            task.abort();
            self.world.tell(format!("{} is killed", self.agents[agent].name));
        }
    }

    fn after(&mut self, pause: Duration, what: Later) {
        self.count += 1;
        self.later.insert((self.world.time() + pause, self.count), what);
    }

    async fn play(&mut self, scenario: &Scenario) {
        for (at, step) in &scenario.steps {
            self.until(*at).await;
            self.world.tell(format!("step: {step}"));
            self.take(step);
        }
        self.calm();
    }

    /// Lets time pass up to a moment.
    async fn until(&mut self, moment: Duration) {
        loop {
            let doomed = self.world.doom.notified();
            let next = self.later.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= moment);
            tokio::select! {
                biased;
                () = doomed => self.execute(),
                () = sleep_until(self.world.begin() + next.unwrap_or(moment)) => match next {
                    Some(_) => self.do_later(),
                    None => return,
                },
            }
        }
    }

    /// Ends the agents that have come to the request at which they are to end.
    fn execute(&mut self) {
        for agent in 0..self.agents.len() {
            let name = self.agents[agent].name;
            let pause = match self.world.inner().dooms.get(name) {
                Some((0, pause)) => *pause,
                _ => continue,
            };
            self.world.inner().dooms.remove(name);
            self.kill(agent);
            self.after(pause, Later::Start(agent));
        }
    }

    fn do_later(&mut self) {
        match self.later.pop_first() {
            Some((_, Later::Start(agent))) => self.start(agent),
            Some((_, Later::Reach(agent))) => {
                self.world.inner().cut_off.remove(self.agents[agent].name);
                self.world.tell(format!("{} is reached again", self.agents[agent].name));
            }
            Some((_, Later::GitUp)) => self.world.inner().git_is_down = false,
            None => {}
        }
    }

    fn take(&mut self, step: &Step) {
        let world = &self.world;
        let name = |agent: usize| AGENTS[agent].to_owned();
        match step {
            Step::Commit(salt) => people::commit(world, *salt),
            Step::Drift(salt) => people::drift(world, *salt),
            Step::Delete(salt) => people::delete(world, *salt),
            Step::DeleteUnit(salt) => people::delete_unit(world, *salt),
            Step::Suspend(salt) => people::patch_unit(world, *salt, &json!({"spec": {"suspend": true}})),
            Step::Resume => people::resume(world),
            Step::Annotate(salt) => {
                let asked = json!({"reconcile.fluxcd.io/requestedAt": salt.to_string()});
                people::patch_unit(world, *salt, &json!({"metadata": {"annotations": asked}}));
            }
            Step::Deny(salt) => people::deny(world, *salt),
            Step::Allow => world.inner().server.denied.clear(),
            Step::Weather(agent, trouble, percent, span) => {
                let weather = Weather { trouble: *trouble, percent: *percent, until: world.time() + *span };
                world.inner().weather.insert(name(*agent), weather);
            }
            Step::CutOff(agent, span) => {
                world.inner().cut_off.insert(name(*agent));
                self.after(*span, Later::Reach(*agent));
            }
            Step::Kill(agent, requests, pause) => {
                world.inner().dooms.insert(name(*agent), (*requests, *pause));
            }
            Step::CutWatches => world.cut_watches(),
            Step::Compact => {
                world.inner().server.compact();
                world.cut_watches();
            }
            Step::SetClock(agent, seconds) => self.agents[*agent].clock.set(*seconds),
            Step::Suspended(agent, span) => self.agents[*agent].clock.suspend(*span),
            Step::GitDown(span) => {
                world.inner().git_is_down = true;
                self.after(*span, Later::GitUp);
            }
            Step::MoveBack => people::move_back(world),
            Step::Steal => people::steal(world),
        }
    }

    /// People and faults stop.
    fn calm(&mut self) {
        self.world.tell("calm");
        while !self.later.is_empty() {
            self.do_later();
        }
        people::resume(&self.world);
        let mut inner = self.world.inner();
        inner.server.denied.clear();
        inner.weather.clear();
        inner.cut_off.clear();
        inner.dooms.clear();
        inner.git_is_down = false;
    }

    fn left_to_do(&self) -> Vec<String> {
        let inner = self.world.inner();
        inner.laws.left_to_do(&inner.server, &inner.commits[inner.head], inner.head)
    }

    async fn end(self) -> Outcome {
        let limit = self.world.time() + SETTLED_WITHIN;
        let mut left = self.left_to_do();
        while !left.is_empty() && self.world.time() < limit && self.world.inner().laws.broken.is_empty() {
            sleep(Duration::from_secs(5)).await;
            left = self.left_to_do();
        }
        if left.is_empty() && self.world.inner().laws.broken.is_empty() {
            self.world.tell("settled");
            let before = self.world.inner().requests;
            sleep(QUIET).await;
            let mut inner = self.world.inner();
            let (made, units) = (inner.requests - before, inner.commits[inner.head].units.len());
            let (of_one, of_all) = MOST_REQUESTS;
            let most = of_one * u64::try_from(units).unwrap_or(u64::MAX) + of_all;
            if made > most {
                let time = self.world.time();
                inner.laws.failed(&format!("{made} requests in {QUIET:?}, {most} at most"), time);
            }
            drop(inner);
            left = self.left_to_do();
        }
        let mut inner = self.world.inner();
        let mut broken = std::mem::take(&mut inner.laws.broken);
        broken.extend(left.into_iter().map(|what| format!("what must come: {what}")));
        Outcome { history: std::mem::take(&mut inner.history), broken, requests: inner.requests }
    }
}
