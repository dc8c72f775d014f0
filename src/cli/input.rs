//! The inputs of builds besides their folder: files of objects and of values.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::output::{CommandError, printable_lines};
use lockgate_base::model::Object;
use lockgate_base::model::yaml::{self, Dialect};
use lockgate_git::directory;

/// The file name that stands for standard input.
pub(in crate::cli) const STDIN: &str = "-";

pub(in crate::cli) fn warn(warnings: &[String]) {
    for warning in warnings {
        // A failure to print a warning must not cost the user the output.
        let _ = writeln!(io::stderr(), "! {}", printable_lines(warning));
    }
}

/// The only folder from which files are read: the named one, or the repository that contains a path.
pub(in crate::cli) fn root(named: Option<&Path>, begin: &Path) -> Result<PathBuf, CommandError> {
    let root = match named {
        Some(root) => root.to_owned(),
        None if !begin.exists() => {
            return Err(CommandError::usage(format!("{} does not exist", begin.display())));
        }
        None => directory::enclosing_repository(begin).ok_or_else(|| {
            CommandError::usage(format!("{} is in no Git repository", begin.display()))
                .hint("name the root of the files with --root, such as --root .")
        })?,
    };
    root.canonicalize().map_err(|error| CommandError::usage(format!("{}: {error}", root.display())))
}

/// The path of a folder relative to the root. Symbolic links in it are resolved inside the root, not here.
pub(in crate::cli) fn relative(root: &Path, path: &Path) -> Result<String, CommandError> {
    let absolute =
        path.canonicalize().map_err(|error| CommandError::failed(format!("{}: {error}", path.display())))?;
    let inside = absolute.strip_prefix(root).map_err(|_| {
        let message = format!("{} is outside {}", path.display(), root.display());
        CommandError::usage(message).hint(
            "files outside of the root are not read; name another root with \
            --root",
        )
    })?;
    inside.to_str().map(ToOwned::to_owned).ok_or_else(|| CommandError::usage("the path is not UTF-8 text"))
}

/// The objects of a file, including those of lists, and the names and values of documents that are not
/// objects.
pub(in crate::cli) fn input(file: &Path) -> Result<(Vec<Object>, BTreeMap<String, String>), CommandError> {
    let failed = |message: String| CommandError::usage(format!("{}: {message}", file.display()));
    let mut bytes = Vec::new();
    let read = if file == Path::new(STDIN) {
        io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(file).map(|content| bytes = content)
    };
    read.map_err(|error| failed(error.to_string()))?;
    let text = yaml::decoded(&bytes).map_err(|error| failed(error.to_string()))?;
    if file.extension().is_some_and(|ending| ending == "env") || file.ends_with(".env") {
        return Ok((Vec::new(), lines(&text).map_err(failed)?));
    }
    let documents = yaml::documents(&text, Dialect::V2).map_err(|error| failed(error.to_string()))?;
    let mut objects = Vec::new();
    let mut plain = BTreeMap::new();
    for mut value in documents.into_iter().map(|document| document.value).filter(|value| !value.is_null()) {
        if value["kind"] == "List"
            && let Some(Value::Array(items)) = value.get_mut("items")
        {
            let items = std::mem::take(items).into_iter().map(Object::parse);
            objects.extend(items.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.to_string()))?);
        } else if value.get("kind").is_some() {
            objects.push(Object::parse(value).map_err(|error| failed(error.to_string()))?);
        } else {
            plain.extend(names_and_values(value).map_err(failed)?);
        }
    }
    Ok((objects, plain))
}

fn names_and_values(value: Value) -> Result<BTreeMap<String, String>, String> {
    let Value::Object(entries) = value else { return Err("expected names and values".into()) };
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Bool(_) | Value::Number(_) => Ok((name, json!(value).to_string())),
        _ => Err(format!("{name}: expected a single value")),
    };
    entries.into_iter().map(text).collect()
}

/// Parses `NAME=VALUE` lines, as kustomize reads the files of `envs`.
fn lines(text: &str) -> Result<BTreeMap<String, String>, String> {
    let lines = text.lines().map(str::trim_start).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let pair = |(index, line): (usize, &str)| {
        let (name, value) =
            line.split_once('=').ok_or_else(|| format!("line {}: write NAME=VALUE", index + 1))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    lines.map(pair).collect()
}
