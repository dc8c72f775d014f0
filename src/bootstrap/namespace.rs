//! The agent's namespace: made where it is not there, and waited for where an earlier one is still on its way
//! out.

use super::manifests::{self, Installation};
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressLog, at};
use super::put::{self, PutOutcome};
use super::wait::{self, Patience};
use crate::cluster::objects::Objects;
use lockgate_base::model::Object;

/// Makes the namespace, unless it is there; what was made.
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
