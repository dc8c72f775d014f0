//! What can go wrong on the way, as data: the cause in one line, the fix in another, and the class that decides the exit
//! code.

use super::github::GitHubError;
use super::hosts::AddressError;
use super::key::KeyError;
use super::ssh::SshError;
use crate::cluster::flux::FluxController;
use lockgate_core::pipeline::ports::{ApiFailure, Denied};

/// How a run ended, for its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
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
pub(crate) struct Failure {
    /// The step's name.
    pub step: &'static str,
    /// What is wrong; at least one.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// The class of the gravest problem.
    pub(crate) fn class(&self) -> Class {
        self.problems.iter().map(Problem::class).max().unwrap_or(Class::Failed)
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
            Self::FluxRuns(_) => {
                "scale its controllers to zero or uninstall them with `flux uninstall --keep-namespace`, \
                 then run again; --adopt goes on beside them"
                    .into()
            }
            Self::FluxShares(_) => {
                "uninstall without --purge, which leaves what Flux needs; or uninstall Flux first; \
                 --adopt takes it from Flux"
                    .into()
            }
            Self::Secret { .. } => {
                "name another with --secret-name, or replace it with --replace-secret".into()
            }
            Self::OtherSync { .. } => {
                "give the same address, branch and path, name another with --name, or change it with --replace-sync".into()
            }
            Self::Ssh(SshError::HostKey(_)) => {
                "compare with what the server's owner publishes; --replace-secret makes the Secret anew, with another key \
                 of ours to be let in"
                    .into()
            }
            Self::Ssh(SshError::Identity { .. }) => {
                "put the password of the key into 'password' of the Secret, or name another with --secret-name".into()
            }
            Self::Ssh(SshError::Repository { .. }) => {
                "check the path of the address, and what the key may read".into()
            }
            Self::Ssh(SshError::Unreachable { .. }) => "check the address, the port and the network".into(),
            Self::Ssh(SshError::Denied { .. }) => {
                "add the public key at the server as one that may read".into()
            }
            Self::NotReady { .. } => {
                "put the cause right, then run the same command again: it goes on where it stopped".into()
            }
            Self::Cluster { failure, .. } => return cluster_fix(failure),
            Self::Key(_) | Self::Address(_) | Self::Embedded(_) => return None,
        })
    }

    /// How grave it is.
    pub fn class(&self) -> Class {
        match self {
            Self::GitHub { error, .. } if error.is_usage() => Class::Usage,
            Self::Address(_) => Class::Usage,
            Self::GitHub { error, .. } if error.is_unreachable() => Class::Unreachable,
            Self::Cluster { failure, .. } if !is_answer(failure) && failure.is_transient() => {
                Class::Unreachable
            }
            Self::Ssh(SshError::Unreachable { .. }) => Class::Unreachable,
            Self::FluxRuns(_)
            | Self::FluxShares(_)
            | Self::Secret { .. }
            | Self::OtherSync { .. }
            | Self::Elsewhere { .. }
            | Self::Ssh(SshError::HostKey(_)) => Class::Refused,
            Self::GitHub { .. }
            | Self::NotAdmin { .. }
            | Self::NoBranch { .. }
            | Self::Empty(_)
            | Self::NoFolder { .. }
            | Self::NoAccount { .. }
            | Self::Escalation { .. }
            | Self::Cluster { .. }
            | Self::MissingRight(_)
            | Self::OldServer(_)
            | Self::Ssh(_)
            | Self::Key(_)
            | Self::NotReady { .. }
            | Self::Embedded(_) => Class::Failed,
        }
    }
}

/// Whether it is the server's answer: then the cluster could be asked, whatever it said.
const fn is_answer(failure: &ApiFailure) -> bool {
    matches!(failure, ApiFailure::Answered { .. })
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bootstrap::put::put;
    use crate::cluster::objects::tests::answering;
    use lockgate_base::model::Object;

    #[test]
    fn a_cluster_that_answers_is_not_one_that_cannot_be_asked() {
        let answered =
            |code, message: &str| ApiFailure::Answered { code, reason: "R".into(), message: message.into() };
        let webhook = "Internal error occurred: failed calling webhook \"validate.kyverno.svc\": failed to call webhook: \
                       Post \"https://kyverno:443/\": no endpoints available";
        let away = ApiFailure::Unavailable { message: "connection refused".into(), retry_after: None };
        for (failure, class, fix) in [
            (away, Class::Unreachable, Some("check the kubeconfig")),
            (
                answered(500, webhook),
                Class::Failed,
                Some("behind the webhook validate.kyverno.svc, or remove"),
            ),
            (answered(500, "etcdserver: request timed out"), Class::Failed, Some("look at the API server")),
            (answered(409, "the object has been modified"), Class::Failed, Some("run again")),
            (answered(422, "spec: Invalid value"), Class::Failed, None),
            (
                answered(403, "pods \"p\" is forbidden: exceeded quota: q"),
                Class::Failed,
                Some("change the policy"),
            ),
            (
                answered(
                    403,
                    "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"u\" (groups=[\"g\"]) is attempting to \
                     grant RBAC permissions not currently held",
                ),
                Class::Failed,
                Some("run as one who holds these rights"),
            ),
        ] {
            let problem = Problem::cluster("Deployment/n/d", failure);
            assert_eq!(problem.class(), class, "{problem}");
            let told = problem.fix();
            let is_told =
                fix.map_or(told.is_none(), |fix| told.as_ref().is_some_and(|told| told.contains(fix)));
            assert!(is_told, "{problem}: {told:?}");
        }
    }

    #[tokio::test]
    async fn a_right_that_a_write_turns_out_to_lack_is_told_with_its_fix() {
        let message = "deployments.apps \"d\" is forbidden: User \"u\" cannot patch resource \"deployments\" in API group \
                       \"apps\" in the namespace \"n\"";
        let forbidden = json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": message});
        let absent = json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"});
        let objects = answering(vec![(Some(404), absent), (Some(403), forbidden)]);
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}});
        let failure = put(&objects, &Object::parse(deployment).unwrap()).await.unwrap_err();
        let problem = Problem::cluster("Deployment/n/d", failure);
        assert_eq!(problem.to_string(), "u may not patch deployments.apps in namespace n");
        assert_eq!(problem.fix().as_deref(), Some("run as a cluster administrator, or have one grant it"));
    }
}
