//! What is known of a Kustomization beside the object itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lockgate_base::model::ObjectId;
use lockgate_core::pipeline::Memo;

/// For how long what a Kustomization builds is kept for the next that asks. One commit has many ask within
/// seconds.
const FRESH: Duration = Duration::from_secs(30);

/// The objects of a build.
pub(in crate::agent) type Ids = Arc<HashSet<ObjectId>>;

/// What is known of a Kustomization beside itself.
#[derive(Debug, Default)]
pub(in crate::agent) struct Extra {
    pub(super) memo: Option<Arc<Memo>>,
    /// What it was found to build, for those that ask before they delete.
    pub(super) foreseen: Option<ForeseenBuild>,
    /// What is waited for, and since when.
    pub(super) wait: Option<(Aim, Instant)>,
}

/// What a Kustomization builds of a generation at a revision, and when that was found.
#[derive(Debug)]
pub(super) struct ForeseenBuild {
    of: (i64, String),
    at: Instant,
    ids: Ids,
}

/// What a wait for health is about. A wait that drift or an input cuts off goes on about the same, in what is
/// left of its time: otherwise an object that drifts again and again would keep the time from ever being up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct Aim {
    pub(in crate::agent) generation: i64,
    pub(in crate::agent) revision: String,
    pub(in crate::agent) requested_at: Option<String>,
}

impl Extra {
    /// How long the same has been waited for.
    pub(super) fn waited(&self, aim: &Aim, now: Instant) -> Duration {
        match &self.wait {
            Some((of, since)) if of == aim => now.saturating_duration_since(*since),
            _ => Duration::ZERO,
        }
    }

    /// Takes note that a wait begins, or goes on.
    pub(super) fn waits(&mut self, aim: &Aim, now: Instant) {
        if self.wait.as_ref().is_none_or(|(of, _)| of != aim) {
            self.wait = Some((aim.clone(), now));
        }
    }

    /// What was found to be built of a generation at a revision, a moment ago.
    pub(super) fn foreseen(&self, of: &(i64, String), now: Instant) -> Option<Ids> {
        let foreseen = self.foreseen.as_ref()?;
        let is_fresh = foreseen.of == *of && now.saturating_duration_since(foreseen.at) < FRESH;
        is_fresh.then(|| Arc::clone(&foreseen.ids))
    }

    /// Takes note of what is built.
    pub(super) fn foresee(&mut self, of: (i64, String), at: Instant, ids: Ids) {
        self.foreseen = Some(ForeseenBuild { of, at, ids });
    }
}
