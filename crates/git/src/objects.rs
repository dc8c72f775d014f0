//! From a commit to a tree: Git's tree objects are walked, and no file is read but the targets of symbolic links.

use git2::{ObjectType, Odb, OdbObject, Oid, Repository};

use crate::SourceError;
use lockgate_base::tree::Entry;

/// The most files of one tree.
const FILES: usize = 200_000;
/// The most folders that are opened. A few tree objects that name each other could stand for billions of paths.
const FOLDERS: usize = 100_000;
/// The longest path, in bytes, as in Linux.
const PATH: usize = 4096;
/// The largest commit or tag, in bytes. Git itself sets no limit, and a message of hundreds of megabytes packs into one.
const COMMIT: usize = 1 << 20;
/// The largest tree object, in bytes: a folder of some 200,000 files with names of usual length.
const TREE: usize = 16 << 20;
/// The longest subject line that is told, in bytes.
const SUBJECT: usize = 500;
/// How many oddities are told one by one.
const WARNINGS: usize = 20;

/// Git's modes. Every other one is that of a file.
const FOLDER: i32 = 0o040_000;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;

/// The files of a commit, and what was left out of them and why.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) entries: Vec<(String, Entry)>,
    pub(crate) warnings: Vec<String>,
}

/// The parts of a commit object that are used.
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
        let object = read(objects, id, COMMIT)?;
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

/// Reads a commit, tag or tree, once its size is known to be within `limit` bytes.
fn read<'o>(objects: &'o Odb<'_>, id: Oid, limit: usize) -> Result<OdbObject<'o>, SourceError> {
    let storage = |error: git2::Error| SourceError::Storage(error.message().to_owned());
    let (size, kind) = objects.read_header(id).map_err(storage)?;
    if size > limit {
        let message = format!("the {kind} {id} has {size} bytes, more than the limit of {limit}");
        return Err(SourceError::TooLarge(message));
    }
    objects.read(id).map_err(storage)
}

/// A line of a commit as a terminal, a log and an event may show it: no control characters, and of bounded length.
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

/// All files of a tree object.
pub(crate) fn walk(repository: &Repository, tree: Oid) -> Result<Files, SourceError> {
    let mut files = Files { entries: Vec::new(), warnings: Vec::new() };
    let mut left_out = 0_usize;
    let mut leave_out = |warnings: &mut Vec<String>, message: String| {
        left_out += 1;
        match left_out {
            ..=WARNINGS => warnings.push(message),
            _ => warnings[WARNINGS - 1] = format!("{} more files were left out", left_out - WARNINGS + 1),
        }
    };
    let objects = repository.odb().map_err(|error| damaged("", &error))?;
    let mut pending = vec![(String::new(), tree)];
    let mut folders = 1_usize;
    while let Some((folder, id)) = pending.pop() {
        let (size, _) = objects.read_header(id).map_err(|error| damaged(&folder, &error))?;
        if size > TREE {
            let folder = folder.escape_debug();
            let message =
                format!("the list of the folder '{folder}' has {size} bytes, more than the limit of {TREE}");
            return Err(SourceError::TooLarge(message));
        }
        let tree = repository.find_tree(id).map_err(|error| damaged(&folder, &error))?;
        for entry in &tree {
            let Some(path) = path(&folder, entry.name_bytes()) else {
                leave_out(&mut files.warnings, left_out_message(&folder, entry.name_bytes()));
                continue;
            };
            let found = match entry.filemode() {
                FOLDER => {
                    folders += 1;
                    if folders > FOLDERS {
                        let message = format!("the repository has more than {FOLDERS} folders");
                        return Err(SourceError::TooLarge(message));
                    }
                    pending.push((path, entry.id()));
                    continue;
                }
                LINK => {
                    let Some(target) = link_target(repository, entry.id(), &path)? else {
                        let message = format!("{path}: symbolic link left out, its target is not a path");
                        leave_out(&mut files.warnings, message);
                        continue;
                    };
                    Entry::Link(target)
                }
                SUBMODULE => Entry::Submodule,
                _ => Entry::File(entry.id().as_bytes().to_vec()),
            };
            if files.entries.len() == FILES {
                return Err(SourceError::TooLarge(format!("the repository has more than {FILES} files")));
            }
            files.entries.push((path, found));
        }
    }
    Ok(files)
}

/// The path of an entry; `None` for names that Git itself never writes, that are not UTF-8, or too long.
fn path(folder: &str, name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return None;
    }
    if name.eq_ignore_ascii_case(".git") || folder.len() + name.len() >= PATH {
        return None;
    }
    Some(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
}

fn left_out_message(folder: &str, name: &[u8]) -> String {
    const SHOWN: usize = 200;
    let shown = name[..name.len().min(SHOWN)].escape_ascii();
    let reason = match std::str::from_utf8(name) {
        Err(_) => "its name is not UTF-8",
        Ok(_) if folder.len() + name.len() >= PATH => "its path is too long",
        Ok(_) => "its name has a meaning of its own",
    };
    let folder: String = folder.chars().take(SHOWN).collect();
    format!("file '{shown}' in folder '{}' left out: {reason}", folder.escape_debug())
}

fn link_target(repository: &Repository, id: Oid, path: &str) -> Result<Option<String>, SourceError> {
    let objects = repository.odb().map_err(|error| damaged(path, &error))?;
    let (size, _) = objects.read_header(id).map_err(|error| damaged(path, &error))?;
    if size > PATH {
        return Ok(None);
    }
    let target = objects.read(id).map_err(|error| damaged(path, &error))?;
    let target = std::str::from_utf8(target.data()).ok().filter(|target| !target.contains('\0'));
    Ok(target.map(str::to_owned))
}

fn damaged(path: &str, error: &git2::Error) -> SourceError {
    SourceError::Storage(format!("folder '{}' cannot be read: {}", path.escape_debug(), error.message()))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn repository() -> (tempfile::TempDir, Repository) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        (folder, repository)
    }

    /// A tree object as bytes, since no library writes the names that are tested here.
    fn write_tree(repository: &Repository, entries: &[(&str, &[u8], Oid)]) -> Oid {
        let mut data = Vec::new();
        for (mode, name, id) in entries {
            data.extend_from_slice(mode.as_bytes());
            data.push(b' ');
            data.extend_from_slice(name);
            data.push(0);
            data.extend_from_slice(id.as_bytes());
        }
        repository.odb().unwrap().write(ObjectType::Tree, &data).unwrap()
    }

    #[test]
    fn names_of_every_kind_are_kept_or_left_out_with_a_reason() {
        let (_folder, repository) = repository();
        let blob = repository.blob(b"x").unwrap();
        let link = repository.blob(b"../target").unwrap();
        let binary_link = repository.blob(b"\xff\xfe").unwrap();
        let long = vec![b'p'; 4096];
        let inner = write_tree(&repository, &[("100644", b"deep.yaml", blob)]);
        let tree = write_tree(
            &repository,
            &[
                ("100644", b"..", blob),
                ("100644", b".", blob),
                ("40000", b".GIT", inner),
                ("100644", b"a/b", blob),
                ("100644", "Ünïcode \n\u{1f600}".as_bytes(), blob),
                ("100644", b"latin\xe9.yaml", blob),
                ("100644", b"Upper", blob),
                ("100755", b"upper", blob),
                ("120000", b"link", link),
                ("120000", b"odd-link", binary_link),
                ("160000", b"module", blob),
                ("40000", b"sub", inner),
                ("100644", &long, blob),
            ],
        );
        let files = walk(&repository, tree).unwrap();
        let mut names: Vec<&str> = files.entries.iter().map(|(path, _)| path.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["Upper", "link", "module", "sub/deep.yaml", "upper", "Ünïcode \n\u{1f600}"]);
        let entry = |name: &str| files.entries.iter().find(|(path, _)| path == name).unwrap().1.clone();
        assert_eq!(entry("link"), Entry::Link("../target".into()));
        assert_eq!(entry("module"), Entry::Submodule);
        let warnings = files.warnings.join("\n");
        assert!(
            warnings.contains(r"'latin\xe9.yaml' in folder '' left out: its name is not UTF-8"),
            "{warnings}"
        );
        assert!(warnings.contains("its path is too long") && warnings.contains("odd-link"), "{warnings}");
        assert_eq!(files.warnings.len(), 7, "{warnings}");
    }

    #[test]
    fn many_oddities_are_counted() {
        let (_folder, repository) = repository();
        let blob = repository.blob(b"x").unwrap();
        let names: Vec<Vec<u8>> = (0..50).map(|number| vec![0xff, number + 1]).collect();
        let entries: Vec<_> = names.iter().map(|name| ("100644", name.as_slice(), blob)).collect();
        let files = walk(&repository, write_tree(&repository, &entries)).unwrap();
        assert_eq!((files.entries.len(), files.warnings.len()), (0, WARNINGS));
        assert_eq!(files.warnings[WARNINGS - 1], "31 more files were left out");
    }

    #[test]
    fn a_tree_that_multiplies_is_cut_off() {
        let (_folder, repository) = repository();
        let blob = repository.blob(b"x").unwrap();
        let mut tree = write_tree(&repository, &[("100644", b"f", blob)]);
        for _ in 0..10 {
            let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
            let entries: Vec<_> = names.iter().map(|name| ("40000", name.as_bytes(), tree)).collect();
            tree = write_tree(&repository, &entries);
        }
        assert!(matches!(walk(&repository, tree), Err(SourceError::TooLarge(_))));
    }

    #[test]
    fn objects_are_refused_by_their_size_before_they_are_read() {
        let (_folder, repository) = repository();
        let objects = repository.odb().unwrap();
        let message = "m".repeat(COMMIT);
        let text = format!("tree {}\n\n{message}", "a".repeat(40));
        let commit = objects.write(ObjectType::Commit, text.as_bytes()).unwrap();
        let told = Commit::read(&objects, commit).unwrap_err();
        assert!(
            matches!(&told, SourceError::TooLarge(text) if text.contains("more than the limit")),
            "{told}"
        );

        let blob = repository.blob(b"x").unwrap();
        let names: Vec<String> =
            (0..TREE / 40).map(|n| format!("a-name-that-fills-the-list-{n:07}")).collect();
        let entries: Vec<_> = names.iter().map(|name| ("100644", name.as_bytes(), blob)).collect();
        let told = walk(&repository, write_tree(&repository, &entries)).unwrap_err();
        assert!(
            matches!(&told, SourceError::TooLarge(text) if text.contains("the list of the folder")),
            "{told}"
        );
    }

    #[test]
    fn files_and_folders_are_counted_while_they_are_found() {
        let (_folder, repository) = repository();
        let blob = repository.blob(b"x").unwrap();
        let empty = write_tree(&repository, &[]);
        let names: Vec<String> = (0..=FILES).map(|n| format!("{n}")).collect();
        let list = |mode, id, count: usize| {
            let entries: Vec<_> = names.iter().take(count).map(|name| (mode, name.as_bytes(), id)).collect();
            walk(&repository, write_tree(&repository, &entries)).map(|files| files.entries.len())
        };
        assert_eq!(list("100644", blob, FILES).unwrap(), FILES);
        assert!(list("100644", blob, FILES + 1).unwrap_err().to_string().contains("files"));
        assert_eq!(list("40000", empty, FOLDERS - 1).unwrap(), 0);
        assert!(list("40000", empty, FOLDERS).unwrap_err().to_string().contains("folders"));
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
    fn a_missing_object_is_an_error_and_no_panic() {
        let (_folder, repository) = repository();
        let missing = Oid::from_bytes(&[7; 20]).unwrap();
        assert!(matches!(walk(&repository, missing), Err(SourceError::Storage(_))));
        let tree = write_tree(&repository, &[("40000", b"gone", missing)]);
        assert!(matches!(walk(&repository, tree), Err(SourceError::Storage(_))));
        let blob = repository.blob(b"x").unwrap();
        assert!(
            Commit::read(&repository.odb().unwrap(), blob).unwrap_err().to_string().contains("not a commit")
        );
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
}
