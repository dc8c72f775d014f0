//! HelmRepositories: one, with versions of a chart.

use lockgate_core::api::{HelmRepository, KindInfo};
use serde_json::{Value, json};

use super::{End, Memory, Subject, Told, source};
use crate::chance::Chance;
use crate::platform::{Platform, index_revision};

pub(super) struct HelmRepositories;

impl Subject for HelmRepositories {
    fn info(&self) -> &'static KindInfo {
        HelmRepository::INFO
    }

    fn beginning(&self) -> Vec<Value> {
        vec![source::object(self.info(), &json!({"url": "https://charts.example.com"}))]
    }

    fn files(&self, _: &Platform) -> Vec<(String, Value)> {
        Vec::new()
    }

    fn commit(&self, platform: &mut Platform, chance: &mut Chance) -> Option<String> {
        // Most of what happens is to happen to what is applied.
        chance.happens(20).then(|| {
            platform.charts += 1;
            format!("pushes chart {}", platform.charts)
        })
    }

    fn edit(&self, chance: &mut Chance) -> Value {
        source::edit(chance)
    }

    fn told(&self, told: &Told<'_>, memory: &mut Memory) -> Vec<(&'static str, String)> {
        source::told(told, memory, |_, platform| index_revision(platform.charts).to_string())
    }

    fn left_to_do(&self, end: &End<'_>) -> Vec<String> {
        source::left_to_do(end, self.info(), &index_revision(end.platform.charts).to_string())
    }
}
