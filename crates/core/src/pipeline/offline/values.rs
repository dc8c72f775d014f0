//! The places where values to substitute are looked up without a cluster.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::error::LocatedObject;
use crate::pipeline::gather::ByHand;
use crate::pipeline::ports::{ApiFailure, Data, DataKind, Lookup};
use lockgate_base::model::{Object, Secret};

/// Values to substitute. The namespace of an object counts only if the object has one.
#[derive(Debug, Clone, Default)]
pub struct SubstituteValues {
    /// ConfigMaps and Secrets that the caller gives. The last one of a name wins.
    pub given: Vec<Object>,
    /// The objects that were built before. The last one of a name is used if the caller gives none.
    pub built: Vec<Object>,
    /// The objects in the tree, the last resort. The one whose file is nearest to the Kustomization's file
    /// wins.
    pub tree: Vec<LocatedObject>,
    /// Single values.
    pub by_hand: ByHand,
}

/// A lookup that finds nothing.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Lookup for Nowhere {
    async fn data(&self, _: DataKind, _: &str, _: &str) -> Result<Option<Data>, ApiFailure> {
        Ok(None)
    }
}

/// Looks values up for one Kustomization.
pub(super) struct Nearby<'v, L> {
    pub(super) values: &'v SubstituteValues,
    /// The Kustomization's file.
    pub(super) near: &'v str,
    /// The lookup that comes before the tree.
    pub(super) elsewhere: &'v L,
    /// Messages about the places where values were found.
    told: Mutex<Vec<String>>,
}

impl<'v, L> Nearby<'v, L> {
    pub(super) const fn new(values: &'v SubstituteValues, near: &'v str, elsewhere: &'v L) -> Self {
        Self { values, near, elsewhere, told: Mutex::new(Vec::new()) }
    }

    /// A line for each object that came from another part of the tree than the Kustomization.
    pub(super) fn into_told(self) -> Vec<String> {
        self.told.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Lookup> Lookup for Nearby<'_, L> {
    async fn data(&self, kind: DataKind, namespace: &str, name: &str) -> Result<Option<Data>, ApiFailure> {
        let is_wanted = |object: &&Object| is_named(object, kind, namespace, name);
        let SubstituteValues { given, built, tree, .. } = self.values;
        if let Some(known) = data_in(built.iter().chain(given), kind, namespace, name) {
            return Ok(Some(known));
        }
        if let Some(found) = self.elsewhere.data(kind, namespace, name).await? {
            return Ok(Some(found));
        }
        let Some(found) = nearest(tree.iter().filter(|found| is_wanted(&&found.object)), self.near) else {
            return Ok(None);
        };
        let folder = found.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !is_around(folder, self.near) {
            let line = format!(
                "{kind}/{name} is read from {}, since no build here contains it; the cluster may have \
                 another one",
                found.file
            );
            self.told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
        Ok(Some(data(&found.object)))
    }
}

/// Whether a folder holds the file, directly or further down.
fn is_around(folder: &str, file: &str) -> bool {
    folder.is_empty() || file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The candidate whose folder shares most with `near`, since a repository may hold one object of a name for
/// each cluster. If two different candidates are equally near, the result is `None`, since the choice would
/// be a guess.
pub(super) fn nearest<'v>(
    candidates: impl Iterator<Item = &'v LocatedObject>,
    near: &str,
) -> Option<&'v LocatedObject> {
    let mut best: (usize, Vec<&LocatedObject>) = (0, Vec::new());
    for found in candidates {
        let shared = near.split('/').zip(found.file.split('/')).take_while(|(a, b)| a == b).count();
        if shared > best.0 {
            best = (shared, vec![found]);
        } else if shared == best.0 && best.1.iter().all(|known| known.object != found.object) {
            best.1.push(found);
        }
    }
    match best.1.as_slice() {
        [found] => Some(found),
        _ => None,
    }
}

fn is_named(object: &Object, kind: DataKind, namespace: &str, name: &str) -> bool {
    let id = object.id();
    id.kind == kind.to_string() && id.name == name && (id.namespace.is_empty() || id.namespace == namespace)
}

/// The data of a ConfigMap or Secret among objects; the last one of a name counts.
pub fn data_in<'o>(
    objects: impl DoubleEndedIterator<Item = &'o Object>,
    kind: DataKind,
    namespace: &str,
    name: &str,
) -> Option<Data> {
    objects.rev().find(|object| is_named(object, kind, namespace, name)).map(data)
}

/// `data`, decoded if the object is a Secret, with `stringData` over it.
pub(super) fn data(object: &Object) -> Data {
    let is_secret = object.kind() == "Secret";
    let entries = |field: &str| object.pointer(field).and_then(Value::as_object).into_iter().flatten();
    let mut data = Data::new();
    for (name, value) in entries("/data") {
        let Some(text) = value.as_str() else { continue };
        let bytes = if is_secret { STANDARD.decode(text).unwrap_or_default() } else { text.into() };
        data.insert(name.clone(), Secret::new(bytes));
    }
    for (name, value) in entries("/stringData") {
        data.extend(value.as_str().map(|text| (name.clone(), Secret::new(text.as_bytes().to_vec()))));
    }
    data
}
