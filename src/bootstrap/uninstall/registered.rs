//! The deploy keys that bootstrap has registered at the repository's host, which an uninstall leaves there or
//! deletes.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Instant;

use crate::bootstrap::github::PUBLIC_API;
use crate::bootstrap::hosts::{self, SshUrl};
use crate::bootstrap::hub::Hub;
use crate::bootstrap::preflight;
use crate::bootstrap::problem::Problem;
use crate::bootstrap::progress::ProgressLog;
use crate::bootstrap::put::PutOutcome;
use crate::bootstrap::rotation::next_name;
use crate::bootstrap::secret;
use lockgate_base::model::Object;

/// A key, and the host where it was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registered {
    title: String,
    /// `ed25519 SHA256:…`.
    fingerprint: String,
    public_line: String,
    urls: BTreeSet<String>,
}

impl Registered {
    /// The key of a Secret that bootstrap made, and the sources that read the Secret.
    pub(super) fn of(secret: &Object, sources: &[Object]) -> Option<Self> {
        let key = secret::key(secret)?;
        let reading = sources.iter().filter(|source| reads(source, secret));
        Some(Self {
            title: secret::title(secret)?,
            fingerprint: hosts::fingerprint(key.public()),
            public_line: key.public_line(),
            urls: reading.filter_map(|source| source.text("/spec/url")).map(ToOwned::to_owned).collect(),
        })
    }

    /// Deletes the key at GitHub. Returns the problems that keep it there.
    pub(super) async fn delete(&self, hub: &Hub, progress: &mut ProgressLog<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let urls = self.urls.iter().filter_map(|url| url.parse::<SshUrl>().ok());
        for repository in urls.filter_map(|url| hub.repository(&url)) {
            let began = Instant::now();
            match self.delete_from(&repository, hub).await {
                Ok(count) => {
                    let change = if count > 0 { PutOutcome::Configured } else { PutOutcome::Unchanged };
                    let what = if count > 0 { "deleted from" } else { "is gone from" };
                    let detail = format!("{} {what} {repository}", self.fingerprint);
                    progress.done("deploy key", began, detail, Some(change));
                }
                Err(cause) => problems.push(self.stays(&repository, hub, cause)),
            }
        }
        problems
    }

    async fn delete_from(&self, repository: &str, hub: &Hub) -> Result<usize, String> {
        let told = |problem| match problem {
            Problem::NoToken => "set GITHUB_TOKEN and ".to_owned(),
            problem => format!("{problem}; "),
        };
        let github = hub.client(repository).map_err(told)?;
        let mut count = 0;
        for key in preflight::deploy_keys(&github).await.map_err(told)? {
            if key.is_same(&self.public_line) {
                let deleted = github.delete_key(key.id).await;
                count += usize::from(deleted.map_err(|error| told(Problem::github(error, repository)))?);
            }
        }
        Ok(count)
    }

    fn stays(&self, repository: &str, hub: &Hub, cause: String) -> Problem {
        let print = self.fingerprint.rsplit(' ').next().unwrap_or_default();
        let mut command = format!("lockgate keys delete {repository} --key {print}");
        if hub.api != PUBLIC_API {
            command.extend([" --api-url ", &hub.api]);
        }
        Problem::KeyStays { title: self.title.clone(), repository: repository.into(), cause, command }
    }
}

impl fmt::Display for Registered {
    /// The remaining task: only the repository's owner can delete the key there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = self.urls.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let place = if urls.is_empty() { "at the hosts that accept it" } else { &format!("at {urls}") };
        let Self { title, fingerprint, .. } = self;
        write!(
            f,
            "the deploy key \"{title}\" ({fingerprint}) stays registered {place} until it is removed there"
        )
    }
}

/// Whether a source reads a Secret, or the Secret that takes over its key.
fn reads(source: &Object, secret: &Object) -> bool {
    let read = source.text("/spec/secretRef/name").unwrap_or_default();
    let is_read = secret::is_read_by(secret.name(), source) || next_name(read) == secret.name();
    source.namespace() == secret.namespace() && is_read
}
