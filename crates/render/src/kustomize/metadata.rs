//! Annotations about the origin of objects, which `buildMetadata` asks for.

use lockgate_base::model::yaml::{Layout, print};

/// The annotation for an object's origin.
pub(crate) const ORIGIN: &str = "config.kubernetes.io/origin";
/// The annotation for the transformers that changed an object.
pub(crate) const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// The origin of an object, or a change to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Origin {
    /// The file, relative to the built folder.
    pub(crate) path: String,
    /// The file that configures the generator or transformer.
    pub(crate) configured_in: String,
    /// The generator or transformer.
    pub(crate) configured_by: Option<Configurer>,
}

/// A generator or transformer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Configurer {
    /// `builtin` for a field of a kustomization.
    pub(crate) api_version: String,
    /// For example `PrefixTransformer`.
    pub(crate) kind: String,
    /// Its name, if it is an object.
    pub(crate) name: String,
    /// Its namespace, if it is an object.
    pub(crate) namespace: String,
}

impl Origin {
    /// The origin one step further along `path`.
    pub(crate) fn append(&self, path: &str) -> Self {
        let mut parts: Vec<&str> =
            self.path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
            match (part, parts.last()) {
                ("..", Some(last)) if *last != ".." => {
                    parts.pop();
                }
                _ => parts.push(part),
            }
        }
        let root = if self.path.is_empty() && path.starts_with('/') { "/" } else { "" };
        Self { path: format!("{root}{}", parts.join("/")), ..self.clone() }
    }

    /// The origin for the objects that a field of the kustomization `file` makes or changes.
    pub(crate) fn built_in(&self, file: &str, kind: &str) -> Self {
        let configurer =
            Configurer { api_version: "builtin".into(), kind: kind.into(), ..Configurer::default() };
        Self { path: String::new(), configured_in: self.append(file).path, configured_by: Some(configurer) }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut put = |indent: &str, key: &str, value: &str| {
            if !value.is_empty() {
                lines.push(format!("{indent}{key}: {}", quoted(value)));
            }
        };
        put("", "path", &self.path);
        put("", "configuredIn", &self.configured_in);
        if let Some(by) = &self.configured_by {
            let mut inner = Vec::new();
            for (key, value) in [
                ("apiVersion", &by.api_version),
                ("kind", &by.kind),
                ("name", &by.name),
                ("namespace", &by.namespace),
            ] {
                if !value.is_empty() {
                    inner.push(format!("  {key}: {}", quoted(value)));
                }
            }
            if !inner.is_empty() {
                lines.push("configuredBy:".into());
                lines.extend(inner);
            }
        }
        lines
    }

    /// The text of the origin annotation.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines();
        if lines.is_empty() { "{}\n".into() } else { lines.join("\n") + "\n" }
    }
}

/// The text of the annotation for several transformations.
pub(crate) fn list_text(origins: &[Origin]) -> String {
    let mut text = String::new();
    for origin in origins {
        let lines = origin.lines();
        if lines.is_empty() {
            text.push_str("- {}\n");
        }
        for (index, line) in lines.iter().enumerate() {
            text.push_str(if index == 0 { "- " } else { "  " });
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// A value as YAML writes it on one line. Names and paths almost never need quotes.
fn quoted(value: &str) -> String {
    let mut text = print(&serde_json::Value::from(value), Layout::V3);
    text.truncate(text.trim_end_matches('\n').len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_without_dots() {
        let at = |path: &str| Origin { path: path.into(), ..Origin::default() };
        for (base, path, expected) in
            [("", "../base", "../base"), ("../base", "a.yaml", "../base/a.yaml"), ("a/b", "../c", "a/c")]
        {
            assert_eq!(at(base).append(path).path, expected);
        }
    }

    #[test]
    fn the_texts_are_those_of_kustomize() {
        let origin = Origin::default().append("base").built_in("kustomization.yaml", "PrefixTransformer");
        assert_eq!(
            list_text(&[origin]),
            "- configuredIn: base/kustomization.yaml\n  configuredBy:\n    apiVersion: builtin\n    kind: PrefixTransformer\n"
        );
    }
}
