//! Writes the first inputs of the fuzz targets, from the repository's own test folders, into `corpus/`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

// What is compiled for fuzzing calls into the fuzzer's runtime, here as well.
use libfuzzer_sys as _;
use lockgate_base::model::yaml::{Dialect, first_document};
use lockgate_fuzz::{Case, SEPARATOR};
use serde_json::Value;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn main() -> io::Result<()> {
    let repository = Path::new(REPOSITORY);
    for probe in folders(&repository.join("tests/data/kustomize-probes"))? {
        let root = probe.join("in");
        let target = fs::read_to_string(probe.join("target")).unwrap_or_default();
        let mut case = format!("## seed [{}]\n", target.trim());
        for file in files(&root)? {
            let Ok(content) = fs::read_to_string(&file) else { continue };
            let path = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
            let _ = write!(case, "-- {path}\n{content}");
            seed("yaml", &content)?;
            seed("print", &content)?;
        }
        seed("kustomization", &case)?;
    }
    for file in files(&repository.join("tests/oracle/kustomize"))? {
        if file.extension().is_some_and(|extension| extension == "txt") {
            cases(&fs::read_to_string(file)?)?;
        }
    }
    for file in files(&repository.join("tests/oracle/engine/rules"))? {
        for case in fs::read_to_string(file)?.split("\n## ").skip(1) {
            seed("template", case.split_once('\n').map_or("", |(_, body)| body))?;
        }
    }
    for file in files(&repository.join("tests/oracle/engine/charts"))? {
        for case in fs::read_to_string(file)?.split("\n## ").skip(1) {
            let files = case.split_once("\n-- ").map_or("", |(_, files)| files);
            let text = format!("-- {files}");
            seed("chart", &text)?;
            archive(&Case::read(&text))?;
        }
    }
    for file in files(&repository.join("tests/oracle/helm/tables"))? {
        if file.ends_with("regex.txt") {
            for line in fs::read_to_string(file)?.lines() {
                for pattern in line.split('`').skip(1).step_by(2).chain(line.split('"').skip(1).step_by(2)) {
                    seed("regex", &format!("{pattern}\nabc ABC 123 a.b-c\n"))?;
                }
            }
        }
    }
    for file in files(&repository.join("kubernetes"))? {
        if let Ok(content) = fs::read_to_string(&file) {
            seed("yaml", &content)?;
            seed("print", &content)?;
            seed("substitution", &format!("{content}{SEPARATOR}cluster: a\nregion: b\n"))?;
        }
    }
    for index in INDEXES {
        seed("index", index)?;
    }
    for expression in EXPRESSIONS {
        let object =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{k: '{expression}'}}");
        seed("substitution", &format!("{object}{SEPARATOR}A: x y\nB: '3'\n_c: \"a\\nb\"\n"))?;
    }
    Ok(())
}

/// A chart as an archive that is not compressed yet: the target does that.
fn archive(case: &Case) -> io::Result<()> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in &case.files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("demo/{path}"), content.as_bytes())?;
    }
    write("archive", &tar.into_inner()?)
}

/// Indexes of Helm repositories, as YAML in its two styles and as JSON.
const INDEXES: [&str; 3] = [
    "apiVersion: v1\nentries:\n  demo:\n  - name: demo\n    version: 1.0.0\n    created: \"2026-01-01T00:00:00Z\"\n    \
     description: |\n      of several\n      lines\n    urls:\n    - demo-1.0.0.tgz\n    digest: 00\n",
    "apiVersion: v1\nentries: {demo: [{name: demo, version: v1.1.0-rc.1+b, urls: [a, b]}, null, {name: ~}], none: []}\n",
    "{\"apiVersion\":\"v1\",\"entries\":{\"demo\":[{\"name\":\"demo\",\"version\":\"1.0.0\",\"urls\":[\"a.tgz\"]}]}}",
];

/// The forms of an expression.
const EXPRESSIONS: [&str; 16] = [
    "$A ${B}",
    "$${A}",
    "${A:=x}",
    "${A=x}",
    "${A:-${B}}",
    "${A:+x}",
    "${A:?x}",
    "${#A}",
    "${A^}",
    "${A^^}",
    "${A,,}",
    "${A:1:2}",
    "${A#*x}",
    "${A%%[a-z]*}",
    "${A/x/y}",
    "${A//x/${B}}",
];

/// The cases of a file of the differential tests, and their patches each with the objects that it is for.
fn cases(text: &str) -> io::Result<()> {
    let (shared, rest) = text.split_once("\n## ").unwrap_or((text, ""));
    let object =
        shared.split("-- ").find_map(|file| file.split_once('\n')).map_or("", |(_, content)| content);
    for case in rest.split("\n## ") {
        seed("kustomization", &format!("{shared}\n## {case}\n"))?;
        for (_, content) in case.split("\n-- ").filter_map(|file| file.split_once('\n')) {
            for patch in patches(content) {
                let target =
                    if patch.trim_start().starts_with(['-', '[']) { "json6902" } else { "strategic_merge" };
                seed(target, &format!("{}{SEPARATOR}{patch}", object.trim_end()))?;
            }
        }
    }
    Ok(())
}

/// The patches that stand in a kustomization.
fn patches(kustomization: &str) -> Vec<String> {
    let document =
        first_document(kustomization, Dialect::V2).map(|document| document.value).unwrap_or_default();
    let entries =
        ["patches", "patchesJson6902", "patchesStrategicMerge"].map(|field| document[field].as_array());
    let text = |entry: &Value| entry.as_str().or_else(|| entry["patch"].as_str()).map(ToOwned::to_owned);
    entries.into_iter().flatten().flatten().filter_map(text).collect()
}

/// Writes one seed; equal ones are one.
fn seed(target: &str, content: &str) -> io::Result<()> {
    write(target, content.as_bytes())
}

fn write(target: &str, content: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    let name = content.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    fs::write(folder.join(format!("seed-{name:016x}")), content)
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    Ok(entries.collect::<io::Result<Vec<_>>>()?.into_iter().filter(|path| path.is_dir()).collect())
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![path.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}
