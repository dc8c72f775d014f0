//! One run of a HelmRelease: from its chart to a release that is stored and healthy.
//!
//! ```text
//! gather values → what is stored × what is wanted → next action → render → acts, each restartable
//! ```
//!
//! An action is done by its acts. The first stores the version, with all that the others need, so that an
//! agent that was killed goes on with it by the Secret alone. How far it is stands on that Secret.

mod stop;
mod storage;
mod asked;
mod render;
mod values;
mod prepare;
mod make;
mod play;
mod hook;
mod interpret;
mod actions;
mod drift;
mod run;
mod remove;
mod shown;

use std::time::Duration;

use tokio::sync::watch;

use super::claims::Claims;
use super::clock::Clock;
use super::ports::DocumentHosts;
use super::slot::Slot;
use super::wait::Waiter;
use super::workers::Workers;
use super::{Finish, JournalError, News, Supported};
use crate::api::{HelmRelease, HelmReleaseSpec};
use crate::release::{ReleaseDeed, ReleaseLedger};
use crate::verdict::Released;
use lockgate_base::model::{Digest, Duration as Limit, Ref};
use lockgate_base::tree::Snapshot;

pub use remove::uninstall_release;
pub use run::reconcile_release;
pub use shown::{Chance, RenderedHook};
pub(super) use shown::{FoundChart, ShownRelease, shown};

/// One run of a HelmRelease.
#[derive(Debug)]
pub struct ReleaseJob<'a> {
    /// What is released.
    pub release: Supported<'a, HelmReleaseSpec>,
    /// The source of its chart as it was fetched.
    pub snapshot: &'a Snapshot,
    /// Whether that is an artifact of a registry, which holds the chart in a folder.
    pub is_artifact: bool,
    /// What the last success of this process found.
    pub memo: Option<&'a ReleaseMemo>,
    /// Whether to look at it even if nothing says that it has changed.
    pub thorough: bool,
    /// The HelmChart that was made for it, as `namespace/name`.
    pub made_chart: Option<String>,
    /// What chance gives to the render.
    pub entropy: [u8; 32],
    /// After how long a wait tells what it is for.
    pub told_after: Duration,
    /// Tells the time, and lets time pass.
    pub clock: &'a dyn Clock,
    /// Builds.
    pub workers: &'a dyn Workers,
    /// Fetches what the chart's schemas refer to.
    pub documents: &'a dyn DocumentHosts,
    /// Becomes true when a wait is to end because there is newer work.
    pub cancel: watch::Receiver<bool>,
}

impl ReleaseJob<'_> {
    /// What the acts of the run need to know.
    fn run(&self) -> ReleaseRun<'_> {
        ReleaseRun {
            release: &self.release,
            told_after: self.told_after,
            clock: self.clock,
            cancel: self.cancel.clone(),
        }
    }
}

/// What acts on a release need to know, whether or not its chart is at hand.
#[derive(Debug)]
pub struct ReleaseRun<'a> {
    /// What is released.
    pub release: &'a HelmRelease,
    /// After how long a wait tells what it is for.
    pub told_after: Duration,
    /// Tells the time, and lets time pass.
    pub clock: &'a dyn Clock,
    /// Becomes true when a wait is to end because there is newer work.
    pub cancel: watch::Receiver<bool>,
}

/// The end of a run of a HelmRelease, and its record.
pub type ReleaseFinish = Finish<Released, ReleaseMemo>;

/// What a success leaves, so that the next run can tell that there is nothing to do, without a render.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseMemo {
    generation: i64,
    /// Of the chart and of the values.
    inputs: Digest,
    /// The Secret of the newest version, as it is told from any other.
    version: String,
}

/// Keeps what must survive the process, and hears how far a run of a HelmRelease is.
pub trait ReleaseJournal: Slot + Claims + Waiter {
    /// Says that an action is begun, with the status as it is now. An error stops the run before its first
    /// write.
    fn running(
        &self,
        ledger: &ReleaseLedger,
        deed: ReleaseDeed,
        limit: Limit,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Whether a HelmRelease is there.
    fn is_there(&self, release: &Ref) -> bool;

    /// Tells people, whatever the run ends in.
    fn tell(&self, news: &News);
}
