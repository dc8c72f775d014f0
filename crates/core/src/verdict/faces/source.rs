//! The fields that only a source's status has: the artifact, and conditions for the failed part of a fetch.

use crate::api::{Artifact, SourceStatus};
use crate::queue::Next;
use crate::verdict::conditions::begin;
use crate::verdict::context::VerdictContext;
use crate::verdict::face::{Base, Face};
use crate::verdict::judged::Judged;
use crate::verdict::judgement::{Judgement, Mark, RunStage, Told};
use crate::verdict::judges;
use crate::verdict::outcome::{Content, Fetched, Outcome};
use crate::verdict::reason::Reason;
use crate::verdict::writer::READY;
use lockgate_base::model::ConditionStatus;

const STORED: &str = "ArtifactInStorage";
const FETCH_FAILED: &str = "FetchFailed";
const STORAGE_FAILED: &str = "StorageOperationFailed";
const BUILD_FAILED: &str = "BuildFailed";
const VERIFIED: &str = "SourceVerified";
/// The conditions for the failed part of a fetch.
const FAILURES: [&str; 3] = [FETCH_FAILED, STORAGE_FAILED, BUILD_FAILED];

impl Face for SourceStatus {
    type Ending = Fetched;

    fn base(&mut self) -> Base<'_> {
        Base {
            conditions: &mut self.conditions,
            observed_generation: &mut self.observed_generation,
            handled: &mut self.last_handled_reconcile_at,
        }
    }

    fn is_at(&self, revision: &str) -> bool {
        self.artifact.as_ref().is_some_and(|artifact| artifact.revision == revision)
    }

    fn fault(context: &VerdictContext<'_, Self>) -> (Reason, Next) {
        let reason = judges::fetched::operation_failed(context.key.kind);
        (reason, Next::Interval(context.schedule.interval))
    }

    fn stage(_: RunStage, _: &VerdictContext<'_, Self>) -> String {
        "building artifact: retrying".into()
    }

    fn judge(ending: &Fetched, context: &VerdictContext<'_, Self>) -> Judgement {
        let is_set = |kind: &&str| context.previous.conditions.get(kind).is_some();
        judges::fetched::judge(ending, FAILURES.iter().any(is_set), context)
    }

    fn marks(outcome: &Outcome<Fetched>, told: Told, _: &VerdictContext<'_, Self>) -> Vec<Mark> {
        let set = if told.success {
            STORED
        } else {
            match told.reason {
                Reason::VerificationError => VERIFIED,
                Reason::StorageOperationFailed => STORAGE_FAILED,
                Reason::MetadataPatch
                | Reason::ValuesFiles
                | Reason::DependencyBuild
                | Reason::ChartPackage => BUILD_FAILED,
                _ => FETCH_FAILED,
            }
        };
        let gone = FAILURES.into_iter().filter(|failure| *failure != set).map(Mark::Gone);
        let is_set = if set == VERIFIED { ConditionStatus::False } else { ConditionStatus::True };
        gone.chain([Mark::AsReady(set, is_set)]).chain(verified(outcome)).collect()
    }

    /// After a failure the held artifact stays, and the objects that were applied from it are still enforced.
    fn write(&mut self, outcome: &Outcome<Fetched>, _: Told, context: &VerdictContext<'_, Self>) {
        let (revision, news, selection, content) = match outcome {
            Outcome::Own(Fetched::Updated { revision, digest, metadata, selection, content, .. }) => {
                (revision, Some((digest, metadata)), selection, content)
            }
            Outcome::Own(Fetched::Unchanged { revision, selection, content, .. }) => {
                (revision, None, selection, content)
            }
            Outcome::Own(Fetched::Static | Fetched::Failed { .. }) | Outcome::Common(_) => return,
        };
        self.observed_ignore.clone_from(&selection.ignore);
        self.observed_layer_selector.clone_from(&selection.layer);
        if let Content::Chart(chart) = content {
            self.observed_chart_name = Some(chart.name.clone());
            self.observed_source_artifact_revision.clone_from(&chart.source_revision);
            let told = chart.values_files.iter().filter(|_| chart.ignores_missing);
            self.observed_values_files = told.cloned().collect();
        }
        let digest = news.map(|(digest, _)| digest);
        let known = self.artifact.as_ref().is_some_and(|artifact| {
            artifact.revision == *revision && (digest.is_none() || artifact.digest.as_ref() == digest)
        });
        if !known {
            let key = context.key;
            let kind = key.kind.kind.to_lowercase();
            let name = format!("{kind}/{}/{}/{revision}", key.namespace, key.name);
            self.artifact = Some(Artifact {
                path: name.clone(),
                // No file is served: the agent reads its object store. The field exists because tools require
                // it.
                url: format!("lockgate://{name}"),
                revision: revision.clone(),
                digest: digest.cloned(),
                last_update_time: context.now,
                size: size(content),
                metadata: news.map(|(_, metadata)| metadata.clone()).unwrap_or_default(),
            });
        }
    }
}

/// The condition about the signature of the fetched content; `None` if it could not be fetched.
fn verified(outcome: &Outcome<Fetched>) -> Option<Mark> {
    let Outcome::Own(
        Fetched::Updated { revision, content, is_verified, .. }
        | Fetched::Unchanged { revision, content, is_verified, .. },
    ) = outcome
    else {
        return None;
    };
    let what = if matches!(content, Content::Chart(_)) { "version" } else { "revision" };
    let text = format!("verified signature of {what} {revision}");
    Some(if *is_verified { Mark::True(VERIFIED, Reason::Succeeded, text) } else { Mark::Gone(VERIFIED) })
}

/// The `size` of an artifact. Held files have no archive, and so no size.
fn size(content: &Content) -> Option<i64> {
    match content {
        Content::Files | Content::Chart(_) => None,
        Content::Index { size } => i64::try_from(*size).ok(),
    }
}

/// The status while a generation is fetched for the first time, which may take until the timeout; `None` if
/// there is nothing new to report.
///
/// Ready says so only if it has no answer yet: the stored artifact stays usable until the fetch has ended, as
/// in Flux.
pub fn fetching(context: &VerdictContext<'_, SourceStatus>) -> Option<Judged<SourceStatus>> {
    let observed = context.previous.observed_generation.unwrap_or(-1);
    let ready = context.previous.conditions.get(READY);
    let said = ready.and_then(|ready| ready.observed_generation);
    if observed == context.generation || said == Some(context.generation) {
        return None;
    }
    let mut status = context.previous.clone();
    let message = format!("processing object: new generation {observed} -> {}", context.generation);
    let is_open = ready.is_none_or(|ready| ready.status == ConditionStatus::Unknown);
    begin(&mut status, &message, is_open.then_some(message.as_str()), context);
    Some(Judged::new(status))
}
