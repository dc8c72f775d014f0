//! The result of a render: objects in their order, each once.

use std::collections::HashMap;

use super::error::{Fault, RenderError, Result};
use lockgate_base::model::{Object, ObjectId};
use lockgate_base::tree::Footprint;

/// An object and its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedObject {
    /// The object.
    pub object: Object,
    /// The path of its file in the tree.
    pub origin: String,
    /// Whether a variable from a Secret was substituted in it.
    pub holds_secret: bool,
}

/// Objects in their order, each once.
#[derive(Debug, Clone, Default)]
pub struct ResourceSet {
    resources: Vec<RenderedObject>,
    /// The files and paths that were read: a tree that answers the same renders the same.
    pub footprint: Footprint,
    /// Warnings.
    pub warnings: Vec<String>,
}

impl ResourceSet {
    /// Takes objects with distinct identities on a cluster. Two objects with the same identity are reported
    /// with both files.
    pub fn new(resources: Vec<RenderedObject>, footprint: Footprint, warnings: Vec<String>) -> Result<Self> {
        let mut seen: HashMap<ObjectId, &RenderedObject> = HashMap::with_capacity(resources.len());
        let mut faults = Vec::new();
        for resource in &resources {
            let id = resource.object.id();
            match seen.get(&id) {
                Some(first) => {
                    let message = if first.origin == resource.origin {
                        format!(
                            "may not add resource with an already registered id: it is defined twice in {}",
                            first.origin
                        )
                    } else {
                        format!(
                            "may not add resource with an already registered id: it is defined in {} and again in {}",
                            first.origin, resource.origin
                        )
                    };
                    faults.push(Fault::new(message).on_object(id.subject()));
                }
                None => {
                    seen.insert(id, resource);
                }
            }
        }
        match RenderError::of(faults) {
            Some(error) => Err(error),
            None => Ok(Self { resources, footprint, warnings }),
        }
    }

    /// The objects in their order.
    #[must_use]
    pub fn resources(&self) -> &[RenderedObject] {
        &self.resources
    }

    /// The objects, by value.
    #[must_use]
    pub fn into_resources(self) -> Vec<RenderedObject> {
        self.resources
    }

    /// The number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_that_is_there_twice_is_named_with_both_files() {
        let resource = |version: &str, origin: &str| RenderedObject {
            object: Object::parse(json!({"apiVersion": version, "kind": "K", "metadata": {"name": "a"}}))
                .unwrap(),
            origin: origin.into(),
            holds_secret: false,
        };
        let resources =
            vec![resource("x/v1", "a.yaml"), resource("x/v2", "b.yaml"), resource("y/v1", "c.yaml")];
        let error = ResourceSet::new(resources, Footprint::default(), Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "K/a: may not add resource with an already registered id: it is defined in a.yaml and again in b.yaml"
        );
    }
}
