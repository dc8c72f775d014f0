//! By which rules the health of an owner's objects is judged.

use super::kinds::{RULES, Rule};

/// The rules by which the objects of one owner are judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Group, kind and rule.
    kinds: &'static [(&'static str, &'static str, Rule)],
}

impl Rules {
    /// Those of kstatus for the built-in kinds.
    pub const BUILT_IN: Self = Self { kinds: &RULES };

    /// The rule of a kind; `None` where it is judged by its Ready condition.
    pub(super) fn of(&self, group: &str, kind: &str) -> Option<Rule> {
        let is_of =
            |(known_group, known_kind, _): &&(&str, &str, Rule)| *known_group == group && *known_kind == kind;
        self.kinds.iter().find(is_of).map(|(_, _, rule)| *rule)
    }
}
