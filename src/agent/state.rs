//! The state of the agent for the probes: whether it can work at present.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::metrics::Metrics;
use crate::web::Probes;

/// The obstacles to the agent's work.
#[derive(Debug)]
pub(super) struct Obstacles {
    problems: Mutex<BTreeMap<&'static str, String>>,
    metrics: Arc<Metrics>,
}

impl Obstacles {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { problems: Mutex::default(), metrics }
    }

    /// Records whether the API server answers in one matter, for example the watch of a kind.
    pub(super) fn reachable(&self, matter: &'static str, problem: Option<String>) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => problems.insert(matter, problem),
            None => problems.remove(matter),
        };
    }

    /// Records that the agent is a standby: it watches nothing, so no watch has a problem. A standby is
    /// ready.
    pub(super) fn stands_by(&self) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Probes for Obstacles {
    fn not_ready(&self) -> Option<String> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.iter().next().map(|(matter, problem)| format!("{matter}: {problem}"))
    }

    fn metrics(&self) -> String {
        self.metrics.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_watch_met_is_no_problem_of_a_standby() {
        let state = Obstacles::new(Arc::new(Metrics::new()));
        for kind in ["Kustomization", "Secret"] {
            state.reachable(kind, Some("no answer".into()));
        }
        assert_eq!(state.not_ready().as_deref(), Some("Kustomization: no answer"));
        state.reachable("Kustomization", None);
        assert_eq!(state.not_ready().as_deref(), Some("Secret: no answer"));
        state.stands_by();
        assert_eq!(state.not_ready(), None);
    }
}
