//! The laws that must always hold, whatever people do and whatever fails. They are checked for each request
//! when it is sent, and for each change when it is made. The laws of single kinds are in `subject`.

use std::sync::Arc;
use std::time::Duration;

use crate::platform::Platform;
use crate::server::{Change, Request, Server};
use crate::subject::{self, End, Memory, Told};

/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(15);
/// Within what time the holder of a lease that someone has deleted learns of that: it renews it each 5 s, and
/// waits 8 s for an answer.
const LEARNT: Duration = Duration::from_secs(13);
/// More requests than any platform of this size needs.
const MOST_REQUESTS: u64 = 200_000;

/// Who changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who<'w> {
    /// An agent, by a request that it sent then.
    Agent(&'w str, Duration),
    Person,
    /// A controller of Kubernetes' own.
    Controller,
}

/// What somebody has made.
pub(crate) struct Made<'m> {
    pub(crate) who: Who<'m>,
    pub(crate) changes: &'m [Arc<Change>],
    pub(crate) is_delete: bool,
    pub(crate) time: Duration,
}

/// The laws, and what they have to remember.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    /// What was broken, in order.
    pub(crate) broken: Vec<String>,
    /// Which agent wrote the lease last, and when. One from which another takes it by force learns of that at
    /// its next renewal.
    lease: Option<(String, Duration)>,
    /// Whose lease was deleted by someone, and when. It learns of that as well at its next renewal.
    ousted: Option<(String, Duration)>,
    pub(crate) memory: Memory,
    sent: u64,
}

impl Laws {
    pub(crate) fn new(platform: &Platform) -> Self {
        let mut laws = Self::default();
        laws.moved(0, platform);
        laws
    }

    fn break_(&mut self, time: Duration, law: &str, what: &str) {
        self.broken.push(format!("{:>6}.{:03} {law}: {what}", time.as_secs(), time.subsec_millis()));
    }

    /// The branch is at another commit.
    pub(crate) fn moved(&mut self, head: usize, platform: &Platform) {
        self.memory.heads.push(head);
        let unpruned = platform.units.iter().filter(|(_, unit)| !unit.prune).map(|(name, _)| name.clone());
        self.memory.unpruned.extend(unpruned);
    }

    /// Something went wrong that no agent should let happen, such as a panic.
    pub(crate) fn failed(&mut self, what: &str, time: Duration) {
        self.break_(time, "no agent fails", what);
    }

    /// A request leaves an agent.
    pub(crate) fn sent(&mut self, agent: &str, request: &Request, time: Duration) {
        self.sent += 1;
        if self.sent == MOST_REQUESTS {
            self.break_(time, "no busy loop", "more requests than any platform of this size needs");
        }
        if !request.is_write() || request.path.contains("/leases") {
            return;
        }
        let is_held = |lease: &Option<(String, Duration)>, limit: Duration| {
            lease.as_ref().is_some_and(|(holder, at)| holder == agent && time.saturating_sub(*at) <= limit)
        };
        if !is_held(&self.lease, LEASE) && !is_held(&self.ousted, LEARNT) {
            let what =
                format!("{agent} sends {} {}; the lease is {:?}", request.method, request.path, self.lease);
            self.break_(time, "no write without the lease", &what);
        }
    }

    /// Something was changed.
    pub(crate) fn made(&mut self, made: &Made<'_>, commits: &[Platform], server: &Server) {
        for change in made.changes {
            if change.key.plural == "leases" {
                if matches!(made.who, Who::Agent(..)) {
                    self.lease = lease_of(change).map(|holder| (holder, made.time));
                } else if change.after.is_none() {
                    self.ousted = self.lease.take().map(|(holder, _)| (holder, made.time));
                }
                continue;
            }
            let spec = |object: &Option<Arc<serde_json::Value>>| {
                object.as_ref().map(|object| object["spec"].clone())
            };
            let subject = subject::of(&change.key);
            if subject.is_some() && change.before.is_some() && spec(&change.before) != spec(&change.after) {
                self.memory.respecified.insert(change.key.clone(), made.time);
            }
            let Who::Agent(agent, sent) = made.who else {
                self.memory.met(change, made.who == Who::Person, made.time);
                continue;
            };
            let holder = self.lease.as_ref().map(|(holder, _)| holder.clone());
            let told = Told { change, time: made.time, agent, sent, holder, commits, server };
            let mut broken = subject.map(|subject| subject.told(&told, &mut self.memory)).unwrap_or_default();
            broken.extend(self.held_against(made, &told));
            self.memory.wrote(change, agent);
            for (law, what) in broken {
                self.break_(made.time, law, &what);
            }
        }
    }

    fn held_against(&self, made: &Made<'_>, told: &Told<'_>) -> Vec<(&'static str, String)> {
        let (change, memory) = (told.change, &self.memory);
        let mut broken = Vec::new();
        if change.before.is_none() {
            let unnamed = subject::unnamed(change, told.server);
            broken.extend(unnamed.map(|how| ("an inventory names what is there", how)));
        }
        if made.is_delete {
            let held = subject::held(change, told, memory);
            broken.extend(held.map(|how| ("what is held stays", how)));
            let foreign = subject::foreign(change, told);
            broken.extend(foreign.map(|how| ("what is not its own stays", how)));
            let behind = subject::before_dependents(change, told, memory);
            broken.extend(behind.map(|how| ("dependents go first", how)));
        } else {
            let early = subject::too_early(change, told.server, memory, made.time);
            broken.extend(early.map(|how| ("dependencies first", how)));
            let taken = subject::taken_off(change);
            broken.extend(taken.map(|how| ("what others set stays", how)));
            let meddled = subject::meddled(change, told, memory);
            broken.extend(meddled.map(|how| ("what is to be left alone is", how)));
        }
        let stale = subject::stale(change, told, memory);
        broken.extend(stale.map(|how| ("no inventory of a holder that was", how)));
        let misplaced = subject::misplaced(change, told, memory);
        broken.extend(misplaced.map(|how| ("a status is of its object", how)));
        broken
    }

    /// What is not as it must be once all is quiet, of that some alone where that will do. `platform` is the
    /// one at the head.
    pub(crate) fn left_to_do(
        &self,
        server: &Server,
        (platform, head): (&Platform, usize),
        inputs: &[u64],
        is_brief: bool,
    ) -> Vec<String> {
        let stuck = subject::stuck(server, platform);
        let end = End { server, platform, head, inputs, memory: &self.memory, is_brief, stuck };
        let mut left = Vec::new();
        for subject in subject::SUBJECTS {
            left.extend(subject.left_to_do(&end));
            if is_brief && !left.is_empty() {
                break;
            }
        }
        left
    }
}

fn lease_of(change: &Change) -> Option<String> {
    let holder = change.after.as_ref()?.pointer("/spec/holderIdentity")?.as_str()?;
    // A holder is named by its pod and a number of its own.
    Some(holder.split('_').next().unwrap_or(holder).to_owned())
}
