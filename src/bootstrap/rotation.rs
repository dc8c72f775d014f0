//! Replaces a working key by another one.
//!
//! ```text
//! next Secret → registered → switched → fetched → old key deleted → next Secret deleted
//! ```
//!
//! At each moment the Secret contains a key that the host accepts, and the remaining work can be read from
//! the cluster: a Secret with the suffix `-next` contains a key that is not in use yet, and an annotation of
//! the Secret itself has the public line of the previous key. So the same command completes an interrupted
//! run.

use std::time::{Duration, Instant};

use serde_json::json;

use super::deploy_key::{KeyIdentity, admitted, register};
use super::github::{DeployKey, GitHub};
use super::hosts::SshUrl;
use super::key_host::deletion;
use super::made::Made;
use super::preflight;
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressEvent, ProgressLog, at};
use super::put::{self, PutOutcome};
use super::secret::{self, SecretPlan, Stored};
use super::title::Title;
use super::wait::{self, Patience};
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_core::api::GitRepository;

/// The step whose messages are about a rotation.
const STEP: &str = "rotation";

/// How a key is registered at a host.
#[derive(Clone, Copy)]
pub(crate) enum Host<'h> {
    /// By GitHub's API, which lists these keys.
    GitHub(&'h GitHub, &'h [DeployKey]),
    /// By the owner, who adds the printed key. The branch shows that the host accepts it.
    Owner {
        /// The branch.
        branch: &'h str,
    },
}

/// The rotation of a key.
pub(crate) struct Rotation<'r> {
    /// The cluster.
    pub objects: &'r Objects,
    /// The Secret, and the settings of the new key.
    pub wanted: &'r SecretPlan<'r>,
    /// The repository.
    pub url: &'r SshUrl,
    /// The title of the new key.
    pub title: &'r Title,
    /// How long each wait may take.
    pub timeout: Duration,
}

impl Rotation<'_> {
    /// The public line of the previous key, if the last rotation is not complete.
    pub(crate) async fn unfinished(&self) -> Result<Option<String>, FailedStep> {
        let live = self.secret(self.wanted).await?;
        let old = live.as_ref().and_then(|live| live.annotation(keys::REPLACED_KEY));
        Ok(old.map(ToOwned::to_owned))
    }

    /// Creates the next key, waits until the host accepts it, and puts it into the Secret in place of
    /// `current`. Returns the key at GitHub.
    pub(crate) async fn switch(
        &self,
        current: &Stored,
        host: Host<'_>,
        progress: &mut ProgressLog<'_>,
    ) -> Result<(Stored, Option<DeployKey>), FailedStep> {
        let name = next_name(self.wanted.name);
        let wanted = SecretPlan { name: &name, replace: false, ..*self.wanted };
        let began = Instant::now();
        let is_wanted = |next: &Stored| wanted.given.is_none_or(|given| given.is_same(&next.key));
        let next = match secret::existing(self.objects, &wanted, self.url).await {
            // An interrupted run has left its new key.
            Ok(Some(next)) if is_wanted(&next) => next,
            Err(problem) if !self.may_replace(&wanted, &problem).await? => return Err(at(STEP)(problem)),
            existing => {
                let wanted = SecretPlan { replace: !matches!(existing, Ok(None)), ..wanted.clone() };
                let made = secret::make(self.objects, &wanted, &current.known_hosts, self.url).await;
                made.map_err(at(STEP))?
            }
        };
        progress.done("secret", began, format!("{}/{name}", wanted.namespace), Some(next.change));
        let registered = match host {
            Host::GitHub(github, keys) => {
                match register(github, keys, self.title, next.key.public(), progress).await {
                    Ok(registered) => Some(registered),
                    Err(failure) => {
                        let mut made = Made::default();
                        if next.change == PutOutcome::Created {
                            made.add(secret::shell(&wanted).map_err(at(STEP))?);
                        }
                        return Err(made.taken_back(self.objects, failure, progress).await);
                    }
                }
            }
            Host::Owner { branch } => {
                admitted(self.url, branch, self.timeout, &next, progress).await?;
                None
            }
        };
        self.put_next(&wanted, current).await?;
        let detail = format!("{} replaces {}", next.key.summary(), current.key.summary());
        progress.done(STEP, began, detail, Some(PutOutcome::Configured));
        Ok((next, registered))
    }

    /// Whether an unusable next Secret may be overwritten: a rotation created it, and nothing reads it.
    async fn may_replace(&self, next: &SecretPlan<'_>, problem: &Problem) -> Result<bool, FailedStep> {
        let is_damaged = matches!(problem, Problem::Secret { .. } | Problem::Key(_));
        Ok(is_damaged && self.secret(next).await?.is_some_and(|live| put::is_ours(&live)))
    }

    /// Puts the content of the next Secret into the Secret, and records the previous key.
    async fn put_next(&self, next: &SecretPlan<'_>, current: &Stored) -> Result<(), FailedStep> {
        let gone = |wanted: &SecretPlan<'_>| {
            let name = format!("{}/{}", wanted.namespace, wanted.name);
            at(STEP)(Problem::Secret { name, reason: "was deleted in the meantime".into() })
        };
        let next_live = self.secret(next).await?.ok_or_else(|| gone(next))?;
        let live = self.secret(self.wanted).await?.ok_or_else(|| gone(self.wanted))?;
        let data = |key: &str| next_live.pointer(&format!("/data/{key}")).cloned();
        let patch = json!({
            // Another run would put a key of its own in between.
            "metadata": {
                "resourceVersion": live.text("/metadata/resourceVersion"),
                "annotations": {keys::REPLACED_KEY: current.key.public_line()},
            },
            "data": {
                "identity": data("identity"),
                "identity.pub": data("identity.pub"),
                "password": null,
            },
        });
        self.merge(&live, &patch).await
    }

    /// Waits until each source that reads the Secret has fetched with its present content, and deletes the
    /// previous key at the host.
    pub(crate) async fn finish(
        &self,
        old: &str,
        identity: &KeyIdentity,
        github: Option<&GitHub>,
        progress: &mut ProgressLog<'_>,
    ) -> Result<(), FailedStep> {
        self.fetched(progress).await?;
        let began = Instant::now();
        let change = if let Some(github) = github {
            forgotten(github, old, identity, progress).await?
        } else {
            let host = self.url.git().host();
            let note = format!("remove the old key at {host}:\n{old}");
            progress.tell(ProgressEvent::Note(note));
            None
        };
        let name = next_name(self.wanted.name);
        let next = secret::shell(&SecretPlan { name: &name, ..*self.wanted }).map_err(at(STEP))?;
        let deleted = self.objects.delete(&next).await;
        deleted.map_err(|failure| at(STEP)(Problem::cluster(next.id().subject(), failure)))?;
        let live = secret::shell(self.wanted).map_err(at(STEP))?;
        self.merge(&live, &json!({"metadata": {"annotations": {keys::REPLACED_KEY: null}}})).await?;
        let what = if change.is_some() { "deleted at GitHub" } else { "out of use" };
        progress.done(STEP, began, format!("the old key is {what}"), change);
        Ok(())
    }

    /// Asks the sources that read the Secret to fetch, and waits until they have.
    async fn fetched(&self, progress: &mut ProgressLog<'_>) -> Result<(), FailedStep> {
        let patience = Patience::new(STEP, self.timeout);
        let info = GitRepository::INFO;
        let sources =
            self.objects.list(&info.api_version(), info.id.kind, Some(self.wanted.namespace), "").await;
        let sources = sources.map_err(|failure| at(STEP)(Problem::cluster(info.plural, failure)))?;
        let token = jiff::Timestamp::now().to_string();
        let is_paused = |source: &Object| source.pointer("/spec/suspend") == Some(&json!(true));
        for source in sources.iter().filter(|source| secret::is_read_by(self.wanted.name, source)) {
            if is_paused(source) {
                let note =
                    format!("{} is suspended, so the new key was not tested with it", source.id().subject());
                progress.tell(ProgressEvent::Note(note));
                continue;
            }
            self.merge(source, &json!({"metadata": {"annotations": {keys::REQUESTED_AT: token}}})).await?;
            wait::refetched(self.objects, source, &token, &patience, progress).await.map_err(at(STEP))?;
        }
        Ok(())
    }

    async fn secret(&self, wanted: &SecretPlan<'_>) -> Result<Option<Object>, FailedStep> {
        let shell = secret::shell(wanted).map_err(at(STEP))?;
        let live = self.objects.get(&shell).await;
        live.map_err(|failure| at(STEP)(Problem::cluster(shell.id().subject(), failure)))
    }

    async fn merge(&self, object: &Object, patch: &serde_json::Value) -> Result<(), FailedStep> {
        let merged = self.objects.merge(object, patch).await;
        merged.map(drop).map_err(|failure| at(STEP)(Problem::cluster(object.id().subject(), failure)))
    }
}

/// Deletes a key at GitHub that was created for this cluster. Returns the change.
pub(super) async fn forgotten(
    github: &GitHub,
    old: &str,
    identity: &KeyIdentity,
    progress: &mut ProgressLog<'_>,
) -> Result<Option<PutOutcome>, FailedStep> {
    let mut change = None;
    let keys = preflight::deploy_keys(github).await.map_err(at(STEP))?;
    for key in keys.iter().filter(|key| key.is_same(old)) {
        // Somebody else who registered it may have given it to others too.
        if Title::parse(&key.title).is_none_or(|title| !identity.is_of(&title)) {
            let (title, print) = (&key.title, key.fingerprint());
            let command = deletion(&github.api, &github.repository, &print);
            let note = format!(
                "the deploy key \"{title}\" ({print}) was not made for this cluster alone, and stays; once nobody uses it, \
                 delete it with {command}"
            );
            progress.tell(ProgressEvent::Note(note));
            continue;
        }
        let deleted = github.delete_key(key.id).await;
        deleted.map_err(|error| at(STEP)(Problem::github(error, &github.repository)))?;
        change = Some(PutOutcome::Configured);
    }
    Ok(change)
}

/// The name of the Secret with the next key.
pub(crate) fn next_name(name: &str) -> String {
    format!("{name}-next")
}
