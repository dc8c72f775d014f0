//! The Lease, which lets one process at a time write.
//!
//! The lease lasts 15 s and is renewed every 5 s. A holder that cannot renew it stops writing before another
//! may take over, even if the machine was suspended in between: every write checks the [`Fence`], and its
//! clock also runs during suspension. If a holder is known to have ended (its pod or process is gone), the
//! next one takes over at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff;
use serde_json::Value;

use super::process::Process;
use crate::cluster::{Client, Direct, KnownKind};
use lockgate_base::keys;
use lockgate_base::model::Digest;
use lockgate_core::pipeline::clock::{Clock, within};
use lockgate_core::pipeline::ports::ApiFailure;

/// How long a lease is valid after a renewal.
const DURATION: Duration = Duration::from_secs(15);
/// How often the lease is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// How long before the end of the lease its holder stops writing, since a started write takes a while itself.
const MARGIN: Duration = Duration::from_secs(3);
/// How long writing is allowed after the lease was claimed.
const OPEN: Duration = DURATION.saturating_sub(MARGIN);
/// How often a standby reads the lease.
const LOOK: Duration = Duration::from_secs(1);
/// How long one request about the lease may take. A renewal that starts in time and takes this long ends
/// about when the fence closes.
const REQUEST: Duration = Duration::from_secs(8);
/// How many requests about the lease may run at one time, in addition to all others.
const IN_FLIGHT: usize = 2;
const LEASES: KnownKind<'static> =
    KnownKind { group: "coordination.k8s.io", version: "v1", plural: "leases" };
const PODS: KnownKind<'static> = KnownKind { group: "", version: "v1", plural: "pods" };

/// Says whether this process may write now. Clones share the answer.
#[derive(Debug, Clone)]
pub(super) struct Fence {
    clock: Arc<dyn Clock>,
    /// The end of the permission to write, in milliseconds since the machine was started.
    until: Arc<AtomicU64>,
}

impl Fence {
    fn closed(clock: Arc<dyn Clock>) -> Self {
        Self { clock, until: Arc::default() }
    }

    /// Whether writing is allowed now.
    pub(super) fn is_open(&self) -> bool {
        millis(self.clock.uptime()) < self.until.load(Ordering::Acquire)
    }

    /// The time until the next renewal, counted from the last claim and not from its answer.
    fn rest(&self) -> Duration {
        let until = Duration::from_millis(self.until.load(Ordering::Acquire));
        until.saturating_sub(self.clock.uptime()).saturating_sub(OPEN.saturating_sub(RENEW))
    }

    /// `moment` is a time of [`Clock::uptime`].
    fn open_until(&self, moment: Duration) {
        self.until.store(millis(moment), Ordering::Release);
    }

    fn close(&self) {
        self.until.store(0, Ordering::Release);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// This process as a holder of the lease.
#[derive(Debug, Clone)]
pub(super) struct LeaseHolder {
    /// Unique for this process.
    identity: String,
    /// `pod/<name>`, or the identity of the process.
    trace: String,
}

impl LeaseHolder {
    /// This process, as the pod of that name or else as a process of this machine.
    pub(super) fn this(pod: Option<&str>, clock: &dyn Clock) -> Self {
        let trace = match pod {
            Some(pod) => format!("pod/{pod}"),
            None => Process::this().to_string(),
        };
        let name = pod.map_or_else(|| format!("process-{}", std::process::id()), ToOwned::to_owned);
        let unique = Digest::of(format!("{trace}/{:?}", clock.wall())).to_string();
        let unique = unique.trim_start_matches("sha256:").get(..8).unwrap_or_default().to_owned();
        Self { identity: format!("{name}_{unique}"), trace }
    }
}

/// The Lease of one namespace.
#[derive(Clone)]
pub(super) struct Leadership {
    namespace: String,
    name: String,
    server: Direct,
    holder: LeaseHolder,
    clock: Arc<dyn Clock>,
    fence: Fence,
    /// The Lease as this process wrote it last, while no other writer is known.
    held: Arc<Mutex<Option<Lease>>>,
}

/// The result of reading the lease.
enum Look {
    /// This process holds it until that [`Clock::uptime`], counted from before the request.
    Ours(Duration),
    /// Another process holds it.
    Theirs { holder: String, renewed: Option<MicroTime> },
}

/// A renewal of the lease by its holder, as a standby sees it.
struct Sight {
    holder: String,
    renewed: Option<MicroTime>,
    /// When the renewal was first seen.
    since: Instant,
}

impl Sight {
    /// Whether a lease with this renewal has expired by this machine's clock: it has not been renewed for its
    /// duration. If reads have failed meanwhile, the holder may have renewed it, which only the Lease itself
    /// shows.
    fn is_over(&self, renewed: Option<&MicroTime>, now: Instant) -> bool {
        self.renewed.as_ref() == renewed && now.saturating_duration_since(self.since) > DURATION
    }
}

/// The failure that the log told of last: what fails again and again for one reason is told once.
#[derive(Default)]
struct ToldFailure(Option<String>);

impl ToldFailure {
    fn is_news(&mut self, failure: &ApiFailure) -> bool {
        let text = Some(failure.to_string());
        let is_news = self.0 != text;
        self.0 = text;
        is_news
    }
}

impl Leadership {
    pub(super) fn new(
        client: &Client,
        namespace: &str,
        watched: Option<&str>,
        holder: LeaseHolder,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            name: watched
                .map_or_else(|| keys::LEASE.to_owned(), |watched| format!("{}-{watched}", keys::LEASE)),
            namespace: namespace.to_owned(),
            server: Direct::new(client, IN_FLIGHT),
            holder,
            fence: Fence::closed(Arc::clone(&clock)),
            clock,
            held: Arc::default(),
        }
    }

    pub(super) fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Waits until this process holds the lease.
    pub(super) async fn acquire(&self) {
        let mut seen: Option<Sight> = None;
        let mut told = String::new();
        let mut failed = ToldFailure::default();
        loop {
            match self.look(seen.as_ref()).await {
                Ok(Look::Ours(until)) => {
                    self.fence.open_until(until);
                    tracing::info!(identity = %self.holder.identity, "became leader");
                    return;
                }
                Ok(Look::Theirs { holder, renewed }) => {
                    if told != holder {
                        tracing::info!(%holder, "waiting for the lease, which another agent holds");
                        told.clone_from(&holder);
                    }
                    if seen.as_ref().is_none_or(|seen| seen.renewed != renewed) {
                        seen = Some(Sight { holder, renewed, since: self.clock.now() });
                    }
                }
                Err(failure) if failed.is_news(&failure) => {
                    tracing::warn!(error = %failure, "failed to read the lease");
                }
                Err(_) => {}
            }
            self.clock.sleep(LOOK).await;
        }
    }

    /// Renews the lease until another process has taken it. A silent API server only closes the fence: if
    /// this process still holds the lease when the server answers again, `reopened` is called.
    pub(super) async fn keep(&self, reopened: impl Fn()) -> String {
        let mut pause = self.fence.rest();
        let mut failed = ToldFailure::default();
        loop {
            self.clock.sleep(pause).await;
            match self.renew().await {
                Ok(Look::Ours(until)) => {
                    let was_open = self.fence.is_open();
                    self.fence.open_until(until);
                    pause = self.fence.rest();
                    failed = ToldFailure::default();
                    if !was_open {
                        tracing::info!("renewed the lease again");
                        reopened();
                    }
                }
                Ok(Look::Theirs { holder, .. }) => {
                    self.fence.close();
                    return holder;
                }
                Err(failure) => {
                    // Early enough that one lost answer does not close the fence.
                    pause = LOOK;
                    if failed.is_news(&failure) {
                        tracing::warn!(error = %failure, "failed to renew the lease");
                    }
                }
            }
        }
    }

    /// Releases the lease, so that the next process need not wait for its end.
    pub(super) async fn release(&self) {
        let was_ours = self.fence.is_open();
        self.fence.close();
        if !was_ours {
            return;
        }
        let release = async {
            let Some(mut lease) = self.read().await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(&self.holder.identity) {
                return Ok(());
            }
            spec.holder_identity = None;
            self.replace(&lease).await.map(drop)
        };
        if let Err(failure) = release.await {
            tracing::warn!(error = %failure, "failed to release the lease");
        }
    }

    /// Renews the lease by one request, on the known resourceVersion. If that fails because somebody else has
    /// written the Lease, it is read.
    async fn renew(&self) -> Result<Look, ApiFailure> {
        let held = self.held().take();
        let Some(lease) = held else { return self.look(None).await };
        match self.write(lease).await {
            Err(ApiFailure::Answered { code: 404 | 409, .. }) => self.look(None).await,
            written => written,
        }
    }

    /// Reads the lease, and takes or renews it if that is allowed. `seen` is the last renewal that a standby
    /// has seen.
    async fn look(&self, seen: Option<&Sight>) -> Result<Look, ApiFailure> {
        let Some(lease) = self.read().await? else {
            // Somebody has deleted the Lease. Its holder notices at the next renewal, and creates it again.
            let held = seen.filter(|seen| !seen.is_over(seen.renewed.as_ref(), self.clock.now()));
            if let Some(Sight { holder, renewed, .. }) = held {
                return Ok(Look::Theirs { holder: holder.clone(), renewed: renewed.clone() });
            }
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: None,
            };
            return taken(self.write(lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
        let expired = seen.is_some_and(|seen| seen.is_over(spec.renew_time.as_ref(), self.clock.now()));
        match &holder {
            Some(holder) if *holder != self.holder.identity && !expired && !self.has_ended(&lease).await => {
                Ok(Look::Theirs { holder: holder.clone(), renewed: spec.renew_time })
            }
            // The resourceVersion in the object makes this fail if another process was faster.
            _ => taken(self.write(lease).await),
        }
    }

    /// Writes the lease as held by this process from now on, and keeps the result for the next renewal.
    async fn write(&self, mut lease: Lease) -> Result<Look, ApiFailure> {
        // Counted from before the request, since the server may store it at any moment from now on.
        let until = self.clock.uptime().saturating_add(OPEN);
        self.claim(&mut lease);
        let version = if lease.metadata.resource_version.is_some() {
            self.replace(&lease).await?
        } else {
            self.bounded(self.server.create(LEASES, &self.namespace, &value(&lease)?)).await?
        };
        lease.metadata.resource_version = Some(version).filter(|version| !version.is_empty());
        *self.held() = lease.metadata.resource_version.is_some().then_some(lease);
        Ok(Look::Ours(until))
    }

    fn held(&self) -> MutexGuard<'_, Option<Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the Lease; `None` if there is none.
    async fn read(&self) -> Result<Option<Lease>, ApiFailure> {
        let Some(lease) = self.bounded(self.server.get(LEASES, &self.namespace, &self.name)).await? else {
            return Ok(None);
        };
        serde_json::from_value(lease).map(Some).map_err(|error| malformed("read", &error))
    }

    /// Replaces the Lease, and returns its new resourceVersion.
    async fn replace(&self, lease: &Lease) -> Result<String, ApiFailure> {
        self.bounded(self.server.replace(LEASES, &self.namespace, &self.name, &value(lease)?)).await
    }

    fn claim(&self, lease: &mut Lease) {
        let now = MicroTime(jiff::Timestamp::try_from(self.clock.wall()).unwrap_or(jiff::Timestamp::MAX));
        lease
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(keys::LEASE_HOLDER.into(), self.holder.trace.clone());
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.holder.identity) {
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
            spec.acquire_time = Some(now.clone());
        }
        spec.holder_identity = Some(self.holder.identity.clone());
        spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
        spec.renew_time = Some(now);
    }

    async fn bounded<T>(
        &self,
        request: impl Future<Output = Result<T, ApiFailure>>,
    ) -> Result<T, ApiFailure> {
        let late = || ApiFailure::Unavailable { message: "no answer in time".into(), retry_after: None };
        within(&*self.clock, REQUEST, request).await.unwrap_or_else(|| Err(late()))
    }

    /// Whether the holder is known to have ended: its pod is gone or is this pod (whose next container this
    /// is), or its process on this machine has ended.
    async fn has_ended(&self, lease: &Lease) -> bool {
        let trace =
            lease.metadata.annotations.as_ref().and_then(|annotations| annotations.get(keys::LEASE_HOLDER));
        let Some(trace) = trace else { return false };
        if let Some(pod) = trace.strip_prefix("pod/") {
            let looked = self.bounded(self.server.get(PODS, &self.namespace, pod));
            return *trace == self.holder.trace || matches!(looked.await, Ok(None));
        }
        match (Process::read(trace), Process::read(&self.holder.trace)) {
            (Some(holder), Some(ours)) => holder.has_ended(&ours),
            _ => false,
        }
    }
}

/// The result of a write after a read of the lease. Another process may have taken the lease in between.
fn taken(written: Result<Look, ApiFailure>) -> Result<Look, ApiFailure> {
    match written {
        Err(ApiFailure::Answered { code: 409, .. }) => {
            Ok(Look::Theirs { holder: "another process, just now".into(), renewed: None })
        }
        written => written,
    }
}

fn value(lease: &Lease) -> Result<Value, ApiFailure> {
    serde_json::to_value(lease).map_err(|error| malformed("written", &error))
}

fn malformed(what: &str, error: &serde_json::Error) -> ApiFailure {
    ApiFailure::Unavailable { message: format!("the Lease cannot be {what}: {error}"), retry_after: None }
}

#[cfg(test)]
mod tests;
