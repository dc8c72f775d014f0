//! GitRepositories: one, which holds the platform.

use lockgate_core::api::{GitRepository, KindInfo};
use serde_json::{Value, json};

use super::{End, Memory, Subject, Told, source};
use crate::chance::Chance;
use crate::platform::{Platform, revision};

pub(super) struct GitRepositories;

impl Subject for GitRepositories {
    fn info(&self) -> &'static KindInfo {
        GitRepository::INFO
    }

    fn beginning(&self) -> Vec<Value> {
        vec![source::object(
            self.info(),
            &json!({"url": "https://git.example.com/platform", "ref": {"branch": "main"}}),
        )]
    }

    fn files(&self, _: &Platform) -> Vec<(String, Value)> {
        Vec::new()
    }

    fn commit(&self, _: &mut Platform, _: &mut Chance) -> Option<String> {
        None
    }

    fn edit(&self, chance: &mut Chance) -> Value {
        source::edit(chance)
    }

    fn told(&self, told: &Told<'_>, memory: &mut Memory) -> Vec<(&'static str, String)> {
        source::told(told, memory, |commit, _| revision(commit).to_string())
    }

    fn left_to_do(&self, end: &End<'_>) -> Vec<String> {
        source::left_to_do(end, self.info(), &revision(end.head).to_string())
    }
}
