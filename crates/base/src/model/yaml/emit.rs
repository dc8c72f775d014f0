//! Prints values as YAML, byte by byte as Go's two YAML libraries, go-yaml v2 and v3, print them. `Layout`
//! selects the library and the layout.
//!
//! Both libraries use libyaml's emitter; `is_v3` marks the places where they differ.

mod order;
mod raw;
mod style;

use serde_json::{Map, Value};

use self::style::{EmitStyle, Words, is_break};
use super::scalar::{float_text, general_float_text};

pub use self::raw::{RawScalar, RawScalars};
pub(super) use self::style::is_quoted_when_plain;
pub use self::style::is_usually_quoted;

/// The longest key, in bytes, that stands before its colon without a `?`.
const SIMPLE_KEY_LIMIT: usize = 128;

/// The column after which go-yaml v2 breaks a line at the next space.
const V2_WIDTH: usize = 80;

/// The source of indentation.
const BLANKS: &str = "                                                                ";

/// The layout of printed YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    words: Words,
    /// The number of spaces for each level, from 2 to 9; go-yaml v2 always uses 2.
    indent: usize,
    /// Whether lists begin at the column of their key, as always with go-yaml v2.
    compact: bool,
    /// The column after which lines are broken.
    width: usize,
    /// Whether keys are sorted as in Go's libraries.
    sorted: bool,
}

impl Layout {
    /// The layout of `sigs.k8s.io/yaml` with go-yaml v2, which kustomize and Helm's `toYaml` use.
    pub const V2: Self = Self { words: Words::V2, indent: 2, compact: true, width: V2_WIDTH, sorted: true };

    /// The layout of go-yaml v3 with an indentation of 2 and with lists indented under their keys, as in
    /// Helm's `toYamlPretty`.
    pub const V3: Self =
        Self { words: Words::V3, indent: 2, compact: false, width: usize::MAX, sorted: true };

    /// A layout that every reader of YAML reads back equal: keys in their own order, and no broken lines.
    pub const PORTABLE: Self =
        Self { words: Words::Any, indent: 2, compact: true, width: usize::MAX, sorted: false };

    /// This layout with another indentation, from 2 to 9 spaces; only go-yaml v3 has a choice.
    #[must_use]
    pub const fn indented_by(self, indent: usize) -> Self {
        Self { indent, ..self }
    }

    /// This layout with lists at the column of their keys.
    #[must_use]
    pub const fn with_compact_lists(self) -> Self {
        Self { compact: true, ..self }
    }

    /// This layout with keys in their own order, as kyaml prints the nodes that it has read.
    #[must_use]
    pub const fn unsorted(self) -> Self {
        Self { sorted: false, ..self }
    }

    /// Whether indentation, tabs and the order of keys follow go-yaml v3.
    const fn is_v3(self) -> bool {
        matches!(self.words, Words::V3)
    }
}

/// The value as one YAML document in block style.
pub fn print(value: &Value, layout: Layout) -> String {
    print_with(value, layout, None)
}

/// A value as one YAML document in block style, with scalars that no value can represent. Each of their texts
/// comes from [`RawScalars`].
pub fn print_raw(value: &Value, layout: Layout, raw: &RawScalars) -> String {
    print_with(value, layout, Some(raw))
}

fn print_with(value: &Value, layout: Layout, raw: Option<&RawScalars>) -> String {
    let mut emitter = Emitter {
        layout,
        raw,
        out: String::new(),
        column: 0,
        indent: None,
        is_blank: true,
        is_indentation: true,
    };
    emitter.node(value, Parent::Document);
    emitter.indent = None;
    emitter.start_line();
    emitter.out
}

/// The value as one YAML document that every reader reads back equal, with keys in their own order.
///
/// A float without a fraction reads back as an integer, since no reader tells the two apart.
pub fn to_string(value: &Value) -> String {
    print(value, Layout::PORTABLE)
}

/// The parent of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent {
    Document,
    List,
    /// As a key or as a value.
    Map,
}

struct Emitter<'r> {
    layout: Layout,
    /// The scalars that texts stand for.
    raw: Option<&'r RawScalars>,
    out: String,
    /// The column, in characters.
    column: usize,
    /// The column of the open collection; `None` for the document.
    indent: Option<usize>,
    /// Whether the character before the cursor separates words: a blank, a line feed or an open bracket.
    is_blank: bool,
    /// Whether the line so far has only indentation, and the dashes and marks of collections.
    is_indentation: bool,
}

impl Emitter<'_> {
    fn node(&mut self, value: &Value, parent: Parent) {
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(map, parent),
            Value::Array(items) if !items.is_empty() => self.list(items, parent),
            Value::Object(_) => {
                self.indicator("{", true, false);
                self.indicator("}", false, false);
            }
            Value::Array(_) => {
                self.indicator("[", true, false);
                self.indicator("]", false, false);
            }
            Value::String(text) => self.string(text, parent, false),
            Value::Null => self.word("null"),
            Value::Bool(flag) => self.word(if *flag { "true" } else { "false" }),
            Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(float) if self.layout.words == Words::Any => self.word(&float_text(float)),
                Some(float) => self.word(&general_float_text(float)),
                None => self.word(&number.to_string()),
            },
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>, parent: Parent) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(0, |indent| self.deeper(indent, parent)));
        if self.layout.sorted {
            for (key, value) in order::sorted(map, self.layout.is_v3()) {
                self.entry(key, value);
            }
        } else {
            for (key, value) in map {
                self.entry(key, value);
            }
        }
        self.indent = outer;
    }

    fn entry(&mut self, key: &str, value: &Value) {
        self.start_line();
        if key.len() <= SIMPLE_KEY_LIMIT && !key.contains(is_break) {
            self.string(key, Parent::Map, true);
            self.indicator(":", false, false);
        } else {
            self.indicator("?", true, true);
            self.string(key, Parent::Map, false);
            self.start_line();
            self.indicator(":", true, true);
        }
        self.node(value, Parent::Map);
    }

    fn list(&mut self, items: &[Value], parent: Parent) {
        let outer = self.indent;
        // After a key on the same line, a compact list stays at the key's column.
        let behind_key = parent == Parent::Map && !self.is_indentation;
        self.indent = Some(match outer {
            None => 0,
            Some(indent) if self.layout.is_v3() => {
                let is_compact = self.layout.compact && parent == Parent::Map && behind_key;
                self.deeper(indent, parent) - if is_compact { 2 } else { 0 }
            }
            Some(indent) if behind_key => indent,
            Some(indent) => indent + self.layout.indent,
        });
        for item in items {
            self.start_line();
            self.indicator("-", true, true);
            self.node(item, Parent::List);
        }
        self.indent = outer;
    }

    /// The indentation one level further inside.
    fn deeper(&self, indent: usize, parent: Parent) -> usize {
        let step = self.layout.indent;
        match parent {
            _ if !self.layout.is_v3() => indent + step,
            Parent::List => indent + 2,
            Parent::Document | Parent::Map => step * ((indent + step) / step),
        }
    }

    /// A string in the style that fits it; a key before its colon has no line breaks.
    fn string(&mut self, text: &str, parent: Parent, is_simple_key: bool) {
        let text = match self.raw.map_or(Err(text), |raw| raw.read(text)) {
            Ok(scalar) => return self.raw_scalar(scalar, parent),
            Err(text) => text,
        };
        let style = style::of(text, self.layout.words, is_simple_key);
        if style == EmitStyle::Plain && (is_simple_key || self.fits(text)) {
            return self.word(text);
        }
        let outer = self.indent;
        self.indent = Some(outer.map_or(self.layout.indent, |indent| self.deeper(indent, parent)));
        match style {
            EmitStyle::Plain => self.plain(text),
            EmitStyle::Single => self.single_quoted(text, !is_simple_key),
            EmitStyle::Double => self.double_quoted(text, !is_simple_key),
            EmitStyle::Literal => self.literal(text),
        }
        self.indent = outer;
    }

    fn raw_scalar(&mut self, scalar: &RawScalar, parent: Parent) {
        if let Some(tag) = scalar.tag {
            self.word(tag);
        }
        if !scalar.text.contains('\n') {
            return self.word(&scalar.text);
        }
        let outer = self.indent;
        self.indent = Some(outer.map_or(self.layout.indent, |indent| self.deeper(indent, parent)));
        self.literal(&scalar.text);
        self.indent = outer;
    }

    /// Whether a text and a blank before it end before the column after which lines are broken.
    fn fits(&self, text: &str) -> bool {
        self.layout.width == usize::MAX || self.column + 1 + text.len() <= self.layout.width
    }

    /// Writes a text unchanged on this line.
    fn word(&mut self, text: &str) {
        if !self.is_blank {
            self.put(' ');
        }
        self.put_all(text);
        (self.is_blank, self.is_indentation) = (false, false);
    }

    fn plain(&mut self, text: &str) {
        if !self.is_blank {
            self.put(' ');
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (word, behind) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
            self.put_all(word);
            rest = behind.trim_start_matches(' ');
            let spaces = behind.len() - rest.len();
            if spaces == 1 && self.column > self.layout.width {
                self.start_line();
            } else {
                (0..spaces).for_each(|_| self.put(' '));
            }
        }
        (self.is_blank, self.is_indentation) = (false, false);
    }

    fn single_quoted(&mut self, text: &str, may_break: bool) {
        self.indicator("'", true, false);
        let (mut in_spaces, mut in_breaks) = (false, false);
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == ' ' {
                let is_inside = at > 0 && chars.peek().is_some_and(|(_, next)| *next != ' ');
                if may_break && !in_spaces && self.column > self.layout.width && is_inside {
                    self.start_line();
                } else {
                    self.put(c);
                }
                in_spaces = true;
            } else if is_break(c) {
                if !in_breaks && c == '\n' {
                    self.put_break('\n');
                }
                self.put_break(c);
                in_breaks = true;
            } else {
                if in_breaks {
                    self.start_line();
                }
                if c == '\'' {
                    self.put(c);
                }
                self.put(c);
                self.is_indentation = false;
                (in_spaces, in_breaks) = (false, false);
            }
        }
        self.indicator("'", false, false);
    }

    fn double_quoted(&mut self, text: &str, may_break: bool) {
        self.indicator("\"", true, false);
        // Libyaml looks for a byte order mark at the beginning of the text, and not at its place.
        let marked = text.starts_with('\u{feff}');
        let mut in_spaces = false;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            if marked || style::is_escaped(c) {
                style::escape(c, &mut |c| self.put(c));
            } else if c == ' '
                && may_break
                && !in_spaces
                && self.column > self.layout.width
                && at > 0
                && next.is_some()
            {
                self.start_line();
                if next == Some(' ') {
                    self.put('\\');
                }
            } else {
                self.put(c);
            }
            in_spaces = c == ' ' && !marked;
        }
        self.indicator("\"", false, false);
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            // The first line cannot show where the indentation ends.
            let hint = char::from_digit(u32::try_from(self.layout.indent).unwrap_or_default(), 10);
            self.put(hint.unwrap_or('2'));
        }
        let mut from_end = text.chars().rev();
        match (from_end.next().is_some_and(is_break), from_end.next()) {
            (false, _) => self.put('-'),
            (true, before) if before.is_none_or(is_break) => self.put('+'),
            (true, _) => {}
        }
        self.put_break('\n');
        self.is_blank = true;
        let mut in_breaks = true;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if is_break(c) {
                self.put_break(c);
                rest = &rest[c.len_utf8()..];
                in_breaks = true;
                continue;
            }
            if in_breaks {
                self.start_line();
            }
            let (line, behind) = rest.split_at(rest.find(is_break).unwrap_or(rest.len()));
            self.put_all(line);
            rest = behind;
            (self.is_indentation, in_breaks) = (false, false);
        }
    }

    /// Moves to the column of the open collection, on a new line if this one has other content.
    fn start_line(&mut self) {
        let indent = self.indent.unwrap_or_default();
        if !self.is_indentation || self.column > indent || (self.column == indent && !self.is_blank) {
            self.put_break('\n');
        }
        while self.column < indent {
            let blanks = &BLANKS[..BLANKS.len().min(indent - self.column)];
            self.out.push_str(blanks);
            self.column += blanks.len();
        }
        (self.is_blank, self.is_indentation) = (true, true);
    }

    fn indicator(&mut self, mark: &str, parts_from_before: bool, is_indentation: bool) {
        if parts_from_before && !self.is_blank {
            self.put(' ');
        }
        self.put_all(mark);
        self.is_blank = matches!(mark, "{" | "[");
        self.is_indentation &= is_indentation;
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_all(&mut self, text: &str) {
        self.out.push_str(text);
        // It only has to be right if lines are broken.
        self.column += if text.is_ascii() { text.len() } else { text.chars().count() };
    }

    fn put_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
        self.is_indentation = true;
    }
}
