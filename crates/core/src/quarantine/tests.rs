//! Processes that end one after the other and share the same marks.

use tokio::time::{sleep, timeout};

use super::*;
use crate::api::{GitRepository, Kustomization};
use crate::pipeline::clock::Watch;

/// Marks in memory.
#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<String, EndMark>>);

impl Memory {
    /// The marks that are left when the process is killed.
    fn left(&self) -> Arc<Self> {
        Arc::new(Self(Mutex::new(self.0.lock().unwrap().clone())))
    }

    fn of(&self, subject: &str) -> Option<(u32, UnderWay)> {
        self.0.lock().unwrap().get(subject).map(|mark| (mark.ended, mark.under_way))
    }
}

impl Marks for Memory {
    fn all(&self) -> Vec<EndMark> {
        self.0.lock().unwrap().values().cloned().collect()
    }

    fn put(&self, mark: &EndMark) {
        self.0.lock().unwrap().insert(mark.subject.clone(), mark.clone());
    }

    fn take(&self, subject: &str) {
        self.0.lock().unwrap().remove(subject);
    }
}

fn build(name: &str) -> Ref {
    Ref::new(Kustomization::ID, name, "k")
}

fn source(name: &str) -> Ref {
    Ref::new(GitRepository::ID, name, "s")
}

fn process(marks: &Arc<Memory>) -> Arc<Quarantine> {
    Arc::new(Quarantine::open(Arc::clone(marks) as Arc<dyn Marks>, Arc::new(Watch)))
}

async fn begun(quarantine: &Arc<Quarantine>, key: &Ref) -> Begun {
    Arc::new(quarantine.admit(key, "1".into()).await.unwrap()).begin()
}

/// Kills the process while these runs are under way, and returns the marks that the next process finds.
async fn killed(marks: &Arc<Memory>, under_way: &[&Ref]) -> Arc<Memory> {
    let quarantine = process(marks);
    let mut begun_ones = Vec::new();
    for key in under_way {
        begun_ones.push(begun(&quarantine, key).await);
    }
    marks.left()
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_ends_at_three_times_is_left_alone_until_it_changes() {
    let key = build("bomb");
    let mut marks = Arc::new(Memory::default());
    // The first run was one among all the new ones, the later ones were alone.
    for found in [(0, UnderWay::Beside), (0, UnderWay::Alone), (1, UnderWay::Alone)] {
        marks = killed(&marks, &[&key]).await;
        assert_eq!(marks.of("Kustomization/bomb/k"), Some(found));
    }
    let quarantine = process(&marks);
    let refused = quarantine.admit(&key, "1".into()).await.unwrap_err();
    assert_eq!(refused, Common::Quarantined { times: 2 });
    // Other objects are not affected.
    begun(&quarantine, &build("other")).await.done();
    sleep(Duration::from_mins(59)).await;
    assert!(quarantine.admit(&key, "1".into()).await.is_err());
    sleep(Duration::from_mins(2)).await;
    let again = begun(&quarantine, &key).await;
    assert_eq!(marks.of("Kustomization/bomb/k"), Some((2, UnderWay::Alone)));
    let after = process(&marks.left());
    assert_eq!(after.admit(&key, "1".into()).await.unwrap_err(), Common::Quarantined { times: 3 });
    drop(after);
    again.done();
    assert!(quarantine.is_suspect(&key), "it has fitted once");
    begun(&quarantine, &key).await.done();
    assert_eq!(marks.of("Kustomization/bomb/k"), None);
    assert!(!quarantine.is_suspect(&key));
}

/// The memory that one build leaves in use may be missing for the next.
#[tokio::test(start_paused = true)]
async fn what_the_agent_ends_at_each_second_time_is_left_alone_as_well() {
    let key = build("bomb");
    let mut marks = killed(&Arc::new(Memory::default()), &[&key]).await;
    for _ in 0..ENDS {
        let quarantine = process(&marks);
        begun(&quarantine, &key).await.done();
        let _second = begun(&quarantine, &key).await;
        assert_eq!(marks.of("Kustomization/bomb/k").map(|(_, under_way)| under_way), Some(UnderWay::Alone));
        marks = marks.left();
    }
    let refused = process(&marks).admit(&key, "1".into()).await.unwrap_err();
    assert_eq!(refused, Common::Quarantined { times: 2 });
}

#[tokio::test(start_paused = true)]
async fn a_build_that_fitted_is_cleared_by_time_too() {
    let key = build("near");
    let marks = killed(&Arc::new(Memory::default()), &[&key]).await;
    let quarantine = process(&marks);
    begun(&quarantine, &key).await.done();
    assert_eq!(marks.of("Kustomization/near/k"), Some((0, UnderWay::No)));
    sleep(PROBATION).await;
    begun(&quarantine, &source("other")).await.done();
    assert!(!quarantine.is_suspect(&key) && marks.of("Kustomization/near/k").is_none());
}

#[tokio::test(start_paused = true)]
async fn another_state_is_tried_and_one_more_end_is_enough() {
    let key = build("bomb");
    let mut marks = Arc::new(Memory::default());
    for _ in 0..=ENDS {
        marks = killed(&marks, &[&key]).await;
    }
    let quarantine = process(&marks);
    assert!(quarantine.admit(&key, "1".into()).await.is_err());
    let pass = Arc::new(quarantine.admit(&key, "2".into()).await.unwrap());
    let _begun = pass.begin();
    let next = process(&marks.left());
    assert!(next.admit(&key, "2".into()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_was_only_near_is_cleared_by_its_next_run() {
    let (bomb, near) = (build("bomb"), source("near"));
    let marks = killed(&Arc::new(Memory::default()), &[&bomb, &near]).await;
    let quarantine = process(&marks);
    assert!(quarantine.is_suspect(&bomb) && quarantine.is_suspect(&near));
    // The suspects run one after the other. Neither counts as alone once the other has begun beside it.
    let first = begun(&quarantine, &bomb).await;
    assert_eq!(marks.of("Kustomization/bomb/k"), Some((0, UnderWay::Alone)));
    assert!(timeout(Duration::from_secs(30), quarantine.admit(&near, "1".into())).await.is_err());
    drop(first);
    begun(&quarantine, &near).await.done();
    assert!(quarantine.is_suspect(&bomb) && !quarantine.is_suspect(&near));
    assert_eq!(marks.of("GitRepository/near/s"), None);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_comes_last_and_what_is_new_waits_for_its_build() {
    let bomb = build("bomb");
    let marks = killed(&Arc::new(Memory::default()), &[&bomb]).await;
    let quarantine = process(&marks);
    let other = begun(&quarantine, &build("other")).await;
    assert!(timeout(Duration::from_secs(50), quarantine.admit(&bomb, "1".into())).await.is_err());
    other.done();
    let mine = begun(&quarantine, &bomb).await;
    let (other, third) = (build("other"), build("third"));
    assert!(timeout(Duration::from_secs(30), quarantine.admit(&third, "1".into())).await.is_err());
    // An object whose run has ended before is not held up.
    assert!(timeout(Duration::ZERO, quarantine.admit(&other, "1".into())).await.is_ok());
    mine.done();
    begun(&quarantine, &third).await.done();
}

#[tokio::test(start_paused = true)]
async fn fetches_without_an_end_keep_nobody_from_its_turn() {
    let hosts: Vec<Ref> = (0..4).map(|at| Ref::new(GitRepository::ID, "hog", format!("s{at}"))).collect();
    let (good, bomb) = (source("good"), build("good"));
    let all: Vec<&Ref> = hosts.iter().chain([&good, &bomb]).collect();
    let marks = killed(&Arc::new(Memory::default()), &all).await;
    let quarantine = process(&marks);
    let begin = tokio::time::Instant::now();
    let tries: Vec<_> = hosts
        .iter()
        .map(|host| {
            let (quarantine, host) = (Arc::clone(&quarantine), host.clone());
            tokio::spawn(async move {
                let _begun = begun(&quarantine, &host).await;
                std::future::pending::<()>().await;
            })
        })
        .collect();
    tokio::task::yield_now().await;
    begun(&quarantine, &good).await.done();
    begun(&quarantine, &bomb).await.done();
    let took = tokio::time::Instant::now() - begin;
    assert!(took <= 4 * PATIENCE, "{took:?}");
    // A new run does not wait for a fetch.
    let new = build("new");
    assert!(timeout(Duration::ZERO, quarantine.admit(&new, "1".into())).await.is_ok());
    tries.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_told_to_end_leaves_no_mark() {
    let marks = Arc::new(Memory::default());
    let quarantine = process(&marks);
    let begun_one = begun(&quarantine, &build("a")).await;
    assert_eq!(marks.of("Kustomization/a/k"), Some((0, UnderWay::Beside)));
    quarantine.close();
    assert!(marks.0.lock().unwrap().is_empty());
    let late = begun(&quarantine, &build("b")).await;
    assert!(marks.0.lock().unwrap().is_empty());
    drop((begun_one, late));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_against_a_suspect_outlives_an_orderly_end() {
    let key = build("bomb");
    let marks = killed(&Arc::new(Memory::default()), &[&key]).await;
    let marks = killed(&marks, &[&key]).await;
    let quarantine = process(&marks);
    let _begun = begun(&quarantine, &key).await;
    quarantine.close();
    assert_eq!(marks.of("Kustomization/bomb/k"), Some((1, UnderWay::No)));
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_has_gone_is_forgotten() {
    let key = build("bomb");
    let marks = killed(&Arc::new(Memory::default()), &[&key]).await;
    let quarantine = process(&marks);
    quarantine.forget(&key);
    assert!(!quarantine.is_suspect(&key) && marks.0.lock().unwrap().is_empty());
}

/// Kills at random moments during sound runs: no object is ever quarantined.
#[tokio::test(start_paused = true)]
async fn random_kills_never_stall_the_innocent() {
    let keys: Vec<Ref> = (0..10).map(|at| Ref::new(Kustomization::ID, "n", format!("k{at}"))).collect();
    let mut marks = Arc::new(Memory::default());
    let mut seed = 7_u64;
    let mut chance = |limit: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % limit
    };
    for _ in 0..200 {
        let quarantine = process(&marks);
        let life = Duration::from_millis(3_000 + chance(20_000));
        let runs: Vec<_> = keys
            .iter()
            .map(|key| {
                let (quarantine, key) = (Arc::clone(&quarantine), key.clone());
                let (pause, takes) = (chance(2_000), 10 + chance(100));
                tokio::spawn(async move {
                    loop {
                        sleep(Duration::from_millis(pause)).await;
                        let pass = quarantine.admit(&key, "1".into()).await;
                        let begun = Arc::new(pass.expect("an innocent is left alone")).begin();
                        sleep(Duration::from_millis(takes)).await;
                        begun.done();
                    }
                })
            })
            .collect();
        sleep(life).await;
        marks = marks.left();
        for run in runs {
            assert!(!run.is_finished(), "{:?}", run.await);
            run.abort();
        }
    }
}
