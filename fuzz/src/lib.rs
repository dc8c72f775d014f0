//! The code that the fuzz targets share: reading files from one text, and the properties of every build.

pub mod helm;

use lockgate_base::model::yaml::{Dialect, documents, to_string};
use lockgate_base::tree::Tree;
use lockgate_render::kustomize::{Flavour, KustomizeRecipe, Overlay, build};
use serde_json::Value;

/// The line between an object and the change to it.
pub const SEPARATOR: &str = "\n=====\n";

/// Files, and the folder to build.
#[derive(Debug, Default, PartialEq)]
pub struct Case {
    /// Paths and contents.
    pub files: Vec<(String, String)>,
    /// The folder.
    pub target: String,
}

impl Case {
    /// Reads a case: a line `-- path` begins a file, `## anything [folder]` names the folder and begins
    /// `kustomization.yaml`.
    pub fn read(text: &str) -> Self {
        let mut case = Self::default();
        for line in text.split_inclusive('\n') {
            let content = line.trim_end_matches('\n');
            if let Some(title) = content.strip_prefix("## ") {
                case.target = title.split_once('[').map_or("", |(_, rest)| rest.trim_end_matches(']')).into();
                case.files.push(("kustomization.yaml".into(), String::new()));
            } else if let Some(path) = content.strip_prefix("-- ") {
                case.files.push((path.into(), String::new()));
            } else if let Some((_, content)) = case.files.last_mut() {
                content.push_str(line);
            }
        }
        case
    }

    /// Builds the case in both flavours. The result must be readable again, and the same each time.
    pub fn run(self) {
        let tree = Tree::in_memory(self.files.into_iter().filter(|(path, _)| is_normal(path)));
        for flavour in [Flavour::Cli, Flavour::Flux(Box::<Overlay>::default())] {
            let recipe = KustomizeRecipe { path: self.target.clone(), flavour };
            let Ok(output) = build(&tree, &recipe) else { continue };
            for object in &output.objects {
                assert_reads_back(&object.value, Dialect::V3);
            }
            let again = build(&tree, &recipe).expect("what was built once is built again");
            assert_eq!(again.objects, output.objects);
        }
    }
}

/// Writes a value, and checks that it reads back equal. A number may change its type, if YAML does not
/// distinguish the two, but not its text.
pub fn assert_reads_back(value: &Value, dialect: Dialect) {
    if holds_merge_key(value) {
        return;
    }
    let text = to_string(value);
    let read = documents(&text, dialect).expect("what is written is YAML");
    assert_eq!(read.len(), 1, "one value is one document");
    assert_eq!(to_string(&read[0].value), text, "what is written reads back equal");
}

/// Whether some mapping has the key `<<`, which go-yaml v3 drops, quoted or not.
fn holds_merge_key(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_merge_key),
        Value::Object(map) => map.iter().any(|(key, value)| key == "<<" || holds_merge_key(value)),
        _ => false,
    }
}

/// Whether go-yaml itself reads a value back that it has printed. It fails on line breaks of Unicode in
/// quotes, on tabs and deep indentation in block scalars, and on keys that mean a merge.
pub fn is_read_by_go(value: &Value) -> bool {
    let is_plain = |text: &str| !text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\t', '\n']);
    match value {
        Value::String(text) => is_plain(text),
        Value::Array(items) => items.iter().all(is_read_by_go),
        Value::Object(map) => {
            map.iter().all(|(key, value)| is_plain(key) && key != "<<" && is_read_by_go(value))
        }
        _ => true,
    }
}

/// A kustomization with one object and one patch, applied in the given field.
pub fn patched(object: &str, patch: &str, patches: &str) -> Case {
    let file = |path: &str, content: &str| (path.to_owned(), content.to_owned());
    let kustomization = format!("resources: [object.yaml]\n{patches}\n");
    let files = vec![
        file("kustomization.yaml", &kustomization),
        file("object.yaml", object),
        file("patch.yaml", patch),
    ];
    Case { files, target: ".".into() }
}

/// Whether a tree may contain a path: relative, and without empty parts and dots.
fn is_normal(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
