//! One Kustomization as the agent would reconcile it next.

use std::time::Duration;

use super::others::{ClusterPlatform, OtherOwners};
use lockgate_base::model::{Digest, Timestamp};
use lockgate_base::tree::Snapshot;
use lockgate_core::api::{Kustomization, KustomizationStatus};
use lockgate_core::pipeline::{self, ByHand, Preview, PreviewInput, Supported, Tenancy};
use lockgate_core::plan::{Cause, Foreseen};
use lockgate_core::verdict::{
    self, Applied, Common, Outcome, Redactor, Said, Schedule, Verdict, VerdictContext,
};
use lockgate_render::RenderedObject;

/// The preview of a Kustomization.
pub(crate) struct Look {
    /// The changes, or why the run would end before them.
    pub(crate) end: Result<Preview, LookStop>,
    /// Notes for the user.
    pub(crate) notes: Vec<String>,
    /// The secret values that were handled.
    pub(crate) redactor: Redactor,
}

/// Why the changes of a Kustomization cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LookStop {
    /// The server could not be reached.
    Unreachable(String),
    /// The build failed.
    Unbuilt(String),
    /// The agent would refuse it.
    Refused(String),
}

/// The origin of a Kustomization's objects.
pub(crate) enum BuiltFor {
    /// To be built from these files.
    From(Snapshot),
    /// Built already, with this digest.
    Already(Vec<RenderedObject>, Option<Digest>),
}

/// Previews a Kustomization. Its changes are assumed by the previews of those that come after it.
pub(crate) async fn look(
    platform: &ClusterPlatform,
    kustomization: &Kustomization,
    built: BuiltFor,
    foreseen: &mut Foreseen,
) -> Look {
    let mut redactor = Redactor::default();
    let mut notes = Vec::new();
    if kustomization.spec.suspend {
        notes.push("it is suspended: the agent will do this after it is resumed".to_owned());
    }
    let end = looked(platform, kustomization, built, foreseen, (&mut redactor, &mut notes)).await;
    Look { end: end.map_err(|outcome| stop(&outcome, kustomization, &redactor)), notes, redactor }
}

async fn looked(
    platform: &ClusterPlatform,
    kustomization: &Kustomization,
    built: BuiltFor,
    foreseen: &mut Foreseen,
    (redactor, notes): (&mut Redactor, &mut Vec<String>),
) -> Result<Preview, Outcome<Applied>> {
    let rules = platform.agents.serving(&kustomization.metadata.namespace);
    let supported = admitted(&rules.tenancy, kustomization)?;
    let account = rules.tenancy.account_of(kustomization);
    let (resources, digest) = match built {
        BuiltFor::Already(resources, digest) => (resources, digest),
        BuiltFor::From(snapshot) => {
            let gathered = pipeline::gather(&platform.reader, &supported, &ByHand::NOTHING, redactor).await;
            let build = pipeline::build(&supported, &snapshot.tree, gathered.map_err(Common::from)?)?;
            notes.extend(build.warnings);
            (build.resources, Some(build.digest))
        }
    };
    let others = OtherOwners { platform, own: kustomization };
    let acting_as = |account: Option<&str>| {
        let acting = platform.reader.acting_for(kustomization.reference(), account);
        acting.map_err(|error| Common::AccessDenied { message: format!("spec.serviceAccountName: {error}") })
    };
    let input = PreviewInput { resources, digest, drift: rules.drift };
    let again = account.map(|_| (input.clone(), foreseen.clone()));
    let preview = pipeline::preview(&acting_as(account)?, supported, input, &others, foreseen).await?;
    let Some((input, before)) = again.filter(|_| may_not_impersonate(&preview)) else {
        return Ok(preview);
    };
    notes.push(format!(
        "compared with your own rights, since you may not impersonate the ServiceAccount {}: a right that \
         it lacks does not show",
        account.unwrap_or_default()
    ));
    *foreseen = before;
    pipeline::preview(&acting_as(None)?, supported, input, &others, foreseen).await
}

/// The checks that the agent makes before it reads files.
fn admitted<'k>(tenancy: &Tenancy, kustomization: &'k Kustomization) -> Result<Supported<'k>, Common> {
    tenancy.account(kustomization).map_err(|message| Common::AccessDenied { message })?;
    let supported = pipeline::supported(kustomization)?;
    tenancy.check_dependencies(kustomization)?;
    tenancy.check_source(kustomization)?;
    Ok(supported)
}

/// Why the agent would refuse a Kustomization before it reads files.
pub(crate) fn turned_away(platform: &ClusterPlatform, kustomization: &Kustomization) -> Option<LookStop> {
    let outcome = admitted(&platform.tenancy_of(kustomization), kustomization).err()?;
    Some(stop(&outcome.into(), kustomization, &Redactor::default()))
}

fn may_not_impersonate(preview: &Preview) -> bool {
    preview
        .refusals
        .iter()
        .any(|refusal| matches!(&refusal.cause, Cause::Forbidden(denied) if denied.verb == "impersonate"))
}

/// The message with which the agent would end.
fn stop(outcome: &Outcome<Applied>, kustomization: &Kustomization, redactor: &Redactor) -> LookStop {
    let message = message(outcome, kustomization, redactor);
    match outcome {
        Outcome::Common(Common::Unreachable { message }) => LookStop::Unreachable(redactor.redact(message)),
        Outcome::Own(Applied::PruneRefused { .. })
        | Outcome::Common(Common::AccessDenied { .. } | Common::SourceForbidden { .. }) => {
            LookStop::Refused(message)
        }
        _ => LookStop::Unbuilt(message),
    }
}

/// The message of the Ready condition that the agent would write.
fn message(outcome: &Outcome<Applied>, kustomization: &Kustomization, redactor: &Redactor) -> String {
    let context = VerdictContext {
        key: &kustomization.reference(),
        generation: kustomization.metadata.generation,
        schedule: Schedule::from(&kustomization.spec),
        requested_at: None,
        previous: &KustomizationStatus::default(),
        revision: None,
        origin: None,
        // Nothing of it is kept.
        now: Timestamp::from_unix(0),
        took: Duration::ZERO,
        redactor,
    };
    match verdict::verdict(outcome, &context) {
        Verdict::Say(Said { status, .. }) => {
            let ready = status.conditions.get("Ready");
            ready.map_or_else(|| outcome.summary(), |ready| ready.message.clone())
        }
        Verdict::Keep { .. } | Verdict::LetGo(_) => outcome.summary(),
    }
}
