//! Deploy keys. GitHub keeps them as long as the token or App that created them, shows when they were created
//! and, late, when they were last used, and accepts them while the organisation's policy allows it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::tokens::{Bearer, Token};
use crate::git::{GitServer, KeyId};

/// A registered deploy key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployKey {
    /// GitHub's number of it.
    pub id: u64,
    /// `owner/name`.
    pub repo: String,
    /// The title of the key.
    pub title: String,
    /// The public key, without a comment.
    pub key: String,
    /// Whether it may only read.
    pub read_only: bool,
    /// When it was registered.
    pub created_at: SystemTime,
    /// The login of who registered it.
    pub added_by: String,
    /// The personal access token that it was made with, and is deleted with.
    made_with: Option<String>,
    /// A use that sshd does not know of: before a policy turned the key off, or told by the test.
    used: Option<SystemTime>,
    /// Uses without a login, which are shown as late as those that sshd knows of.
    noted: Vec<SystemTime>,
    /// sshd's id of the key while it is accepted.
    admitted: Option<KeyId>,
}

impl DeployKey {
    fn owner(&self) -> &str {
        self.repo.split('/').next().unwrap_or_default()
    }
}

/// The key to register.
pub(super) struct New<'a> {
    pub(super) repo: &'a str,
    pub(super) title: &'a str,
    pub(super) key: &'a str,
    pub(super) read_only: bool,
}

/// The keys of all repositories.
#[derive(Debug)]
pub(super) struct Keys {
    git: GitServer,
    all: Vec<DeployKey>,
    last_id: u64,
    /// The owners whose policy forbids deploy keys.
    forbidding: BTreeSet<String>,
    /// How long it takes until a use is shown.
    pub(super) lag: Duration,
    /// The present time, if it is not that of the machine.
    pub(super) now: Option<SystemTime>,
}

impl Keys {
    pub(super) fn new(git: &GitServer) -> Self {
        Self {
            git: git.clone(),
            all: Vec::new(),
            last_id: 0,
            forbidding: BTreeSet::new(),
            lag: Duration::ZERO,
            now: None,
        }
    }

    fn now(&self) -> SystemTime {
        self.now.unwrap_or_else(SystemTime::now)
    }

    /// Notes a use of a key.
    pub(super) fn note_use(&mut self, public: &str) {
        let (now, blob) = (self.now(), public.split_whitespace().nth(1));
        let is_it = |key: &&mut DeployKey| key.key.split(' ').nth(1) == blob;
        self.all.iter_mut().filter(is_it).for_each(|key| key.noted.push(now));
    }

    pub(super) fn all(&self) -> &[DeployKey] {
        &self.all
    }

    /// Registers a key with a token, and makes sshd accept it.
    pub(super) fn add(&mut self, new: &New<'_>, with: &str, token: &Token) -> anyhow::Result<DeployKey> {
        let admitted = Some(self.git.authorize(&self.git.repo(new.repo)?, new.key)?);
        self.last_id += 1;
        let key = DeployKey {
            id: self.last_id,
            repo: new.repo.into(),
            title: new.title.into(),
            key: new.key.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
            read_only: new.read_only,
            created_at: self.now(),
            added_by: token.login.clone(),
            made_with: (token.bearer == Bearer::Person).then(|| with.to_owned()),
            used: None,
            noted: Vec::new(),
            admitted,
        };
        self.all.push(key.clone());
        Ok(key)
    }

    /// Whether there was such a key, which is let in no more.
    pub(super) fn delete(&mut self, id: u64) -> anyhow::Result<bool> {
        let Some(index) = self.all.iter().position(|key| key.id == id) else { return Ok(false) };
        if let Some(admitted) = self.all.remove(index).admitted {
            self.git.revoke(admitted)?;
        }
        Ok(true)
    }

    /// Deletes the keys that were made with a personal access token.
    pub(super) fn delete_made_with(&mut self, token: &str) -> anyhow::Result<()> {
        let made = self.all.iter().filter(|key| key.made_with.as_deref() == Some(token));
        for id in made.map(|key| key.id).collect::<Vec<_>>() {
            self.delete(id)?;
        }
        Ok(())
    }

    /// The keys that were made with a token go on under the one in its place.
    pub(super) fn hand_over(&mut self, token: &str, next: &str) {
        for key in self.all.iter_mut().filter(|key| key.made_with.as_deref() == Some(token)) {
            key.made_with = Some(next.to_owned());
        }
    }

    /// Whether an owner's policy allows deploy keys.
    pub(super) fn are_allowed(&self, owner: &str) -> bool {
        !self.forbidding.contains(owner)
    }

    /// Sets an owner's policy: the keys that are there are let in, or not, by it.
    pub(super) fn allow(&mut self, owner: &str, allowed: bool) -> anyhow::Result<()> {
        let changed =
            if allowed { self.forbidding.remove(owner) } else { self.forbidding.insert(owner.into()) };
        if !changed {
            return Ok(());
        }
        for key in self.all.iter_mut().filter(|key| key.owner() == owner) {
            if let Some(admitted) = key.admitted.take() {
                key.used = self.git.uses(admitted).last().copied().max(key.used);
                self.git.revoke(admitted)?;
            }
            if allowed {
                key.admitted = Some(self.git.authorize(&self.git.repo(&key.repo)?, &key.key)?);
            }
        }
        Ok(())
    }

    /// Gives a key other times than it has.
    pub(super) fn pretend(
        &mut self,
        id: u64,
        created_at: SystemTime,
        last_used: Option<SystemTime>,
    ) -> anyhow::Result<()> {
        let key = self.all.iter_mut().find(|key| key.id == id).with_context(|| format!("no key {id}"))?;
        (key.created_at, key.used) = (created_at, last_used);
        Ok(())
    }

    /// When GitHub says that a key was last used: the last use that is long enough ago.
    pub(super) fn last_used(&self, key: &DeployKey) -> Option<SystemTime> {
        let uses = key.admitted.map(|admitted| self.git.uses(admitted)).unwrap_or_default();
        let now = self.now();
        let shown = uses.into_iter().chain(key.noted.iter().copied()).filter(|used| *used + self.lag <= now);
        shown.max().max(key.used)
    }

    /// The key as the API shows it.
    pub(super) fn shown(&self, key: &DeployKey, api: &str) -> anyhow::Result<Value> {
        Ok(json!({
            "id": key.id,
            "key": key.key,
            "url": format!("{api}/repos/{}/keys/{}", key.repo, key.id),
            "title": key.title,
            "verified": true,
            "created_at": seconds(key.created_at)?,
            "read_only": key.read_only,
            "added_by": key.added_by,
            "last_used": self.last_used(key).map(seconds).transpose()?,
            "enabled": self.are_allowed(key.owner()),
        }))
    }
}

/// A time as GitHub writes it: `2026-01-02T03:04:05Z`.
pub(super) fn seconds(time: SystemTime) -> anyhow::Result<String> {
    Ok(Timestamp::try_from(time)?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
