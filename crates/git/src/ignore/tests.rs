//! Tests of the ignore rules: Flux's behaviour in tables, and Git's own answers where the two agree.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

fn rules(lines: &str) -> Rules {
    let Ok(rules) = Rules::of(&Tree::in_memory::<&str, &str>([]), Some(lines), &|| Ok::<(), Infallible>(()));
    rules
}

fn excluded(files: &[(&str, &str)], spec_ignore: Option<&str>) -> Vec<String> {
    let tree = Tree::in_memory(files.iter().copied());
    let Ok(kept) = applied(&tree, spec_ignore, || Ok::<(), Infallible>(()));
    let kept: Vec<String> = kept.entries().map(|(path, _)| path).collect();
    tree.entries().map(|(path, _)| path).filter(|path| !kept.contains(path)).collect()
}

#[test]
fn patterns() {
    let cases: &[(&str, &str, &str)] = &[
        ("foo", "foo a/foo foo/x a/foo/x", "food a/xfoo"),
        ("foo/", "foo/x a/foo/x", "foo a/foo"),
        ("/foo", "foo foo/x", "a/foo"),
        ("foo/bar", "foo/bar foo/bar/x", "a/foo/bar foo/x"),
        ("/foo/bar/", "foo/bar/x", "foo/bar"),
        ("*.md", "x.md a/b/x.md x.md/y", "md x.mdx"),
        ("/*.md", "x.md", "a/x.md"),
        ("a/*.md", "a/x.md", "a/b/x.md x.md"),
        ("**/foo", "foo a/foo a/b/foo a/foo/x", "food"),
        ("foo/**", "foo/a foo/a/b", "foo a/foo/x"),
        ("a/**/b", "a/b a/x/b a/x/y/b a/x/b/c", "a/x ab b"),
        ("**", "a a/b", ""),
        ("f?o", "foo a/fxo", "fo fooo"),
        ("[ab]c", "ac bc x/ac", "cc abc"),
        ("[!ab]c", "cc", "ac bc"),
        ("[a-c]x", "ax cx", "dx -x"),
        ("[]x]", "] x", "y"),
        (r"\#x", "#x", "x"),
        (r"\!x", "!x", "x"),
        (r"a\*", "a*", "ab"),
        ("# comment", "", "# comment comment"),
        ("foo  ", "foo", "foo  "),
        (r"foo\ ", "foo ", "foo"),
        ("foo[", "", "foo foo["),
        ("foo\n!foo", "", "foo"),
        ("*.yaml\n!keep.yaml", "a.yaml x/b.yaml", "keep.yaml x/keep.yaml"),
        ("/*\n!/deploy", "x y/z", "deploy deploy/a deploy/b/c"),
        // Git would leave this out, because the folder above is excluded; Flux does not.
        ("/*\n!/deploy/prod/", "deploy/x deploy/test/x", "deploy/prod/x deploy/prod/y/z"),
    ];
    for (lines, inside, outside) in cases {
        let rules = rules(lines);
        // Some names here contain a space, so a single space separates, and a name with a space stands alone.
        let split = |text: &str| -> Vec<String> {
            if lines.contains("foo ") || lines.contains(r"\ ") || lines.starts_with('#') {
                vec![text.into()]
            } else {
                text.split(' ').map(Into::into).collect()
            }
        };
        for path in split(inside).iter().filter(|path| !path.is_empty()) {
            assert!(rules.excludes(path), "{lines:?} excludes {path:?}");
        }
        for path in split(outside).iter().filter(|path| !path.is_empty()) {
            assert!(!rules.excludes(path), "{lines:?} keeps {path:?}");
        }
    }
}

#[test]
fn defaults_hold_until_there_is_a_pattern() {
    let files = [
        ("a.yaml", ""),
        ("docs/logo.png", ""),
        (".github/workflows/ci.yaml", ""),
        ("x/.sops.yaml", ""),
        (".gitignore", ""),
        ("charts/x.tar.gz", ""),
    ];
    assert_eq!(
        excluded(&files, None),
        [".github/workflows/ci.yaml", ".gitignore", "charts/x.tar.gz", "docs/logo.png", "x/.sops.yaml"]
    );
    assert_eq!(excluded(&files, Some("# only a comment\n")).len(), 5);
    assert_eq!(excluded(&files, Some("a.yaml")), [".gitignore", "a.yaml"]);
}

#[test]
fn files_apply_to_their_folder_and_the_object_has_the_last_word() {
    let files = [
        (".sourceignore", "*.md\n/secret/\n"),
        ("x.md", ""),
        ("a/.sourceignore", "!x.md\n/only-here\n"),
        ("a/x.md", ""),
        ("a/only-here", ""),
        ("only-here", ""),
        ("secret/.sourceignore", "!*\n"),
        ("secret/key", ""),
        ("logo.png", ""),
    ];
    assert_eq!(excluded(&files, None), ["a/only-here", "secret/.sourceignore", "secret/key", "x.md"]);
    assert_eq!(excluded(&files, Some("!/secret/\na/x.md")), ["a/only-here", "a/x.md", "x.md"]);
}

#[test]
fn hostile_patterns_are_not_slow() {
    let stars = format!("{}b", "*a".repeat(500));
    let folders = "**/a/".repeat(200);
    let path = format!("{}a", "a/".repeat(400));
    let rules = rules(&format!("{stars}\n/{folders}**/z\n"));
    assert!(!rules.excludes(&path));
    assert!(!rules.excludes(&"a".repeat(4000)));
}

/// The files that Git itself ignores. Git and Flux agree on patterns without a negation.
fn ignored_by_git(patterns: &str, paths: &[String]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    git2::Repository::init(folder.path()).unwrap();
    std::fs::write(folder.path().join(".git/info/exclude"), patterns).unwrap();
    let mut git = Command::new("git")
        .args(["check-ignore", "--no-index", "--stdin", "-z"])
        .current_dir(folder.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(paths.join("\0").as_bytes()).unwrap();
    let output = git.wait_with_output().unwrap().stdout;
    String::from_utf8(output).unwrap().split_terminator('\0').map(Into::into).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_git(
        patterns in prop::collection::vec(r"/?([ab?]{1,2}|\*|[ab]\*|\*[ab]|\*{2,3}|\[ab\]|\[!a\]|\\a)(/([ab?]{1,2}|\*|a\*b|\*\*)){0,2}/?", 1..4),
        paths in prop::collection::btree_set("[abc]{1,2}(/[abc]{1,2}){0,3}", 1..40),
    ) {
        let lines = patterns.join("\n");
        let paths: Vec<String> = paths.into_iter().collect();
        let rules = rules(&lines);
        let ours: Vec<String> = paths.iter().filter(|path| rules.excludes(path)).cloned().collect();
        prop_assert_eq!(ours, ignored_by_git(&lines, &paths), "{}", lines);
    }

    #[test]
    fn no_text_makes_it_panic(lines in ".{0,60}", path in "[^\0]{0,40}") {
        rules(&lines).excludes(&path);
    }
}

#[test]
fn the_work_ends_where_the_time_does() {
    // Two of the six calls come with the rules, four with the files.
    let tree = Tree::in_memory([(".sourceignore", "x"), ("a/.sourceignore", "y"), ("a/b", ""), ("c", "")]);
    for time in 0_u8..=6 {
        let left = Cell::new(time);
        let go_on = || left.get().checked_sub(1).map(|rest| left.set(rest)).ok_or("late");
        let ended = applied(&tree, None, go_on);
        assert_eq!(ended.map(drop), if time < 6 { Err("late") } else { Ok(()) }, "after {time}");
    }
}
