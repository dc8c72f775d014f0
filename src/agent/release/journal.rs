//! What a run of a HelmRelease tells while it goes on, and whom it asks: its status, its slot, the others.

use std::sync::Arc;
use std::time::Instant;

use crate::agent::claims::holders_beside_release;
use crate::agent::journal::{BuildInput, add_finalizer, context, journal_error, notices, tell_wait, write};
use crate::agent::report::ReportError;
use crate::agent::shared::Shared;
use crate::agent::subject::Subject;
use crate::agent::task::Task;
use crate::agent::world::SeenObject;
use lockgate_base::model::{Duration, ObjectId, Ref};
use lockgate_core::api::{HelmRelease, HelmReleaseSpec};
use lockgate_core::pipeline::{Candidate, Claim, Claims, JournalError, News, ReleaseJournal, Slot, Waiter};
use lockgate_core::queue::Signal;
use lockgate_core::release::{ReleaseDeed, ReleaseLedger};
use lockgate_core::verdict::{self, Ill, Schedule};

/// The journal of a run of a HelmRelease: the status of its object, and the queue.
pub(super) struct ReleaseLog<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) order: &'a Task,
    pub(super) release: &'a HelmRelease,
    pub(super) started: Instant,
}

impl ReleaseLog<'_> {
    fn subject(&self) -> Subject {
        Subject::of(&self.order.key, &self.release.metadata)
    }

    /// Has the object stay until what is made for it is taken care of.
    pub(super) async fn add_finalizer(&self) -> Result<(), ReportError> {
        let known = match self.shared.world.get::<HelmRelease>(&self.order.key) {
            Some(seen) => seen.metadata().finalizers.clone(),
            None => self.release.metadata.finalizers.clone(),
        };
        add_finalizer::<HelmReleaseSpec>(self.shared, &self.subject(), &known).await
    }

    fn revision(&self) -> &str {
        self.release.status.last_attempted_revision.as_deref().unwrap_or_default()
    }
}

impl Slot for ReleaseLog<'_> {
    fn waits(&self) {
        self.shared.tell(Signal::Waits(self.order.run));
    }

    async fn resumes(&self) {
        self.order.resumes(self.shared).await;
    }
}

impl Claims for ReleaseLog<'_> {
    async fn claimed(&self, candidates: &[Candidate]) -> Vec<Option<Claim>> {
        let holders = holders_beside_release(self.shared, self.release, candidates);
        // Labels of another kind of owner do not take the place of ours: there is no hand-over to wait for.
        let claim = |holder| Claim { awaited: false, ..Claim::from(holder) };
        holders.into_iter().map(|holder| holder.map(claim)).collect()
    }

    fn dependents(&self, _: &ObjectId) -> Vec<ObjectId> {
        Vec::new()
    }
}

impl ReleaseJournal for ReleaseLog<'_> {
    async fn running(
        &self,
        ledger: &ReleaseLedger,
        deed: ReleaseDeed,
        limit: Duration,
    ) -> Result<(), JournalError> {
        let (metadata, subject) = (&self.release.metadata, self.subject());
        self.add_finalizer().await.map_err(journal_error)?;
        let Some(SeenObject::Sound(now)) = self.shared.world.get::<HelmRelease>(&self.order.key) else {
            return Err(JournalError::Gone);
        };
        let built = BuildInput { revision: ledger.status().last_attempted_revision.clone(), origin: None };
        let schedule = Schedule::from(&self.release.spec);
        let (key, old) = (&self.order.key, &now.status);
        let context = context(self.shared, key, metadata, schedule, old, &built, self.started);
        let status = verdict::releasing(&context, ledger, deed, limit);
        write::<HelmReleaseSpec>(self.shared, &subject, old, status).await.map_err(journal_error)
    }

    fn is_there(&self, release: &Ref) -> bool {
        self.shared.world.get::<HelmRelease>(release).is_some()
    }

    fn tell(&self, news: &News) {
        self.shared.tell_of(&self.subject(), &notices(news, self.revision()));
    }
}

impl Waiter for ReleaseLog<'_> {
    async fn pending(&self, objects: Vec<Ill>) {
        let key = &self.order.key;
        let Some(SeenObject::Sound(now)) = self.shared.world.get::<HelmRelease>(key) else { return };
        let built = BuildInput { revision: now.status.last_attempted_revision.clone(), origin: None };
        let schedule = Schedule::from(&self.release.spec);
        let context =
            context(self.shared, key, &self.release.metadata, schedule, &now.status, &built, self.started);
        let status = verdict::waiting(&context, &objects);
        tell_wait::<HelmReleaseSpec>(self.shared, &self.subject(), &now.status, status).await;
    }
}
