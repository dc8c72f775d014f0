//! Runs a scenario: agents, people and faults in a simulated world, and at the end a check of the whole
//! state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockgate::tested::{AgentConfig, Client, Sources, run_agent};
use lockgate_base::keys::{PRUNE, RECONCILE};
use lockgate_core::pipeline::workers::{Ended, Work, Workers};
use lockgate_core::plan::DriftPolicy;
use lockgate_core::quarantine::Marks;
use lockgate_render::helm::shelf::Shelf;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, sleep_until};

use crate::chance::Chance;
use crate::clock::MachineClock;
use crate::git::Host;
use crate::line::Line;
use crate::notes::Notes;
use crate::people;
use crate::platform::HOME;
use crate::step::{AGENTS, Scenario, Step};
use crate::subject;
use crate::world::{Doom, Weather, World};

/// How long all that can be Ready may take to be so, once people and faults have stopped: the interval of the
/// Kustomizations, and half of it more.
const SETTLED_WITHIN: Duration = Duration::from_mins(15);
/// How long it is watched for a busy loop afterwards: a short time, and with each eighth seed the whole
/// interval.
const QUIET: (Duration, Duration) = (Duration::from_mins(2), Duration::from_mins(10));
/// How often it is looked whether all is as it must be.
const LOOK: Duration = Duration::from_secs(10);
/// How often another that has taken the lease renews it.
const RENEWED: Duration = Duration::from_secs(5);
/// How many requests a Kustomization may cost in that time, and how many the two agents besides: the holder
/// of the lease renews it each 5 s, and the other looks at it each second.
const MOST_REQUESTS: (u64, u64) = (100, 1_100);
/// How many builds a Kustomization may cost in that time, and how many more if it fights over an object.
const MOST_BUILDS: (u64, u64) = (6, 20);

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
pub fn run(scenario: &Scenario) -> Outcome {
    play(scenario, false)
}

/// Runs a scenario, and tells all that happens in it.
pub fn replay(scenario: &Scenario) -> Outcome {
    play(scenario, true)
}

fn play(scenario: &Scenario, is_told: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
    // The agent's own future is for one thread.
    LocalSet::new().block_on(&runtime, async {
        let mut stage = Stage::new(scenario, is_told);
        stage.play(scenario).await;
        stage.end(scenario.seed).await
    })
}

/// Builds where the agent is, which stands still meanwhile: no simulated time passes.
#[derive(Debug)]
struct InPlace(World);

impl Workers for InPlace {
    fn run(&self, work: Work) -> Ended {
        self.0.inner().builds += 1;
        Box::pin(async move {
            work(&mut Shelf::default());
            Ok(())
        })
    }
}

/// An agent, and the machine that it runs on.
struct Agent {
    name: &'static str,
    clock: Arc<MachineClock>,
    task: Option<JoinHandle<()>>,
    /// What its machine keeps of what is under way.
    marks: Arc<Notes>,
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
    HostsUp,
    /// Who has taken the lease renews it, up to a moment.
    Renew(Duration),
}

/// All kinds of sources, as one agent reaches them.
fn sources(world: &World, agent: &'static str) -> Sources {
    let host = Arc::new(Host { world: world.clone(), agent });
    Sources::of_git(host.clone()).and_oci(host.clone()).and_helm(host.clone(), host)
}

impl Stage {
    fn new(scenario: &Scenario, is_told: bool) -> Self {
        let mut chance = Chance::new(scenario.seed ^ 0x5EED);
        let platform = subject::first(&mut chance, scenario.units);
        let world = World::new(chance, platform, is_told);
        people::begin(&world);
        let agent = |name| {
            let clock = Arc::new(MachineClock::new(world.clone(), name));
            Agent { name, clock, task: None, marks: Arc::default(), stop: watch::channel(false).0 }
        };
        let agents = AGENTS.into_iter().map(agent).collect();
        let mut stage = Self { world, agents, later: BTreeMap::new(), count: 0 };
        (0..scenario.agents).for_each(|agent| stage.start(agent));
        stage
    }

    fn start(&mut self, agent: usize) {
        let agent = &mut self.agents[agent];
        if agent.task.is_some() {
            return;
        }
        let line = Line { world: self.world.clone(), agent: agent.name };
        let (stop, stopped) = watch::channel(false);
        agent.stop = stop;
        let config = AgentConfig {
            client: Client::of_service(line, "https://simulated"),
            namespace: HOME.into(),
            watch_namespace: None,
            pod: Some(agent.name.into()),
            listen: Vec::new(),
            sources: sources(&self.world, agent.name),
            clock: agent.clock.clone(),
            workers: Arc::new(InPlace(self.world.clone())),
            marks: Arc::clone(&agent.marks) as Arc<dyn Marks>,
            adopt: false,
            drift: DriftPolicy::Watch,
            lockdown: false,
            default_service_account: None,
            concurrency: 4,
        };
        self.world.tell(|| format!("{} starts", agent.name));
        let (world, name) = (self.world.clone(), agent.name);
        agent.task = Some(spawn_local(async move {
            let end = run_agent(config, stopped).await;
            let time = world.time();
            world.inner().laws.failed(&format!("{name} has ended by itself: {end:?}"), time);
        }));
    }

    fn kill(&mut self, agent: usize) {
        let machine = &mut self.agents[agent];
        if let Some(task) = machine.task.take() {
            machine.marks = Arc::new(machine.marks.left());
            task.abort();
            self.world.tell(|| format!("{} is killed", self.agents[agent].name));
        }
    }

    fn after(&mut self, pause: Duration, what: Later) {
        self.count += 1;
        self.later.insert((self.world.time() + pause, self.count), what);
    }

    async fn play(&mut self, scenario: &Scenario) {
        for (at, step) in &scenario.steps {
            self.until(*at).await;
            self.world.tell(|| format!("step: {step}"));
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
                Some(Doom { left: 0, pause, .. }) => *pause,
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
                self.world.tell(|| format!("{} is reached again", self.agents[agent].name));
            }
            Some((_, Later::HostsUp)) => self.world.inner().hosts_are_down = false,
            Some((_, Later::Renew(until))) => self.steal(until),
            None => {}
        }
    }

    /// Another takes the lease, and renews it up to a moment.
    fn steal(&mut self, until: Duration) {
        people::steal(&self.world);
        if self.world.time() < until {
            self.after(RENEWED, Later::Renew(until));
        }
    }

    fn take(&mut self, step: &Step) {
        let world = self.world.clone();
        match step {
            Step::Commit(salt) => people::commit(&world, *salt, false),
            Step::Rewrite(salt) => people::commit(&world, *salt, true),
            Step::MoveBack => people::move_back(&world),
            Step::Drift(salt) => people::drift(&world, *salt),
            Step::Delete(salt) => people::delete(&world, *salt),
            Step::DeleteHouse(salt) => people::delete_house(&world, *salt),
            Step::DeleteSubject(salt) => people::delete_subject(&world, *salt),
            Step::ClearManagers(salt) => people::clear_managers(&world, *salt),
            Step::Hold(salt) => people::hold(&world, *salt),
            Step::LetGo => people::let_go(&world),
            Step::Strip(salt) => people::strip(&world, *salt),
            Step::Disown(salt) => people::disown(&world, *salt),
            Step::Protect(salt) => people::ask(&world, *salt, PRUNE),
            Step::LeaveAlone(salt) => people::ask(&world, *salt, RECONCILE),
            Step::Edit(salt) => people::patch_subject(&world, *salt, |subject, chance| subject.edit(chance)),
            Step::Input(salt) => people::change_input(&world, *salt),
            Step::Suspend(salt) => {
                people::patch_subject(&world, *salt, |_, _| json!({"spec": {"suspend": true}}));
            }
            Step::Resume => people::resume(&world),
            Step::Annotate(salt) => {
                let asked = json!({"reconcile.fluxcd.io/requestedAt": salt.to_string()});
                people::patch_subject(&world, *salt, |_, _| json!({"metadata": {"annotations": asked}}));
            }
            Step::Deny(salt) => people::deny(&world, *salt),
            Step::Allow => world.inner().server.denied.clear(),
            Step::Compact => {
                world.inner().server.compact();
                world.cut_watches();
            }
            Step::CutWatches => world.cut_watches(),
            Step::HostsDown(span) => {
                world.inner().hosts_are_down = true;
                self.after(*span, Later::HostsUp);
            }
            Step::Steal(span) => self.steal(world.time() + *span),
            Step::TouchLease => people::touch_lease(&world),
            Step::DropLease => people::drop_lease(&world),
            Step::Weather(agent, ..)
            | Step::CutOff(agent, _)
            | Step::Freeze(agent, _)
            | Step::Stall(agent, ..)
            | Step::Kill(agent, ..)
            | Step::End(agent, _)
            | Step::LoseFolder(agent)
            | Step::LateWatches(agent, _)
            | Step::SetClock(agent, _)
            | Step::Suspended(agent, _) => self.befall(*agent, step),
        }
    }

    /// What happens to one agent.
    fn befall(&mut self, agent: usize, step: &Step) {
        let (world, name) = (self.world.clone(), AGENTS[agent]);
        let until = |span: Duration| world.time() + span;
        match *step {
            Step::Weather(_, trouble, percent, span) => {
                world.inner().weather.insert(name, Weather { trouble, percent, until: until(span) });
            }
            Step::CutOff(_, span) => {
                world.inner().cut_off.insert(name);
                self.after(span, Later::Reach(agent));
            }
            Step::Freeze(_, span) => drop(world.inner().frozen.insert(name, until(span))),
            Step::Stall(_, writes, span) => drop(world.inner().stalls.insert(name, (writes, span))),
            Step::Kill(_, left, is_sent, pause) => {
                world.inner().dooms.insert(name, Doom { left, is_sent, pause });
            }
            Step::End(_, pause) => {
                self.kill(agent);
                self.after(pause, Later::Start(agent));
            }
            Step::LoseFolder(_) => world.inner().folders.entry(name).or_default().is_lost = true,
            Step::LateWatches(_, span) => drop(world.inner().late.insert(name, until(span))),
            Step::SetClock(_, seconds) => self.agents[agent].clock.set(seconds),
            Step::Suspended(_, span) => self.agents[agent].clock.suspend(span),
            _ => {}
        }
    }

    /// People and faults stop.
    fn calm(&mut self) {
        self.world.tell(|| "calm");
        self.later.retain(|_, later| !matches!(later, Later::Renew(_)));
        while !self.later.is_empty() {
            self.do_later();
        }
        people::resume(&self.world);
        people::let_go(&self.world);
        people::ask_no_more(&self.world);
        people::restore_inputs(&self.world);
        let mut inner = self.world.inner();
        inner.server.denied.clear();
        inner.weather.clear();
        inner.late.clear();
        inner.cut_off.clear();
        inner.frozen.clear();
        inner.stalls.clear();
        inner.dooms.clear();
        inner.hosts_are_down = false;
    }

    /// What is not yet as it must be; of that the first alone while it is waited for.
    fn left_to_do(&self, is_brief: bool) -> Vec<String> {
        let inner = self.world.inner();
        inner.laws.left_to_do(
            &inner.server,
            (&inner.commits[inner.head], inner.head),
            &inner.inputs,
            is_brief,
        )
    }

    /// Watches for a busy loop while nothing happens.
    async fn quiet(&self, span: Duration) {
        let count = || {
            let inner = self.world.inner();
            (inner.requests, inner.builds)
        };
        let before = count();
        sleep(span).await;
        let after = count();
        let mut inner = self.world.inner();
        let platform = &inner.commits[inner.head];
        let fights =
            platform.things().filter(|(_, name, thing)| platform.holders(&thing.key(name)).len() > 1);
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (units, fights) = (number(platform.units.len()) + 1, number(fights.count()));
        let most_requests = MOST_REQUESTS.0 * (units + 3 * fights) + MOST_REQUESTS.1;
        let most_builds = MOST_BUILDS.0 * units + MOST_BUILDS.1 * fights;
        for (what, made, most) in
            [("requests", after.0 - before.0, most_requests), ("builds", after.1 - before.1, most_builds)]
        {
            if made > most {
                let time = self.world.time();
                inner.laws.failed(&format!("a busy loop: {made} {what} in {span:?}, {most} at most"), time);
            }
        }
    }

    async fn end(self, seed: u64) -> Outcome {
        let limit = self.world.time() + SETTLED_WITHIN;
        let is_broken = || !self.world.inner().laws.broken.is_empty();
        while !self.left_to_do(true).is_empty() && self.world.time() < limit && !is_broken() {
            let known = self.world.inner().server.changes();
            // Nothing has come where nothing has changed.
            while self.world.inner().server.changes() == known && self.world.time() < limit {
                sleep(LOOK).await;
            }
        }
        let mut left = self.left_to_do(false);
        if left.is_empty() && !is_broken() {
            self.world.tell(|| "settled");
            self.quiet(if seed.is_multiple_of(8) { QUIET.1 } else { QUIET.0 }).await;
            left = self.left_to_do(false);
        }
        let mut inner = self.world.inner();
        let mut broken = std::mem::take(&mut inner.laws.broken);
        broken.extend(left.into_iter().map(|what| format!("what must come: {what}")));
        Outcome { history: inner.history.take().unwrap_or_default(), broken, requests: inner.requests }
    }
}
