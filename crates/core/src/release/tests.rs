//! Releases as helm-controller stored them, and tables of what is done about a release.

mod actions;
mod recorded;
mod stored;

use serde_json::{Map, Value, json};

use super::*;
use crate::api::{HelmRelease, HelmReleaseStatus, decode};
use lockgate_base::model::{Digest, Object};

/// A HelmRelease, and the Secrets of its release from the oldest version on, as helm-controller wrote them.
struct RecordedRelease {
    release: HelmRelease,
    secrets: Vec<Object>,
}

impl RecordedRelease {
    fn read(name: &str) -> Self {
        let path = format!("{}/src/release/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
        #[expect(clippy::disallowed_methods, reason = "the record is too large to stand in the code")]
        let text = std::fs::read_to_string(path).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let object = |value: &Value| Object::parse(value.clone()).unwrap();
        Self {
            release: decode(&object(&value["release"])).unwrap(),
            secrets: value["secrets"].as_array().unwrap().iter().map(object).collect(),
        }
    }

    fn last(&self) -> RecordHead {
        read_head(self.secrets.last().unwrap()).unwrap()
    }

    /// What brings about the newest version again.
    fn want(&self) -> WantedRelease {
        let last = self.last();
        let spec = &self.release.spec;
        WantedRelease {
            name: last.name.clone(),
            namespace: last.namespace.clone(),
            storage: self.secrets[0].namespace().unwrap().into(),
            config: config(&last.config),
            chart: last.chart,
            post_renderers: post_renderers(&spec.post_renderers),
            common_metadata: common_metadata(spec.common_metadata.as_ref()),
        }
    }
}

/// A version of the release `web` with a chart's name and version, and with values.
fn record(version: i64, status: ReleaseStatus, values: &Value) -> Record {
    let chart =
        json!({"metadata": {"name": "tiny", "version": "1.0.0", "apiVersion": "v2"}, "templates": []});
    let config = values.as_object().cloned().unwrap_or_default();
    StoredRelease {
        name: "web".into(),
        info: ReleaseInfo {
            first_deployed: Some("2026-11-30T07:00:00Z".into()),
            last_deployed: Some("2026-11-30T07:00:01Z".into()),
            status,
            ..ReleaseInfo::default()
        },
        chart,
        config,
        manifest: "---\n# Source: tiny/a.yaml\nkind: A\n".into(),
        hooks: Vec::new(),
        version,
        namespace: "apps".into(),
        apply_method: "ssa".into(),
    }
}

fn values() -> Map<String, Value> {
    json!({"a": 1}).as_object().cloned().unwrap()
}

fn want() -> WantedRelease {
    WantedRelease {
        name: "web".into(),
        namespace: "apps".into(),
        storage: "apps".into(),
        chart: record(1, ReleaseStatus::Deployed, &json!({})).head().chart,
        config: config(&values()),
        post_renderers: None,
        common_metadata: None,
    }
}

fn hook(name: &str, events: &[&str], weight: i64) -> StoredHook {
    StoredHook {
        name: name.into(),
        kind: "Job".into(),
        path: "tiny/h.yaml".into(),
        manifest: String::new(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        last_run: HookRun::default(),
        weight,
        delete_policies: Vec::new(),
        output_log_policies: Vec::new(),
    }
}
