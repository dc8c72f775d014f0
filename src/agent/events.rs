//! Events on their way to the API server: one after the other, in the order in which things happened, and
//! never in the way of the work that they tell of.

use tokio::sync::{mpsc, oneshot};

use super::subject::Subject;
use lockgate_base::model::Timestamp;
use lockgate_core::verdict::Notice;

/// How many may wait to be written. What comes beyond is left out: the status says the same, and memory is
/// scarce.
const WAITING: usize = 1000;

/// An event, and what it is about.
#[derive(Debug, Clone)]
pub(super) struct ObjectNotice {
    pub(super) subject: Subject,
    pub(super) notice: Notice,
    /// When it happened, which may be some time before it is written.
    pub(super) at: Timestamp,
}

/// Where events are put.
#[derive(Debug)]
pub(super) struct Outbox<T>(mpsc::Sender<Item<T>>);

/// Where they are taken from.
#[derive(Debug)]
pub(super) struct Inbox<T>(mpsc::Receiver<Item<T>>);

#[derive(Debug)]
enum Item<T> {
    Tell(T),
    /// Asks to be told when all that came before it is written.
    Flush(oneshot::Sender<()>),
}

/// Both ends of a queue for events.
pub(super) fn queue<T>() -> (Outbox<T>, Inbox<T>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Outbox(sender), Inbox(receiver))
}

impl<T> Outbox<T> {
    /// Hands an event over, without waiting for anything. False when too many wait already.
    pub(super) fn put(&self, told: T) -> bool {
        self.0.try_send(Item::Tell(told)).is_ok()
    }

    /// Waits until all that was put is written, or nobody writes any more.
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.0.send(Item::Flush(done)).await.is_ok() {
            // An error says that nobody writes any more.
            let _ = written.await;
        }
    }
}

impl<T> Inbox<T> {
    /// Writes what is put, until the other end is gone.
    pub(super) async fn deliver(mut self, write: impl AsyncFn(T)) {
        while let Some(item) = self.0.recv().await {
            match item {
                Item::Tell(told) => write(told).await,
                // Whoever asked may have given up.
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
            // The later ones would be quicker.
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
