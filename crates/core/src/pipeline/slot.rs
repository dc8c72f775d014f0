//! The place of a run among those that may build or write at a time, which a run gives back while it waits.

use std::pin::pin;
use std::time::Duration;

use super::clock::Clock;

/// A wait that is over by then keeps the slot: most definitions are served within it, and a slot that was
/// given back has to be queued for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The slot that a run holds from its start.
pub trait Slot: Sync {
    /// Gives the slot back: from here on the run waits, and neither builds nor writes.
    fn waits(&self);

    /// Ends once the run has a slot again, so that it may go on after a wait.
    fn resumes(&self) -> impl Future<Output = ()> + Send;
}

/// Waits in the middle of a run, without the slot if it takes long. The slot is taken again where `goes_on`
/// says of the wait's end that there is more to do.
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
