//! By which rules the health of an owner's objects is judged.

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
    /// The kinds that nothing acts on.
    idle: BTreeSet<KindId>,
}

impl HealthRules {
    /// The rules of kstatus for the built-in kinds; something acts on every kind.
    pub const BUILT_IN: Self = Self { kinds: &RULES, idle: BTreeSet::new() };

    /// The built-in ones, on a cluster where nothing acts on these kinds.
    pub const fn beside(idle: BTreeSet<KindId>) -> Self {
        Self { kinds: &RULES, idle }
    }

    /// Whether nothing acts on a kind.
    pub fn is_idle(&self, group: &str, kind: &str) -> bool {
        self.idle.iter().any(|id| (id.group, id.kind) == (group, kind))
    }

    /// What counts of the health of an object that was judged by its status alone: an object that nothing
    /// acts on is well, whatever its status says, since nothing will ever change that.
    pub fn counted(&self, group: &str, kind: &str, health: Health) -> Health {
        match health {
            Health::Current | Health::NotFound | Health::Terminating(_) => health,
            Health::InProgress(_) | Health::Failed(_) => {
                let is_well = self.is_idle(group, kind) || is_silent(group, kind);
                if is_well { Health::Current } else { health }
            }
        }
    }

    /// The rule of a kind; `None` where it is judged by its Ready condition.
    pub(super) fn of(&self, group: &str, kind: &str) -> Option<KindHealth> {
        let is_of = |(known_group, known_kind, _): &&(&str, &str, KindHealth)| {
            *known_group == group && *known_kind == kind
        };
        self.kinds.iter().find(is_of).map(|(_, _, rule)| *rule)
    }
}

/// Whether not even its controller writes the status of a kind of Flux (since v1beta3 that of an Alert and of
/// a Provider). What an older one wrote there is never written again.
fn is_silent(group: &str, kind: &str) -> bool {
    let info = KINDS.iter().find(|info| (info.id.group, info.id.kind) == (group, kind));
    info.is_some_and(|info| !info.columns.contains(&Column::READY))
}
