//! `validators`: transformers that may read everything and change only one label.
//!
//! Kustomize removes that label again and compares nodes, with their places in the file and their quotes. The
//! removal rewrites all labels at the end of the metadata. So the label may stand beside others only if a
//! transformer made those, in order, and nothing was put behind them.

use serde_json::Value;

use super::build::BuildShared;
use super::fieldspec::selects;
use super::labels::SetPairs;
use super::provenance::Labels;
use super::res::Res;
use super::resmap::ResMap;
use super::step::{BuildStep, Transformer};
use crate::error::{Fault, Result};

/// The label that a validator may set.
const VALIDATED_BY: &str = "validated-by";

/// Runs the validators of the kustomization in `file`.
pub(crate) fn run(
    steps: Vec<BuildStep>,
    map: &mut ResMap,
    build: &BuildShared<'_>,
    file: &str,
) -> Result<()> {
    for step in steps {
        // Validators are not noted on the objects.
        let step = BuildStep { origin: None, ..step };
        let before: Vec<(Value, bool)> =
            map.items().iter().map(|res| (res.value.clone(), can_be_written_anew(res))).collect();
        let touches = touches(&step.transformer, map);
        step.run(map, build)?;
        let same = !touches
            && before.len() == map.items().len()
            && before.iter().zip(map.items()).all(|((before, anew), res)| {
                without_validation_label(&res.value, *anew).is_some_and(|after| after == *before)
            });
        if !same {
            let message = "a validator changed the resources, or set a value that they have already";
            return Err(Fault::new(message).in_field("validators").in_file(file).into());
        }
    }
    Ok(())
}

/// Whether a transformer writes to any resource, even if it writes the existing value.
fn touches(transformer: &Transformer, map: &ResMap) -> bool {
    match transformer {
        Transformer::Pairs(pairs) => map.items().iter().any(|res| sets_again(pairs, res)),
        other => other.touches(map),
    }
}

/// Whether pairs are set that the object has from its file.
fn sets_again(pairs: &SetPairs, res: &Res) -> bool {
    let sets = |path: &str| pairs.specs.iter().any(|spec| spec.path == path && selects(spec, res.gvk()));
    let has = |field: &str, key: &str| res.metadata(field).is_some_and(|map| map.get(key).is_some());
    let read_label = |key: &String| has("labels", key) && !res.set_labels.contains(key);
    let labels = sets("metadata/labels") && pairs.pairs.keys().any(read_label);
    let own_annotations = !res.made_annotations && !res.noted;
    let annotations = own_annotations && sets("metadata/annotations");
    labels || (annotations && pairs.pairs.keys().any(|key| has("annotations", key)))
}

/// An object without the label that a validator may set; `None` if its removal would show.
fn without_validation_label(value: &Value, can_be_written_anew: bool) -> Option<Value> {
    let mut value = value.clone();
    if let Some(Value::Object(metadata)) = value.get_mut("metadata")
        && let Some(Value::Object(labels)) = metadata.get_mut("labels")
        && labels.shift_remove(VALIDATED_BY).is_some()
    {
        if labels.is_empty() {
            metadata.shift_remove("labels");
        } else if !can_be_written_anew {
            return None;
        }
    }
    Some(value)
}

/// Whether rewriting the labels leaves them unchanged.
fn can_be_written_anew(res: &Res) -> bool {
    let Labels::Made { annotated } = res.labels else { return false };
    let Some(metadata) = res.value.get("metadata").and_then(Value::as_object) else { return false };
    let last = metadata.keys().rev().find(|key| !annotated || *key != "annotations");
    let labels = metadata.get("labels").and_then(Value::as_object);
    last.is_some_and(|last| last == "labels")
        && labels.is_some_and(|labels| {
            labels.keys().is_sorted()
                && labels.values().all(|value| value.as_str().is_some_and(|text| !text.contains('\n')))
        })
}
