//! A tree from a local folder, for building without a host. Nothing outside the folder is read.

use std::fs::{self, File, ReadDir};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::SourceError;
use lockgate_base::tree::{self, Blobs, ContentId, FILE_LIMIT, Tree, TreeEntry};

/// The most files of one folder.
const FILES: usize = 200_000;

/// The files below `root`, without Git's own. They are read on demand, and must not change meanwhile. Entries
/// that are neither file, folder nor symbolic link are left out, as are names that are not UTF-8. A folder
/// that cannot be listed is an error only if something in it is read.
pub fn snapshot(root: &Path) -> Result<Tree, SourceError> {
    walk(root, |folder| fs::read_dir(folder))
}

fn walk(root: &Path, list: impl Fn(&Path) -> io::Result<ReadDir>) -> Result<Tree, SourceError> {
    let root = root.canonicalize().map_err(|error| unreadable(root, &error))?;
    let mut entries = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(folder) = pending.pop() {
        match listed(list(&root.join(&folder)), &folder) {
            Ok((found, folders)) => {
                entries.extend(found);
                pending.extend(folders);
            }
            Err(error) if folder.is_empty() => return Err(unreadable(&root, &error)),
            // The entry has vanished since its name was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => entries.push((folder, TreeEntry::Unlisted(error.to_string()))),
        }
        if entries.len() > FILES {
            return Err(SourceError::TooLarge(format!(
                "{} has more than {FILES} files; pass a smaller --root that contains the platform and \
                 everything it refers to",
                root.display()
            )));
        }
    }
    Ok(Tree::new(entries, Arc::new(Disk { root })))
}

/// The files and symbolic links of one folder, and the paths of its folders.
fn listed(names: io::Result<ReadDir>, folder: &str) -> io::Result<(Vec<(String, TreeEntry)>, Vec<String>)> {
    let (mut entries, mut folders) = (Vec::new(), Vec::new());
    for entry in names? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if name == ".git" {
            continue;
        }
        let path = tree::join(folder, &name);
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if kind.is_dir() {
            folders.push(path);
        } else if kind.is_symlink() {
            // An entry that has vanished, or become something else, is treated as if it had never existed.
            if let Some(target) = fs::read_link(entry.path()).ok().as_deref().and_then(Path::to_str) {
                entries.push((path, TreeEntry::Link(target.into())));
            }
        } else if kind.is_file() {
            let id = path.clone().into_bytes();
            entries.push((path, TreeEntry::File(id)));
        }
    }
    Ok((entries, folders))
}

/// The root of the repository that contains `path`: `path` itself or the nearest folder above it that has a
/// `.git`.
pub fn enclosing_repository(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    path.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// The files below a root; the id of a file is its path.
struct Disk {
    root: PathBuf,
}

impl Blobs for Disk {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        let path = std::str::from_utf8(id).map_err(|_| "no such file")?;
        let file = self.root.join(path);
        // A folder on the way may have become a link since it was listed.
        let real = file.canonicalize().map_err(|error| error.to_string())?;
        if !real.starts_with(&self.root) {
            return Err("leads outside the folder".into());
        }
        let opened = File::open(&real).map_err(|error| error.to_string())?;
        let size = opened.metadata().map_err(|error| error.to_string())?.len();
        if size > FILE_LIMIT {
            return Err(format!("is {size} bytes, more than the limit of {FILE_LIMIT}"));
        }
        let mut bytes = Vec::new();
        opened.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes.into())
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::Folder { path: path.display().to_string(), problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_and_links_are_listed_and_nothing_outside_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join(".git/objects")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("secret"), "hunter2").unwrap();
        fs::write(root.join(".git/config"), "x").unwrap();
        fs::write(root.join("a/b/k.yaml"), "kind: X").unwrap();
        symlink("b/k.yaml", root.join("a/link")).unwrap();
        symlink("../outside", root.join("out")).unwrap();
        symlink(outside.join("secret"), root.join("absolute")).unwrap();
        let tree = snapshot(&root).unwrap();
        let names: Vec<String> = tree.entries().map(|(path, _)| path).collect();
        assert_eq!(names, ["a/b/k.yaml", "a/link", "absolute", "out"]);
        let reader = tree.reader();
        assert_eq!(reader.text("a/link").unwrap(), "kind: X");
        for path in ["absolute", "out/secret", "../outside/secret"] {
            assert!(reader.text(path).is_err(), "{path}");
        }
        // The folder is replaced by a link after it was listed.
        fs::remove_dir_all(root.join("a/b")).unwrap();
        fs::write(outside.join("k.yaml"), "hunter2").unwrap();
        symlink(&outside, root.join("a/b")).unwrap();
        assert!(tree.reader().text("a/b/k.yaml").unwrap_err().to_string().contains("outside"));
    }

    #[test]
    fn a_folder_that_cannot_be_listed_matters_only_where_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["apps", "data/deep", "gone"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        for path in ["apps/a.yaml", "data/deep/b.yaml", "gone/c.yaml"] {
            fs::write(folder.path().join(path), "kind: X").unwrap();
        }
        let tree = walk(folder.path(), |at| match at.file_name().and_then(|name| name.to_str()) {
            Some("data") => Err(ErrorKind::PermissionDenied.into()),
            Some("gone") => Err(ErrorKind::NotFound.into()),
            _ => fs::read_dir(at),
        })
        .unwrap();
        let reader = tree.reader();
        assert_eq!(reader.text("apps/a.yaml").unwrap(), "kind: X");
        assert_eq!(
            reader.text("data/deep/b.yaml").unwrap_err().to_string(),
            "data/deep/b.yaml: permission denied"
        );
        assert_eq!(reader.node("gone").unwrap(), None);
        let root = walk(folder.path(), |_| Err(ErrorKind::PermissionDenied.into()));
        assert!(root.unwrap_err().to_string().ends_with(": permission denied"));
    }

    #[test]
    fn the_enclosing_repository_is_the_nearest_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("outer/.git")).unwrap();
        fs::create_dir_all(root.join("outer/inner/deep")).unwrap();
        fs::write(root.join("outer/inner/.git"), "gitdir: elsewhere").unwrap();
        assert_eq!(enclosing_repository(&root.join("outer/inner/deep")), Some(root.join("outer/inner")));
        assert_eq!(enclosing_repository(&root.join("outer")), Some(root.join("outer")));
        assert_eq!(enclosing_repository(&root.join("missing")), None);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = snapshot(Path::new("/nonexistent/folder")).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/folder: "), "{error}");
    }
}
