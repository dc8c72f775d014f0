//! Fights: objects that somebody changes each time after their drift is corrected. Everything known about a
//! fight is kept here: the number of corrections, who changed the object, and which fields.

use std::collections::BTreeMap;
use std::time::Duration;

use super::order::Rivalry;
use super::pace;
use super::signal::Correction;
use lockgate_base::model::ObjectId;

/// How many corrections of one object are made without delay.
const CORRECTIONS_AT_ONCE: u32 = 4;
/// Corrections further apart than this are no fight.
const WINDOW: Duration = Duration::from_mins(1);

/// The fights over the objects of one owner.
#[derive(Debug)]
pub(super) struct Fights(BTreeMap<ObjectId, Fight>);

#[derive(Debug)]
struct Fight {
    corrections: u32,
    last: Duration,
    rivalry: Rivalry,
}

/// When a drifted object is corrected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PutBack {
    /// At once.
    Now,
    /// Later, since it was corrected too often recently.
    After {
        /// The delay.
        delay: Duration,
        /// The details of the fight, if it has just begun: that is worth an event.
        begun: Option<Rivalry>,
    },
}

impl Fights {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Handles the drift of an object, caused by the field manager `by` if it is known.
    pub(super) fn drifted(
        &mut self,
        object: &ObjectId,
        by: Option<String>,
        now: Duration,
        interval: Duration,
    ) -> PutBack {
        // The pause grows with the fight, so its window must grow as well.
        let window = |fight: &Fight| WINDOW.max(pause(fight.corrections, interval) * 2);
        self.0.retain(|_, fight| now.saturating_sub(fight.last) <= window(fight));
        let new = || Fight { corrections: 0, last: now, rivalry: Rivalry::default() };
        let fight = self.0.entry(object.clone()).or_insert_with(new);
        fight.corrections += 1;
        fight.last = now;
        fight.rivalry.managers.extend(by);
        if fight.corrections <= CORRECTIONS_AT_ONCE {
            return PutBack::Now;
        }
        let is_first = fight.corrections == CORRECTIONS_AT_ONCE + 1;
        PutBack::After {
            delay: pause(fight.corrections, interval),
            begun: is_first.then(|| std::mem::take(&mut fight.rivalry)),
        }
    }

    /// Records corrections. Objects that nobody had changed are not part of a fight.
    pub(super) fn corrected(&mut self, corrections: Vec<Correction>) {
        for correction in corrections {
            if let Some(fight) = self.0.get_mut(&correction.object) {
                fight.rivalry.fields.extend(correction.fields);
                fight.rivalry.deleted |= correction.deleted;
            }
        }
    }
}

/// The pause before a correction: none for the first corrections, then doubling up to the interval, if there
/// is one.
fn pause(corrections: u32, interval: Duration) -> Duration {
    let Some(over) = corrections.checked_sub(CORRECTIONS_AT_ONCE + 1) else { return Duration::ZERO };
    Duration::from_secs(2 << over.min(20)).min(pace::spaced(interval).unwrap_or(WINDOW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fight_that_is_over_is_forgotten() {
        let mut fights = Fights::new();
        let interval = Duration::from_mins(10);
        for number in 0..10 {
            let object = format!("n_map-{number}__ConfigMap").parse().unwrap();
            fights.drifted(&object, None, Duration::from_secs(number), interval);
        }
        assert_eq!(fights.0.len(), 10);
        let last = "n_last__ConfigMap".parse().unwrap();
        fights.drifted(&last, None, WINDOW + Duration::from_secs(6), interval);
        assert_eq!(fights.0.len(), 5, "{fights:?}");
    }

    #[test]
    fn who_changed_an_object_long_ago_is_not_who_changes_it_now() {
        let (mut fights, mine) = (Fights::new(), "n_a__ConfigMap".parse().unwrap());
        let mut told = None;
        for (manager, seconds) in
            [("january", 0), ("june", 150), ("june", 151), ("june", 152), ("june", 153), ("june-too", 200)]
        {
            let put_back = fights.drifted(&mine, Some(manager.into()), Duration::from_secs(seconds), WINDOW);
            if let PutBack::After { begun, .. } = put_back {
                told = begun;
            }
        }
        let managers: Vec<String> = told.unwrap().managers.into_iter().collect();
        assert_eq!(managers, ["june", "june-too"]);
    }

    #[test]
    fn a_fight_is_told_with_all_that_was_put_back_until_then() {
        let mut fights = Fights::new();
        let (mine, other): (ObjectId, ObjectId) =
            ("n_mine__ConfigMap".parse().unwrap(), "n_other__ConfigMap".parse().unwrap());
        let corrected = |object: &ObjectId, fields: &[&str], deleted| Correction {
            object: object.clone(),
            fields: fields.iter().map(ToString::to_string).collect(),
            deleted,
        };
        let mut told = None;
        for (second, by) in
            [(1, Some("hpa")), (2, None), (3, Some("hpa")), (4, Some("kubectl-edit")), (5, None)]
        {
            let put_back = fights.drifted(&mine, by.map(Into::into), Duration::from_secs(second), WINDOW);
            assert!(told.is_none(), "told before it is a fight");
            if let PutBack::After { begun, .. } = put_back {
                told = begun;
            }
            fights.corrected(vec![
                corrected(&mine, &["spec.replicas"], second == 2),
                corrected(&other, &["data.x"], true),
            ]);
        }
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let expected = Rivalry {
            managers: names(&["hpa", "kubectl-edit"]),
            fields: names(&["spec.replicas"]),
            deleted: true,
        };
        assert_eq!(told, Some(expected));
        let put_back = fights.drifted(&mine, None, Duration::from_secs(6), WINDOW);
        assert!(matches!(put_back, PutBack::After { begun: None, .. }), "told once");
    }
}
