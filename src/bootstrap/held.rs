//! The finalizers and objects that block the deletion of a namespace, if no controller is left to release
//! them.

use serde_json::Value;

use super::manifests;
use super::problem::Problem;
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_core::api;
use lockgate_core::pipeline::ports::ApiFailure;

/// Finds an object of lockgate's kinds whose finalizer blocks the deletion of the namespace, if there is no
/// agent to remove it: waiting would not help.
pub(crate) async fn for_ever(objects: &Objects, namespace: &Object) -> Result<Option<Problem>, ApiFailure> {
    let name = namespace.name();
    if !objects.list("v1", "Pod", Some(name), manifests::AGENT).await?.is_empty() {
        return Ok(None);
    }
    for info in api::acted_on() {
        let listed = objects.list(&info.api_version(), info.id.kind, Some(name), "").await?;
        if let Some(holder) = listed.iter().find(|object| has_finalizer(object)) {
            let (namespace, holder) = (namespace.id().subject(), holder.id().subject());
            return Ok(Some(Problem::HeldNamespace { namespace, finalizer: keys::FINALIZER, holder }));
        }
    }
    Ok(None)
}

fn has_finalizer(object: &Object) -> bool {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|name| name == keys::FINALIZER))
}
