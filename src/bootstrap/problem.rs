//! The problems of a run, as data: the cause in one line, the fix in another, and the class that decides the
//! exit code.

use super::github::GitHubError;
use super::hosts::AddressError;
use super::key::KeyError;
use super::ssh::SshError;
use crate::cluster::flux::FluxController;
use lockgate_core::pipeline::ports::{ApiFailure, Denied};
use lockgate_git::SourceError;

/// How a run ended, for its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitClass {
    /// It was tried and failed.
    Failed,
    /// The command was not right.
    Usage,
    /// The cluster or GitHub could not be asked.
    Unreachable,
    /// It was not done, for safety.
    Refused,
}

/// A step that did not succeed, with all that is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedStep {
    /// The step's name.
    pub step: &'static str,
    /// What is wrong; at least one.
    pub problems: Vec<Problem>,
}

impl FailedStep {
    /// The class of the gravest problem.
    pub(crate) fn class(&self) -> ExitClass {
        self.problems.iter().map(Problem::class).max().unwrap_or(ExitClass::Failed)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// GitHub's answer.
    #[error("{error}")]
    GitHub {
        /// What it said.
        error: Box<GitHubError>,
        /// `owner/name`.
        repository: String,
    },
    /// The token's owner, or the token, may not register deploy keys.
    #[error("the token can read {repository} but may not administer it, so it cannot register a deploy key")]
    NotAdmin {
        /// `owner/name`.
        repository: String,
    },
    /// The token is one that a workflow or an App's installation was given, and it has no such right.
    #[error(
        "a workflow's own token cannot register deploy keys; use an App's token with \"Administration: read and write\""
    )]
    WorkflowToken,
    /// There is nothing to sign in at GitHub with.
    #[error("there is no GitHub token")]
    NoToken,
    /// A source that cannot be told from others.
    #[error("{0}")]
    Source(String),
    /// There is no source with a key, in a namespace or of a name in it.
    #[error("there is no GitRepository {0} that is read over SSH with a Secret")]
    NoSource(String),
    /// There is no Secret with the key that is to be replaced.
    #[error("there is no Secret {0}, and so no key to replace")]
    NoKey(String),
    /// The key is registered, and the policy of the organisation keeps it out.
    #[error(
        "the deploy key \"{title}\" is disabled by policy; an owner allows deploy keys at {settings}, or use --auth app"
    )]
    KeyDisabled {
        /// Its title.
        title: String,
        /// Where the policy is set.
        settings: String,
    },
    /// The policy of the organisation lets no deploy key be added.
    #[error("deploy keys are disabled by policy; an owner allows them at {settings}, or use --auth app")]
    KeysDisabled {
        /// Where the policy is set.
        settings: String,
    },
    /// The repository's host, asked over https, or what it is to be asked with.
    #[error("{0}")]
    Host(#[from] SourceError),
    /// The agent is to sign in as a GitHub App, and nothing says as which.
    #[error("there is no GitHub App to make the Secret {0} of")]
    NoApp(String),
    /// Another cluster lives that has the same name.
    #[error(
        "the key \"{title}\" was used {ago}, after this cluster was created: another cluster is called {name}; give one of \
         them another name"
    )]
    Twin {
        /// Its title.
        title: String,
        /// Since when, such as `3 min ago`.
        ago: String,
        /// The name.
        name: String,
    },
    /// GitHub shows two clusters of one name alive beside each other.
    #[error(
        "the key \"{title}\" was used {ago}, after another cluster called {name} had its own: say which one's keys to delete"
    )]
    Twins {
        /// Its title.
        title: String,
        /// Since when, such as `3 min ago`.
        ago: String,
        /// The name.
        name: String,
        /// The uid of the older, as titles have it.
        one: String,
        /// The uid of the other.
        other: String,
    },
    /// A key that was to be deleted at GitHub, and was not.
    #[error("the key \"{title}\" of {repository} stays: {cause}run {command}")]
    KeyStays {
        /// Its title.
        title: String,
        /// `owner/name`.
        repository: String,
        /// What stood in the way, as the beginning of a sentence.
        cause: String,
        /// What deletes it.
        command: String,
    },
    /// There is no such branch.
    #[error("the branch '{branch}' does not exist; {known}")]
    NoBranch {
        /// As asked for.
        branch: String,
        /// What is known of the branches that exist, as the end of a sentence.
        known: String,
    },
    /// There is no commit.
    #[error("the repository is empty: it has no branch '{0}' yet")]
    Empty(String),
    /// There is no such folder.
    #[error("the folder '{path}' does not exist on the branch '{branch}'")]
    NoFolder {
        /// As asked for.
        path: String,
        /// As asked for.
        branch: String,
    },
    /// The API server's answer.
    #[error("{context}: {failure}")]
    Cluster {
        /// What was being done.
        context: String,
        /// What it said.
        failure: Box<ApiFailure>,
    },
    /// A right that is missing.
    #[error("{0}")]
    MissingRight(Denied),
    /// A role that the user may not hand out.
    #[error("{role} cannot be created: {message}")]
    Escalation {
        /// `ClusterRole/name`.
        role: String,
        /// What the server said, in one line.
        message: String,
    },
    /// The account in whose name the root is to be applied is not there.
    #[error("the ServiceAccount {namespace}/{name} does not exist")]
    NoAccount {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// An agent is installed elsewhere on the cluster.
    #[error("lockgate is installed in the namespace {}, not in '{wanted}'", .found.join(", "))]
    Elsewhere {
        /// The namespaces.
        found: Vec<String>,
        /// As asked for.
        wanted: String,
    },
    /// A namespace that is being deleted, and will not go by itself.
    #[error(
        "{namespace} is being deleted and held by {finalizer} on {holder}; no agent runs to drop it: run lockgate uninstall"
    )]
    HeldNamespace {
        /// `Namespace/name`.
        namespace: String,
        /// The finalizer.
        finalizer: &'static str,
        /// `Kind/namespace/name`.
        holder: String,
    },
    /// The server is older than what is needed.
    #[error("the cluster runs Kubernetes {0}; 1.28 or later is needed")]
    OldServer(String),
    /// Flux's controllers run here.
    #[error("Flux runs on this cluster: {}", FluxController::names(.0))]
    FluxRuns(Vec<FluxController>),
    /// Flux is installed, and what is to be purged is its own as well.
    #[error("Flux is installed on this cluster and has the same Kustomizations: {0}")]
    FluxShares(String),
    /// The Secret is there, but not of the form that is needed.
    #[error("the Secret {name} exists, and {reason}")]
    Secret {
        /// `namespace/name`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The Secret of a login to the image's registry is none.
    #[error("the Secret {name} cannot be pulled with: {reason}")]
    Login {
        /// `namespace/name`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The objects of another repository, branch or folder are there.
    #[error("{object} exists with {field} '{found}', not '{wanted}'")]
    OtherSync {
        /// `Kind/namespace/name`.
        object: String,
        /// `spec.url`, `spec.ref.branch` or `spec.path`.
        field: &'static str,
        /// As it is.
        found: String,
        /// As asked for.
        wanted: String,
    },
    /// The server's keys are known neither to GitHub nor to the user.
    #[error("{0}")]
    Ssh(#[from] SshError),
    /// The host does not show the key that the user has accepted.
    #[error("{server} does not show the host key {accepted}, but {}", .shown.join(", "))]
    OtherHostKey {
        /// `host` or `[host]:port`.
        server: String,
        /// As given.
        accepted: String,
        /// The fingerprints of those that it shows.
        shown: Vec<String>,
    },
    /// A key cannot be made or read.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// An address cannot be used.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// Something did not become ready.
    #[error("{what} is not ready after {seconds} s: {cause}")]
    NotReady {
        /// `Deployment/ns/name` or the like.
        what: String,
        /// How long it was waited for.
        seconds: u64,
        /// Why, as far as it tells.
        cause: String,
        /// What to do about it, where more is known than that.
        cure: Option<&'static str>,
    },
    /// An embedded file cannot be read; a test holds that this does not happen.
    #[error("{0}")]
    Embedded(String),
}

impl Problem {
    /// For an answer of the API server.
    pub fn cluster(context: impl Into<String>, failure: ApiFailure) -> Self {
        match failure {
            ApiFailure::Forbidden(denied) => Self::MissingRight(denied),
            failure => Self::Cluster { context: context.into(), failure: Box::new(failure) },
        }
    }

    /// For an answer of GitHub.
    pub fn github(error: GitHubError, repository: &str) -> Self {
        Self::GitHub { error: Box::new(error), repository: repository.into() }
    }

    /// What to do about it.
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            Self::GitHub { error, repository } => return error.fix(repository),
            Self::NotAdmin { repository } => format!(
                "use a token with \"Administration: read and write\" on {repository}; or run `lockgate bootstrap git \
                 ssh://git@github.com/{repository}`, and let an administrator add the key that it prints"
            ),
            Self::NoToken => {
                "set GITHUB_TOKEN, or pass --token-stdin, --token-file FILE, or --app-id and its two companions".into()
            }
            Self::Source(_) | Self::NoSource(_) => "name the GitRepository with --name".into(),
            Self::NoKey(_) => "run lockgate bootstrap again, which makes one".into(),
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
                format!("name it with -n {namespace}: there is one agent on a cluster")
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
                "make it with --image-pull-secret NAME=FILE, of a file such as ~/.docker/config.json".into()
            }
            Self::OtherSync { .. } => {
                "give the same address, branch and path, name another with --name, or change it with --replace-sync".into()
            }
            Self::OtherHostKey { .. } => {
                "compare with what the server's owner publishes: somebody may stand in for the server".into()
            }
            Self::Ssh(error) => ssh_fix(error).into(),
            Self::NotReady { cure: Some(cure), .. } => (*cure).into(),
            Self::NotReady { cure: None, .. } => {
                "put the cause right, then run the same command again: it goes on where it stopped".into()
            }
            Self::Cluster { failure, .. } => return cluster_fix(failure),
            Self::Twins { one, other, .. } => format!("add --uid {one} or --uid {other}"),
            // Told with their cure, or what no command cures.
            Self::WorkflowToken
            | Self::HeldNamespace { .. }
            | Self::KeyDisabled { .. }
            | Self::KeysDisabled { .. }
            | Self::KeyStays { .. }
            | Self::Twin { .. }
            | Self::Key(_)
            | Self::Address(_)
            | Self::Embedded(_) => return None,
        })
    }

    /// How grave it is.
    pub fn class(&self) -> ExitClass {
        match self {
            Self::GitHub { error, .. } if error.is_usage() => ExitClass::Usage,
            Self::Address(_) | Self::NoToken | Self::NoApp(_) | Self::Source(_) => ExitClass::Usage,
            Self::Host(error) => host_class(error),
            Self::GitHub { error, .. } if error.is_unreachable() => ExitClass::Unreachable,
            Self::Cluster { failure, .. } if !is_answer(failure) && failure.is_transient() => {
                ExitClass::Unreachable
            }
            Self::KeyStays { .. } | Self::Ssh(SshError::Unreachable { .. }) => ExitClass::Unreachable,
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
            | Self::Key(_)
            | Self::NotReady { .. }
            | Self::Embedded(_) => ExitClass::Failed,
        }
    }
}

/// Whether it is the server's answer: then the cluster could be asked, whatever it said.
const fn is_answer(failure: &ApiFailure) -> bool {
    matches!(failure, ApiFailure::Answered { .. })
}

/// What helps where Flux's controllers would do the same work.
const FLUX_RUNS: &str = "scale its controllers to zero or uninstall them with `flux uninstall --keep-namespace`, then run \
                         again; --adopt goes on beside them";

/// What helps where a purge would take what Flux needs.
const FLUX_SHARES: &str = "uninstall without --purge, which leaves what Flux needs; or uninstall Flux first; --adopt takes it \
                           from Flux";

const fn host_class(error: &SourceError) -> ExitClass {
    match error {
        SourceError::Connect { .. } | SourceError::Timeout { .. } => ExitClass::Unreachable,
        SourceError::HostKey(_) => ExitClass::Refused,
        SourceError::InvalidUrl { .. } => ExitClass::Usage,
        _ => ExitClass::Failed,
    }
}

const fn host_fix(error: &SourceError) -> Option<&'static str> {
    match error {
        SourceError::Connect { .. } | SourceError::Timeout { .. } => {
            Some("check the address, the port and the network")
        }
        SourceError::HostKey(_) => {
            Some("give the certificates of the authority that vouches for it with --ca-file FILE")
        }
        SourceError::Rejected(_) => Some("check what is signed in with, and that it may read the repository"),
        _ => None,
    }
}

const fn ssh_fix(error: &SshError) -> &'static str {
    match error {
        SshError::HostKey(_) => {
            "compare with what the server's owner publishes, then take it with --accept-host-key FINGERPRINT"
        }
        SshError::Identity { .. } => {
            "put the password of the key into 'password' of the Secret, or name another with --secret-name"
        }
        SshError::Repository { .. } => "check the path of the address, and what the key may read",
        SshError::Unreachable { .. } => "check the address, the port and the network",
        SshError::Denied { .. } => "add the public key at the server as one that may read",
    }
}

/// What helps who may not hand out the rights of a role.
const ESCALATION: &str =
    "run as one who holds these rights, as a cluster administrator does, or who may 'escalate' roles";

fn cluster_fix(failure: &ApiFailure) -> Option<String> {
    if !is_answer(failure) {
        let fix = "check the kubeconfig, the context and the network, then run again";
        return failure.is_transient().then(|| fix.into());
    }
    let ApiFailure::Answered { code: code @ (403 | 409 | 429 | 500..), message, .. } = failure else {
        return None;
    };
    Some(match (code, webhook(message)) {
        // The API server's words where a role or a binding holds rights that the user does not hold.
        (403, _) if message.contains("is attempting to grant RBAC permissions not currently held") => {
            ESCALATION.into()
        }
        (403, _) => {
            "a policy of the cluster forbids it: change the policy, or have it leave out the agent's namespace, then run \
             again"
                .into()
        }
        (500.., Some(name)) => format!(
            "bring up the server behind the webhook {name}, or remove its configuration (kubectl get \
             validatingwebhookconfigurations,mutatingwebhookconfigurations), then run again"
        ),
        (500.., None) => {
            "look at the API server (kubectl get --raw '/readyz?verbose'), then run again: it answers, with an error of \
             its own"
                .into()
        }
        _ => "run again".into(),
    })
}

/// The webhook that an API server could not call, as it names it.
fn webhook(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("failed calling webhook \"")?;
    rest.split_once('"').map(|(name, _)| name)
}

#[cfg(test)]
mod tests;
