//! What the stages of a build bring for those that come after them: a stage can be planned before the one
//! that it stands on is applied.

use std::collections::{HashMap, HashSet};

use super::cause::Cause;
use super::stages::{Stage, is_definition};
use super::step::Step;

/// The kinds and the namespaces that are not there yet, and will be once the stages before are applied.
#[derive(Debug, Clone, Default)]
pub struct Foreseen {
    /// Group and kind, and whether there is one of a name in the whole cluster.
    kinds: HashMap<(String, String), bool>,
    namespaces: HashSet<String>,
}

impl Foreseen {
    /// Takes note of what a stage will have brought once it is applied.
    pub fn learn(&mut self, stage: &Stage) {
        for object in stage.entries.iter().filter(|entry| entry.step.writes()).map(|entry| &entry.object) {
            if is_definition(&object.id()) {
                let text = |pointer| object.text(pointer).unwrap_or_default().to_owned();
                let is_cluster_wide = text("/spec/scope") == "Cluster";
                self.kinds.insert((text("/spec/group"), text("/spec/names/kind")), is_cluster_wide);
            } else if (object.group(), object.kind()) == ("", "Namespace") {
                self.namespaces.insert(object.name().to_owned());
            }
        }
    }

    /// Takes in what others will have brought.
    pub fn extend(&mut self, others: Self) {
        self.kinds.extend(others.kinds);
        self.namespaces.extend(others.namespaces);
    }

    /// Whether a kind will be there whose objects live in no namespace.
    pub fn is_cluster_wide(&self, group: &str, kind: &str) -> bool {
        self.kinds.get(&(group.to_owned(), kind.to_owned())).copied().unwrap_or_default()
    }

    /// Plans the creation of what is refused only because the stages before are not applied yet. What the
    /// server would say of it otherwise is not known.
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
