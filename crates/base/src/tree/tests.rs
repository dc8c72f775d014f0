//! Trees of a few files: links, footprints, listings and paths.

use super::*;

fn tree(files: &[(&str, &str)]) -> Tree {
    let blobs = Tree::in_memory(files.iter().map(|(_, content)| (*content, *content)));
    let entries = files.iter().map(|(path, content)| {
        let entry = match content.strip_prefix("-> ") {
            Some(target) => TreeEntry::Link(target.into()),
            None => TreeEntry::File(blobs.content(content).unwrap().clone()),
        };
        ((*path).to_owned(), entry)
    });
    Tree::new(entries, blobs.blobs.clone())
}

#[test]
fn a_path_may_climb_out_and_back_where_the_place_of_the_root_is_known() {
    let tree = tree(&[("a/x", "x")]);
    for (location, relative, expected) in [
        ("/", "../../../b/./c", Some("b/c")),
        ("/", "/b//c/", Some("b/c")),
        ("/srv/repo/", "../../repo/b", Some("b")),
        ("/srv/repo", "/srv/repo/b", Some("b")),
        ("/srv/repo", "../../../../../srv/repo", Some("")),
        ("/srv/repo", "../../other/../repo/b", Some("b")),
        ("/srv/repo", "../..", None),
        ("/srv/repo", "/srv/repository/x", None),
    ] {
        let tree = tree.standing_at(location);
        let found = tree.reader().resolve("a", relative);
        assert_eq!(found.as_deref().ok(), expected, "{location} {relative}");
    }
    assert!(tree.reader().resolve("a", "../../b").is_err() && tree.reader().resolve("a", "/a/x").is_err());
}

#[test]
fn links_are_followed_inside_and_refused_outside() {
    let tree = tree(&[
        ("base/a.yaml", "a"),
        ("x/link.yaml", "-> ../base/a.yaml"),
        ("x/dir", "-> ../base"),
        ("x/passwd", "-> /etc/passwd"),
        ("x/up", "-> ../../etc"),
        ("x/loop", "-> loop"),
    ]);
    let reader = tree.reader();
    assert_eq!(reader.text("x/link.yaml").unwrap(), "a");
    assert_eq!(reader.text("x/dir/a.yaml").unwrap(), "a");
    assert_eq!(
        reader.text("x/passwd").unwrap_err().to_string(),
        "x/passwd: leads outside the source ('/etc/passwd')"
    );
    assert!(matches!(reader.text("x/up/passwd"), Err(TreeError::Outside { .. })));
    assert!(matches!(reader.text("x/loop"), Err(TreeError::LinkLoop(_))));
}

#[test]
fn relative_paths_cannot_leave_the_root() {
    assert_eq!(resolve("a/b", "../../c/./d").unwrap(), "c/d");
    assert_eq!(resolve("", "./").unwrap(), "");
    for path in ["/etc/passwd", "../../../x"] {
        assert!(matches!(resolve("a/b", path), Err(TreeError::Outside { .. })), "{path}");
    }
}

#[test]
fn a_footprint_notices_what_was_read_and_what_was_missing() {
    let first = tree(&[("a/k.yaml", "1"), ("a/unread.yaml", "2"), ("b/other.yaml", "3")]);
    let reader = first.reader();
    reader.text("a/k.yaml").unwrap();
    assert_eq!(reader.node("a/missing.yaml").unwrap(), None);
    let footprint = reader.footprint();
    let unread_changed = tree(&[("a/k.yaml", "1"), ("a/unread.yaml", "9")]);
    let read_changed = tree(&[("a/k.yaml", "9"), ("a/unread.yaml", "2")]);
    let missing_appeared = tree(&[("a/k.yaml", "1"), ("a/missing.yaml", "2")]);
    assert!(unread_changed.matches(&footprint));
    assert!(!read_changed.matches(&footprint));
    assert!(!missing_appeared.matches(&footprint));
}

#[test]
fn a_footprint_notices_a_link_that_leads_elsewhere() {
    let files = |target: &'static str| {
        tree(&[
            ("v1/a.yaml", "1"),
            ("v2/a.yaml", "2"),
            ("v1/same.yaml", "3"),
            ("v2/same.yaml", "3"),
            ("current", target),
        ])
    };
    let (old, new) = (files("-> v1"), files("-> v2"));
    // The names in a folder are the same, and so is the content of a file, but later reads take place
    // elsewhere.
    for path in ["current", "current/same.yaml"] {
        let reader = old.reader();
        let canonical = reader.canonical(path).unwrap();
        assert!(canonical.starts_with("v1"), "{path}");
        assert!(old.matches(&reader.footprint()), "{path}");
        assert!(!new.matches(&reader.footprint()), "{path}");
    }
}

#[test]
fn what_could_not_be_listed_is_an_error_where_it_is_read() {
    let sound = tree(&[("apps/a.yaml", "1")]);
    let entries = sound.entries().map(|(path, entry)| (path, entry.clone()));
    let closed = [("apps/data".to_owned(), TreeEntry::Unlisted("Permission denied".into()))];
    let tree = Tree::new(entries.chain(closed), Arc::clone(&sound.blobs));
    let reader = tree.reader();
    assert_eq!(reader.text("apps/a.yaml").unwrap(), "1");
    let listed = reader.list("apps").unwrap();
    assert_eq!(listed, [("a.yaml".to_owned(), Resolved::File), ("data".to_owned(), Resolved::Directory)]);
    for path in ["apps/data", "apps/data/b.yaml"] {
        assert_eq!(reader.list(path).unwrap_err().to_string(), format!("{path}: Permission denied"));
        assert!(reader.text(path).is_err() && reader.node(path).is_err(), "{path}");
    }
}

#[test]
fn listings_show_names_once_and_in_order() {
    let tree = tree(&[("d/b.yaml", "1"), ("d/a/x", "1"), ("d/a/y", "1"), ("d/a.yaml", "1")]);
    let names: Vec<_> = tree.reader().list("d").unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a.yaml", "a", "b.yaml"]);
}

#[test]
fn entries_come_in_the_order_of_their_paths() {
    let paths = ["a", "a-b/x", "a.yaml", "b/c.yaml", "b/c/d", "b/c/e", "b/cc/x", "z"];
    let tree = Tree::in_memory(paths.iter().rev().map(|path| (*path, "x")));
    let found: Vec<String> = tree.entries().map(|(path, _)| path).collect();
    assert_eq!(found, paths);
    let extent = tree.root().extent();
    assert_eq!(extent, Extent { files: 8, folders: 4, levels: 2, longest: 8 });
}

#[test]
fn a_folder_is_told_by_what_is_in_it() {
    let tree = |content: &'static str| Tree::in_memory([("a/b/x", content), ("c/b/x", "1"), ("d", "2")]);
    let (one, other) = (tree("1"), tree("2"));
    assert_eq!(one.folder_id("a"), one.folder_id("c"));
    assert_eq!((one.folder_id("c"), one.folder_id("c/b")), (other.folder_id("c"), other.folder_id("c/b")));
    assert_ne!(one.folder_id("a"), other.folder_id("a"));
    assert_ne!(one.folder_id(""), other.folder_id(""));
    assert_ne!(one.folder_id("a"), one.folder_id("a/b"));
    assert_eq!((one.folder_id("d"), one.folder_id("e")), (None, None));
}

#[test]
fn a_file_hides_a_folder_of_its_name() {
    let tree = Tree::in_memory([("a", "1"), ("a/b", "2"), ("c", "3")]);
    let reader = tree.reader();
    assert_eq!(reader.text("a").unwrap(), "1");
    assert!(reader.text("a/b").is_err());
    let names: Vec<_> = reader.list("").unwrap();
    assert_eq!(names, [("a".to_owned(), Resolved::File), ("c".to_owned(), Resolved::File)]);
}

#[test]
fn what_a_filter_leaves_whole_is_shared() {
    let tree = Tree::in_memory([("a/b/x", "1"), ("a/c/x", "2"), ("d/gone", "3")]);
    let same = tree.filtered(|_| true);
    assert!(same.root().is(tree.root()));
    let kept = tree.filtered(|path| path != "a/c/x" && path != "d/gone");
    let paths: Vec<String> = kept.entries().map(|(path, _)| path).collect();
    assert_eq!(paths, ["a/b/x"]);
    let inner = |tree: &Tree| match tree.root.at("a/b") {
        Some(FoundInFolder::Folder(folder)) => folder.clone(),
        _ => unreachable!("no folder"),
    };
    assert!(inner(&kept).is(&inner(&tree)));
    assert_eq!(kept.reader().node("d").unwrap(), None);
}

#[test]
fn a_folder_is_a_tree_of_its_own_over_which_files_may_be_laid() {
    let tree = tree(&[("a/x", "x"), ("a/b/y", "y"), ("ab/z", "z"), ("a/l", "-> b/y")]);
    let folder = tree.folder("a");
    let names = |tree: &Tree| tree.entries().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(names(&folder), ["b/y", "l", "x"]);
    assert_eq!(folder.reader().text("l").unwrap(), "y");
    assert_eq!(names(&tree.folder("")), names(&tree));
    let over = folder.with_files([("x".to_owned(), b"new".to_vec()), ("w".to_owned(), b"w".to_vec())]);
    let read = |path: &str| over.reader().text(path).unwrap();
    assert_eq!(["x", "w", "b/y"].map(read), ["new", "w", "y"]);
    assert_eq!(folder.reader().text("x").unwrap(), "x", "the other stays as it is");
}
