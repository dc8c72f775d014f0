//! The resources, configurations and variables that a kustomization has gathered so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::Config;
use super::file::Var;
use super::resmap::ResMap;
use crate::error::{Fault, Result};

/// The accumulated state.
#[derive(Debug)]
pub(crate) struct Accumulator {
    /// The resources.
    pub(crate) map: ResMap,
    /// The fields that transformers change.
    pub(crate) config: Arc<Config>,
    /// The variables by name.
    pub(crate) vars: BTreeMap<String, Var>,
}

impl Accumulator {
    /// An empty accumulator.
    pub(crate) fn new() -> Self {
        Self { map: ResMap::default(), config: Arc::default(), vars: BTreeMap::new() }
    }

    /// Adds the content of another one.
    pub(crate) fn merge(&mut self, other: Self) -> Result<()> {
        if self.map.items().is_empty() {
            self.map = other.map;
        } else {
            self.map.append_all(other.map.into_items())?;
        }
        Config::merge_shared(&mut self.config, &other.config)?;
        for (name, var) in other.vars {
            self.add_var(name, var)?;
        }
        Ok(())
    }

    /// Adds a variable, whose name must be new.
    pub(crate) fn add_var(&mut self, name: String, var: Var) -> Result<()> {
        if self.vars.contains_key(&name) {
            return Err(Fault::new("the variable is defined twice")
                .in_field(format!("vars '{name}'"))
                .into());
        }
        self.vars.insert(name, var);
        Ok(())
    }
}
