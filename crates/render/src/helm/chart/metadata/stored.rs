//! The content of Chart.yaml as helm stores it: with its fields in the order of Go's structs, and without
//! empty ones.

use serde_json::{Map as JsonMap, Value as Json};

use super::{ChartMetadata, Dependency, Maintainer};
use crate::helm::value::Value;

impl ChartMetadata {
    /// The JSON that helm stores.
    pub(in crate::helm) fn as_json(&self) -> Json {
        let mut fields = JsonMap::new();
        put_text(&mut fields, "name", &self.name);
        put_text(&mut fields, "home", &self.home);
        put_list(&mut fields, "sources", self.sources.iter().map(|text| text.as_str().into()));
        put_text(&mut fields, "version", &self.version);
        put_text(&mut fields, "description", &self.description);
        put_list(&mut fields, "keywords", self.keywords.iter().map(|text| text.as_str().into()));
        put_list(&mut fields, "maintainers", self.maintainers.iter().flatten().map(Maintainer::as_json));
        put_text(&mut fields, "icon", &self.icon);
        put_text(&mut fields, "apiVersion", &self.api_version);
        put_text(&mut fields, "condition", &self.condition);
        put_text(&mut fields, "tags", &self.tags);
        put_text(&mut fields, "appVersion", &self.app_version);
        if self.deprecated {
            fields.insert("deprecated".into(), true.into());
        }
        let annotations: JsonMap<String, Json> = self
            .annotations
            .iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().into()))
            .collect();
        if !annotations.is_empty() {
            fields.insert("annotations".into(), annotations.into());
        }
        put_text(&mut fields, "kubeVersion", &self.kube_version);
        put_list(&mut fields, "dependencies", self.dependencies.iter().flatten().map(Dependency::as_json));
        put_text(&mut fields, "type", &self.kind);
        Json::Object(fields)
    }
}

impl Maintainer {
    fn as_json(&self) -> Json {
        let mut fields = JsonMap::new();
        put_text(&mut fields, "name", &self.name);
        put_text(&mut fields, "email", &self.email);
        put_text(&mut fields, "url", &self.url);
        Json::Object(fields)
    }
}

impl Dependency {
    fn as_json(&self) -> Json {
        let mut fields = JsonMap::new();
        fields.insert("name".into(), self.name.as_str().into());
        put_text(&mut fields, "version", &self.version);
        fields.insert("repository".into(), self.repository.as_str().into());
        put_text(&mut fields, "condition", &self.condition);
        put_list(&mut fields, "tags", self.tags.iter().map(|tag| tag.as_str().into()));
        if self.enabled {
            fields.insert("enabled".into(), true.into());
        }
        put_list(&mut fields, "import-values", self.import_values.iter().map(plain));
        put_text(&mut fields, "alias", &self.alias);
        Json::Object(fields)
    }
}

/// A value of `import-values`, which is a text or a map of texts.
fn plain(value: &Value) -> Json {
    match value {
        Value::Str(text) => text.lossy().into_owned().into(),
        Value::Map(map) => {
            let entries = map.entries().into_iter();
            entries
                .map(|(key, value)| (key.lossy().into_owned(), plain(&value)))
                .collect::<JsonMap<_, _>>()
                .into()
        }
        _ => Json::Null,
    }
}

fn put_text(fields: &mut JsonMap<String, Json>, name: &str, text: &str) {
    if !text.is_empty() {
        fields.insert(name.into(), text.into());
    }
}

fn put_list(fields: &mut JsonMap<String, Json>, name: &str, items: impl Iterator<Item = Json>) {
    let items: Vec<Json> = items.collect();
    if !items.is_empty() {
        fields.insert(name.into(), items.into());
    }
}
