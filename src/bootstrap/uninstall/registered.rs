//! The deploy keys that bootstrap has registered at the repository's host, which an uninstall leaves there or
//! deletes.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Instant;

use ssh_key::PublicKey;

use crate::bootstrap::deploy_key::KeyIdentity;
use crate::bootstrap::github::PUBLIC_API;
use crate::bootstrap::hosts::{self, SshUrl};
use crate::bootstrap::hub::Hub;
use crate::bootstrap::key::{comment_of, identity_of};
use crate::bootstrap::key_host::{KeyHost, deletion};
use crate::bootstrap::memory;
use crate::bootstrap::preflight;
use crate::bootstrap::problem::Problem;
use crate::bootstrap::progress::{ProgressEvent, ProgressLog};
use crate::bootstrap::put::PutOutcome;
use crate::bootstrap::rotation::{self, next_name};
use crate::bootstrap::secret;
use lockgate_base::keys;
use lockgate_base::model::Object;

/// A key, and the places where it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registered {
    title: String,
    /// `ed25519 SHA256:…`.
    fingerprint: String,
    public_line: String,
    /// Whether it was the key before a rotation that is not complete.
    is_replaced: bool,
    hosts: BTreeSet<KeyHost>,
}

impl Registered {
    /// The keys of Secrets that bootstrap made, each once: a rotation that is not complete has the same key
    /// in two Secrets. `hub` tells to which repository the address of a source belongs if nothing else does.
    pub(super) fn all(secrets: &[Object], sources: &[Object], hub: Option<&Hub>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for secret in secrets {
            let hosts = hosts_of(secret, sources, hub);
            for line in secret::registered_lines(secret) {
                let Ok(public) = PublicKey::from_openssh(line.trim()) else { continue };
                let is_same = |known: &&mut Self| identity_of(&known.public_line) == identity_of(&line);
                if let Some(known) = all.iter_mut().find(is_same) {
                    known.hosts.extend(hosts.iter().cloned());
                    continue;
                }
                let fingerprint = hosts::fingerprint(&public);
                let is_replaced = secret.annotation(keys::REPLACED_KEY) == Some(line.as_str());
                let title = secret::title(secret).filter(|_| !is_replaced);
                let title = title.or_else(|| comment_of(&line).map(ToOwned::to_owned));
                let title = title.unwrap_or_else(|| fingerprint.clone());
                all.push(Self { title, fingerprint, public_line: line, is_replaced, hosts: hosts.clone() });
            }
        }
        all
    }

    /// Refuses to send the token to another API than the one where the key was registered.
    pub(super) fn check_api(&self, api: &str) -> Vec<Problem> {
        self.hosts.iter().filter_map(|host| host.check(api).err()).collect()
    }

    /// Deletes the key at GitHub. Returns the problems that keep it there.
    pub(super) async fn delete(
        &self,
        hub: &Hub,
        identity: &KeyIdentity,
        progress: &mut ProgressLog<'_>,
    ) -> Vec<Problem> {
        if self.hosts.is_empty() {
            return vec![self.is_lost()];
        }
        let mut problems = Vec::new();
        for host in &self.hosts {
            let KeyHost::GitHub { repository, .. } = host else {
                progress.tell(ProgressEvent::Note(self.to_string()));
                continue;
            };
            let began = Instant::now();
            match self.delete_from(repository, hub, identity, progress).await {
                Ok(is_deleted) => {
                    let change = if is_deleted { PutOutcome::Configured } else { PutOutcome::Unchanged };
                    let what = if is_deleted { "deleted from" } else { "is not deleted from" };
                    let detail = format!("{} {what} {repository}", self.fingerprint);
                    progress.done("deploy key", began, detail, Some(change));
                }
                Err(cause) => problems.push(self.stays(repository, hub, cause)),
            }
        }
        problems
    }

    async fn delete_from(
        &self,
        repository: &str,
        hub: &Hub,
        identity: &KeyIdentity,
        progress: &mut ProgressLog<'_>,
    ) -> Result<bool, String> {
        let told = |problem| match problem {
            Problem::NoToken => "set GITHUB_TOKEN and ".to_owned(),
            problem => format!("{problem}; "),
        };
        let github = hub.client(repository).map_err(told)?;
        if self.is_replaced {
            let forgotten = rotation::forgotten(&github, &self.public_line, identity, progress).await;
            let change =
                forgotten.map_err(|failure| failure.problems.into_iter().map(told).collect::<String>());
            return change.map(|change| change.is_some());
        }
        let mut is_deleted = false;
        for key in preflight::deploy_keys(&github).await.map_err(told)? {
            if key.is_same(&self.public_line) {
                let deleted = github.delete_key(key.id).await;
                is_deleted |= deleted.map_err(|error| told(Problem::github(error, repository)))?;
            }
        }
        Ok(is_deleted)
    }

    fn stays(&self, repository: &str, hub: &Hub, cause: String) -> Problem {
        let command = deletion(&hub.api, repository, &self.fingerprint);
        Problem::KeyStays { title: self.title.clone(), repository: repository.into(), cause, command }
    }

    /// The problem of a key whose Secret was written before it remembered the repository, and whose source is
    /// gone.
    fn is_lost(&self) -> Problem {
        let command = deletion(PUBLIC_API, "OWNER/REPO", &self.fingerprint);
        let title = &self.title;
        Problem::UnknownKey(format!(
            "the key \"{title}\" stays: nothing on the cluster says in which repository it is registered; run {command}"
        ))
    }
}

impl fmt::Display for Registered {
    /// The remaining task: only the repository's owner can delete the key there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(KeyHost::name).collect::<Vec<_>>().join(", ");
        let place = if hosts.is_empty() { "at the hosts that accept it" } else { &format!("at {hosts}") };
        let Self { title, fingerprint, .. } = self;
        write!(
            f,
            "the deploy key \"{title}\" ({fingerprint}) stays registered {place} until it is removed there"
        )
    }
}

/// The problems of Secrets that have a private key which neither can be read nor has its public half beside
/// it.
pub(super) fn unreadable(secrets: &[Object]) -> Vec<Problem> {
    let is_unreadable =
        |secret: &&Object| secret::has_key(secret) && secret::registered_lines(secret).is_empty();
    let problem = |secret: &Object| {
        let place = KeyHost::of(secret).map(|host| format!(" at {}", host.name())).unwrap_or_default();
        Problem::UnknownKey(format!(
            "{} has no readable key, so its deploy key{place} cannot be told from others and stays; run lockgate keys list \
             OWNER/REPO",
            secret.id().subject()
        ))
    };
    secrets.iter().filter(is_unreadable).map(problem).collect()
}

/// Where the key of a Secret is registered: as the Secret remembers, or as the sources tell that read it.
fn hosts_of(secret: &Object, sources: &[Object], hub: Option<&Hub>) -> BTreeSet<KeyHost> {
    if let Some(host) = KeyHost::of(secret) {
        return BTreeSet::from([host]);
    }
    let public = Hub { api: PUBLIC_API.into(), credentials: None };
    let hub = hub.unwrap_or(&public);
    let reading = sources.iter().filter(|source| reads(source, secret));
    let host = |source: &Object| {
        let url = source.text("/spec/url")?;
        let elsewhere = || KeyHost::Owner { url: url.into() };
        let by_address = || {
            let url = url.parse::<SshUrl>().ok()?;
            hub.repository(&url).map(|repository| KeyHost::github(&hub.api, &repository))
        };
        Some(memory::key_host(source).or_else(by_address).unwrap_or_else(elsewhere))
    };
    reading.filter_map(host).collect()
}

/// The place of a Secret's key, if only a source tells it.
pub(super) fn unnoted(secret: &Object, sources: &[Object], hub: Option<&Hub>) -> Option<KeyHost> {
    let is_noted = KeyHost::of(secret).is_some() || !secret::has_key(secret);
    if is_noted { None } else { hosts_of(secret, sources, hub).pop_first() }
}

/// Whether a source reads a Secret, or the Secret that takes over its key.
fn reads(source: &Object, secret: &Object) -> bool {
    let read = source.text("/spec/secretRef/name").unwrap_or_default();
    let is_read = secret::is_read_by(secret.name(), source) || next_name(read) == secret.name();
    source.namespace() == secret.namespace() && is_read
}

#[cfg(test)]
mod tests;
