//! The objects that `lockgate status` looks at.

use crate::cluster::objects::Objects;
use lockgate_base::model::Object;
use lockgate_core::api::KindInfo;
use lockgate_core::pipeline::ports::ApiFailure;

/// All objects of a kind, or those of one namespace where the user may not look at all. `None` where the cluster does not
/// have the kind.
pub(super) async fn listed(
    info: &KindInfo,
    objects: &Objects,
    namespace: Option<&str>,
) -> Result<Option<Vec<Object>>, ApiFailure> {
    let (version, kind) = (info.api_version(), info.id.kind);
    let mut listed = objects.list_served(&version, kind, None, "").await;
    if let (Err(ApiFailure::Forbidden(_)), Some(_)) = (&listed, namespace) {
        listed = objects.list_served(&version, kind, namespace, "").await;
    }
    listed
}
