//! `make bench`: the time of a platform from nothing to Ready, and the agent's resources for it, beside the
//! floor of the same objects as bare server-side applies in the same run.
//!
//! `BEFORE` names another binary of lockgate, such as one built before a change, which takes its turns too.
//! `WORKLOAD` takes one of `chain`, `fleet`, `crowd`, `artifact` and `releases` only, and `ROUNDS` another
//! number of rounds.

mod floor;
mod source;
mod workload;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use harness::{Agent, ControlPlane, Options};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};

use source::Source;
use workload::{NAMESPACE, Workload};

/// The namespaces that the floor is measured in, before and after the agent's work: a machine that others
/// share may be a third slower a minute later.
const FLOORS: [&str; 2] = ["bench-floor-before", "bench-floor-after"];
const PATIENCE: Duration = Duration::from_secs(300);
const ACCOUNT: &str = "system:serviceaccount:flux-system:lockgate";
/// Names the kubeconfig to a run of this program that does nothing but compare: the memory of a process
/// counts from what the one held that started it, and this one holds much by then.
const COMPARE: &str = "COMPARE_WITH";

/// What one phase took.
struct Figures {
    wall: Duration,
    cpu_seconds: f64,
    peak_mib: f64,
    requests: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(kubeconfig) = std::env::var_os(COMPARE) {
        return compare_alone(&kubeconfig);
    }
    // `cargo bench` and `cargo test --benches` hand over arguments that mean nothing here.
    let folder = tempfile::tempdir()?;
    let now = harness::fresh_copy(&binary(), folder.path(), "lockgate")?;
    let before = std::env::var_os("BEFORE").map(PathBuf::from);
    let before = before.map(|before| harness::fresh_copy(&before, folder.path(), "before")).transpose()?;
    let only = std::env::var_os("WORKLOAD").filter(|name| !name.is_empty());
    let asked = std::env::var("ROUNDS").ok().map(|rounds| rounds.parse()).transpose()?;
    let fleet = Workload::fleet();
    let mut table = Vec::new();
    for (name, workload, rounds) in [
        ("chain", Workload::chain(), 1),
        ("fleet", Workload::fleet(), 9),
        ("crowd", Workload::crowd(), 1),
        ("artifact", Workload::artifact(), 5),
        ("releases", Workload::releases(), 9),
    ] {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let mut contenders = vec![Contender { title: workload.title, workload: &workload, binary: &now }];
        if let Some(before) = &before {
            contenders.push(Contender { title: "BEFORE", workload: &workload, binary: before });
        }
        if name == "artifact" {
            contenders.push(Contender { title: fleet.title, workload: &fleet, binary: &now });
        }
        table.extend(compete(&contenders, asked.unwrap_or(rounds)).await?);
    }
    println!("{:<18} {:<26} {:>8} {:>8} {:>10} {:>10}", "", "", "seconds", "CPU s", "peak MiB", "requests");
    for row in table {
        println!("{row}");
    }
    Ok(())
}

/// One of those that take turns, so that what else the machine does meets all of them.
struct Contender<'a> {
    title: &'a str,
    workload: &'a Workload,
    binary: &'a Path,
}

/// Lets each take its turn in each round. The rows of all, and how the first compares with each other one.
async fn compete(contenders: &[Contender<'_>], rounds: usize) -> anyhow::Result<Vec<String>> {
    let mut found: Vec<Vec<Round>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (contender, found) in contenders.iter().zip(&mut found) {
            let title = contender.title;
            eprintln!("{title}: starting a control plane, round {round} of {rounds}");
            found.push(bench(contender.workload, contender.binary).await.with_context(|| title.to_owned())?);
        }
    }
    let found: Vec<Middle> = found.into_iter().map(Middle::of).collect();
    let mut rows = Vec::new();
    for (contender, middle) in contenders.iter().zip(&found) {
        rows.extend(middle.rows(contender.title));
    }
    for (contender, other) in contenders.iter().zip(&found).skip(1) {
        rows.push(found[0].beside(contender.title, other));
    }
    Ok(rows)
}

/// What the objects take that nobody orders, compares or records.
struct Floor {
    /// Until the last one is applied.
    applied: Duration,
    /// Until their Deployments are available as well, which is what a Kustomization that waits means by
    /// Ready.
    healthy: Duration,
}

impl Floor {
    fn mean(floors: [Self; 2]) -> Self {
        let [before, after] = floors;
        Self { applied: (before.applied + after.applied) / 2, healthy: (before.healthy + after.healthy) / 2 }
    }
}

/// What one round found.
struct Round {
    floor: Floor,
    cold: Figures,
    unchanged: Figures,
    /// `lockgate diff -A` where nothing differs; its dry runs are its requests. `None` for a binary that has
    /// no such command.
    compared: Option<Figures>,
    /// How many objects there are.
    objects: usize,
    idle_mib: f64,
}

/// What several rounds found, each figure from the middle of all rounds.
struct Middle {
    /// The ratios of all rounds to the floor, in order.
    ratios: Vec<f64>,
    round: Round,
}

impl Round {
    /// How many times the floor it took to get to Ready.
    fn ratio(&self) -> f64 {
        self.cold.wall.as_secs_f64() / self.floor.applied.as_secs_f64()
    }
}

impl Middle {
    /// The round whose ratio is in the middle; what its agent spent is from the middle of all rounds by that
    /// figure.
    fn of(mut rounds: Vec<Round>) -> Self {
        let middle = rounds.len() / 2;
        let figure = |rounds: &[Round], of: fn(&Round) -> f64| {
            let mut figures: Vec<f64> = rounds.iter().map(of).collect();
            figures.sort_by(f64::total_cmp);
            figures[middle]
        };
        let cold_cpu = figure(&rounds, |round| round.cold.cpu_seconds);
        let cold_peak = figure(&rounds, |round| round.cold.peak_mib);
        let unchanged_cpu = figure(&rounds, |round| round.unchanged.cpu_seconds);
        let idle_mib = figure(&rounds, |round| round.idle_mib);
        rounds.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        let ratios = rounds.iter().map(Round::ratio).collect();
        let mut round = rounds.swap_remove(middle);
        (round.cold.cpu_seconds, round.cold.peak_mib) = (cold_cpu, cold_peak);
        (round.unchanged.cpu_seconds, round.idle_mib) = (unchanged_cpu, idle_mib);
        Self { ratios, round }
    }

    /// How many times what another one took.
    fn beside(&self, title: &str, other: &Self) -> String {
        let (now, then) = (&self.round, &other.round);
        let times = |of: fn(&Round) -> f64| of(now) / of(then);
        format!(
            "of {title}: {:.2} x the ratio to the floor, {:.2} x the processor time, {:.2} x the memory, {} requests for {}; \
             a pass {:.2} x the processor time, {} requests for {}; idle {:+.1} MiB",
            times(Round::ratio),
            times(|round| round.cold.cpu_seconds),
            times(|round| round.cold.peak_mib),
            now.cold.requests,
            then.cold.requests,
            times(|round| round.unchanged.cpu_seconds),
            now.unchanged.requests,
            then.unchanged.requests,
            now.idle_mib - then.idle_mib,
        )
    }

    fn rows(&self, title: &str) -> Vec<String> {
        let ratios: Vec<String> = self.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let ratios = ratios.join(", ");
        let Round { floor, cold, unchanged, compared, objects, idle_mib } = &self.round;
        let row = |what: &str, figures: &Figures| {
            format!(
                "{title:<18} {what:<26} {:>8.2} {:>8.2} {:>10.1} {:>10}",
                figures.wall.as_secs_f64(),
                figures.cpu_seconds,
                figures.peak_mib,
                figures.requests
            )
        };
        let healthy = cold.wall.as_secs_f64() / floor.healthy.as_secs_f64();
        let times = format!("   {ratios} x the floor, {healthy:.2} x with its pods");
        let compared = compared.as_ref().map(|compared| {
            let looked = format!(
                "   {:.2} dry runs an object, {:.2} x the time of from nothing to Ready",
                share(compared.requests, *objects),
                compared.wall.as_secs_f64() / cold.wall.as_secs_f64()
            );
            row("diff -A, its dry runs", compared) + &looked
        });
        let bare = |what: &str, took: Duration| format!("{title:<18} {what:<26} {:>8.2}", took.as_secs_f64());
        let mut rows = vec![
            bare("floor: bare applies", floor.applied),
            bare("floor: and its pods ready", floor.healthy),
            row("from nothing to Ready", cold) + &times,
            row("a pass, nothing changed", unchanged),
        ];
        rows.extend(compared);
        rows.push(format!("{title:<18} {:<26} {:>8} {:>8} {idle_mib:>10.1}", "idle, nothing to do", "", ""));
        rows
    }
}

async fn bench(workload: &Workload, binary: &Path) -> anyhow::Result<Round> {
    let cluster = ControlPlane::start(Options { audit: true, ..Options::default() }).await?;
    let client = cluster.client().await?;
    // Not the namespace that the agent fills later: for half a minute after a namespace is deleted, the API
    // server reads it anew for each write to it.
    for namespace in FLOORS.into_iter().chain([NAMESPACE]) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        floor::apply(&client, &namespace).await?;
    }
    let before = floor_of(&cluster, &client, workload, FLOORS[0]).await?;

    install(&cluster, binary).await?;
    let source = Source::of(workload).await?;
    let kubeconfig = cluster.service_account_kubeconfig("flux-system", "lockgate").await?;
    let agent = Agent::new(binary).args(["agent"]).kubeconfig(&kubeconfig).spawn()?;
    // Part of what each version logs when it has become leader.
    agent.wait_output("lead", Duration::from_secs(30)).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle_mib = mib(agent.rss_kib()?);

    let all = source.objects.iter().cloned().chain(workload.appliers()).collect();
    let cold = measure(&cluster, &agent, async {
        send(&client, all).await?;
        until(&client, workload, |object| condition(object, "Ready") == Some("True")).await
    });
    let cold = cold.await.with_context(|| agent.output())?;
    // Leave out of the next figure what the first still has under way.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let unchanged = measure(&cluster, &agent, async {
        request(&client, workload, "again").await?;
        until(&client, workload, |object| handled(object) == Some("again")).await
    });
    let unchanged = unchanged.await.with_context(|| agent.output())?;

    drop(agent);
    let compared = has_diff(binary)?.then(|| compare(&cluster, binary)).transpose()?;
    let after = floor_of(&cluster, &client, workload, FLOORS[1]).await?;
    let objects = workload.objects(NAMESPACE).len();
    Ok(Round { floor: Floor::mean([before, after]), cold, unchanged, compared, objects, idle_mib })
}

/// Applies the workload with nothing but requests, into a namespace of its own, and lets its pods start.
async fn floor_of(
    cluster: &ControlPlane,
    client: &kube::Client,
    workload: &Workload,
    namespace: &str,
) -> anyhow::Result<Floor> {
    let began = Instant::now();
    let applied = floor::measure(cluster, workload.objects(namespace)).await?;
    floor::available(client, namespace).await?;
    let healthy = began.elapsed();
    tokio::time::sleep(Duration::from_secs(10)).await;
    Ok(Floor { applied, healthy })
}

/// Installs CRDs, rights and Deployment; kwok shows the pod as running, while the agent that is measured is a
/// process.
async fn install(cluster: &ControlPlane, binary: &Path) -> anyhow::Result<()> {
    let install = Agent::new(binary).args(["install"]).kubeconfig(&cluster.admin_kubeconfig()).spawn()?;
    let status = install.wait_exit(Duration::from_secs(60)).await?;
    anyhow::ensure!(status.success(), "lockgate install failed: {}", install.output());
    Ok(())
}

/// Runs a phase, and says what the agent spent meanwhile.
async fn measure(
    cluster: &ControlPlane,
    agent: &Agent,
    phase: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Figures> {
    let (cpu_before, requests_before) = (agent.cpu_seconds()?, requests_of_agent(cluster));
    let start = Instant::now();
    phase.await?;
    let wall = start.elapsed();
    // What was triggered but not waited for belongs to the phase as well.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(Figures {
        wall,
        cpu_seconds: agent.cpu_seconds()? - cpu_before,
        peak_mib: mib(agent.peak_rss_kib()?),
        requests: requests_of_agent(cluster) - requests_before,
    })
}

/// Whether a binary is of a version that has `diff`.
fn has_diff(binary: &Path) -> anyhow::Result<bool> {
    Ok(Command::new(binary).args(["diff", "--help"]).output()?.status.success())
}

/// Compares all Kustomizations with what is there, which must be as it should.
fn compare(cluster: &ControlPlane, binary: &Path) -> anyhow::Result<Figures> {
    let before = dry_runs_of_people(cluster);
    let mut alone = Command::new(std::env::current_exe()?);
    let output =
        alone.arg(binary).env(COMPARE, cluster.admin_kubeconfig()).stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "the comparison ended with {}", output.status);
    let figures = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = figures.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [wall, cpu_seconds, peak_mib] = figures[..] else { anyhow::bail!("not three figures: {figures:?}") };
    let requests = dry_runs_of_people(cluster) - before;
    Ok(Figures { wall: Duration::from_secs_f64(wall), cpu_seconds, peak_mib, requests })
}

/// Compares, with the binary that the first argument names, and prints what that took: seconds, seconds of
/// the processor, and MiB.
fn compare_alone(kubeconfig: &OsStr) -> anyhow::Result<()> {
    let mut diff = Command::new(std::env::args_os().nth(1).context("no binary is named")?);
    diff.args(["diff", "-A"]).env("KUBECONFIG", kubeconfig);
    let cost = harness::measured(&mut diff, tempfile::tempfile()?)?;
    let peak = cost.peak_kib.context("this process held as much memory as the one that it measured")?;
    println!("{} {} {}", cost.wall.as_secs_f64(), cost.cpu.as_secs_f64(), mib(peak));
    Ok(())
}

fn dry_runs_of_people(cluster: &ControlPlane) -> usize {
    let is_one = |entry: &&Value| {
        entry.pointer("/user/username").and_then(Value::as_str) == Some("admin")
            && entry["requestURI"].as_str().is_some_and(|path| path.contains("dryRun=All"))
            && entry["stage"] == "ResponseComplete"
    };
    cluster.audit_log().iter().filter(is_one).count()
}

fn requests_of_agent(cluster: &ControlPlane) -> usize {
    let by_agent = |entry: &&Value| {
        entry.pointer("/user/username").and_then(Value::as_str) == Some(ACCOUNT)
            && entry["stage"] == "ResponseComplete"
    };
    cluster.audit_log().iter().filter(by_agent).count()
}

async fn send(client: &kube::Client, objects: Vec<Value>) -> anyhow::Result<()> {
    let lanes =
        futures::stream::iter(objects).map(|object| async move { floor::apply(client, &object).await });
    lanes.buffered(8).try_collect::<()>().await
}

/// Annotates all Kustomizations or HelmReleases at once, as `flux reconcile` does.
async fn request(client: &kube::Client, workload: &Workload, token: &str) -> anyhow::Result<()> {
    let objects = workload.appliers().into_iter().map(|mut object| {
        object["metadata"]["annotations"] = json!({"reconcile.fluxcd.io/requestedAt": token});
        object
    });
    send(client, objects.collect()).await
}

/// Waits until all Kustomizations or HelmReleases are as asked. It watches, since listing them again and
/// again would be the server's work.
async fn until(
    client: &kube::Client,
    workload: &Workload,
    is_so: impl Fn(&Value) -> bool,
) -> anyhow::Result<()> {
    let (group, version, kind) = workload.applier.kind();
    let kind = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "flux-system", &resource);
    let mut left: BTreeSet<String> = workload.names().map(str::to_owned).collect();
    let mut objects = pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
    let all = async {
        while !left.is_empty() {
            let object = objects.try_next().await?.context("the watch ended")?;
            let name = object.name_any();
            if is_so(&object.data) {
                left.remove(&name);
            } else if workload.names().any(|of_workload| of_workload == name) {
                left.insert(name);
            }
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(PATIENCE, all).await {
        Ok(watched) => watched,
        Err(_) => anyhow::bail!("after {PATIENCE:?} these are not ready: {left:?}"),
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)?["status"].as_str()
}

fn handled(object: &Value) -> Option<&str> {
    object.pointer("/status/lastHandledReconcileAt")?.as_str()
}

#[expect(clippy::cast_precision_loss, reason = "numbers of objects fit a float")]
fn share(part: usize, of: usize) -> f64 {
    part as f64 / of as f64
}

#[expect(clippy::cast_precision_loss, reason = "kibibytes of memory fit a float")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The binary that `make bench` built statically for release, or cargo's own of this profile.
fn binary() -> PathBuf {
    std::env::var_os("LOCKGATE").map_or_else(|| env!("CARGO_BIN_EXE_lockgate").into(), PathBuf::from)
}
