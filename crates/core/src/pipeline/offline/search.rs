//! Finds objects in the files of a tree, in no more memory than a build may have.

use serde_json::Value;

use super::error::{LocatedObject, OfflineError};
use crate::api::{self, KindInfo, Kustomization};
use lockgate_base::model::Object;
use lockgate_base::model::yaml::{self, Dialect};
use lockgate_base::tree::Tree;
use lockgate_render::Budget;
use lockgate_render::budget::Cost;

/// The object of a kind with a name, or with `namespace/name`, anywhere below a folder of the tree.
pub fn find(tree: &Tree, folder: &str, info: &KindInfo, name: &str) -> Result<LocatedObject, OfflineError> {
    let mut found = of_kind(tree, folder, info)?;
    found.retain(|LocatedObject { object, .. }| {
        let id = object.id();
        id.name == name || format!("{}/{}", id.namespace, id.name) == name
    });
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(OfflineError::NotFound { kind: info.id.kind, name: name.into(), folder: folder.into() }),
        _ => {
            let files = found.into_iter().map(|found| found.file).collect();
            Err(OfflineError::Ambiguous { kind: info.id.kind, name: name.into(), files })
        }
    }
}

/// All Kustomizations below a folder.
pub(super) fn kustomizations(tree: &Tree, folder: &str) -> Result<Vec<LocatedObject>, OfflineError> {
    of_kind(tree, folder, Kustomization::INFO)
}

fn of_kind(tree: &Tree, folder: &str, info: &KindInfo) -> Result<Vec<LocatedObject>, OfflineError> {
    let mut found = objects(tree, folder, &[info.id.kind], Some)?;
    found.retain(|found| info.is_of(&found.object));
    Ok(found)
}

/// The sources in the files of the tree.
pub(super) fn sources_in(tree: &Tree) -> Result<Vec<LocatedObject>, OfflineError> {
    let kinds: Vec<&str> = api::sources().map(|info| info.id.kind).collect();
    objects(tree, "", &kinds, Some)
}

/// The ConfigMaps and Secrets in the files of the tree, each with its values only. Changes that a build would
/// make to them are not known here.
pub fn values_in(tree: &Tree) -> Result<Vec<LocatedObject>, OfflineError> {
    objects(tree, "", &["ConfigMap", "Secret"], |object| {
        object
            .edit(|value| {
                let Some(fields) = value.as_object_mut() else { return };
                fields.retain(|name, _| {
                    ["apiVersion", "kind", "metadata", "data", "stringData"].contains(&name.as_str())
                });
                for name in ["data", "stringData"] {
                    match fields.get_mut(name) {
                        Some(Value::Object(values)) => values.retain(|_, value| value.is_string()),
                        Some(other) => *other = Value::Null,
                        None => {}
                    }
                }
            })
            .ok()
    })
}

/// The objects of some kinds in the YAML files below a folder, as `keep` leaves them. Files that do not read
/// are passed over: they need not be manifests.
fn objects(
    tree: &Tree,
    folder: &str,
    kinds: &[&str],
    keep: impl Fn(Object) -> Option<Object>,
) -> Result<Vec<LocatedObject>, OfflineError> {
    let (reader, budget) = (tree.reader(), Budget::default());
    let is_below =
        |path: &str| folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let files = tree.entries().map(|(path, _)| path).filter(|path| is_below(path));
    let yaml = files.filter(|path| [".yaml", ".yml"].iter().any(|ending| path.ends_with(ending)));
    let mut found = Vec::new();
    for path in yaml {
        let Ok(text) = reader.text(&path) else { continue };
        // Most files have none, and parsing them as YAML takes the most time.
        if !kinds.iter().any(|kind| text.contains(kind)) {
            continue;
        }
        let told = |spent| OfflineError::TooLarge { file: path.clone(), spent };
        let before = budget.spent(Cost::Nodes);
        let documents = budget.reading(|left| yaml::documents_within(&text, Dialect::V3, left));
        for document in documents.map_err(told)?.unwrap_or_default() {
            let object = Object::parse(document.value).ok().filter(|object| kinds.contains(&object.kind()));
            if let Some(object) = object.and_then(&keep) {
                budget.copy(object.value()).map_err(told)?;
                found.push(LocatedObject { file: path.clone(), object });
            }
        }
        // The values that are kept are counted separately.
        budget.give_back(Cost::Nodes, budget.spent(Cost::Nodes) - before);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_map(name: &str, rest: &str) -> String {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n{rest}")
    }

    #[test]
    fn what_is_no_value_is_not_kept() {
        let maps = format!("x: [{}]\n", "{a: b},".repeat(20_000));
        let files = (0..20).map(|at| {
            let text = config_map(&format!("c{at}"), &format!("data: {{a: \"1\", b: {{c: d}}}}\n{maps}"));
            (format!("{at}.yaml"), text)
        });
        let found = values_in(&Tree::in_memory(files)).unwrap();
        assert_eq!(found.len(), 20, "each is read in what the one before has left");
        let value = found[0].object.value();
        assert_eq!((&value["data"], value.get("x")), (&serde_json::json!({"a": "1"}), None));
    }

    #[test]
    fn more_than_a_build_may_have_is_told_with_its_file() {
        let data = format!("data: {{a: {}}}\n", "v".repeat(15 << 20));
        let files = (0..5).map(|at| (format!("{at}.yaml"), config_map(&format!("c{at}"), &data)));
        let error = values_in(&Tree::in_memory(files)).unwrap_err().to_string();
        assert!(error.starts_with("4.yaml: the build is too expensive: more than 67108864 bytes"), "{error}");
    }
}
