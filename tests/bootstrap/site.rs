//! A place to set up: a control plane, a repository behind a real sshd, and the stand-in for GitHub.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use harness::{ControlPlane, GitHub, GitServer, Options, Repo};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A token that must turn up nowhere.
pub(crate) const TOKEN: &str = "github_pat_canary_3f9a1c77";
/// How long a command may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);
/// Where the repository's Kustomizations are.
pub(crate) const PATH: &str = "clusters/eu/flux-system";

/// A place to set up. Installations own objects of the whole cluster, so each test has a control plane of its
/// own, and one runs at a time.
pub(crate) struct Site {
    pub(crate) plane: ControlPlane,
    pub(crate) git: GitServer,
    pub(crate) repo: Repo,
    pub(crate) hub: GitHub,
    _turn: OwnedMutexGuard<()>,
}

/// A command that has ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    pub(crate) async fn new() -> Self {
        static TURN: std::sync::OnceLock<Arc<Mutex<()>>> = std::sync::OnceLock::new();
        let turn = Arc::clone(TURN.get_or_init(Arc::default)).lock_owned().await;
        let plane = ControlPlane::start(Options { audit: true, ..Options::default() }).await.unwrap();
        let git = GitServer::start().unwrap();
        let repo = git.create_repo("barolab/foobar-infra").unwrap();
        let root = format!("{}---\n{}", kustomization("base", &[]), kustomization("apps", &["base"]));
        let files = [
            (format!("{PATH}/sync.yaml"), root),
            ("base/cm.yaml".to_owned(), config_map("base", "one")),
            ("apps/cm.yaml".to_owned(), config_map("apps", "one")),
        ];
        let files: Vec<(&str, Option<&str>)> =
            files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
        repo.commit("main", "begin", &files).unwrap();
        let hub = GitHub::start(&git).unwrap();
        hub.add_token(TOKEN);
        Self { plane, git, repo, hub, _turn: turn }
    }

    /// Destroys the cluster, and creates another in its place.
    pub(crate) async fn recreate(&mut self) {
        self.plane = ControlPlane::start(Options { audit: true, ..Options::default() }).await.unwrap();
    }

    /// A command against this control plane, as an administrator.
    pub(crate) fn lockgate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
        command
            .args(arguments)
            .env_remove("GITHUB_TOKEN")
            .env_remove("GIT_PASSWORD")
            .env("KUBECONFIG", self.plane.admin_kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// `lockgate bootstrap github` for the repository.
    pub(crate) fn bootstrap(&self, more: &[&str]) -> Command {
        let (api, host) = (self.hub.url(), format!("{}@{}", self.git.user(), self.git.address()));
        let mut arguments = vec!["bootstrap", "github", "barolab/foobar-infra"];
        if !more.contains(&"--path") {
            arguments.extend(["--path", PATH]);
        }
        arguments.extend(["--api-url", api.as_str(), "--ssh-host", host.as_str()]);
        arguments.extend(more);
        let mut command = self.lockgate(&arguments);
        command.env("GITHUB_TOKEN", TOKEN);
        command
    }

    /// `lockgate bootstrap github` for the repository, without the flags for SSH.
    pub(crate) fn login_at_github(&self, more: &[&str]) -> Command {
        let api = self.hub.url();
        let arguments = ["bootstrap", "github", "barolab/foobar-infra", "--path", PATH, "--api-url", &api];
        let mut command = self.lockgate(&[&arguments[..], more].concat());
        command.env("GITHUB_TOKEN", TOKEN);
        command
    }

    /// The agent, as its own ServiceAccount and with the Deployment's arguments, from the moment that there
    /// are both. The arguments must hold `wanted`.
    pub(crate) async fn agent(&self, wanted: &[&str]) -> Agent {
        let kubeconfig = harness::eventually(LIMIT, async || {
            self.plane.service_account_kubeconfig("flux-system", "lockgate").await
        });
        let kubeconfig = kubeconfig.await.unwrap();
        let arguments = harness::eventually(LIMIT, async || {
            let all = self.all("apps/v1", "Deployment", "deployments").await;
            let agent = all.iter().find(|deployment| deployment["metadata"]["name"] == "lockgate");
            let agent = agent.context("there is no Deployment of the agent")?;
            let arguments: Vec<String> =
                serde_json::from_value(agent["spec"]["template"]["spec"]["containers"][0]["args"].clone())?;
            for wanted in wanted {
                anyhow::ensure!(arguments.iter().any(|argument| argument == wanted), "{arguments:?}");
            }
            Ok(arguments)
        });
        let arguments = arguments.await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        // The settings that replace the pod: its namespace, its folder, and free ports.
        let argument = |argument: &String| match argument.split_once('=') {
            Some((flag @ "--namespace", _)) => format!("{flag}=flux-system"),
            Some((flag @ "--state-dir", _)) => format!("{flag}={}", home.path().join("state").display()),
            Some((flag @ ("--metrics-addr" | "--health-addr"), _)) => format!("{flag}=127.0.0.1:0"),
            _ => argument.clone(),
        };
        let child = Command::new(env!("CARGO_BIN_EXE_lockgate"))
            .args(arguments.iter().map(argument))
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", home.path())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Agent { _child: child, home, log }
    }

    /// Runs a command to its good end beside an agent that starts as soon as it may.
    pub(crate) async fn with_agent(&self, command: Command, wanted: &[&str]) -> (Ended, Agent) {
        let (mut run, mut agent) = (Box::pin(ended(command)), Box::pin(self.agent(wanted)));
        let (run, agent) = tokio::select! {
            run = &mut run => {
                assert_eq!(run.code, 0, "{}", run.stderr);
                (run, agent.await)
            }
            agent = &mut agent => (run.await, agent),
        };
        assert_eq!(run.code, 0, "{}\n{}", run.stderr, agent.log());
        (run, agent)
    }

    /// Creates an object.
    pub(crate) async fn create(&self, value: Value) {
        let client = self.plane.client().await.unwrap();
        harness::stage::create(&client, value).await.unwrap();
    }

    /// All objects of a kind.
    pub(crate) async fn all(&self, api_version: &str, kind: &str, plural: &str) -> Vec<Value> {
        let client = self.plane.client().await.unwrap();
        harness::stage::all(&client, api_version, kind, plural).await.unwrap()
    }

    /// The Secrets of the agent's namespace.
    pub(crate) async fn secrets(&self) -> Vec<Value> {
        let all = self.all("v1", "Secret", "secrets").await;
        all.into_iter().filter(|secret| secret["metadata"]["namespace"] == "flux-system").collect()
    }

    /// Name and resourceVersion of all that an installation consists of.
    pub(crate) async fn versions(&self) -> Vec<String> {
        let mut versions = Vec::new();
        for (api_version, kind, plural) in [
            ("v1", "Secret", "secrets"),
            ("v1", "ServiceAccount", "serviceaccounts"),
            ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles"),
            ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings"),
            ("rbac.authorization.k8s.io/v1", "Role", "roles"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
            ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
            ("apps/v1", "Deployment", "deployments"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions"),
        ] {
            for object in self.all(api_version, kind, plural).await {
                let meta = &object["metadata"];
                versions.push(format!("{kind}/{} {}", meta["name"], meta["resourceVersion"]));
            }
        }
        versions
    }
}

/// A running agent.
pub(crate) struct Agent {
    _child: Child,
    home: tempfile::TempDir,
    log: PathBuf,
}

impl Agent {
    /// The folder outside which it has nothing to write to.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Runs a command to its end, which must be a good one.
pub(crate) async fn done(command: Command) -> Ended {
    let run = ended(command).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    run
}

/// Runs a command to its end.
pub(crate) async fn ended(mut command: Command) -> Ended {
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let Output { status, stdout, stderr } = output.expect("the command does not end").unwrap();
    Ended {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Runs a command until a line of its progress begins with a text, and kills it there. `false` when it ended
/// before.
pub(crate) async fn killed_at(mut command: Command, text: &str) -> bool {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let seen = tokio::time::timeout(LIMIT, async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with(text) {
                return true;
            }
        }
        false
    });
    let seen = seen.await.expect("the command neither tells of the step nor ends");
    child.kill().await.unwrap();
    seen
}

/// Runs a command until something is so, and kills it there.
pub(crate) async fn killed_when(mut command: Command, is_so: impl Fn() -> bool) {
    command.stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    harness::eventually(LIMIT, async || {
        anyhow::ensure!(child.try_wait()?.is_none_or(|_| is_so()), "the command has ended");
        anyhow::ensure!(is_so(), "it is not so");
        Ok(())
    })
    .await
    .unwrap();
    child.kill().await.unwrap();
}

pub(crate) fn kustomization(name: &str, depends_on: &[&str]) -> String {
    let depends_on: Vec<Value> = depends_on.iter().map(|name| json!({"name": name})).collect();
    let value = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1beta2",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {
            "interval": "10m", "prune": true, "wait": true, "path": format!("./{name}"), "dependsOn": depends_on,
            "sourceRef": {"kind": "GitRepository", "name": "foobar-infra"},
        },
    });
    format!("{value}\n")
}

pub(crate) fn config_map(name: &str, text: &str) -> String {
    let value = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
        "data": {"text": text},
    });
    format!("{value}\n")
}
