//! The agent's namespace: created if it is absent. If an earlier one is still being deleted, the run waits
//! for its end.

use super::manifests::{self, Installation};
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressLog, at};
use super::put::{self, PutOutcome};
use super::wait::{self, Patience};
use crate::cluster::objects::Objects;
use lockgate_base::model::Object;

/// Creates the namespace, unless it exists. Returns the created object.
pub(crate) async fn put_namespace(
    objects: &Objects,
    installation: &Installation,
    patience: &Patience,
    progress: &mut ProgressLog<'_>,
) -> Result<Vec<Object>, FailedStep> {
    let step = patience.name();
    let mut made = Vec::new();
    for object in manifests::namespace(installation).map_err(at(step))? {
        wait::not_ending(objects, &object, patience, progress).await.map_err(at(step))?;
        let created = put::create(objects, &object).await;
        let created =
            created.map_err(|failure| at(step)(Problem::cluster(object.id().subject(), failure)))?;
        made.extend((created == PutOutcome::Created).then_some(object));
    }
    Ok(made)
}
