//! The objects, and the log of their changes from which watches are served.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// API group, empty for core.
    pub group: String,
    /// Lower-case plural.
    pub plural: String,
    /// Namespace, empty for kinds without.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// The key of an object.
    pub fn new(group: &str, plural: &str, namespace: &str, name: &str) -> Self {
        Self { group: group.into(), plural: plural.into(), namespace: namespace.into(), name: name.into() }
    }
}

/// A change of an object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The resourceVersion of the change.
    pub version: u64,
    /// Which object.
    pub key: Key,
    /// The object before; `None` where it was made.
    pub before: Option<Arc<Value>>,
    /// The object after; `None` where it has gone.
    pub after: Option<Arc<Value>>,
    /// The object as watches show it, whole and of its metadata alone: several show the same.
    shown: [OnceLock<String>; 2],
}

impl Change {
    fn new(version: u64, key: &Key, before: Option<Arc<Value>>, after: Option<Arc<Value>>) -> Self {
        Self { version, key: key.clone(), before, after, shown: Default::default() }
    }

    /// The object as it was left, or was last. Either is of the version of the change.
    pub fn object(&self) -> Option<&Arc<Value>> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// The object as text, or type and metadata alone.
    pub(crate) fn text(&self, is_partial: bool) -> &str {
        self.shown[usize::from(is_partial)].get_or_init(|| match self.object() {
            Some(object) if is_partial => text(&partial(object)),
            Some(object) => text(object),
            None => String::new(),
        })
    }
}

/// A value as JSON.
pub(crate) fn text(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Type and metadata alone.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// All objects.
#[derive(Debug)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    log: Vec<Arc<Change>>,
    version: u64,
    uids: u64,
    /// Watches from before this version are refused.
    oldest: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), log: Vec::new(), version: 100, uids: 0, oldest: 0 }
    }
}

impl Store {
    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter().map(|(key, object)| (key, &**object))
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Forgets the changes so far, as compaction does: watches from before are answered 410.
    pub(crate) fn compact(&mut self) {
        self.oldest = self.version;
    }

    pub(crate) fn log(&self) -> &[Arc<Change>] {
        &self.log
    }

    pub(crate) fn uid(&mut self) -> String {
        self.uids += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.uids)
    }

    /// Stores an object under a new resourceVersion.
    pub(crate) fn put(&mut self, key: &Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(object);
        let before = self.objects.insert(key.clone(), Arc::clone(&object));
        let after = Some(Arc::clone(&object));
        self.log.push(Arc::new(Change::new(self.version, key, before, after)));
        object
    }

    /// Removes an object.
    pub(crate) fn remove(&mut self, key: &Key) {
        if let Some(last) = self.objects.get(key).cloned() {
            self.remove_as(key, Value::clone(&last));
        }
    }

    /// Removes an object by the write that makes this of it. Returns it as it was last.
    pub(crate) fn remove_as(&mut self, key: &Key, mut last: Value) -> Arc<Value> {
        self.objects.remove(key);
        self.version += 1;
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let last = Arc::new(last);
        let before = Some(Arc::clone(&last));
        self.log.push(Arc::new(Change::new(self.version, key, before, None)));
        last
    }
}
