//! The object of ours that a status, a finalizer or an event is about.

use std::collections::BTreeMap;

use lockgate_base::keys;
use lockgate_base::model::Ref;
use lockgate_core::api::{self, Metadata};

/// The object that is written about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) key: Ref,
    pub(super) uid: String,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    /// The annotations of the object that its events carry as well.
    pub(super) notes: BTreeMap<String, String>,
}

impl Subject {
    pub(super) fn of(key: &Ref, metadata: &Metadata) -> Self {
        let info = api::info(key.kind);
        let notes = metadata.annotations.iter().filter(|(name, _)| name.starts_with(keys::EVENT_METADATA));
        Self {
            key: key.clone(),
            uid: metadata.uid.clone(),
            notes: notes.map(|(name, value)| (name.clone(), value.clone())).collect(),
            group: key.kind.group,
            version: info.map_or("", |info| info.versions[0]),
            kind: key.kind.kind,
            plural: info.map_or("", |info| info.plural),
        }
    }
}
