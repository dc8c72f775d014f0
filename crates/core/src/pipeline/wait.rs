//! The wait for objects, which newer work may end, and the reports during it.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;

use super::clock::Clock;
use super::ports::{ObjectReference, Settle, Settled, Unhealthy};
use crate::health::Health;
use crate::verdict::{Ill, Redactor};

/// How often the objects that a wait is for are reported again, after the first report.
const TOLD_AGAIN: Duration = Duration::from_secs(30);

/// Receives the reasons of a wait.
pub trait Waiter: Sync {
    /// These are waited for, for some time already.
    fn pending(&self, objects: Vec<Ill>) -> impl Future<Output = ()> + Send;
}

/// How a wait goes.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    /// How long it may take.
    pub(super) limit: Duration,
    /// How long a wait lasts before it reports its reason.
    pub(super) told_after: Duration,
    /// Lets time pass.
    pub(super) clock: &'a dyn Clock,
    /// Becomes true when there is newer work.
    pub(super) cancel: watch::Receiver<bool>,
    /// The secret values that were handled.
    pub(super) redactor: &'a Redactor,
}

/// Waits for health, and tells what for; `None` when newer work ended the wait.
pub(super) async fn settled(
    cluster: &impl Settle,
    references: &[ObjectReference],
    wait: Wait<'_>,
    waiter: &impl Waiter,
) -> Option<Settled> {
    let Wait { limit, told_after, clock, mut cancel, redactor } = wait;
    let mut ended = pin!(async {
        tokio::select! {
            biased;
            settled = cluster.settle(references, limit) => Some(settled),
            Ok(_) = cancel.wait_for(|cancel| *cancel) => None,
        }
    });
    let mut pause = told_after;
    loop {
        let look = async {
            clock.sleep(pause).await;
            // Boxed, since a thousand may wait and few ever come here.
            Box::pin(cluster.settle(references, Duration::ZERO)).await
        };
        let found = tokio::select! {
            biased;
            ended = &mut ended => return ended,
            found = look => found,
        };
        // The end of the wait does not cancel this write: a request that was sent may reach the server after
        // the one that reports the end.
        if let Settled::Stalled(objects) | Settled::TimedOut(objects) = found {
            let mut objects: Vec<Ill> = objects.into_iter().map(ill).collect();
            for ill in &mut objects {
                ill.cause = redactor.redact(&ill.cause);
            }
            waiter.pending(objects).await;
        }
        pause = TOLD_AGAIN;
    }
}

/// The reported state of an unhealthy object.
pub(super) fn ill(object: Unhealthy) -> Ill {
    let status = object.health.word();
    let text = match object.health {
        Health::Current | Health::NotFound => String::new(),
        Health::InProgress(text) | Health::Failed(text) | Health::Terminating(text) => text,
    };
    let cause = match object.cause {
        Some(cause) if text.is_empty() => cause,
        Some(cause) => format!("{text}: {cause}"),
        None => text,
    };
    Ill { subject: object.id.subject(), status: status.into(), cause }
}
