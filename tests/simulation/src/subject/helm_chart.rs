//! HelmCharts: one, of the newest version that its repository has.

use lockgate_core::api::{HelmChart, KindInfo};
use serde_json::{Value, json};

use super::{End, Memory, Subject, Told, source};
use crate::chance::Chance;
use crate::platform::{CHART, HOME, Platform, chart_version};

pub(super) struct HelmCharts;

impl Subject for HelmCharts {
    fn info(&self) -> &'static KindInfo {
        HelmChart::INFO
    }

    fn beginning(&self) -> Vec<Value> {
        vec![source::object(
            self.info(),
            &json!({"chart": CHART, "version": "*",
            "sourceRef": {"kind": "HelmRepository", "name": HOME}}),
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
        source::told(told, memory, |_, platform| chart_version(platform.charts))
    }

    fn left_to_do(&self, end: &End<'_>) -> Vec<String> {
        source::left_to_do(end, self.info(), &chart_version(end.platform.charts))
    }
}
