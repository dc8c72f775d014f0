//! An action as a list of acts. It is made of the stored version alone, so that it can be made again after
//! the agent was killed, and gone on with where it was cut off.

use std::fmt;

use super::history::ReleaseDeed;
use super::record::{ReleaseStatus, StoredHook};

/// One act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseAct {
    /// The definitions in `crds/` and the namespace are applied.
    Define,
    /// The version is stored with this status. Until then nothing of it is written.
    Store(ReleaseStatus),
    /// A hook is run, by its place among those of the version.
    Hook(usize),
    /// The hooks of an event that have done their work are deleted, where they are to be.
    Sweep(&'static str),
    /// The objects are applied.
    Apply,
    /// The objects of the versions before that are in it no more are deleted.
    Prune,
    /// The objects are waited for.
    Await,
    /// All objects are deleted.
    Delete,
    /// The objects that were deleted are waited for.
    Gone,
    /// The versions before that are deployed are marked as superseded.
    Supersede,
    /// The versions are deleted that are too many.
    Trim,
    /// All versions are deleted.
    Purge,
}

/// What decides about the acts of an action beside the version itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptTerms {
    /// What is done.
    pub deed: ReleaseDeed,
    /// Whether hooks are run.
    pub runs_hooks: bool,
    /// Whether objects are waited for.
    pub waits: bool,
    /// Whether what is stored is kept at the end of an uninstall.
    pub keeps_history: bool,
}

/// The acts of an action on the version that has these hooks.
pub fn script(of: ScriptTerms, hooks: &[StoredHook]) -> Vec<ReleaseAct> {
    let (before, after) = match of.deed {
        ReleaseDeed::Install => ("pre-install", "post-install"),
        ReleaseDeed::Upgrade => ("pre-upgrade", "post-upgrade"),
        ReleaseDeed::Rollback => ("pre-rollback", "post-rollback"),
        ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation => ("pre-delete", "post-delete"),
    };
    let pending = match of.deed {
        ReleaseDeed::Install => ReleaseStatus::PendingInstall,
        ReleaseDeed::Upgrade => ReleaseStatus::PendingUpgrade,
        ReleaseDeed::Rollback => ReleaseStatus::PendingRollback,
        ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation => ReleaseStatus::Uninstalling,
    };
    let mut acts = Vec::new();
    if matches!(of.deed, ReleaseDeed::Install | ReleaseDeed::Upgrade) {
        acts.push(ReleaseAct::Define);
    }
    acts.push(ReleaseAct::Store(pending));
    run(before, of, hooks, &mut acts);
    match of.deed {
        ReleaseDeed::Install | ReleaseDeed::Upgrade | ReleaseDeed::Rollback => {
            acts.extend([ReleaseAct::Apply, ReleaseAct::Prune]);
            acts.extend(of.waits.then_some(ReleaseAct::Await));
            run(after, of, hooks, &mut acts);
            acts.extend([
                ReleaseAct::Supersede,
                ReleaseAct::Store(ReleaseStatus::Deployed),
                ReleaseAct::Trim,
            ]);
        }
        ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation => {
            acts.push(ReleaseAct::Delete);
            acts.extend(of.waits.then_some(ReleaseAct::Gone));
            run(after, of, hooks, &mut acts);
            acts.push(if of.keeps_history {
                ReleaseAct::Store(ReleaseStatus::Uninstalled)
            } else {
                ReleaseAct::Purge
            });
        }
    }
    acts
}

/// The hooks of an event, by their weights, then by their names, then by their kinds. Hooks are stored in
/// the order of their kinds.
fn run(event: &'static str, of: ScriptTerms, hooks: &[StoredHook], acts: &mut Vec<ReleaseAct>) {
    if !of.runs_hooks {
        return;
    }
    let mut due: Vec<usize> = (0..hooks.len()).filter(|at| hooks[*at].is_for(event)).collect();
    due.sort_by(|one, other| {
        let key = |at: usize| (hooks[at].weight, &hooks[at].name);
        key(*one).cmp(&key(*other))
    });
    let is_any = !due.is_empty();
    acts.extend(due.into_iter().map(ReleaseAct::Hook));
    acts.extend(is_any.then_some(ReleaseAct::Sweep(event)));
}

/// How far an action is, as it is written on the Secret of the version that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionProgress {
    /// What is done.
    pub deed: ReleaseDeed,
    /// How many of its acts are done. What is neither a hook nor stored is done again where it was cut off,
    /// which changes nothing.
    pub acts: usize,
    /// The generation of the HelmRelease that it was begun for.
    pub generation: i64,
}

impl fmt::Display for ActionProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.deed.as_str(), self.acts, self.generation)
    }
}

impl ActionProgress {
    /// Reads what is written; `None` where that is none of ours.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let progress = Self {
            deed: ReleaseDeed::read(parts.next()?)?,
            acts: parts.next()?.parse().ok()?,
            generation: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(progress)
    }
}
