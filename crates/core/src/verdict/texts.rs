//! The messages about outcomes: Flux's text if there is one, then the cause and the cure.

use std::collections::BTreeMap;
use std::time::Duration as StdDuration;

use super::outcome::{
    ActionEnd, ActionKind, BlockReason, Blocker, Content, DriftFound, Ill, PackedChart, WaitEnd, some_of,
};
use crate::api::{self, Kustomization, OciRepository, Role};
use crate::graph::Cycle;
use crate::queue::Rivalry;
use crate::release::ReleaseDeed;
use lockgate_base::keys;
use lockgate_base::model::{Duration, KindId, Ref};

/// The beginning of the message about a `spec.path` that the source does not have; its reason is also that of
/// a missing source.
pub(super) const PATH_MISSING: &str = "kustomization path not found: ";
/// The text between the stage and the awaited objects.
pub(super) const WAITING: &str = ": waiting for ";
/// The text before the duration of a wait.
const HEALTH_FAILED: &str = "health check failed after ";
const NOT_ESTABLISHED: &str = "definitions are not established after ";

/// The message of Ready for a fetched source.
pub(super) fn stored(kind: KindId, revision: &str, content: &Content) -> String {
    match content {
        Content::Files => {}
        Content::Index { .. } => return format!("stored artifact: revision '{revision}'"),
        Content::Chart(chart) => return made(chart, revision),
    }
    let what = if kind == OciRepository::ID { "digest" } else { "revision" };
    format!("stored artifact for {what} '{revision}'")
}

/// The message of the event for a fetched source. `subject` is a commit's, and `metadata` the maker's
/// annotations.
pub(super) fn fetched(
    kind: KindId,
    revision: &str,
    subject: Option<&str>,
    url: &str,
    metadata: &BTreeMap<String, String>,
    content: &Content,
) -> String {
    if let Content::Index { size } = content {
        return format!("stored fetched index of size {} from '{url}'", size_of(*size));
    }
    if let Content::Chart(chart) = content {
        return made(chart, revision);
    }
    match subject {
        Some(subject) => format!("stored artifact for commit '{subject}'"),
        None if kind == OciRepository::ID => {
            let origin = match (metadata.get(keys::OCI_SOURCE), metadata.get(keys::OCI_REVISION)) {
                (Some(source), Some(revision)) => {
                    format!(", origin source '{source}', origin revision '{revision}'")
                }
                _ => String::new(),
            };
            format!("stored artifact with revision '{revision}' from '{url}'{origin}")
        }
        None => stored(kind, revision, content),
    }
}

/// How a chart was made.
fn made(chart: &PackedChart, version: &str) -> String {
    let deed = if chart.is_packaged { "packaged" } else { "pulled" };
    let files = chart.values_files.join(" ");
    let merged = if files.is_empty() { String::new() } else { format!(" and merged values files [{files}]") };
    format!("{deed} '{}' chart with version '{version}'{merged}", chart.name)
}

/// A number of bytes in Flux's notation: at most four digits, and powers of a thousand.
fn size_of(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut unit, mut scale) = (0, 1);
    while unit + 1 < UNITS.len() && bytes / scale >= 1000 {
        unit += 1;
        scale *= 1000;
    }
    let (mut whole, mut rest) = (bytes / scale, bytes % scale);
    // The point leaves the rest of the four digits.
    let digits = 3_u32.saturating_sub(whole.max(1).ilog10());
    let power = 10_u64.pow(digits);
    rest = (rest * power + scale / 2) / scale;
    (whole, rest) = (whole + rest / power, rest % power);
    let decimals = format!("{rest:0width$}", width = digits as usize);
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    format!("{whole}{point}{decimals}{}", UNITS[unit])
}

pub(super) fn source_missing(source: &str) -> String {
    format!(
        "Source '{source}' not found: create it, or correct spec.sourceRef; it is used as soon as it exists"
    )
}

pub(super) fn source_not_ready(source: &str, message: Option<&str>) -> String {
    let known = message.map(|message| format!(": {message}")).unwrap_or_default();
    format!("Source is not ready, artifact not found: {source}{known}")
}

pub(super) fn path_missing(path: &str) -> String {
    format!(
        "{PATH_MISSING}stat {path}: no such file or directory; the objects that were applied before stay. \
         Correct spec.path, or delete the Kustomization to remove its objects"
    )
}

pub(super) fn blocked(blocker: &Blocker) -> String {
    let dependency = named(&blocker.dependency);
    match &blocker.reason {
        BlockReason::Missing => {
            format!("dependency '{dependency}' not found: create it, or correct spec.dependsOn")
        }
        BlockReason::Outdated => format!("dependency '{dependency}' revision is not up to date"),
        BlockReason::NotReady { chain, message } => {
            let mut text = format!("dependency '{dependency}' is not ready");
            if chain.len() > 1 {
                let names: Vec<&str> = chain.iter().map(|key| key.name.as_str()).collect();
                text = format!("{text}: blocked by {}", names.join(" -> "));
            }
            match message {
                Some(message) => format!("{text}: {message}"),
                None => text,
            }
        }
    }
}

/// The message about a suspended dependency, whatever it reported last.
pub fn paused(dependency: &Ref) -> String {
    let Ref { kind, namespace, name } = dependency;
    let source = api::info(*kind).and_then(api::KindInfo::source);
    let command = source.map_or("kustomization", |source| source.command);
    format!(
        "{} '{}' is suspended; set its spec.suspend to false (flux resume {command} {name} -n {namespace})",
        kind.kind,
        dependency.path()
    )
}

pub(super) fn cyclic(cycle: &Cycle) -> String {
    format!("dependency {cycle}; remove one of these from spec.dependsOn")
}

/// An object's name in messages: with its kind unless that is the usual one.
fn named(object: &Ref) -> String {
    if object.kind == Kustomization::ID { object.path() } else { object.to_string() }
}

pub(super) fn unhealthy(end: &WaitEnd, waited: StdDuration) -> String {
    format!("{HEALTH_FAILED}{}", ended(end, waited))
}

pub(super) fn not_established(end: &WaitEnd, waited: StdDuration) -> String {
    format!("{NOT_ESTABLISHED}{}", ended(end, waited))
}

/// The message without the duration of a wait, which differs in each try.
pub(super) fn timeless(message: &str) -> &str {
    let mut prefixes = [HEALTH_FAILED, NOT_ESTABLISHED].iter();
    let after = prefixes.find_map(|prefix| message.strip_prefix(prefix)?.split_once(": "));
    after.map_or(message, |(_, rest)| rest)
}

fn ended(end: &WaitEnd, waited: StdDuration) -> String {
    format!("{}: {}", Duration::from(rounded(waited)), waited_in_vain(end))
}

/// The objects of a failed wait, and the causes.
pub fn waited_in_vain(end: &WaitEnd) -> String {
    let list = |objects: &[Ill]| {
        let texts: Vec<String> =
            objects.iter().map(|ill| format!("{} status: '{}'", ill.subject, ill.status)).collect();
        let causes = objects
            .iter()
            .filter(|ill| !ill.cause.is_empty())
            .fold(String::new(), |text, ill| format!("{text}\n{}: {}", ill.subject, ill.cause));
        format!("[{}]{causes}", texts.join(", "))
    };
    match end {
        WaitEnd::TimedOut(ill) => format!("timeout waiting for: {}", list(ill)),
        WaitEnd::Stalled(ill) => format!("failed early due to stalled resources: {}", list(ill)),
        WaitEnd::Unknown(message) => format!("can't determine status: {message}"),
    }
}

/// How an action on a release ended.
pub(super) fn action_ended(end: &ActionEnd) -> String {
    let ActionEnd { kind, release, chart, failure } = end;
    // A release that is not stored, or not as wanted, has no version for the message.
    let name = release.rsplit_once(".v").map_or(release.as_str(), |(name, _)| name);
    let ended = |what: &str| match failure {
        None => format!("Helm {what} succeeded for release {release} with chart {chart}"),
        Some(cause) => format!("Helm {what} failed for release {name} with chart {chart}: {cause}"),
    };
    let remedied = |what: &str| match failure {
        None => format!("Helm {what} release {release} with chart {chart} succeeded"),
        Some(cause) => format!("Helm {what} release {release} with chart {chart} failed: {cause}"),
    };
    match kind {
        ActionKind::Unlock(status) => {
            format!("Unlocked Helm release {release} with chart {chart} in {status} state")
        }
        ActionKind::Deed(ReleaseDeed::Install) => ended("install"),
        ActionKind::Deed(ReleaseDeed::Upgrade) => ended("upgrade"),
        ActionKind::Deed(ReleaseDeed::Uninstall) => ended("uninstall"),
        ActionKind::Deed(ReleaseDeed::Rollback) => remedied("rollback to previous"),
        ActionKind::Deed(ReleaseDeed::UninstallRemediation) => remedied("uninstall remediation for"),
    }
}

/// That the objects of a release are as they are to be.
pub(super) const NO_DRIFT: &str = "No drift detected against the cluster state";

/// That objects of a release are not as it has them.
pub(super) fn drifted(found: &DriftFound) -> String {
    let DriftFound { release, lines, .. } = found;
    format!("Cluster state of release {release} has drifted from the desired state:\n{}", lines.join("\n"))
}

/// That they were put back.
pub(super) fn drift_corrected(found: &DriftFound) -> String {
    let DriftFound { release, lines, .. } = found;
    format!("Cluster state of release {release} has been corrected:\n{}", lines.join("\n"))
}

/// The message that the retries of an action are used up.
pub(super) fn stalled(deed: ReleaseDeed, attempts: i64) -> String {
    format!("Failed to {} after {attempts} attempt(s)", deed.as_str())
}

/// The most awaited objects that a message names.
const NAMED: usize = 5;

/// The message about the awaited objects of a stage.
pub(super) fn waiting(stage: &str, objects: &[Ill]) -> String {
    format!("{stage}{WAITING}{}", pending(objects))
}

pub(super) fn pending(objects: &[Ill]) -> String {
    let one = |ill: &Ill| {
        let why = if ill.cause.is_empty() { &ill.status } else { &ill.cause };
        format!("{}: {why}", ill.subject)
    };
    let mut texts: Vec<String> = objects.iter().take(NAMED).map(one).collect();
    if objects.len() > NAMED {
        texts.push(format!("and {} more", objects.len() - NAMED));
    }
    texts.join("; ")
}

/// The message of Ready for a quarantined object.
pub(super) fn quarantined(kind: KindId, times: u32) -> String {
    let (doing, changes) = match api::info(kind).map(|info| info.role) {
        Some(Role::Source(_)) => ("fetching", "its spec"),
        _ => ("building", "its spec or its folder"),
    };
    format!(
        "the agent ended {times} times while it was {doing} this object and no other new one; the object is \
         left alone until {changes} changes, a reconcile is requested, or an hour has passed"
    )
}

pub(super) fn not_deleted(failures: &[String]) -> String {
    format!("delete failed, errors: {}", listed("objects could not be deleted", failures))
}

pub(super) fn removal_waits(dependents: &[Ref]) -> String {
    let names: Vec<String> = dependents.iter().map(named).collect();
    format!("deletion waits for its dependents, which are being deleted too: {}", some_of(&names))
}

pub(super) fn prune_refused(count: usize) -> String {
    format!(
        "the build has become empty, which would delete all {count} objects, so nothing was done. To allow \
         it, annotate the Kustomization with {}: allowed",
        keys::PRUNE_ALL
    )
}

pub(super) fn removed(deleted: usize, note: Option<&str>) -> String {
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    format!("garbage collection completed: {deleted} objects deleted{note}")
}

pub(super) fn abandoned(account: &str, deleted: usize, left: &[String]) -> String {
    format!(
        "unable to prune objects: the ServiceAccount {account} does not exist; {deleted} objects deleted; \
         not deleted: {}",
        left.join(", ")
    )
}

/// Durations in messages have the precision of a millisecond.
pub(super) fn rounded(duration: StdDuration) -> StdDuration {
    StdDuration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The message about objects without a controller in a build.
pub(super) fn idle(subjects: &[String]) -> String {
    format!(
        "no controller on this cluster acts on {}; these objects are applied, and count as healthy \
     whatever their status says",
        some_of(subjects)
    )
}

/// The message about an object that is corrected again and again, because somebody else keeps changing it.
pub(super) fn fight(subject: &str, rivalry: &Rivalry, interval: StdDuration) -> String {
    let names: Vec<String> = rivalry.managers.iter().cloned().collect();
    let who = if names.is_empty() { "someone".to_owned() } else { names.join(", ") };
    let fields: Vec<String> = rivalry.fields.iter().cloned().collect();
    let (deed, cure) = match fields.as_slice() {
        [] if rivalry.deleted => ("deleting it, although it is in Git".to_owned(), "Remove it from Git"),
        [] => ("changing it, although Git sets other values".to_owned(), FIGHT_CURE),
        fields => (format!("changing {}, which Git sets to other values", some_of(fields)), FIGHT_CURE),
    };
    format!(
        "{subject}: {who} keeps {deed}; from now on the drift is corrected less often, at least every {}. \
         {cure}, or stop that program",
        Duration::from(interval)
    )
}

/// The cure of a fight over fields.
const FIGHT_CURE: &str =
    "Take these fields out of Git, annotate the object with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent";

/// The message about unsupported fields, by their names below `spec`; `None` if none is set.
pub fn unsupported(fields: &[(&str, bool)]) -> Option<String> {
    let asked: Vec<String> =
        fields.iter().filter(|(_, asked)| *asked).map(|(field, _)| format!("spec.{field}")).collect();
    match asked.as_slice() {
        [] => None,
        [one] => Some(format!("{one} is not supported yet; remove it")),
        many => Some(format!("{} are not supported yet; remove them", many.join(", "))),
    }
}

/// Several findings as one message: one as it is, more as a list. The first is in the first line, the only
/// one that kubectl's tables show.
pub(super) fn listed(what: &str, findings: &[String]) -> String {
    match findings {
        [] => String::new(),
        [one] => one.clone(),
        [first, others @ ..] => {
            others.iter().fold(format!("{} {what}: {first}", findings.len()), |text, finding| {
                format!("{text}\n- {finding}")
            })
        }
    }
}

/// At most `limit` bytes of a text, cut at a character, with a note about the missing rest.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    const NOTE: &str = " ... (shortened)";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - NOTE.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{NOTE}", &text[..end])
}
