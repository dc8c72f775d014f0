//! What all kinds of sources have in common: what people do to them, and what their statuses must say.

use std::time::Duration;

use lockgate_core::api::KindInfo;
use serde_json::{Value, json};

use super::{End, Memory, Told, unless_ready};
use crate::chance::Chance;
use crate::platform::{HOME, Platform};
use crate::server::Key;

/// How long a fetch may take that was under way when its source was suspended.
const UNDER_WAY: Duration = Duration::from_secs(90);

/// The object of a kind of source.
pub(super) fn object(info: &KindInfo, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": info.api_version(), "kind": info.id.kind,
        "metadata": {"name": HOME, "namespace": HOME}, "spec": {"interval": "1m0s"}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

/// What somebody changes of a source.
pub(super) fn edit(chance: &mut Chance) -> Value {
    json!({"spec": {"interval": format!("{}m0s", 1 + chance.below(2)), "timeout": "60s"}})
}

/// The laws that are broken where a source moves to what `revision` says that no commit has had, or moves
/// while it is suspended.
pub(super) fn told(
    told: &Told<'_>,
    memory: &Memory,
    revision: impl Fn(usize, &Platform) -> String,
) -> Vec<(&'static str, String)> {
    let (Some(before), Some(after)) = (&told.change.before, &told.change.after) else {
        return Vec::new();
    };
    let artifact = |object: &Value| object.pointer("/status/artifact/revision").cloned();
    let (held, holds) = (artifact(before), artifact(after));
    let mut broken = Vec::new();
    let has_moved = held.is_some() && held != holds;
    let is_suspended = after.pointer("/spec/suspend") == Some(&Value::Bool(true));
    let recently = |at: &Duration| told.time.saturating_sub(*at) < UNDER_WAY;
    if has_moved && is_suspended && !memory.respecified.get(&told.change.key).is_some_and(recently) {
        broken.push(("what is suspended stays", format!("the source moves from {held:?} to {holds:?}")));
    }
    let is_known =
        |holds: &Value| memory.heads.iter().any(|head| *holds == revision(*head, &told.commits[*head]));
    if has_moved && !holds.as_ref().is_some_and(is_known) {
        broken.push(("a status says what is true", format!("{holds:?} was never at the head")));
    }
    broken
}

/// What a source is not, which should be ready and at a revision.
pub(super) fn left_to_do(end: &End<'_>, info: &KindInfo, wanted: &str) -> Vec<String> {
    let key = Key::new(info.id.group, info.plural, HOME, HOME);
    let kind = info.id.kind;
    let Some(object) = end.server.get(&key) else { return vec![format!("the {kind} is not there")] };
    let problem = unless_ready(object).map(|message| format!("the {kind} is not Ready: {message}"));
    let artifact = &object["status"]["artifact"]["revision"];
    let behind = (*artifact != wanted).then(|| format!("the {kind} is at {artifact}, and not {wanted}"));
    problem.into_iter().chain(behind).collect()
}
