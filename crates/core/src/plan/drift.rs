//! Drift: the differences between an object on the cluster and the result of an apply.
//!
//! Labels, annotations, finalizers, owner references, and every field outside `metadata` and `status` are
//! compared. Flux leaves out finalizers and owner references, and so does not apply one that Git adds or
//! drops.

use std::fmt;

use serde_json::{Map, Value};

use lockgate_base::model::Object;

/// The most differences of one object that are reported one by one.
const MOST: usize = 50;
/// The longest value that is reported uncut.
const LONGEST: usize = 120;

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The path, for example `spec.template.spec.containers[0].image`.
    pub path: String,
    /// The difference.
    pub change: FieldDrift,
}

/// How a field differs. Values of Secrets are `***`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldDrift {
    /// The field has another value than it should.
    Changed {
        /// The live value.
        live: String,
        /// The wanted value.
        wanted: String,
    },
    /// The field is missing; its wanted value.
    Missing(String),
    /// The field should not exist; its live value.
    Surplus(String),
    /// Git does not set the field, but this manager has set it, so an apply removes it.
    SetBy(String),
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match &self.change {
            FieldDrift::Changed { live, wanted } => write!(f, "{live} → {wanted}"),
            FieldDrift::Missing(wanted) => write!(f, "(missing) → {wanted}"),
            FieldDrift::Surplus(live) => write!(f, "{live} → (removed)"),
            FieldDrift::SetBy(manager) => write!(f, "set by {manager} → (removed)"),
        }
    }
}

/// The fields in which a live object differs from the result of the dry run. Values are shown unless `secret`
/// is set.
pub fn drift(live: &Object, wanted: &Object, secret: bool) -> Vec<Drift> {
    let mut found = Finder { secret, drift: Vec::new() };
    for field in ["labels", "annotations"] {
        let pointer = format!("/metadata/{field}");
        let entries =
            |object: &Object| object.pointer(&pointer).cloned().unwrap_or_else(|| Map::new().into());
        found.compare(&format!("metadata.{field}"), &entries(live), &entries(wanted));
    }
    for field in ["finalizers", "ownerReferences"] {
        let pointer = format!("/metadata/{field}");
        let items =
            |object: &Object| object.pointer(&pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        found.compare_sets(&format!("metadata.{field}"), &items(live), &items(wanted));
    }
    let (live, wanted) = (content(live), content(wanted));
    found.compare("", &live, &wanted);
    found.drift
}

/// The compared parts of an object: its labels and annotations, and all fields outside of `metadata` and
/// `status`.
pub fn compared(object: &Object) -> Value {
    let mut value = content(object);
    let metadata = ["labels", "annotations"]
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), object.pointer(&format!("/metadata/{field}"))?.clone())));
    value["metadata"] = metadata.collect::<Map<_, _>>().into();
    value
}

/// The object without `metadata` and `status`.
fn content(object: &Object) -> Value {
    let Value::Object(fields) = object.value() else { return Value::Null };
    let kept = fields.iter().filter(|(key, _)| *key != "metadata" && *key != "status");
    let mut content: Map<String, Value> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    if object.kind() == "HorizontalPodAutoscaler" {
        single_metrics(&mut content);
    }
    content.into()
}

/// An API server before 1.27 repeats the first metric of an autoscaler in a dry run, and adds an empty one
/// (kubernetes/kubernetes#118293).
fn single_metrics(content: &mut Map<String, Value>) {
    let metrics = content.get_mut("spec").and_then(|spec| spec.get_mut("metrics"));
    let Some(Value::Array(metrics)) = metrics else { return };
    let mut kept: Vec<Value> = Vec::new();
    for metric in std::mem::take(metrics) {
        let typed = metric.get("type").and_then(Value::as_str).is_some_and(|kind| !kind.is_empty());
        if typed && !kept.contains(&metric) {
            kept.push(metric);
        }
    }
    *metrics = kept;
}

struct Finder {
    secret: bool,
    drift: Vec<Drift>,
}

impl Finder {
    fn compare(&mut self, path: &str, live: &Value, wanted: &Value) {
        if live == wanted || self.drift.len() >= MOST {
            return;
        }
        match (live, wanted) {
            (Value::Object(live), Value::Object(wanted)) => self.compare_maps(path, live, wanted),
            (Value::Array(live), Value::Array(wanted)) => {
                for at in 0..live.len().max(wanted.len()) {
                    self.compare_optional(&format!("{path}[{at}]"), live.get(at), wanted.get(at));
                }
            }
            _ => {
                let change = FieldDrift::Changed { live: self.show(live), wanted: self.show(wanted) };
                self.push(path, change);
            }
        }
    }

    fn compare_maps(&mut self, path: &str, live: &Map<String, Value>, wanted: &Map<String, Value>) {
        for (key, value) in live {
            self.compare_optional(&join(path, key), Some(value), wanted.get(key));
        }
        for (key, value) in wanted.iter().filter(|(key, _)| !live.contains_key(*key)) {
            self.compare_optional(&join(path, key), None, Some(value));
        }
    }

    fn compare_optional(&mut self, path: &str, live: Option<&Value>, wanted: Option<&Value>) {
        match (live, wanted) {
            (Some(live), Some(wanted)) => self.compare(path, live, wanted),
            (Some(live), None) => {
                let shown = self.show(live);
                self.push(path, FieldDrift::Surplus(shown));
            }
            (None, Some(wanted)) => {
                let shown = self.show(wanted);
                self.push(path, FieldDrift::Missing(shown));
            }
            (None, None) => {}
        }
    }

    /// Compares lists whose order has no meaning.
    fn compare_sets(&mut self, path: &str, live: &[Value], wanted: &[Value]) {
        let name = |item: &Value| {
            let named = item.get("name").unwrap_or(item);
            format!("{path}[{}]", named.as_str().unwrap_or_default())
        };
        for item in live.iter().filter(|item| !wanted.contains(item)) {
            self.compare_optional(&name(item), Some(item), None);
        }
        for item in wanted.iter().filter(|item| !live.contains(item)) {
            self.compare_optional(&name(item), None, Some(item));
        }
    }

    fn push(&mut self, path: &str, change: FieldDrift) {
        if self.drift.len() < MOST {
            self.drift.push(Drift { path: path.to_owned(), change });
        }
    }

    fn show(&self, value: &Value) -> String {
        if self.secret {
            return "***".into();
        }
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match text.char_indices().nth(LONGEST) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        }
    }
}

/// The path of a field, as in `spec.replicas`; a key with a dot or a slash is in brackets.
pub(super) fn join(path: &str, key: &str) -> String {
    if key.contains(['.', '/', '[']) {
        format!("{path}[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(mut value: Value) -> Object {
        value["apiVersion"] = "v1".into();
        if value.get("kind").is_none() {
            value["kind"] = "A".into();
        }
        if value["metadata"].get("name").is_none() {
            value["metadata"]["name"] = "a".into();
        }
        Object::parse(value).unwrap()
    }

    fn print(live: Value, wanted: Value, secret: bool) -> Vec<String> {
        drift(&object(live), &object(wanted), secret).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fields_labels_and_annotations_count() {
        let cases = [
            (
                json!({"spec": {"replicas": 2}}),
                json!({"spec": {"replicas": 3}}),
                &["spec.replicas: 2 → 3"][..],
            ),
            (json!({"spec": {}}), json!({"spec": {"a": {"b": 1}}}), &["spec.a: (missing) → {\"b\":1}"]),
            (json!({"data": {"k.yaml": "x"}}), json!({"data": {}}), &["data[k.yaml]: x → (removed)"]),
            (
                json!({"spec": {"c": [{"image": "a:1"}, {"image": "b"}]}}),
                json!({"spec": {"c": [{"image": "a:2"}]}}),
                &["spec.c[0].image: a:1 → a:2", "spec.c[1]: {\"image\":\"b\"} → (removed)"],
            ),
            (
                json!({"metadata": {"labels": {"a": "x"}, "annotations": {"e.io/b": "y"}}}),
                json!({"metadata": {"labels": {"a": "z"}}}),
                &["metadata.labels.a: x → z", "metadata.annotations[e.io/b]: y → (removed)"],
            ),
            (json!({"spec": {"a": 1}}), json!({"spec": {"a": "1"}}), &["spec.a: 1 → 1"]),
            (
                json!({"metadata": {"finalizers": ["x.io/a", "x.io/b"]}}),
                json!({"metadata": {"finalizers": ["x.io/c", "x.io/a"],
                                    "ownerReferences": [{"name": "o"}]}}),
                &[
                    "metadata.finalizers[x.io/b]: x.io/b → (removed)",
                    "metadata.finalizers[x.io/c]: (missing) → x.io/c",
                    "metadata.ownerReferences[o]: (missing) → {\"name\":\"o\"}",
                ],
            ),
            (
                json!({"metadata": {"finalizers": ["x.io/a", "x.io/b"]}}),
                json!({"metadata": {"finalizers": ["x.io/b", "x.io/a"]}}),
                &[],
            ),
            (
                json!({"metadata": {"generation": 1, "resourceVersion": "7"}, "status": {"x": 1}}),
                json!({"metadata": {"generation": 2, "resourceVersion": "8"}, "status": {"x": 2}}),
                &[],
            ),
        ];
        for (live, wanted, printed) in cases {
            assert_eq!(print(live, wanted, false), printed);
        }
    }

    #[test]
    fn an_absent_map_of_labels_is_an_empty_one() {
        assert_eq!(
            print(json!({"metadata": {"labels": {}}}), json!({"metadata": {}}), false),
            Vec::<String>::new()
        );
    }

    #[test]
    fn values_of_a_secret_are_not_told() {
        let printed = print(
            json!({"data": {"password": "aHVudGVyMQ==", "gone": "aHVudGVyMg=="}}),
            json!({"data": {"password": "aHVudGVyMw==", "new": "aHVudGVyNA=="}}),
            true,
        );
        assert_eq!(
            printed,
            ["data.password: *** → ***", "data.gone: *** → (removed)", "data.new: (missing) → ***"]
        );
    }

    #[test]
    fn long_values_and_long_lists_are_cut() {
        let printed = print(json!({"data": {"a": "ä".repeat(500)}}), json!({"data": {}}), false);
        assert_eq!(printed, [format!("data.a: {}… → (removed)", "ä".repeat(LONGEST))]);
        let many = |value: i64| json!({"data": (0..200).map(|n| (n.to_string(), value.into())).collect::<Map<_, _>>()});
        assert_eq!(print(many(1), many(2), false).len(), MOST);
    }

    #[test]
    fn a_metric_that_a_dry_run_repeats_is_no_drift() {
        let metric = json!({"type": "Resource", "resource": {"name": "cpu"}});
        let autoscaler =
            |metrics: Value| json!({"kind": "HorizontalPodAutoscaler", "spec": {"metrics": metrics}});
        let live = autoscaler(json!([metric]));
        assert!(print(live.clone(), autoscaler(json!([metric, metric, {"type": ""}])), false).is_empty());
        let other = json!({"type": "Resource", "resource": {"name": "memory"}});
        assert_eq!(print(live, autoscaler(json!([metric, other])), false).len(), 1);
    }
}
