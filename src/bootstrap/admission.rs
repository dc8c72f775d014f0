//! Gives the agent access to the repository by a key: creates the Secret, registers the key at the host, and
//! finally deletes lockgate's unused keys there.

use std::time::{Duration, Instant};

use super::deploy_key::{KeyIdentity, KeyPlan, admitted, other_name, register};
use super::entry::Entry;
use super::github::{DeployKey, GitHub};
use super::hosts::SshUrl;
use super::key::KeyPair;
use super::key_host::KeyHost;
use super::keyring::KeyPlace;
use super::made::Made;
use super::manifests::Installation;
use super::namespace::put_namespace;
use super::pinning::{self, Pins};
use super::preflight;
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressLog, at};
use super::put::PutOutcome;
use super::rotation::Rotation;
use super::secret::{self, SecretPlan, Stored};
use super::title::Title;
use super::wait::Patience;
use crate::cluster;
use crate::cluster::objects::Objects;

pub(crate) use super::rotation::Host;

/// A client of the cluster, and its name.
pub(crate) struct AdmissionTarget {
    /// The connection.
    pub client: cluster::Client,
    /// The user's name of the cluster: the name of the context.
    pub name: String,
}

/// The deploy key of one cluster for one repository.
pub(crate) struct Admission<'a> {
    objects: Objects,
    installation: &'a Installation,
    plan: &'a KeyPlan,
    timeout: Duration,
    url: &'a SshUrl,
    host: Host<'a>,
    identity: KeyIdentity,
    title: Title,
    /// The title as text, which is the comment of a new key.
    comment: String,
    /// Where the key is registered.
    key_host: KeyHost,
}

/// The accepted key.
pub(crate) struct Admitted {
    /// The key in the Secret.
    stored: Stored,
    /// The key at GitHub.
    registered: Option<DeployKey>,
    /// The public line of the previous key in the Secret, which the host still accepts.
    replaced: Option<String>,
}

impl<'a> Admission<'a> {
    /// Reads the identity of the cluster.
    pub(crate) async fn of(
        target: &AdmissionTarget,
        installation: &'a Installation,
        plan: &'a KeyPlan,
        timeout: Duration,
        (url, host): (&'a SshUrl, Host<'a>),
    ) -> Result<Self, FailedStep> {
        let objects = Objects::new(&target.client);
        let identity = KeyIdentity::of(&objects).await.map_err(at("preflight"))?;
        let title = plan.title(&target.name, &identity, &installation.namespace);
        let comment = title.to_string();
        let key_host = match host {
            Host::GitHub(github, _) => KeyHost::github(&github.api, &github.repository),
            Host::Owner { .. } => KeyHost::Owner { url: url.url() },
        };
        Ok(Self { objects, installation, plan, timeout, url, host, identity, title, comment, key_host })
    }

    /// Gives the next key the name and the expiry of the key in the Secret, unless the user says otherwise.
    /// GitHub's title counts first, since the comment in the Secret may have been lost.
    pub(crate) async fn called_as_before(mut self) -> Result<Self, FailedStep> {
        let shell = secret::shell(&self.wanted()).map_err(at("secret"))?;
        let live = self.objects.get(&shell).await;
        let live = live.map_err(|failure| at("secret")(Problem::cluster(shell.id().subject(), failure)))?;
        let line = live.as_ref().and_then(secret::key).map(|key| key.public_line());
        let registered = match self.host {
            Host::GitHub(_, keys) => {
                line.and_then(|line| keys.iter().find(|key| key.is_same(&line))).map(|key| key.title.clone())
            }
            Host::Owner { .. } => None,
        };
        let stored = live.as_ref().and_then(secret::title);
        let before = [registered, stored].into_iter().flatten().find_map(|title| Title::parse(&title));
        if let Some(before) = before {
            if self.plan.cluster.is_none() {
                self.title.cluster = before.cluster;
            }
            self.title.until = self.title.until.or(before.until);
            self.comment = self.title.to_string();
        }
        Ok(self)
    }

    fn wanted(&self) -> SecretPlan<'_> {
        SecretPlan {
            namespace: &self.installation.namespace,
            name: &self.plan.secret,
            algorithm: self.plan.algorithm,
            comment: &self.comment,
            given: self.plan.given.as_ref(),
            replace: self.plan.replace,
            host: &self.key_host,
        }
    }

    /// Why there is no key in the Secret that could be replaced.
    pub(crate) async fn no_key(&self) -> Problem {
        let wanted = self.wanted();
        match secret::existing(&self.objects, &wanted, self.url).await {
            Err(problem) => problem,
            Ok(_) => Problem::NoKey(format!("{}/{}", wanted.namespace, wanted.name)),
        }
    }

    const fn github(&self) -> Option<&'a GitHub> {
        match self.host {
            Host::GitHub(github, _) => Some(github),
            Host::Owner { .. } => None,
        }
    }

    fn place(&self) -> KeyPlace<'_> {
        let namespace = self.installation.namespace.as_str();
        KeyPlace { objects: &self.objects, identity: &self.identity, namespace }
    }

    /// Whether to replace an existing key: on request, but never by the same key.
    fn replaces(&self, stored: &Stored) -> bool {
        let is_given = |given: &KeyPair| given.is_same(&stored.key);
        self.plan.replace && !self.plan.given.as_ref().is_some_and(is_given)
    }

    /// Refuses a Secret with another key than the given one.
    fn checked(&self, stored: Stored) -> Result<Stored, FailedStep> {
        let is_other = self.plan.given.as_ref().is_some_and(|given| !given.is_same(&stored.key));
        if is_other && !self.plan.replace {
            let name = format!("{}/{}", self.installation.namespace, self.plan.secret);
            let reason = format!("contains another key than the given one: {}", stored.key.summary());
            return Err(at("secret")(Problem::Secret { name, reason }));
        }
        Ok(stored)
    }

    const fn rotation<'r>(&'r self, wanted: &'r SecretPlan<'r>) -> Rotation<'r> {
        let (objects, url, title) = (&self.objects, self.url, &self.title);
        Rotation { objects, wanted, url, title, timeout: self.timeout }
    }

    const fn pins(&self) -> Pins<'_> {
        let accepted = match &self.plan.accepted_host_key {
            Some(accepted) => Some(accepted.as_str()),
            None => None,
        };
        Pins { github: self.github(), accepted }
    }

    /// The existing Secret, with current host keys.
    async fn renewed(
        &self,
        wanted: &SecretPlan<'_>,
        stored: Stored,
        progress: &mut ProgressLog<'_>,
    ) -> Result<Stored, FailedStep> {
        let pins = self.pins();
        let stored = pinning::renew(&self.objects, wanted, self.url, stored, &pins, progress).await?;
        if stored.is_homeless {
            secret::put_host(&self.objects, wanted).await.map_err(at("secret"))?;
        }
        let began = Instant::now();
        progress.done("secret", began, format!("{}/{}", wanted.namespace, wanted.name), Some(stored.change));
        Ok(stored)
    }

    /// A Secret with a new key, and the other objects that had to be created for it.
    async fn made(
        &self,
        wanted: &SecretPlan<'_>,
        made: &mut Made,
        progress: &mut ProgressLog<'_>,
    ) -> Result<Stored, FailedStep> {
        let known_hosts = pinning::pin(self.url, &self.pins(), progress).await?;
        let began = Instant::now();
        let patience = Patience::new("secret", self.timeout);
        let namespace = put_namespace(&self.objects, self.installation, &patience, progress).await?;
        for object in namespace {
            made.add(object);
        }
        let stored = secret::make(&self.objects, wanted, &known_hosts, self.url).await;
        let stored = stored.map_err(at("secret"))?;
        if stored.change == PutOutcome::Created {
            made.add(secret::shell(wanted).map_err(at("secret"))?);
        }
        progress.done("secret", began, format!("{}/{}", wanted.namespace, wanted.name), Some(stored.change));
        Ok(stored)
    }
}

impl Entry for Admission<'_> {
    type Before = Option<Stored>;
    type Admitted = Admitted;

    async fn rehearsed(&self) -> Result<Option<Stored>, FailedStep> {
        let existing = match secret::existing(&self.objects, &self.wanted(), self.url).await {
            Ok(existing) => existing,
            // lockgate may not use this Secret, but may replace it on request.
            Err(Problem::Secret { .. } | Problem::Key(_)) if self.plan.replace => None,
            Err(problem) => return Err(at("secret")(problem)),
        };
        let existing = existing.map(|stored| self.checked(stored)).transpose()?;
        let line = existing.as_ref().map(|stored| stored.key.public_line());
        if let Host::GitHub(github, keys) = self.host {
            // The host may accept a key that is replaced, and refuse the next one.
            let is_replaced = existing.as_ref().is_some_and(|stored| self.replaces(stored));
            let given = self.plan.given.as_ref().map(KeyPair::public_line);
            let known = line.as_deref().filter(|_| !is_replaced).or(given.as_deref());
            preflight::registration(github, keys, known).await.map_err(at("preflight"))?;
            let in_use = line.as_deref().unwrap_or_default();
            let alone = self.place().is_alone(self.plan, keys, in_use).await;
            alone.map_err(at("preflight"))?;
        }
        Ok(existing)
    }

    fn secret(&self, _: &Option<Stored>) -> Option<String> {
        Some(self.plan.secret.clone())
    }

    async fn let_in(
        &self,
        existing: Option<Stored>,
        progress: &mut ProgressLog<'_>,
    ) -> Result<Admitted, FailedStep> {
        let wanted = self.wanted();
        let rotation = self.rotation(&wanted);
        let mut made = Made::default();
        let (stored, replaced) = match existing {
            Some(stored) => {
                let stored = self.renewed(&wanted, stored, progress).await?;
                let replaced = rotation.unfinished().await?;
                if self.replaces(&stored) && replaced.is_none() {
                    let old = stored.key.public_line();
                    let (stored, registered) = rotation.switch(&stored, self.host, progress).await?;
                    return Ok(Admitted { stored, registered, replaced: Some(old) });
                }
                (stored, replaced)
            }
            None => (self.made(&wanted, &mut made, progress).await?, None),
        };
        let registered = match self.host {
            Host::GitHub(github, keys) => {
                match register(github, keys, &self.title, stored.key.public(), progress).await {
                    Ok(registered) => {
                        if self.plan.cluster.is_some() {
                            progress.tell_all(other_name(&registered, &self.title));
                        }
                        Some(registered)
                    }
                    Err(failure) => return Err(made.taken_back(&self.objects, failure, progress).await),
                }
            }
            Host::Owner { branch } => {
                admitted(self.url, branch, self.timeout, &stored, progress).await?;
                None
            }
        };
        Ok(Admitted { stored, registered, replaced })
    }

    /// Deletes the replaced key, and the leftovers of earlier clusters.
    async fn tidy(&self, admitted: &Admitted, progress: &mut ProgressLog<'_>) -> Result<(), FailedStep> {
        let wanted = self.wanted();
        if let Some(old) = &admitted.replaced {
            self.rotation(&wanted).finish(old, &self.identity, self.github(), progress).await?;
        }
        if let (Host::GitHub(github, keys), Some(registered)) = (self.host, &admitted.registered) {
            let is_replaced = |key: &&DeployKey| admitted.replaced.iter().any(|old| key.is_same(old));
            let others = keys.iter().filter(|key| !is_replaced(key));
            let keys: Vec<DeployKey> = others.chain([registered]).cloned().collect();
            let in_use = admitted.stored.key.public_line();
            self.place().tidy(self.plan, github, &keys, &in_use, progress).await?;
        }
        Ok(())
    }
}
