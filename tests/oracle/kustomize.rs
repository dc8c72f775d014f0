//! Folders built by lockgate and by the real kustomize: hand-written ones, each for one field and option, and
//! random ones that combine everything.
//!
//! The tests contain no expected results. `KDIFF` names a folder that receives every difference: `in/`,
//! `target`, the output of kustomize and that of lockgate.

mod generate;
mod merges;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use lockgate_base::model::yaml::{Layout, print};
use lockgate_base::tree::Tree;
use lockgate_render::kustomize::{Flavour, KustomizeRecipe, build};
use serde_json::json;

use super::random::Random;
use super::{Oracle, cases, seed};

/// The files of a case by their paths.
pub(crate) type Files = BTreeMap<String, String>;

/// A case: files, and the folder to build.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) files: Files,
    pub(crate) target: String,
}

/// The encoding of files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    /// UTF-16 with a byte order mark, for YAML files of one document each: of several documents kustomize
    /// sees only the first, and lockgate refuses them.
    Utf16,
}

impl Encoding {
    /// The files that are not in UTF-8.
    fn others(self, case: &Case) -> Vec<&str> {
        let is_yaml = |path: &str| Path::new(path).extension() == Some("yaml".as_ref());
        let is_single = |text: &str| !text.contains("\n---") && !text.contains("\n...");
        let files =
            case.files.iter().filter(|(path, text)| self == Self::Utf16 && is_yaml(path) && is_single(text));
        files.map(|(path, _)| path.as_str()).collect()
    }
}

/// The texts of the documents of a build, or its error.
type Printed = Result<Vec<String>, String>;

fn ours(case: &Case, encoding: Encoding) -> Printed {
    let others = encoding.others(case);
    let bytes = |path: &str, text: &str| -> Vec<u8> {
        if others.contains(&path) {
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
        } else {
            text.as_bytes().to_vec()
        }
    };
    let tree = Tree::in_memory(case.files.iter().map(|(path, text)| (path.clone(), bytes(path, text))));
    // The Go program has the files in a file system of their own.
    let tree = tree.standing_at("/");
    let recipe = KustomizeRecipe { path: case.target.clone(), flavour: Flavour::Cli };
    let output = build(&tree, &recipe).map_err(|error| error.to_string())?;
    Ok(output.objects.iter().map(|built| print(&built.value, Layout::V2)).collect())
}

/// The difference between the two, if there is one.
fn compare(oracle: &mut Oracle, case: &Case, encoding: Encoding) -> (bool, Option<String>) {
    let request = json!({"files": case.files, "target": case.target, "utf16": encoding.others(case)});
    let theirs = oracle.ask("build", request);
    let theirs: Printed = theirs.map(|documents| {
        documents.iter().map(|document| document.as_str().unwrap_or_default().to_owned()).collect()
    });
    let ours = ours(case, encoding);
    let same = match (&theirs, &ours) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        (Err(_), Err(_)) => true,
        _ => false,
    };
    let accepted = theirs.is_ok();
    if same {
        return (accepted, None);
    }
    keep(case, &theirs, &ours);
    (accepted, Some(describe(case, &theirs, &ours)))
}

fn describe(case: &Case, theirs: &Printed, ours: &Printed) -> String {
    let mut out = format!("=== {} (build {:?})\n", case.name, case.target);
    if let (Ok(theirs), Ok(ours)) = (theirs, ours) {
        for difference in line_differences(&theirs.join("---\n"), &ours.join("---\n")) {
            let _ = writeln!(out, "  {difference}");
        }
    } else {
        let text = |result: &Printed| match result {
            Ok(documents) => format!("accepts, {} documents", documents.len()),
            Err(error) => format!("refuses: {}", error.chars().take(400).collect::<String>()),
        };
        let _ = write!(out, "  kustomize {}\n  lockgate  {}\n", text(theirs), text(ours));
    }
    out
}

/// The lines between the common beginning and the common end.
pub(crate) fn line_differences(theirs: &str, ours: &str) -> Vec<String> {
    let (theirs, ours): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let start = theirs.iter().zip(&ours).take_while(|(a, b)| a == b).count();
    let most = theirs.len().min(ours.len()) - start;
    let end = theirs.iter().rev().zip(ours.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let cut = |lines: &[&str], sign: char| -> Vec<String> {
        lines[start..lines.len() - end].iter().take(25).map(|line| format!("{sign} {line}")).collect()
    };
    [cut(&theirs, '-'), cut(&ours, '+')].concat()
}

fn keep(case: &Case, theirs: &Printed, ours: &Printed) {
    let Ok(folder) = std::env::var("KDIFF") else { return };
    let folder = Path::new(&folder).join(&case.name);
    let write = |path: &Path, text: &str| {
        std::fs::create_dir_all(path.parent().expect("a file is in a folder"))
            .expect("the folder can be made");
        std::fs::write(path, text).expect("the file can be written");
    };
    for (path, text) in &case.files {
        write(&folder.join("in").join(path), text);
    }
    write(&folder.join("target"), &case.target);
    let text = |result: &Printed| match result {
        Ok(documents) => documents.join("---\n"),
        Err(error) => format!("error: {error}\n"),
    };
    write(&folder.join("expected.yaml"), &text(theirs));
    write(&folder.join("ours.txt"), &text(ours));
}

/// Folders that kustomize renders and lockgate prints differently, by the name of the case, each with its
/// reason.
const DIFFERENCES: [(&str, &str); 0] = [];

/// One in this many folders that kustomize renders may be printed differently: 2 %.
const ONE_OF: usize = 50;

/// Builds all cases with both. Every difference must be in the list, and every entry of the list must still
/// differ.
fn run(made: impl Iterator<Item = Case>, encoding: Encoding) {
    let mut oracle = Oracle::start();
    let (mut count, mut rendered, mut different, mut unknown) = (0, 0, 0, Vec::new());
    for case in made {
        let (is_rendered, difference) = compare(&mut oracle, &case, encoding);
        let is_known = DIFFERENCES.iter().any(|(name, _)| *name == case.name);
        count += 1;
        rendered += usize::from(is_rendered);
        different += usize::from(is_rendered && difference.is_some());
        match difference {
            Some(difference) if !is_known => unknown.push(difference),
            None if is_known => unknown.push(format!("=== {} is printed in the same way by now", case.name)),
            _ => {}
        }
    }
    println!(
        "{count} folders, kustomize renders {rendered}, lockgate prints {different} of them in another way"
    );
    assert!(rendered > 0, "kustomize renders none");
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(different * ONE_OF <= rendered, "{different} of {rendered} folders are too many");
}

/// Reads the cases of a file: `## name [folder]` begins a case, `-- path` a file in it; without a path the
/// file is `kustomization.yaml`. Files before the first case are part of every case. A file ends with a line
/// feed, unless a line with a backslash ends it.
fn read_cases(name: &str, text: &str) -> Vec<Case> {
    let (mut shared, mut cases): (Files, Vec<Case>) = (Files::new(), Vec::new());
    let mut path: Option<String> = None;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let (title, target) = title.split_once(' ').unwrap_or((title, ""));
            let target = target.trim_matches(['[', ']']).to_owned();
            cases.push(Case { name: format!("{name}-{title}"), files: shared.clone(), target });
            path = Some("kustomization.yaml".to_owned());
        } else if let Some(file) = line.strip_prefix("-- ") {
            path = Some(file.to_owned());
            let files = cases.last_mut().map_or(&mut shared, |case| &mut case.files);
            files.insert(file.to_owned(), String::new());
        } else if line == r"\ no line feed at the end" {
            let files = cases.last_mut().map_or(&mut shared, |case| &mut case.files);
            if let Some(text) = path.as_ref().and_then(|path| files.get_mut(path)) {
                text.pop();
            }
        } else if let Some(path) = &path {
            let files = cases.last_mut().map_or(&mut shared, |case| &mut case.files);
            let text = files.entry(path.clone()).or_default();
            text.push_str(line);
            text.push('\n');
        }
    }
    cases
}

/// All hand-written cases.
fn written_by_hand() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/kustomize");
    let files = std::fs::read_dir(folder).expect("the cases are there").filter_map(Result::ok);
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension() == Some("txt".as_ref()));
    paths.sort();
    let cases = |path: &std::path::PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        read_cases(name, &std::fs::read_to_string(path).expect("the cases can be read"))
    };
    paths.iter().flat_map(cases).collect()
}

/// This many cases, from the seed on.
fn generated(make: fn(&mut Random, u64) -> Case, count: usize) -> impl Iterator<Item = Case> {
    let first = seed();
    let random = (0..).map(move |number| {
        let mut random = Random::new(first.wrapping_mul(1_000_003).wrapping_add(number));
        make(&mut random, number)
    });
    random.take(cases(count))
}

#[test]
fn folders_written_by_hand_print_as_with_kustomize() {
    run(written_by_hand().into_iter(), Encoding::Utf8);
}

#[test]
fn random_folders_print_as_with_kustomize() {
    run(generated(generate::case, 4000), Encoding::Utf8);
}

#[test]
fn random_merges_print_as_with_kustomize() {
    run(generated(merges::case, 1600), Encoding::Utf8);
}

/// PowerShell writes such files.
#[test]
fn folders_in_utf16_print_as_with_kustomize() {
    run(written_by_hand().into_iter().step_by(5), Encoding::Utf16);
}
