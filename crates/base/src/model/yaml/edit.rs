//! A YAML text whose values can be changed. Its comments, its flow collections and the notation of its
//! scalars stay. The result is laid out as go-yaml v3 does it in kustomize: two blanks a level, none before
//! the dashes of a list, no empty lines.

use std::collections::VecDeque;
use std::fmt::Write as _;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle};
use serde_json::Value;

use super::document::{Dialect, PathStep};
use super::scalar::plain_value;

/// The deepest nesting of a text.
const DEPTH_LIMIT: usize = 100;

/// The new content of a place.
#[derive(Debug, Clone, Copy)]
pub enum New<'v> {
    /// The text of a scalar, which keeps its type.
    Text(&'v str),
    /// The text of a scalar that gets the type of its text.
    Untyped(&'v str),
    /// A value.
    Value(&'v Value),
}

/// A text that is taken apart. Anchors, tags, folded scalars and comments that belong to no entry are not
/// supported.
#[derive(Debug, Clone)]
pub struct Edit(Node);

#[derive(Debug, Clone)]
enum Node {
    Scalar(Scalar),
    Map { entries: Vec<Entry>, flow: bool },
    List { items: Vec<Entry>, flow: bool },
}

#[derive(Debug, Clone)]
struct Scalar {
    text: String,
    style: Style,
    /// A value of the scalar's type; `None` if its text decides the type.
    kind: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// An entry of a mapping or an item of a list.
#[derive(Debug, Clone)]
struct Entry {
    /// The comments in front of it.
    head: Vec<String>,
    key: Option<Scalar>,
    value: Node,
    /// The comment on its first line.
    comment: Option<String>,
}

impl Edit {
    /// Takes a text apart; `None` if a part of it could not be kept.
    pub fn new(text: &str) -> Option<Self> {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: DEPTH_LIMIT,
            block_nesting_limit: DEPTH_LIMIT,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        let mut reader = Reader { parser, comments: VecDeque::new(), text };
        reader.comments = reader.comment_lines();
        reader.root().map(Self)
    }

    /// Sets the content of a place, and creates missing parts of the path. `None` if the path leads through a
    /// scalar.
    pub fn set(&mut self, way: &[PathStep], new: New<'_>) -> Option<()> {
        let mut at = &mut self.0;
        for (number, step) in way.iter().enumerate() {
            let fresh = Node::fresh(way.get(number + 1));
            at = match (at, step) {
                (Node::Map { entries, .. }, PathStep::Key(name)) => {
                    let is_it = |entry: &Entry| entry.key.as_ref().is_some_and(|key| key.text == *name);
                    let found = entries.iter().position(is_it);
                    let index = found.unwrap_or_else(|| {
                        let key = Scalar::of(&Value::from(name.as_str()));
                        entries.push(Entry { head: Vec::new(), key: Some(key), value: fresh, comment: None });
                        entries.len() - 1
                    });
                    &mut entries[index].value
                }
                (Node::List { items, .. }, PathStep::Index(index)) => {
                    if *index == items.len() {
                        items.push(Entry { head: Vec::new(), key: None, value: fresh, comment: None });
                    }
                    &mut items.get_mut(*index)?.value
                }
                _ => return None,
            };
        }
        match (new, at) {
            (New::Text(text), Node::Scalar(scalar)) => text.clone_into(&mut scalar.text),
            (New::Untyped(text), at) => {
                *at = Node::Scalar(Scalar { text: text.to_owned(), style: Style::Plain, kind: None });
            }
            (New::Text(text), at) => *at = Node::of(&Value::from(text)),
            (New::Value(value), at) => *at = Node::of(value),
        }
        Some(())
    }
}

impl std::fmt::Display for Edit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.0.write(&mut out, 0, 0, None);
        f.write_str(&out)
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// Lines, counted from 1, that hold only a comment.
    comments: VecDeque<(usize, String)>,
    text: &'t str,
}

impl<'t> Reader<'t> {
    fn comment_lines(&self) -> VecDeque<(usize, String)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        lines
            .filter(|(_, line)| line.starts_with('#'))
            .map(|(number, line)| (number, line.to_owned()))
            .collect()
    }

    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        self.parser.next_event()?.ok()
    }

    fn root(&mut self) -> Option<Node> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => break,
                (event, span) if root.is_none() => root = Some(self.node(event, &span, 0)?.0),
                _ => return None,
            }
        }
        root.filter(|_| self.comments.is_empty())
    }

    /// A node, and the line and column behind it if it ends on the line on which it begins.
    fn node(
        &mut self,
        event: Event<'t>,
        span: &Span,
        depth: usize,
    ) -> Option<(Node, Option<(usize, usize)>)> {
        let start = span.start.line();
        let (node, end) = match event {
            _ if depth > DEPTH_LIMIT => return None,
            Event::Scalar(text, style, 0, None) => (self.scalar(&text, style, span)?, span.end),
            Event::SequenceStart(style, 0, None) => {
                let mut items = Vec::new();
                let end = loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break span.end;
                    }
                    let head = self.head(span.start.line());
                    let (value, end) = self.node(event, &span, depth + 1)?;
                    items.push(Entry {
                        head,
                        key: None,
                        value,
                        comment: end.and_then(|end| self.comment_at(end)),
                    });
                };
                (Node::List { items, flow: style == StructureStyle::Flow }, end)
            }
            Event::MappingStart(style, 0, None) => {
                let mut entries = Vec::new();
                let end = loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::MappingEnd) {
                        break span.end;
                    }
                    entries.push(self.entry(event, &span, depth)?);
                };
                (Node::Map { entries, flow: style == StructureStyle::Flow }, end)
            }
            _ => return None,
        };
        let is_block = matches!(&node, Node::Map { flow: false, .. } | Node::List { flow: false, .. });
        let is_literal = matches!(&node, Node::Scalar(Scalar { style: Style::Literal, .. }));
        let end = (!is_block && !is_literal && (end.line() == start || !matches!(node, Node::Scalar(_))))
            .then_some((end.line(), end.col()));
        Some((node, end))
    }

    fn entry(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Option<Entry> {
        let head = self.head(span.start.line());
        let (Node::Scalar(key), Some((line, column))) = self.node(event, span, depth + 1)? else {
            return None;
        };
        let (event, span) = self.next()?;
        let (value, end) = self.node(event, &span, depth + 1)?;
        // The place is after the colon if the value begins on a line of its own.
        let end = end.unwrap_or((line, column + 1));
        Some(Entry { head, key: Some(key), value, comment: self.comment_at(end) })
    }

    /// The comments that stand before a line.
    fn head(&mut self, line: usize) -> Vec<String> {
        let mut head = Vec::new();
        while let Some((_, comment)) = self.comments.pop_front_if(|(at, _)| *at < line) {
            head.push(comment);
        }
        head
    }

    /// The comment after a place.
    fn comment_at(&self, (line, column): (usize, usize)) -> Option<String> {
        let line = self.text.lines().nth(line - 1)?;
        let rest: String = line.chars().skip(column).collect();
        let rest = rest.strip_prefix([',', ':']).unwrap_or(&rest).trim();
        rest.starts_with('#').then(|| rest.to_owned())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: &Span) -> Option<Node> {
        let (style, kind) = match style {
            ScalarStyle::Plain => (Style::Plain, plain_value(text, Dialect::V3).ok()?),
            ScalarStyle::SingleQuoted => (Style::Single, Value::from("")),
            ScalarStyle::DoubleQuoted => (Style::Double, Value::from("")),
            ScalarStyle::Literal => (Style::Literal, Value::from("")),
            ScalarStyle::Folded => return None,
        };
        // A `#` inside a text begins no comment.
        let (start, end) = (span.start.line(), span.end.line() + usize::from(span.end.col() > 0));
        self.comments.retain(|(at, _)| !(start..end.max(start + 1)).contains(at));
        Some(Node::Scalar(Scalar { text: text.to_owned(), style, kind: Some(kind) }))
    }
}

impl Node {
    /// The new node for the next step of a path.
    fn fresh(next: Option<&PathStep>) -> Self {
        match next {
            None => Self::Scalar(Scalar { text: String::new(), style: Style::Plain, kind: None }),
            Some(PathStep::Key(_)) => Self::Map { entries: Vec::new(), flow: false },
            Some(PathStep::Index(_)) => Self::List { items: Vec::new(), flow: false },
        }
    }

    fn of(value: &Value) -> Self {
        let entry = |key: Option<&String>, value: &Value| Entry {
            head: Vec::new(),
            key: key.map(|key| Scalar::of(&Value::from(key.as_str()))),
            value: Self::of(value),
            comment: None,
        };
        match value {
            Value::Object(map) => Self::Map {
                entries: map.iter().map(|(key, value)| entry(Some(key), value)).collect(),
                flow: false,
            },
            Value::Array(items) => {
                Self::List { items: items.iter().map(|item| entry(None, item)).collect(), flow: false }
            }
            scalar => Self::Scalar(Scalar::of(scalar)),
        }
    }

    /// Writes the node. `first` is the indent of the lines of a collection, `inner` that of a literal's
    /// lines. A comment goes to the end of the first line.
    fn write(&self, out: &mut String, first: usize, inner: usize, comment: Option<&str>) {
        let mark = |out: &mut String| {
            if let Some(comment) = comment {
                let _ = write!(out, " {comment}");
            }
            out.push('\n');
        };
        match self {
            Self::Scalar(scalar) => {
                let written = scalar.written(false);
                let (head, lines) = written.split_once('\n').unwrap_or((&written, ""));
                out.push_str(head);
                mark(out);
                for line in lines.lines() {
                    if !line.is_empty() {
                        pad(out, inner);
                    }
                    let _ = writeln!(out, "{line}");
                }
            }
            Self::Map { entries: all, flow: false } | Self::List { items: all, flow: false }
                if !all.is_empty() =>
            {
                for (at, entry) in all.iter().enumerate() {
                    if at > 0 {
                        pad(out, first);
                    }
                    entry.write(out, first);
                }
            }
            flow => {
                flow.write_flow(out);
                mark(out);
            }
        }
    }

    fn write_flow(&self, out: &mut String) {
        let (all, signs) = match self {
            Self::Scalar(scalar) => return out.push_str(&scalar.written(true)),
            Self::Map { entries, .. } => (entries, ['{', '}']),
            Self::List { items, .. } => (items, ['[', ']']),
        };
        out.push(signs[0]);
        for (at, entry) in all.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            if let Some(key) = &entry.key {
                let _ = write!(out, "{}: ", key.written(true));
            }
            entry.value.write_flow(out);
        }
        out.push(signs[1]);
    }
}

impl Entry {
    /// Writes an entry; the cursor stands at the indent already.
    fn write(&self, out: &mut String, indent: usize) {
        for comment in &self.head {
            let _ = writeln!(out, "{comment}");
            pad(out, indent);
        }
        let comment = self.comment.as_deref();
        let Some(key) = &self.key else {
            out.push_str("- ");
            return self.value.write(out, indent + 2, indent + 2, comment);
        };
        let _ = write!(out, "{}:", key.written(false));
        let below = match &self.value {
            Node::Map { entries, flow: false } if !entries.is_empty() => indent + 2,
            Node::List { items, flow: false } if !items.is_empty() => indent,
            Node::Scalar(Scalar { text, style: Style::Plain, kind: None | Some(Value::Null) })
                if text.is_empty() =>
            {
                return self.value.write(out, 0, 0, comment);
            }
            _ => {
                out.push(' ');
                return self.value.write(out, indent + 2, indent + 2, comment);
            }
        };
        if let Some(comment) = comment {
            let _ = write!(out, " {comment}");
        }
        out.push('\n');
        pad(out, below);
        self.value.write(out, below, below, None);
    }
}

impl Scalar {
    fn of(value: &Value) -> Self {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        Self { text, style: Style::Plain, kind: Some(value.clone()) }
    }

    /// The text of the scalar; the lines of a literal begin after its `|`.
    fn written(&self, flow: bool) -> String {
        let looks = plain_value(&self.text, Dialect::V3).unwrap_or_else(|_| Value::from(self.text.as_str()));
        let (mut tag, mut style) = ("", self.style);
        if style == Style::Plain {
            let same = self.kind.as_ref().is_none_or(|kind| same_type(kind, &looks));
            match &self.kind {
                _ if self.text.contains('\n') => style = if flow { Style::Double } else { Style::Literal },
                Some(Value::String(_)) if !same => style = Style::Double,
                _ if !plain_is_possible(&self.text, flow) && looks.is_string() => style = Style::Single,
                _ => {}
            }
            match &self.kind {
                Some(Value::Number(number)) if !same => {
                    tag = if number.is_f64() { "!!float " } else { "!!int " }
                }
                Some(Value::Bool(_)) if !same => tag = "!!bool ",
                Some(Value::Null) if !same => tag = "!!null ",
                _ => {}
            }
        }
        let text = &self.text;
        let written = match style {
            Style::Plain => text.clone(),
            Style::Single if !text.contains('\n') => format!("'{}'", text.replace('\'', "''")),
            Style::Literal if !flow && !text.is_empty() => literal(text),
            Style::Single | Style::Double | Style::Literal => double_quoted(text),
        };
        format!("{tag}{written}").trim_end_matches(' ').to_owned()
    }
}

fn same_type(kind: &Value, looks: &Value) -> bool {
    match (kind, looks) {
        (Value::Number(kind), Value::Number(looks)) => kind.is_f64() || !looks.is_f64(),
        _ => std::mem::discriminant(kind) == std::mem::discriminant(looks),
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn literal(text: &str) -> String {
    let (hint, body) = (if text.starts_with([' ', '\n']) { "2" } else { "" }, text.trim_end_matches('\n'));
    let chomp = match text.len() - body.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    format!("|{hint}{chomp}\n{}", if chomp == "+" { &text[..text.len() - 1] } else { body })
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// Whether a text on one line can stand without quotes.
fn plain_is_possible(text: &str, flow: bool) -> bool {
    let indicator = |c: char| "#,[]{}&*!|>'\"%@`".contains(c);
    let before_blank = |c: char| text.starts_with(&format!("{c} ")) || text == c.to_string();
    let in_flow = flow && (text.contains([',', '?', '[', ']', '{', '}', ':']) || text.starts_with('-'));
    !(text.starts_with(indicator)
        || text.starts_with(' ')
        || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
        || text.starts_with("---")
        || text.starts_with("...")
        || before_blank('-')
        || before_blank('?')
        || in_flow)
}

#[cfg(test)]
mod tests;
