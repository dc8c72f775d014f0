//! GitRepositories: one, which holds the platform.

use lockgate_core::api::{GitRepository, KindInfo};
use serde_json::{Value, json};

use super::{End, Memory, Subject, Told, unless_ready};
use crate::chance::Chance;
use crate::platform::{HOME, Platform, revision};
use crate::server::Key;

pub(super) struct Sources;

impl Subject for Sources {
    fn info(&self) -> &'static KindInfo {
        GitRepository::INFO
    }

    fn beginning(&self) -> Vec<Value> {
        let info = self.info();
        vec![json!({"apiVersion": info.api_version(), "kind": info.id.kind,
            "metadata": {"name": HOME, "namespace": HOME},
            "spec": {"interval": "1m0s", "url": "https://git.example.com/platform", "ref": {"branch": "main"}}})]
    }

    fn files(&self, _: &Platform) -> Vec<(String, Value)> {
        Vec::new()
    }

    fn commit(&self, _: &mut Platform, _: &mut Chance) -> Option<String> {
        None
    }

    fn edit(&self, chance: &mut Chance) -> Value {
        json!({"spec": {"interval": format!("{}m0s", 1 + chance.below(2)), "timeout": "60s"}})
    }

    fn told(&self, told: &Told<'_>, memory: &mut Memory) -> Vec<(&'static str, String)> {
        let (Some(before), Some(after)) = (&told.change.before, &told.change.after) else {
            return Vec::new();
        };
        let artifact = |object: &Value| object.pointer("/status/artifact/revision").cloned();
        let (held, holds) = (artifact(before), artifact(after));
        let mut broken = Vec::new();
        let has_moved = held.is_some() && held != holds;
        let is_suspended = after.pointer("/spec/suspend") == Some(&Value::Bool(true));
        let recently = |at: &std::time::Duration| told.time.saturating_sub(*at).as_secs() < 90;
        // A fetch that was under way when it was suspended may end.
        if has_moved && is_suspended && !memory.respecified.get(&told.change.key).is_some_and(recently) {
            broken.push(("what is suspended stays", format!("the source moves from {held:?} to {holds:?}")));
        }
        let is_known = |holds: &Value| memory.heads.iter().any(|head| *holds == revision(*head).to_string());
        if has_moved && !holds.as_ref().is_some_and(is_known) {
            broken.push(("a status says what is true", format!("{holds:?} was never at the head")));
        }
        broken
    }

    fn left_to_do(&self, end: &End<'_>) -> Vec<String> {
        let info = self.info();
        let key = Key::new(info.id.group, info.plural, HOME, HOME);
        let Some(object) = end.server.get(&key) else { return vec!["the source is not there".into()] };
        let problem = unless_ready(object).map(|message| format!("the source is not Ready: {message}"));
        let (artifact, wanted) = (&object["status"]["artifact"]["revision"], revision(end.head).to_string());
        let behind = (*artifact != wanted).then(|| format!("the source is at {artifact}, and not {wanted}"));
        problem.into_iter().chain(behind).collect()
    }
}
