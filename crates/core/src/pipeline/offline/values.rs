//! The values to substitute, and where they may come from when there is no cluster to ask.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::error::{Found, OfflineError};
use crate::api::{Kustomization, SubstituteFrom, SubstituteStrategy};
use lockgate_base::model::Object;
use lockgate_render::substitute::Variables;

/// Values to substitute. An object's namespace counts only where it has one.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// ConfigMaps and Secrets that the caller gives; the last of a name is taken.
    pub given: Vec<Object>,
    /// Those that were built before; the last of a name is taken where none is given.
    pub built: Vec<Object>,
    /// Those that stand in the tree, the last resort: the one whose file is nearest to the Kustomization's.
    pub tree: Vec<Found>,
    /// Names and values that stand for what `substituteFrom` would bring; the Kustomization's own win over them.
    pub file: BTreeMap<String, String>,
    /// Single values, which win over all others.
    pub set: BTreeMap<String, String>,
}

/// The values in Flux's order: those of `substituteFrom`, the later winning, then those of the object itself, then those
/// that the caller has set. `subject` is what an error begins with. A value that is taken from another part of the tree than
/// that of the Kustomization is told of.
pub(super) fn variables(
    kustomization: &Kustomization,
    near: &str,
    subject: &str,
    values: &Values,
    warnings: &mut Vec<String>,
) -> Result<Option<Variables>, OfflineError> {
    let Some(post_build) = &kustomization.spec.post_build else { return Ok(None) };
    let mut merged = BTreeMap::new();
    let mut secret = BTreeSet::new();
    let mut missing = Vec::new();
    for from in &post_build.substitute_from {
        match source(values, from, &kustomization.metadata.namespace, near) {
            Some((object, file)) => {
                let folder = file.map(|file| file.rsplit_once('/').map_or("", |(folder, _)| folder));
                if folder.is_some_and(|folder| !is_around(folder, near)) {
                    warnings.push(format!(
                        "{}/{} is taken from {}, since nothing that is built here brings it; the cluster may have another",
                        from.kind,
                        from.name,
                        file.unwrap_or_default()
                    ));
                }
                for (name, value) in data(object) {
                    if from.kind == "Secret" {
                        secret.insert(name.clone());
                    } else {
                        secret.remove(&name);
                    }
                    merged.insert(name, value);
                }
            }
            None if from.optional => {}
            None => missing.push(format!("{}/{}", from.kind, from.name)),
        }
    }
    // Who gives single values may mean them to stand for what is not at hand.
    if !missing.is_empty() && values.file.is_empty() && values.set.is_empty() {
        return Err(OfflineError::MissingValues { subject: subject.into(), missing });
    }
    for (name, value) in values.file.iter().chain(&post_build.substitute).chain(&values.set) {
        secret.remove(name);
        merged.insert(name.clone(), value.clone());
    }
    let always = post_build.substitute_strategy == Some(SubstituteStrategy::Always);
    if merged.is_empty() && !always {
        return Ok(None);
    }
    let made = Variables::new(merged, secret, true);
    made.map(Some).map_err(|error| OfflineError::Substitute { subject: subject.into(), error })
}

/// Whether a folder is the one that a file is in, or around it.
fn is_around(folder: &str, file: &str) -> bool {
    folder.is_empty() || file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The object to take values from, with its file where it only stands in the tree.
fn source<'v>(
    values: &'v Values,
    from: &SubstituteFrom,
    namespace: &str,
    near: &str,
) -> Option<(&'v Object, Option<&'v str>)> {
    let is_wanted = |object: &&Object| is_named(object, from, namespace);
    let given = values.given.iter().rev().find(is_wanted);
    let known = given.or_else(|| values.built.iter().rev().find(is_wanted));
    let known = known.map(|object| (object, None));
    known.or_else(|| {
        let found = nearest(values.tree.iter().filter(|found| is_wanted(&&found.object)), near)?;
        Some((&found.object, Some(found.file.as_str())))
    })
}

/// A repository holds one of a name for each of its clusters: the one in the folder that has most in common with `near`
/// is taken. Where two that differ are equally near, neither is, since the choice would be a guess.
fn nearest<'v>(candidates: impl Iterator<Item = &'v Found>, near: &str) -> Option<&'v Found> {
    let mut best: (usize, Vec<&Found>) = (0, Vec::new());
    for found in candidates {
        let shared = near.split('/').zip(found.file.split('/')).take_while(|(a, b)| a == b).count();
        if shared > best.0 {
            best = (shared, vec![found]);
        } else if shared == best.0 && best.1.iter().all(|known| known.object != found.object) {
            best.1.push(found);
        }
    }
    match best.1.as_slice() {
        [found] => Some(found),
        _ => None,
    }
}

fn is_named(object: &Object, from: &SubstituteFrom, namespace: &str) -> bool {
    let id = object.id();
    id.kind == from.kind && id.name == from.name && (id.namespace.is_empty() || id.namespace == namespace)
}

/// `data`, decoded for a Secret, with `stringData` over it.
pub(super) fn data(object: &Object) -> BTreeMap<String, String> {
    let is_secret = object.kind() == "Secret";
    let entries = |field: &str| object.pointer(field).and_then(Value::as_object).into_iter().flatten();
    let mut data = BTreeMap::new();
    for (name, value) in entries("/data") {
        let Some(text) = value.as_str() else { continue };
        let decoded = || STANDARD.decode(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = if is_secret { decoded().unwrap_or_default() } else { text.to_owned() };
        data.insert(name.clone(), text);
    }
    for (name, value) in entries("/stringData") {
        data.extend(value.as_str().map(|text| (name.clone(), text.to_owned())));
    }
    data
}
