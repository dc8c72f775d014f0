//! An action that is under way: the version that it is about, and what of it is known beside what is stored.

use std::time::Duration;

use super::super::apply::ApplyProgress;
use super::super::clock::Clock;
use super::super::decide::Terms;
use super::super::dress::{dress, place};
use super::super::ports::{ObjectReference, ReleaseStores};
use super::stop::ReleaseStop;
use super::storage::{self, ReleaseShelf};
use crate::api::{CrdsPolicy, HelmRelease};
use crate::plan::{Inventory, PlanOptions};
use crate::release::{self, ActionProgress, Record, RecordHead, ReleaseAct, ReleaseDeed, ScriptTerms};
use crate::verdict::Redactor;
use lockgate_base::keys;
use lockgate_base::model::{Object, Ref};

/// The label that Helm sets on all its objects.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// What of the spec decides about an action.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlayTerms {
    pub(super) deed: ReleaseDeed,
    /// How long each wait may take.
    pub(super) limit: Duration,
    pub(super) runs_hooks: bool,
    pub(super) waits: bool,
    pub(super) waits_for_jobs: bool,
    pub(super) keeps_history: bool,
    /// Whether objects with a changed immutable field are made anew.
    pub(super) force: bool,
    /// Whether what a failed action has made is deleted.
    pub(super) cleans_up: bool,
    pub(super) crds: CrdsPolicy,
    pub(super) creates_namespace: bool,
}

impl PlayTerms {
    /// What a HelmRelease says of an action.
    pub(super) fn of(release: &HelmRelease, deed: ReleaseDeed) -> Self {
        let spec = &release.spec;
        let own = match deed {
            ReleaseDeed::Install => spec.install.timeout,
            ReleaseDeed::Upgrade => spec.upgrade.timeout,
            ReleaseDeed::Rollback => spec.rollback.timeout,
            ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation => spec.uninstall.timeout,
        };
        let base = Self {
            deed,
            limit: spec.timeout_of(own).std(),
            runs_hooks: true,
            waits: true,
            waits_for_jobs: true,
            keeps_history: false,
            force: false,
            cleans_up: false,
            crds: CrdsPolicy::Skip,
            creates_namespace: false,
        };
        match deed {
            ReleaseDeed::Install => Self {
                runs_hooks: !spec.install.disable_hooks,
                waits: !spec.install.disable_wait,
                waits_for_jobs: !spec.install.disable_wait_for_jobs,
                crds: spec.crds_of_install(),
                creates_namespace: spec.install.create_namespace,
                ..base
            },
            ReleaseDeed::Upgrade => Self {
                runs_hooks: !spec.upgrade.disable_hooks,
                waits: !spec.upgrade.disable_wait,
                waits_for_jobs: !spec.upgrade.disable_wait_for_jobs,
                force: spec.upgrade.force,
                cleans_up: spec.upgrade.cleanup_on_fail,
                crds: spec.crds_of_upgrade(),
                ..base
            },
            ReleaseDeed::Rollback => Self {
                runs_hooks: !spec.rollback.disable_hooks,
                waits: !spec.rollback.disable_wait,
                waits_for_jobs: !spec.rollback.disable_wait_for_jobs,
                force: spec.rollback.force,
                cleans_up: spec.rollback.cleanup_on_fail,
                ..base
            },
            ReleaseDeed::Uninstall | ReleaseDeed::UninstallRemediation => Self {
                runs_hooks: !spec.uninstall.disable_hooks,
                waits: !spec.uninstall.disable_wait,
                // What is uninstalled so that it can be installed again leaves nothing.
                keeps_history: spec.uninstall.keep_history && deed == ReleaseDeed::Uninstall,
                ..base
            },
        }
    }

    /// The acts, for a version with these hooks.
    pub(super) fn script(&self, hooks: &[release::StoredHook]) -> Vec<ReleaseAct> {
        let terms = ScriptTerms {
            deed: self.deed,
            runs_hooks: self.runs_hooks,
            waits: self.waits,
            keeps_history: self.keeps_history,
        };
        release::script(terms, hooks)
    }
}

/// An action that is under way.
#[derive(Debug)]
pub(super) struct Play<'a> {
    pub(super) terms: PlayTerms,
    pub(super) owner: Ref,
    pub(super) generation: i64,
    pub(super) shelf: ReleaseShelf<'a>,
    pub(super) record: Record,
    /// The Secret of the version; `None` before it is stored.
    pub(super) secret: Option<Object>,
    /// How many acts are done.
    pub(super) at: usize,
    /// Whether it goes on where it was cut off.
    pub(super) is_resumed: bool,
    /// The objects of the version, as they are applied.
    pub(super) objects: Vec<Object>,
    /// The definitions in the chart's `crds/`; none where the chart is not at hand.
    pub(super) definitions: Vec<Object>,
    /// What versions before hold, and the inventory names.
    pub(super) before: Inventory,
    /// What was applied.
    pub(super) progress: ApplyProgress,
    /// What was deleted.
    pub(super) deleted: Vec<ObjectReference>,
    /// The versions that were superseded, as they are stored now.
    pub(super) superseded: Vec<RecordHead>,
    pub(super) redactor: &'a Redactor,
}

impl<'a> Play<'a> {
    /// An action on a version, which comes with its Secret where it is stored.
    pub(super) fn of(
        release: &HelmRelease,
        deed: ReleaseDeed,
        shelf: ReleaseShelf<'a>,
        (record, secret): (Record, Option<Object>),
        redactor: &'a Redactor,
    ) -> Result<Self, String> {
        let owner = release.reference();
        let mut objects = release::objects(&record)?;
        for object in &mut objects {
            mark(object, (&record.name, &record.namespace), &owner);
        }
        Ok(Self {
            terms: PlayTerms::of(release, deed),
            owner,
            generation: release.metadata.generation,
            shelf,
            record,
            secret,
            at: 0,
            is_resumed: false,
            objects,
            definitions: Vec::new(),
            before: Inventory::default(),
            progress: ApplyProgress::default(),
            deleted: Vec::new(),
            superseded: Vec::new(),
            redactor,
        })
    }

    /// How objects are decided about. `objects` lose the namespaces that their kinds do not have.
    pub(super) async fn terms_of(&self, cluster: &impl ReleaseStores, objects: &mut [Object]) -> Terms {
        let options = PlanOptions {
            force: self.terms.force,
            owner: Some(self.owner.clone()),
            ownership: HelmRelease::OWNERSHIP,
            ..PlanOptions::default()
        };
        let known = self.before.iter().map(|(id, _)| id.clone()).collect();
        let mut terms = Terms { options, known, ..Terms::default() };
        for object in objects {
            // A failure is met again, and told, when the object's stage comes.
            if !matches!(place(object, cluster).await, Ok(true)) {
                terms.unplaced.insert(object.id());
            }
        }
        terms
    }

    /// Stores the version as it is now, with how far the action is; at its end with nothing of that.
    pub(super) async fn store<C: ReleaseStores>(
        &mut self,
        cluster: &C,
        clock: &dyn Clock,
        acts: Option<usize>,
    ) -> Result<(), ReleaseStop> {
        let progress =
            acts.map(|acts| ActionProgress { deed: self.terms.deed, acts, generation: self.generation });
        let stored =
            storage::store(cluster, clock, self.shelf.storage, &self.record, self.secret.as_ref(), progress);
        self.secret = Some(stored.await?);
        Ok(())
    }

    /// What the release holds, with the definitions that its chart brings.
    pub(super) fn inventory(&self) -> Inventory {
        self.objects.iter().chain(&self.definitions).collect()
    }
}

/// Marks an object as the release's, as Helm and Flux mark it. The release has a name and a namespace.
pub(super) fn mark(object: &mut Object, (name, namespace): (&str, &str), owner: &Ref) {
    dress(object, HelmRelease::OWNERSHIP, owner, None);
    object.set_label(MANAGED_BY, "Helm");
    object.set_annotation(keys::RELEASE_NAME, name);
    object.set_annotation(keys::RELEASE_NAMESPACE, namespace);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::decode;

    fn terms(spec: &Value, deed: ReleaseDeed) -> PlayTerms {
        let mut all = json!({"interval": "10m", "chartRef": {"kind": "HelmChart", "name": "c"}});
        json_patch::merge(&mut all, spec);
        let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                            "metadata": {"name": "web", "namespace": "n"}, "spec": all});
        PlayTerms::of(&decode(&Object::parse(object).unwrap()).unwrap(), deed)
    }

    #[test]
    fn what_an_action_does_follows_from_the_spec() {
        use ReleaseDeed::{Install, Rollback, Uninstall, Upgrade};
        let seconds = |spec, deed| terms(&spec, deed).limit.as_secs();
        for (deed, name) in
            [(Install, "install"), (Upgrade, "upgrade"), (Rollback, "rollback"), (Uninstall, "uninstall")]
        {
            assert_eq!(seconds(json!({}), deed), 300);
            assert_eq!(seconds(json!({"timeout": "1m"}), deed), 60);
            assert_eq!(seconds(json!({"timeout": "1m", name: {"timeout": "2m"}}), deed), 120);
            let of = |more: Value| terms(&json!({name: more}), deed);
            let plain = of(json!({}));
            assert!(plain.runs_hooks && plain.waits && plain.waits_for_jobs, "{name}");
            assert!(!plain.force && !plain.cleans_up && !plain.keeps_history, "{name}");
            assert!(!of(json!({"disableHooks": true})).runs_hooks, "{name}");
            assert!(!of(json!({"disableWait": true})).waits, "{name}");
            if deed != Uninstall {
                assert!(!of(json!({"disableWaitForJobs": true})).waits_for_jobs, "{name}");
            }
            if matches!(deed, Upgrade | Rollback) {
                assert!(of(json!({"force": true})).force, "{name}");
                assert!(of(json!({"cleanupOnFail": true})).cleans_up, "{name}");
            }
        }
        let crds = |name: &str, policy: &str, deed| terms(&json!({name: {"crds": policy}}), deed).crds;
        assert_eq!(crds("upgrade", "Skip", Upgrade), CrdsPolicy::Skip);
        assert_eq!(crds("install", "Skip", Upgrade), CrdsPolicy::Create);
        let kept = json!({"uninstall": {"keepHistory": true}});
        assert!(terms(&kept, Uninstall).keeps_history);
        assert!(!terms(&kept, ReleaseDeed::UninstallRemediation).keeps_history);
    }
}
