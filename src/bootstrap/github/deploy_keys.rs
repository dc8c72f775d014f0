//! Deploy keys: listed, added and deleted.

use http::Method;
use serde::Deserialize;
use serde_json::json;
use ssh_key::PublicKey;

use super::{GitHub, GitHubError, found};
use crate::bootstrap::{hosts, key};
use lockgate_base::model::Timestamp;

/// The most keys in one answer of GitHub.
const PAGE: usize = 100;
/// How many pages of keys are read.
const PAGE_LIMIT: usize = 100;

/// A deploy key. GitHub never changes one: another title is another key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct DeployKey {
    /// GitHub's id of the key.
    pub id: u64,
    /// The public key.
    pub key: String,
    /// Its title.
    pub title: String,
    /// Whether it has read access only.
    #[serde(default)]
    pub read_only: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used, as far as GitHub knows. That date lags behind, so it can prove that a key is
    /// used and never that it is not.
    #[serde(default)]
    pub last_used: Option<Timestamp>,
    /// Whether the owner's policy allows it; servers without such a policy do not say.
    #[serde(default)]
    pub enabled: Option<bool>,
}

impl DeployKey {
    /// Whether it is the same key as a public line, apart from comments and titles.
    pub(crate) fn is_same(&self, public_line: &str) -> bool {
        key::identity_of(&self.key) == key::identity_of(public_line)
    }

    /// `ed25519 SHA256:…`, as people compare it; the key itself if it cannot be read.
    pub(crate) fn fingerprint(&self) -> String {
        let public = PublicKey::from_openssh(&self.key);
        public.map_or_else(|_| self.key.clone(), |public| hosts::fingerprint(&public))
    }
}

impl GitHub {
    /// All deploy keys. A caller who may not administer the repository gets a 403 or 404.
    pub(crate) async fn deploy_keys(&self) -> Result<Vec<DeployKey>, GitHubError> {
        let mut keys = Vec::new();
        for page in 1..=PAGE_LIMIT {
            let route = self.route(&format!("/keys?per_page={PAGE}&page={page}"));
            let more: Vec<DeployKey> = self.get(&route).await?;
            let is_last = more.len() < PAGE;
            keys.extend(more);
            if is_last {
                return Ok(keys);
            }
        }
        Err(GitHubError::Foreign {
            address: self.address.clone(),
            message: format!("the list of deploy keys does not end after {} keys", keys.len()),
        })
    }

    /// Checks whether a deploy key could be added now. GitHub checks rights and policies before the key, so a
    /// text that is no key gives the answer and leaves nothing behind.
    pub(crate) async fn rehearse_registration(&self) -> Result<(), GitHubError> {
        let body = json!({"title": "lockgate", "key": "", "read_only": true});
        match self.request(Method::POST, &self.route("/keys"), Some(&body)).await {
            Ok(_) | Err(GitHubError::Other { status: 422, .. } | GitHubError::KeyInUse { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Registers a public key with read access, unless it is registered already. Keys are compared by their
    /// content, and none is deleted, so that two clusters cannot take each other's keys. Also returns whether
    /// the key is new.
    pub(crate) async fn register(
        &self,
        listed: &[DeployKey],
        title: &str,
        public_line: &str,
    ) -> Result<(DeployKey, bool), GitHubError> {
        if let Some(listed) = listed.iter().find(|listed| listed.is_same(public_line)) {
            return Ok((listed.clone(), false));
        }
        let body = json!({"title": title, "key": public_line, "read_only": true});
        let route = self.route("/keys");
        match self.request(Method::POST, &route, Some(&body)).await {
            Ok((_, body)) => Ok((self.decode(&route, &body)?, true)),
            // An earlier attempt may have succeeded without an answer, or another run was faster.
            Err(error @ GitHubError::KeyInUse { .. }) => {
                let listed = self.deploy_keys().await?.into_iter().find(|listed| listed.is_same(public_line));
                listed.map(|listed| (listed, true)).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The current state of a deploy key; `None` if it is gone.
    pub(crate) async fn deploy_key(&self, id: u64) -> Result<Option<DeployKey>, GitHubError> {
        found(self.get(&self.route(&format!("/keys/{id}"))).await)
    }

    /// Deletes a deploy key; `false` if it was gone.
    pub(crate) async fn delete_key(&self, id: u64) -> Result<bool, GitHubError> {
        let route = self.route(&format!("/keys/{id}"));
        Ok(found(self.request(Method::DELETE, &route, None).await)?.is_some())
    }
}
