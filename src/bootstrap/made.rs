//! What a run has made before the key was registered, to be taken back where that is refused.

use super::problem::{ExitClass, FailedStep};
use super::progress::{ProgressEvent, ProgressLog};
use crate::cluster::objects::Objects;
use lockgate_base::model::Object;

/// Objects that were not there before, in the order of their making.
#[derive(Default)]
pub(crate) struct Made(Vec<Object>);

impl Made {
    /// Notes an object that was made.
    pub(crate) fn add(&mut self, object: Object) {
        self.0.push(object);
    }

    /// Takes all away again where the host has refused the key; the failure as it was.
    pub(crate) async fn taken_back(
        self,
        objects: &Objects,
        failure: FailedStep,
        progress: &mut ProgressLog<'_>,
    ) -> FailedStep {
        // A host that could not be asked may let the key in the next time.
        if failure.class() == ExitClass::Unreachable {
            return failure;
        }
        for object in self.0.iter().rev() {
            let subject = object.id().subject();
            let told = match objects.delete(object).await {
                Ok(_) => format!("{subject} was made by this run, and is taken back"),
                Err(error) => format!("{subject} was made by this run, and is left: {error}"),
            };
            progress.tell(ProgressEvent::Note(told));
        }
        failure
    }
}
