//! The agent's knowledge of a Kustomization beside the object itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lockgate_base::model::ObjectId;
use lockgate_core::pipeline::Memo;

/// How long the build of a Kustomization is kept for the next caller. After a commit, many ask for it within
/// seconds.
const FRESH: Duration = Duration::from_secs(30);

/// The objects of a build.
pub(in crate::agent) type Ids = Arc<HashSet<ObjectId>>;

/// The agent's knowledge of a Kustomization besides the object.
#[derive(Debug, Default)]
pub(in crate::agent) struct Extra {
    pub(super) memo: Option<Arc<Memo>>,
    /// The objects of its build, for other Kustomizations that check them before they delete.
    pub(super) foreseen: Option<ForeseenBuild>,
    /// The current wait, and when it began.
    pub(super) wait: Option<(Aim, Instant)>,
}

/// The objects of a Kustomization's build, for a generation and a revision, and when they were found.
#[derive(Debug)]
pub(super) struct ForeseenBuild {
    of: (i64, String),
    at: Instant,
    ids: Ids,
}

/// The subject of a wait for health. If drift or an input interrupts a wait, the next run continues the same
/// wait in the rest of its time. Otherwise an object that drifts again and again would keep the time limit
/// from ever being reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct Aim {
    pub(in crate::agent) generation: i64,
    pub(in crate::agent) revision: String,
    pub(in crate::agent) requested_at: Option<String>,
}

impl Extra {
    /// How long the same wait has lasted.
    pub(super) fn waited(&self, aim: &Aim, now: Instant) -> Duration {
        match &self.wait {
            Some((of, since)) if of == aim => now.saturating_duration_since(*since),
            _ => Duration::ZERO,
        }
    }

    /// Records that a wait begins or continues.
    pub(super) fn waits(&mut self, aim: &Aim, now: Instant) {
        if self.wait.as_ref().is_none_or(|(of, _)| of != aim) {
            self.wait = Some((aim.clone(), now));
        }
    }

    /// The objects of the build for a generation and a revision, if they were found a moment ago.
    pub(super) fn foreseen(&self, of: &(i64, String), now: Instant) -> Option<Ids> {
        let foreseen = self.foreseen.as_ref()?;
        let is_fresh = foreseen.of == *of && now.saturating_duration_since(foreseen.at) < FRESH;
        is_fresh.then(|| Arc::clone(&foreseen.ids))
    }

    /// Records the objects of a build.
    pub(super) fn foresee(&mut self, of: (i64, String), at: Instant, ids: Ids) {
        self.foreseen = Some(ForeseenBuild { of, at, ids });
    }
}
