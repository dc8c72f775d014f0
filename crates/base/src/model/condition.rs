//! `metav1.Condition`, and the list of them that a status holds.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// The status is not known yet.
    Unknown,
}

/// One condition of an object's status, in the wire form of `metav1.Condition`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The type, for example `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// The generation that the condition is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
    /// A CamelCase word.
    pub reason: String,
    /// For people; at most 32768 characters (`metav1.Condition`).
    pub message: String,
}

/// Conditions in the order in which they are written. Each type occurs at most once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// The condition of a type.
    pub fn get(&self, kind: &str) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.kind == kind)
    }

    /// Sets a condition. `lastTransitionTime` stays if the status is unchanged.
    pub fn set(&mut self, mut condition: Condition) {
        match self.0.iter_mut().find(|old| old.kind == condition.kind) {
            Some(old) => {
                if old.status == condition.status {
                    condition.last_transition_time = old.last_transition_time;
                }
                *old = condition;
            }
            None => self.0.push(condition),
        }
    }

    /// Removes a condition.
    pub fn remove(&mut self, kind: &str) {
        self.0.retain(|condition| condition.kind != kind);
    }

    /// All conditions.
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter()
    }
}

impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        let mut result = Self::default();
        for condition in conditions {
            result.set(condition);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: ConditionStatus, at: i64) -> Condition {
        Condition {
            kind: "Ready".into(),
            status,
            observed_generation: Some(1),
            last_transition_time: Timestamp::from_unix(at),
            reason: "R".into(),
            message: at.to_string(),
        }
    }

    #[test]
    fn the_transition_time_moves_with_the_status_only() {
        let mut conditions = Conditions::default();
        conditions.set(ready(ConditionStatus::True, 1));
        conditions.set(ready(ConditionStatus::True, 2));
        let kept = conditions.get("Ready").unwrap();
        assert_eq!((kept.last_transition_time.unix(), kept.message.as_str()), (1, "2"));
        conditions.set(ready(ConditionStatus::False, 3));
        assert_eq!(conditions.get("Ready").unwrap().last_transition_time.unix(), 3);
    }
}
