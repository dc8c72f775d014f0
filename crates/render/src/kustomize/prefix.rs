//! `namePrefix` and `nameSuffix`: renames objects, except those whose names have a meaning outside of the
//! build.

use super::fieldspec::{self, Create, Field};
use super::file::FieldSpec;
use super::id::{KindRef, text_of};
use super::resmap::ResMap;
use crate::budget::Budget;
use crate::error::Result;

/// The end of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameEnd {
    /// The beginning of the name.
    Prefix,
    /// The end of the name.
    Suffix,
}

/// Puts a text before or behind names.
#[derive(Debug, Clone)]
pub(crate) struct Affix {
    pub(crate) end: NameEnd,
    pub(crate) text: String,
    /// The fields to change.
    pub(crate) specs: Vec<FieldSpec>,
}

impl Affix {
    /// Whether it writes the name of any resource.
    pub(crate) fn touches(&self, map: &ResMap) -> bool {
        map.items().iter().any(|res| {
            let gvk = res.original_gvk();
            !is_fixed(gvk) && self.specs.iter().any(|spec| fieldspec::selects(spec, gvk))
        })
    }

    /// Changes every resource.
    pub(crate) fn run(&self, map: &mut ResMap, budget: &Budget) -> Result<()> {
        let fields = Field::all(&self.specs);
        for res in map.items_mut() {
            if is_fixed(res.original_gvk()) {
                continue;
            }
            for field in &fields {
                if !fieldspec::selects(field.spec, res.original_gvk()) {
                    continue;
                }
                if field.spec.path == "metadata/name" && !self.text.is_empty() {
                    match self.end {
                        NameEnd::Prefix => res.prefixes.push(self.text.clone()),
                        NameEnd::Suffix => res.suffixes.push(self.text.clone()),
                    }
                    res.remember();
                }
                res.write_as_read(field);
                res.visit([field], Create::Scalar, &mut |value| {
                    let old = text_of(value);
                    budget.copy_text(&self.text)?;
                    let new = match self.end {
                        NameEnd::Prefix => format!("{}{old}", self.text),
                        NameEnd::Suffix => format!("{old}{}", self.text),
                    };
                    fieldspec::set_scalar(value, new.into())
                })?;
            }
        }
        Ok(())
    }
}

/// Whether names of this kind are never changed.
fn is_fixed(gvk: KindRef<'_>) -> bool {
    gvk.is_selected("", "", "CustomResourceDefinition")
        || gvk.is_selected("apiregistration.k8s.io", "", "APIService")
        || gvk.is_selected("", "", "Namespace")
}
