//! Reads commits as they were written, and refuses one that is too large.

use git2::{ObjectType, Odb, OdbObject, Oid};

use crate::SourceError;

/// The largest commit or tag, in bytes. Git itself sets no limit, and a pack can hold a message of hundreds
/// of megabytes in 1 MB.
const COMMIT: usize = 1 << 20;
/// The longest subject line that is shown, in bytes.
const SUBJECT: usize = 500;

/// The parts of a commit object that lockgate uses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) tree: Oid,
    pub(crate) parents: Vec<Oid>,
    /// The first line of its message.
    pub(crate) subject: String,
}

impl Commit {
    /// Reads a commit as it was written: libgit2's own view leaves out the parents beyond a shallow fetch.
    pub(crate) fn read(objects: &Odb<'_>, id: Oid) -> Result<Self, SourceError> {
        let object = read(objects, id)?;
        if object.kind() != ObjectType::Commit {
            let message =
                format!("the reference leads to {id}, which is a {} and not a commit", object.kind());
            return Err(SourceError::ReferenceNotFound(message));
        }
        Self::parse(object.data()).ok_or_else(|| SourceError::Storage(format!("commit {id} is damaged")))
    }

    fn parse(data: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(data);
        let (header, message) = text.split_once("\n\n").unwrap_or((&text, ""));
        let ids = |key: &'static str| {
            header
                .lines()
                .filter_map(move |line| line.strip_prefix(key)?.strip_prefix(' '))
                .map(Oid::from_str)
        };
        let tree = ids("tree").next()?.ok()?;
        let parents = ids("parent").collect::<Result<_, _>>().ok()?;
        let subject = message.trim_start().lines().next().unwrap_or_default();
        Some(Self { tree, parents, subject: printable(subject) })
    }
}

/// Reads a commit or tag, once its size is known.
fn read<'o>(objects: &'o Odb<'_>, id: Oid) -> Result<OdbObject<'o>, SourceError> {
    let storage = |error: git2::Error| SourceError::Storage(error.message().to_owned());
    let (size, kind) = objects.read_header(id).map_err(storage)?;
    if size > COMMIT {
        let message = format!("the {kind} {id} has {size} bytes, more than the limit of {COMMIT}");
        return Err(SourceError::TooLarge(message));
    }
    objects.read(id).map_err(storage)
}

/// A line of a commit, made safe for a terminal, a log and an event: no control characters, and of bounded
/// length.
fn printable(line: &str) -> String {
    let mut shown = String::new();
    for c in line.chars() {
        if shown.len() + c.len_utf8() > SUBJECT {
            shown.push('…');
            break;
        }
        shown.push(if c.is_control() { ' ' } else { c });
    }
    shown.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_commit_is_refused_by_its_size_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let repository = git2::Repository::init_bare(folder.path()).unwrap();
        let objects = repository.odb().unwrap();
        let message = "m".repeat(COMMIT);
        let text = format!("tree {}\n\n{message}", "a".repeat(40));
        let commit = objects.write(ObjectType::Commit, text.as_bytes()).unwrap();
        let told = Commit::read(&objects, commit).unwrap_err();
        assert!(
            matches!(&told, SourceError::TooLarge(text) if text.contains("more than the limit")),
            "{told}"
        );
    }

    #[test]
    fn a_subject_is_short_and_has_no_control_characters() {
        let subject = |line: &str| {
            let text = format!("tree {}\n\n{line}\nbody", "a".repeat(40));
            Commit::parse(text.as_bytes()).unwrap().subject
        };
        assert_eq!(subject("a\u{1b}[31mred\tb\u{7}"), "a [31mred b");
        assert_eq!(subject(&"ü".repeat(400)), format!("{}…", "ü".repeat(250)));
    }

    #[test]
    fn a_commit_is_read_with_all_its_parents() {
        let mut text = format!("tree {}\n", "a".repeat(40));
        for digit in ["b", "c"] {
            writeln!(text, "parent {}", digit.repeat(40)).unwrap();
        }
        text.push_str("author A <a@b> 1 +0000\ngpgsig x\n parent not\n\n\nSubject line \nbody\n");
        let commit = Commit::parse(text.as_bytes()).unwrap();
        assert_eq!((commit.parents.len(), commit.subject.as_str()), (2, "Subject line"));
        for damaged in ["", "tree zz\n\n", "parent 1\n\nx"] {
            assert_eq!(Commit::parse(damaged.as_bytes()), None);
        }
        assert_eq!(Commit::parse(format!("tree {}", "a".repeat(40)).as_bytes()).unwrap().subject, "");
    }

    #[test]
    fn a_file_is_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        let repository = git2::Repository::init_bare(folder.path()).unwrap();
        let blob = repository.blob(b"x").unwrap();
        let told = Commit::read(&repository.odb().unwrap(), blob).unwrap_err();
        assert!(told.to_string().contains("not a commit"), "{told}");
    }
}
