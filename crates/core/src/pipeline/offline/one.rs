//! Builds one Kustomization of a tree.

use serde_json::{Value, json};

use super::error::{BuiltOwner, BuiltSet, LocatedObject, OfflineError, oddities_of, subject};
use super::values::{Nearby, SubstituteValues};
use crate::api::{self, DEFAULT_SOURCE, Kustomization};
use crate::pipeline::build::{digest, rendered, supported};
use crate::pipeline::dress::dress;
use crate::pipeline::gather::{GatherError, gather};
use crate::pipeline::ports::Lookup;
use crate::verdict::{Common, Redactor};
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_base::tree::Tree;
use lockgate_render::{Budget, Inputs};

/// Builds one Kustomization as the agent would, including owner labels and common metadata. Values that
/// neither the caller nor an earlier build provides are looked up `elsewhere`.
pub async fn kustomization(
    tree: &Tree,
    found: &LocatedObject,
    values: &SubstituteValues,
    elsewhere: &impl Lookup,
) -> Result<BuiltSet, OfflineError> {
    let Completed { found, mut warnings } = Completed::of(found.clone());
    let subject = subject(&found);
    let kustomization: Kustomization = api::decode(&found.object)
        .map_err(|error| OfflineError::Malformed { file: found.file.clone(), error })?;
    let spec = &kustomization.spec;
    if spec.decryption.is_some() {
        warnings.push("this command decrypts nothing; encrypted values are shown unchanged".into());
    } else if let Err(Common::Malformed { message }) = supported(&kustomization) {
        warnings.push(format!("the agent does not apply it: {message}"));
    }
    if spec.suspend {
        warnings.push("it is suspended, so the agent leaves it alone".into());
    }
    let nearby = Nearby::new(values, &found.file, elsewhere);
    let gathered = gather(&nearby, &kustomization, &values.by_hand, &mut Redactor::default()).await;
    let gathered = gathered.map_err(|error| match error {
        GatherError::Missing { names, .. } => {
            OfflineError::MissingValues { subject: subject.clone(), missing: names }
        }
        other => OfflineError::Values { subject: subject.clone(), message: other.to_string() },
    })?;
    warnings.extend(nearby.into_told());
    let variables = gathered.variables();
    let variables =
        variables.map_err(|error| OfflineError::Substitute { subject: subject.clone(), error })?;
    let path = api::folder(spec.path.as_deref().unwrap_or_default());
    let set = rendered(tree, &path, spec.into(), &Inputs { variables }, &Budget::default());
    let set = set.map_err(|error| OfflineError::Render { subject: subject.clone(), error })?;
    warnings.extend(set.warnings.iter().cloned());
    let mut resources = set.into_resources();
    let digest = Some(digest(&resources));
    let owner = kustomization.reference();
    for resource in &mut resources {
        dress(&mut resource.object, Kustomization::OWNERSHIP, &owner, spec.common_metadata.as_ref());
    }
    if resources.is_empty() {
        warnings.push("its build is empty".into());
    }
    let warnings = warnings.into_iter().map(|warning| format!("{subject}: {warning}"));
    let warnings = warnings.chain(oddities_of(&resources)).collect();
    let owner = BuiltOwner::Kustomization(Box::new(kustomization));
    Ok(BuiltSet { subject, owner, resources, digest, warnings })
}

/// A Kustomization from a file, completed with fields that the API server requires and that do not affect the
/// build.
pub fn completed(found: LocatedObject) -> Object {
    Completed::of(found).found.object
}

/// A Kustomization or HelmRelease with the fields that the API server requires. Missing fields that do not
/// affect the build are filled in and reported, so that a draft can be built.
pub(super) struct Completed {
    pub(super) found: LocatedObject,
    pub(super) warnings: Vec<String>,
}

impl Completed {
    pub(super) fn of(found: LocatedObject) -> Self {
        let mut defaults = vec![("interval", json!("10m"))];
        if Kustomization::INFO.is_of(&found.object) {
            let source = json!({"kind": DEFAULT_SOURCE, "name": keys::DEFAULT_NAMESPACE});
            defaults.extend([("prune", json!(false)), ("sourceRef", source)]);
        }
        let mut warnings = Vec::new();
        let edited = found.object.clone().edit(|value| {
            let metadata = &mut value["metadata"];
            if metadata["namespace"].is_null() {
                metadata["namespace"] = keys::DEFAULT_NAMESPACE.into();
            }
            let Some(Value::Object(spec)) = value.get_mut("spec") else { return };
            for (field, default) in defaults {
                if spec.get(field).is_none_or(Value::is_null) {
                    spec.insert(field.into(), default);
                    warnings.push(format!("spec.{field} is missing, so the API server would refuse it"));
                }
            }
        });
        let object = edited.unwrap_or_else(|_| found.object.clone());
        Self { found: LocatedObject { object, ..found }, warnings }
    }
}
