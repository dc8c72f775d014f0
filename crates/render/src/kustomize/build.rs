//! One build: its inputs, its strictness, and its warnings.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use serde_json::Value;

use super::file::{Kustomization, first_document};
use super::id::ResourceId;
use super::load::Loader;
use super::merge;
use super::res::Res;
use super::schema::Schema;
use crate::budget::Budget;
use crate::error::{Fault, Result};

/// The version of the `OpenAPI` document whose merge keys are built in.
const OPENAPI_VERSION: &str = "v1.21.2";

/// The state that all steps of one build share.
pub(crate) struct BuildShared<'b> {
    /// Its budget.
    pub(crate) budget: &'b Budget,
    /// Whether this is Flux's flavour.
    flux: bool,
    warnings: RefCell<Vec<String>>,
    /// The schema or version of the first kustomization that names one.
    schema: RefCell<Option<Arc<Schemas>>>,
    /// The use of the built-in schema so far.
    built_in: Cell<Use>,
    /// The memory of merges, reused from one to the next.
    nodes: RefCell<merge::Nodes>,
}

/// The use of the built-in schema before a kustomization names another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// It was not used, so kustomize never reads it.
    No,
    /// A kind was looked up that the built-in schema lacks. Kustomize then reads the built-in one after the
    /// other, and its kinds replace those of the other.
    Asked,
    /// A patch was merged. The kinds of the other schema then replace those of the built-in one.
    Read,
}

/// The schemas that merges follow.
struct Schemas {
    /// The schema that a kustomization names.
    own: Option<Schema>,
    /// The use of the built-in schema before that.
    built_in: Use,
}

impl<'b> BuildShared<'b> {
    /// A build without warnings.
    pub(crate) fn new(flux: bool, budget: &'b Budget) -> Self {
        Self {
            budget,
            flux,
            warnings: RefCell::default(),
            schema: RefCell::default(),
            built_in: Cell::new(Use::No),
            nodes: RefCell::default(),
        }
    }

    /// Adds a warning, unless it was given before.
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

    /// Reads the schema that a kustomization names. Kustomize keeps the first one.
    pub(crate) fn open(&self, kustomization: &Kustomization, loader: &Loader<'_>) -> Result<()> {
        let openapi = &kustomization.openapi;
        let read = openapi.get("path").map(|path| loader.text(path)).transpose();
        let read = read.map_err(|fault| fault.in_field("openapi.path"))?;
        if self.schema.borrow().is_some() {
            return Ok(());
        }
        let version = openapi.get("version").filter(|version| !version.is_empty());
        match (read, version) {
            (None, None) => {}
            (Some(_), Some(_)) => {
                return Err(Fault::new("only one of path and version may be set").in_field("openapi").into());
            }
            (None, Some(version)) if version == OPENAPI_VERSION => {
                *self.schema.borrow_mut() = Some(Arc::new(Schemas { own: None, built_in: Use::Read }));
            }
            (None, Some(version)) => {
                let message = format!("'{version}' is not built in, only {OPENAPI_VERSION} is");
                return Err(Fault::new(message).in_field("openapi.version").into());
            }
            (Some((file, text)), None) => {
                let document = first_document(&text, &file, self.budget)?;
                let built_in =
                    if self.flux { self.built_in.get().max(Use::Asked) } else { self.built_in.get() };
                let own = Some(Schema::from_openapi(&document, built_in != Use::No));
                *self.schema.borrow_mut() = Some(Arc::new(Schemas { own, built_in }));
            }
        }
        Ok(())
    }

    /// Notes the schema's data about a kind in an object that was read. A kind that is not built in makes
    /// kustomize keep the built-in schema beside one that a later kustomization names.
    pub(crate) fn meet(&self, res: &mut Res) {
        if Schema::built_in().is_namespaced(res.gvk()).is_some() {
            return;
        }
        self.built_in.set(self.built_in.get().max(Use::Asked));
        if let Some(Schemas { own: Some(own), .. }) = self.schema.borrow().as_deref() {
            res.outside = own.is_namespaced(res.gvk()) == Some(false);
        }
    }

    /// Merges a strategic merge patch into the object `id`; an object that the patch deletes becomes null.
    pub(crate) fn merge(
        &self,
        res: &mut Res,
        patch: &Value,
        written: merge::Written<'_>,
        id: &ResourceId,
    ) -> Result<(), Fault> {
        self.budget.copy(patch)?;
        self.built_in.set(Use::Read);
        let schemas = self.schema.borrow().clone();
        let schema = match schemas.as_deref() {
            Some(Schemas { own: Some(own), built_in: Use::No }) => own,
            Some(Schemas { own: Some(own), built_in: Use::Read }) if own.of_kind(res.gvk()).is_some() => own,
            Some(Schemas { own: Some(own), built_in: Use::Asked })
                if Schema::built_in().of_kind(res.gvk()).is_none() =>
            {
                own
            }
            _ => Schema::built_in(),
        };
        let Res { value, texts, styles, .. } = res;
        let mut target = merge::MergeTarget { value, texts, styles };
        let outcome =
            merge::strategic_merge(&mut target, patch, written, schema, &mut self.nodes.borrow_mut())
                .map_err(|error| Fault::new(error.to_string()))?;
        for warning in outcome.warnings {
            self.warn(format!("{}: {warning}", id.subject()));
        }
        if outcome.deleted {
            res.value = Value::Null;
        }
        Ok(())
    }
}
