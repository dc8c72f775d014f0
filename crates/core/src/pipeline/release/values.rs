//! Looks up the ConfigMaps and Secrets that a release takes values from.

use serde_json::Value;

use super::super::ports::{ApiFailure, DataKind, Lookup};
use super::render::ValuesData;
use super::stop::EarlyEnd;
use crate::api::HelmRelease;
use crate::verdict::{Common, Redactor, ReleaseEnd};
use lockgate_base::model::yaml::{Dialect, first_document};

/// The data of all that `spec.valuesFrom` names, each looked up once. What is missing is left out: whether it
/// may be is told where the values are put together. Values of Secrets are added to `redactor`.
pub(super) async fn data(
    own: &impl Lookup,
    release: &HelmRelease,
    redactor: &mut Redactor,
) -> Result<ValuesData, EarlyEnd> {
    let namespace = &release.metadata.namespace;
    let mut found = ValuesData::new();
    let mut denied = Vec::new();
    for from in &release.spec.values_from {
        let known = [DataKind::ConfigMap, DataKind::Secret];
        // Another kind is refused where the values are put together.
        let Some(kind) = known.into_iter().find(|kind| kind.to_string() == from.kind) else { continue };
        let key = (from.kind.clone(), from.name.clone());
        if found.contains_key(&key) {
            continue;
        }
        match own.data(kind, namespace, &from.name).await {
            Ok(Some(data)) => {
                if kind == DataKind::Secret {
                    for value in data.values() {
                        hide(value.expose(), redactor);
                    }
                }
                found.insert(key, data);
            }
            Ok(None) => {}
            Err(ApiFailure::Forbidden(right)) => {
                denied.push(format!("spec.valuesFrom: {}/{}: {right}", from.kind, from.name));
            }
            Err(failure) => {
                return Err(EarlyEnd::Common(Common::Unreachable { message: failure.to_string() }));
            }
        }
    }
    if denied.is_empty() {
        return Ok(found);
    }
    Err(EarlyEnd::Own(ReleaseEnd::Values { message: denied.join("\n") }, None))
}

/// Has a value of a Secret blotted out, and each text in it, where it is a file of values.
fn hide(value: &[u8], redactor: &mut Redactor) {
    redactor.add(value);
    let read = std::str::from_utf8(value).ok().and_then(|text| first_document(text, Dialect::V2).ok());
    if let Some(document) = read {
        hide_texts(&document.value, redactor);
    }
}

fn hide_texts(value: &Value, redactor: &mut Redactor) {
    match value {
        Value::String(text) => redactor.add(text.as_bytes()),
        Value::Array(items) => items.iter().for_each(|item| hide_texts(item, redactor)),
        Value::Object(fields) => fields.values().for_each(|field| hide_texts(field, redactor)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
