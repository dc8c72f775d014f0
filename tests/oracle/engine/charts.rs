//! Whole charts: what `helm template` prints or refuses, and what lockgate does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::OnceLock;

use lockgate_base::tree::Tree;
use lockgate_render::helm::chart::archive::Bounds;
use lockgate_render::helm::chart::capabilities::{Capabilities, KubeVersion};
use lockgate_render::helm::chart::{Chart, files_of};
use lockgate_render::helm::context::{NoCluster, Now, RenderContext};
use lockgate_render::helm::manifest::print;
use lockgate_render::helm::release::{Release, render};
use lockgate_render::helm::shelf::Prepared;
use lockgate_render::helm::values::GivenValues;

use serde_json::{Map, Value as Json, json};

use super::super::helm::built;
use super::super::random::Random;
use super::super::{cases as cases_of, seed};
use super::deep;

/// A chart's files and the flags that it is rendered with.
pub(crate) struct ChartCase {
    pub(crate) name: String,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) flags: Vec<String>,
}

/// The files of cases: a line `## name` begins a case, `: ` its flags, `-- path` a file.
const FILES: [(&str, &str); 4] = [
    ("basic", include_str!("charts/basic.txt")),
    ("values", include_str!("charts/values.txt")),
    ("schema", include_str!("charts/schema.txt")),
    ("dependencies", include_str!("charts/dependencies.txt")),
];

fn cases() -> Vec<ChartCase> {
    let mut cases = Vec::new();
    for (file, text) in FILES {
        for part in text.split("\n## ").skip(1) {
            let (name, body) = part.split_once('\n').unwrap_or((part, ""));
            let body = format!("\n{body}");
            let mut case =
                ChartCase { name: format!("{file}: {name}"), files: BTreeMap::new(), flags: Vec::new() };
            for (at, piece) in body.split("\n-- ").enumerate() {
                if at == 0 {
                    let flags = piece.trim().strip_prefix(": ").unwrap_or_default();
                    case.flags = flags.split_whitespace().map(ToOwned::to_owned).collect();
                    continue;
                }
                let (path, text) = piece.split_once('\n').unwrap_or((piece, ""));
                let text = text.strip_suffix("\\ no line feed at the end").unwrap_or(text);
                case.files.insert(path.to_owned(), text.as_bytes().to_vec());
            }
            cases.push(case);
        }
    }
    cases
}

/// The real helm.
pub(crate) fn helm() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("helm-cli"))
}

/// What helm prints, or its error.
pub(crate) fn theirs(case: &ChartCase, folder: &Path) -> Result<String, String> {
    for (path, content) in &case.files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        std::fs::write(path, content).expect("a file can be written");
    }
    let mut name = "demo-release";
    let mut flags: Vec<&str> = Vec::new();
    let mut given = case.flags.iter();
    while let Some(flag) = given.next() {
        if flag == "--name" { name = given.next().expect("a name") } else { flags.push(flag) }
    }
    let output = Command::new(helm())
        .args(["template", name, "."])
        .args(flags)
        .current_dir(folder)
        .env("HOME", folder.join("no-home"))
        .env("TZ", "UTC")
        .output()
        .expect("helm runs");
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).expect("it is text"));
    }
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = told.split_once("Error: ").map_or(told.clone(), |(_, error)| error.to_owned());
    let told = told.replace("\n\nUse --debug flag to render out invalid YAML", "");
    // It names the chart by its absolute path there.
    Err(told
        .replace(&format!("{}", folder.canonicalize().expect("it is there").display()), ".")
        .trim()
        .to_owned())
}

/// What lockgate prints, or its error.
pub(crate) fn ours(case: &ChartCase) -> Result<String, String> {
    let mut given = GivenValues::default();
    let mut release = Release {
        name: "demo-release".into(),
        namespace: "default".into(),
        revision: 1,
        is_upgrade: false,
        capabilities: Capabilities::default(),
        documents: Rc::default(),
    };
    let (mut include_crds, mut skip_tests, mut only) = (false, false, Vec::new());
    let content = |path: &str| case.files.get(path).cloned().ok_or_else(|| format!("{path} is not there"));
    let text = |error: lockgate_render::helm::error::Error| error.text();
    let mut sets: Vec<(&str, &str)> = Vec::new();
    let mut flags = case.flags.iter();
    while let Some(flag) = flags.next() {
        let mut value = || flags.next().map(String::as_str).expect("a value");
        match &**flag {
            "--include-crds" => include_crds = true,
            "--skip-tests" => skip_tests = true,
            "--is-upgrade" => release.is_upgrade = true,
            "-n" => release.namespace = value().into(),
            "--name" => release.name = value().into(),
            "--show-only" | "-s" => only.push(value().to_owned()),
            "--kube-version" => {
                let given = value();
                let parsed = KubeVersion::parse(given);
                release.capabilities.kube =
                    parsed.map_err(|error| format!("invalid kube version '{given}': {error}"))?;
            }
            "-a" | "--api-versions" => {
                release.capabilities.api_versions.extend(value().split(',').map(ToOwned::to_owned));
            }
            flag => sets.push((flag, value())),
        }
    }
    for (flag, value) in &sets {
        if matches!(*flag, "-f" | "--values") {
            given = given.file(value, &content(value)?).map_err(text)?;
        }
    }
    for wanted in ["--set-json", "--set", "--set-string", "--set-file"] {
        for (_, value) in sets.iter().filter(|(flag, _)| *flag == wanted) {
            given = match wanted {
                "--set-json" => given.json(value),
                "--set" => given.set(value),
                "--set-string" => given.text(value),
                _ => given.content(value, &mut |path| content(path)),
            }
            .map_err(text)?;
        }
    }
    let tree = Tree::in_memory(case.files.iter().map(|(path, content)| (path.clone(), content.clone())));
    let mut bounds = Bounds::default();
    let files = files_of(&tree.reader(), "", &mut bounds).map_err(text)?;
    let chart = Chart::load(files, &mut bounds).map_err(text)?;
    let mut context = RenderContext::new(Now::default(), [7; 32], &NoCluster);
    let rendered = render(Prepared::new(chart), &release, &given, &mut context).map_err(text)?;
    let definitions = if include_crds { rendered.chart.definitions() } else { Vec::new() };
    let printed = print::template(&rendered.manifests, &definitions, skip_tests);
    if only.is_empty() {
        return Ok(printed);
    }
    print::only(&printed, &only).map_err(|missing| format!("could not find template {missing} in chart"))
}

/// An answer without the message of the YAML library, which differs between readers, and with the failures of
/// a schema sorted by their text: helm checks the properties of an object in any order.
fn comparable(answer: &Result<String, String>) -> Result<&str, Vec<&str>> {
    const MARK: &str = "error converting YAML to JSON: yaml: ";
    match answer {
        Ok(text) => Ok(text),
        Err(error) => {
            let error = error.split_once(MARK).map_or(&**error, |(before, _)| before);
            // Only lockgate tells the origin of a value that a schema refuses.
            let without_origin = |line| match line {
                line if !str::trim_start(line).starts_with("- at ") => line,
                line => line.rsplit_once(" (from ").map_or(line, |(line, _)| line),
            };
            let without_origin = |line| str::trim_end_matches(without_origin(line), " (set nowhere)");
            let mut lines: Vec<&str> = error.lines().map(without_origin).collect();
            lines.sort_unstable();
            Err(lines)
        }
    }
}

#[test]
fn charts_print_as_helm_template_does() {
    deep(|| {
        let cases = cases();
        let mut differences = Vec::new();
        for case in &cases {
            let folder = tempfile::tempdir().expect("a folder can be made");
            let (theirs, ours) = (theirs(case, folder.path()), ours(case));
            if comparable(&theirs) != comparable(&ours) {
                differences.push(format!("=== {}\n--- helm\n{theirs:?}\n--- ours\n{ours:?}", case.name));
            }
        }
        println!("{} charts, {} differences", cases.len(), differences.len());
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    });
}

/// Whether helm prints a chart, and both answers with the chart's files where they differ.
pub(crate) fn differing(case: &ChartCase) -> (bool, Option<String>) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (theirs, ours) = (theirs(case, folder.path()), ours(case));
    if comparable(&theirs) == comparable(&ours) {
        return (theirs.is_ok(), None);
    }
    let files = case.files.iter().map(|(path, text)| format!("{path}: {}", String::from_utf8_lossy(text)));
    let files = files.collect::<Vec<_>>().join("\n");
    let told = format!("=== {}\n{files}\n--- helm\n{theirs:?}\n--- ours\n{ours:?}", case.name);
    (theirs.is_ok(), Some(told))
}

/// Values with names that charts in a chart have too.
pub(crate) fn random_values(random: &mut Random, depth: usize) -> Json {
    const KEYS: [&str; 7] = ["one", "two", "global", "a", "b", "c", "exports"];
    let mut map = Map::new();
    for _ in 0..random.below(5) {
        let value = match random.below(if depth == 0 { 4 } else { 9 }) {
            0 => Json::Null,
            1 => json!(random.below(10)),
            2 => json!("text"),
            3 => json!([random.below(3), null, {"x": null}]),
            _ => random_values(random, depth - 1),
        };
        map.insert((*random.pick(&KEYS)).to_owned(), value);
    }
    Json::Object(map)
}

#[test]
fn random_values_of_charts_in_charts_coalesce_the_same() {
    deep(|| {
        let mut random = Random::new(seed());
        let (mut printed, mut differences) = (0, Vec::new());
        let most = cases_of(40);
        for at in 0..most {
            let import = *random.pick(&["[]", "[a]", "[{child: a, parent: b.c}]", "[{child: a, parent: .}]"]);
            let condition = *random.pick(&["a", "one.a", "two.a,b", ""]);
            let chart = |name: &str, dependency: &str| {
                format!(
                    "{{apiVersion: v2, name: {name}, version: 1.0.0, dependencies: [{{name: {dependency}, version: '*', \
                     import-values: {import}, condition: '{condition}'}}]}}"
                )
            };
            let template = "kind: {{ .Chart.Name }}\n# {{ toJson .Values }}\n";
            let mut case = ChartCase {
                name: format!("random values {at}"),
                files: BTreeMap::new(),
                flags: vec!["-f".to_owned(), "given.yaml".to_owned()],
            };
            for (path, text) in [
                ("Chart.yaml", chart("demo", "one")),
                ("charts/one/Chart.yaml", chart("one", "two")),
                (
                    "charts/one/charts/two/Chart.yaml",
                    "{apiVersion: v2, name: two, version: 1.0.0}".to_owned(),
                ),
                ("given.yaml", random_values(&mut random, 3).to_string()),
            ] {
                case.files.insert(path.to_owned(), text.into_bytes());
            }
            for folder in ["", "charts/one/", "charts/one/charts/two/"] {
                let values = random_values(&mut random, 3).to_string();
                case.files.insert(format!("{folder}values.yaml"), values.into_bytes());
                case.files.insert(format!("{folder}templates/a.yaml"), template.as_bytes().to_vec());
            }
            let (is_printed, difference) = differing(&case);
            printed += usize::from(is_printed);
            differences.extend(difference);
        }
        println!("{most} charts, {printed} of them printed by helm, {} differences", differences.len());
        assert!(printed > 0, "helm refuses every chart");
        differences.truncate(5);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    });
}
