//! `labels`, `commonLabels` and `commonAnnotations`: the same pairs in many fields.

use super::config::{Config, merge_spec, merge_specs};
use super::fieldspec::{self, Create, Field};
use super::file::{FieldSpec, Label, Pairs};
use super::resmap::ResMap;
use super::twins;
use crate::error::Result;

/// Sets pairs in mappings.
#[derive(Debug, Clone)]
pub(crate) struct SetPairs {
    /// The pairs.
    pub(crate) pairs: Pairs,
    /// The mappings.
    pub(crate) specs: Vec<FieldSpec>,
}

impl SetPairs {
    /// What an entry of `labels` sets.
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
    pub(crate) fn run(&self, map: &mut ResMap) -> Result<()> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        for key in self.pairs.keys() {
            super::keys::check(key)?;
        }
        let fields = Field::all(&self.specs);
        for res in map.items_mut() {
            let before = twins::places(res, &fields, &self.pairs);
            res.noting_labels(&self.pairs, |res| {
                fieldspec::visit(res, &fields, Create::Mapping, &mut |field| {
                    self.pairs.iter().try_for_each(|(key, value)| fieldspec::set_entry(field, key, value))
                })
            })?;
            res.twins.settle(&mut res.value);
            let now = twins::places(res, &fields, &self.pairs);
            res.twins.note(&res.value, &before, now);
        }
        Ok(())
    }
}
