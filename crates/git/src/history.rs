//! Answers about the descent of commits, from a store that holds only part of the history.

use std::collections::BTreeSet;

use git2::{Odb, Oid, Repository};

use crate::SourceError;
use crate::objects::Commit;

/// The most commits that are read to answer a question.
const LIMIT: usize = 100_000;

/// The relation of a commit to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The old commit is an ancestor.
    Forward,
    /// The old commit is no ancestor.
    Rewritten,
}

/// The objects of a repository.
pub(crate) fn objects(repository: &Repository) -> Result<Odb<'_>, SourceError> {
    repository.odb().map_err(|error| SourceError::Storage(error.message().to_owned()))
}

/// Whether `ancestor` is `tip`, or is found among its ancestors.
pub(crate) fn descends(objects: &Odb<'_>, tip: Oid, ancestor: Oid) -> bool {
    ancestors(objects, tip).seen.contains(&ancestor)
}

/// Whether `new` descends from `old`; `None` if the store holds too little of the history to tell.
///
/// Two answers are certain: `old` is found above `new`, or everything above `new` is in the store and `old`
/// is not among it. A third is taken for certain: a parent of `old` is found above `new` and `old` is not, as
/// after an amended or rebased commit.
pub(crate) fn compare(objects: &Odb<'_>, old: Oid, new: Oid) -> Option<Change> {
    let above = ancestors(objects, new);
    if above.seen.contains(&old) {
        return Some(Change::Forward);
    }
    let parents = Commit::read(objects, old).map(|commit| commit.parents).unwrap_or_default();
    let shares_a_parent = parents.iter().any(|parent| above.seen.contains(parent));
    (above.is_whole || shares_a_parent).then_some(Change::Rewritten)
}

struct Ancestors {
    /// The tip, and all commits that a commit in the store names.
    seen: BTreeSet<Oid>,
    /// Whether all of these are in the store themselves, so that there are no further ancestors.
    is_whole: bool,
}

fn ancestors(objects: &Odb<'_>, tip: Oid) -> Ancestors {
    let mut found = Ancestors { seen: BTreeSet::from([tip]), is_whole: true };
    let mut pending = vec![tip];
    while let Some(id) = pending.pop() {
        if found.seen.len() > LIMIT {
            found.is_whole = false;
            break;
        }
        if let Ok(commit) = Commit::read(objects, id) {
            pending.extend(commit.parents.into_iter().filter(|parent| found.seen.insert(*parent)));
        } else {
            found.is_whole = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use git2::ObjectType;

    use super::*;

    fn commit(objects: &Odb<'_>, message: &str, parents: &[Oid]) -> Oid {
        use std::fmt::Write as _;
        let mut text = format!("tree {}\n", "0".repeat(40));
        for parent in parents {
            writeln!(text, "parent {parent}").unwrap();
        }
        write!(text, "author a <a> 0 +0000\ncommitter a <a> 0 +0000\n\n{message}").unwrap();
        objects.write(ObjectType::Commit, text.as_bytes()).unwrap()
    }

    #[test]
    fn what_can_be_told_is_told_and_the_rest_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let objects = objects(&repository).unwrap();
        let absent = Oid::from_bytes(&[9; 20]).unwrap();
        let root = commit(&objects, "root", &[]);
        let old = commit(&objects, "old", &[root]);
        let next = commit(&objects, "next", &[old]);
        let amended = commit(&objects, "amended", &[root]);
        let orphan = commit(&objects, "orphan", &[]);
        let shallow = commit(&objects, "shallow", &[absent]);
        let merge = commit(&objects, "merge", &[amended, old]);
        assert_eq!(compare(&objects, old, next), Some(Change::Forward));
        assert_eq!(compare(&objects, root, next), Some(Change::Forward));
        assert_eq!(compare(&objects, old, merge), Some(Change::Forward));
        assert_eq!(compare(&objects, absent, shallow), Some(Change::Forward));
        assert_eq!(compare(&objects, old, amended), Some(Change::Rewritten));
        assert_eq!(compare(&objects, old, orphan), Some(Change::Rewritten));
        assert_eq!(compare(&objects, old, root), Some(Change::Rewritten));
        assert_eq!(compare(&objects, old, shallow), None);
        assert!(descends(&objects, next, root) && !descends(&objects, orphan, root));
    }
}
