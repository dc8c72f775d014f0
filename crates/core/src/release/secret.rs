//! The Secret that holds one version of a release, in the form of Helm's own driver: the release as JSON,
//! compressed, and twice in Base64.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::json::to_json;
use super::record::{Record, RecordHead};
use lockgate_base::model::{Object, ObjectId, Timestamp};

/// The annotation on a Secret that this agent has written, and nobody since: Helm's driver and Flux's drop it
/// with the next write. What it holds is the action that is under way.
pub const OURS: &str = "lockgate.dev/release-action";

/// The type of the Secrets.
const TYPE: &str = "helm.sh/release.v1";
/// The largest data of a Secret that the API server takes, in bytes, without the Base64 of the request.
const LIMIT: usize = 1024 * 1024;
/// The largest release that is read, in bytes, before it is compressed.
const UNPACKED_LIMIT: u64 = 64 * 1024 * 1024;

/// A release that no Secret can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "release {subject} takes {size} bytes as a Secret, and {LIMIT} is the limit; uncompressed its parts take: \
     {templates} bytes of templates, {files} of other files, {values} of the chart's values and schema, \
     {manifest} of the manifest, {hooks} of hooks, {config} of the values given: leave large files out of the chart"
)]
pub struct ReleaseTooLarge {
    subject: String,
    size: usize,
    templates: usize,
    files: usize,
    values: usize,
    manifest: usize,
    hooks: usize,
    config: usize,
}

/// A Secret that holds no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} holds no release: {cause}; repair or delete it")]
pub struct ReleaseUnread {
    subject: String,
    cause: String,
}

/// The name of the Secret of a version.
fn name_of(name: &str, version: i64) -> String {
    format!("sh.helm.release.v1.{name}.v{version}")
}

/// Which Secret holds a version of a release.
pub fn reference(storage: &str, name: &str, version: i64) -> ObjectId {
    ObjectId {
        namespace: storage.into(),
        name: name_of(name, version),
        group: String::new(),
        kind: "Secret".into(),
    }
}

/// The version that a Secret of a release holds, by its labels; `None` where it is no such Secret.
pub fn version_of(secret: &Object, name: &str) -> Option<i64> {
    let version = secret.label("version")?.parse().ok()?;
    let is_of = secret.label("owner") == Some("helm") && secret.label("name") == Some(name);
    (is_of && secret.name() == name_of(name, version)).then_some(version)
}

/// The Secret of a version. `stored` is the one that is there: what is written then stands in its place, and
/// only as it was read. `action` is what is under way.
pub fn secret(
    record: &Record,
    storage: &str,
    stored: Option<&Object>,
    action: Option<&str>,
    now: Timestamp,
) -> Result<Object, ReleaseTooLarge> {
    let packed = packed(&to_json(record));
    if packed.len() > LIMIT {
        return Err(too_large(record, packed.len()));
    }
    let data = STANDARD.encode(&packed);
    let moment = if stored.is_some() { "modifiedAt" } else { "createdAt" };
    let mut metadata = json!({
        "name": name_of(&record.name, record.version),
        "namespace": storage,
        "labels": {
            "name": record.name,
            "owner": "helm",
            "status": record.info.status.as_str(),
            "version": record.version.to_string(),
            moment: now.unix().to_string(),
        },
    });
    if let Some(action) = action {
        metadata["annotations"] = json!({OURS: action});
    }
    for field in ["uid", "resourceVersion"] {
        if let Some(value) = stored.and_then(|stored| stored.pointer(&format!("/metadata/{field}"))) {
            metadata[field] = value.clone();
        }
    }
    let value = json!({"apiVersion": "v1", "kind": "Secret", "type": TYPE, "metadata": metadata,
                       "data": {"release": data}});
    // A name and a namespace are there, so it is an object.
    Object::parse(value).map_err(|_| too_large(record, packed.len()))
}

/// Refuses a version that no Secret can hold, before anything of it is written.
pub fn check_size(record: &Record) -> Result<(), ReleaseTooLarge> {
    let json = to_json(record);
    // Base64 adds a third, and what is compressed is hardly ever larger than before.
    if json.len() <= LIMIT / 3 * 2 {
        return Ok(());
    }
    let size = packed(&json).len();
    if size > LIMIT { Err(too_large(record, size)) } else { Ok(()) }
}

/// As Helm's driver packs: `gzip -9`, in Base64.
fn packed(json: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // A vector takes all that is written.
    let _ = encoder.write_all(json);
    STANDARD.encode(encoder.finish().unwrap_or_default()).into_bytes()
}

fn too_large(record: &Record, size: usize) -> ReleaseTooLarge {
    let of = |field: &str| record.chart.get(field).map_or(0, |value| to_json(value).len());
    ReleaseTooLarge {
        subject: record.subject(),
        size,
        templates: of("templates"),
        files: of("files"),
        values: of("values") + of("schema"),
        manifest: record.manifest.len(),
        hooks: to_json(&record.hooks).len(),
        config: to_json(&record.config).len(),
    }
}

/// Reads a version whole, so that it can be stored again.
pub fn read(secret: &Object) -> Result<Record, ReleaseUnread> {
    decoded(secret)
}

/// Reads what is looked at of a version.
pub fn read_head(secret: &Object) -> Result<RecordHead, ReleaseUnread> {
    decoded(secret)
}

fn decoded<T: DeserializeOwned>(secret: &Object) -> Result<T, ReleaseUnread> {
    let failed = |cause: String| ReleaseUnread { subject: secret.id().subject(), cause };
    let text = secret.text("/data/release").ok_or_else(|| failed("its key release is missing".into()))?;
    let no_base64 = |_| failed("its key release is no Base64".into());
    let outer = STANDARD.decode(text).map_err(no_base64)?;
    let packed = STANDARD.decode(outer).map_err(no_base64)?;
    let mut json = Vec::new();
    if packed.starts_with(&[0x1f, 0x8b, 0x08]) {
        let read = GzDecoder::new(&packed[..]).take(UNPACKED_LIMIT).read_to_end(&mut json);
        let size = read.map_err(|error| failed(format!("its key release is damaged: {error}")))?;
        if size as u64 == UNPACKED_LIMIT {
            return Err(failed(format!("it takes more than {} MiB", UNPACKED_LIMIT >> 20)));
        }
    } else {
        json = packed;
    }
    // What serde says may quote a value of the release.
    serde_json::from_slice(&json).map_err(|error| {
        failed(format!("line {}, column {} is not what a release has there", error.line(), error.column()))
    })
}

#[cfg(test)]
impl ReleaseTooLarge {
    pub(super) const fn size(&self) -> usize {
        self.size
    }
}
