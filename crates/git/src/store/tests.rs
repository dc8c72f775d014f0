//! The life of the stores, within a process and from one process to the next.

use super::*;

#[test]
fn a_replaced_store_lives_as_long_as_its_trees() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), &Disk::default()).unwrap();
    let mut current = None;
    let first = stores.generation(Digest::of(b"k"), &mut current).unwrap();
    let commit = Oid::from_bytes(&[1; 20]).unwrap();
    first.completed(commit).unwrap();
    for number in 1..FETCHES {
        assert!(Arc::ptr_eq(&first, &stores.generation(Digest::of(b"k"), &mut current).unwrap()));
        first.completed(commit).unwrap();
        first.completed(Oid::from_bytes(&[1 + u8::try_from(number).unwrap(); 20]).unwrap()).unwrap();
    }
    let second = stores.generation(Digest::of(b"k"), &mut current).unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && !second.has(commit) && first.has(commit));
    let path = first.path.clone();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    drop(first);
    assert!(!path.exists() && second.path.exists());
}

#[test]
fn a_store_is_shared_while_it_is_used_and_forgotten_after() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), &Disk::default()).unwrap();
    let first = stores.get(Digest::of(b"a"));
    assert!(Arc::ptr_eq(&first, &stores.get(Digest::of(b"a"))));
    assert!(!Arc::ptr_eq(&first, &stores.get(Digest::of(b"b"))));
    drop(first);
    stores.get(Digest::of(b"b"));
    assert_eq!(lock(&stores.open).len(), 1);
}

#[test]
fn what_an_earlier_process_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(FOLDER);
    let (left, others) =
        (root.join("0.git/junk"), ["git/a", "lockgate-objects/a.git/b", "lockgate-objects/1.git.bak"]);
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(&left, "x").unwrap();
    for other in others.map(|path| folder.path().join(path)) {
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::write(other, "x").unwrap();
    }
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    let stores = Stores::open(folder.path(), &Disk::default()).unwrap();
    stores.generation(Digest::of(b"k"), &mut None).unwrap();
    assert!(!left.exists());
    for other in others {
        assert!(folder.path().join(other).exists(), "{other}");
    }
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_folder_has_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Stores::open(folder.path(), &Disk::default()).unwrap();
    let generation = first.generation(Digest::of(b"k"), &mut None).unwrap();
    let refused = Stores::open(folder.path(), &Disk::default()).err().unwrap().to_string();
    assert!(refused.contains("in use by another agent; name another folder with --state-dir"), "{refused}");
    assert!(generation.path.exists());
    drop(first);
    assert!(Stores::open(folder.path(), &Disk::default()).is_ok());
}

/// A process fetches a commit and is killed. Returns the folder of its store.
fn left_by(folder: &Path, key: &[u8], commit: u8) -> PathBuf {
    let stores = Stores::open(folder, &Disk::default()).unwrap();
    let generation = stores.generation(Digest::of(key), &mut None).unwrap();
    generation.completed(Oid::from_bytes(&[commit; 20]).unwrap()).unwrap();
    let path = generation.path.clone();
    std::mem::forget(generation);
    path
}

#[test]
fn the_newest_store_of_an_earlier_process_is_taken_up_by_its_key_and_commit() {
    let folder = tempfile::tempdir().unwrap();
    let commit = |byte| Oid::from_bytes(&[byte; 20]).unwrap();
    let (first, other) = (left_by(folder.path(), b"a", 1), left_by(folder.path(), b"b", 1));
    let newer = left_by(folder.path(), b"a", 2);
    assert!(first != newer && first != other);
    let stores = Stores::open(folder.path(), &Disk::default()).unwrap();
    assert!(!first.exists() && newer.exists() && other.exists(), "the newest of each is kept");
    assert!(stores.holding(&Digest::of(b"c"), commit(2), &mut None).is_none());
    let mut current = None;
    let held = stores.holding(&Digest::of(b"a"), commit(2), &mut current).unwrap();
    assert_eq!(held.path, newer);
    assert!(
        stores.holding(&Digest::of(b"a"), commit(1), &mut current).is_none(),
        "it was fetched by another"
    );
    // It is read, and not fetched into.
    let next = stores.generation(Digest::of(b"a"), &mut current).unwrap();
    assert!(!Arc::ptr_eq(&next, &held));
    drop(held);
    assert!(!newer.exists());
    stores.forget_left(&Digest::of(b"b"));
    assert!(!other.exists(), "it was fetched anew");
}

#[test]
fn a_left_store_that_is_damaged_or_takes_too_much_is_not_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let commit = Oid::from_bytes(&[1; 20]).unwrap();
    let left = left_by(folder.path(), b"a", 1);
    fs::remove_file(left.join("HEAD")).unwrap();
    let stores = Stores::open(folder.path(), &Disk::default()).unwrap();
    assert!(stores.holding(&Digest::of(b"a"), commit, &mut None).is_none());
    assert!(!left.exists());
    drop(stores);
    let left = left_by(folder.path(), b"a", 1);
    let stores = Stores::open(folder.path(), &Disk::of(1)).unwrap();
    assert!(stores.holding(&Digest::of(b"a"), commit, &mut None).is_none());
    assert!(!left.exists());
}
