//! Random strategic merges: an object and patches of it, their scalars in every style and form that YAML has.

use std::fmt::Write as _;

use super::super::random::Random;
use super::super::yaml::SCALARS;
use super::{Case, Files};

/// Texts for quotes and blocks, many of which would have another type without them.
const TEXTS: &[&str] = &[
    "on",
    "yes",
    "y",
    "1",
    "1.10",
    "0644",
    "0x1F",
    "true",
    "null",
    "~",
    "",
    "2020-01-01",
    "1:30",
    "1e3",
    "x",
    "a b",
    "a: b",
    "# c",
    "- d",
    "1.18.3",
    "it's",
    "é",
    "nginx:1.29",
    "$(A)",
];

/// Lines of block scalars.
const LINES: &[&str] = &["one", "two words", "  deeper", "", "a: b", "- c", "# d", "1", "\ttab"];

/// A case: an object, and one or two layers of patches on it.
pub(crate) fn case(random: &mut Random, number: u64) -> Case {
    let mut files = Files::new();
    let kind = Kind::of(random);
    files.insert("base/object.yaml".into(), kind.object(random, true));
    let mut base = "resources: [object.yaml]\n".to_owned();
    base.push_str(&layer(random, &mut files, "base", kind));
    files.insert("base/kustomization.yaml".into(), base);
    let mut target = "base".to_owned();
    if random.one_in(2) {
        let text = format!("resources: [../base]\n{}", layer(random, &mut files, "over", kind));
        files.insert("over/kustomization.yaml".into(), text);
        target = "over".into();
    }
    Case { name: format!("merge-{number}"), files, target }
}

/// The transformers of one layer: patches in one of their three fields, and now and then another transformer.
fn layer(random: &mut Random, files: &mut Files, folder: &str, kind: Kind) -> String {
    let mut out = String::new();
    match random.below(6) {
        0 => out.push_str("namespace: apps\n"),
        1 => out.push_str("labels:\n- pairs: {a: \"on\", team: x}\n"),
        2 => out.push_str("commonAnnotations: {a: b}\n"),
        _ => {}
    }
    let count = 1 + random.below(2);
    let mut paths = Vec::new();
    for at in 0..count {
        files.insert(format!("{folder}/patch{at}.yaml"), kind.object(random, false));
        paths.push(format!("patch{at}.yaml"));
    }
    match random.below(3) {
        0 => {
            let _ = writeln!(out, "patchesStrategicMerge: [{}]", paths.join(", "));
        }
        1 => {
            out.push_str("patches:\n");
            for path in paths {
                let _ = writeln!(out, "- path: {path}");
            }
        }
        _ => {
            out.push_str("patches:\n");
            for path in paths {
                let _ = writeln!(out, "- path: {path}\n  target: {{kind: {}}}", kind.name());
            }
        }
    }
    out
}

/// The patched kinds: some whose lists are merged by key, and one that no schema describes.
#[derive(Clone, Copy)]
enum Kind {
    Deployment,
    ConfigMap,
    Custom,
}

impl Kind {
    fn of(random: &mut Random) -> Self {
        *random.pick(&[Self::Deployment, Self::ConfigMap, Self::Custom, Self::Custom])
    }

    fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::ConfigMap => "ConfigMap",
            Self::Custom => "Widget",
        }
    }

    fn object(self, random: &mut Random, is_base: bool) -> String {
        let api = match self {
            Self::Deployment => "apps/v1",
            Self::ConfigMap => "v1",
            Self::Custom => "example.org/v1",
        };
        let mut writer = Writer { random, is_base, anchors: 0, known: Vec::new() };
        let mut out = format!("apiVersion: {api}\nkind: {}\nmetadata:\n  name: o\n", self.name());
        for field in ["labels", "annotations"] {
            if writer.random.one_in(2) {
                let _ = writeln!(out, "  {field}:{}", writer.pairs(4));
            }
        }
        match self {
            Self::ConfigMap => {
                let _ = writeln!(out, "data:{}", writer.pairs(2));
            }
            Self::Custom => {
                let _ = writeln!(out, "spec:{}", writer.mapping(2, 0));
            }
            Self::Deployment => {
                let containers = writer.containers(8);
                let extra = writer.mapping(2, 2).replacen('\n', "\n  paused: false\n", 1);
                let extra = if extra.starts_with('\n') { extra } else { String::new() };
                let _ =
                    writeln!(out, "spec:{extra}\n  template:\n    spec:\n      containers:\n{containers}");
            }
        }
        out.replace("\n\n  template", "\n  template")
    }
}

struct Writer<'r> {
    random: &'r mut Random,
    is_base: bool,
    anchors: usize,
    /// The anchors whose nodes are complete.
    known: Vec<usize>,
}

impl Writer<'_> {
    /// Entries whose values are scalars, behind the colon of their key.
    fn pairs(&mut self, indent: usize) -> String {
        if self.random.one_in(8) {
            return " {}".into();
        }
        let mut out = String::new();
        for key in ["a", "b", "c"] {
            if self.random.one_in(2) {
                let value = self.scalar(indent);
                let _ = write!(out, "\n{}{key}:{value}", " ".repeat(indent));
            }
        }
        out
    }

    /// A mapping behind the colon of its key, in block or flow style.
    fn mapping(&mut self, indent: usize, depth: usize) -> String {
        match self.random.below(8) {
            0 => return self.flow_mapping(),
            1 if !self.known.is_empty() => return format!(" *x{}", self.random.pick(&self.known)),
            _ => {}
        }
        let mut out = String::new();
        let anchor = (depth > 0 && self.random.one_in(4)).then(|| {
            self.anchors += 1;
            self.anchors
        });
        if let Some(anchor) = anchor {
            let _ = write!(out, " &x{anchor}");
        }
        let begun = out.len();
        if !self.known.is_empty() && self.random.one_in(4) {
            let merge = self.random.pick(&["<<", "<<", "!!merge <<"]);
            let _ = write!(out, "\n{}{merge}: *x{}", " ".repeat(indent), self.random.pick(&self.known));
        }
        for key in ["a", "b", "c", "d"] {
            if self.random.one_in(3) {
                continue;
            }
            let pad = " ".repeat(indent);
            let value = match self.random.below(if depth > 2 { 6 } else { 9 }) {
                0..=5 => self.scalar(indent),
                6 => self.list(indent, depth),
                _ => self.mapping(indent + 2, depth + 1),
            };
            let _ = write!(out, "\n{pad}{key}:{value}");
        }
        if out.len() == begun {
            out.push_str(" {}");
        }
        if !self.is_base && self.random.one_in(12) && out.contains('\n') {
            let directive = self.random.pick(&["replace", "delete", "merge"]);
            let _ = write!(out, "\n{}$patch: {directive}", " ".repeat(indent));
        }
        self.known.extend(anchor);
        out
    }

    fn flow_mapping(&mut self) -> String {
        let mut entries = Vec::new();
        for key in ["a", "b", "c"] {
            if self.random.one_in(2) {
                let value = self.flow_scalar();
                entries.push(if value.is_empty() { format!("{key}: ") } else { format!("{key}: {value}") });
            }
        }
        format!(" {{{}}}", entries.join(", "))
    }

    fn list(&mut self, indent: usize, depth: usize) -> String {
        if self.random.one_in(3) {
            let items: Vec<String> = (0..self.random.below(3))
                .map(|_| self.flow_scalar())
                .filter(|item| !item.is_empty())
                .collect();
            return format!(" [{}]", items.join(", "));
        }
        let mut out = String::new();
        for _ in 0..=self.random.below(2) {
            let item =
                if depth < 2 && self.random.one_in(3) { self.flow_mapping() } else { self.scalar(indent) };
            let _ = write!(out, "\n{}-{item}", " ".repeat(indent));
        }
        out
    }

    /// A scalar behind a colon or a dash at `indent`.
    fn scalar(&mut self, indent: usize) -> String {
        match self.random.below(12) {
            0..=3 => {
                let text = self.plain();
                if text.is_empty() { text } else { format!(" {text}") }
            }
            4 | 5 => format!(" {}", self.quoted()),
            6 => format!(" {}", self.random.pick(&["null", "~", "Null", "NULL"])),
            7 => String::new(),
            8 => format!(
                " {} {}",
                self.random.pick(&["!!str", "!!str", "!"]),
                self.random.pick(&["5", "\"5\"", "6.5"])
            ),
            _ => self.block(indent),
        }
    }

    fn plain(&mut self) -> String {
        if self.random.one_in(2) {
            return (*self
                .random
                .pick(&["x", "word", "1.18.3", "a b", "1", "2", "true", "1.10", "yes", "on"]))
            .into();
        }
        let text = *self.random.pick(SCALARS);
        let is_safe =
            !text.contains([':', '#', '\'', '"', '<', '[', '{', '&', '*', '!', '|', '>', '%', '@', '`', '?']);
        // Lockgate refuses a value that JSON cannot hold even if a patch replaces it.
        let is_finite =
            !text.to_ascii_lowercase().ends_with("inf") && !text.to_ascii_lowercase().ends_with("nan");
        if is_safe && is_finite { text.into() } else { "z".into() }
    }

    fn quoted(&mut self) -> String {
        let text = *self.random.pick(TEXTS);
        if self.random.one_in(2) { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") }
    }

    fn flow_scalar(&mut self) -> String {
        match self.random.below(6) {
            0 => String::new(),
            1 => "null".into(),
            2 | 3 => self.quoted(),
            // The parser of lockgate accepts no dash before a bracket.
            _ => self.plain().replace(',', ".").replace('-', "_"),
        }
    }

    fn block(&mut self, indent: usize) -> String {
        let mark = *self.random.pick(&["|", ">"]);
        let chomp = *self.random.pick(&["", "-", "+"]);
        let hint = if self.random.one_in(5) { "2" } else { "" };
        let pad = " ".repeat(indent + 2);
        let mut out =
            format!(" {mark}{hint}{chomp}\n{pad}{}", self.random.pick(&["first", "on", "1", "x y"]));
        for _ in 0..self.random.below(4) {
            let line = *self.random.pick(LINES);
            out.push('\n');
            if !line.is_empty() {
                let _ = write!(out, "{pad}{line}");
            }
        }
        out
    }

    fn containers(&mut self, indent: usize) -> String {
        let pad = " ".repeat(indent);
        let mut out = String::new();
        for name in ["one", "two"] {
            if self.random.one_in(3) {
                continue;
            }
            let _ = write!(out, "{pad}- name: {name}\n{pad}  image:{}\n", self.scalar(indent + 2));
            if self.random.one_in(2) {
                let _ = writeln!(out, "{pad}  env:");
                for variable in ["A", "B"] {
                    if self.random.one_in(4) {
                        let _ = writeln!(out, "{pad}  - {{name: {variable}, value: {}}}", self.quoted());
                    } else {
                        let _ = write!(
                            out,
                            "{pad}  - name: {variable}\n{pad}    value:{}\n",
                            self.scalar(indent + 4)
                        );
                    }
                }
            }
            if self.random.one_in(4) {
                let _ = writeln!(out, "{pad}  resources:{}", self.mapping(indent + 4, 2));
            }
        }
        if out.is_empty() { format!("{pad}- name: one\n") } else { out }
    }
}
