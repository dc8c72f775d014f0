//! Folders built by lockgate and by the real kustomize: hand-written ones, one field and option each, and random ones
//! that put everything together.
//!
//! No expected result is written down. `KDIFF` names a folder into which every difference is put: `in/`, `target`, what
//! kustomize makes of it and what lockgate does.

mod generate;
mod merges;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use lockgate_base::model::yaml::{Layout, print};
use lockgate_base::tree::Tree;
use lockgate_render::kustomize::{Flavour, Recipe, build};
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

/// The texts of the documents that a build prints, or why it fails.
type Printed = Result<Vec<String>, String>;

fn ours(case: &Case) -> Printed {
    let tree = Tree::in_memory(case.files.iter().map(|(path, text)| (path.clone(), text.clone())));
    // The other one holds them in a file system of their own.
    let tree = tree.standing_at("/");
    let recipe = Recipe { path: case.target.clone(), flavour: Flavour::Cli };
    let output = build(&tree, &recipe).map_err(|error| error.to_string())?;
    Ok(output.objects.iter().map(|built| print(&built.value, Layout::V2)).collect())
}

/// The difference between the two, if there is one.
fn compare(oracle: &mut Oracle, case: &Case) -> (bool, Option<String>) {
    let theirs = oracle.ask("build", json!({"files": case.files, "target": case.target}));
    let theirs: Printed = theirs.map(|documents| {
        documents.iter().map(|document| document.as_str().unwrap_or_default().to_owned()).collect()
    });
    let ours = ours(case);
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

/// The lines between the common start and the common end.
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

fn run(mut made: impl Iterator<Item = Case>, most: usize) {
    let mut oracle = Oracle::start();
    let (mut count, mut accepted, mut differences) = (0, 0, Vec::new());
    for case in made.by_ref().take(most) {
        let (ok, difference) = compare(&mut oracle, &case);
        count += 1;
        accepted += usize::from(ok);
        differences.extend(difference);
    }
    println!("{count} folders, {accepted} of them accepted by kustomize, {} differences", differences.len());
    assert!(count > 0, "there are no cases");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Reads the cases of a file: `## name [folder]` begins a case, `-- path` a file in it; without one it is
/// `kustomization.yaml`. Files before the first case are part of every case. A file ends with a line feed where no line
/// with a backslash says otherwise.
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

#[test]
fn folders_written_by_hand_build_as_with_kustomize() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/kustomize");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the cases are there").filter_map(Result::ok).collect();
    files.sort_by_key(std::fs::DirEntry::path);
    let mut cases = Vec::new();
    for file in
        files.into_iter().map(|file| file.path()).filter(|path| path.extension() == Some("txt".as_ref()))
    {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        cases.extend(read_cases(&name, &std::fs::read_to_string(&file).expect("the cases can be read")));
    }
    run(cases.into_iter(), usize::MAX);
}

#[test]
fn random_folders_build_as_with_kustomize() {
    let first = seed();
    let random = (0..).map(move |number| {
        let mut random = Random::new(first.wrapping_mul(1_000_003).wrapping_add(number));
        generate::case(&mut random, number)
    });
    run(random, cases(150));
}

#[test]
fn random_merges_build_as_with_kustomize() {
    let first = seed();
    let random = (0..).map(move |number| {
        let mut random = Random::new(first.wrapping_mul(1_000_003).wrapping_add(number));
        merges::case(&mut random, number)
    });
    run(random, cases(400));
}
