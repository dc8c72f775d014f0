//! Finds files and folders in the tree as a kustomization names them, within the limits of its flavour.

use std::rc::Rc;
use std::sync::Arc;

use super::file::FILE_NAMES;
use crate::budget::{Budget, Cost};
use crate::error::{Fault, FaultCategory, Result};
use lockgate_base::model::yaml;
use lockgate_base::tree::{self, Resolved, TreeError, TreeReader};

/// The longest chain of folders that refer to each other.
const DEPTH_LIMIT: usize = 100;

/// Reads paths relative to one folder.
#[derive(Clone)]
pub(crate) struct Loader<'t> {
    reader: &'t TreeReader<'t>,
    budget: &'t Budget,
    /// The folder, without symbolic links.
    root: String,
    /// The folders on the way here, the nearest last.
    visited: Rc<Vec<String>>,
    /// Whether files must lie in or below the folder.
    restricted: bool,
}

/// The target of a path in `resources`.
pub(crate) enum ResourceTarget<'t> {
    /// A file, with its path in the tree.
    File(String),
    /// A folder.
    Folder(Loader<'t>),
}

impl<'t> Loader<'t> {
    /// A loader for the folder that is built.
    pub(crate) fn new(
        reader: &'t TreeReader<'t>,
        budget: &'t Budget,
        path: &str,
        restricted: bool,
    ) -> Result<Self> {
        let invalid =
            |error: TreeError| Fault::of(FaultCategory::InvalidPath, format!("invalid path: {error}"));
        let normal = tree::resolve("", path).map_err(invalid)?;
        let shown = if normal.is_empty() { "." } else { &normal };
        match reader.node(&normal) {
            Ok(Some(Resolved::Directory)) => {}
            Ok(Some(Resolved::File)) => {
                let message = format!("kustomization path is a file, not a folder: {shown}");
                return Err(Fault::of(FaultCategory::PathNotFound, message).into());
            }
            Ok(None) => {
                let message = format!("kustomization path not found: {shown}");
                return Err(Fault::of(FaultCategory::PathNotFound, message).into());
            }
            Err(error) => return Err(invalid(error).into()),
        }
        let root = reader.canonical(&normal).map_err(invalid)?;
        Ok(Self { reader, budget, visited: Rc::new(vec![root.clone()]), root, restricted })
    }

    /// The folder.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The budget of the build.
    pub(crate) fn budget(&self) -> &'t Budget {
        self.budget
    }

    /// The reader of the tree.
    pub(crate) fn reader(&self) -> &'t TreeReader<'t> {
        self.reader
    }

    /// The target of an entry of `resources`.
    pub(crate) fn find(&self, path: &str) -> Result<ResourceTarget<'t>, Fault> {
        let normal = self.normal(path)?;
        match self.reader.node(&normal) {
            Ok(Some(Resolved::File)) => Ok(ResourceTarget::File(self.permitted(path, normal)?)),
            Ok(Some(Resolved::Directory)) => self.folder(path).map(ResourceTarget::Folder),
            Ok(None) => Err(missing(path)),
            Err(error) => Err(Fault::new(error.to_string())),
        }
    }

    /// The folder of an entry of `components`.
    pub(crate) fn folder(&self, path: &str) -> Result<Self, Fault> {
        let normal = self.normal(path)?;
        match self.reader.node(&normal) {
            Ok(Some(Resolved::Directory)) if path.starts_with('/') => Err(absolute(path)),
            Ok(Some(Resolved::Directory)) => self.folder_at(&normal),
            Ok(Some(Resolved::File)) => Err(Fault::new(format!("'{path}' is a file, not a folder"))),
            Ok(None) => Err(missing(path)),
            Err(error) => Err(Fault::new(error.to_string())),
        }
    }

    /// Whether a path exists.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.normal(path).is_ok_and(|normal| matches!(self.reader.node(&normal), Ok(Some(_))))
    }

    /// The path in the tree and the bytes of a file.
    pub(crate) fn bytes(&self, path: &str) -> Result<(String, Arc<[u8]>), Fault> {
        let file = self.permitted(path, self.normal(path)?)?;
        let bytes = self.read(&file)?;
        Ok((file, bytes))
    }

    /// The path in the tree and the text of a file.
    pub(crate) fn text(&self, path: &str) -> Result<(String, String), Fault> {
        let (file, bytes) = self.bytes(path)?;
        let text = text_at(&file, &bytes)?;
        Ok((file, text))
    }

    /// The text of a file by its path in the tree.
    pub(crate) fn text_of(&self, file: &str) -> Result<String, Fault> {
        let bytes = self.read(file)?;
        text_at(file, &bytes)
    }

    /// The path and text of the folder's kustomization file; `None` if it has none.
    pub(crate) fn kustomization(&self) -> Result<Option<(String, String)>> {
        let paths = FILE_NAMES.map(|name| tree::join(&self.root, name));
        let is_file = |path: &String| matches!(self.reader.node(path), Ok(Some(Resolved::File)));
        let found: Vec<&String> = paths.iter().filter(|path| is_file(path)).collect();
        match found.as_slice() {
            [] => Ok(None),
            [path] => {
                let root = tree::resolve("", &self.root).unwrap_or_default();
                let name = path.strip_prefix(&root).unwrap_or(path).trim_start_matches('/');
                let file = self.permitted(name, (*path).clone())?;
                Ok(Some(((*path).clone(), self.text_of(&file)?)))
            }
            several => {
                let names: Vec<&str> = several.iter().filter_map(|path| path.rsplit('/').next()).collect();
                let message = format!("more than one kustomization file: {}", names.join(", "));
                Err(Fault::new(message).in_file(shown(&self.root)).into())
            }
        }
    }

    fn read(&self, file: &str) -> Result<Arc<[u8]>, Fault> {
        let bytes = self.reader.bytes(file).map_err(|error| Fault::new(error.to_string()))?;
        self.budget.spend(Cost::FileBytes, bytes.len()).map_err(|spent| Fault::from(spent).in_file(file))?;
        Ok(bytes)
    }

    fn normal(&self, path: &str) -> Result<String, Fault> {
        if path.is_empty() {
            return Err(Fault::new("the path is empty"));
        }
        self.reader.resolve(&self.root, path).map_err(|error| match path {
            path if path.starts_with('/') => absolute(path),
            path if is_remote(path) => remote(path),
            _ => Fault::new(error.to_string()),
        })
    }

    /// Refuses a file outside of the folder if such files are not allowed.
    fn permitted(&self, path: &str, normal: String) -> Result<String, Fault> {
        match self.reader.node(&normal) {
            Ok(Some(Resolved::File)) => {}
            Ok(Some(Resolved::Directory)) => {
                return Err(Fault::new(format!("'{path}' is a folder, not a file")));
            }
            Ok(None) => return Err(missing(path)),
            Err(error) => return Err(Fault::new(error.to_string())),
        }
        if !self.restricted {
            return Ok(normal);
        }
        let real = self.reader.canonical(&normal).map_err(|error| Fault::new(error.to_string()))?;
        if is_within(&real, &self.root) {
            return Ok(normal);
        }
        let root = shown(&self.root);
        Err(Fault::new(format!(
            "security: file '{path}' is not in or below '{root}', the folder of its kustomization"
        )))
    }

    fn folder_at(&self, normal: &str) -> Result<Self, Fault> {
        let root = self.reader.canonical(normal).map_err(|error| Fault::new(error.to_string()))?;
        if let Some(at) = self.visited.iter().position(|visited| is_within(visited, &root)) {
            return Err(self.cycle(at, &root));
        }
        self.budget.spend(Cost::Folders, 1)?;
        if self.visited.len() >= DEPTH_LIMIT {
            return Err(Fault::new(format!("folders refer to folders more than {DEPTH_LIMIT} deep")));
        }
        let mut visited = self.visited.as_ref().clone();
        visited.push(root.clone());
        Ok(Self { root, visited: Rc::new(visited), ..self.clone() })
    }

    fn cycle(&self, at: usize, root: &str) -> Fault {
        let way: Vec<&str> = self.visited[at..].iter().map(|folder| shown(folder)).collect();
        if self.visited[at] == root {
            Fault::new(format!("cycle: {} -> {}", way.join(" -> "), shown(root)))
        } else {
            let message = format!("cycle: {} -> {}, which contains it", way.join(" -> "), shown(root));
            Fault::new(message)
        }
    }
}

fn text_at(file: &str, bytes: &[u8]) -> Result<String, Fault> {
    let text = yaml::decoded(bytes).map_err(|error| Fault::new(error.to_string()).in_file(file))?;
    Ok(text.into_owned())
}

/// The name of a folder in messages.
pub(crate) fn shown(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}

/// Whether `path` is `folder` or lies below it.
fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn absolute(path: &str) -> Fault {
    Fault::new(format!("'{path}' is an absolute path; paths are relative to the kustomization"))
}

fn missing(path: &str) -> Fault {
    if is_remote(path) {
        return remote(path);
    }
    Fault::new(format!("'{path}': no such file or folder"))
}

fn remote(path: &str) -> Fault {
    // A token in a URL must not appear in a log.
    let shown = path.split_once('@').map_or(path, |(_, rest)| rest);
    let shown = shown.split('?').next().unwrap_or(shown);
    Fault::new(format!("remote bases are not supported: '{shown}'; copy what it names into the repository"))
}

/// Whether kustomize takes a path for a URL or a Git repository.
fn is_remote(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let marks = ["git::", "gh:", "ssh://", "https://", "http://", "file://", "github.com/", "github.com:"];
    if marks.iter().any(|mark| lower.starts_with(mark)) {
        return true;
    }
    let user = lower.split_once('@').map(|(user, _)| user);
    user.is_some_and(|user| {
        user.starts_with(|c: char| c.is_ascii_alphabetic())
            && user.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    }) && lower.contains([':', '/'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_repositories_are_told_from_paths() {
        for path in
            ["https://x.io/a", "github.com/a/b", "git@github.com:a/b.git", "ssh://git@x/a", "org-1@x.io:a"]
        {
            assert!(is_remote(path), "{path}");
        }
        for path in ["../base", "a@b", "github.community/x", "./https"] {
            assert!(!is_remote(path), "{path}");
        }
    }

    #[test]
    fn a_remote_base_is_named_without_its_user() {
        let message = missing("https://token@x.io/a?ref=main").to_string();
        assert_eq!(
            message,
            "remote bases are not supported: 'x.io/a'; copy what it names into the repository"
        );
    }
}
