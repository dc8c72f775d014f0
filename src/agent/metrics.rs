//! The agent's metrics. Names that Flux's dashboards know are kept; the others begin with `lockgate_`.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use lockgate_base::model::Ref;

/// The buckets' upper bounds in seconds; only a few, since every object has a histogram of its own.
const BUCKETS: [f64; 7] = [0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    kind: &'static str,
    name: String,
    namespace: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    kind: &'static str,
    result: &'static str,
}

/// The counters and histograms.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    durations: Family<ObjectLabels, Histogram, fn() -> Histogram>,
    runs: Family<ResultLabels, Counter>,
    drifts: Counter,
    reported: Family<ObjectLabels, Gauge>,
    leader: Gauge,
    waiting: Gauge<i64>,
    events: Counter<u64, AtomicU64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let durations: Family<ObjectLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let (runs, drifts, leader, waiting) =
            (Family::default(), Counter::default(), Gauge::default(), Gauge::default());
        let (events, reported) = (Counter::default(), Family::<ObjectLabels, Gauge>::default());
        let mut registry = Registry::default();
        registry.register(
            "gotk_reconcile_duration_seconds",
            "The duration in seconds of a reconcile",
            durations.clone(),
        );
        registry.register("lockgate_runs", "Reconciles and fetches that ended, by result", runs.clone());
        registry.register("lockgate_drifts", "Drifts of managed objects", drifts.clone());
        registry.register(
            "lockgate_drifted_objects",
            "Managed objects whose drift is reported and not corrected",
            reported.clone(),
        );
        registry.register("lockgate_leader", "Whether this process holds the lease", leader.clone());
        registry.register("lockgate_waiting", "Reconciles that wait for a slot", waiting.clone());
        registry.register("lockgate_events", "Events that were written", events.clone());
        Self { registry, durations, runs, drifts, reported, leader, waiting, events }
    }

    pub(super) fn ended(&self, key: &Ref, took: Duration, success: bool) {
        let labels =
            ObjectLabels { kind: key.kind.kind, name: key.name.clone(), namespace: key.namespace.clone() };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
        let result = if success { "success" } else { "failure" };
        self.runs.get_or_create(&ResultLabels { kind: key.kind.kind, result }).inc();
    }

    pub(super) fn forget(&self, key: &Ref) {
        let labels =
            ObjectLabels { kind: key.kind.kind, name: key.name.clone(), namespace: key.namespace.clone() };
        self.durations.remove(&labels);
        self.reported.remove(&labels);
    }

    /// Sets the number of objects whose drift is reported and not corrected.
    pub(super) fn reports(&self, key: &Ref, count: usize) {
        let labels =
            ObjectLabels { kind: key.kind.kind, name: key.name.clone(), namespace: key.namespace.clone() };
        self.reported.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn drifted(&self) {
        self.drifts.inc();
    }

    pub(super) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    pub(super) fn waits(&self, waiting: usize) {
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    pub(super) fn event(&self) {
        self.events.inc();
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_core::api::Kustomization;

    #[test]
    fn the_name_that_dashboards_know_is_there_and_goes_with_the_object() {
        let metrics = Metrics::new();
        let key = Kustomization::named("flux-system", "apps");
        metrics.ended(&key, Duration::from_millis(100), true);
        let line = r#"gotk_reconcile_duration_seconds_count{kind="Kustomization",name="apps",namespace="flux-system"} 1"#;
        assert!(metrics.text().contains(line), "{}", metrics.text());
        metrics.forget(&key);
        assert!(!metrics.text().contains(line));
    }
}
