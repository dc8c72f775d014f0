//! A chart as a folder of a tree: all its files except those that `.helmignore` excludes.

use lockgate_base::tree::{Resolved, TreeReader};

use super::archive::{Bounds, FILE_LIMIT};
use super::file::File;
use super::ignore::IgnoreRules;
use crate::helm::error::Error;
use crate::helm::go::quote::quote;

/// The files of the chart in this folder. Symbolic links are followed as far as they stay in the tree.
pub fn files_of(reader: &TreeReader<'_>, folder: &str, bounds: &mut Bounds) -> Result<Vec<File>, Error> {
    let failed = |error: lockgate_base::tree::TreeError| Error::new(error.to_string());
    let at = |path: &str| if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    if reader.node(&at("Chart.yaml")).map_err(failed)? != Some(Resolved::File) {
        let shown = if folder.is_empty() { "." } else { folder };
        return Err(Error::new(format!("Chart.yaml file is missing in {shown}")));
    }
    let mut rules = match reader.node(&at(".helmignore")).map_err(failed)? {
        Some(Resolved::File) => IgnoreRules::parse(&reader.bytes(&at(".helmignore")).map_err(failed)?)?,
        _ => IgnoreRules::default(),
    };
    rules.add_defaults();
    let mut files = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(inside) = pending.pop() {
        let mut deeper = Vec::new();
        for (name, node) in reader.list(at(&inside).trim_end_matches('/')).map_err(failed)? {
            let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
            if rules.leaves_out(&path, node == Resolved::Directory) {
                continue;
            }
            if node == Resolved::Directory {
                if path.matches('/').count() > 100 {
                    return Err(Error::bound("the chart's folders nest more than 100 deep"));
                }
                deeper.push(path);
                continue;
            }
            let content = reader.bytes(&at(&path)).map_err(failed)?;
            if content.len() as u64 > FILE_LIMIT {
                let name = path.rsplit('/').next().unwrap_or(&path);
                let name = String::from_utf8_lossy(&quote(name.as_bytes(), false)).into_owned();
                return Err(Error::bound(format!(
                    "chart file {name} is larger than the maximum file size {FILE_LIMIT}"
                )));
            }
            bounds.take(content.len() as u64)?;
            let content = match content.strip_prefix(b"\xef\xbb\xbf") {
                Some(rest) => rest.into(),
                None => content,
            };
            files.push(File { path, content });
        }
        pending.extend(deeper.into_iter().rev());
    }
    Ok(files)
}
