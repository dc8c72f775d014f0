//! Reads the values of ConfigMaps and Secrets: variables for substitution, keys and credentials.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::Value;

use super::client::{ApiRequest, Client, JSON};
use super::failure::{self, RequestFailure};
use super::path::ServedKind;
use lockgate_base::model::Secret;
use lockgate_core::pipeline::ports::{ApiFailure, Data, DataKind};
use lockgate_core::plan::Answer;

/// The values of a ConfigMap or Secret; `None` if it does not exist.
pub(super) async fn data(
    client: &Client,
    kind: DataKind,
    namespace: &str,
    name: &str,
) -> Result<Option<Data>, ApiFailure> {
    let plural = match kind {
        DataKind::ConfigMap => "configmaps",
        DataKind::Secret => "secrets",
    };
    let resource = ServedKind {
        group: String::new(),
        version: "v1".into(),
        kind: kind.to_string(),
        plural: plural.into(),
        namespaced: true,
    };
    let Some(path) = resource.object(namespace, name) else { return Ok(None) };
    let mut body = match client.send(ApiRequest::get(path, JSON)).await {
        Ok(answer) => answer.body,
        Err(RequestFailure::Answered(Answer { code: 404, .. })) => return Ok(None),
        Err(failure) => return Err(failure.into()),
    };
    let mut values = BTreeMap::new();
    for (key, value) in strings(body.get_mut("data")) {
        let value = match kind {
            DataKind::ConfigMap => value.into_bytes(),
            DataKind::Secret => STANDARD.decode(Secret::new(value).expose().as_bytes()).map_err(|_| {
                let message = format!("key {key} of {kind} {namespace}/{name} is not base64");
                failure::answered(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
            })?,
        };
        values.insert(key, Secret::new(value));
    }
    Ok(Some(values))
}

/// The entries of a map of strings, taken out of the answer, so that no second copy of a secret stays behind.
fn strings(map: Option<&mut Value>) -> impl Iterator<Item = (String, String)> {
    let map = match map.map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    map.into_iter().filter_map(|(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    })
}
