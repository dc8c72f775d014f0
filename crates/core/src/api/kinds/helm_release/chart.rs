//! The source that contains a release's chart: the one that the release refers to, or the HelmChart that
//! lockgate creates for it under Flux's name.

use serde_json::{Value, json};

use super::{ChartTemplate, HelmRelease};
use crate::api::kinds::helm_chart::HelmChart;
use crate::api::kinds::oci_repository::OciRepository;
use crate::api::source::Source;
use lockgate_base::model::{Duration, Object, Ref};

/// The maximal length of a label's value, such as the release's name on its HelmChart.
const LABEL_LIMIT: usize = 63;

impl HelmRelease {
    /// The source that contains the chart, or why there can be none.
    pub fn chart(&self) -> Result<Ref, String> {
        let own = &self.metadata.namespace;
        match (&self.spec.chart, &self.spec.chart_ref) {
            (Some(_), Some(_)) => Err("spec.chart and spec.chartRef are both set: keep one of them".into()),
            (None, None) => Err("spec.chart and spec.chartRef are both missing: set one of them".into()),
            (Some(template), None) => {
                let limit = self.metadata.name.len().max(own.len());
                if limit > LABEL_LIMIT {
                    return Err(format!(
                        "metadata: name or namespace has {limit} characters, and spec.chart allows {LABEL_LIMIT}, \
                         since both are labels of the HelmChart; shorten it, or use spec.chartRef"
                    ));
                }
                Ok(self.made_chart(template))
            }
            (None, Some(reference)) => {
                let namespace = reference.namespace.as_ref().unwrap_or(own);
                [HelmChart::ID, OciRepository::ID]
                    .into_iter()
                    .find(|id| id.kind == reference.kind)
                    .map(|id| Ref::new(id, namespace, &reference.name))
                    .ok_or_else(|| {
                        let (kind, name) = (&reference.kind, &reference.name);
                        format!(
                            "spec.chartRef: {kind}/{namespace}/{name} is of a kind that lockgate does not serve yet; \
                             use an OCIRepository or a HelmChart"
                        )
                    })
            }
        }
    }

    fn made_chart(&self, template: &ChartTemplate) -> Ref {
        let own = &self.metadata.namespace;
        let namespace = template.spec.source_ref.namespace.as_ref().unwrap_or(own);
        Ref::new(HelmChart::ID, namespace, format!("{own}-{}", self.metadata.name))
    }

    /// The HelmChart that `spec.chart` asks for.
    pub fn chart_object(&self) -> Option<Object> {
        let template = self.spec.chart.as_ref()?;
        let Ref { namespace, name, .. } = self.made_chart(template);
        let spec = &template.spec;
        let source = &spec.source_ref;
        let (mut labels, annotations) = (template.metadata.labels.clone(), &template.metadata.annotations);
        labels.insert(Self::OWNERSHIP.name_label.into(), self.metadata.name.clone());
        labels.insert(Self::OWNERSHIP.namespace_label.into(), self.metadata.namespace.clone());
        let interval: Duration = spec.interval.unwrap_or(self.spec.interval);
        let mut value = json!({
            "apiVersion": HelmChart::INFO.api_version(),
            "kind": HelmChart::ID.kind,
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {
                "chart": spec.chart,
                "version": spec.version.as_deref().unwrap_or("*"),
                "sourceRef": {"kind": source.kind, "name": source.name},
                "interval": interval,
                "reconcileStrategy": spec.reconcile_strategy.unwrap_or_default(),
            },
        });
        if !annotations.is_empty() {
            value["metadata"]["annotations"] = json!(annotations);
        }
        let mut set = |field: &str, given: Value| value["spec"][field] = given;
        if !spec.values_files.is_empty() {
            set("valuesFiles", json!(spec.values_files));
        }
        if let Some(file) = &spec.values_file {
            set("valuesFile", json!(file));
        }
        if spec.ignore_missing_values_files {
            set("ignoreMissingValuesFiles", json!(true));
        }
        if let Some(version) = &source.api_version {
            value["spec"]["sourceRef"]["apiVersion"] = json!(version);
        }
        Object::parse(value).ok()
    }
}

/// Whether a HelmChart has all fields of the wanted one.
pub fn is_as_wanted(live: &Source, wanted: &Object) -> bool {
    let spec = live.spec::<super::super::helm_chart::HelmChartSpec>();
    let spec = spec.and_then(|spec| serde_json::to_value(spec).ok()).unwrap_or_default();
    let labels = json!(live.metadata.labels);
    let annotations = json!(live.metadata.annotations);
    let has = |there: &Value, field: &str| {
        let wanted = wanted.pointer(field).and_then(Value::as_object);
        wanted.into_iter().flatten().all(|(key, value)| there.get(key) == Some(value))
    };
    has(&spec, "/spec")
        && has(&labels, "/metadata/labels")
        && has(&annotations, "/metadata/annotations")
        && OPTIONAL.iter().all(|field| {
            let given = wanted.pointer(&format!("/spec/{field}"));
            given.is_some() || spec.get(*field).is_none_or(|there| *there == json!(false))
        })
}

/// The fields of a HelmChart's spec that are left out if they are empty.
const OPTIONAL: [&str; 4] = ["valuesFiles", "valuesFile", "ignoreMissingValuesFiles", "verify"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{decode, decode_source};

    fn release(spec: &Value) -> HelmRelease {
        let mut all = json!({"interval": "10m"});
        json_patch::merge(&mut all, spec);
        let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                            "metadata": {"name": "web", "namespace": "apps"}, "spec": all});
        decode(&Object::parse(object).unwrap()).unwrap()
    }

    fn by_template() -> Value {
        json!({"chart": {"spec": {"chart": "tiny", "version": "1.x", "valuesFiles": ["a.yaml"],
               "sourceRef": {"kind": "HelmRepository", "name": "charts", "namespace": "flux-system"}}}})
    }

    #[test]
    fn the_chart_that_is_made_has_the_name_and_the_labels_that_flux_gives_it() {
        let release = release(&by_template());
        assert_eq!(release.chart().unwrap().to_string(), "HelmChart/flux-system/apps-web");
        let object = release.chart_object().unwrap();
        let expected = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
            "metadata": {"name": "apps-web", "namespace": "flux-system", "labels": {
                "helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "apps"}},
            "spec": {"chart": "tiny", "version": "1.x", "interval": "10m0s",
                     "sourceRef": {"kind": "HelmRepository", "name": "charts"},
                     "reconcileStrategy": "ChartVersion", "valuesFiles": ["a.yaml"]},
        });
        assert_eq!(object.value(), &expected);
    }

    #[test]
    fn a_chart_that_is_there_is_known_for_the_one_that_is_wanted() {
        let wanted = release(&by_template()).chart_object().unwrap();
        let live = |change: fn(&mut Value)| {
            let object = wanted.clone().edit(change).unwrap();
            decode_source(&object).unwrap()
        };
        assert!(is_as_wanted(&live(|_| {}), &wanted));
        assert!(is_as_wanted(&live(|chart| chart["metadata"]["labels"]["more"] = json!("x")), &wanted));
        let changes: [fn(&mut Value); 4] = [
            |chart| chart["spec"]["version"] = json!("2.x"),
            |chart| chart["spec"]["valuesFiles"] = json!(["b.yaml"]),
            |chart| chart["spec"]["ignoreMissingValuesFiles"] = json!(true),
            |chart| chart["metadata"]["labels"] = json!({}),
        ];
        for change in changes {
            assert!(!is_as_wanted(&live(change), &wanted));
        }
    }

    #[test]
    fn a_chart_is_named_once_and_of_a_kind_that_can_hold_one() {
        let told = |spec: Value| release(&spec).chart().map(|chart| chart.to_string());
        let reference = |kind: &str| json!({"chartRef": {"kind": kind, "name": "c"}});
        assert_eq!(told(reference("OCIRepository")), Ok("OCIRepository/apps/c".into()));
        assert_eq!(told(reference("HelmChart")), Ok("HelmChart/apps/c".into()));
        assert!(told(reference("ExternalArtifact")).unwrap_err().contains("does not serve yet"));
        assert!(told(json!({})).unwrap_err().contains("both missing"));
        let mut both = by_template();
        json_patch::merge(&mut both, &reference("HelmChart"));
        assert!(told(both).unwrap_err().contains("both set"));
    }

    #[test]
    fn a_name_that_no_label_can_hold_is_refused_where_it_would_be_one() {
        let mut release = release(&by_template());
        release.metadata.name = "a".repeat(64);
        assert!(release.chart().unwrap_err().contains("64 characters"));
        let template = release.spec.chart.take();
        assert!(template.is_some());
        release.spec.chart_ref = serde_json::from_value(json!({"kind": "HelmChart", "name": "c"})).unwrap();
        assert!(release.chart().is_ok());
    }
}
