//! Reads: one object, a list, and what a watch shows.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::Kind;
use super::route::Route;
use super::store::{Change, Key, partial};

/// What is asked for of a set of objects.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) group: String,
    pub(crate) plural: String,
    namespace: String,
    labels: Vec<(String, Option<String>)>,
    name: Option<String>,
    /// Whether type and metadata are all that is asked for.
    metadata: bool,
}

impl Selection {
    pub(crate) fn new(route: &Route, accept: &str) -> Self {
        let labels = route.asks("labelSelector").unwrap_or_default();
        let one = |part: &str| match part.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.trim_start_matches('=').to_owned())),
            None => (part.to_owned(), None),
        };
        let name = route.asks("fieldSelector").and_then(|fields| fields.strip_prefix("metadata.name="));
        Self {
            group: route.group.clone(),
            plural: route.plural.clone(),
            namespace: route.namespace.clone(),
            labels: labels.split(',').filter(|part| !part.is_empty()).map(one).collect(),
            name: name.map(str::to_owned),
            metadata: is_partial(accept),
        }
    }

    pub(crate) fn holds(&self, key: &Key, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let has = |(name, value): &(String, Option<String>)| match (labels.get(name), value) {
            (Some(known), Some(value)) => known == value,
            (known, None) => known.is_some(),
            (None, Some(_)) => false,
        };
        key.group == self.group
            && key.plural == self.plural
            && (self.namespace.is_empty() || key.namespace == self.namespace)
            && self.name.as_ref().is_none_or(|name| key.name == *name)
            && self.labels.iter().all(has)
    }

    /// The watch event of a change; `None` where the change is none of what is watched.
    pub(crate) fn event(&self, change: &Arc<Change>) -> Option<Event> {
        let holds = |object: &Option<Arc<Value>>| {
            object.as_deref().is_some_and(|object| self.holds(&change.key, object))
        };
        let kind = match (holds(&change.before), holds(&change.after)) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(Event { change: Arc::clone(change), kind, is_partial: self.metadata })
    }

    pub(crate) fn bookmark(kind: &Kind, version: u64) -> String {
        json!({"type": "BOOKMARK", "object": {"kind": kind.kind, "apiVersion": kind.api_version(),
            "metadata": {"resourceVersion": version.to_string(), "creationTimestamp": null}}})
        .to_string()
            + "\n"
    }

    pub(crate) fn show(&self, object: &Arc<Value>) -> Arc<Value> {
        if self.metadata { Arc::new(partial(object)) } else { Arc::clone(object) }
    }

    /// The list of these objects.
    pub(crate) fn list<'o>(
        &self,
        kind: &Kind,
        objects: impl Iterator<Item = (&'o Key, &'o Value)>,
        version: u64,
    ) -> Value {
        let items: Vec<Value> = objects
            .filter(|(key, object)| self.holds(key, object))
            .map(|(_, object)| if self.metadata { partial(object) } else { object.clone() })
            .collect();
        let (list, api_version) = if self.metadata {
            ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned())
        } else {
            (format!("{}List", kind.kind), kind.api_version())
        };
        json!({"kind": list, "apiVersion": api_version, "metadata": {"resourceVersion": version.to_string()},
            "items": items})
    }
}

/// Whether type and metadata are all that is asked for.
pub(crate) fn is_partial(accept: &str) -> bool {
    accept.contains("as=PartialObjectMetadata")
}

/// What a watch shows of a change.
#[derive(Debug)]
pub struct Event {
    /// The change.
    pub change: Arc<Change>,
    kind: &'static str,
    is_partial: bool,
}

impl Event {
    /// A line of the watch's answer.
    pub fn line(&self) -> String {
        let object = self.change.text(self.is_partial);
        format!("{{\"type\":\"{}\",\"object\":{object}}}\n", self.kind)
    }
}
