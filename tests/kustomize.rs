//! Every folder of `data/kustomize-probes` is built in both flavours and compared with what kustomize 5.8.1
//! and Flux make of it: the same documents in the same order, or a refusal.
//!
//! `UPDATE=1 cargo test --test integration kustomize::` writes the expected answers of all cases as they are
//! now; what Flux or kustomize answers otherwise is a mistake of ours.

mod update;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lockgate_base::model::yaml::{Dialect, documents};
use lockgate_base::tree::Tree;
use lockgate_render::kustomize::{Flavour, KustomizeRecipe, Output, Overlay, build};
use serde_json::Value;

const PROBES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kustomize-probes");

fn files(root: &Path, folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read(&path).unwrap()));
        }
    }
}

fn render(probe: &Path, flavour: Flavour) -> Result<Output, String> {
    let root = probe.join("in");
    let mut found = Vec::new();
    files(&root, &root, &mut found);
    let path = fs::read_to_string(probe.join("target")).unwrap().trim().to_owned();
    build(&Tree::in_memory(found), &KustomizeRecipe { path, flavour }).map_err(|error| error.to_string())
}

/// What differs from the expected documents, or from the expected refusal; `None` when nothing does.
fn difference(probe: &Path, flavour: Flavour, document: &str, refusal: &str) -> Option<String> {
    let output = render(probe, flavour);
    let output = output.map(|output| output.objects.into_iter().map(|built| built.value).collect::<Vec<_>>());
    let difference = if probe.join(refusal).exists() {
        output.as_ref().ok().map(|_| "builds, but must be refused".into())
    } else {
        let text = fs::read_to_string(probe.join(document)).unwrap();
        let expected = documents(&text, Dialect::V3).unwrap().into_iter().map(|document| document.value);
        let expected: Vec<Value> = expected.filter(|value| !value.is_null()).collect();
        match &output {
            Err(error) => Some(format!("is refused: {error}")),
            Ok(built) => (*built != expected).then(|| format!("expected {expected:#?}\nfound {built:#?}")),
        }
    };
    if difference.is_some() && update::is_wanted() {
        update::probe(probe, (document, refusal), &output);
        return None;
    }
    difference
}

#[test]
fn every_probe_builds_as_kustomize_and_flux_build_it() {
    let mut differences = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(PROBES).unwrap() {
        let probe = entry.unwrap().path();
        count += 1;
        let name = probe.file_name().unwrap().to_string_lossy().into_owned();
        let flux = Flavour::Flux(Box::<Overlay>::default());
        for (flavour, document, refusal) in
            [(Flavour::Cli, "expected.yaml", "expected_error"), (flux, "flux.yaml", "flux_error")]
        {
            if let Some(difference) = difference(&probe, flavour, document, refusal) {
                differences.push(format!("{name} ({document}): {difference}"));
            }
        }
    }
    assert_eq!(count, 58);
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn a_missing_path_is_told_apart() {
    let tree = Tree::in_memory([("a/kustomization.yaml", "resources: []\n")]);
    for (path, message) in [
        ("b", "kustomization path not found: b"),
        ("../b", "invalid path: ../b: leads outside the source ('../b')"),
    ] {
        let recipe = KustomizeRecipe { path: path.into(), flavour: Flavour::Flux(Box::default()) };
        assert_eq!(build(&tree, &recipe).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_cycle_is_printed() {
    let tree = Tree::in_memory([
        ("a/kustomization.yaml", "resources: [../b]\n"),
        ("b/kustomization.yaml", "resources: [../a]\n"),
    ]);
    let recipe = KustomizeRecipe { path: "a".into(), flavour: Flavour::Cli };
    let error = build(&tree, &recipe).unwrap_err().to_string();
    assert_eq!(error, "b/kustomization.yaml: resources[0]: cycle: a -> b -> a");
}

/// A mistake: its files, with the kustomization that makes it, and the expected message.
struct Mistake {
    name: String,
    files: BTreeMap<String, String>,
    message: String,
}

/// Reads the table: `-- path` begins a file of all mistakes, `## name` a mistake and its kustomization, and
/// each line behind `>> ` is one of its message.
fn mistakes(table: &str) -> Vec<Mistake> {
    let (mut shared, mut mistakes): (BTreeMap<String, String>, Vec<Mistake>) = (BTreeMap::new(), Vec::new());
    let mut path = String::new();
    for line in table.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            path = "o/kustomization.yaml".into();
            mistakes.push(Mistake { name: name.into(), files: shared.clone(), message: String::new() });
        } else if let Some(file) = line.strip_prefix("-- ") {
            path = format!("o/{file}");
        } else if let Some(mistake) = mistakes.last_mut() {
            let text = line.strip_prefix(">> ");
            let into = if text.is_some() {
                &mut mistake.message
            } else {
                mistake.files.entry(path.clone()).or_default()
            };
            into.push_str(text.unwrap_or(line));
            into.push('\n');
        } else {
            let into = shared.entry(path.clone()).or_default();
            into.push_str(line);
            into.push('\n');
        }
    }
    mistakes
}

#[test]
fn typical_mistakes_are_told_with_file_field_and_object() {
    let mistakes = mistakes(include_str!("kustomize/mistakes.txt"));
    assert!(mistakes.len() > 40);
    let mut wrong = BTreeMap::new();
    for (number, Mistake { name, files, message }) in mistakes.into_iter().enumerate() {
        let recipe = KustomizeRecipe { path: "o".into(), flavour: Flavour::Cli };
        let told = match build(&Tree::in_memory(files), &recipe) {
            Ok(_) => "it builds".into(),
            Err(error) => error.to_string(),
        };
        if told != message.trim_end() {
            wrong.insert(number, (name, told.lines().map(|line| format!(">> {line}")).collect()));
        }
    }
    judge("mistakes.txt", wrong);
}

/// What Flux makes of a folder `a` with the `spec` of a Kustomization object.
struct Laid {
    group: String,
    files: BTreeMap<String, String>,
    spec: Value,
    /// The documents; `None` for a refusal.
    documents: Option<Vec<Value>>,
}

/// Reads the table: `== name` begins a group of cases with the same files, `-- path` a file, `## spec` a
/// case, `>> ` precedes each of its documents, and `>!` stands for a refusal.
fn laid_over(table: &str) -> Vec<Laid> {
    let (mut group, mut files, mut path): (String, BTreeMap<String, String>, String) = Default::default();
    let mut cases: Vec<Laid> = Vec::new();
    for line in table.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            (group, files) = (name.into(), BTreeMap::new());
        } else if let Some(file) = line.strip_prefix("-- ") {
            path = file.into();
            files.insert(path.clone(), String::new());
        } else if let Some(spec) = line.strip_prefix("## ") {
            let spec = serde_json::from_str(spec).unwrap();
            let (group, files) = (group.clone(), files.clone());
            cases.push(Laid { group, files, spec, documents: Some(Vec::new()) });
        } else if line == ">!" {
            cases.last_mut().unwrap().documents = None;
        } else if let Some(document) = line.strip_prefix(">> ") {
            let documents = cases.last_mut().unwrap().documents.as_mut().unwrap();
            documents.push(serde_json::from_str(document).unwrap());
        } else {
            let text = files.get_mut(&path).unwrap();
            text.push_str(line);
            text.push('\n');
        }
    }
    cases
}

#[test]
fn a_kustomization_object_is_laid_over_a_folder_as_flux_does_it() {
    let cases = laid_over(include_str!("kustomize/flux.txt"));
    assert!(cases.len() > 100);
    let mut wrong = BTreeMap::new();
    for (number, Laid { group, files, spec, documents }) in cases.into_iter().enumerate() {
        let overlay = Overlay::from_spec(&spec).unwrap();
        let recipe = KustomizeRecipe { path: "a".into(), flavour: Flavour::Flux(Box::new(overlay)) };
        let built = build(&Tree::in_memory(files), &recipe);
        let built =
            built.map(|output| output.objects.into_iter().map(|built| built.value).collect::<Vec<_>>());
        if built.as_ref().ok() != documents.as_ref() {
            let name = format!("{group} {spec}\n  Flux:     {documents:?}\n  lockgate: {built:?}");
            let lines = built.map_or_else(
                |_| vec![">!".to_owned()],
                |built| built.iter().map(|document| format!(">> {document}")).collect(),
            );
            wrong.insert(number, (name, lines));
        }
    }
    judge("flux.txt", wrong);
}

/// Holds that no case of a table is answered otherwise, or writes the answers that are. Each has the case's
/// name, and its lines as the table has them.
fn judge(file: &str, wrong: BTreeMap<usize, (String, Vec<String>)>) {
    if update::is_wanted() && !wrong.is_empty() {
        let answers = wrong.into_iter().map(|(number, (_, lines))| (number, lines)).collect();
        return update::table(file, &answers);
    }
    let told: Vec<String> =
        wrong.into_values().map(|(name, lines)| format!("## {name}\n{}", lines.join("\n"))).collect();
    assert!(told.is_empty(), "write with UPDATE=1, if this is right now:\n{}", told.join("\n"));
}
