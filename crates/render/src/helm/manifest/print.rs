//! The text that `helm template` prints.

use std::fmt::Write as _;

use super::hooks::HookEvent;
use super::{Manifests, split};
use crate::helm::chart::File;
use crate::helm::chart::matches;
use crate::helm::go::unicode::is_space;

/// The documents of a release as `helm template` prints them: with the definitions of `crds/` where they are
/// asked for, and without tests where they are not.
pub fn template(manifests: &Manifests, definitions: &[(String, &File)], skip_tests: bool) -> String {
    // The text before and after a document.
    const AROUND: usize = "---\n# Source: \n\n".len();
    let sizes = manifests.plain.iter().map(|plain| plain.path.len() + plain.text.len() + AROUND);
    let hooks = manifests.hooks.iter().map(|hook| hook.path.len() + hook.text.len() + AROUND);
    let files = definitions.iter().map(|(path, file)| path.len() + file.content.len() + AROUND);
    let mut out = String::with_capacity(sizes.chain(hooks).chain(files).sum());
    for (path, file) in definitions {
        let _ = writeln!(out, "---\n# Source: {path}\n{}", String::from_utf8_lossy(&file.content));
    }
    for manifest in &manifests.plain {
        let _ = writeln!(out, "---\n# Source: {}\n{}", manifest.path, manifest.text);
    }
    out.truncate(out.trim_end_matches(is_space).len());
    out.push('\n');
    for hook in &manifests.hooks {
        if !(skip_tests && hook.events.contains(&HookEvent::Test)) {
            let _ = writeln!(out, "---\n# Source: {}\n{}", hook.path, hook.text);
        }
    }
    out
}

/// The documents of a release as they are stored with it, without hooks.
pub fn stored(manifests: &Manifests) -> String {
    let mut out = String::new();
    for manifest in &manifests.plain {
        let _ = writeln!(out, "---\n# Source: {}\n{}", manifest.path, manifest.text);
    }
    out
}

/// The output with `--show-only`: the documents of the templates that match one of the patterns. The error is
/// a pattern that matches none.
pub fn only<'p>(printed: &str, patterns: &'p [String]) -> Result<String, &'p str> {
    let mut out = String::new();
    for pattern in patterns {
        let mut is_missing = true;
        for (_, document) in split::documents(printed) {
            if source(document).is_some_and(|path| matches(pattern, path)) {
                let _ = writeln!(out, "---\n{document}");
                is_missing = false;
            }
        }
        if is_missing {
            return Err(pattern);
        }
    }
    Ok(out)
}

/// The path of a document's template, without the chart's name before it.
fn source(document: &str) -> Option<&str> {
    let mut rest = document;
    while let Some((_, after)) = rest.split_once("# Source: ") {
        let line = after.lines().next().unwrap_or_default();
        if let Some((name, path)) = line.split_once('/')
            && !name.is_empty()
            && !path.is_empty()
        {
            return Some(path);
        }
        rest = after;
    }
    None
}
