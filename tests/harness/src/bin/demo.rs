//! `make demo`: the sample platform from nothing to Ready on this machine, with real parts.
//!
//! `demo` runs it and clears it away; with `KEEP=1` a second process of this program runs it in the
//! background and stays until `demo down`.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use harness::sample::{self, SampleChart};
use harness::{Agent, ChartServer, ControlPlane, GitHub, GitServer, Options, Repo, eventually};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

const REPOSITORY: &str = "acme/platform";
const REGION: &str = "kubernetes/production/eu-west9";
const TOKEN: &str = "demo-token";
/// The version to which a commit raises a chart.
const RAISED: &str = "1.1.0";

fn main() -> anyhow::Result<()> {
    let keep = std::env::var("KEEP").is_ok_and(|value| !value.is_empty() && value != "0");
    match std::env::args().nth(1).as_deref() {
        Some("down") => down(),
        Some("stay") => run(true),
        Some(other) => bail!("unknown argument '{other}': nothing or 'down' is expected"),
        None if keep => run_in_background(),
        None => run(false),
    }
}

/// The folder for the kubeconfig, the log and the process id of a demo that stays.
fn folder() -> PathBuf {
    root().join(".run")
}

/// The repository of the project.
fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package)
}

#[tokio::main]
async fn run(stay: bool) -> anyhow::Result<()> {
    let start = Instant::now();
    let demo = Demo::start().await?;
    say(&format!(
        "control plane, sshd, GitHub stand-in and chart repository are up after {:.1} s",
        start.elapsed().as_secs_f64()
    ));
    let agent = demo.bootstrap().await?;
    demo.lockgate(&["status", "-A"]).await.with_context(|| agent.output())?;
    demo.change().await.with_context(|| agent.output())?;
    demo.raise().await.with_context(|| agent.output())?;
    if !stay {
        say("done. `make demo KEEP=1` leaves the cluster running, to look around with kubectl");
        return Ok(());
    }
    fs::create_dir_all(folder())?;
    fs::copy(demo.cluster.admin_kubeconfig(), folder().join("kubeconfig"))?;
    say(&format!(
        "running. Try next:\n  export KUBECONFIG={}\n  kubectl get ks,hr -A\n  kubectl delete deployment -n kube-network --all    \
         # and see it come back\n  git clone {}    # then commit and push: it is applied within a minute\n  make down",
        folder().join("kubeconfig").display(),
        demo.repo.path().display(),
    ));
    // The parent waits for this file.
    fs::write(folder().join("ready"), "")?;
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

/// The parts of a running demo.
struct Demo {
    cluster: ControlPlane,
    github: GitHub,
    git: GitServer,
    repo: Repo,
    /// It is served for as long as the demo runs.
    _charts: ChartServer,
}

impl Demo {
    async fn start() -> anyhow::Result<Self> {
        let cluster = ControlPlane::start(Options::default()).await?;
        let git = GitServer::start()?;
        let repo = git.create_repo(REPOSITORY)?;
        let charts = sample::chart_server(None)?;
        SampleChart::read("dashboard")?.raised_to(RAISED)?.publish(&charts)?;
        repo.commit_changes("main", "Add the platform", &sample::platform(&charts.url())?)?;
        let github = GitHub::start(&git)?;
        github.add_token(TOKEN);
        Ok(Self { cluster, github, git, repo, _charts: charts })
    }

    /// Runs the real bootstrap, and the agent with its own ServiceAccount as soon as bootstrap has created
    /// that. kwok shows the Deployment's pod as running, and runs nothing.
    async fn bootstrap(&self) -> anyhow::Result<Agent> {
        let region = format!("{REGION}/flux-system");
        say(&format!("lockgate bootstrap github {REPOSITORY} --path {region}"));
        let (api, ssh) = (self.github.url(), self.git.address().to_string());
        let arguments = [
            "bootstrap",
            "github",
            REPOSITORY,
            "--branch",
            "main",
            "--path",
            &region,
            "--api-url",
            &api,
            "--ssh-host",
            &ssh,
        ];
        let (bootstrap, agent) = tokio::join!(self.lockgate(&arguments), self.agent());
        let agent = agent?;
        bootstrap.with_context(|| agent.output())?;
        Ok(agent)
    }

    async fn agent(&self) -> anyhow::Result<Agent> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.cluster.client().await?, "flux-system");
        let minute = Duration::from_mins(1);
        eventually(minute, async || Ok(accounts.get("lockgate").await?)).await?;
        let kubeconfig = self.cluster.service_account_kubeconfig("flux-system", "lockgate").await?;
        Agent::new(lockgate()?).args(["agent"]).kubeconfig(&kubeconfig).spawn()
    }

    /// Commits a change, and waits until the cluster has it.
    async fn change(&self) -> anyhow::Result<()> {
        let path = format!("{REGION}/flux-system/cluster-variables.yaml");
        let lines = [r#"proxy_replicas: "2""#, r#"proxy_replicas: "3""#];
        let commit = self.commit("Run three proxies", &path, lines)?;
        say(&format!("committed {} \"Run three proxies\": proxy_replicas 2 -> 3", &commit[..7]));
        let start = Instant::now();
        say(
            "the source is looked at once a minute; asking for it now, as `flux reconcile source git flux-system` does",
        );
        self.ask(&commit).await?;
        let proxies: Api<Deployment> = Api::namespaced(self.cluster.client().await?, "kube-network");
        eventually(Duration::from_mins(2), async || {
            let list = proxies.list(&kube::api::ListParams::default()).await?;
            let ready = |deployment: &Deployment| deployment.status.as_ref()?.available_replicas;
            let ready = list.iter().filter_map(ready).max().unwrap_or(0);
            ensure!(ready == 3, "{ready} proxies are available");
            Ok(())
        })
        .await?;
        say(&format!("three proxies are available {:.1} s after the commit", start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Commits the next version of a chart, and waits until it is released.
    async fn raise(&self) -> anyhow::Result<()> {
        let path = "kubernetes/base/foobar/dashboard/release.yaml";
        let lines = ["version: 1.0.0".to_owned(), format!("version: {RAISED}")];
        let commit = self.commit("Raise the dashboard", path, lines.each_ref().map(String::as_str))?;
        say(&format!("committed {} \"Raise the dashboard\": chart 1.0.0 -> {RAISED}", &commit[..7]));
        let start = Instant::now();
        self.ask(&commit).await?;
        let releases =
            ApiResource::from_gvk(&GroupVersionKind::gvk("helm.toolkit.fluxcd.io", "v2", "HelmRelease"));
        let releases: Api<DynamicObject> =
            Api::namespaced_with(self.cluster.client().await?, "foobar", &releases);
        let said = eventually(Duration::from_mins(2), async || {
            let release = releases.get("dashboard").await?;
            let conditions = release.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready");
            let ready = ready.context("the release has no condition")?;
            let said = ready["message"].as_str().unwrap_or_default().to_owned();
            ensure!(ready["status"] == "True" && said.contains(RAISED), "the release says: {said}");
            Ok(said)
        })
        .await?;
        say(&format!("{said}, its hook first, {:.1} s after the commit", start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Commits another line of a file.
    fn commit(&self, message: &str, path: &str, [before, after]: [&str; 2]) -> anyhow::Result<String> {
        let text = self.repo.git(&["show", &format!("main:{path}")])?;
        ensure!(text.contains(before), "{path} no longer has the line that the demo changes");
        let text = text.replace(before, after);
        self.repo.commit("main", message, &[(path, Some(&text))])
    }

    /// Has the agent look at the source now.
    async fn ask(&self, commit: &str) -> anyhow::Result<()> {
        let sources =
            ApiResource::from_gvk(&GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", "GitRepository"));
        let client = self.cluster.client().await?;
        let sources: Api<DynamicObject> = Api::namespaced_with(client, "flux-system", &sources);
        let request = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": commit}}});
        sources.patch("flux-system", &PatchParams::default(), &Patch::Merge(request)).await?;
        Ok(())
    }

    /// Runs the product on the demo's cluster as its administrator, with its output on the terminal.
    async fn lockgate(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let status = tokio::process::Command::new(lockgate()?)
            .args(arguments)
            .env("KUBECONFIG", self.cluster.admin_kubeconfig())
            .env("GITHUB_TOKEN", TOKEN)
            .kill_on_drop(true)
            .status()
            .await?;
        ensure!(status.success(), "lockgate {} failed: {status}", arguments[0]);
        Ok(())
    }
}

fn say(text: &str) {
    println!("\n── {text}");
}

/// The product's binary, which is in the same folder as this one.
fn lockgate() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("lockgate");
    ensure!(path.exists(), "{} is missing: run `cargo build` first", path.display());
    Ok(path)
}

fn run_in_background() -> anyhow::Result<()> {
    let (folder, pid) = (folder(), folder().join("pid"));
    ensure!(!pid.exists(), "a demo is running already: `make down` stops it");
    fs::create_dir_all(&folder)?;
    let log = folder.join("demo.log");
    let out = File::create(&log)?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("stay")
        // The process has a group of its own, so that Ctrl-C on the terminal does not reach it.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()
        .context("failed to start in the background")?;
    fs::write(&pid, child.id().to_string())?;
    let mut shown = 0;
    loop {
        let ready = folder.join("ready").exists();
        let text = fs::read(&log)?;
        std::io::stdout().write_all(&text[shown..])?;
        shown = text.len();
        if ready {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            fs::remove_dir_all(&folder)?;
            bail!("the demo ended: {status}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn down() -> anyhow::Result<()> {
    let folder = folder();
    let Ok(pid) = fs::read_to_string(folder.join("pid")) else {
        println!("no demo is running");
        return Ok(());
    };
    // After a restart of the machine the number may belong to another process.
    let program = fs::read_link(format!("/proc/{}/exe", pid.trim())).unwrap_or_default();
    let is_demo = program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("demo"));
    // Its children end with it.
    let stopped = is_demo && Command::new("kill").arg(&pid).status()?.success();
    fs::remove_dir_all(&folder)?;
    println!("{}", if stopped { "stopped" } else { "it had ended by itself" });
    Ok(())
}
