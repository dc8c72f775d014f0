//! The digests by which Flux knows again what it has released. They are equal to Flux's, so that a release
//! goes from one to the other without a new version.

use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::json::to_json;
use super::record::{ReleaseInfo, StoredHook, StoredRelease};
use crate::api::{CommonMetadata, PostRenderer};
use lockgate_base::model::Digest;
use lockgate_base::model::yaml::{Layout, print};
use lockgate_render::helm::go::number::json_float;

/// The digest of the values that a release is given: of what goyaml v2 prints of them with sorted keys, and
/// of nothing where there are none.
pub fn config(values: &Map<String, Value>) -> Digest {
    if values.is_empty() {
        return Digest::of(b"");
    }
    let mut values = Value::Object(values.clone());
    values.sort_all_objects();
    whole(&mut values);
    Digest::of(print(&values, Layout::V2.unsorted()))
}

/// Numbers as YAML reads them out of Go's JSON: whole ones as integers, where an integer holds them.
fn whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let Some(text) = number.as_f64().and_then(json_float) else { return };
            let integer =
                text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
            let float = || Number::from_f64(number.as_f64()?);
            if let Some(read) = integer.ok().or_else(float) {
                *number = read;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole),
        Value::Object(entries) => entries.values_mut().for_each(whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The digest of `spec.postRenderers`; `None` where there are none.
pub fn post_renderers(renderers: &[PostRenderer]) -> Option<Digest> {
    (!renderers.is_empty()).then(|| line(&renderers))
}

/// The digest of `spec.commonMetadata`; `None` where there is none.
pub fn common_metadata(common: Option<&CommonMetadata>) -> Option<Digest> {
    let CommonMetadata { labels, annotations } = common?;
    let mut fields = Map::new();
    if !annotations.is_empty() {
        fields.insert("annotations".into(), sorted(annotations));
    }
    if !labels.is_empty() {
        fields.insert("labels".into(), sorted(labels));
    }
    Some(line(&fields))
}

fn sorted(texts: &std::collections::BTreeMap<String, String>) -> Value {
    texts.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect::<Map<_, _>>().into()
}

/// The digest of a value as an encoder of Go writes it: with the end of the line.
fn line(value: &impl Serialize) -> Digest {
    let mut text = to_json(value);
    text.push(b'\n');
    Digest::of(text)
}

/// What Flux digests of a version of a release. Tests are no part of it, since each run changes them.
#[derive(Serialize)]
struct ObservedRelease<'a> {
    name: &'a str,
    version: i64,
    info: &'a ReleaseInfo,
    #[serde(rename = "chartMetadata")]
    metadata: &'a Value,
    config: Option<Value>,
    manifest: &'a str,
    hooks: Option<Vec<&'a StoredHook>>,
    namespace: &'a str,
    #[serde(rename = "ociDigest", skip_serializing_if = "Option::is_none")]
    oci: Option<&'a str>,
}

/// The digest of a version of a release, of whose chart `metadata` is what it says of itself. `oci` is the
/// digest of the artifact that the chart came in.
pub(super) fn snapshot<C>(release: &StoredRelease<C>, metadata: &Value, oci: Option<&str>) -> Digest {
    let hooks: Vec<&StoredHook> = release.hooks.iter().filter(|hook| !hook.is_for("test")).collect();
    let config = (!release.config.is_empty()).then(|| {
        let mut config = Value::Object(release.config.clone());
        config.sort_all_objects();
        config
    });
    line(&ObservedRelease {
        name: &release.name,
        version: release.version,
        info: &release.info,
        metadata,
        config,
        manifest: &release.manifest,
        hooks: (!hooks.is_empty()).then_some(hooks),
        namespace: &release.namespace,
        oci,
    })
}
