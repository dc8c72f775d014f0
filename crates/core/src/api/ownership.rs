//! Tells the objects of one applier from those of others. The marks are those of Flux's controller of the
//! kind, so that either can continue with objects that the other has applied.

use serde_json::Value;

use lockgate_base::model::{KindId, Object, Ref};

/// The ownership marks of one kind of appliers, the same for all its objects.
#[derive(Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The kind of the appliers.
    pub kind: KindId,
    /// The label of an applied object that names its applier.
    pub name_label: &'static str,
    /// The label that names the applier's namespace.
    pub namespace_label: &'static str,
    /// The field manager of applied objects.
    pub manager: &'static str,
    /// The field managers of other tools that write the applier's objects in its place. Their edits are
    /// undone.
    pub stand_ins: &'static [&'static str],
    /// The finalizer of the applier itself. It keeps the applier until its objects are deleted or released.
    pub finalizer: &'static str,
}

impl Ownership {
    /// The applier that the labels of an object name.
    pub fn owner_of(&self, object: &Object) -> Option<Ref> {
        Some(Ref::new(self.kind, object.label(self.namespace_label)?, object.label(self.name_label)?))
    }

    /// Labels an object with its applier.
    pub fn label(&self, object: &mut Object, namespace: &str, name: &str) {
        object.set_label(self.name_label, name);
        object.set_label(self.namespace_label, namespace);
    }

    /// Whether a field manager is a tool that writes the applier's objects in its place.
    pub fn is_stand_in(&self, manager: &str) -> bool {
        self.stand_ins.contains(&manager)
    }

    /// Whether an entry of `metadata.managedFields` was left by an apply of this kind.
    pub fn is_own(&self, entry: &Value) -> bool {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        text("manager") == self.manager && text("operation") == "Apply" && text("subresource").is_empty()
    }
}
