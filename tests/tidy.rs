//! The rules of the house that the compiler does not check. A sample that breaks it shows that each rule can
//! fail.

#[path = "tidy/advisories.rs"]
mod advisories;
#[path = "tidy/cases.rs"]
mod cases;
#[path = "tidy/comments.rs"]
mod comments;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/exports.rs"]
mod exports;
#[path = "tidy/fates.rs"]
mod fates;
#[path = "tidy/image.rs"]
mod image;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/programs.rs"]
mod programs;
#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/scan.rs"]
mod scan;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use imports::{Crate, Module};
use scan::{code, code_with_texts, functions, without_tests, word_at};

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;

/// Modules that stand between the chain and the world. None knows another.
const ADAPTERS: [&str; 2] = ["cluster", "remote"];

/// How a write to a cluster is written.
const WRITE_WORDS: [&str; 9] = [
    "Method::PATCH",
    "Method::PUT",
    "Method::POST",
    "Method::DELETE",
    "PatchParams",
    "PostParams",
    "DeleteParams",
    "patch_status",
    "replace_status",
];

/// Where a cluster is written to, and why beside `cluster/apply`.
const WRITERS: [(&str, &str); 5] = [
    ("src/cluster/apply.rs", "objects of a build, and their dry runs"),
    ("src/cluster/preflight.rs", "reviews of rights, which store nothing"),
    ("src/cluster/direct.rs", "the agent's own Lease, and status, events and finalizers of its own kinds"),
    ("src/cluster/objects.rs", "the agent itself and its deploy key, for bootstrap"),
    ("src/bootstrap/github", "deploy keys at GitHub, which is no cluster"),
];

/// How a status is written.
const STATUS_WORDS: [&str; 4] = ["Part::Status", "patch_status", "replace_status", "subresource(\"status\")"];

/// Types that hold each other, and so stand in files that use each other, and why.
const RECURSIVE: [(&str, &str); 1] = [(
    "crates/render/src/: helm::value, helm::value::list, helm::value::map, helm::value::object",
    "a value of a template is a list or a map of values, or an object whose methods take values",
)];

/// What no file holds.
const FORBIDDEN: [&str; 5] = ["todo!", "unimplemented!", "dbg!", "#[ignore", "#[allow("];

/// Folders whose files must all be in the table of the file beside them, by a path such as `pod::health`. The
/// table of commands is clap's, and the tests of `src/cli` check their files.
const TABLES: [&str; 4] =
    ["crates/core/src/api/kinds", "crates/core/src/health/kinds", "src/keys", "src/notify"];

/// A file in such a folder that is no line of its table.
const NO_LINE: &str = "tests.rs";

/// A file of the repository.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl File {
    /// The folder of the crate that ships and holds the file, `src/` or `crates/core/src/`, and the path
    /// below it.
    fn place(&self) -> Option<(&str, &str)> {
        let end = if self.path.starts_with("crates/") { self.path.find("/src/")? + 5 } else { 4 };
        let (source, path) = self.path.split_at_checked(end)?;
        source.ends_with("src/").then_some((source, path))
    }

    /// The module of its crate that the file belongs to: `plan` for `crates/core/src/plan/drift.rs`.
    fn module(&self) -> Option<&str> {
        let module = self.place()?.1.split('/').next()?;
        Some(module.strip_suffix(".rs").unwrap_or(module)).filter(|module| !matches!(*module, "lib" | "main"))
    }

    /// Whether the whole file is compiled for tests only.
    fn is_test(&self) -> bool {
        self.place().is_none() || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The code that ships.
    fn shipped(&self) -> String {
        if self.is_test() { String::new() } else { without_tests(&code(&self.text)) }
    }
}

/// All Rust files of the repository.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["crates", "src", "tests", "benches", "fuzz"] {
        walk(&root.join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        File { path, text }
    };
    paths.into_iter().map(read).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            if entry.file_name() != "target" {
                walk(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The crates that ship, by the folder of their source.
fn crates(files: &[File]) -> BTreeMap<&str, Crate> {
    let mut shipped: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        if let Some((source, path)) = file.place() {
            shipped.entry(source).or_default().push((path, &file.text));
        }
    }
    shipped.into_iter().map(|(source, files)| (source, Crate::read(files))).collect()
}

/// Runs a rule over all files.
fn hold(rule: impl Fn(&File) -> Vec<String>) {
    let mut broken = Vec::new();
    for file in files() {
        broken.extend(rule(&file).into_iter().map(|problem| format!("{}: {problem}", file.path)));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// The result of a rule for a sample.
fn judge(path: &str, text: &str, rule: impl Fn(&File) -> Vec<String>) -> Vec<String> {
    rule(&File { path: path.into(), text: text.into() })
}

/// The words of a list that stand in a text, each once.
fn words_in(text: &str, words: &[&str], problem: &str) -> Vec<String> {
    words
        .iter()
        .filter(|word| word_at(text, word).is_some())
        .map(|word| format!("{problem} {word}"))
        .collect()
}

fn header(file: &File) -> Vec<String> {
    if file.text.starts_with("//! ") {
        vec![]
    } else {
        vec!["does not open with //! and what it is for".into()]
    }
}

fn file_length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines > MAX_FILE_LINES { vec![format!("{lines} lines, {MAX_FILE_LINES} at most")] } else { vec![] }
}

fn function_length(file: &File) -> Vec<String> {
    let long =
        functions(&code(&file.text)).into_iter().filter(|function| function.lines > MAX_FUNCTION_LINES);
    long.map(|f| {
        format!("line {}: fn {} takes {} lines, {MAX_FUNCTION_LINES} at most", f.line, f.name, f.lines)
    })
    .collect()
}

/// Whether code names a module of the crate: `crate::plan`, also inside `use crate::{model, plan::Step}`.
fn names_module(code: &str, module: &str) -> bool {
    if word_at(code, &format!("crate::{module}")).is_some() {
        return true;
    }
    code.match_indices("crate::{").any(|(at, open)| {
        let group = &code[at + open.len()..];
        let group = &group[..group.find(';').unwrap_or(group.len())];
        let mut depth = 0_i32;
        let mut names = vec![String::new()];
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => names.push(String::new()),
                _ if depth == 0 => names.last_mut().unwrap().push(c),
                _ => {}
            }
        }
        names.iter().any(|name| name.trim().split("::").next().is_some_and(|first| first.trim() == module))
    })
}

fn adapters_apart(file: &File) -> Vec<String> {
    let Some(own) = file.module().filter(|module| ADAPTERS.contains(module)) else { return vec![] };
    let code = file.shipped();
    let others = ADAPTERS.iter().filter(|other| **other != own && names_module(&code, other));
    others.map(|other| format!("is an adapter, and names the adapter {other}")).collect()
}

fn cluster_writes(file: &File) -> Vec<String> {
    if WRITERS.iter().any(|(path, _)| file.path.starts_with(path)) {
        return vec![];
    }
    words_in(&file.shipped(), &WRITE_WORDS, "is not where clusters are written to, and names")
}

fn status_writes(file: &File) -> Vec<String> {
    // `cluster/direct` has the verb, and the report alone uses it.
    if file.is_test() || matches!(file.path.as_str(), "src/agent/report.rs" | "src/cluster/direct.rs") {
        return vec![];
    }
    words_in(
        &without_tests(&code_with_texts(&file.text)),
        &STATUS_WORDS,
        "is not where a status is written, and names",
    )
}

fn forbidden(file: &File) -> Vec<String> {
    words_in(&code(&file.text), &FORBIDDEN, "holds")
}

/// Whether a file of a table's folder is in the table. `table` is the file of the folder's module.
fn in_table(file: &str, table: &str) -> bool {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let used = code(table);
    word_at(&used, &format!("{stem}::")).is_some()
}

#[test]
fn every_file_says_what_it_is_for() {
    hold(header);
    assert!(judge("src/a.rs", "//! A.\n", header).is_empty());
    for bad in ["", "use a;\n", "// A.\n", "//!\n"] {
        assert!(!judge("src/a.rs", bad, header).is_empty(), "{bad}");
    }
}

#[test]
fn no_file_is_too_long() {
    hold(file_length);
    assert!(judge("src/a.rs", &"\n".repeat(MAX_FILE_LINES), file_length).is_empty());
    assert!(!judge("src/a.rs", &"\n".repeat(MAX_FILE_LINES + 1), file_length).is_empty());
}

#[test]
fn no_function_is_too_long() {
    hold(function_length);
    let function = |lines: usize| format!("fn a() {{{}}}", "\n".repeat(lines - 1));
    assert!(judge("src/a.rs", &function(MAX_FUNCTION_LINES), function_length).is_empty());
    assert!(!judge("src/a.rs", &function(MAX_FUNCTION_LINES + 1), function_length).is_empty());
}

#[test]
fn a_module_uses_only_those_above_it() {
    let files = files();
    let mut broken = Vec::new();
    for (source, house) in crates(&files) {
        broken.extend(house.upward().iter().map(|found| {
            let (module, uses, order) =
                (found.module.join("/"), found.uses.join(", "), found.order.join(" "));
            format!("{source}{module}: {uses}; declare them in this order: {order}")
        }));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let files = files();
    let mut found = Vec::new();
    for (source, house) in crates(&files) {
        let names =
            |circle: Vec<&Module>| circle.iter().map(|file| file.join("::")).collect::<Vec<_>>().join(", ");
        found.extend(house.circles().into_iter().map(|circle| format!("{source}: {}", names(circle))));
    }
    let allowed = RECURSIVE.map(|(circle, _)| circle);
    assert_eq!(found, allowed, "\n{}", found.join("\n"));
}

#[test]
fn what_the_crates_offer_is_taken() {
    let files = files();
    let all = files.iter().map(|file| (file.path.as_str(), file.text.as_str()));
    let is_looked_at = |path: &str| path.starts_with("crates/");
    let unused = exports::unused(all, |path| {
        is_looked_at(path) && !path.ends_with("/tests.rs") && !path.contains("/tests/")
    });
    assert!(unused.is_empty(), "\n{}", unused.join("\n"));
}

#[test]
fn adapters_do_not_name_each_other() {
    hold(adapters_apart);
    assert!(!judge("src/remote/x.rs", "use crate::cluster::A;", adapters_apart).is_empty());
    assert!(!judge("src/cluster/x.rs", "use crate::{agent::B, remote};", adapters_apart).is_empty());
    assert!(judge("src/remote/x.rs", "use crate::remote::A;", adapters_apart).is_empty());
    assert!(judge("src/agent/x.rs", "use crate::cluster::A;", adapters_apart).is_empty());
}

#[test]
fn only_a_few_files_write_to_a_cluster() {
    hold(cluster_writes);
    for word in WRITE_WORDS {
        assert!(!judge("src/cluster/gather.rs", &format!("f({word})"), cluster_writes).is_empty(), "{word}");
    }
    assert!(judge("src/cluster/apply.rs", "Method::PATCH", cluster_writes).is_empty());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, why) in WRITERS {
        assert!(root.join(path).exists(), "{path} is gone, and with it: {why}");
    }
}

#[test]
fn only_the_report_writes_a_status() {
    hold(status_writes);
    for word in STATUS_WORDS {
        assert!(!judge("src/agent/tasks.rs", &format!("f.{word}"), status_writes).is_empty(), "{word}");
    }
    assert!(judge("src/agent/report.rs", "f(Part::Status)", status_writes).is_empty());
}

#[test]
fn every_file_of_a_table_stands_in_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut forgotten = Vec::new();
    for folder in TABLES.iter().filter(|folder| root.join(folder).is_dir()) {
        let table = fs::read_to_string(root.join(format!("{folder}.rs"))).unwrap();
        for entry in fs::read_dir(root.join(folder)).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if name != NO_LINE && !in_table(&name, &table) {
                forgotten.push(format!("{folder}/{name}"));
            }
        }
    }
    assert!(forgotten.is_empty(), "in no table: {}", forgotten.join(", "));
    assert!(in_table("pod.rs", "mod pod;\nconst RULES: [F; 1] = [pod::health];"));
    assert!(!in_table("pod.rs", "mod pod;\n// pod::health\nconst RULES: [F; 1] = [tripod::health];"));
}

#[test]
fn nothing_is_left_undone_or_let_pass() {
    hold(forbidden);
    for word in FORBIDDEN {
        assert!(!judge("src/a.rs", word, forbidden).is_empty(), "{word}");
    }
    assert!(judge("src/a.rs", "// todo!\n#[expect(lint, reason = \"todo!\")]", forbidden).is_empty());
}
