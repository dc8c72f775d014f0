//! Rendering: turns a tree, a recipe and inputs into the objects that should be on the cluster. Nothing here
//! touches a clock, a disk or a network, so equal inputs always give an equal result.

mod error;
pub mod budget;
pub mod kustomize;
pub mod helm;
mod set;
pub mod substitute;

pub use budget::Budget;
pub use error::{Fault, FaultCategory, RenderError};
pub use set::{RenderedObject, ResourceSet};
pub use substitute::Variables;

use error::Result;
use substitute::SubstituteError;

use lockgate_base::model::Object;
use lockgate_base::tree::Tree;

/// The recommended stack size of a thread that renders, in bytes: templates may include each other a thousand
/// times. Only the used part takes memory.
pub const STACK_SIZE: usize = 256 * 1024 * 1024;

/// How a tree becomes objects.
#[derive(Debug, Clone)]
pub enum Recipe {
    /// A folder for kustomize.
    Kustomize(kustomize::KustomizeRecipe),
}

/// The inputs of a render besides the tree.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Variables to substitute after the build; `None` if nothing is substituted.
    pub variables: Option<Variables>,
}

/// Renders a tree.
///
/// `commonMetadata` is not applied here: Flux sets it after its owner labels, which a render does not know.
pub fn render(tree: &Tree, recipe: &Recipe, inputs: &Inputs) -> Result<ResourceSet> {
    render_within(tree, recipe, inputs, &Budget::default())
}

/// Renders a tree with the rest of a budget.
pub fn render_within(tree: &Tree, recipe: &Recipe, inputs: &Inputs, budget: &Budget) -> Result<ResourceSet> {
    let Recipe::Kustomize(recipe) = recipe;
    let output = kustomize::build_within(tree, recipe, budget)?;
    let mut faults = Vec::new();
    let mut resources = Vec::with_capacity(output.objects.len());
    for built in output.objects {
        let object = match Object::parse(built.value) {
            Ok(object) => object,
            Err(error) => {
                faults.push(Fault::new(error.to_string()).in_file(&built.origin));
                continue;
            }
        };
        match substituted(object, inputs, budget) {
            Ok((object, holds_secret)) => {
                resources.push(RenderedObject { object, origin: built.origin, holds_secret });
            }
            Err(fault) => {
                let is_spent = fault.category == FaultCategory::Build;
                faults.push(fault.in_file(&built.origin));
                if is_spent {
                    break;
                }
            }
        }
    }
    if let Some(error) = RenderError::of(faults) {
        return Err(error);
    }
    ResourceSet::new(resources, output.footprint, output.warnings)
}

/// An object with its variables expanded, and whether it holds a value of a Secret now.
fn substituted(object: Object, inputs: &Inputs, budget: &Budget) -> Result<(Object, bool), Fault> {
    let Some(variables) = &inputs.variables else { return Ok((object, false)) };
    match substitute::substitute(&object, variables, budget) {
        Ok(result) => Ok((result.object, result.holds_secret)),
        Err(error @ SubstituteError::TooExpensive { .. }) => {
            Err(Fault::new(error.to_string()).on_object(object.id().subject()))
        }
        Err(error) => {
            let message = format!("envsubst error: variable substitution failed: {error}");
            Err(Fault::of(FaultCategory::Substitution, message).on_object(object.id().subject()))
        }
    }
}

#[cfg(test)]
mod tests;
