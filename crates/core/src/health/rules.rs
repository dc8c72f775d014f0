//! The rules by which the health of an owner's objects is judged.

use std::collections::BTreeSet;

use super::kinds::{KindHealth, RULES};
use super::state::Health;
use crate::api::{Column, KINDS};
use lockgate_base::model::KindId;

/// The rules by which the objects of one owner are judged.
#[derive(Debug, Clone)]
pub struct HealthRules {
    /// Group, kind and rule.
    kinds: &'static [(&'static str, &'static str, KindHealth)],
    /// The kinds that no controller acts on.
    idle: BTreeSet<KindId>,
}

impl HealthRules {
    /// The rules of kstatus for the built-in kinds, on a cluster where every kind has a controller.
    pub const BUILT_IN: Self = Self { kinds: &RULES, idle: BTreeSet::new() };

    /// The built-in rules, on a cluster where no controller acts on the `idle` kinds.
    pub const fn beside(idle: BTreeSet<KindId>) -> Self {
        Self { kinds: &RULES, idle }
    }

    /// Whether no controller acts on a kind.
    pub fn is_idle(&self, group: &str, kind: &str) -> bool {
        self.idle.iter().any(|id| (id.group, id.kind) == (group, kind))
    }

    /// The health that counts for an object, given the health that its status shows. An object that no
    /// controller acts on is healthy whatever its status says, since nothing will ever change that status.
    pub fn counted(&self, group: &str, kind: &str, health: Health) -> Health {
        match health {
            Health::Current | Health::NotFound | Health::Terminating(_) => health,
            Health::InProgress(_) | Health::Failed(_) => {
                let is_well = self.is_idle(group, kind) || is_silent(group, kind);
                if is_well { Health::Current } else { health }
            }
        }
    }

    /// The rule of a kind; `None` for a kind that is judged by its Ready condition.
    pub(super) fn of(&self, group: &str, kind: &str) -> Option<KindHealth> {
        let is_of = |(known_group, known_kind, _): &&(&str, &str, KindHealth)| {
            *known_group == group && *known_kind == kind
        };
        self.kinds.iter().find(is_of).map(|(_, _, rule)| *rule)
    }
}

/// Whether not even the controller of Flux writes the status of a kind (since v1beta3 that of an Alert and of
/// a Provider). A status that an older controller wrote there is never updated.
fn is_silent(group: &str, kind: &str) -> bool {
    let info = KINDS.iter().find(|info| (info.id.group, info.id.kind) == (group, kind));
    info.is_some_and(|info| !info.columns.contains(&Column::READY))
}
