//! Finds objects in the files of a tree.

use super::error::{LocatedObject, OfflineError};
use crate::api::{self, Kustomization};
use lockgate_base::model::Object;
use lockgate_base::model::yaml::{self, Dialect};
use lockgate_base::tree::Tree;

/// The Kustomization of a name, or of `namespace/name`, wherever below a folder of the tree it stands.
pub fn find(tree: &Tree, folder: &str, name: &str) -> Result<LocatedObject, OfflineError> {
    let mut found = kustomizations(tree, folder);
    found.retain(|LocatedObject { object, .. }| {
        let id = object.id();
        id.name == name || format!("{}/{}", id.namespace, id.name) == name
    });
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(OfflineError::NotFound { name: name.into(), folder: folder.into() }),
        _ => {
            let files = found.into_iter().map(|found| found.file).collect();
            Err(OfflineError::Ambiguous { name: name.into(), files })
        }
    }
}

/// All Kustomizations below a folder.
pub(super) fn kustomizations(tree: &Tree, folder: &str) -> Vec<LocatedObject> {
    let mut found = objects(tree, folder, &[Kustomization::ID.kind]);
    found.retain(|found| Kustomization::INFO.is_of(&found.object));
    found
}

/// The sources that stand in the tree as they are.
pub(super) fn sources_in(tree: &Tree) -> Vec<LocatedObject> {
    let kinds: Vec<&str> = api::built_from().map(|info| info.id.kind).collect();
    objects(tree, "", &kinds)
}

/// The ConfigMaps and Secrets that stand in the tree as they are. What a build would make of them is not
/// known here.
pub fn values_in(tree: &Tree) -> Vec<LocatedObject> {
    objects(tree, "", &["ConfigMap", "Secret"])
}

/// The objects of some kinds in the YAML files below a folder. Files that do not read are passed over: they
/// need not be manifests.
fn objects(tree: &Tree, folder: &str, kinds: &[&str]) -> Vec<LocatedObject> {
    let reader = tree.reader();
    let is_below =
        |path: &str| folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let files = tree.entries().map(|(path, _)| path).filter(|path| is_below(path));
    let yaml = files.filter(|path| [".yaml", ".yml"].iter().any(|ending| path.ends_with(ending)));
    let mut found = Vec::new();
    for path in yaml {
        let Ok(text) = reader.text(&path) else { continue };
        // Most files hold none, and reading them as YAML is what takes the time.
        if !kinds.iter().any(|kind| text.contains(kind)) {
            continue;
        }
        for document in yaml::documents(&text, Dialect::V3).unwrap_or_default() {
            if let Ok(object) = Object::parse(document.value)
                && kinds.contains(&object.kind())
            {
                found.push(LocatedObject { file: path.clone(), object });
            }
        }
    }
    found
}
