//! The actions on a release: what each needs is made ready, its acts are carried out, and its end is taken
//! note of.

use super::super::ports::ReleaseStores;
use super::asked::Asked;
use super::interpret::{cleaned_up, interpret};
use super::make::made;
use super::play::Play;
use super::prepare::PreparedRelease;
use super::stop::ReleaseStop;
use super::storage::{self, ReleaseShelf, Stored, StoredVersion, head, timestamp, versions, whole};
use super::{ReleaseJob, ReleaseJournal, ReleaseMemo};
use crate::api::HelmRelease;
use crate::plan::Inventory;
use crate::release::{
    self, Record, RecordHead, ReleaseAction, ReleaseDeed, ReleaseLedger, ReleaseState, ReleaseStatus,
    RemedyStep,
};
use crate::verdict::{ActionEnd, ActionKind, Redactor};
use lockgate_base::model::Object;

/// All that the actions of one run need.
#[derive(Debug)]
pub(super) struct Actions<'a, C, J> {
    pub(super) cluster: &'a C,
    pub(super) job: &'a ReleaseJob<'a>,
    pub(super) journal: &'a J,
    pub(super) prepared: &'a PreparedRelease,
    pub(super) asked: Asked,
    pub(super) redactor: &'a Redactor,
}

impl<C, J> Clone for Actions<'_, C, J> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, J> Copy for Actions<'_, C, J> {}

/// What was found of a release.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) state: ReleaseState,
    pub(super) versions: Vec<StoredVersion>,
    pub(super) last: Option<Stored<RecordHead>>,
    /// The version that can be rolled back to.
    pub(super) sound: Option<i64>,
}

impl<'a, C: ReleaseStores, J: ReleaseJournal> Actions<'a, C, J> {
    fn release(&self) -> &'a HelmRelease {
        &self.job.release
    }

    pub(super) fn shelf(&self) -> ReleaseShelf<'a> {
        ReleaseShelf { storage: &self.prepared.want.storage, name: &self.prepared.want.name }
    }

    /// Takes note of what is tried. Failures of something else count no more.
    pub(super) fn count_anew(&self, ledger: &mut ReleaseLedger) {
        let PreparedRelease { want, chart, .. } = self.prepared;
        let generation = self.release().metadata.generation;
        let (version, config) = (want.chart.version().to_owned(), want.config.to_string());
        let status = ledger.status();
        let is_same = status.last_attempted_generation == Some(generation)
            && status.last_attempted_revision.as_ref() == Some(&version)
            && status.last_attempted_config_digest.as_ref() == Some(&config);
        if !is_same || self.asked.reset {
            ledger.reset();
        }
        let status = ledger.status_mut();
        status.last_attempted_generation = Some(generation);
        status.last_attempted_revision = Some(version);
        status.last_attempted_revision_digest.clone_from(&chart.oci);
        status.last_attempted_config_digest = Some(config);
    }

    /// What is to be remembered where all is as it is wanted.
    pub(super) fn memo(&self, found: &Found) -> Option<ReleaseMemo> {
        Some(ReleaseMemo {
            generation: self.release().metadata.generation,
            inputs: self.prepared.inputs,
            version: found.versions.first()?.identity(),
        })
    }

    /// Uninstalls the release that was there, where another is wanted.
    pub(super) async fn moved(
        &self,
        ledger: &mut ReleaseLedger,
        done: &mut Vec<ActionEnd>,
    ) -> Result<(), ReleaseStop> {
        let want = &self.prepared.want;
        if let Some(why) = release::is_moved(self.release(), want)
            && let Some(latest) = ledger.status().history.first().cloned()
        {
            tracing::info!(release = %self.release().reference(), %why, "the release is uninstalled");
            let storage = ledger.status().storage_namespace.clone().unwrap_or_default();
            let shelf = ReleaseShelf { storage: &storage, name: &latest.name };
            self.uninstall(shelf, ReleaseDeed::Uninstall, ledger, done).await?;
            ledger.forget();
            ledger.status_mut().inventory = None;
            ledger.reset();
        }
        ledger.status_mut().storage_namespace = Some(want.storage.clone());
        Ok(())
    }

    /// How the release stands.
    pub(super) async fn look(&self, ledger: &ReleaseLedger) -> Result<Found, ReleaseStop> {
        let versions = versions(self.cluster, self.shelf()).await?;
        let last = match versions.first() {
            Some(newest) => head(self.cluster, self.shelf(), newest.number).await?,
            None => None,
        };
        if let Some(last) = &last {
            self.check_owner(&last.release)?;
        }
        let begun = last.as_ref().and_then(Stored::begun);
        let stored = last.as_ref().map(|last| &last.release);
        let of = (self.release().metadata.generation, ledger.status());
        let state = release::state(stored, begun, of, &self.prepared.want);
        let sound = if state == ReleaseState::Failed { self.sound(ledger).await? } else { None };
        Ok(Found { state, versions, last, sound })
    }

    /// Refuses a release that was made for another HelmRelease that is still there: the two would upgrade it
    /// in turns, for ever.
    fn check_owner(&self, last: &RecordHead) -> Result<(), ReleaseStop> {
        let objects = release::objects(last).unwrap_or_default();
        let owner = release::owner(&objects).filter(|owner| *owner != self.release().reference());
        match owner.filter(|owner| self.journal.is_there(owner)) {
            None => Ok(()),
            Some(owner) => {
                let PreparedRelease { want, .. } = self.prepared;
                Err(ReleaseStop::Storage(format!(
                    "release {}/{} belongs to {owner}: give one of the two another spec.releaseName or \
                     spec.storageNamespace, or delete one of them",
                    want.namespace, want.name
                )))
            }
        }
    }

    /// The newest version before the last one that was a success, and is still stored as it was observed.
    async fn sound(&self, ledger: &ReleaseLedger) -> Result<Option<i64>, ReleaseStop> {
        let is_success = |status: &str| matches!(status, "deployed" | "superseded");
        let before = ledger.status().history.iter().skip(1).find(|known| is_success(&known.status));
        let Some(known) = before else { return Ok(None) };
        let Some(stored) = head(self.cluster, self.shelf(), known.version).await? else { return Ok(None) };
        let seen = release::observed(&stored.release, None, known.oci_digest.as_deref());
        Ok((seen.digest == known.digest).then_some(known.version))
    }

    /// Takes an action. That it failed is no error: what is done about it is decided next.
    pub(super) async fn take(
        &self,
        action: &ReleaseAction,
        found: &Found,
        ledger: &mut ReleaseLedger,
        done: &mut Vec<ActionEnd>,
    ) -> Result<(), ReleaseStop> {
        match action {
            ReleaseAction::Install => self.deploy(ReleaseDeed::Install, found, ledger, done).await,
            ReleaseAction::Upgrade => self.deploy(ReleaseDeed::Upgrade, found, ledger, done).await,
            ReleaseAction::Remedy(RemedyStep::Rollback { to }) => {
                self.roll_back(*to, found, ledger, done).await
            }
            ReleaseAction::Remedy(RemedyStep::Uninstall) => {
                self.uninstall(self.shelf(), ReleaseDeed::UninstallRemediation, ledger, done).await
            }
            ReleaseAction::Resume(progress) => {
                self.resume(progress.deed, progress.acts, found, ledger, done).await
            }
            ReleaseAction::Unlock(status) => self.unlock(*status, found, ledger, done).await,
            ReleaseAction::Nothing
            | ReleaseAction::Stall { .. }
            | ReleaseAction::After(_)
            | ReleaseAction::Stuck(_) => Ok(()),
        }
    }

    /// Installs or upgrades.
    async fn deploy(
        &self,
        deed: ReleaseDeed,
        found: &Found,
        ledger: &mut ReleaseLedger,
        done: &mut Vec<ActionEnd>,
    ) -> Result<(), ReleaseStop> {
        let status = ledger.status_mut();
        status.last_attempted_release_action = Some(deed.as_str().into());
        let last = found.last.as_ref().map(|last| &last.release);
        let is_reused = last.is_some() && deed == ReleaseDeed::Install;
        if deed == ReleaseDeed::Install {
            // What is known of a release that is there no more says nothing about this one.
            ledger.forget();
        }
        let (record, definitions) = if is_reused && !self.release().spec.install.replace {
            Err(ReleaseStop::Failed("cannot reuse a name that is still in use".into()))
        } else {
            made(self.cluster, self.job, self.prepared, (deed, last)).await
        }
        .and_then(|made| Ok(release::check_size(&made.0).map(|()| made)?))
        .map_err(|stop| self.failed_early(deed, stop, ledger, done))?;
        let mut play = self
            .play(deed, (record, None), found, ledger)
            .await
            .map_err(|stop| self.failed_early(deed, stop, ledger, done))?;
        play.definitions = definitions;
        self.perform(play, ledger, done).await
    }

    /// An action on a version, with what versions before hold.
    async fn play(
        &self,
        deed: ReleaseDeed,
        version: (Record, Option<Object>),
        found: &Found,
        ledger: &ReleaseLedger,
    ) -> Result<Play<'a>, ReleaseStop> {
        let number = version.0.version;
        let mut play = Play::of(self.release(), deed, self.shelf(), version, self.redactor)
            .map_err(ReleaseStop::Failed)?;
        let entries = ledger.status().inventory.as_ref().map(|inventory| inventory.entries.as_slice());
        let mut before = Inventory::read(entries.unwrap_or_default());
        // What a definition defines is lost with it, so that one that a chart drops stays, as with Helm.
        let definitions: Vec<_> =
            before.iter().map(|(id, _)| id.clone()).filter(crate::plan::is_definition).collect();
        for id in &definitions {
            before.remove(id);
        }
        let is_before = |version: &&StoredVersion| version.number < number;
        // The newest one, and the one that is deployed: what is between the two has failed.
        let mut bases: Vec<i64> =
            found.versions.iter().filter(is_before).take(1).map(|base| base.number).collect();
        let deployed = found.versions.iter().filter(is_before).find(|version| version.status == "deployed");
        bases.extend(deployed.map(|base| base.number));
        bases.dedup();
        for base in bases {
            if let Some(stored) = head(self.cluster, self.shelf(), base).await? {
                let objects = release::objects(&stored.release).map_err(ReleaseStop::Failed)?;
                before = before.union(&release::inventory(&objects));
                for id in &release::kept(&objects) {
                    before.remove(id);
                }
            }
        }
        play.before = before;
        Ok(play)
    }

    /// Brings a version before back, as a new one.
    async fn roll_back(
        &self,
        to: i64,
        found: &Found,
        ledger: &mut ReleaseLedger,
        done: &mut Vec<ActionEnd>,
    ) -> Result<(), ReleaseStop> {
        let deed = ReleaseDeed::Rollback;
        let Some(Stored { release: mut record, .. }) = whole(self.cluster, self.shelf(), to).await? else {
            return Err(ReleaseStop::Failed(format!("version {to} is not stored any more")));
        };
        record.version = found.versions.first().map_or(to, |newest| newest.number) + 1;
        record.info.last_deployed = Some(timestamp(self.job.clock).to_string());
        record.info.description = format!("Rollback to {to}");
        record.info.status = ReleaseStatus::PendingRollback;
        record.hooks.iter_mut().for_each(|hook| hook.last_run = release::HookRun::default());
        let play = self.play(deed, (record, None), found, ledger).await?;
        self.perform(play, ledger, done).await
    }

    /// Goes on with an action that was cut off.
    async fn resume(
        &self,
        deed: ReleaseDeed,
        acts: usize,
        found: &Found,
        ledger: &mut ReleaseLedger,
        done: &mut Vec<ActionEnd>,
    ) -> Result<(), ReleaseStop> {
        let Some(newest) = found.versions.first() else { return Ok(()) };
        let Some(Stored { release: record, secret }) =
            whole(self.cluster, self.shelf(), newest.number).await?
        else {
            return Ok(());
        };
        tracing::info!(release = %self.release().reference(), deed = deed.as_str(), acts, "an action that was cut off goes on");
        if matches!(deed, ReleaseDeed::Install | ReleaseDeed::Upgrade) {
            ledger.status_mut().last_attempted_release_action = Some(deed.as_str().into());
        }
        let mut play = self.play(deed, (record, Some(secret)), found, ledger).await?;
        (play.at, play.is_resumed) = (acts, true);
        self.perform(play, ledger, done).await
    }

    /// Uninstalls a release, by its newest version.
    async fn uninstall(
        &self,
        shelf: ReleaseShelf<'_>,
        deed: ReleaseDeed,
        ledger: &mut ReleaseLedger,
        done: &mut Vec<ActionEnd>,
    ) -> Result<(), ReleaseStop> {
        let Some(newest) = versions(self.cluster, shelf).await?.into_iter().next() else { return Ok(()) };
        let Some(Stored { release: record, secret }) = whole(self.cluster, shelf, newest.number).await?
        else {
            return Ok(());
        };
        let play = Play::of(self.release(), deed, shelf, (record, Some(secret)), self.redactor)
            .map_err(ReleaseStop::Storage)?;
        self.perform(play, ledger, done).await
    }

    /// Marks a version as failed whose action another has left.
    async fn unlock(
        &self,
        status: ReleaseStatus,
        found: &Found,
        ledger: &mut ReleaseLedger,
        done: &mut Vec<ActionEnd>,
    ) -> Result<(), ReleaseStop> {
        let Some(newest) = found.versions.first() else { return Ok(()) };
        let description = format!("Release unlocked from stale '{status}' state");
        let marked = storage::mark(
            self.cluster,
            self.job.clock,
            self.shelf(),
            newest.number,
            ReleaseStatus::Failed,
            Some(description),
        );
        let Some(unlocked) = marked.await? else { return Ok(()) };
        done.push(ActionEnd {
            kind: ActionKind::Unlock(status),
            release: unlocked.subject(),
            chart: named(&unlocked),
            failure: None,
        });
        ledger.observe(&unlocked, None, None);
        Ok(())
    }

    /// Carries out an action, and takes note of its end.
    async fn perform(
        &self,
        mut play: Play<'_>,
        ledger: &mut ReleaseLedger,
        done: &mut Vec<ActionEnd>,
    ) -> Result<(), ReleaseStop> {
        let deed = play.terms.deed;
        let started = self.job.clock.now();
        let is_uninstall = matches!(deed, ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation);
        if !is_uninstall {
            ledger.status_mut().inventory = Some(play.before.union(&play.inventory()).status());
        }
        let limit = play.terms.limit.into();
        self.journal.running(ledger, deed, limit).await?;
        let ended = Box::pin(interpret(self.cluster, &self.job.run(), self.journal, &mut play)).await;
        let failure = match ended {
            Ok(()) => None,
            Err(ReleaseStop::Failed(cause)) => Some(self.redactor.redact(&cause)),
            Err(stop) => return Err(stop),
        };
        if let Some(cause) = &failure {
            self.mark_failed(&mut play, cause).await?;
            ledger.failed(deed);
        }
        if matches!(deed, ReleaseDeed::Install | ReleaseDeed::Upgrade) {
            ledger.status_mut().last_attempted_release_action_duration =
                Some(self.job.clock.since(started).into());
        }
        self.observe(&play, failure.is_some(), ledger);
        let record = play.record.head();
        done.push(ActionEnd {
            kind: ActionKind::Deed(deed),
            release: if failure.is_some() && play.secret.is_none() {
                plain(&record)
            } else {
                record.subject()
            },
            chart: named(&record),
            failure,
        });
        Ok(())
    }

    /// Stores that an action failed, where its version is stored, and clears up after it.
    async fn mark_failed(&self, play: &mut Play<'_>, cause: &str) -> Result<(), ReleaseStop> {
        if play.secret.is_none() {
            return Ok(());
        }
        cleaned_up(self.cluster, &self.job.run(), self.journal, play).await;
        let name = &play.record.name;
        let info = &mut play.record.info;
        match play.terms.deed {
            // It is tried again from its beginning, which it stays ready for.
            ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation => {}
            ReleaseDeed::Install => info.description = format!("Release \"{name}\" failed: {cause}"),
            ReleaseDeed::Upgrade => info.description = format!("Upgrade \"{name}\" failed: {cause}"),
            ReleaseDeed::Rollback => info.description = format!("Rollback \"{name}\" failed: {cause}"),
        }
        if !matches!(play.terms.deed, ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation) {
            info.status = ReleaseStatus::Failed;
        }
        play.store(self.cluster, self.job.clock, None).await
    }

    /// Takes note of the versions as they are stored now, and of what is managed.
    fn observe(&self, play: &Play<'_>, has_failed: bool, ledger: &mut ReleaseLedger) {
        let deed = play.terms.deed;
        let oci = self.prepared.chart.oci.as_deref();
        let earlier = (deed == ReleaseDeed::Rollback).then_some(deed);
        if play.secret.is_none() {
            return;
        }
        for superseded in &play.superseded {
            ledger.observe(superseded, earlier, None);
        }
        ledger.observe(&play.record.head(), Some(deed), oci);
        let status = ledger.status_mut();
        match deed {
            ReleaseDeed::Install | ReleaseDeed::Upgrade if !has_failed => {
                let want = &self.prepared.want;
                let text =
                    |digest: Option<lockgate_base::model::Digest>| digest.map(|digest| digest.to_string());
                status.observed_post_renderers_digest = text(want.post_renderers);
                status.observed_common_metadata_digest = text(want.common_metadata);
                status.inventory = Some(play.inventory().status());
            }
            ReleaseDeed::Rollback if !has_failed => status.inventory = Some(play.inventory().status()),
            ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation if !has_failed => {
                status.inventory = None;
            }
            _ => {}
        }
    }

    /// Takes note of an action that failed before anything of it was stored.
    fn failed_early(
        &self,
        deed: ReleaseDeed,
        stop: ReleaseStop,
        ledger: &mut ReleaseLedger,
        done: &mut Vec<ActionEnd>,
    ) -> ReleaseStop {
        let ReleaseStop::Failed(cause) = stop else { return stop };
        let want = &self.prepared.want;
        ledger.status_mut().failures += 1;
        done.push(ActionEnd {
            kind: ActionKind::Deed(deed),
            release: format!("{}/{}", want.namespace, want.name),
            chart: format!("{}@{}", want.chart.name(), want.chart.version()),
            failure: Some(self.redactor.redact(&cause)),
        });
        ReleaseStop::Failed(cause)
    }
}

fn plain(record: &RecordHead) -> String {
    format!("{}/{}", record.namespace, record.name)
}

fn named(record: &RecordHead) -> String {
    format!("{}@{}", record.chart.name(), record.chart.version())
}
