//! The objects of a stored release. They are read out of its documents, so that nothing need be rendered to
//! know them.

use lockgate_base::model::yaml::{Dialect, first_document};
use lockgate_base::model::{Object, ObjectId, Ref};
use lockgate_render::helm::manifest::split::documents;
use serde_json::Value;

use super::record::{StoredHook, StoredRelease};
use crate::api::HelmRelease;
use crate::plan::Inventory;

/// The annotation by which an object stays where its release goes.
const POLICY: &str = "helm.sh/resource-policy";

/// The objects of a manifest, in the order of its documents. An error names the document that holds none.
/// Those that have no namespace get the one of the release; of the kinds that have none it is taken off where
/// they are applied.
pub fn objects<C>(release: &StoredRelease<C>) -> Result<Vec<Object>, String> {
    Ok(objects_of(&release.manifest, &release.namespace)?.into_iter().map(|(_, object)| object).collect())
}

/// The objects of a manifest, each with the template that it is from, as [`objects`] has them.
pub fn objects_of(manifest: &str, namespace: &str) -> Result<Vec<(String, Object)>, String> {
    let mut found = Vec::new();
    for (_, document) in documents(manifest) {
        let path = document.lines().next().and_then(|line| line.strip_prefix("# Source: "));
        let path = path.unwrap_or("the manifest");
        let mut objects = Vec::new();
        read(path, document, namespace, &mut objects)?;
        found.extend(objects.into_iter().map(|object| (path.to_owned(), object)));
    }
    Ok(found)
}

/// The object of a hook.
pub fn hook_object<C>(release: &StoredRelease<C>, hook: &StoredHook) -> Result<Object, String> {
    hook_object_in(&release.namespace, hook)
}

/// The object of a hook of a release in a namespace.
pub fn hook_object_in(namespace: &str, hook: &StoredHook) -> Result<Object, String> {
    let mut objects = Vec::new();
    read(&hook.path, &hook.manifest, namespace, &mut objects)?;
    let is_one = objects.len() == 1;
    objects
        .pop()
        .filter(|_| is_one)
        .ok_or_else(|| format!("{}: hook {} is not one object", hook.path, hook.name))
}

fn read(path: &str, document: &str, namespace: &str, objects: &mut Vec<Object>) -> Result<(), String> {
    let read = first_document(document, Dialect::V2).map_err(|error| format!("{path}: {error}"))?;
    match read.value {
        Value::Null => Ok(()),
        Value::Object(mut fields) if fields.get("items").is_some_and(Value::is_array) => {
            let Some(Value::Array(items)) = fields.remove("items") else { return Ok(()) };
            items.into_iter().try_for_each(|item| object(path, item, namespace, objects))
        }
        value => object(path, value, namespace, objects),
    }
}

fn object(path: &str, value: Value, namespace: &str, objects: &mut Vec<Object>) -> Result<(), String> {
    let parsed = Object::parse(value).map_err(|error| format!("{path}: {error}"))?;
    let placed = if parsed.namespace().is_some() {
        parsed
    } else {
        parsed
            .edit(|value| value["metadata"]["namespace"] = namespace.into())
            .map_err(|error| format!("{path}: {error}"))?
    };
    objects.push(placed);
    Ok(())
}

/// The HelmRelease that a version was made for, as the labels of its objects say. Helm itself sets none.
pub fn owner(objects: &[Object]) -> Option<Ref> {
    objects.iter().find_map(|object| HelmRelease::OWNERSHIP.owner_of(object))
}

/// Whether an object stays where its release is uninstalled, or drops it.
pub fn is_kept(object: &Object) -> bool {
    object.annotation(POLICY).is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
}

/// What a release holds, without what stays when it goes.
pub fn inventory(objects: &[Object]) -> Inventory {
    objects.iter().filter(|object| !is_kept(object)).collect()
}

/// The ids of objects that stay though their release drops them.
pub fn kept(objects: &[Object]) -> Vec<ObjectId> {
    objects.iter().filter(|object| is_kept(object)).map(Object::id).collect()
}
