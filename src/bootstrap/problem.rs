//! The problems of a run as data: the cause in one line, the fix in another, and the class that decides the
//! exit code.

mod cure;

use self::cure::{
    DAMAGED_FLAGS, ESCALATION, FLUX_RUNS, FLUX_SHARES, OTHER_API, cluster_fix, host_fix, is_answer, ssh_fix,
};
use super::github::GitHubError;
use super::hosts::AddressError;
use super::key::KeyError;
use super::ssh::SshError;
use crate::cluster::flux::FluxController;
use lockgate_core::pipeline::ports::{ApiFailure, Denied};
use lockgate_git::SourceError;

/// The end of a run, for its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitClass {
    /// The run failed.
    Failed,
    /// The usage was wrong.
    Usage,
    /// The cluster or GitHub could not be reached.
    Unreachable,
    /// The run was refused for safety.
    Refused,
}

/// A failed step with all its problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedStep {
    /// The step's name.
    pub step: &'static str,
    /// The problems; at least one.
    pub problems: Vec<Problem>,
}

impl FailedStep {
    /// The class of the most serious problem.
    pub(crate) fn class(&self) -> ExitClass {
        self.problems.iter().map(Problem::class).max().unwrap_or(ExitClass::Failed)
    }
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// An error of GitHub.
    #[error("{error}")]
    GitHub {
        /// The error.
        error: Box<GitHubError>,
        /// `owner/name`.
        repository: String,
    },
    /// The user, or the token, may not register deploy keys.
    #[error("the token can read {repository} but may not administer it, so it cannot register a deploy key")]
    NotAdmin {
        /// `owner/name`.
        repository: String,
    },
    /// The token belongs to a workflow or an App's installation, and lacks the right.
    #[error(
        "a workflow's own token cannot register deploy keys; use an App's token with \"Administration: read and write\""
    )]
    WorkflowToken,
    /// No credentials for GitHub are given.
    #[error("there is no GitHub token")]
    NoToken,
    /// The source is ambiguous.
    #[error("{0}")]
    Source(String),
    /// No source with a key exists, in a namespace or under a name.
    #[error("there is no GitRepository {0} that is read over SSH with a Secret")]
    NoSource(String),
    /// The Secret whose key is to be replaced does not exist.
    #[error("there is no Secret {0}, and so no key to replace")]
    NoKey(String),
    /// The key is registered, but disabled by the organisation's policy.
    #[error(
        "the deploy key \"{title}\" is disabled by policy; an owner allows deploy keys at {settings}, or use --auth app"
    )]
    KeyDisabled {
        /// Its title.
        title: String,
        /// The page with the policy.
        settings: String,
    },
    /// The organisation's policy forbids new deploy keys.
    #[error("deploy keys are disabled by policy; an owner allows them at {settings}, or use --auth app")]
    KeysDisabled {
        /// The page with the policy.
        settings: String,
    },
    /// The repository's host failed over https, or the credentials for it are unusable.
    #[error("{0}")]
    Host(#[from] SourceError),
    /// The agent is to use a GitHub App, and none is given.
    #[error("the Secret {0} needs a GitHub App, and none is given")]
    NoApp(String),
    /// Another living cluster has the same name.
    #[error(
        "the key \"{title}\" was used {ago}, after this cluster was created: another cluster is called {name}; give one of \
         them another name"
    )]
    Twin {
        /// Its title.
        title: String,
        /// When the key was used, such as `3 min ago`.
        ago: String,
        /// The name.
        name: String,
    },
    /// GitHub shows that two clusters with one name are alive.
    #[error(
        "two clusters are called {name}: the key \"{title}\" was used {ago}, after the other cluster got \
         its key; say whose keys to delete"
    )]
    Twins {
        /// Its title.
        title: String,
        /// When the key was used, such as `3 min ago`.
        ago: String,
        /// The name.
        name: String,
        /// The uid of the older cluster, as in titles.
        one: String,
        /// The uid of the other cluster.
        other: String,
    },
    /// A key could not be deleted at GitHub.
    #[error("the key \"{title}\" of {repository} stays: {cause}run {command}")]
    KeyStays {
        /// Its title.
        title: String,
        /// `owner/name`.
        repository: String,
        /// The reason, as the beginning of a sentence.
        cause: String,
        /// The command that deletes the key.
        command: String,
    },
    /// A key that cannot be found at GitHub, since the cluster does not say which it is, or where.
    #[error("{0}")]
    UnknownKey(String),
    /// The remembered flags of an object are unreadable.
    #[error("the annotation lockgate.dev/flags of {object} cannot be read: {error}")]
    Flags {
        /// `Kind/namespace/name`.
        object: String,
        /// The parser's message.
        error: String,
    },
    /// The repository was set up at another GitHub than the given one.
    #[error("{repository} was set up with --api-url {api}")]
    OtherApi {
        /// `owner/name`.
        repository: String,
        /// The address of the API.
        api: String,
    },
    /// The branch does not exist.
    #[error("the branch '{branch}' does not exist; {known}")]
    NoBranch {
        /// The requested branch.
        branch: String,
        /// The existing branches, as the end of a sentence.
        known: String,
    },
    /// The repository has no commit.
    #[error("the repository is empty: it has no branch '{0}' yet")]
    Empty(String),
    /// The folder does not exist.
    #[error("the folder '{path}' does not exist on the branch '{branch}'")]
    NoFolder {
        /// The requested folder.
        path: String,
        /// The requested branch.
        branch: String,
    },
    /// An error of the API server.
    #[error("{context}: {failure}")]
    Cluster {
        /// What was being done.
        context: String,
        /// The server's answer.
        failure: Box<ApiFailure>,
    },
    /// A missing right.
    #[error("{0}")]
    MissingRight(Denied),
    /// A role that the user may not grant.
    #[error("{role} cannot be created: {message}")]
    Escalation {
        /// `ClusterRole/name`.
        role: String,
        /// The server's message in one line.
        message: String,
    },
    /// The ServiceAccount for the root Kustomization does not exist.
    #[error("the ServiceAccount {namespace}/{name} does not exist")]
    NoAccount {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// An agent is installed in another namespace.
    #[error("lockgate is installed in the namespace {}, not in '{wanted}'", .found.join(", "))]
    Elsewhere {
        /// The namespaces with an agent.
        found: Vec<String>,
        /// The requested namespace.
        wanted: String,
    },
    /// A namespace is terminating, and waits for a finalizer that nobody removes.
    #[error(
        "{namespace} is being deleted and held by {finalizer} on {holder}; no agent runs to drop it: run lockgate \
         uninstall"
    )]
    HeldNamespace {
        /// `Namespace/name`.
        namespace: String,
        /// The finalizer.
        finalizer: &'static str,
        /// `Kind/namespace/name`.
        holder: String,
    },
    /// The server is too old.
    #[error("the cluster runs Kubernetes {0}; 1.28 or later is needed")]
    OldServer(String),
    /// Flux's controllers run on the cluster.
    #[error("Flux runs on this cluster: {}", FluxController::names(.0))]
    FluxRuns(Vec<FluxController>),
    /// Flux is installed, and a purge would delete its objects too.
    #[error("Flux is installed on this cluster and has the same Kustomizations: {0}")]
    FluxShares(String),
    /// The Secret exists, but is not in the needed form.
    #[error("the Secret {name} exists, and {reason}")]
    Secret {
        /// `namespace/name`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The Secret of a registry login contains none.
    #[error("no image can be pulled with the Secret {name}: {reason}")]
    Login {
        /// `namespace/name`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The existing sync is for another repository, branch or folder.
    #[error("{object} exists with {field} '{found}', not '{wanted}'")]
    OtherSync {
        /// `Kind/namespace/name`.
        object: String,
        /// `spec.url`, `spec.ref.branch` or `spec.path`.
        field: &'static str,
        /// The value on the cluster.
        found: String,
        /// The requested value.
        wanted: String,
    },
    /// The SSH connection failed, or the server's host keys are known neither from GitHub nor from the user.
    #[error("{0}")]
    Ssh(#[from] SshError),
    /// The host does not present the host key that the user has accepted.
    #[error("{server} presents the host key {}, and not {accepted}", .shown.join(", "))]
    OtherHostKey {
        /// `host` or `[host]:port`.
        server: String,
        /// The accepted fingerprint.
        accepted: String,
        /// The fingerprints of the presented keys.
        shown: Vec<String>,
    },
    /// A key cannot be created or parsed.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The address is unusable.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// An object did not become ready.
    #[error("{what} is not ready after {seconds} s: {cause}")]
    NotReady {
        /// The object, as `Deployment/ns/name`.
        what: String,
        /// How long the run waited for it.
        seconds: u64,
        /// The cause, as far as it is known.
        cause: String,
        /// The cure, if there is a special one.
        cure: Option<&'static str>,
    },
    /// An embedded file cannot be parsed. A test proves that this does not happen.
    #[error("{0}")]
    Embedded(String),
}

impl Problem {
    /// A problem from an answer of the API server.
    pub fn cluster(context: impl Into<String>, failure: ApiFailure) -> Self {
        match failure {
            ApiFailure::Forbidden(denied) => Self::MissingRight(denied),
            failure => Self::Cluster { context: context.into(), failure: Box::new(failure) },
        }
    }

    /// A problem from an answer of GitHub.
    pub fn github(error: GitHubError, repository: &str) -> Self {
        Self::GitHub { error: Box::new(error), repository: repository.into() }
    }

    /// What the user can do about it.
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            Self::GitHub { error, repository } => return error.fix(repository),
            Self::NotAdmin { repository } => format!(
                "use a token with \"Administration: read and write\" on {repository}; or run `lockgate bootstrap git` \
                 with its ssh:// address, and let an administrator add the key that it prints"
            ),
            Self::NoToken => {
                "set GITHUB_TOKEN, or pass --token-stdin, --token-file FILE, or --app-id with its two other \
                 flags".into()
            }
            Self::Source(_) | Self::NoSource(_) => "name the GitRepository with --name".into(),
            Self::NoKey(_) => "run lockgate bootstrap again, which creates one".into(),
            Self::Host(error) => return host_fix(error).map(Into::into),
            Self::NoApp(_) => "pass --app-id and --app-private-key-file".into(),
            Self::NoBranch { .. } => "name an existing branch with --branch".into(),
            Self::Empty(_) => "push a first commit, then run again: nothing is committed for you".into(),
            Self::Escalation { .. } => ESCALATION.into(),
            Self::NoAccount { namespace, name } => format!(
                "create it and bind what it may apply: kubectl create namespace {namespace}; \
                 kubectl create serviceaccount {name} -n {namespace}; \
                 kubectl create clusterrolebinding {name} --clusterrole=… --serviceaccount={namespace}:{name}"
            ),
            Self::Elsewhere { found, .. } => {
                let namespace = found.first().map_or("", String::as_str);
                format!("name it with -n {namespace}: a cluster can have only one agent")
            }
            Self::NoFolder { .. } => {
                "name an existing folder with --path, or push it first: nothing is committed for you".into()
            }
            Self::MissingRight(_) => "run as a cluster administrator, or have one grant it".into(),
            Self::OldServer(_) => "upgrade the cluster".into(),
            Self::FluxRuns(_) => FLUX_RUNS.into(),
            Self::FluxShares(_) => FLUX_SHARES.into(),
            Self::Secret { .. } => {
                "run lockgate bootstrap with --secret-name for another Secret, or with --replace-secret to replace this one".into()
            }
            Self::Login { .. } => {
                "create it with --image-pull-secret NAME=FILE, from a file such as ~/.docker/config.json".into()
            }
            Self::OtherSync { .. } => {
                "give the same address, branch and path, name another with --name, or change it with --replace-sync".into()
            }
            Self::OtherHostKey { .. } => {
                "compare with the keys that the server's owner publishes: another machine may be answering in place of the server".into()
            }
            Self::Ssh(error) => ssh_fix(error).into(),
            Self::NotReady { cure: Some(cure), .. } => (*cure).into(),
            Self::NotReady { cure: None, .. } => {
                "remove the cause, then run the same command again: it continues where it stopped".into()
            }
            Self::Cluster { failure, .. } => return cluster_fix(failure),
            Self::Flags { .. } => DAMAGED_FLAGS.into(),
            Self::OtherApi { .. } => OTHER_API.into(),
            Self::Twins { one, other, .. } => format!("add --uid {one} or --uid {other}"),
            // These messages contain their cure, or no command cures them.
            Self::WorkflowToken
            | Self::HeldNamespace { .. }
            | Self::KeyDisabled { .. }
            | Self::KeysDisabled { .. }
            | Self::KeyStays { .. }
            | Self::UnknownKey(_)
            | Self::Twin { .. }
            | Self::Key(_)
            | Self::Address(_)
            | Self::Embedded(_) => return None,
        })
    }

    /// The class of the problem.
    pub fn class(&self) -> ExitClass {
        match self {
            Self::GitHub { error, .. } if error.is_usage() => ExitClass::Usage,
            Self::Address(_) | Self::NoToken | Self::NoApp(_) | Self::Source(_) | Self::OtherApi { .. } => {
                ExitClass::Usage
            }
            Self::Host(error) => host_class(error),
            Self::GitHub { error, .. } if error.is_unreachable() => ExitClass::Unreachable,
            Self::Cluster { failure, .. } if !is_answer(failure) && failure.is_transient() => {
                ExitClass::Unreachable
            }
            Self::KeyStays { .. } | Self::UnknownKey(_) | Self::Ssh(SshError::Unreachable { .. }) => {
                ExitClass::Unreachable
            }
            Self::FluxRuns(_)
            | Self::FluxShares(_)
            | Self::Secret { .. }
            | Self::OtherSync { .. }
            | Self::Elsewhere { .. }
            | Self::Twin { .. }
            | Self::Twins { .. }
            | Self::OtherHostKey { .. }
            | Self::Ssh(SshError::HostKey(_)) => ExitClass::Refused,
            Self::GitHub { .. }
            | Self::WorkflowToken
            | Self::HeldNamespace { .. }
            | Self::KeyDisabled { .. }
            | Self::KeysDisabled { .. }
            | Self::NotAdmin { .. }
            | Self::NoSource(_)
            | Self::NoKey(_)
            | Self::NoBranch { .. }
            | Self::Empty(_)
            | Self::NoFolder { .. }
            | Self::NoAccount { .. }
            | Self::Escalation { .. }
            | Self::Cluster { .. }
            | Self::MissingRight(_)
            | Self::OldServer(_)
            | Self::Ssh(_)
            | Self::Login { .. }
            | Self::Flags { .. }
            | Self::Key(_)
            | Self::NotReady { .. }
            | Self::Embedded(_) => ExitClass::Failed,
        }
    }
}

/// The class of a host's failure over https.
const fn host_class(error: &SourceError) -> ExitClass {
    match error {
        SourceError::Connect { .. } | SourceError::Timeout { .. } => ExitClass::Unreachable,
        SourceError::HostKey(_) => ExitClass::Refused,
        SourceError::InvalidUrl { .. } => ExitClass::Usage,
        _ => ExitClass::Failed,
    }
}

#[cfg(test)]
mod tests;
