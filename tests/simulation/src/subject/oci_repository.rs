//! OCIRepositories: one, whose tag moves.

use lockgate_core::api::{KindInfo, OciRepository};
use serde_json::{Value, json};

use super::{End, Memory, Subject, Told, source};
use crate::chance::Chance;
use crate::platform::{Platform, artifact};

pub(super) struct OciRepositories;

impl Subject for OciRepositories {
    fn info(&self) -> &'static KindInfo {
        OciRepository::INFO
    }

    fn beginning(&self) -> Vec<Value> {
        vec![source::object(
            self.info(),
            &json!({"url": "oci://registry.example.com/platform", "ref": {"tag": "latest"}}),
        )]
    }

    fn files(&self, _: &Platform) -> Vec<(String, Value)> {
        Vec::new()
    }

    fn commit(&self, platform: &mut Platform, chance: &mut Chance) -> Option<String> {
        // Most of what happens is to happen to what is applied.
        chance.happens(20).then(|| {
            platform.artifact += 1;
            format!("tags artifact {}", platform.artifact)
        })
    }

    fn edit(&self, chance: &mut Chance) -> Value {
        source::edit(chance)
    }

    fn told(&self, told: &Told<'_>, memory: &mut Memory) -> Vec<(&'static str, String)> {
        source::told(told, memory, |_, platform| artifact(platform.artifact).to_string())
    }

    fn left_to_do(&self, end: &End<'_>) -> Vec<String> {
        source::left_to_do(end, self.info(), &artifact(end.platform.artifact).to_string())
    }
}
