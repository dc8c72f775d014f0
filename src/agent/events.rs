//! Sends events to the API server, one after the other and in the order in which things happened. Sending
//! never delays the work that the events are about.

use tokio::sync::{mpsc, oneshot};

use super::subject::Subject;
use lockgate_base::model::Timestamp;
use lockgate_core::verdict::Notice;

/// The most events that may wait to be written. Further ones are dropped: the status says the same, and
/// memory is scarce.
const WAITING: usize = 1000;

/// An event and its subject.
#[derive(Debug, Clone)]
pub(super) struct ObjectNotice {
    pub(super) subject: Subject,
    pub(super) notice: Notice,
    /// When it happened, which may be some time before it is written.
    pub(super) at: Timestamp,
}

/// The sender of the queue.
#[derive(Debug)]
pub(super) struct Outbox<T>(mpsc::Sender<Item<T>>);

/// The receiver of the queue.
#[derive(Debug)]
pub(super) struct Inbox<T>(mpsc::Receiver<Item<T>>);

#[derive(Debug)]
enum Item<T> {
    Tell(T),
    /// A request to be notified when all earlier events are written.
    Flush(oneshot::Sender<()>),
}

/// Both ends of a queue for events.
pub(super) fn queue<T>() -> (Outbox<T>, Inbox<T>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Outbox(sender), Inbox(receiver))
}

impl<T> Outbox<T> {
    /// Queues an event without waiting. Returns false if too many wait already.
    pub(super) fn put(&self, told: T) -> bool {
        self.0.try_send(Item::Tell(told)).is_ok()
    }

    /// Waits until all queued events are written, or the receiver is gone.
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.0.send(Item::Flush(done)).await.is_ok() {
            // An error means that the receiver is gone.
            let _ = written.await;
        }
    }
}

impl<T> Inbox<T> {
    /// Writes queued events until the sender is gone.
    pub(super) async fn deliver(mut self, write: impl AsyncFn(T)) {
        while let Some(item) = self.0.recv().await {
            match item {
                Item::Tell(told) => write(told).await,
                // The caller may have given up.
                Item::Flush(done) => drop(done.send(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[tokio::test]
    async fn events_are_written_one_after_the_other_in_their_order() {
        let (outbox, inbox) = queue();
        let (written, busy) = (RefCell::new(Vec::new()), Cell::new(false));
        let write = async |number: usize| {
            assert!(!busy.replace(true), "two are written at once");
            // Without the order, the later ones would be written first.
            for _ in 0..10_usize.saturating_sub(number) {
                tokio::task::yield_now().await;
            }
            written.borrow_mut().push(number);
            busy.set(false);
        };
        assert!((0..10).all(|number| outbox.put(number)));
        tokio::select! {
            () = outbox.flush() => {}
            () = inbox.deliver(write) => {}
        }
        assert_eq!(written.into_inner(), (0..10).collect::<Vec<_>>(), "flushing waits for all");
    }

    #[tokio::test]
    async fn what_nobody_writes_is_bounded_and_holds_nobody_up() {
        let (outbox, inbox) = queue();
        assert_eq!((0..2 * WAITING).filter(|number| outbox.put(*number)).count(), WAITING);
        drop(inbox);
        assert!(!outbox.put(0));
        outbox.flush().await;
    }
}
