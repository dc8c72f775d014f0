//! Trees that Git would not write, and trees that are too large.

use std::sync::Arc;

use git2::ObjectType;
use lockgate_base::tree::{Blobs, ContentId, Tree};

use super::*;

fn repository() -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::init_bare(folder.path()).unwrap();
    (folder, repository)
}

fn walked(repository: &Repository, tree: Oid) -> Result<Files, SourceError> {
    walk(repository, tree, &mut KnownFolders::default())
}

fn tree_of(files: &Files) -> Tree {
    struct Nothing;
    impl Blobs for Nothing {
        fn read(&self, _id: &ContentId) -> Result<Arc<[u8]>, String> {
            Err("nothing is kept".into())
        }
    }
    Tree::of(files.root.clone(), Arc::new(Nothing))
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
    let files = walked(&repository, tree).unwrap();
    let tree = tree_of(&files);
    let names: Vec<String> = tree.entries().map(|(path, _)| path).collect();
    assert_eq!(names, ["Upper", "link", "module", "sub/deep.yaml", "upper", "Ünïcode \n\u{1f600}"]);
    let entry = |name: &str| tree.entries().find(|(path, _)| path == name).unwrap().1.clone();
    assert_eq!(entry("link"), TreeEntry::Link("../target".into()));
    assert_eq!(entry("module"), TreeEntry::Submodule);
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
    let files = walked(&repository, write_tree(&repository, &entries)).unwrap();
    assert_eq!((files.root.extent().files, files.warnings.len()), (0, WARNINGS));
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
    assert!(matches!(walked(&repository, tree), Err(SourceError::TooLarge(_))));
}

#[test]
fn a_tree_object_is_refused_by_its_size_before_it_is_read() {
    let (_folder, repository) = repository();
    let blob = repository.blob(b"x").unwrap();
    let names: Vec<String> = (0..TREE / 40).map(|n| format!("a-name-that-fills-the-list-{n:07}")).collect();
    let entries: Vec<_> = names.iter().map(|name| ("100644", name.as_bytes(), blob)).collect();
    let told = walked(&repository, write_tree(&repository, &entries)).unwrap_err();
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
        walked(&repository, write_tree(&repository, &entries)).map(|files| files.root.extent().files)
    };
    assert_eq!(list("100644", blob, FILES).unwrap(), FILES);
    assert!(list("100644", blob, FILES + 1).unwrap_err().to_string().contains("files"));
    assert_eq!(list("40000", empty, FOLDERS - 1).unwrap(), 0);
    assert!(list("40000", empty, FOLDERS).unwrap_err().to_string().contains("folders"));
}

#[test]
fn a_missing_object_is_an_error_and_no_panic() {
    let (_folder, repository) = repository();
    let missing = Oid::from_bytes(&[7; 20]).unwrap();
    assert!(matches!(walked(&repository, missing), Err(SourceError::Storage(_))));
    let tree = write_tree(&repository, &[("40000", b"gone", missing)]);
    assert!(matches!(walked(&repository, tree), Err(SourceError::Storage(_))));
}

#[test]
fn what_two_commits_have_in_common_is_kept_once() {
    let (_folder, repository) = repository();
    let blob = repository.blob(b"x").unwrap();
    let same = write_tree(&repository, &[("100644", b"f", blob)]);
    let odd = write_tree(&repository, &[("100644", b"\xff", blob), ("100644", b"g", blob)]);
    let commit = |name: &[u8]| {
        write_tree(&repository, &[("40000", b"odd", odd), ("40000", b"same", same), ("100644", name, blob)])
    };
    let mut known = KnownFolders::default();
    let first = walk(&repository, commit(b"x"), &mut known).unwrap();
    let second = walk(&repository, commit(b"y"), &mut known).unwrap();
    let paths = |files: &Files| tree_of(files).entries().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(paths(&first), ["odd/g", "same/f", "x"]);
    assert_eq!(paths(&second), ["odd/g", "same/f", "y"]);
    assert!(known.get(same).is_some());
    // Each commit has its warnings about files that were left out.
    assert_eq!((first.warnings.len(), second.warnings.len()), (1, 1));
    drop((first, second));
    known.tidy();
    assert!(known.0.is_empty());
}

#[test]
fn one_folder_in_many_places_is_kept_once_and_counted_as_often() {
    let (_folder, repository) = repository();
    let blob = repository.blob(b"x").unwrap();
    let leaf = write_tree(&repository, &[("100644", b"f", blob), ("100644", b"g", blob)]);
    let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
    let entries: Vec<_> = names.iter().map(|name| ("40000", name.as_bytes(), leaf)).collect();
    let files = walked(&repository, write_tree(&repository, &entries)).unwrap();
    assert_eq!((files.root.extent().files, files.root.extent().folders), (20, 10));
    let mut known = KnownFolders::default();
    let files = walk(&repository, write_tree(&repository, &entries), &mut known).unwrap();
    assert_eq!(known.0.len(), 2, "{files:?}");
}

#[test]
fn a_path_through_too_many_folders_is_left_out_wherever_the_folder_was_met_before() {
    let (_folder, repository) = repository();
    let blob = repository.blob(b"x").unwrap();
    let mut tree = write_tree(&repository, &[("100644", b"f", blob)]);
    for _ in 0..LEVELS {
        tree = write_tree(&repository, &[("40000", b"d", tree)]);
    }
    let files = walked(&repository, tree).unwrap();
    assert_eq!((files.root.extent().files, files.warnings.len()), (1, 0));
    // The folder that is met first is known at once, and nests one level too deep for the second place.
    let root = write_tree(&repository, &[("40000", b"a", tree), ("100644", b"z", blob)]);
    let files = walked(&repository, root).unwrap();
    assert_eq!(files.root.extent().files, 1);
    assert!(files.warnings[0].contains("its path is too long"), "{:?}", files.warnings);
}

#[test]
fn long_names_are_refused_by_their_sum() {
    let (_folder, repository) = repository();
    let blob = repository.blob(b"x").unwrap();
    let list = |first: usize| {
        let names: Vec<String> = (first..first + 4_000).map(|n| format!("{n:03990}")).collect();
        let entries: Vec<_> = names.iter().map(|name| ("100644", name.as_bytes(), blob)).collect();
        write_tree(&repository, &entries)
    };
    let folders = [list(0), list(10_000), list(20_000)];
    let names = ["a", "b", "c"];
    let entries: Vec<_> =
        names.iter().zip(folders).map(|(name, list)| ("40000", name.as_bytes(), list)).collect();
    let told = walked(&repository, write_tree(&repository, &entries[..2])).unwrap();
    assert_eq!(told.root.extent().files, 8_000);
    let told = walked(&repository, write_tree(&repository, &entries)).unwrap_err().to_string();
    assert!(told.contains("the names of the repository's files take more than 32 MiB"), "{told}");
}
