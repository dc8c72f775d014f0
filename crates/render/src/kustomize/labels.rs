//! `labels`, `commonLabels` and `commonAnnotations`: the same pairs in many fields.

use serde_json::{Map, Value};

use super::config::{Config, merge_spec, merge_specs};
use super::fieldspec::{self, Create, Field};
use super::file::{FieldSpec, Label, Pairs};
use super::id::position;
use super::provenance::{Labels, is_quoted};
use super::res::Res;
use super::resmap::ResMap;
use super::twins;
use crate::budget::Budget;
use crate::error::Result;
use lockgate_base::model::yaml::{Styles, TextStyle, is_usually_quoted};

/// Sets pairs in mappings.
#[derive(Debug, Clone)]
pub(crate) struct SetPairs {
    /// The pairs.
    pub(crate) pairs: Pairs,
    /// The mappings.
    pub(crate) specs: Vec<FieldSpec>,
}

impl SetPairs {
    /// The transformer for an entry of `labels`.
    pub(crate) fn of_label(label: &Label, config: &Config) -> Result<Self> {
        let mut specs = label.fields.clone();
        merge_specs(&mut specs, &config.labels)?;
        if label.include_selectors {
            merge_specs(&mut specs, &config.common_labels)?;
        } else {
            if label.include_templates {
                merge_specs(&mut specs, &config.template_labels)?;
            }
            let metadata = FieldSpec { path: "metadata/labels".into(), create: true, ..FieldSpec::default() };
            merge_spec(&mut specs, &metadata)?;
        }
        Ok(Self { pairs: label.pairs.clone(), specs })
    }

    /// Changes every resource.
    pub(crate) fn run(&self, map: &mut ResMap, budget: &Budget) -> Result<()> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        for key in self.pairs.keys() {
            super::keys::check(key)?;
        }
        let fields = Field::all(&self.specs);
        for res in map.items_mut() {
            let before = twins::places(&res.value, &fields, &self.pairs);
            let styles = res.styles_of_entries(&self.pairs);
            res.noting_labels(&self.pairs, |res| {
                res.visit(&fields, Create::Mapping, &mut |field| {
                    self.pairs.iter().try_for_each(|(key, value)| {
                        budget.copy_text(value)?;
                        fieldspec::set_entry(field, key, value)
                    })
                })
            })?;
            res.keep_styles(styles);
            res.twins.settle(&mut res.value);
            let now = twins::places(&res.value, &fields, &self.pairs);
            res.twins.note(&res.value, &before, now);
        }
        Ok(())
    }
}

impl Res {
    /// The labels in the metadata.
    fn own_labels(&self) -> Option<&Map<String, Value>> {
        self.metadata("labels").and_then(Value::as_object)
    }

    /// The styles of the labels and annotations with these keys, and their places.
    fn styles_of_entries(&self, pairs: &Pairs) -> Vec<([usize; 3], TextStyle)> {
        let Some(metadata) = position(Some(&self.value), "metadata") else { return Vec::new() };
        let mut found = Vec::new();
        for field in ["labels", "annotations"] {
            let Some(at) = position(self.value.get("metadata"), field) else { continue };
            let entries = self.metadata(field);
            for key in pairs.keys() {
                if let Some(inside) = position(entries, key)
                    && let Some(value) = entries.and_then(|entries| entries.get(key))
                {
                    let own = self.styles.at(metadata).at(at).at(inside);
                    let style = if let Styles::Own(style) = own { *style } else { usual_style(value) };
                    found.push(([metadata, at, inside], style));
                }
            }
        }
        found
    }

    /// Gives replaced entries the styles of the old ones, as kyaml does.
    fn keep_styles(&mut self, before: Vec<([usize; 3], TextStyle)>) {
        for (place, style) in before {
            let entry = place.iter().try_fold(&self.value, |value, at| value.as_object()?.values().nth(*at));
            let Some(entry) = entry.filter(|entry| entry.is_string()) else { continue };
            let is_told = usual_style(entry).makes_strings() == style.makes_strings();
            self.styles.set(&place, if is_told { Styles::Told } else { Styles::Own(style) });
        }
    }

    /// Sets pairs with `set`, and notes the origin of the labels afterwards.
    fn noting_labels(&mut self, pairs: &Pairs, set: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let annotated = self.noted || self.metadata("annotations").is_some();
        let had_labels = self.metadata("labels").is_some();
        let requoted: Vec<&String> = match self.own_labels() {
            Some(labels) if self.labels != Labels::Read => {
                let keeps = |key: &str, new: &str| {
                    let old = labels.get(key).and_then(Value::as_str);
                    old.is_none_or(|old| old == new || is_quoted(old) == is_quoted(new))
                };
                pairs.iter().filter(|(key, new)| !keeps(key, new)).map(|(key, _)| key).collect()
            }
            _ => Vec::new(),
        };
        set(self)?;
        for (key, value) in pairs {
            if self.own_labels().and_then(|labels| labels.get(key)).is_some_and(|now| *now == **value) {
                self.set_labels.insert(key.clone());
            }
        }
        if !annotated && self.metadata("annotations").is_some() {
            self.made_annotations = true;
        }
        if !had_labels && self.own_labels().is_some() {
            self.labels = Labels::Made { annotated };
        } else if requoted.iter().any(|key| {
            self.own_labels().and_then(|labels| labels.get(*key)).is_some_and(|now| *now == *pairs[*key])
        }) {
            self.labels = Labels::Read;
        }
        Ok(())
    }
}

/// The style that the text of a value gets.
fn usual_style(value: &Value) -> TextStyle {
    match value {
        Value::String(text) if is_usually_quoted(text) => TextStyle::Quoted,
        _ => TextStyle::Plain,
    }
}
