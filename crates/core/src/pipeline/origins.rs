//! The file of the tree that an object comes from.

use std::collections::HashMap;

use lockgate_base::model::ObjectId;

/// The files of objects. A kind may turn out to have no namespace, and then the object has lost the one that
/// it had in Git.
#[derive(Debug, Default)]
pub(super) struct ObjectOrigins(HashMap<ObjectId, String>);

impl ObjectOrigins {
    /// Takes note of an object as Git has it.
    pub(super) fn insert(&mut self, id: ObjectId, origin: String) {
        if !origin.is_empty() {
            self.0.insert(id, origin);
        }
    }

    /// The path of an object's file in the tree; empty if it is unknown.
    pub(super) fn of(&self, id: &ObjectId) -> &str {
        let is_it = |known: &ObjectId| ObjectId { namespace: String::new(), ..known.clone() } == *id;
        let by_name = || self.0.iter().find(|(known, _)| is_it(known)).map(|(_, origin)| origin);
        self.0.get(id).or_else(by_name).map(String::as_str).unwrap_or_default()
    }
}
