//! A run's place among the runs that may build or write at one time. A run gives its place back while it
//! waits.

use std::pin::pin;
use std::time::Duration;

use super::clock::Clock;

/// A wait shorter than this keeps the slot: most definitions are served within it, and a run that gave its
/// slot back has to queue for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The slot that a run holds from its start.
pub trait Slot: Sync {
    /// Gives the slot back: from now on the run waits, and neither builds nor writes.
    fn waits(&self);

    /// Completes once the run has a slot again, so that it may continue after a wait.
    fn resumes(&self) -> impl Future<Output = ()> + Send;
}

/// Waits in the middle of a run, without the slot if the wait is long. The slot is taken again if `goes_on`
/// returns true for the result of the wait.
pub async fn aside<T>(
    slot: &impl Slot,
    clock: &dyn Clock,
    wait: impl Future<Output = T>,
    goes_on: impl Fn(&T) -> bool,
) -> T {
    let mut wait = pin!(wait);
    tokio::select! {
        biased;
        end = &mut wait => return end,
        () = clock.sleep(PATIENCE) => {}
    }
    slot.waits();
    let end = wait.await;
    if goes_on(&end) {
        slot.resumes().await;
    }
    end
}
