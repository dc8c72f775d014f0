//! The steps of a run, in order. Each can be repeated and does not change what exists already, so the same
//! command completes a killed run.

mod rotate;

use std::time::{Duration, Instant};

use serde_json::json;

use super::admission::{Admission, AdmissionTarget, Host};
use super::deploy_key::KeyPlan;
use super::entry::Entry;
use super::equipment;
use super::github::GitHub;
use super::hosts::SshUrl;
use super::login::{LoginEntry, LoginPlan};
use super::manifests::{self, Installation, Sync};
use super::memory::{self, Flags};
use super::namespace::put_namespace;
use super::preflight::{self, RepositoryFacts};
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressEvent, ProgressLog, at};
use super::put::{self, PutOutcome};
use super::rollout;
use super::tag;
use super::wait::{self, Patience, Standing};
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::{self, Object};
use lockgate_core::api::{self, Actors, GitRepository};
use lockgate_git::GitUrl;

pub(crate) use self::rotate::{RotationPlan, rotate};

/// The user's settings, except for the repository's address.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The agent.
    pub installation: Installation,
    /// Name of the source and Kustomization; by default found in the folder.
    pub name: Option<String>,
    /// The branch.
    pub branch: String,
    /// The folder.
    pub path: String,
    /// How often to look for a new commit.
    pub interval: model::Duration,
    /// Whether to change an existing sync to another repository, branch or folder.
    pub replace_sync: bool,
    /// How the agent reads the repository.
    pub way: Way,
    /// The ServiceAccount to impersonate for the root Kustomization.
    pub service_account: Option<String>,
    /// How long each wait may take.
    pub timeout: Duration,
    /// The flags of the agent and of the source to remember.
    pub flags: [Flags; 2],
}

/// How the agent reads the repository, and its address.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// With a key over SSH.
    Key(SshUrl, KeyPlan),
    /// With the credentials of a user or a GitHub App over https.
    Login(GitUrl, LoginPlan),
}

impl Way {
    /// The address in the form of the API.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Key(url, _) => url.url(),
            Self::Login(url, _) => url.to_string(),
        }
    }

    /// The Secret, if one is needed.
    pub(crate) fn secret(&self) -> &str {
        match self {
            Self::Key(_, plan) => &plan.secret,
            Self::Login(_, plan) => &plan.secret,
        }
    }

    /// The way to another repository of the same host.
    fn to(&self, full_name: &str) -> Result<Self, Problem> {
        Ok(match self {
            Self::Key(url, plan) => Self::Key(url.with_path(&format!("/{full_name}"))?, plan.clone()),
            Self::Login(url, plan) => {
                let text = url.to_string();
                let server = text.strip_suffix(url.path()).unwrap_or(&text);
                Self::Login(GitUrl::parse(&format!("{server}/{full_name}"))?, plan.clone())
            }
        })
    }
}

/// Installs the agent without a repository.
pub(crate) async fn install(
    target: &AdmissionTarget,
    installation: &Installation,
    flags: &Flags,
    timeout: Duration,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let began = Instant::now();
    let facts = preflight::cluster(&target.client, installation, None).await;
    let facts = facts.map_err(|problems| FailedStep { step: "preflight", problems })?;
    let detail = format!("Kubernetes {} · cluster rights {1}/{1}", facts.version, facts.rights);
    progress.done("preflight", began, detail, None);
    let objects = Objects::new(&target.client);
    put_namespace(&objects, installation, &Patience::new("agent", timeout), progress).await?;
    put_agent(&objects, (installation, flags), &facts.actors, timeout, progress).await.map(drop)
}

/// Installs the agent and lets it apply a repository at GitHub.
pub(crate) async fn github(
    target: &AdmissionTarget,
    plan: &Plan,
    github: &GitHub,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let began = Instant::now();
    let path = manifests::normal_path(&plan.path);
    let has_keys = matches!(plan.way, Way::Key(..));
    let (cluster, repository) = futures::join!(
        preflight::cluster(&target.client, &plan.installation, plan.service_account.as_deref()),
        preflight::repository(github, &plan.installation.namespace, (&plan.branch, &path), has_keys),
    );
    let (cluster, repository) = match (cluster, repository) {
        (Ok(cluster), Ok(repository)) => (cluster, repository),
        (cluster, repository) => {
            let problems = cluster.err().into_iter().chain(repository.err()).flatten().collect();
            return Err(FailedStep { step: "preflight", problems });
        }
    };
    let is_renamed = repository.full_name != github.repository;
    let github = &github.called(&repository.full_name);
    let way = &plan.way.to(&repository.full_name).map_err(at("preflight"))?;
    let sources = repository.folder.as_ref().map_or(&[][..], |folder| &folder.sources);
    let set_up = SetUp::new(target, plan, (way, sources), &cluster.actors);
    set_up.check_namespace(progress).await?;
    set_up.check_sync().await?;
    let detail = format!("cluster rights {0}/{0} · {1}", cluster.rights, describe(plan, &repository));
    let mut notes = Vec::new();
    if is_renamed {
        notes.push(format!("the repository is now called {}", repository.full_name));
    }
    match way {
        Way::Key(url, key) => {
            let host = Host::GitHub(github, &repository.keys);
            let entry = Admission::of(target, &plan.installation, key, plan.timeout, (url, host)).await?;
            set_up.run(&entry, (began, detail, notes), progress).await?;
        }
        Way::Login(url, login) => {
            if login.is_app {
                notes.extend(too_much(github).await.map_err(at("preflight"))?);
            }
            let entry = set_up.login(url, login);
            set_up.run(&entry, (began, detail, notes), progress).await?;
        }
    }
    if let Some(expires) = repository.expires {
        progress.tell(ProgressEvent::Note(ends_with_its_token(way, &expires)));
    }
    Ok(())
}

/// A note about an App that has more permissions than the agent needs.
async fn too_much(github: &GitHub) -> Result<Option<String>, Problem> {
    let writes = github.writes().await;
    let writes = writes.map_err(|error| Problem::github(error, &github.repository))?;
    let note = || {
        format!(
            "the App may write: {}; whoever takes the Secret may do so too, and \"Contents: read-only\" is all that the \
             agent needs",
            writes.join(", ")
        )
    };
    Ok((!writes.is_empty()).then(note))
}

fn ends_with_its_token(way: &Way, expires: &str) -> String {
    match way {
        Way::Key(..) => format!(
            "GitHub removes a deploy key with the token that registered it, and this token expires {expires}; \
             register it with a GitHub App (--app-id) to be free of that"
        ),
        Way::Login(_, login) if login.is_app => format!("this token expires {expires}"),
        Way::Login(..) => format!(
            "the agent reads with this token, which expires {expires}: put another in its place before with \
             --replace-secret, or use --auth app to be free of that"
        ),
    }
}

/// Installs the agent and lets it apply a repository at any Git server. For a repository over SSH, the user
/// adds the public key there.
pub(crate) async fn git(
    target: &AdmissionTarget,
    plan: &Plan,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let began = Instant::now();
    let cluster =
        preflight::cluster(&target.client, &plan.installation, plan.service_account.as_deref()).await;
    let cluster = cluster.map_err(|problems| FailedStep { step: "preflight", problems })?;
    let set_up = SetUp::new(target, plan, (&plan.way, &[]), &cluster.actors);
    set_up.check_namespace(progress).await?;
    set_up.check_sync().await?;
    let found = (began, format!("cluster rights {0}/{0}", cluster.rights), Vec::new());
    match &plan.way {
        Way::Key(url, key) => {
            let host = Host::Owner { branch: &plan.branch };
            let entry = Admission::of(target, &plan.installation, key, plan.timeout, (url, host)).await?;
            set_up.run(&entry, found, progress).await
        }
        Way::Login(url, login) => set_up.run(&set_up.login(url, login), found, progress).await,
    }
}

/// The objects of a run, once the agent has access.
struct SetUp<'s> {
    objects: Objects,
    plan: &'s Plan,
    actors: &'s Actors,
    sync: Sync,
}

impl<'s> SetUp<'s> {
    /// `sources` are the names that the folder's Kustomizations use.
    fn new(
        target: &AdmissionTarget,
        plan: &'s Plan,
        (way, sources): (&Way, &[String]),
        actors: &'s Actors,
    ) -> Self {
        Self { objects: Objects::new(&target.client), plan, actors, sync: sync_of(plan, way, sources) }
    }

    fn login<'l>(&'l self, url: &'l GitUrl, plan: &'l LoginPlan) -> LoginEntry<'l> {
        let Plan { installation, branch, timeout, .. } = self.plan;
        LoginEntry { objects: &self.objects, installation, plan, url, branch, timeout: *timeout }
    }

    /// Gives the agent access, and applies the agent and the sync. `found` has the findings of the preflight,
    /// its start, and its notes.
    async fn run<E: Entry>(
        &self,
        entry: &E,
        (began, found, notes): (Instant, String, Vec<String>),
        progress: &mut ProgressLog<'_>,
    ) -> Result<(), FailedStep> {
        let before = entry.rehearsed().await?;
        let sync = Sync { secret_name: entry.secret(&before), ..self.sync.clone() };
        progress.done("preflight", began, found, None);
        progress.tell_all(notes.into_iter().map(ProgressEvent::Note));
        let admitted = entry.let_in(before, progress).await?;
        let agent = (&self.plan.installation, &self.plan.flags[0]);
        let is_new = put_agent(&self.objects, agent, self.actors, self.plan.timeout, progress).await?;
        put_sync(&self.objects, self.plan, &sync, is_new, progress).await?;
        entry.tidy(&admitted, progress).await
    }

    /// Waits for the end of a namespace that is terminating, since all that exists in it is about to go. A
    /// finalizer that nobody removes is a problem.
    async fn check_namespace(&self, progress: &mut ProgressLog<'_>) -> Result<(), FailedStep> {
        let patience = Patience::new("preflight", self.plan.timeout);
        for object in manifests::namespace(&self.plan.installation).map_err(at("preflight"))? {
            let ended = wait::not_ending(&self.objects, &object, &patience, progress).await;
            ended.map_err(at("preflight"))?;
        }
        Ok(())
    }

    /// Refuses to change an existing sync to another repository, branch or folder. If the repository was
    /// renamed, the sync may still have the old address.
    async fn check_sync(&self) -> Result<(), FailedStep> {
        let (plan, asked) = (self.plan, self.plan.way.url());
        if plan.replace_sync {
            return Ok(());
        }
        let mut problems = Vec::new();
        for wanted in manifests::sync(&plan.installation, &self.sync).map_err(at("preflight"))? {
            let subject = wanted.id().subject();
            let live = self.objects.get(&wanted).await;
            let Some(live) = live.map_err(|failure| at("preflight")(Problem::cluster(&subject, failure)))?
            else {
                continue;
            };
            for field in ["spec.url", "spec.ref.branch", "spec.path"] {
                let pointer = format!("/{}", field.replace('.', "/"));
                let text = |object: &Object| object.text(&pointer).unwrap_or_default().to_owned();
                let (found, wanted) = (text(&live), text(&wanted));
                let is = |wanted: &str| manifests::normal_path(&found) == manifests::normal_path(wanted);
                let is_same = match field {
                    "spec.url" => is(&wanted) || is(&asked),
                    "spec.path" => is(&wanted),
                    _ => found == wanted,
                };
                if !is_same {
                    problems.push(Problem::OtherSync { object: subject.clone(), field, found, wanted });
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(FailedStep { step: "preflight", problems }) }
    }
}

fn describe(plan: &Plan, repository: &RepositoryFacts) -> String {
    let commit = repository.commit.get(..7).unwrap_or(&repository.commit);
    let folder = match &repository.folder {
        Some(folder) => format!("path has {} Kustomizations", folder.kustomizations),
        None => "path not checked, since the token may not read files".into(),
    };
    format!("repo admin ok · branch {} @ {commit} · {folder}", plan.branch)
}

/// The requested sync. Its name is the one that the folder's Kustomizations use for the source; the default
/// is Flux's.
fn sync_of(plan: &Plan, way: &Way, sources: &[String]) -> Sync {
    let found = match sources {
        [only] => only.as_str(),
        _ => keys::DEFAULT_NAMESPACE,
    };
    Sync {
        name: plan.name.clone().unwrap_or_else(|| found.into()),
        url: way.url(),
        branch: plan.branch.clone(),
        path: plan.path.clone(),
        interval: plan.interval,
        secret_name: Some(way.secret().into()),
        is_app: matches!(way, Way::Login(_, login) if login.is_app),
        service_account: plan.service_account.clone(),
    }
}

/// Installs the agent. Returns whether its pod was replaced.
async fn put_agent(
    objects: &Objects,
    (installation, flags): (&Installation, &Flags),
    actors: &Actors,
    timeout: Duration,
    progress: &mut ProgressLog<'_>,
) -> Result<bool, FailedStep> {
    let began = Instant::now();
    let (crds, left) = wanted_crds(objects, actors).await?;
    let installation = &equipment::resolved(objects, installation).await.map_err(at("agent"))?;
    let rest = manifests::agent(installation).and_then(|rest| memory::noted(rest, "Deployment", flags));
    let rest = rest.map_err(at("agent"))?;
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
            change = change.max(PutOutcome::Configured);
        }
    }
    let (pod, beside): (Vec<_>, Vec<_>) = rest.into_iter().partition(|object| object.kind() == "Deployment");
    change = change.max(put_all(objects, &beside, "agent").await?);
    let mut of_pod = PutOutcome::Unchanged;
    for deployment in &pod {
        let (deployment, notes) =
            equipment::yielded(objects, deployment, flags).await.map_err(at("agent"))?;
        of_pod = of_pod.max(put_all(objects, std::slice::from_ref(&deployment), "agent").await?);
        progress.tell_all(notes.into_iter().map(ProgressEvent::Note));
        rollout::available(objects, &deployment, &patience, progress).await.map_err(at("agent"))?;
        progress.tell_all(tag::moved(objects, installation, of_pod).await.map(ProgressEvent::Note));
    }
    progress.done("agent", began, format!("{count} objects · pod ready"), Some(change.max(of_pod)));
    if !left.is_empty() {
        let note = format!("definitions of kinds that Flux reconciles stay unchanged: {}", left.join(", "));
        progress.tell(ProgressEvent::Note(note));
    }
    Ok(of_pod > PutOutcome::Unchanged)
}

/// The definitions to apply: those of the kinds that lockgate reconciles, and of the other kinds those that
/// nobody else has created and no controller of Flux needs; and the definitions left to a controller.
async fn wanted_crds(objects: &Objects, actors: &Actors) -> Result<(Vec<Object>, Vec<String>), FailedStep> {
    let (mut wanted, mut left) = (Vec::new(), Vec::new());
    for crd in manifests::crds().map_err(at("agent"))? {
        let is_acted_on =
            api::defined_by(&crd).is_some_and(|info| info.is_acted_on && actors.of(info).is_none());
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

/// Applies the sync, and waits until it is ready. The earlier status of an agent does not count. A failing
/// source is asked to fetch again at once, since its cause may just have been cured.
async fn put_sync(
    objects: &Objects,
    plan: &Plan,
    sync: &Sync,
    is_new_agent: bool,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let began = Instant::now();
    let wanted = manifests::sync(&plan.installation, sync);
    let wanted = wanted.and_then(|wanted| memory::noted(wanted, GitRepository::ID.kind, &plan.flags[1]));
    let wanted = wanted.map_err(at("source"))?;
    let patience = Patience::new("source", plan.timeout);
    let [source, root] = wanted.as_slice() else { return Ok(()) };
    let before = wait::standing(objects, source, &patience, progress).await.map_err(at("source"))?;
    let live = objects.get(source).await;
    let live = live.map_err(|failure| at("source")(Problem::cluster(source.id().subject(), failure)))?;
    let dropped = live.and_then(|live| memory::dropped(&live, &plan.flags[1]));
    progress.tell_all(dropped.map(ProgressEvent::Note));
    let change = put_all(objects, &wanted, "source").await?;
    let is_asked = before == Some(Standing::Failing) || (is_new_agent && before.is_some());
    let (revision, token) = if is_asked {
        let token = jiff::Timestamp::now().to_string();
        let request = json!({"metadata": {"annotations": {keys::REQUESTED_AT: token}}});
        for object in [source, root] {
            let asked = objects.merge(object, &request).await;
            asked.map_err(|failure| at("source")(Problem::cluster(object.id().subject(), failure)))?;
        }
        let fetched = wait::refetched(objects, source, &token, &patience, progress).await;
        (fetched.map_err(at("source"))?, Some(token).filter(|_| is_new_agent))
    } else {
        (wait::fetched(objects, source, &patience, progress).await.map_err(at("source"))?, None)
    };
    let detail = format!("{}  {}  fetched", sync.name, lockgate_core::overview::short_revision(&revision));
    progress.done("source", began, detail, Some(change));
    wait::synced(objects, root, token.as_deref(), &Patience::new("sync", plan.timeout), progress).await
}

async fn put_all(objects: &Objects, wanted: &[Object], step: &'static str) -> Result<PutOutcome, FailedStep> {
    let mut change = PutOutcome::Unchanged;
    for object in wanted {
        let put = wait::through_discovery(objects, object).await;
        change =
            change.max(put.map_err(|failure| at(step)(Problem::cluster(object.id().subject(), failure)))?);
    }
    Ok(change)
}
