//! `replicas`: sets the replica count of a workload.

use super::fieldspec::{self, Create, Field};
use super::file::{FieldSpec, Replica};
use super::resmap::ResMap;
use crate::error::{Fault, Result};

/// Sets the replicas of the objects of one name.
#[derive(Debug, Clone)]
pub(crate) struct SetReplicas {
    pub(crate) replica: Replica,
    /// The fields, and so the kinds.
    pub(crate) specs: Vec<FieldSpec>,
}

impl SetReplicas {
    /// Changes the objects that have the name or had it; there must be at least one.
    pub(crate) fn run(&self, map: &mut ResMap) -> Result<()> {
        let mut found = false;
        let named = map.by_any_name(&self.replica.name).to_vec();
        for field in &Field::all(&self.specs) {
            for &at in &named {
                let res = map.content_mut(at);
                let id = res.id();
                let is_meant = res
                    .previous_ids()
                    .chain([id])
                    .any(|id| id.name == self.replica.name && field.spec.gvk_selects(&id));
                if is_meant {
                    found = true;
                    let count = self.replica.count;
                    res.visit([field], Create::Scalar, &mut |value| {
                        fieldspec::set_scalar(value, count.into())
                    })?;
                }
            }
        }
        if found {
            return Ok(());
        }
        let kinds: Vec<&str> = self.specs.iter().map(|spec| spec.kind.as_str()).collect();
        let message = format!("no object of this name is a {}", kinds.join(", "));
        Err(Fault::new(message).in_field(format!("replicas '{}'", self.replica.name)).into())
    }
}
