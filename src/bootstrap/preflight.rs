//! The checks before any change: rights, versions, Flux, the token, the branch and the folder. All problems
//! are found at once.

use serde_json::json;

use super::github::{DeployKey, GitHub, GitHubError};
use super::manifests::{self, Installation};
use super::problem::Problem;
use crate::cluster::Client;
use crate::cluster::flux::{self, FluxController};
use crate::cluster::objects::Objects;
use crate::cluster::preflight::{self as ask, Right};
use lockgate_base::model::Object;
use lockgate_base::model::yaml::{self, Dialect};
use lockgate_core::api::{self, Actors, GitRepository, KindInfo, Kustomization};
use lockgate_core::pipeline::ports::ApiFailure;

/// The facts about the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterFacts {
    /// The server's version, such as `v1.35.4`.
    pub version: String,
    /// How many rights were checked.
    pub rights: usize,
    /// The controllers of kinds that lockgate does not reconcile; none for kinds whose definitions are
    /// adopted.
    pub actors: Actors,
}

/// The facts about the repository at GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryFacts {
    /// The present `owner/name`: the requested one, unless the repository was renamed or transferred.
    pub full_name: String,
    /// When the token expires, if it does.
    pub expires: Option<String>,
    /// The commit of the branch.
    pub commit: String,
    /// The content of the folder; `None` if the token may not read files.
    pub folder: Option<PlatformFolder>,
    /// The deploy keys.
    pub keys: Vec<DeployKey>,
}

/// The content of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PlatformFolder {
    /// The number of Kustomizations.
    pub kustomizations: usize,
    /// The sources that the Kustomizations name and the folder does not contain, each once. Only those of the
    /// sync's kind and namespace count.
    pub sources: Vec<String>,
}

/// Checks the cluster. With `adopt`, running controllers of Flux are no problem. `account` is the one to
/// impersonate for the root Kustomization.
pub(crate) async fn cluster(
    client: &Client,
    installation: &Installation,
    account: Option<&str>,
) -> Result<ClusterFacts, Vec<Problem>> {
    let version = ask::version(client).await.map_err(|failure| vec![asked(client, failure)])?;
    let mut problems = Vec::new();
    if is_older_than(&version, (1, 28)) {
        problems.push(Problem::OldServer(version.clone()));
    }
    let rights = rights(&installation.namespace, installation.lockdown);
    match ask::missing_rights(client, &rights).await {
        Ok(missing) => problems.extend(missing.into_iter().map(Problem::MissingRight)),
        Err(failure) => problems.push(asked(client, failure)),
    }
    let objects = Objects::new(client);
    if problems.is_empty() {
        problems.extend(refused_roles(&objects, installation).await);
    }
    let mut actors = Actors::default();
    if !installation.adopt {
        match flux::flux_controllers(client).await {
            Ok(controllers) => {
                actors = FluxController::actors(&controllers);
                let rivals: Vec<_> = controllers.into_iter().filter(FluxController::holds_back).collect();
                problems.extend((!rivals.is_empty()).then_some(Problem::FluxRuns(rivals)));
            }
            // If the user may not list, the missing right is reported above.
            Err(ApiFailure::Forbidden(_)) => {}
            Err(failure) => problems.push(asked(client, failure)),
        }
    }
    problems.extend(elsewhere(&objects, &installation.namespace).await);
    if let Some(name) = account {
        problems.extend(no_account(&objects, &installation.namespace, name).await);
    }
    if problems.is_empty() {
        Ok(ClusterFacts { version, rights: rights.len(), actors })
    } else {
        Err(problems)
    }
}

/// The roles that the server does not let this user create: nobody may grant rights without having them.
async fn refused_roles(objects: &Objects, installation: &Installation) -> Vec<Problem> {
    let roles = match manifests::agent(installation) {
        Ok(objects) => objects,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    for role in roles.iter().filter(|object| object.kind() == "ClusterRole") {
        let refused = objects.rehearse(role).await;
        let subject = role.id().subject();
        match refused {
            Err(failure @ ApiFailure::Forbidden(_)) => problems.push(Problem::cluster(subject, failure)),
            Err(ApiFailure::Answered { code: 403, message, .. }) => problems.push(Problem::Escalation {
                role: subject,
                message: message.lines().map(str::trim).collect::<Vec<_>>().join(" "),
            }),
            Ok(()) | Err(_) => {}
        }
    }
    problems
}

/// Finds an agent in another namespace, since two would undo each other's work. A user who may not list
/// Deployments gets no answer; any other failure is returned as a problem, since the next request would fail
/// too.
pub(crate) async fn elsewhere(objects: &Objects, namespace: &str) -> Option<Problem> {
    let agents = match objects.list("apps/v1", "Deployment", None, manifests::AGENT).await {
        Ok(agents) => agents,
        Err(ApiFailure::Forbidden(_)) => return None,
        Err(failure) => return Some(Problem::cluster("Deployments", failure)),
    };
    let found: Vec<String> = agents.iter().map(|agent| agent.id().namespace).collect();
    let is_elsewhere = !found.is_empty() && !found.iter().any(|found| found == namespace);
    is_elsewhere.then(|| Problem::Elsewhere { found, wanted: namespace.into() })
}

async fn no_account(objects: &Objects, namespace: &str, name: &str) -> Option<Problem> {
    let shell = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace},
    });
    let shell = match Object::parse(shell) {
        Ok(shell) => shell,
        Err(error) => return Some(Problem::Embedded(error.to_string())),
    };
    match objects.get(&shell).await {
        Ok(None) => Some(Problem::NoAccount { namespace: namespace.into(), name: name.into() }),
        // If the user may not read it, the missing right is reported above.
        Ok(Some(_)) | Err(_) => None,
    }
}

/// Checks GitHub. `namespace` is that of the sync; with `has_keys` a deploy key is to be registered.
pub(crate) async fn repository(
    github: &GitHub,
    namespace: &str,
    (branch, path): (&str, &str),
    has_keys: bool,
) -> Result<RepositoryFacts, Vec<Problem>> {
    let facts = github.facts().await;
    let facts = facts.map_err(|error| vec![Problem::github(error, &github.repository)])?;
    // GitHub ignores the case of names, so a name in another case is no rename.
    let is_same = facts.full_name.eq_ignore_ascii_case(&github.repository);
    let full_name = if is_same { github.repository.clone() } else { facts.full_name };
    let github = &github.called(&full_name);
    let problem = |error| Problem::github(error, &github.repository);
    let mut problems = Vec::new();
    let not_admin = || Problem::NotAdmin { repository: github.repository.clone() };
    let mut keys = Vec::new();
    if has_keys && facts.admin == Some(false) {
        problems.push(not_admin());
    } else if has_keys {
        match github.deploy_keys().await {
            Ok(listed) => keys = listed,
            Err(error) => problems.push(refused(github, error)),
        }
    }
    let commit = match github.branch(branch).await {
        Ok(Some(commit)) => commit,
        Ok(None) if branch == facts.default_branch => {
            problems.push(Problem::Empty(branch.into()));
            return Err(problems);
        }
        Ok(None) => {
            let known = format!("the default branch is '{}'", facts.default_branch);
            problems.push(Problem::NoBranch { branch: branch.into(), known });
            return Err(problems);
        }
        Err(error) => {
            problems.push(problem(error));
            return Err(problems);
        }
    };
    let folder = match github.folder(branch, path).await {
        Ok(Some(files)) => Some(folder(&files, namespace)),
        Ok(None) => {
            problems.push(Problem::NoFolder { path: path.into(), branch: branch.into() });
            None
        }
        // A token that may register keys may not be able to read files; the agent will see them.
        Err(GitHubError::Forbidden { .. }) => None,
        Err(error) => {
            problems.push(problem(error));
            None
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(RepositoryFacts { full_name, expires: facts.expires, commit, folder, keys })
}

/// The deploy keys of a repository of which it is not known whether the token can read it.
pub(crate) async fn deploy_keys(github: &GitHub) -> Result<Vec<DeployKey>, Problem> {
    github.deploy_keys().await.map_err(|error| match error {
        GitHubError::NotFound { .. } => Problem::github(error, &github.repository),
        error => refused(github, error),
    })
}

/// Checks whether a public key is registered, or could be registered now. Changes nothing.
pub(crate) async fn registration(
    github: &GitHub,
    keys: &[DeployKey],
    public_line: Option<&str>,
) -> Result<(), Problem> {
    let registered = public_line.and_then(|line| keys.iter().find(|key| key.is_same(line)));
    match registered {
        Some(key) if key.enabled == Some(false) => {
            Err(Problem::KeyDisabled { title: key.title.clone(), settings: github.key_settings() })
        }
        Some(_) => Ok(()),
        None => github.rehearse_registration().await.map_err(|error| refused(github, error)),
    }
}

/// The problem if GitHub refuses to show or accept deploy keys.
pub(crate) fn refused(github: &GitHub, error: GitHubError) -> Problem {
    match error {
        // GitHub answers 404 to hide that something exists.
        GitHubError::NotFound { .. } => Problem::NotAdmin { repository: github.repository.clone() },
        GitHubError::KeysDisabled { .. } => Problem::KeysDisabled { settings: github.key_settings() },
        GitHubError::Forbidden { .. } if github.has_token_of_installation() => Problem::WorkflowToken,
        error => Problem::github(error, &github.repository),
    }
}

/// The rights that the user needs for an installation.
pub(crate) fn rights(namespace: &str, lockdown: bool) -> Vec<Right> {
    let cluster_wide = [
        ("", "namespaces"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ];
    let mut namespaced = vec![
        ("", "secrets"),
        ("", "serviceaccounts"),
        ("", "resourcequotas"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("networking.k8s.io", "networkpolicies"),
        ("apps", "deployments"),
    ];
    namespaced.extend(api::acted_on().map(|info| (info.id.group, info.plural)));
    let right = |verb: &str, group: &str, resource: &str, namespace: &str| Right {
        verb: verb.into(),
        group: group.into(),
        resource: resource.into(),
        namespace: namespace.into(),
    };
    let mut rights = Vec::new();
    for verb in ["get", "create", "patch"] {
        rights.extend(cluster_wide.map(|(group, resource)| right(verb, group, resource, "")));
        rights.extend(namespaced.iter().map(|(group, resource)| right(verb, group, resource, namespace)));
    }
    rights.push(right("list", "", "pods", namespace));
    rights.push(right("list", "apps", "deployments", ""));
    rights.push(right("list", "rbac.authorization.k8s.io", "clusterrolebindings", ""));
    let appliers = api::acted_on().filter(|info| info.ownership().is_some());
    rights.extend(appliers.map(|info| right("list", info.id.group, info.plural, "")));
    if lockdown {
        // The binding that an installation without lockdown has left.
        rights.push(right("delete", "rbac.authorization.k8s.io", "clusterrolebindings", ""));
    } else {
        // A user without all rights may grant them only with the right to bind the role.
        rights.push(right("bind", "rbac.authorization.k8s.io", "clusterroles", ""));
    }
    rights
}

/// The first digits of a branch's commit, from the branches that a host lists.
pub(crate) fn commit_at(branches: &[(String, String)], branch: &str) -> Result<String, Problem> {
    if let Some((_, commit)) = branches.iter().find(|(name, _)| name == branch) {
        return Ok(commit.get(..7).unwrap_or(commit).to_owned());
    }
    let branch = branch.to_owned();
    let names: Vec<&str> = branches.iter().map(|(name, _)| name.as_str()).take(5).collect();
    let known = format!("existing branches include '{}'", names.join("', '"));
    Err(if names.is_empty() { Problem::Empty(branch) } else { Problem::NoBranch { branch, known } })
}

/// Counts the Kustomizations of a folder, and collects the sources that they name. The agent reports files
/// that are not YAML.
///
/// A source in the folder itself is usually another repository, and one in another namespace belongs to
/// somebody else. A sync with either's name would be overwritten, or mistaken for it.
fn folder(files: &[(String, String)], namespace: &str) -> PlatformFolder {
    let documents = files.iter().filter_map(|(_, text)| yaml::documents(text, Dialect::V3).ok()).flatten();
    let objects: Vec<Object> = documents.filter_map(|document| Object::parse(document.value).ok()).collect();
    let of = |info: &'static KindInfo| objects.iter().filter(move |object| info.is_of(object));
    let held: Vec<&str> = of(GitRepository::INFO).map(Object::name).collect();
    let mut found = PlatformFolder::default();
    for object in of(Kustomization::INFO) {
        found.kustomizations += 1;
        let text = |field: &str| object.text(&format!("/spec/sourceRef/{field}"));
        let is_git = text("kind") == Some(GitRepository::ID.kind);
        let is_here = text("namespace").or(object.namespace()).is_none_or(|its| its == namespace);
        if let (true, true, Some(name)) = (is_git, is_here, text("name"))
            && !held.contains(&name)
            && !found.sources.iter().any(|known| known == name)
        {
            found.sources.push(name.into());
        }
    }
    found
}

fn asked(client: &Client, failure: ApiFailure) -> Problem {
    Problem::cluster(client.server().trim_end_matches('/'), failure)
}

fn is_older_than(version: &str, least: (u32, u32)) -> bool {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    let mut next = || parts.next().and_then(|part| part.parse().ok());
    match (next(), next()) {
        (Some(major), Some(minor)) => (major, minor) < least,
        // An unreadable version is not counted as too old.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::objects::tests::answering;

    #[tokio::test]
    async fn only_who_may_not_look_for_another_agent_goes_on_without() {
        for (code, goes_on) in [(403, true), (500, false)] {
            let status = json!({"kind": "Status", "code": code, "message": "no", "reason": ""});
            let objects = answering(vec![(Some(code), status)]);
            assert_eq!(elsewhere(&objects, "flux-system").await.is_none(), goes_on, "{code}");
        }
    }

    #[test]
    fn a_branch_that_is_not_listed_is_told_with_those_that_are() {
        let listed = [("x/y".to_owned(), "2222222222".to_owned())];
        assert_eq!(commit_at(&listed, "x/y").unwrap(), "2222222");
        let told = commit_at(&listed, "main").unwrap_err().to_string();
        assert_eq!(told, "the branch 'main' does not exist; existing branches include 'x/y'");
        assert_eq!(commit_at(&[], "main").unwrap_err(), Problem::Empty("main".into()));
    }

    #[test]
    fn old_servers_are_told_from_new_ones() {
        for (version, old) in [
            ("v1.27.16", true),
            ("v1.28.0", false),
            ("v1.35.4-gke.100", false),
            ("1.9", true),
            ("unknown", false),
        ] {
            assert_eq!(is_older_than(version, (1, 28)), old, "{version}");
        }
    }

    #[test]
    fn a_folder_tells_which_source_its_kustomizations_name() {
        let kustomization = |name: &str, source: &str| {
            format!(
                "apiVersion: kustomize.toolkit.fluxcd.io/v1beta2\nkind: Kustomization\nmetadata: {{name: {name}}}\n\
                 spec: {{sourceRef: {{kind: GitRepository, name: {source}}}}}\n"
            )
        };
        let files = [
            (
                "p/a.yaml".to_owned(),
                format!("{}---\n{}", kustomization("a", "infra"), kustomization("b", "infra")),
            ),
            ("p/c.yaml".to_owned(), kustomization("c", "other")),
            // A source of its own, and one of somebody else.
            ("p/d.yaml".to_owned(), kustomization("d", "podinfo")),
            (
                "p/podinfo.yaml".to_owned(),
                "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: podinfo}\n"
                    .to_owned(),
            ),
            ("p/e.yaml".to_owned(), kustomization("e", "theirs, namespace: theirs")),
            ("p/broken.yaml".to_owned(), "a: [".to_owned()),
            (
                "p/kustomization.yaml".to_owned(),
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n"
                    .to_owned(),
            ),
        ];
        let expected = PlatformFolder { kustomizations: 5, sources: vec!["infra".into(), "other".into()] };
        assert_eq!(folder(&files, "flux-system"), expected);
    }

    #[test]
    fn lockdown_needs_no_right_to_bind() {
        let bind = |lockdown| rights("flux-system", lockdown).iter().any(|right| right.verb == "bind");
        assert!(bind(false) && !bind(true));
    }
}
