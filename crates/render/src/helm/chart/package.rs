//! A chart as Flux hands it to releases: perhaps with another version, and with the values of several files
//! for its own.

use std::sync::Arc;

use lockgate_base::model::version::Version;
use lockgate_base::model::yaml::{Dialect, first_document, to_string};
use lockgate_base::tree::{Resolved, Tree, TreeError, within_root};
use serde_json::{Map as JsonMap, Value as Json};

use super::file::File;
use crate::helm::error::Error;

/// The file with a chart's own values.
const VALUES: &str = "values.yaml";

/// The changes to make to a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// The text after the plus of its version; empty if the version stays.
    pub metadata: String,
    /// Files whose values replace its own, later ones over earlier ones; empty if its own values count.
    pub values_files: Vec<String>,
    /// Whether such files may be missing.
    pub ignores_missing: bool,
}

/// A chart that is ready for releases.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its files.
    pub tree: Tree,
    /// The files whose values have replaced its own.
    pub values_files: Vec<String>,
}

/// Why a chart cannot be handed to releases, by what Flux tells it as.
#[derive(Debug)]
pub enum PackageError {
    /// The files are no chart.
    Chart(Error),
    /// Its version cannot be changed.
    Version(Error),
    /// The files with its values cannot be read or merged.
    Values(Error),
}

impl Edits {
    /// The same edits, without values files of the chart itself.
    #[must_use]
    pub fn without_its_own(mut self) -> Self {
        if let [one] = &*self.values_files
            && within_root(one) == VALUES
        {
            self.values_files.clear();
        }
        self
    }

    /// The version that a chart of this version will have.
    pub fn version(&self, version: &str) -> Result<String, PackageError> {
        if self.metadata.is_empty() {
            return Ok(version.to_owned());
        }
        let read = Version::parse(version).map_err(|error| {
            let text = format!("failed to parse version from chart metadata as SemVer: {error}");
            PackageError::Version(Error::new(text))
        })?;
        Ok(Version { metadata: self.metadata.clone(), ..read }.to_string())
    }
}

/// The folder of an archive that holds the chart; the archive itself where none does.
pub fn chart_folder(archive: &Tree) -> Tree {
    let folder_of = |path: String| {
        let folder = path.strip_suffix("/Chart.yaml")?;
        (!folder.contains('/')).then(|| folder.to_owned())
    };
    let first = archive.entries().find_map(|(path, _)| folder_of(path));
    first.map_or_else(|| archive.clone(), |folder| archive.folder(&folder))
}

/// The name and version of the chart whose root a tree is.
pub fn described(tree: &Tree) -> Result<(String, String), PackageError> {
    let content = match tree.reader().bytes("Chart.yaml") {
        Ok(content) => content,
        Err(TreeError::NotFound(_)) => {
            return Err(PackageError::Chart(Error::new("Chart.yaml file is missing")));
        }
        Err(error) => return Err(PackageError::Chart(Error::new(error.to_string()))),
    };
    let file = File { path: "Chart.yaml".into(), content };
    let metadata = super::read_chart_yaml(&[file], "v2.Metadata").and_then(|metadata| {
        let mut metadata = metadata.unwrap_or_default();
        metadata.validate()?;
        Ok(metadata)
    });
    let metadata = metadata.map_err(PackageError::Chart)?;
    Ok((metadata.name, metadata.version))
}

/// Makes a chart ready. `tree` is its root; the files with values are looked up in `source`, or in the chart
/// itself.
pub fn package(tree: &Tree, source: Option<&Tree>, edits: &Edits) -> Result<Package, PackageError> {
    let (name, own) = described(tree)?;
    let version = edits.version(&own)?;
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    if version != own {
        let text = tree.reader().text("Chart.yaml").unwrap_or_default();
        let read = first_document(&text, Dialect::V2);
        let mut read = read.map_err(|error| PackageError::Chart(Error::new(error.to_string())))?.value;
        read["version"] = Json::from(&*version);
        files.push(("Chart.yaml".into(), to_string(&read).into_bytes()));
    }
    let mut values_files = Vec::new();
    if !edits.values_files.is_empty() {
        let (values, found) = merged(tree, source, edits).map_err(PackageError::Values)?;
        if !values.is_empty() {
            files.push((VALUES.into(), to_string(&Json::Object(values)).into_bytes()));
            values_files = found;
        }
    }
    let tree = if files.is_empty() { tree.clone() } else { tree.with_files(files) };
    Ok(Package { name, version, tree, values_files })
}

/// The values of several files, later ones over earlier ones, and the files that were there.
fn merged(
    tree: &Tree,
    source: Option<&Tree>,
    edits: &Edits,
) -> Result<(JsonMap<String, Json>, Vec<String>), Error> {
    let reader = source.unwrap_or(tree).reader();
    let (mut values, mut found) = (JsonMap::new(), Vec::new());
    for given in &edits.values_files {
        let path = within_root(given);
        let content: Arc<[u8]> = match reader.node(&path) {
            Ok(Some(Resolved::File)) => reader
                .bytes(&path)
                .map_err(|error| Error::new(format!("could not read values from file '{given}': {error}")))?,
            Ok(None) if edits.ignores_missing => continue,
            Ok(_) if source.is_some() => {
                let text = format!("no values file found at path '/{path}' (reference '{given}')");
                return Err(Error::new(text));
            }
            Ok(_) => return Err(Error::new(format!("no values file found at path '{given}'"))),
            Err(error) => return Err(Error::new(error.to_string())),
        };
        let failed = |cause: &dyn std::fmt::Display| {
            Error::new(format!("unmarshaling values from '{given}' failed: {cause}"))
        };
        let text = std::str::from_utf8(&content).map_err(|_| failed(&"it is not UTF-8"))?;
        match first_document(text, Dialect::V2).map_err(|error| failed(&error))?.value {
            Json::Null => {}
            Json::Object(over) => merge(&mut values, over),
            _ => return Err(failed(&"it is no map")),
        }
        found.push(given.clone());
    }
    Ok((values, found))
}

/// Lays values over others; maps within both are merged.
fn merge(values: &mut JsonMap<String, Json>, over: JsonMap<String, Json>) {
    for (key, value) in over {
        match (values.get_mut(&key), value) {
            (Some(Json::Object(below)), Json::Object(over)) => merge(below, over),
            (_, value) => {
                values.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Tree {
        Tree::in_memory([
            ("Chart.yaml", "{apiVersion: v2, name: demo, version: v1.2, description: d}"),
            ("values.yaml", "{a: {b: 1, c: [1]}, d: 1}"),
            ("prod.yaml", "{a: {c: [2]}, e: null}"),
            ("list.yaml", "[a]"),
        ])
    }

    fn edits(metadata: &str, files: &[&str]) -> Edits {
        let values_files = files.iter().map(|file| (*file).to_owned()).collect();
        Edits { metadata: metadata.into(), values_files, ignores_missing: false }
    }

    fn told(tree: &Tree, source: Option<&Tree>, edits: &Edits) -> String {
        match package(tree, source, edits).unwrap_err() {
            PackageError::Chart(error) => format!("chart: {}", error.text()),
            PackageError::Version(error) => format!("version: {}", error.text()),
            PackageError::Values(error) => format!("values: {}", error.text()),
        }
    }

    #[test]
    fn a_chart_stays_as_it_is_where_nothing_is_made_of_it() {
        let package = package(&chart(), None, &Edits::default()).unwrap();
        assert_eq!((&*package.name, &*package.version), ("demo", "v1.2"));
        assert_eq!(package.values_files, [""; 0]);
        assert!(package.tree.entries().eq(chart().entries()));
        assert_eq!(edits("", &["./values.yaml"]).without_its_own(), Edits::default());
    }

    #[test]
    fn files_of_values_stand_for_its_own_and_the_version_tells() {
        let made = package(&chart(), None, &edits("3", &["values.yaml", "./prod.yaml"])).unwrap();
        assert_eq!(made.version, "1.2.0+3");
        let read =
            |path: &str| first_document(&made.tree.reader().text(path).unwrap(), Dialect::V2).unwrap().value;
        assert_eq!(read("values.yaml"), serde_json::json!({"a": {"b": 1, "c": [2]}, "d": 1, "e": null}));
        let described = read("Chart.yaml");
        assert_eq!(
            (&described["version"], &described["description"]),
            (&Json::from("1.2.0+3"), &Json::from("d"))
        );
        assert_eq!(made.values_files, ["values.yaml", "./prod.yaml"]);
        // The paths of files in a repository begin at its root.
        let source = Tree::in_memory([("env/prod.yaml", "a: 2")]);
        let lenient = Edits { ignores_missing: true, ..edits("3", &["env/prod.yaml", "gone.yaml"]) };
        let made = package(&chart(), Some(&source), &lenient).unwrap();
        assert_eq!(made.tree.reader().text("values.yaml").unwrap(), "a: 2\n");
        assert_eq!(made.values_files, ["env/prod.yaml"]);
    }

    #[test]
    fn what_cannot_be_made_is_told() {
        let source = Tree::in_memory([("a", "")]);
        for (tree, source, edits, expected) in [
            (&chart(), None, edits("", &["gone.yaml"]), "values: no values file found at path 'gone.yaml'"),
            (
                &chart(),
                Some(&source),
                edits("", &["../gone.yaml"]),
                "values: no values file found at path '/gone.yaml' (reference '../gone.yaml')",
            ),
            (
                &chart(),
                None,
                edits("", &["list.yaml"]),
                "values: unmarshaling values from 'list.yaml' failed: it is no map",
            ),
            (&source, None, Edits::default(), "chart: Chart.yaml file is missing"),
        ] {
            assert_eq!(told(tree, source, &edits), expected);
        }
        let unnamed = Tree::in_memory([("Chart.yaml", "{apiVersion: v2, version: 1.0.0}")]);
        assert_eq!(
            told(&unnamed, None, &Edits::default()),
            "chart: validation: chart.metadata.name is required"
        );
    }
}
