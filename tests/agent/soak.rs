//! A platform over a long time, with commits, drift, hosts that come and go, and an agent that is killed:
//! nothing is lost, and nothing grows. `make soak MINUTES=n` runs it for long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{Agent, Mode, Proxy, eventually};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::stage::{HOME, PATIENCE, Running, Stage, config_map, stage};

/// The number of Kustomizations, each with one object.
const COUNT: usize = 8;
/// The default duration. A short run shows that everything works, a long one shows growth.
const SHORT: Duration = Duration::from_secs(20);
/// How soon drift is corrected if no host is down.
const DRIFT: Duration = Duration::from_secs(5);
/// The allowed growth between the middle and the end: memory in KiB and in percent, open files, threads,
/// bytes on the disk.
const MORE: (u64, u64, usize, u64, u64) = (8 * 1024, 20, 10, 4, 16 << 20);

/// The resources that the agent uses.
#[derive(Debug)]
struct Size {
    memory_kib: u64,
    open_files: usize,
    threads: u64,
    disk: u64,
}

/// The platform, its agent, and the proxies around it.
struct Soak<'s> {
    stage: Stage<'s>,
    agent: Running,
    kubeconfig: PathBuf,
    state: tempfile::TempDir,
    host: Proxy,
    server: Proxy,
    /// The content of each object in Git.
    wanted: BTreeMap<String, String>,
    uids: BTreeMap<String, String>,
}

fn names() -> impl Iterator<Item = String> {
    (0..COUNT).map(|at| format!("k{at}"))
}

/// The size of all files below a folder that are not removed meanwhile.
fn disk(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => disk(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn start(stage: &Stage<'_>, kubeconfig: &Path, state: &Path) -> Running {
    let agent = Agent::new(env!("CARGO_BIN_EXE_lockgate")).kubeconfig(kubeconfig);
    let agent = agent.args(["agent", "--namespace", HOME, "--watch-namespace", &stage.namespace]);
    Running::start(agent.args(["--state-dir"]).args([state]))
}

impl Soak<'_> {
    async fn begin() -> Self {
        let stage = stage("soak", &[]).await;
        let host = Proxy::start(stage.git.address()).unwrap();
        let server = Proxy::start(stage.plane.address()).unwrap();
        let keys = stage.git.known_hosts_at(host.address()).unwrap();
        let known: String = keys.into_iter().map(|(_, line)| line + "\n").collect();
        stage.secret("repo", json!({"known_hosts": known})).await.unwrap();
        let url = stage.git.url_at(&stage.repo, host.address());
        stage.source("repo", json!({"url": url, "timeout": "20s"})).await.unwrap();
        let kubeconfig = stage.plane.service_account_kubeconfig(HOME, "lockgate").await.unwrap();
        let kubeconfig = stage.plane.kubeconfig_through(&kubeconfig, server.address()).unwrap();
        let state = tempfile::tempdir().unwrap();
        let agent = start(&stage, &kubeconfig, state.path());
        let (wanted, uids) = (BTreeMap::new(), BTreeMap::new());
        let mut soak = Self { stage, agent, kubeconfig, state, host, server, wanted, uids };
        for name in names() {
            soak.commit(&name, "first");
            soak.stage.kustomization(&name, json!({})).await;
        }
        soak.settled().await;
        for name in names() {
            let map = soak.stage.config_maps().get(&name).await.unwrap();
            soak.uids.insert(name, map.metadata.uid.unwrap());
        }
        soak
    }

    fn commit(&mut self, name: &str, value: &str) {
        self.stage.push(&[(&format!("{name}/a.yaml"), &config_map(name, value))]);
        self.wanted.insert(name.to_owned(), value.to_owned());
    }

    /// Checks that everything is as in Git, and nothing was recreated.
    async fn settled(&self) {
        for name in names() {
            self.stage.ready(&name).await;
            let map = self.stage.config_maps().get(&name).await.unwrap();
            assert_eq!(map.data["data"]["value"], self.wanted[&name].as_str(), "{name}");
            if let Some(uid) = self.uids.get(&name) {
                assert_eq!(map.metadata.uid.as_ref(), Some(uid), "{name} was made anew");
            }
        }
    }

    /// Changes an object as somebody else; returns how long its correction takes.
    async fn drift(&self, name: &str) -> Duration {
        let edit = json!({"data": {"value": "edited"}});
        let params = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
        self.stage.config_maps().patch(name, &params, &Patch::Merge(&edit)).await.unwrap();
        let begin = Instant::now();
        eventually(PATIENCE, async || {
            let data = self.stage.data(name).await.unwrap_or_default();
            anyhow::ensure!(data["value"] == self.wanted[name], "{data:?}");
            Ok(())
        })
        .await
        .unwrap();
        begin.elapsed()
    }

    /// Makes one commit and one drift, and in some rounds a fault in between.
    async fn round(&mut self, number: usize, may_kill: bool) -> Duration {
        let (changed, drifted) = (format!("k{}", number % COUNT), format!("k{}", (number + 3) % COUNT));
        match number % 4 {
            1 => {
                self.host.set(Mode::Refuse).await;
                self.commit(&changed, &format!("round {number}"));
                self.drift(&drifted).await;
                self.host.set(Mode::Pass).await;
            }
            2 => {
                self.commit(&changed, &format!("round {number}"));
                self.server.set(Mode::Reset).await;
                self.server.set(Mode::Pass).await;
            }
            3 if may_kill => {
                self.commit(&changed, &format!("round {number}"));
                self.agent.kill9();
                self.agent = start(&self.stage, &self.kubeconfig, self.state.path());
            }
            _ => self.commit(&changed, &format!("round {number}")),
        }
        self.stage.ready(&changed).await;
        self.drift(&drifted).await
    }

    fn size(&self) -> Size {
        let agent = &self.agent;
        Size {
            memory_kib: agent.rss_kib().unwrap(),
            open_files: agent.open_files().unwrap(),
            threads: agent.threads().unwrap(),
            disk: disk(self.state.path()),
        }
    }
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_grows() {
    let minutes = std::env::var("SOAK_MINUTES").ok().map(|text| text.parse::<u64>().unwrap());
    let length = minutes.map_or(SHORT, Duration::from_mins);
    let mut soak = Soak::begin().await;
    let (begin, mut number, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while begin.elapsed() < length / 2 || number < 4 {
        soak.round(number, true).await;
        number += 1;
    }
    // From here on it is one process, whose size is compared after it has done all kinds of work.
    let half = number;
    let mut middle = None;
    while begin.elapsed() < length || number < half + 8 {
        slowest = slowest.max(soak.round(number, false).await);
        number += 1;
        if number == half + 4 {
            middle = Some(soak.size());
        }
    }
    soak.settled().await;
    let (middle, end) = (middle.unwrap(), soak.size());
    println!("{number} rounds; the slowest drift took {slowest:?}; {middle:?}, then {end:?}");
    let (memory, percent, files, threads, disk) = MORE;
    assert!(end.memory_kib <= middle.memory_kib + memory + middle.memory_kib * percent / 100);
    assert!(end.open_files <= middle.open_files + files && end.threads <= middle.threads + threads);
    assert!(end.disk <= middle.disk + disk);
    // A machine that is shared with others proves nothing about time.
    assert!(minutes.is_none() || slowest <= DRIFT, "drift was back after {slowest:?} only");
}
