//! The files of a commit of a repository on this machine, for comparing revisions without a host.

use std::path::Path;
use std::sync::{Arc, Mutex};

use git2::{ObjectType, Repository};

use crate::SourceError;
use crate::context::lock;
use crate::objects::Commit;
use crate::store::read_blob;
use crate::walk::{KnownFolders, walk};
use lockgate_base::model::Revision;
use lockgate_base::tree::{Blobs, ContentId, Snapshot, Tree};

/// The files of a revision in Git's notation (`main`, `HEAD~2`, a commit's id), in the repository whose
/// folder is `root`.
pub fn revision(root: &Path, revision: &str) -> Result<Snapshot, SourceError> {
    let unreadable = |error: git2::Error| SourceError::Folder {
        path: root.display().to_string(),
        problem: error.message().to_owned(),
    };
    let repository = Repository::open(root).map_err(unreadable)?;
    let object = repository.revparse_single(revision).and_then(|object| object.peel(ObjectType::Commit));
    let commit = object.map_err(|error| {
        SourceError::ReferenceNotFound(format!("'{revision}' names no commit here: {}", error.message()))
    })?;
    let id = commit.id();
    drop(commit);
    let tree = Commit::read(&repository.odb().map_err(unreadable)?, id)?.tree;
    let files = walk(&repository, tree, &mut KnownFolders::default())?;
    let tree = Tree::of(files.root, Arc::new(Local(Mutex::new(repository))));
    Ok(Snapshot { revision: Revision::git(Some(revision), &id.to_string()), tree, origin: None })
}

/// The blobs of the repository.
struct Local(Mutex<Repository>);

impl Blobs for Local {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        read_blob(&lock(&self.0), id)
    }
}

#[cfg(test)]
mod tests {
    use git2::Signature;

    use super::*;

    #[test]
    fn a_revision_is_read_by_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init(folder.path()).unwrap();
        let who = Signature::now("a", "a@example.org").unwrap();
        let mut last = None;
        for text in ["one", "two"] {
            let mut index = repository.index().unwrap();
            std::fs::write(folder.path().join("a.yaml"), text).unwrap();
            index.add_path(Path::new("a.yaml")).unwrap();
            let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
            let parents: Vec<git2::Commit<'_>> =
                last.iter().map(|id| repository.find_commit(*id).unwrap()).collect();
            let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
            last = Some(repository.commit(Some("HEAD"), &who, &who, text, &tree, &parents).unwrap());
        }
        let id = last.unwrap().to_string();
        for (name, text) in [("HEAD", "two"), ("HEAD~1", "one"), (id.as_str(), "two")] {
            let snapshot = revision(folder.path(), name).unwrap();
            assert_eq!(snapshot.tree.reader().text("a.yaml").unwrap(), text, "{name}");
        }
        let error = revision(folder.path(), "nowhere").unwrap_err().to_string();
        assert!(error.contains("'nowhere' names no commit here"), "{error}");
        assert!(revision(&folder.path().join("a.yaml"), "HEAD").is_err());
    }
}
