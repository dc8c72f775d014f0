//! The objects of earlier stages that later stages rely on. With them a stage can be planned before the
//! earlier ones are applied.

use std::collections::{HashMap, HashSet};

use super::cause::Cause;
use super::stages::{Stage, is_definition};
use super::step::Step;
use lockgate_base::model::Object;

/// The kinds and the namespaces that do not exist yet, and will exist once the earlier stages are applied.
#[derive(Debug, Clone, Default)]
pub struct Foreseen {
    /// Group and kind, and whether the kind is cluster-scoped.
    kinds: HashMap<(String, String), bool>,
    namespaces: HashSet<String>,
}

impl Foreseen {
    /// Records the kinds and namespaces that a stage will create.
    pub fn learn(&mut self, stage: &Stage) {
        for object in stage.entries.iter().filter(|entry| entry.step.writes()).map(|entry| &entry.object) {
            if is_definition(&object.id()) {
                self.learn_kind(object);
            } else if (object.group(), object.kind()) == ("", "Namespace") {
                self.namespaces.insert(object.name().to_owned());
            }
        }
    }

    /// Records the kind of a CustomResourceDefinition.
    pub fn learn_kind(&mut self, definition: &Object) {
        let text = |pointer| definition.text(pointer).unwrap_or_default().to_owned();
        let is_cluster_wide = text("/spec/scope") == "Cluster";
        self.kinds.insert((text("/spec/group"), text("/spec/names/kind")), is_cluster_wide);
    }

    /// Adds the records of others.
    pub fn extend(&mut self, others: Self) {
        self.kinds.extend(others.kinds);
        self.namespaces.extend(others.namespaces);
    }

    /// Whether a kind will exist and be cluster-scoped.
    pub fn is_cluster_wide(&self, group: &str, kind: &str) -> bool {
        self.kinds.get(&(group.to_owned(), kind.to_owned())).copied().unwrap_or_default()
    }

    /// Plans a creation for each object that is refused only because the earlier stages are not applied yet.
    /// The server's further objections to it stay unknown.
    pub fn admit(&self, stage: &mut Stage) {
        for entry in &mut stage.entries {
            let Step::Refuse(refusal) = &entry.step else { continue };
            let comes = match &refusal.cause {
                Cause::UnknownKind(gvk) => self.kinds.contains_key(&(gvk.group.clone(), gvk.kind.clone())),
                Cause::NamespaceMissing(namespace) => self.namespaces.contains(namespace),
                _ => false,
            };
            if comes {
                entry.step = Step::Create;
            }
        }
    }
}
