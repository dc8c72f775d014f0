//! Variable substitution after the build (`spec.postBuild`), with the syntax and the quirks of Flux's
//! envsubst.
//!
//! An object is written as YAML, its text is expanded, and the text is read again by the rules of YAML 1.1,
//! so that a value can become a number or a list (fluxcd/pkg `kustomize/kustomize_varsub.go`, fluxcd/pkg
//! `envsubst`).

mod glob;
mod variables;
mod expand;

use serde_json::Value;

use crate::budget::{Budget, Cost, Size};
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_base::model::yaml::{self, Dialect, Layout};

pub use variables::{SubstituteError, Variables};

/// An object after substitution.
#[derive(Debug, Clone, PartialEq)]
pub struct Substituted {
    /// The object.
    pub object: Object,
    /// Whether a value of a Secret went into it.
    pub holds_secret: bool,
}

/// Expands the variables in all texts of an object, keys included. An object that opts out, by the label or
/// annotation `kustomize.toolkit.fluxcd.io/substitute: disabled`, is returned unchanged.
pub fn substitute(
    object: &Object,
    variables: &Variables,
    budget: &Budget,
) -> Result<Substituted, SubstituteError> {
    if opts_out(object) || !mentions_dollar(object.value()) {
        return Ok(Substituted { object: object.clone(), holds_secret: false });
    }
    let expansion = expand::expand(&yaml::print(object.value(), Layout::V2), variables, budget)?;
    let before = budget.left(Cost::Nodes);
    let documents = budget.reading(|left| yaml::documents_within(&expansion.text, Dialect::V2, left));
    let spent = |spent| SubstituteError::TooExpensive { spent, expression: expand::WHOLE.into() };
    let mut documents =
        documents.map_err(spent)?.map_err(|error| SubstituteError::NotYaml { line: error.line })?;
    // The new nodes replace the old ones.
    let (read, replaced) = (before - budget.left(Cost::Nodes), Size::of(object.value()).nodes);
    budget.give_back(Cost::Nodes, read.min(replaced as u64));
    documents.retain(|document| !document.value.is_null());
    let count = documents.len();
    match (documents.pop(), count) {
        (Some(document), 1) => {
            let holds_secret = expansion.used.iter().any(|name| variables.secret.contains(*name));
            Ok(Substituted { object: Object::parse(document.value)?, holds_secret })
        }
        _ => Err(SubstituteError::Documents(count)),
    }
}

fn opts_out(object: &Object) -> bool {
    let values = [object.label(keys::SUBSTITUTE), object.annotation(keys::SUBSTITUTE)];
    values.into_iter().flatten().any(|value| value == "disabled")
}

/// Whether any text has a dollar. Most objects have no variable, and need not be written and read again.
fn mentions_dollar(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('$'),
        Value::Array(items) => items.iter().any(mentions_dollar),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('$') || mentions_dollar(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
