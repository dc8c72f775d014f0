//! The cluster as a value: the state that all copies share, and the identity of one copy.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::client::Client;
use super::discovery::Discovery;
use super::feed::Feeds;
use super::follow::{Query, QueryEvent};
use super::impersonate::InvalidAccount;
use super::index::{HeldChange, Watching};
use super::watch::{Watched, Watches};
use lockgate_base::model::{Gvk, Ref};
use lockgate_core::api::{self, Kustomization, Ownership};
use lockgate_core::health::HealthRules;
use lockgate_core::pipeline::ports::ApiFailure;

/// Checked before each write; the error says why writing is not allowed.
pub(crate) type WriteGuard = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A cluster, and the account that this copy uses there.
#[derive(Clone)]
pub struct Cluster {
    pub(super) shared: Arc<SharedHandle>,
    pub(super) client: Client,
    pub(super) owner: Option<Ref>,
    /// The managed objects of the owner's kind and their labels; those of Kustomizations if the copy acts for
    /// no owner.
    pub(super) watched: Arc<Watched>,
    pub(super) fence: WriteGuard,
}

pub(super) struct SharedHandle {
    /// The client with lockgate's own account, whatever account the copy uses.
    pub(super) client: Client,
    pub(super) discovery: Arc<Discovery>,
    pub(super) watches: Watches,
    /// The feeds for objects that the watches do not show.
    pub(super) feeds: Feeds,
    /// The rules of health. An object's stored health follows its status alone.
    pub(super) rules: watch::Sender<Arc<HealthRules>>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("client", &self.client)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// A cluster, and the receiver of changes of managed objects. Must be called within a tokio runtime; the
    /// watches end when the last copy is dropped.
    pub fn new(client: Client) -> (Self, mpsc::UnboundedReceiver<HeldChange>) {
        let (sender, changes) = mpsc::unbounded_channel();
        let discovery = Arc::new(Discovery::default());
        let watches = Watches::new(client.clone(), Arc::clone(&discovery), sender);
        let of_nobody = watches.watched(Kustomization::OWNERSHIP);
        let rules = watch::Sender::new(Arc::new(HealthRules::BUILT_IN));
        let feeds = Feeds::default();
        let shared = Arc::new(SharedHandle { client: client.clone(), discovery, watches, feeds, rules });
        (Self { shared, client, owner: None, watched: of_nobody, fence: Arc::new(|| Ok(())) }, changes)
    }

    /// This cluster with a check of `fence` before each write.
    #[must_use]
    pub fn fenced(self, fence: WriteGuard) -> Self {
        Self { fence, ..self }
    }

    /// This cluster for an owner, with the labels and the field manager of its kind, and with the account
    /// that it names, if any.
    pub fn acting_for(&self, owner: Ref, account: Option<&str>) -> Result<Self, InvalidAccount> {
        let client = match account {
            Some(account) => self.shared.client.impersonating(&owner.namespace, account)?,
            None => self.shared.client.clone(),
        };
        let client = client.on_behalf_of(&owner.namespace);
        let watched = ownership(&owner).map(|ownership| self.shared.watches.watched(ownership));
        let watched = watched.unwrap_or_else(|| Arc::clone(&self.watched));
        Ok(Self { client, owner: Some(owner), watched, ..self.clone() })
    }

    /// The rules of health.
    pub fn rules(&self) -> Arc<HealthRules> {
        Arc::clone(&self.shared.rules.borrow())
    }

    /// Changes the rules of health, also for running waits.
    pub fn judge_by(&self, rules: HealthRules) {
        self.shared.rules.send_replace(Arc::new(rules));
    }

    /// The client with the account of this copy.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Follows a query, as [`Query::follow`] does. `standing` is called each time that changes are seen from
    /// now on, and each time that they may be missed.
    pub async fn follow(
        &self,
        query: &Query,
        sink: impl FnMut(QueryEvent),
        mut standing: impl FnMut(Result<(), ApiFailure>),
    ) -> ApiFailure {
        let told = |watching| match watching {
            Watching::Broken(failure) => standing(Err(failure)),
            Watching::Starting | Watching::Live => standing(Ok(())),
        };
        query.follow(&self.client, sink, told).await
    }

    /// The kinds whose drift is not watched, and why: it is only noticed at the interval.
    pub fn unwatched(&self) -> Vec<(Gvk, ApiFailure)> {
        self.shared.watches.all().iter().flat_map(|watched| watched.index().unwatched()).collect()
    }
}

/// The labels and the field manager of an owner; `None` for a kind that applies no objects.
pub(super) fn ownership(owner: &Ref) -> Option<&'static Ownership> {
    api::info(owner.kind)?.ownership()
}
