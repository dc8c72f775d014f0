//! The agent's side of a running reconcile: its status, its slot, and the claims of other owners.

use std::sync::Arc;
use std::time::Instant;

use super::claims;
use super::report::ReportError;
use super::shared::Shared;
use super::subject::Subject;
use super::task::Task;
use super::world::{Aim, SeenObject, Tracked};
use lockgate_base::keys;
use lockgate_base::model::{ObjectId, Ref};
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{
    InventoryEntry, Kind, Kustomization, KustomizationSpec, KustomizationStatus, Metadata, Resource,
};
use lockgate_core::pipeline::{Candidate, Claim, Claims, Holder, Journal, JournalError, News, Slot, Waiter};
use lockgate_core::queue::Signal;
use lockgate_core::verdict::{
    self, Ill, Judged, NO_SECRETS, Notice, Said, Schedule, Verdict, VerdictContext,
};

/// The source of a build.
pub(super) struct BuildInput {
    pub(super) revision: Option<String>,
    /// The revision from which the artifact was made, if its maker says so.
    pub(super) origin: Option<String>,
}

impl BuildInput {
    pub(super) fn of(snapshot: Option<&Snapshot>) -> Self {
        Self {
            revision: snapshot.map(|snapshot| snapshot.revision.to_string()),
            origin: snapshot.and_then(|snapshot| snapshot.origin.clone()),
        }
    }
}

/// The slot of a removal, which waits only at its end.
pub(super) struct RemovalSlot<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) order: &'a Task,
    pub(super) kustomization: &'a Kustomization,
}

impl Claims for RemovalSlot<'_> {
    async fn claimed(&self, candidates: &[Candidate]) -> Vec<Option<Claim>> {
        let holders = claims::holders(self.shared, self.kustomization, candidates).await;
        // A Kustomization that is never reconciled must not block this one for ever.
        let awaited = !self.is_overdue();
        let counts = |holder: &Holder| awaited || holder.recorded;
        let claims = holders.into_iter().map(|holder| holder.filter(counts).map(Claim::from));
        claims.map(|claim| claim.map(|claim| Claim { awaited: awaited && claim.awaited, ..claim })).collect()
    }

    fn dependents(&self, id: &ObjectId) -> Vec<ObjectId> {
        claims::dependents(self.shared, id)
    }
}

impl RemovalSlot<'_> {
    /// Whether the Kustomization has been terminating for longer than dependents are waited for.
    fn is_overdue(&self) -> bool {
        let now = crate::clock::timestamp(self.shared.clock.wall());
        let since = self.kustomization.metadata.deletion_timestamp;
        // Dependents get their whole time only after this process has seen them.
        let since = since.map(|since| since.max(self.shared.leads_since));
        since.is_some_and(|since| now.since(since) > Schedule::from(&self.kustomization.spec).timeout)
    }
}

impl Slot for RemovalSlot<'_> {
    fn waits(&self) {
        self.shared.tell(Signal::Waits(self.order.run));
    }

    async fn resumes(&self) {
        self.order.resumes(self.shared).await;
    }
}

/// The journal of a reconcile: its object's status, and the queue.
pub(super) struct Log<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) order: &'a Task,
    pub(super) kustomization: &'a Kustomization,
    pub(super) aim: Aim,
    pub(super) built: BuildInput,
    pub(super) started: Instant,
}

impl Log<'_> {
    fn context<'s>(&'s self, previous: &'s KustomizationStatus) -> VerdictContext<'s, KustomizationStatus> {
        let (metadata, schedule) = (&self.kustomization.metadata, Schedule::from(&self.kustomization.spec));
        context(self.shared, &self.order.key, metadata, schedule, previous, &self.built, self.started)
    }
}

impl Slot for Log<'_> {
    fn waits(&self) {
        self.shared.tell(Signal::Waits(self.order.run));
    }

    async fn resumes(&self) {
        self.order.resumes(self.shared).await;
    }
}

impl Claims for Log<'_> {
    async fn claimed(&self, candidates: &[Candidate]) -> Vec<Option<Claim>> {
        let holders = claims::holders(self.shared, self.kustomization, candidates).await;
        holders.into_iter().map(|holder| holder.map(Claim::from)).collect()
    }

    fn dependents(&self, id: &ObjectId) -> Vec<ObjectId> {
        claims::dependents(self.shared, id)
    }
}

impl Journal for Log<'_> {
    async fn begin(&self, inventory: Vec<InventoryEntry>) -> Result<(), JournalError> {
        let metadata = &self.kustomization.metadata;
        let subject = Subject::of(&self.order.key, metadata);
        let added = add_finalizer::<KustomizationSpec>(self.shared, &subject, &metadata.finalizers).await;
        added.map_err(journal_error)?;
        let old = &self.kustomization.status;
        let status = verdict::applying(&self.context(old), inventory);
        write::<KustomizationSpec>(self.shared, &subject, old, status).await.map_err(journal_error)
    }

    fn tell(&self, news: &News) {
        let subject = Subject::of(&self.order.key, &self.kustomization.metadata);
        self.shared.tell_of(&subject, &notices(news, &self.aim.revision));
    }

    fn written(&self) {
        self.shared.world.waits(&self.order.key, &self.aim, self.shared.clock.now());
    }
}

impl Waiter for Log<'_> {
    async fn pending(&self, objects: Vec<Ill>) {
        let key = &self.order.key;
        let Some(SeenObject::Sound(now)) = self.shared.world.get::<Kustomization>(key) else { return };
        let subject = Subject::of(key, &self.kustomization.metadata);
        let status = verdict::waiting(&self.context(&now.status), &objects);
        tell_wait::<KustomizationSpec>(self.shared, &subject, &now.status, status).await;
    }
}

pub(super) fn journal_error(error: ReportError) -> JournalError {
    match error {
        ReportError::Fenced => JournalError::Fenced,
        ReportError::Gone | ReportError::Conflict => JournalError::Gone,
        ReportError::Api(message) => JournalError::Unavailable(message),
    }
}

/// The events during a run.
pub(super) fn notices(news: &News, revision: &str) -> Vec<Notice> {
    match news {
        News::Idle(objects) => {
            let subjects: Vec<String> = objects.iter().map(ObjectId::subject).collect();
            vec![Notice::idle(&subjects, revision)]
        }
        News::Recreated(lines) => lines.iter().map(|line| Notice::recreated(line, revision)).collect(),
        News::Kept(lines) => lines.iter().map(|line| Notice::kept(line, revision)).collect(),
    }
}

/// The finalizer for the objects of a kind.
fn finalizer<K: Kind>() -> &'static str {
    K::INFO.ownership().map_or(keys::FINALIZER, |ownership| ownership.finalizer)
}

/// Adds a finalizer, so that the object stays until its own objects are cleaned up.
pub(super) async fn add_finalizer<K: Kind>(
    shared: &Shared,
    subject: &Subject,
    finalizers: &[String],
) -> Result<(), ReportError>
where
    Resource<K>: Tracked,
{
    let ours = finalizer::<K>();
    if let Some(version) = shared.reporter.add_finalizer(subject, finalizers, ours).await? {
        shared.world.wrote::<Resource<K>>(&subject.key, version, |object| {
            object.metadata.finalizers.push(ours.into());
        });
    }
    Ok(())
}

/// Writes a status with the reason of a wait. A failure has no other consequence.
pub(super) async fn tell_wait<K: Kind>(
    shared: &Shared,
    subject: &Subject,
    old: &K::Status,
    status: Judged<K::Status>,
) where
    Resource<K>: Tracked,
{
    // Boxed, since a thousand waits may contain this future, and few get here.
    if let Err(error) = Box::pin(write::<K>(shared, subject, old, status)).await {
        let key = &subject.key;
        tracing::debug!(name = key.name, namespace = key.namespace, %error, "failed to report the reason of \
            the wait");
    }
}

/// Writes a status, and stores it in the agent's own copy.
pub(super) async fn write<K: Kind>(
    shared: &Shared,
    subject: &Subject,
    old: &K::Status,
    status: Judged<K::Status>,
) -> Result<(), ReportError>
where
    Resource<K>: Tracked,
{
    let known = shared.world.version::<Resource<K>>(&subject.key);
    let version = shared.reporter.status(subject, known, old, &status).await?;
    shared.world.wrote::<Resource<K>>(&subject.key, version, |object| object.status = status.into_inner());
    Ok(())
}

pub(super) fn context<'a, S>(
    shared: &Shared,
    key: &'a Ref,
    metadata: &'a Metadata,
    schedule: Schedule,
    previous: &'a S,
    built: &'a BuildInput,
    started: Instant,
) -> VerdictContext<'a, S> {
    VerdictContext {
        key,
        generation: metadata.generation,
        schedule,
        requested_at: metadata.annotations.get(keys::REQUESTED_AT).map(String::as_str),
        previous,
        revision: built.revision.as_deref(),
        origin: built.origin.as_deref(),
        now: crate::clock::timestamp(shared.clock.wall()),
        took: shared.clock.since(started),
        // The pipeline has already redacted these messages.
        redactor: &NO_SECRETS,
    }
}

/// Writes the status and the events of a verdict, or removes the finalizer.
pub(super) async fn tell<K: Kind>(
    shared: &Shared,
    subject: &Subject,
    metadata: &Metadata,
    previous: &K::Status,
    verdict: Verdict<K::Status>,
) -> Result<(), ReportError>
where
    Resource<K>: Tracked,
{
    match verdict {
        Verdict::Keep { .. } => Ok(()),
        Verdict::Say(Said { status, notices, .. }) => {
            write::<K>(shared, subject, previous, status).await?;
            shared.tell_of(subject, &notices);
            Ok(())
        }
        Verdict::LetGo(notice) => {
            shared.tell_of(subject, &[notice]);
            // The finalizers as last seen: lockgate's may have been added since `metadata` was read.
            let finalizers = match shared.world.get::<Resource<K>>(&subject.key) {
                Some(seen) => seen.metadata().finalizers.clone(),
                None => metadata.finalizers.clone(),
            };
            shared.reporter.remove_finalizer(subject, &finalizers, finalizer::<K>()).await
        }
    }
}
