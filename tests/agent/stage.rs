//! The stage of an agent test: a namespace of its own on the shared control plane, a repository behind a real
//! sshd, and the real binary with its own ServiceAccount.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
pub(crate) use harness::stage::{api, apply};
use harness::{
    Agent, AgentBuilder, Cage, ControlPlane, GitServer, KeyAlgorithm, KeyId, Repo, SshKey, Webhook,
    eventually, shared,
};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use lockgate::tested::manifests::{self, Installation};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Where the agents' ServiceAccount is.
pub(crate) const HOME: &str = "flux-system";
/// The arguments with which an agent serving probes and metrics.
pub(crate) const LISTEN: &[&str] = &["--health-addr", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0"];
/// How long anything in these tests may take that is not itself about time.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A namespace and a repository, with their users.
pub(crate) struct Stage<'p> {
    pub(crate) plane: &'p ControlPlane,
    shared: harness::Stage,
    pub(crate) git: GitServer,
    pub(crate) repo: Repo,
    pub(crate) key: SshKey,
    pub(crate) deploy_key: KeyId,
}

impl std::ops::Deref for Stage<'_> {
    type Target = harness::Stage;

    fn deref(&self) -> &harness::Stage {
        &self.shared
    }
}

/// A running agent whose output is shown when the test fails.
pub(crate) struct Running(Agent);

impl std::ops::Deref for Running {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.0
    }
}

impl Running {
    pub(crate) fn start(builder: AgentBuilder) -> Self {
        Self(builder.spawn().expect("the agent did not start"))
    }
}

/// The binary under test: another one where `LOCKGATE` names it.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("LOCKGATE").map_or_else(|| env!("CARGO_BIN_EXE_lockgate").into(), PathBuf::from)
}

/// An agent as a process, its state in the home directory that the harness gives it.
pub(crate) fn builder(kubeconfig: &std::path::Path) -> AgentBuilder {
    let command = ["agent", "--namespace", HOME, "--state-dir", "state"];
    Agent::new(program()).kubeconfig(kubeconfig).args(command)
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.0.output();
            let lines: Vec<&str> = output.lines().collect();
            println!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// Sets a test up on the shared control plane; the source `repo` follows the branch `main`, which has one
/// commit.
pub(crate) async fn stage(name: &str, files: &[(&str, &str)]) -> Stage<'static> {
    static DONE: OnceCell<()> = OnceCell::const_new();
    let plane = shared();
    let client = plane.client().await.expect("no client");
    DONE.get_or_try_init(|| install(&client)).await.expect("the agent was not installed");
    try_stage(plane, name, files).await.expect("the stage could not be set")
}

/// Sets a test up on a control plane of its own.
pub(crate) async fn stage_on<'p>(plane: &'p ControlPlane, name: &str, files: &[(&str, &str)]) -> Stage<'p> {
    let client = plane.client().await.expect("no client");
    install(&client).await.expect("the agent was not installed");
    try_stage(plane, name, files).await.expect("the stage could not be set")
}

async fn try_stage<'p>(
    plane: &'p ControlPlane,
    name: &str,
    files: &[(&str, &str)],
) -> anyhow::Result<Stage<'p>> {
    let shared = harness::Stage::new(plane, name).await?;
    let git = GitServer::start()?;
    let repo = git.create_repo("platform")?;
    let key = SshKey::generate(KeyAlgorithm::Ed25519)?;
    let deploy_key = git.authorize(&repo, &key.public)?;
    commit(&repo, "begin", files)?;
    let stage = Stage { plane, shared, git, repo, key, deploy_key };
    stage.secret("repo", json!({})).await?;
    stage.source("repo", json!({})).await?;
    Ok(stage)
}

/// The kinds and the agent's rights, as bootstrap installs them.
async fn install(client: &kube::Client) -> anyhow::Result<()> {
    let installation = installation();
    let mut objects = manifests::namespace(&installation)?;
    objects.extend(manifests::crds()?);
    let agent = manifests::agent(&installation)?;
    // The binary runs as a process here, so the Deployment would start a second agent if there were a node.
    objects.extend(agent.into_iter().filter(|object| object.kind() != "Deployment"));
    for object in objects {
        apply(client, object.into_value()).await?;
    }
    Ok(())
}

/// The installation of the tests.
pub(crate) fn installation() -> Installation {
    Installation { image: "lockgate:test".into(), ..Installation::in_namespace(HOME) }
}

/// Waits until an object is gone, or on its way out.
pub(crate) async fn gone(objects: &Api<DynamicObject>, name: &str) {
    let result = eventually(PATIENCE, async || {
        let found = objects.get_opt(name).await?;
        let is_gone = found.is_none_or(|found| found.metadata.deletion_timestamp.is_some());
        anyhow::ensure!(is_gone, "{name} is still there");
        Ok(())
    });
    result.await.unwrap_or_else(|error| panic!("{error:#}"));
}

/// A patch in the name of a field manager.
pub(crate) async fn patch(objects: &Api<DynamicObject>, name: &str, manager: &str, patch: Value) {
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    let patched = objects.patch(name, &params, &Patch::Merge(patch)).await;
    patched.unwrap_or_else(|error| panic!("{name} was not patched: {error}"));
}

impl Stage<'_> {
    /// The stage in another namespace, which is there already.
    pub(crate) fn moved_to(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.shared.namespace);
        self
    }

    /// Has all requests about some resources of the namespace pass a webhook.
    pub(crate) async fn guarded(&self, webhook: &Webhook, resources: &[&str]) {
        let labels = json!({"webhook": self.namespace});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
                               "metadata": {"name": self.namespace, "labels": labels}});
        for object in [webhook.validating(&self.namespace, resources), namespace] {
            self.apply(object).await.expect("the webhook was not set up");
        }
    }

    /// Takes the webhook away again, since nothing could be written in the namespace once it is gone.
    pub(crate) async fn unguarded(&self, webhook: &Webhook) {
        let mut configuration = webhook.validating(&self.namespace, &[]);
        configuration["webhooks"] = json!([]);
        self.apply(configuration).await.expect("the webhook was not taken away");
    }

    /// The Secret of a source; `data` overrides its content.
    pub(crate) async fn secret(&self, name: &str, data: Value) -> anyhow::Result<()> {
        let mut all = json!({"identity": self.key.openssh.as_str(), "identity.pub": self.key.public.as_str(),
                             "known_hosts": self.git.known_hosts_file()?});
        json_patch::merge(&mut all, &data);
        self.apply(json!({"apiVersion": "v1", "kind": "Secret", "stringData": all,
                          "metadata": {"name": name, "namespace": self.namespace}}))
            .await?;
        Ok(())
    }

    /// A GitRepository; `spec` overrides its fields.
    pub(crate) async fn source(&self, name: &str, spec: Value) -> anyhow::Result<()> {
        let mut all = json!({"url": self.git.url(&self.repo), "interval": "1s", "secretRef": {"name": "repo"},
                             "ref": {"branch": "main"}});
        json_patch::merge(&mut all, &spec);
        self.source_of("GitRepository", name, all).await
    }

    /// A source of a kind.
    pub(crate) async fn source_of(&self, kind: &str, name: &str, spec: Value) -> anyhow::Result<()> {
        self.apply(json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind, "spec": spec,
                          "metadata": {"name": name, "namespace": self.namespace}}))
            .await?;
        Ok(())
    }

    /// A Kustomization of the folder with its name; `spec` overrides its fields.
    pub(crate) async fn kustomization(&self, name: &str, spec: Value) -> DynamicObject {
        let mut all = json!({"interval": "10m", "retryInterval": "2s", "prune": true, "path": format!("./{name}"),
                             "sourceRef": {"kind": "GitRepository", "name": "repo"},
                             "targetNamespace": self.namespace});
        json_patch::merge(&mut all, &spec);
        self.apply(
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "spec": all,
                          "metadata": {"name": name, "namespace": self.namespace}}),
        )
        .await
        .expect("the Kustomization was not applied")
    }

    pub(crate) fn kustomizations(&self) -> Api<DynamicObject> {
        self.api("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations")
    }

    pub(crate) fn sources(&self) -> Api<DynamicObject> {
        self.api("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories")
    }

    /// Starts the agent for this namespace, as its own ServiceAccount.
    pub(crate) async fn agent(&self) -> Running {
        self.agent_with(&[]).await
    }

    pub(crate) async fn agent_with(&self, arguments: &[&str]) -> Running {
        let kubeconfig = self
            .plane
            .service_account_kubeconfig(HOME, "lockgate")
            .await
            .expect("no kubeconfig for the agent");
        self.agent_as(&kubeconfig, arguments)
    }

    /// Starts the agent for this namespace with a bound on its memory.
    pub(crate) async fn agent_in(&self, cage: &Cage) -> Running {
        let kubeconfig = self.plane.service_account_kubeconfig(HOME, "lockgate").await;
        let agent = cage.agent(program()).kubeconfig(&kubeconfig.expect("no kubeconfig for the agent"));
        let agent = agent.args(["agent", "--namespace", HOME, "--state-dir", "state", "--watch-namespace"]);
        Running::start(agent.args([&self.namespace]))
    }

    /// Starts an agent for all namespaces.
    pub(crate) async fn agent_everywhere(&self) -> Running {
        let kubeconfig = self.plane.service_account_kubeconfig(HOME, "lockgate").await;
        Running::start(builder(&kubeconfig.expect("no kubeconfig for the agent")))
    }

    pub(crate) fn agent_as(&self, kubeconfig: &std::path::Path, arguments: &[&str]) -> Running {
        let builder = builder(kubeconfig).args(["--watch-namespace", &self.namespace]).args(arguments);
        Running::start(builder)
    }

    /// Pushes a commit; returns the revision as statuses write it.
    pub(crate) fn push(&self, files: &[(&str, &str)]) -> String {
        format!("main@sha1:{}", commit(&self.repo, "change", files).expect("the push failed"))
    }

    /// Waits until a Kustomization's status passes a test. The panic otherwise contains its last status.
    pub(crate) async fn until(&self, name: &str, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        until(&self.kustomizations(), name, what, test).await
    }

    /// Waits until a GitRepository passes a test.
    pub(crate) async fn until_source(&self, name: &str, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        until(&self.sources(), name, what, test).await
    }

    /// Waits until a GitRepository's Ready condition has a reason, and returns its message.
    pub(crate) async fn source_reason(&self, name: &str, reason: &str) -> String {
        let status =
            self.until_source(name, reason, |status| condition(status, "Ready")["reason"] == reason).await;
        condition(&status, "Ready")["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an event's message passes a test, and returns the event.
    pub(crate) async fn event(&self, what: &str, test: impl Fn(&str) -> bool) -> DynamicObject {
        let events = self.api("v1", "Event", "events");
        let result = eventually(PATIENCE, async || {
            let all = events.list(&ListParams::default()).await?.items;
            let messages: Vec<String> = all.iter().map(|event| event.data["message"].to_string()).collect();
            let found =
                all.into_iter().find(|event| test(event.data["message"].as_str().unwrap_or_default()));
            found.with_context(|| format!("no event {what}:\n{}", messages.join("\n")))
        });
        result.await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Waits until a Kustomization is Ready at the head of `main`.
    pub(crate) async fn ready(&self, name: &str) -> Value {
        let head = format!("main@sha1:{}", self.repo.rev_parse("main").expect("no head"));
        self.until(name, "ready", |status| {
            condition(status, "Ready")["status"] == "True" && status["lastAppliedRevision"] == head.as_str()
        })
        .await
    }

    /// Waits until a Kustomization's Ready condition has a reason, and returns its message.
    pub(crate) async fn reason(&self, name: &str, reason: &str) -> String {
        let status = self.until(name, reason, |status| condition(status, "Ready")["reason"] == reason).await;
        condition(&status, "Ready")["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The data of a ConfigMap; `None` if it does not exist.
    pub(crate) async fn data(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let object = self.config_maps().get_opt(name).await.expect("the ConfigMap could not be read")?;
        Some(serde_json::from_value(object.data["data"].clone()).unwrap_or_default())
    }
}

/// Commits files on top of `main`.
fn commit(repo: &Repo, message: &str, files: &[(&str, &str)]) -> anyhow::Result<String> {
    let files: Vec<(&str, Option<&str>)> =
        files.iter().map(|(path, content)| (*path, Some(*content))).collect();
    repo.commit("main", message, &files)
}

pub(crate) async fn until(
    api: &Api<DynamicObject>,
    name: &str,
    what: &str,
    test: impl Fn(&Value) -> bool,
) -> Value {
    let result = eventually(PATIENCE, async || {
        let object = api.get(name).await?;
        let status = object.data["status"].clone();
        anyhow::ensure!(test(&status), "{name} is not {what}: {status:#}");
        Ok(status)
    });
    result.await.unwrap_or_else(|error| panic!("{error:#}"))
}

/// A condition of a status.
pub(crate) fn condition(status: &Value, kind: &str) -> Value {
    let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
}

/// A ConfigMap as YAML.
pub(crate) fn config_map(name: &str, value: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
        .to_string()
}
