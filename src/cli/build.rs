//! `lockgate build`.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::output::{self, Error};
use crate::model::Object;
use crate::model::yaml::{self, Dialect};
use crate::pipeline::offline::{self, Rendered, Values};
use crate::render::kustomize::{self, Flavour};
use crate::source::directory;
use crate::tree::Tree;

/// Render a folder to YAML, with no cluster
///
/// Without flags it prints what `kustomize build` prints, in its order and with its strictness. With --kustomization it
/// prints what the agent would apply for a Kustomization object, with --recursive for every one that it finds.
#[derive(Args)]
pub(super) struct Arguments {
    /// The folder to build
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// The folder outside which nothing is read; without it the repository that PATH is in
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Build a Kustomization object: a file that holds it, or its name, or NAMESPACE/NAME, somewhere below the root
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "recursive")]
    kustomization: Option<String>,
    /// Build the folder, every Kustomization in it, and so on
    #[arg(long)]
    recursive: bool,
    /// A file of ConfigMaps and Secrets, or of names and values, to substitute; more than once
    #[arg(long, value_name = "FILE")]
    substitute_from: Vec<PathBuf>,
    /// A value to substitute, which wins over all others; more than once
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let root = root(arguments)?;
    let tree = directory::snapshot(&root).map_err(|error| Error::failed(error.to_string()))?;
    let failed = |error: offline::OfflineError| Error::failed(error.to_string());
    if let Some(wanted) = &arguments.kustomization {
        let (file, object) = kustomization_object(&tree, &root, wanted)?;
        let built =
            offline::kustomization(&tree, &object, &values(arguments, &tree, &file)?).map_err(failed)?;
        return print(&[built]);
    }
    let path = relative(&root, &arguments.path)?;
    if arguments.recursive {
        return print(&offline::recursive(&tree, &path, &values(arguments, &tree, &path)?).map_err(failed)?);
    }
    if !arguments.substitute_from.is_empty() || !arguments.set.is_empty() {
        let error = Error::usage("values are substituted for Kustomization objects only");
        return Err(error.hint("add --kustomization or --recursive"));
    }
    let recipe = kustomize::Recipe { path, flavour: Flavour::Cli };
    let built = kustomize::build(&tree, &recipe).map_err(|error| Error::failed(error.to_string()))?;
    warn(&built.warnings);
    output::write_documents(built.objects.into_iter().map(|built| yaml::to_string(&built.value)))?;
    Ok(ExitCode::SUCCESS)
}

fn print(rendered: &[Rendered]) -> Result<ExitCode, Error> {
    for built in rendered {
        warn(&built.warnings);
    }
    output::write_documents(rendered.iter().flat_map(|built| {
        built.objects.iter().enumerate().map(|(index, object)| {
            let heading = if index == 0 { format!("# {}\n", built.subject) } else { String::new() };
            format!("{heading}{}", yaml::to_string(object.value()))
        })
    }))?;
    Ok(ExitCode::SUCCESS)
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        // Whoever does not read warnings still gets the objects.
        let _ = writeln!(io::stderr(), "! {warning}");
    }
}

/// The folder outside which nothing is read.
fn root(arguments: &Arguments) -> Result<PathBuf, Error> {
    let root = match &arguments.root {
        Some(root) => root.clone(),
        None => directory::enclosing_repository(&arguments.path).ok_or_else(|| {
            let missing = !arguments.path.exists();
            let cause = if missing { "does not exist" } else { "is in no Git repository" };
            Error::usage(format!("{} {cause}", arguments.path.display()))
                .hint("name the folder outside which nothing is read with --root")
        })?,
    };
    root.canonicalize().map_err(|error| Error::usage(format!("{}: {error}", root.display())))
}

/// The path of a folder as seen from the root. Symbolic links on it are resolved inside the root, not here.
fn relative(root: &Path, path: &Path) -> Result<String, Error> {
    let absolute =
        path.canonicalize().map_err(|error| Error::failed(format!("{}: {error}", path.display())))?;
    let inside = absolute.strip_prefix(root).map_err(|_| {
        let message = format!("{} is outside {}", path.display(), root.display());
        Error::usage(message).hint("nothing outside the root is read; name another with --root")
    })?;
    inside.to_str().map(ToOwned::to_owned).ok_or_else(|| Error::usage("the path is not UTF-8 text"))
}

/// The Kustomization, and where it stands as seen from the root.
fn kustomization_object(tree: &Tree, root: &Path, wanted: &str) -> Result<(String, Object), Error> {
    if !Path::new(wanted).is_file() {
        return offline::find(tree, wanted).map_err(|error| Error::failed(error.to_string()));
    }
    let mut objects = objects(Path::new(wanted))?.0;
    objects
        .retain(|object| object.group() == "kustomize.toolkit.fluxcd.io" && object.kind() == "Kustomization");
    match objects.len() {
        // A file elsewhere is near to nothing in the tree.
        1 => Ok((relative(root, Path::new(wanted)).unwrap_or_default(), objects.swap_remove(0))),
        count => Err(Error::usage(format!("{wanted} holds {count} Kustomization objects, not one"))),
    }
}

/// What may be substituted: what the tree holds, then the files in their order, then single values.
fn values(arguments: &Arguments, tree: &Tree, near: &str) -> Result<Values, Error> {
    let mut values = Values { objects: offline::values_in(tree, near), set: BTreeMap::new() };
    for file in &arguments.substitute_from {
        let (objects, plain) = objects(file)?;
        values.objects.extend(objects);
        values.set.extend(plain);
    }
    for pair in &arguments.set {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| Error::usage(format!("--set {pair}: write NAME=VALUE")))?;
        values.set.insert(name.into(), value.into());
    }
    Ok(values)
}

/// The objects of a file, and the names and values of documents that are no objects.
fn objects(file: &Path) -> Result<(Vec<Object>, BTreeMap<String, String>), Error> {
    let failed = |message: String| Error::usage(format!("{}: {message}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let documents = yaml::documents(&text, Dialect::V2).map_err(|error| failed(error.to_string()))?;
    let mut objects = Vec::new();
    let mut plain = BTreeMap::new();
    for value in documents.into_iter().map(|document| document.value).filter(|value| !value.is_null()) {
        if value.get("kind").is_some() {
            objects.push(Object::parse(value).map_err(|error| failed(error.to_string()))?);
            continue;
        }
        let Value::Object(entries) = value else { return Err(failed("expected names and values".into())) };
        for (name, value) in entries {
            match value {
                Value::String(text) => plain.insert(name, text),
                Value::Bool(_) | Value::Number(_) => plain.insert(name, json!(value).to_string()),
                _ => return Err(failed(format!("{name}: expected a single value"))),
            };
        }
    }
    Ok((objects, plain))
}
