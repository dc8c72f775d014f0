//! Whether the agent can work at present, for the probes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::metrics::Metrics;
use crate::web::Probes;

/// What stands in the way of working.
#[derive(Debug)]
pub(super) struct State {
    problems: Mutex<BTreeMap<&'static str, String>>,
    metrics: Arc<Metrics>,
}

impl State {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { problems: Mutex::default(), metrics }
    }

    /// Notes whether the API server answers in one matter, for example the watch of a kind.
    pub(super) fn reachable(&self, matter: &'static str, problem: Option<String>) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => problems.insert(matter, problem),
            None => problems.remove(matter),
        };
    }
}

impl Probes for State {
    fn not_ready(&self) -> Option<String> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.iter().next().map(|(matter, problem)| format!("{matter}: {problem}"))
    }

    fn metrics(&self) -> String {
        self.metrics.text()
    }
}
