//! The objects that a run created before the key was registered. They are deleted again if the host refuses
//! the key.

use super::problem::{ExitClass, FailedStep};
use super::progress::{ProgressEvent, ProgressLog};
use crate::cluster::objects::Objects;
use lockgate_base::model::Object;

/// Newly created objects, in the order of their creation.
#[derive(Default)]
pub(crate) struct Made(Vec<Object>);

impl Made {
    /// Records a created object.
    pub(crate) fn add(&mut self, object: Object) {
        self.0.push(object);
    }

    /// Deletes all of them if the host has refused the key. Returns the failure unchanged.
    pub(crate) async fn taken_back(
        self,
        objects: &Objects,
        failure: FailedStep,
        progress: &mut ProgressLog<'_>,
    ) -> FailedStep {
        // An unreachable host may accept the key the next time.
        if failure.class() == ExitClass::Unreachable {
            return failure;
        }
        for object in self.0.iter().rev() {
            let subject = object.id().subject();
            let told = match objects.delete(object).await {
                Ok(_) => format!("deleted {subject}, which this run had created"),
                Err(error) => format!("could not delete {subject}, which this run had created: {error}"),
            };
            progress.tell(ProgressEvent::Note(told));
        }
        failure
    }
}
