//! The deploy key at the repository's host: its title, and its registration.

use std::time::{Duration, Instant};

use serde_json::json;
use ssh_key::PublicKey;

use super::github::{DeployKey, GitHub};
use super::hosts::{self, SshUrl};
use super::key::{Algorithm, KeyPair};
use super::moment;
use super::preflight;
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressEvent, ProgressLog, at};
use super::put::PutOutcome;
use super::secret::Stored;
use super::ssh::{self, SshError};
use super::title::{ClusterName, Title};
use super::wait;
use crate::clock;
use crate::cluster::objects::Objects;
use lockgate_base::model::{Object, Timestamp};

/// The namespace whose uid identifies the cluster, and which is created with it.
const IDENTITY_NAMESPACE: &str = "kube-system";
/// How long to wait before the next check whether a host accepts the key. OpenSSH 9.8 and later add 5 s of
/// penalty to an address for each failed login, and block it at 15 s.
const ADMISSION_POLL: Duration = Duration::from_secs(10);

/// The identity of a cluster, whatever its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyIdentity {
    /// The uid of kube-system; empty if the server does not give it.
    pub uid: String,
    /// When kube-system was created; the beginning of time if the server does not say, so that no key is
    /// older.
    pub created: Timestamp,
}

impl KeyIdentity {
    /// Whether a key with this title was created for this cluster.
    pub(crate) fn is_of(&self, title: &Title) -> bool {
        self.uid.starts_with(&title.uid)
    }

    /// Reads the identity from the cluster.
    pub(crate) async fn of(objects: &Objects) -> Result<Self, Problem> {
        let shell =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": IDENTITY_NAMESPACE}});
        let shell = Object::parse(shell).map_err(|error| Problem::Embedded(error.to_string()))?;
        let live = objects.get(&shell).await;
        let live = live.map_err(|failure| Problem::cluster("Namespace/kube-system", failure))?;
        let text = |pointer: &str| live.as_ref().and_then(|live| live.text(pointer)).unwrap_or_default();
        let created = text("/metadata/creationTimestamp").parse();
        Ok(Self {
            uid: text("/metadata/uid").into(),
            created: created.unwrap_or(Timestamp::from_unix(i64::MIN)),
        })
    }
}

/// The user's settings for the key and its Secret.
#[derive(Debug, Clone)]
pub(crate) struct KeyPlan {
    /// The name of the Secret.
    pub secret: String,
    /// The type of a new key.
    pub algorithm: Algorithm,
    /// An existing key pair to use.
    pub given: Option<KeyPair>,
    /// Whether to replace an existing key.
    pub replace: bool,
    /// The cluster's name. Without one, the title has the name of the context, by which no key is ever
    /// deleted.
    pub cluster: Option<ClusterName>,
    /// The lifetime of a new key.
    pub ttl: Option<Duration>,
    /// Whether to delete the leftover keys of the cluster's name.
    pub prune: bool,
    /// The fingerprint of a host key that the user has compared, `SHA256:…`.
    pub accepted_host_key: Option<String>,
}

impl KeyPlan {
    /// The title of a new key.
    pub(crate) fn title(&self, context: &str, identity: &KeyIdentity, namespace: &str) -> Title {
        let name = self.cluster.as_ref().map_or_else(|| context.to_owned(), ToString::to_string);
        Title::new(
            &name,
            Some(&identity.uid),
            namespace,
            self.ttl.map(|ttl| moment::after(clock::now(), ttl)),
        )
    }
}

/// Registers the key unless it is among the listed ones. Returns the key at GitHub.
pub(crate) async fn register(
    github: &GitHub,
    listed: &[DeployKey],
    title: &Title,
    key: &PublicKey,
    progress: &mut ProgressLog<'_>,
) -> Result<DeployKey, FailedStep> {
    let began = Instant::now();
    let line = key.to_openssh().unwrap_or_default();
    let (registered, is_new) = github
        .register(listed, &title.to_string(), &line)
        .await
        .map_err(|error| at("deploy key")(preflight::refused(github, error)))?;
    let change = if is_new { PutOutcome::Created } else { PutOutcome::Unchanged };
    let mode = if registered.read_only { "read-only" } else { "READ-WRITE" };
    let detail = format!("{} \"{}\" {mode}", hosts::fingerprint(key), registered.title);
    progress.done("deploy key", began, detail, Some(change));
    if !registered.read_only {
        let note = format!(
            "the deploy key \"{}\" has write access; lockgate needs only read access",
            registered.title
        );
        progress.tell(ProgressEvent::Note(note));
    }
    Ok(registered)
}

/// The message about a key that is registered under another cluster's name than the wanted one.
pub(super) fn other_name(registered: &DeployKey, title: &Title) -> Option<ProgressEvent> {
    let is_other = Title::parse(&registered.title).is_none_or(|known| known.cluster != title.cluster);
    let text = format!(
        "the deploy key keeps the title \"{}\", since GitHub renames no keys; lockgate rotate-key replaces it by one \
         that is named after {}",
        registered.title, title.cluster
    );
    is_other.then_some(ProgressEvent::Note(text))
}

/// Shows the public key, and waits until the host accepts it.
pub(crate) async fn admitted(
    url: &SshUrl,
    branch: &str,
    timeout: Duration,
    stored: &Stored,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let began = Instant::now();
    let failed = at("deploy key");
    let mut is_shown = false;
    let ask = async || {
        let (url, credentials) = (url.clone(), stored.credentials.clone());
        blocking(move || ssh::branches(&url, &credentials)).await
    };
    let tell = |since| {
        if !is_shown {
            let line = stored.key.public_line();
            progress.tell(ProgressEvent::Note(format!(
                "add this public key at {} with read access:\n{line}",
                url.git().host()
            )));
            is_shown = true;
        }
        let detail = format!("until {} accepts the key", url.known_as());
        progress.tell(ProgressEvent::Waiting { name: "deploy key", detail, since });
    };
    let branches = wait::let_in(timeout, ADMISSION_POLL, ask, tell).await;
    let branches = branches.map_err(|error| failed(error.into()))?;
    let commit = preflight::commit_at(&branches, branch).map_err(failed)?;
    let detail =
        format!("{} accepted by {} · branch {branch} @ {commit}", stored.key.summary(), url.known_as());
    progress.done("deploy key", began, detail, None);
    Ok(())
}

/// Runs blocking work on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SshError> + Send + 'static,
) -> Result<T, SshError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| {
        Err(SshError::Unreachable { server: "ssh".into(), message: error.to_string() })
    })
}
