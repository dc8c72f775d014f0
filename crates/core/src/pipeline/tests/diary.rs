//! A journal that can be read back.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::fake::Fake;
use crate::api::{InventoryEntry, Kustomization};
use crate::pipeline::{Candidate, Claim, Claims, Hold, Journal, JournalError, News, Slot, Waiter};
use crate::verdict::Ill;
use lockgate_base::model::ObjectId;

/// The journal.
#[derive(Debug, Default)]
pub(super) struct Diary {
    recorded: Mutex<Vec<String>>,
    /// When the slot is given back, and when it is taken again.
    log: Arc<Mutex<Vec<String>>>,
    written: AtomicBool,
    pending: Mutex<Vec<String>>,
    fails: bool,
    /// The objects of other owners.
    claims: Mutex<Vec<(HashSet<ObjectId>, Claim)>>,
    /// An object, and one that depends on it.
    dependents: Vec<(ObjectId, ObjectId)>,
}

impl Diary {
    /// Has another Kustomization of the namespace hold an object, or be about to.
    pub(super) fn claim(&self, id: &str, holder: &str, awaited: bool) {
        let holder = Kustomization::named("flux-system", holder);
        let held = HashSet::from([id.parse().unwrap()]);
        self.claims.lock().unwrap().push((held, Claim { holder, hold: Hold::Itself, awaited }));
    }

    /// Has another Kustomization of the namespace need an object.
    pub(super) fn need(&self, id: &str, holder: &str) {
        let holder = Kustomization::named("flux-system", holder);
        let needed = HashSet::from([id.parse().unwrap()]);
        self.claims.lock().unwrap().push((needed, Claim { holder, hold: Hold::Needed, awaited: false }));
    }

    /// Has an object depend on another.
    pub(super) fn depends(mut self, dependent: &str, on: &str) -> Self {
        self.dependents.push((on.parse().unwrap(), dependent.parse().unwrap()));
        self
    }

    pub(super) fn failing() -> Self {
        Self { fails: true, ..Self::default() }
    }

    /// With one log for the slot and for a cluster's writes.
    pub(super) fn beside(fake: &Fake) -> Self {
        Self { log: fake.lines(), ..Self::default() }
    }

    /// Takes note of a line.
    pub(super) fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }

    /// The ids that were recorded last.
    pub(super) fn recorded(&self) -> Vec<String> {
        self.recorded.lock().unwrap().clone()
    }

    /// The last reported reasons of a wait.
    pub(super) fn pending(&self) -> Vec<String> {
        self.pending.lock().unwrap().clone()
    }

    /// Whether the slot was given back.
    pub(super) fn waits(&self) -> bool {
        self.log.lock().unwrap().iter().any(|line| line == "waits")
    }

    /// Whether all was written that was to be.
    pub(super) fn written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
    }
}

impl Slot for Diary {
    fn waits(&self) {
        self.log.lock().unwrap().push("waits".into());
    }

    async fn resumes(&self) {
        self.log.lock().unwrap().push("resumes".into());
    }
}

impl Claims for Diary {
    async fn claimed(&self, candidates: &[Candidate]) -> Vec<Option<Claim>> {
        let claims = self.claims.lock().unwrap();
        let of = |candidate: &Candidate| {
            claims.iter().find(|(held, _)| candidate.hold(held).is_some()).map(|(_, claim)| claim.clone())
        };
        candidates.iter().map(of).collect()
    }

    fn dependents(&self, id: &ObjectId) -> Vec<ObjectId> {
        let of = |(on, dependent): &(ObjectId, ObjectId)| (on == id).then(|| dependent.clone());
        self.dependents.iter().filter_map(of).collect()
    }
}

impl Journal for Diary {
    async fn begin(&self, inventory: Vec<InventoryEntry>) -> Result<(), JournalError> {
        if self.fails {
            return Err(JournalError::Unavailable("no server".into()));
        }
        *self.recorded.lock().unwrap() = inventory.into_iter().map(|entry| entry.id).collect();
        Ok(())
    }

    fn tell(&self, news: &News) {
        let lines = match news {
            News::Idle(objects) => {
                let subjects: Vec<String> = objects.iter().map(ObjectId::subject).collect();
                vec![format!("idle {}", subjects.join(" "))]
            }
            News::Recreated(lines) => lines.iter().map(|line| format!("forced {line}")).collect(),
            News::Kept(lines) => lines.iter().map(|line| format!("kept {line}")).collect(),
        };
        self.log.lock().unwrap().extend(lines);
    }

    fn written(&self) {
        self.written.store(true, Ordering::Relaxed);
    }
}

impl Waiter for Diary {
    async fn pending(&self, objects: Vec<Ill>) {
        let told = objects.iter().map(|ill| format!("{}: {}", ill.subject, ill.cause)).collect();
        *self.pending.lock().unwrap() = told;
    }
}
