//! One run of one object, as ordered by the queue.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::shared::Shared;
use lockgate_base::model::Ref;
use lockgate_core::queue::{RunCause, RunId, Signal};

/// The order of a run.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) key: Ref,
    pub(super) run: RunId,
    pub(super) causes: BTreeSet<RunCause>,
    pub(super) cancel: watch::Receiver<bool>,
    /// Notified when the run has a slot again after its request.
    pub(super) slot: Arc<Notify>,
}

impl Task {
    /// Requests a slot again, and waits for it.
    pub(super) async fn resumes(&self, shared: &Shared) {
        shared.tell(Signal::Resumes { key: self.key.clone(), run: self.run });
        self.slot.notified().await;
    }
}
