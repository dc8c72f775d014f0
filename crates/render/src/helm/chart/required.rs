//! The charts that a chart depends on and does not hold, as Flux finds them: what its lock names counts
//! before the ranges of the chart itself.

use lockgate_base::model::version::{Range, Version};
use lockgate_base::model::yaml::{Dialect, first_document};
use lockgate_base::tree::Tree;
use serde_json::Value as Json;

use super::archive::Bounds;
use super::metadata::Dependency;
use super::{Chart, File, files_of};
use crate::helm::error::Error;

/// The names that a lock may have: beside Chart.yaml, and beside requirements.yaml.
const LOCKS: [&str; 2] = ["Chart.lock", "requirements.lock"];

/// A chart that another one depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredChart {
    /// Its name.
    pub name: String,
    /// A version or a range; empty for any.
    pub version: String,
    /// The address of its repository: an address, `file://` with a path from the chart, or empty for a folder
    /// in `charts/`.
    pub repository: String,
}

/// The charts that the chart whose root a tree is names and does not hold. An error says that it is no chart,
/// or that its lock is of another Chart.yaml.
pub fn required(tree: &Tree) -> Result<Vec<RequiredChart>, Error> {
    let files = files_of(&tree.reader(), "", &mut Bounds::default())?;
    let lock = lock(&files)?;
    let chart = Chart::load(files, &mut Bounds::default())?;
    let named = chart.metadata.dependencies.as_deref().unwrap_or_default();
    let wanted = match lock {
        None => named.iter().map(RequiredChart::of).collect(),
        Some((name, locked)) => {
            let problem = named.iter().find_map(|dependency| problem_with(&locked, dependency));
            if let Some(problem) = problem {
                let cure = "run helm dependency update, and commit what it writes";
                return Err(Error::new(format!("{name} is out of date: {problem}; {cure}")));
            }
            locked
        }
    };
    let mut missing: Vec<RequiredChart> = Vec::new();
    // As in Flux, a chart with as many dependencies as it names has all of them.
    if chart.dependencies.len() == wanted.len() {
        return Ok(missing);
    }
    for requirement in wanted {
        let is_held = chart.dependencies.iter().any(|part| part.name() == requirement.name);
        if !is_held && missing.iter().all(|known| known.name != requirement.name) {
            missing.push(requirement);
        }
    }
    Ok(missing)
}

impl RequiredChart {
    fn of(dependency: &Dependency) -> Self {
        let Dependency { name, version, .. } = dependency;
        Self { name: name.clone(), version: version.clone(), repository: dependency.repository().to_owned() }
    }

    /// Whether a chart of this version is meant.
    pub fn fits(&self, version: &str) -> bool {
        let range = Range::parse(if self.version.is_empty() { "*" } else { &self.version });
        let fits = |version: &Version| range.as_ref().is_ok_and(|range| range.contains(version));
        self.version == version || Version::parse(version).is_ok_and(|version| fits(&version))
    }
}

/// The dependencies in a lock, and the lock's own name; `None` if there is no lock, or it is empty.
fn lock(files: &[File]) -> Result<Option<(&'static str, Vec<RequiredChart>)>, Error> {
    let found = LOCKS.into_iter().find_map(|name| {
        let file = files.iter().find(|file| file.path == name)?;
        Some((name, file))
    });
    let Some((name, file)) = found else { return Ok(None) };
    let failed = |problem: &dyn std::fmt::Display| Error::new(format!("cannot load {name}: {problem}"));
    let text = std::str::from_utf8(&file.content).map_err(|error| failed(&error))?;
    let document = first_document(text, Dialect::V2).map_err(|error| failed(&error))?;
    let Some(entries) = document.value["dependencies"].as_array() else { return Ok(None) };
    let text = |entry: &Json, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let requirement = |entry: &Json| RequiredChart {
        name: text(entry, "name"),
        version: text(entry, "version"),
        repository: text(entry, "repository"),
    };
    Ok(Some((name, entries.iter().map(requirement).collect())))
}

/// The difference between a dependency in Chart.yaml and in a lock.
fn problem_with(locked: &[RequiredChart], dependency: &Dependency) -> Option<String> {
    let Dependency { name, version, .. } = dependency;
    let Some(entry) = locked.iter().find(|entry| entry.name == *name) else {
        return Some(format!("it does not name '{name}', which the chart depends on"));
    };
    let wanted = RequiredChart::of(dependency);
    (!wanted.fits(&entry.version)).then(|| {
        format!("it has '{name}' in version {}, and the chart depends on '{version}'", entry.version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(version: &str, more: &[(&str, &str)]) -> Tree {
        let text = format!(
            "{{apiVersion: v2, name: demo, version: 1.0.0, dependencies: [\
             {{name: common, version: {version}, repository: 'https://charts.example.com'}}, \
             {{name: near, repository: 'file://../near'}}]}}"
        );
        let files = more.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Tree::in_memory(files.chain([("Chart.yaml".to_owned(), text)]))
    }

    fn names(tree: &Tree) -> Vec<String> {
        let line = |found: RequiredChart| format!("{} {} {}", found.name, found.version, found.repository);
        required(tree).unwrap().into_iter().map(line).collect()
    }

    #[test]
    fn what_is_not_held_is_required_by_range_or_as_the_lock_has_it() {
        let (common, near) = ("common 1.x https://charts.example.com", "near  file://../near");
        assert_eq!(names(&chart("1.x", &[])), [common, near]);
        let held = ("charts/near/Chart.yaml", "{apiVersion: v2, name: near, version: 1.0.0}");
        assert_eq!(names(&chart("1.x", &[held])), [common]);
        let lock = "dependencies:\n- {name: common, version: 1.2.3, repository: 'https://charts.example.com'}\n\
                    - {name: near, version: 0.1.0, repository: 'file://../near'}\n";
        assert_eq!(
            names(&chart("1.x", &[held, ("Chart.lock", lock)])),
            ["common 1.2.3 https://charts.example.com"]
        );
        let none = Tree::in_memory([("Chart.yaml", "{apiVersion: v2, name: demo, version: 1.0.0}")]);
        assert_eq!(names(&none), [""; 0]);
    }

    #[test]
    fn a_lock_of_another_chart_is_told() {
        let told = |version: &str, lock: &str| {
            required(&chart(version, &[("Chart.lock", lock)])).unwrap_err().text()
        };
        let lock = "dependencies: [{name: common, version: 1.2.3}, {name: near, version: 0.1.0}]";
        assert_eq!(
            told("2.x", lock),
            "Chart.lock is out of date: it has 'common' in version 1.2.3, and the chart depends on '2.x'; run helm dependency \
             update, and commit what it writes"
        );
        assert_eq!(
            told("1.x", "dependencies: [{name: common, version: 1.2.3}]"),
            "Chart.lock is out of date: it does not name 'near', which the chart depends on; run helm dependency update, and \
             commit what it writes"
        );
        assert!(told("1.x", "a: [").starts_with("cannot load Chart.lock: "));
    }

    #[test]
    fn a_version_fits_a_range_or_is_the_very_text() {
        let fits = |wanted: &str, version: &str| {
            let (name, repository) = (String::new(), String::new());
            RequiredChart { name, version: wanted.into(), repository }.fits(version)
        };
        assert!(fits("", "1.0.0") && fits("1.x", "1.9.0") && fits("1.0.0-rc.1", "1.0.0-rc.1"));
        assert!(!fits("1.x", "2.0.0") && !fits("", "1.0.0-rc.1") && !fits("latest", "1.0.0"));
    }
}
