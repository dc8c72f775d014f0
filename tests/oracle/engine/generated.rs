//! Random templates over random values: for whatever the grammar produces, helm and lockgate print the same
//! or fail with the same words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::super::helm::Helm;
use super::super::random::Random;
use super::super::{cases, seed};
use super::{Case, deep, difference, ours, theirs};

/// Functions with their likely arguments: `s` a text, `i` an int, `m` a map, `l` a list, `a` anything. A
/// capital stands for a literal, since a map that contains itself has no end in helm.
const FUNCTIONS: [(&str, &str); 52] = [
    ("and", "aa"),
    ("or", "aa"),
    ("not", "a"),
    ("eq", "aa"),
    ("ne", "aa"),
    ("lt", "ii"),
    ("le", "ss"),
    ("gt", "ii"),
    ("ge", "aa"),
    ("index", "li"),
    ("index", "ms"),
    ("index", "mss"),
    ("len", "a"),
    ("print", "aa"),
    ("printf", "sa"),
    ("println", "a"),
    ("html", "a"),
    ("js", "s"),
    ("urlquery", "s"),
    ("include", "sa"),
    ("tpl", "sa"),
    ("required", "sa"),
    ("default", "aa"),
    ("quote", "aa"),
    ("squote", "a"),
    ("upper", "s"),
    ("trunc", "is"),
    ("indent", "is"),
    ("nindent", "is"),
    ("dict", "sa"),
    ("dict", "sasa"),
    ("list", "aaa"),
    ("get", "ms"),
    ("hasKey", "ms"),
    ("set", "msS"),
    ("merge", "Mm"),
    ("first", "l"),
    ("last", "l"),
    ("rest", "l"),
    ("append", "la"),
    ("concat", "ll"),
    ("add", "ii"),
    ("int", "a"),
    ("int64", "a"),
    ("float64", "a"),
    ("toString", "a"),
    ("typeOf", "a"),
    ("kindOf", "a"),
    ("empty", "a"),
    ("coalesce", "aa"),
    ("ternary", "aaa"),
    ("until", "i"),
];

const KEYS: [&str; 6] = ["a", "b", "c", "list", "map", "none"];
const NAMES: [&str; 3] = ["one", "two", "three"];
const TEXTS: [&str; 10] =
    ["text", "", "a b", "x\ny", "{{ .a }}", "{{ . }}", "one", "%v-%d", "<&>", "é\u{1F600}"];

struct Maker {
    random: Random,
    vars: Vec<String>,
    depth: usize,
    ranges: usize,
}

impl Maker {
    fn value(&mut self, depth: usize) -> Json {
        match self.random.below(if depth == 0 { 7 } else { 10 }) {
            0 => Json::Null,
            1 => json!(self.random.one_in(2)),
            2 => json!(self.random.below(20)),
            3 => json!(f64::from(u32::try_from(self.random.below(4000)).expect("it is small")) / 16.0),
            4..=6 => json!(self.random.pick(&TEXTS)),
            7 => Json::Array((0..self.random.below(4)).map(|_| self.value(depth - 1)).collect()),
            _ => self.map(depth - 1),
        }
    }

    fn map(&mut self, depth: usize) -> Json {
        let mut map = Map::new();
        for _ in 0..self.random.below(5) {
            let key = *self.random.pick(&KEYS);
            let value = self.value(depth);
            map.insert(key.into(), value);
        }
        Json::Object(map)
    }

    fn path(&mut self) -> String {
        let mut path = match self.random.below(8) {
            0 if !self.vars.is_empty() => {
                let vars = self.vars.clone();
                self.random.pick(&vars).clone()
            }
            1 => "$.Values".to_owned(),
            _ => ".Values".to_owned(),
        };
        for _ in 0..self.random.below(3) {
            let _ = write!(path, ".{}", self.random.pick(&KEYS));
        }
        if path.is_empty() { ".".into() } else { path }
    }

    fn literal(&mut self, kind: char) -> String {
        match kind {
            's' => format!("{:?}", self.random.pick(&["a", "b", "x y", "one", "two", "{{ .a }}", "%v", ""])),
            'i' => self.random.pick(&["0", "1", "2", "-1", "3", "1.0", "'a'", "0x2"]).to_string(),
            'l' => self.random.pick(&["(list 1 \"a\" nil)", "(list)", "(until 3)"]).to_string(),
            'm' => self.random.pick(&["(dict \"a\" 1)", "(dict)", "(dict \"a\" (dict \"b\" 2))"]).to_string(),
            _ => self.random.pick(&["nil", "true", "false", "1.5", "1", "\"a\"", "list", "dict"]).to_string(),
        }
    }

    fn argument(&mut self, kind: char) -> String {
        if kind.is_ascii_uppercase() {
            return self.literal(kind.to_ascii_lowercase());
        }
        // The argument mostly fits the function, and now and then has another type.
        let kind = if self.random.one_in(25) { *self.random.pick(&['s', 'i', 'm', 'l', 'a']) } else { kind };
        match self.random.below(5) {
            0 if self.depth > 0 => {
                self.depth -= 1;
                let inner = self.pipeline();
                self.depth += 1;
                let field = if self.random.one_in(6) {
                    format!(".{}", self.random.pick(&KEYS))
                } else {
                    String::new()
                };
                format!("({inner}){field}")
            }
            1 => self.path(),
            _ => self.literal(kind),
        }
    }

    fn command(&mut self, skip_last: bool) -> String {
        let (name, takes) = *self.random.pick(&FUNCTIONS);
        let mut takes: Vec<char> = takes.chars().collect();
        if skip_last && !takes.contains(&'S') {
            takes.pop();
        }
        if self.random.one_in(40) {
            takes.push('a');
        }
        let mut out = name.to_owned();
        for kind in takes {
            let _ = write!(out, " {}", self.argument(kind));
        }
        out
    }

    fn pipeline(&mut self) -> String {
        let mut out = match self.random.below(4) {
            0 => self.path(),
            1 => self.literal('a').replace("nil", "\"nil\""),
            _ => self.command(false),
        };
        for _ in 0..self.random.below(3) {
            let command = self.command(true);
            let _ = write!(out, " | {command}");
        }
        out
    }

    fn delimited(&mut self, inside: &str) -> String {
        let left = if self.random.one_in(5) { "{{- " } else { "{{ " };
        let right = if self.random.one_in(5) { " -}}" } else { " }}" };
        format!("{left}{inside}{right}")
    }

    fn body(&mut self, depth: usize) -> String {
        let mut out = String::new();
        let vars = self.vars.len();
        for _ in 0..=self.random.below(3) {
            let piece = self.piece(depth);
            out.push_str(&piece);
        }
        self.vars.truncate(vars);
        out
    }

    fn piece(&mut self, depth: usize) -> String {
        let kind = self.random.below(if depth == 0 { 6 } else { 12 });
        match kind {
            0 => self.random.pick(&["text", "\n", "  \n ", " a ", "- x:\n"]).to_string(),
            1..=3 => {
                let pipeline = self.pipeline();
                self.delimited(&pipeline)
            }
            4 => {
                let name = format!("$v{}", self.random.below(3));
                let sign = if self.vars.contains(&name) && self.random.one_in(2) { "=" } else { ":=" };
                let pipeline = self.pipeline();
                let out = self.delimited(&format!("{name} {sign} {pipeline}"));
                self.vars.push(name);
                out
            }
            5 => {
                let name = self.random.pick(&NAMES).to_string();
                let data = if self.random.one_in(3) { String::new() } else { self.pipeline() };
                self.delimited(&format!("template {name:?} {data}"))
            }
            6 | 7 => self.branch("if", depth),
            8 => self.branch("with", depth),
            9 => {
                let pipeline = self.pipeline();
                self.delimited(&format!("if {pipeline}"))
                    + &self.body(depth - 1)
                    + "{{ else if .Values.a }}"
                    + &self.body(depth - 1)
                    + "{{ end }}"
            }
            _ => self.range(depth),
        }
    }

    fn branch(&mut self, word: &str, depth: usize) -> String {
        let pipeline = self.pipeline();
        let mut out = self.delimited(&format!("{word} {pipeline}"));
        out.push_str(&self.body(depth - 1));
        if self.random.one_in(2) {
            out.push_str(&self.delimited("else"));
            out.push_str(&self.body(depth - 1));
        }
        out.push_str(&self.delimited("end"));
        out
    }

    fn range(&mut self, depth: usize) -> String {
        let over = match self.random.below(4) {
            0 => self.pipeline(),
            1 => self.literal('l'),
            2 => self.literal('m'),
            _ => self.path(),
        };
        let vars = self.vars.len();
        let declared = match self.random.below(3) {
            0 => "$e := ",
            1 => "$i, $e := ",
            _ => "",
        };
        for name in ["$i", "$e"].iter().filter(|name| declared.contains(**name)) {
            self.vars.push((*name).to_owned());
        }
        self.ranges += 1;
        let mut out = self.delimited(&format!("range {declared}{over}"));
        out.push_str(&self.body(depth - 1));
        if self.random.one_in(4) {
            let word = *self.random.pick(&["break", "continue"]);
            let _ = write!(out, "{{{{ if .a }}}}{{{{ {word} }}}}{{{{ end }}}}");
            out.push_str(&self.body(depth - 1));
        }
        self.ranges -= 1;
        self.vars.truncate(vars);
        if self.random.one_in(3) {
            out.push_str("{{ else }}");
            out.push_str(&self.body(depth - 1));
        }
        out.push_str(&self.delimited("end"));
        out
    }

    fn case(&mut self, at: usize) -> Case {
        let mut defines = String::new();
        for name in NAMES {
            self.vars.clear();
            // A template that includes itself would only test the bound.
            let body = self.body(1).replace("include", "print").replace("template \"", "print \"");
            let _ = writeln!(defines, "{{{{- define {name:?} }}}}{body}{{{{ end }}}}");
        }
        self.vars.clear();
        let depth = self.random.below(4);
        let text = self.body(depth);
        let templates = BTreeMap::from([
            ("templates/_p.tpl".to_owned(), defines.into_bytes()),
            ("templates/a.yaml".to_owned(), text.into_bytes()),
        ]);
        Case { name: format!("generated {at}"), templates, values: self.map(3) }
    }
}

#[test]
fn random_templates_print_the_same() {
    deep(|| {
        let mut helm = Helm::start();
        let mut maker = Maker { random: Random::new(seed()), vars: Vec::new(), depth: 2, ranges: 0 };
        let (mut printed, mut differences) = (0, Vec::new());
        let most = cases(2000);
        for at in 0..most {
            let case = maker.case(at);
            let theirs = theirs(&mut helm, &case);
            printed += usize::from(theirs.is_ok());
            differences.extend(difference(&case, &theirs, &ours(&case)));
        }
        println!("{most} templates, {printed} of them printed by helm, {} differences", differences.len());
        assert!(printed > 0, "helm refuses every template");
        differences.truncate(40);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    });
}
