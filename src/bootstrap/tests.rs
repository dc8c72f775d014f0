//! Clusters that come and go, by many seeds, against the stand-in for GitHub: created, killed at any request,
//! destroyed and created again, their keys rotated and pruned; some under the same name.

mod world;

use std::time::Duration;

use futures::future::LocalBoxFuture;

use super::admission::{Admission, AdmissionTarget, Host};
use super::deploy_key::KeyPlan;
use super::entry::Entry as _;
use super::key::Algorithm;
use super::keyring::{self, Unwanted};
use super::leftovers::Age;
use super::manifests::Installation;
use super::problem::FailedStep;
use super::progress::ProgressLog;
use lockgate_base::model::Timestamp;

use self::world::{Act, DAY, Hub, Kill, World, hub};

/// The number of sequences, unless `KEY_SEEDS` sets another.
const SEEDS: u64 = 80;
/// The number of steps in a sequence.
const STEPS: usize = 14;

/// xorshift64*: the same seed is the same sequence.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn is_one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// Runs bootstrap for the key of a cluster, with an agent that fetches at once.
fn set_up(
    world: &World,
    number: usize,
    prune: bool,
    replace: bool,
) -> LocalBoxFuture<'_, Result<(), FailedStep>> {
    Box::pin(admit(world, number, prune, replace))
}

async fn admit(world: &World, number: usize, prune: bool, replace: bool) -> Result<(), FailedStep> {
    let name = world.state().clusters[number].name.clone();
    let plan = KeyPlan {
        secret: "flux-system".into(),
        algorithm: Algorithm::Ed25519,
        given: None,
        replace,
        cluster: Some(name.parse().unwrap()),
        ttl: None,
        prune,
        accepted_host_key: None,
    };
    let installation = Installation::in_namespace("flux-system");
    let target = AdmissionTarget { client: world.client(number), name: "default".into() };
    let url = "ssh://git@github.com/acme/platform".parse().unwrap();
    let github = world.github();
    let keys = github.deploy_keys().await.unwrap();
    let mut sink = |_| ();
    let progress = &mut ProgressLog::new(&mut sink);
    let timeout = Duration::from_secs(5);
    let host = Host::GitHub(&github, &keys);
    let admission = Admission::of(&target, &installation, &plan, timeout, (&url, host)).await?;
    let existing = admission.rehearsed().await?;
    let admitted = admission.let_in(existing, progress).await?;
    world.set_up(number);
    admission.tidy(&admitted, progress).await
}

/// Runs a deletion of `lockgate keys`.
fn remove(world: &World, unwanted: Unwanted) -> LocalBoxFuture<'_, Result<(), FailedStep>> {
    Box::pin(async move {
        let now = Timestamp::from_unix(world.state().now);
        let mut sink = |_| ();
        keyring::remove(&world.github(), &unwanted, false, now, &mut ProgressLog::new(&mut sink)).await
    })
}

/// Runs one step.
async fn step(world: &World, chance: &mut Chance) {
    let kill = (!chance.is_one_in(3))
        .then(|| Kill { at: usize::try_from(chance.below(24)).unwrap() + 1, is_done: chance.is_one_in(2) });
    let number = usize::try_from(chance.below(3)).unwrap();
    let is_alive = world.state().clusters[number].is_alive;
    let name = world.state().clusters[number].name.clone();
    match chance.below(10) {
        0 | 1 if is_alive => world.destroy(number),
        // Keys of a living cluster are not deleted by hand, except if two have its name.
        2 if !is_alive => {
            let may_be_asked = {
                let state = world.state();
                let lives = state.clusters.iter().any(|other| other.is_alive && other.name == name);
                !lives || state.twinned.contains(&name)
            };
            if may_be_asked {
                let unwanted = Unwanted::Cluster { name: name.parse().unwrap(), uid: None };
                world.run(Act::Delete(name), kill, remove(world, unwanted)).await;
            }
        }
        3 => {
            let unwanted = Unwanted::Aged { age: Age::Unused(Duration::from_hours(7 * 24)), name: None };
            world.run(Act::Prune(7 * DAY), kill, remove(world, unwanted)).await;
        }
        4 | 5 => {
            // Agents fetch once a minute, and so are never unseen for longer than GitHub's lag.
            for _ in 0..chance.below(12) {
                let mut state = world.state();
                state.now += DAY / 4;
                state.fetch();
            }
        }
        6 | 7 if is_alive => {
            world.run(Act::On(number), kill, set_up(world, number, chance.is_one_in(2), true)).await;
        }
        _ => {
            if !is_alive {
                world.create(number);
            }
            world.run(Act::On(number), kill, set_up(world, number, !chance.is_one_in(3), false)).await;
        }
    }
}

/// At each moment the host accepts the key of each cluster that was set up and has its name alone.
fn is_let_in(world: &World) -> Vec<String> {
    let state = world.state();
    let mut broken = state.broken.clone();
    for (number, cluster) in state.clusters.iter().enumerate() {
        let line = state.in_use(number).filter(|_| cluster.is_alive && cluster.is_set_up);
        let is_twinned = state.twinned.contains(&cluster.name);
        if line.is_some_and(|line| !is_twinned && !state.is_let_in(&line)) {
            broken.push(format!("cluster {number} called {} is locked out", cluster.name));
        }
    }
    broken
}

/// A cluster that is created again leaves no key of the earlier ones with its name, and its own key is
/// deleted with it.
async fn end(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    for number in 0..3 {
        world.destroy(number);
    }
    for number in 0..3 {
        world.create(number);
        let name = world.state().clusters[number].name.clone();
        let ended = world.run(Act::On(number), None, set_up(world, number, true, false)).await;
        if !matches!(ended, Some(Ok(()))) {
            broken.push(format!("the last run for {name} failed: {ended:?}"));
        }
        let left = world.state().of_name(&name).len();
        if left != 1 {
            broken.push(format!("{left} keys of {name} are left beside a living cluster"));
        }
        world.destroy(number);
        let unwanted = Unwanted::Cluster { name: name.parse().unwrap(), uid: None };
        let ended = world.run(Act::Delete(name.clone()), None, remove(world, unwanted)).await;
        if !matches!(ended, Some(Ok(()))) || !world.state().of_name(&name).is_empty() {
            broken.push(format!("keys of {name} are left: {ended:?}"));
        }
    }
    broken.extend(is_let_in(world));
    broken
}

async fn sequence(hub: &Hub, seed: u64) -> Vec<String> {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let twins = chance.is_one_in(3);
    let day = DAY.cast_unsigned();
    let lag = [0, 60, day, 6 * day][usize::try_from(chance.below(4)).unwrap()];
    let world = World::new(hub, ["eu-west9", if twins { "eu-west9" } else { "eu-west" }, "us-east1"], lag);
    for _ in 0..STEPS {
        step(&world, &mut chance).await;
        let broken = is_let_in(&world);
        if !broken.is_empty() {
            return broken;
        }
    }
    end(&world).await
}

#[test]
fn no_key_that_is_needed_is_deleted_and_none_is_left() {
    let seeds = std::env::var("KEY_SEEDS").map_or(SEEDS, |text| text.parse().expect("KEY_SEEDS is a number"));
    let runs = |first: u64| {
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let hub = hub();
            (first..seeds).step_by(2).find_map(|seed| {
                let broken = runtime.block_on(sequence(&hub, seed));
                (!broken.is_empty()).then_some((seed, broken))
            })
        }
    };
    let threads = [0, 1].map(|first| std::thread::spawn(runs(first)));
    let broken: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
