//! The steps of a run, in their order. Each may be repeated: what is there already is left as it is, so a run that was
//! killed is finished by the same command.

use std::time::{Duration, Instant};

use super::github::GitHub;
use super::hosts::{self, SshUrl};
use super::key::Algorithm;
use super::manifests::{self, Installation, Sync};
use super::preflight::{self, RepositoryFacts};
use super::problem::{Failure, Problem};
use super::progress::{Event, Progress, at};
use super::put::{self, Change};
use super::secret::{self, Stored, Wanted};
use super::ssh::{self, SshError};
use super::wait::{self, Patience};
use crate::cluster;
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::{self, Object};
use lockgate_core::api::{self, Actors};
use lockgate_git::KnownHosts;

/// The namespace whose uid tells clusters apart.
const IDENTITY_NAMESPACE: &str = "kube-system";
/// How long to wait before a host is asked again whether it lets the key in. OpenSSH 9.8 and later hold 5 s against an
/// address for each login that fails, and shut it out at 15 s.
const ADMISSION_POLL: Duration = Duration::from_secs(10);

/// A connection to the cluster that is set up.
pub(crate) struct Target {
    /// The connection.
    pub client: cluster::Client,
    /// What the user calls the cluster: the context's name.
    pub name: String,
}

/// What the user asked for, but for the repository's address.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The agent.
    pub installation: Installation,
    /// Name of the source and Kustomization; found in the folder where absent.
    pub name: Option<String>,
    /// The branch.
    pub branch: String,
    /// The folder.
    pub path: String,
    /// How often to look for a new commit.
    pub interval: model::Duration,
    /// The Secret with the key.
    pub secret_name: String,
    /// The kind of key to make.
    pub algorithm: Algorithm,
    /// Whether an existing Secret is made anew.
    pub replace_secret: bool,
    /// Whether an existing sync is turned to another repository, branch or folder.
    pub replace_sync: bool,
    /// The ServiceAccount in whose name the root is applied.
    pub service_account: Option<String>,
    /// How long each wait may take.
    pub timeout: Duration,
}

/// Installs the agent without a repository.
pub(crate) async fn install(
    target: &Target,
    installation: &Installation,
    timeout: Duration,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let facts = preflight::cluster(&target.client, installation, None).await;
    let facts = facts.map_err(|problems| Failure { step: "preflight", problems })?;
    let detail = format!("Kubernetes {} · cluster rights {1}/{1}", facts.version, facts.rights);
    progress.done("preflight", began, detail, None);
    let objects = Objects::new(&target.client);
    put_namespace(&objects, installation, &Patience::new("agent", timeout), progress).await?;
    put_agent(&objects, installation, &facts.actors, timeout, progress).await
}

/// Sets the cluster up for a repository at GitHub.
pub(crate) async fn github(
    target: &Target,
    plan: &Plan,
    github: &GitHub,
    url: &SshUrl,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let objects = Objects::new(&target.client);
    let path = manifests::normal_path(&plan.path);
    let (cluster, repository) = futures::join!(
        preflight::cluster(&target.client, &plan.installation, plan.service_account.as_deref()),
        preflight::repository(github, &plan.installation.namespace, &plan.branch, &path),
    );
    let (cluster, repository) = match (cluster, repository) {
        (Ok(cluster), Ok(repository)) => (cluster, repository),
        (cluster, repository) => {
            let problems = cluster.err().into_iter().chain(repository.err()).flatten().collect();
            return Err(Failure { step: "preflight", problems });
        }
    };
    let is_renamed = repository.full_name != github.repository;
    let (asked, github) = (url, &github.called(&repository.full_name));
    let url = &asked.with_path(&format!("/{}", repository.full_name));
    let url = url.as_ref().map_err(|error| at("preflight")(error.clone().into()))?;
    let sync = sync_of(plan, url, repository.folder.as_ref().map_or(&[][..], |folder| &folder.sources));
    check_sync(&objects, plan, &sync, asked).await?;
    let detail = format!("cluster rights {0}/{0} · {1}", cluster.rights, describe(plan, &repository));
    progress.done("preflight", began, detail, None);
    if is_renamed {
        progress.tell(Event::Note(format!("the repository is now called {}", repository.full_name)));
    }

    let title = title(&objects, target, plan).await?;
    let stored = put_secret(&objects, plan, url, &title, Some(github), progress).await?;
    register(github, &title, &stored, progress).await?;
    put_agent(&objects, &plan.installation, &cluster.actors, plan.timeout, progress).await?;
    put_sync(&objects, plan, &sync, progress).await?;
    if let Some(expires) = repository.expires {
        let note = format!(
            "GitHub removes a deploy key with the token that registered it, and this token expires {expires}; \
             register it with a GitHub App (--app-id) to be free of that"
        );
        progress.tell(Event::Note(note));
    }
    Ok(())
}

/// Sets the cluster up for a repository at any SSH server: the user adds the public key there.
pub(crate) async fn git(
    target: &Target,
    plan: &Plan,
    url: &SshUrl,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let objects = Objects::new(&target.client);
    let cluster =
        preflight::cluster(&target.client, &plan.installation, plan.service_account.as_deref()).await;
    let cluster = cluster.map_err(|problems| Failure { step: "preflight", problems })?;
    let sync = sync_of(plan, url, &[]);
    check_sync(&objects, plan, &sync, url).await?;
    progress.done("preflight", began, format!("cluster rights {0}/{0}", cluster.rights), None);

    let title = title(&objects, target, plan).await?;
    let stored = put_secret(&objects, plan, url, &title, None, progress).await?;
    admitted(url, plan, &stored, progress).await?;
    put_agent(&objects, &plan.installation, &cluster.actors, plan.timeout, progress).await?;
    put_sync(&objects, plan, &sync, progress).await
}

fn describe(plan: &Plan, repository: &RepositoryFacts) -> String {
    let commit = repository.commit.get(..7).unwrap_or(&repository.commit);
    let folder = match &repository.folder {
        Some(folder) => format!("path has {} Kustomizations", folder.kustomizations),
        None => "path not looked at, since the token may not read files".into(),
    };
    format!("repo admin ok · branch {} @ {commit} · {folder}", plan.branch)
}

/// The sync that the plan asks for. The Kustomizations of the folder say by which name they know the source; the
/// default is Flux's, since repositories name it.
fn sync_of(plan: &Plan, url: &SshUrl, sources: &[String]) -> Sync {
    let found = match sources {
        [only] => only.as_str(),
        _ => keys::DEFAULT_NAMESPACE,
    };
    Sync {
        name: plan.name.clone().unwrap_or_else(|| found.into()),
        url: url.url(),
        branch: plan.branch.clone(),
        path: plan.path.clone(),
        interval: plan.interval,
        secret_name: plan.secret_name.clone(),
        service_account: plan.service_account.clone(),
    }
}

/// Refuses to turn an existing sync to another repository, branch or folder. `asked` is the address as the user knows it:
/// where the repository was renamed since, the sync may still have it.
async fn check_sync(objects: &Objects, plan: &Plan, sync: &Sync, asked: &SshUrl) -> Result<(), Failure> {
    if plan.replace_sync {
        return Ok(());
    }
    let mut problems = Vec::new();
    for wanted in manifests::sync(&plan.installation, sync).map_err(at("preflight"))? {
        let subject = wanted.id().subject();
        let live = objects.get(&wanted).await;
        let Some(live) = live.map_err(|failure| at("preflight")(Problem::cluster(&subject, failure)))? else {
            continue;
        };
        for field in ["spec.url", "spec.ref.branch", "spec.path"] {
            let pointer = format!("/{}", field.replace('.', "/"));
            let text = |object: &Object| object.text(&pointer).unwrap_or_default().to_owned();
            let (found, wanted) = (text(&live), text(&wanted));
            let is = |wanted: &str| manifests::normal_path(&found) == manifests::normal_path(wanted);
            let is_same = match field {
                "spec.url" => is(&wanted) || is(&asked.url()),
                "spec.path" => is(&wanted),
                _ => found == wanted,
            };
            if !is_same {
                problems.push(Problem::OtherSync { object: subject.clone(), field, found, wanted });
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure { step: "preflight", problems }) }
}

/// `lockgate <cluster> <8 digits of its identity> <namespace>`: two clusters never have the same.
async fn title(objects: &Objects, target: &Target, plan: &Plan) -> Result<String, Failure> {
    let shell = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": IDENTITY_NAMESPACE}});
    let shell =
        Object::parse(shell).map_err(|error| at("preflight")(Problem::Embedded(error.to_string())))?;
    let live = objects.get(&shell).await;
    let live = live.map_err(|failure| at("preflight")(Problem::cluster("Namespace/kube-system", failure)))?;
    let uid = live.as_ref().and_then(|live| live.text("/metadata/uid")).unwrap_or_default();
    let digits = uid.get(..8).unwrap_or(uid);
    Ok(format!("lockgate {} {digits} {}", target.name, plan.installation.namespace))
}

async fn put_secret(
    objects: &Objects,
    plan: &Plan,
    url: &SshUrl,
    title: &str,
    github: Option<&GitHub>,
    progress: &mut Progress<'_>,
) -> Result<Stored, Failure> {
    let wanted = Wanted {
        namespace: &plan.installation.namespace,
        name: &plan.secret_name,
        algorithm: plan.algorithm,
        comment: title,
        replace: plan.replace_secret,
    };
    let began = Instant::now();
    let existing = secret::existing(objects, &wanted, url).await.map_err(at("secret"))?;
    let stored = if let Some(stored) = existing {
        let kinds = hosts::kinds(&url.keys_in(&stored.credentials.known_hosts));
        progress.done(
            "host keys",
            began,
            format!("{} as the Secret has them: {kinds}", url.known_as()),
            None,
        );
        stored
    } else {
        let known_hosts = host_keys(url, github, progress).await?;
        let patience = Patience::new("secret", plan.timeout);
        put_namespace(objects, &plan.installation, &patience, progress).await?;
        secret::make(objects, &wanted, &known_hosts, url).await.map_err(at("secret"))?
    };
    let detail = format!("{}/{}", wanted.namespace, wanted.name);
    progress.done("secret", began, detail, Some(stored.change));
    Ok(stored)
}

/// GitHub publishes its host keys over TLS. Other servers are asked, and the fingerprints shown.
async fn host_keys(
    url: &SshUrl,
    github: Option<&GitHub>,
    progress: &mut Progress<'_>,
) -> Result<Vec<String>, Failure> {
    let began = Instant::now();
    if let Some(github) = github {
        let published = github.host_keys().await;
        let published =
            published.map_err(|error| at("host keys")(Problem::github(error, &github.repository)))?;
        let lines = hosts::lines(url, &published);
        if !lines.is_empty() {
            let kinds = hosts::kinds(&url.keys_in(&KnownHosts::parse(&lines.join("\n"))));
            let detail = format!("{} pinned from the API's /meta: {kinds}", url.known_as());
            progress.done("host keys", began, detail, None);
            return Ok(lines);
        }
    }
    let detail = format!("for {} to show its keys", url.known_as());
    progress.tell(Event::Waiting { name: "host keys", detail, since: began.elapsed() });
    let server = url.clone();
    let lines = blocking(move || ssh::scan(&server)).await.map_err(|error| at("host keys")(error.into()))?;
    let known = KnownHosts::parse(&lines.join("\n"));
    let keys = url.keys_in(&known);
    let detail = format!("{} asked over the network: {}", url.known_as(), hosts::kinds(&keys));
    progress.done("host keys", began, detail, None);
    for fingerprint in keys.into_iter().map(hosts::fingerprint) {
        progress.tell(Event::Note(format!("compare with what the server's owner publishes: {fingerprint}")));
    }
    Ok(lines)
}

async fn register(
    github: &GitHub,
    title: &str,
    stored: &Stored,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let line = stored.key.public_line();
    let (registered, is_new) = github
        .register(title, &line)
        .await
        .map_err(|error| at("deploy key")(Problem::github(error, &github.repository)))?;
    let change = if is_new { Change::Created } else { Change::Unchanged };
    let mode = if registered.read_only { "read-only" } else { "READ-WRITE" };
    let detail = format!("{} \"{}\" {mode}", stored.key.summary(), registered.title);
    progress.done("deploy key", began, detail, Some(change));
    if !registered.read_only {
        let note =
            format!("the deploy key \"{}\" may write; reading is all that lockgate needs", registered.title);
        progress.tell(Event::Note(note));
    }
    Ok(())
}

/// Shows the public key until the host lets it in.
async fn admitted(
    url: &SshUrl,
    plan: &Plan,
    stored: &Stored,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let failed = |problem: Problem| Failure { step: "deploy key", problems: vec![problem] };
    let mut is_shown = false;
    let ask = async || {
        let (url, credentials) = (url.clone(), stored.credentials.clone());
        blocking(move || ssh::branches(&url, &credentials)).await
    };
    let tell = |since| {
        if !is_shown {
            let line = stored.key.public_line();
            progress.tell(Event::Note(format!(
                "add this public key at {} as one that may read:\n{line}",
                url.git().host()
            )));
            is_shown = true;
        }
        let detail = format!("until {} lets the key in", url.known_as());
        progress.tell(Event::Waiting { name: "deploy key", detail, since });
    };
    let branches = wait::let_in(plan.timeout, ADMISSION_POLL, ask, tell).await;
    let branches = branches.map_err(|error| failed(error.into()))?;
    let Some((_, commit)) = branches.iter().find(|(name, _)| *name == plan.branch) else {
        let branch = plan.branch.clone();
        let names: Vec<&str> = branches.iter().map(|(name, _)| name.as_str()).take(5).collect();
        let known = format!("among those that do are '{}'", names.join("', '"));
        return Err(failed(if names.is_empty() {
            Problem::Empty(branch)
        } else {
            Problem::NoBranch { branch, known }
        }));
    };
    let commit = commit.get(..7).unwrap_or(commit);
    let detail =
        format!("{} let in by {} · branch {} @ {commit}", stored.key.summary(), url.known_as(), plan.branch);
    progress.done("deploy key", began, detail, None);
    Ok(())
}

async fn put_namespace(
    objects: &Objects,
    installation: &Installation,
    patience: &Patience,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let step = patience.name();
    for object in manifests::namespace(installation).map_err(at(step))? {
        wait::not_ending(objects, &object, patience, progress).await.map_err(at(step))?;
        let created = put::create(objects, &object).await;
        created.map_err(|failure| at(step)(Problem::cluster(object.id().subject(), failure)))?;
    }
    Ok(())
}

async fn put_agent(
    objects: &Objects,
    installation: &Installation,
    actors: &Actors,
    timeout: Duration,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let (crds, left) = wanted_crds(objects, actors).await?;
    let rest = manifests::agent(installation).map_err(at("agent"))?;
    let count = crds.len() + rest.len();
    let patience = Patience::new("agent", timeout);
    for crd in &crds {
        wait::not_ending(objects, crd, &patience, progress).await.map_err(at("agent"))?;
    }
    let mut change = put_all(objects, &crds, "agent").await?;
    wait::established(objects, &crds, &patience, progress).await.map_err(at("agent"))?;
    for object in manifests::left_out(installation).map_err(at("agent"))? {
        let deleted = objects.delete(&object).await;
        if deleted.map_err(|failure| at("agent")(Problem::cluster(object.id().subject(), failure)))? {
            change = change.max(Change::Configured);
        }
    }
    change = change.max(put_all(objects, &rest, "agent").await?);
    if let Some(deployment) = rest.iter().find(|object| object.kind() == "Deployment") {
        wait::available(objects, deployment, &patience, progress).await.map_err(at("agent"))?;
    }
    progress.done("agent", began, format!("{count} objects · pod ready"), Some(change));
    if !left.is_empty() {
        let note =
            format!("definitions of kinds that Flux acts on are left as they are: {}", left.join(", "));
        progress.tell(Event::Note(note));
    }
    Ok(())
}

/// The definitions to put in place: those of the kinds that lockgate acts on, and of the others those that nobody else has
/// put there, who may need another one, and that no controller of Flux needs. Beside them, which are left to a controller.
async fn wanted_crds(objects: &Objects, actors: &Actors) -> Result<(Vec<Object>, Vec<String>), Failure> {
    let (mut wanted, mut left) = (Vec::new(), Vec::new());
    for crd in manifests::crds().map_err(at("agent"))? {
        let is_acted_on = api::defined_by(&crd).is_some_and(|info| info.is_acted_on);
        let live = if is_acted_on { Ok(None) } else { objects.get(&crd).await };
        let live = live.map_err(|failure| at("agent")(Problem::cluster(crd.id().subject(), failure)))?;
        match (live, api::defined_by(&crd).and_then(|info| actors.of(info))) {
            (Some(live), Some(controller)) => left.push(format!("{} ({controller})", live.name())),
            (Some(live), None) if !put::is_ours(&live) => {}
            _ => wanted.push(crd),
        }
    }
    Ok((wanted, left))
}

async fn put_sync(
    objects: &Objects,
    plan: &Plan,
    sync: &Sync,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let wanted = manifests::sync(&plan.installation, sync).map_err(at("source"))?;
    let change = put_all(objects, &wanted, "source").await?;
    let patience = Patience::new("source", plan.timeout);
    let [source, root] = wanted.as_slice() else { return Ok(()) };
    let revision = wait::fetched(objects, source, &patience, progress).await.map_err(at("source"))?;
    let detail = format!("{}  {}  fetched", sync.name, lockgate_core::overview::short_revision(&revision));
    progress.done("source", began, detail, Some(change));
    wait::synced(objects, root, &Patience::new("sync", plan.timeout), progress).await
}

async fn put_all(objects: &Objects, wanted: &[Object], step: &'static str) -> Result<Change, Failure> {
    let mut change = Change::Unchanged;
    for object in wanted {
        let put = wait::through_discovery(objects, object).await;
        change =
            change.max(put.map_err(|failure| at(step)(Problem::cluster(object.id().subject(), failure)))?);
    }
    Ok(change)
}

/// Runs what blocks beside the asynchronous work.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SshError> + Send + 'static,
) -> Result<T, SshError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| {
        Err(SshError::Unreachable { server: "ssh".into(), message: error.to_string() })
    })
}
