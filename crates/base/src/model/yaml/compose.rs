//! From a parser's events to JSON values: anchors, merge keys, duplicate keys and the limits that keep a
//! hostile text from filling memory or the stack.

mod checks;
mod entries;
pub(super) mod fold;
mod keys;
mod node;

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput, StructureStyle};
use serde_json::Value;

use self::checks::{check_separators, refuse_control_characters};
use self::entries::MappingEntries;
use self::keys::{KeyRule, key_v2, key_v3};
use self::node::{ComposedNode, NodeContent, Notes, Place, merge_over, merge_under, scalar};
use super::document::{Dialect, Document, Form, PathStep, Styles, TextStyle, WrittenAs, YamlError};
use super::emit::{is_quoted_when_plain, is_usually_quoted};
use super::scalar::{Scalar, Tag, is_text, resolve};

/// The deepest nesting of collections, aliases expanded. Kubernetes objects stay below 60.
const DEPTH_LIMIT: usize = 200;

/// How many nodes anchors and aliases may copy in one stream. Each 32 bytes of text count as one more node.
/// That many nodes take some 10 MB, and no object that a cluster stores has as many.
const ALIAS_BUDGET: usize = 100_000;

/// Composes the documents of a stream one by one.
pub(super) struct Composer<'t> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    dialect: Dialect,
    anchors: HashMap<usize, ComposedNode>,
    budget: usize,
    /// The number of values that may still be read.
    left: usize,
    /// The number of open flow collections.
    flow: usize,
    /// Whether the first of two equal keys counts; otherwise equal keys are an error.
    first_wins: bool,
    /// The line of a quoted text at which the parser stopped, because the line is not indented deeper than
    /// the text's key.
    unindented: Option<usize>,
    /// Line and column of the end of a text whose last line has no line feed.
    end: Option<(usize, usize)>,
}

type Next<'t> = (Event<'t>, Place);

impl<'t> Composer<'t> {
    /// Reads a text of at most `most` values.
    pub(super) fn new(text: &'t str, dialect: Dialect, most: usize) -> Result<Self, YamlError> {
        refuse_control_characters(text)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if dialect == Dialect::V3 {
            check_separators(text)?;
        }
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: DEPTH_LIMIT,
            block_nesting_limit: DEPTH_LIMIT,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        let last = text.rsplit('\n').next().filter(|last| !last.trim().is_empty());
        let end = last.map(|last| (text.matches('\n').count() + 1, last.chars().count()));
        Ok(Self {
            parser,
            text,
            dialect,
            anchors: HashMap::new(),
            budget: ALIAS_BUDGET,
            left: most,
            flow: 0,
            first_wins: false,
            unindented: None,
            end,
        })
    }

    /// Takes the first of two equal keys from now on.
    pub(super) fn take_first_keys(&mut self) {
        self.first_wins = true;
    }

    /// The number of values that may still be read.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The line at which the parser stopped although Go's readers accept it.
    pub(super) fn unindented(&self) -> Option<usize> {
        self.unindented
    }

    /// The next document; `None` at the end of the stream.
    pub(super) fn document(&mut self) -> Result<Option<Document>, YamlError> {
        loop {
            match self.next()? {
                None | Some((Event::StreamEnd, _)) => return Ok(None),
                Some((Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _)) => {}
                Some((event, place)) => {
                    self.anchors.clear();
                    let event = self.with_indented_text(event, place)?;
                    let node = self.node(event, place, 0)?;
                    let mut notes = Notes::default();
                    let value = self.value(node, &mut notes, 0, &|| None)?;
                    for written in &mut notes.texts {
                        written.way.reverse();
                    }
                    let styles = notes.styles.pop().map(|(_, styles)| styles).unwrap_or_default();
                    return Ok(Some(Document { value, line: place.line, texts: notes.texts, styles }));
                }
            }
        }
    }

    /// Handles a block scalar that is a whole document. Go's readers do not take lines without indentation as
    /// part of it.
    fn with_indented_text(&self, event: Event<'t>, place: Place) -> Result<Event<'t>, YamlError> {
        if !matches!(event, Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..)) {
            return Ok(event);
        }
        let mut lines = self.text.lines().skip(place.line).filter(|line| !line.trim().is_empty());
        match lines.next() {
            Some(line) if !line.starts_with([' ', '#']) && !is_marker(line) => {
                if self.dialect == Dialect::V3 {
                    return Err(place.error("there is text after the end of a document; indent it"));
                }
                Ok(Event::Scalar(Cow::Borrowed(""), ScalarStyle::Literal, 0, None))
            }
            _ => Ok(event),
        }
    }

    fn next(&mut self) -> Result<Option<Next<'t>>, YamlError> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                let place = Place::of(&span, span.is_empty());
                let end = (span.end.line(), span.end.col());
                Ok(Some((event, Place { to_the_end: Some(end) == self.end, ..place })))
            }
            Some(Err(error)) => {
                if *error.kind() == ErrorKind::InvalidQuotedScalarIndent {
                    self.unindented = Some(error.marker().line());
                }
                Err(syntax_error(&error))
            }
        }
    }

    fn require(&mut self, place: Place) -> Result<Next<'t>, YamlError> {
        self.next()?.ok_or_else(|| place.error("the text ends inside a document"))
    }

    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<ComposedNode, YamlError> {
        if depth > DEPTH_LIMIT {
            return Err(place.error(format!("nested deeper than {DEPTH_LIMIT} levels")));
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| place.error("the text has too many values"))?;
        let (anchor, node) = match event {
            Event::Scalar(mut text, style, anchor, tag) => {
                let written = match style {
                    _ if tag.as_deref().is_some_and(|tag| tag.to_string() != "!") => TextStyle::Tagged,
                    ScalarStyle::Plain => TextStyle::Plain,
                    ScalarStyle::Folded => TextStyle::Folded,
                    _ => TextStyle::Quoted,
                };
                let tag = self.tag(tag.as_deref(), style);
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if is_block && place.to_the_end && text.ends_with('\n') {
                    // The parser adds a line feed that the text does not have.
                    text.to_mut().pop();
                }
                (anchor, scalar(text, tag, place, written))
            }
            Event::SequenceStart(style, anchor, _) => {
                self.flow += usize::from(style == StructureStyle::Flow);
                let node = self.sequence(place, depth)?;
                self.flow -= usize::from(style == StructureStyle::Flow);
                (anchor, ComposedNode { flow: style == StructureStyle::Flow, ..node })
            }
            Event::MappingStart(style, anchor, _) => {
                self.flow += usize::from(style == StructureStyle::Flow);
                let node = self.mapping(place, depth)?;
                self.flow -= usize::from(style == StructureStyle::Flow);
                (anchor, ComposedNode { flow: style == StructureStyle::Flow, ..node })
            }
            Event::Alias(id) => return self.alias(id, place, depth),
            _ => return Err(place.error("expected a scalar, a list or a mapping")),
        };
        if anchor != 0 {
            self.spend(node.weight, place)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// The tag that decides the type of a scalar; `None` if its text decides.
    fn tag(&self, tag: Option<&granit_parser::Tag>, style: ScalarStyle) -> Option<Tag> {
        let plain = style == ScalarStyle::Plain;
        let Some(tag) = tag else { return if plain { None } else { Some(Tag::Str) } };
        if tag.to_string() != "!" {
            let name = tag.suffix_in_namespace("tag:yaml.org,2002:");
            return Some(name.map_or(Tag::Other, |name| Tag::named(&name)));
        }
        // A lone `!` is a tag without meaning to v2, and no tag to v3.
        match self.dialect {
            Dialect::V2 => Some(Tag::Other),
            Dialect::V3 if plain => None,
            Dialect::V3 => Some(Tag::Str),
        }
    }

    fn alias(&mut self, id: usize, place: Place, depth: usize) -> Result<ComposedNode, YamlError> {
        // An anchor exists only once its node is complete, so an alias inside its own anchor is not found.
        let Some(target) = self.anchors.get(&id) else {
            return Err(place.error("an anchor's value contains itself"));
        };
        let (weight, height) = (target.weight, target.height);
        if depth + height > DEPTH_LIMIT {
            return Err(place.error(format!("nested deeper than {DEPTH_LIMIT} levels")));
        }
        self.spend(weight, place)?;
        let mut node = self.anchors[&id].clone();
        node.aliased = true;
        node.place = place;
        Ok(node)
    }

    fn spend(&mut self, weight: usize, place: Place) -> Result<(), YamlError> {
        self.budget = self.budget.checked_sub(weight).ok_or_else(|| {
            place.error(format!(
                "aliases expand the text to more than {ALIAS_BUDGET} values; is it an alias bomb?"
            ))
        })?;
        Ok(())
    }

    fn sequence(&mut self, start: Place, depth: usize) -> Result<ComposedNode, YamlError> {
        let (mut items, mut notes, mut weight, mut height) = (Vec::new(), Notes::default(), 1, 0);
        loop {
            let (event, place) = self.require(start)?;
            if matches!(event, Event::SequenceEnd) {
                items.shrink_to_fit();
                return Ok(ComposedNode::collection(Value::Array(items), start, weight, height + 1, notes));
            }
            let item = self.node(event, place, depth + 1)?;
            weight += item.weight;
            height = height.max(item.height);
            let value = self.value(item, &mut notes, items.len(), &|| Some(PathStep::Index(items.len())))?;
            items.push(value);
        }
    }

    fn mapping(&mut self, start: Place, depth: usize) -> Result<ComposedNode, YamlError> {
        let (mut entries, mut notes, mut weight, mut height) =
            (MappingEntries::default(), Notes::default(), 1, 0);
        let mut merge: Option<Box<ComposedNode>> = None;
        loop {
            let (event, place) = self.require(start)?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, place, depth + 1)?;
            // A key does not count as a value, and every mapping entry has one.
            self.left += 1;
            let (event, place) = self.require(start)?;
            let entry = self.node(event, place, depth + 1)?;
            weight += key.weight + entry.weight;
            height = height.max(entry.height);
            let key_place = key.place;
            match self.key(key, depth)? {
                KeyRule::Dropped => {}
                KeyRule::Merge if self.dialect == Dialect::V2 => merge_over(entries.as_map_mut(), &entry)?,
                KeyRule::Merge if merge.is_some() => {
                    return Err(key_place.error("two merge keys in one mapping"));
                }
                KeyRule::Merge => merge = Some(Box::new(entry)),
                KeyRule::Text(key) => self.insert(&mut entries, &mut notes, key, key_place, entry)?,
            }
        }
        let mut map = entries.into_map();
        if let Some(merge) = merge {
            merge_under(&mut map, &mut notes, &merge)?;
        }
        Ok(ComposedNode::collection(Value::Object(map), start, weight, height + 1, notes))
    }

    fn insert(
        &self,
        entries: &mut MappingEntries,
        notes: &mut Notes,
        key: String,
        key_place: Place,
        value: ComposedNode,
    ) -> Result<(), YamlError> {
        let position = entries.len();
        match (entries.contains(&key), self.dialect) {
            (true, _) if self.first_wins => {}
            (true, Dialect::V3) => {
                return Err(key_place.error(format!("key '{key}' is already defined in this mapping")));
            }
            (true, Dialect::V2) => {
                let value = self.value(value, notes, position, &|| None)?;
                entries.as_map_mut().insert(key, value);
            }
            (false, _) => {
                let value = self.value(value, notes, position, &|| Some(PathStep::Key(key.clone())))?;
                entries.push(key, value);
            }
        }
        Ok(())
    }

    fn key(&self, key: ComposedNode, depth: usize) -> Result<KeyRule, YamlError> {
        let place = key.place;
        let NodeContent::Scalar { text, tag, .. } = key.content else {
            return Err(place.error("a list or a mapping cannot be a key"));
        };
        match self.dialect {
            Dialect::V3 => key_v3(text, tag, depth).map_err(|message| place.error(message)),
            Dialect::V2 => key_v2(text, tag).map_err(|message| place.error(message)),
        }
    }

    /// The value of a node at a position. Details that the value does not show are noted, with the paths of
    /// its texts extended by `step`.
    fn value(
        &self,
        node: ComposedNode,
        notes: &mut Notes,
        position: usize,
        step: &dyn Fn() -> Option<PathStep>,
    ) -> Result<Value, YamlError> {
        let in_flow = self.flow > 0;
        let is_v3 = self.dialect == Dialect::V3;
        let written_as = |form| WrittenAs { way: step().into_iter().collect(), form };
        let (text, tag, absent, style) = match node.content {
            NodeContent::Collection(mut value) => {
                if is_v3 && in_flow && node.aliased {
                    fold::quote(&mut value, &node.notes.texts);
                }
                notes.texts.extend(node.notes.texts.into_iter().map(|mut written| {
                    written.way.extend(step());
                    written
                }));
                notes.style(position, Styles::inside(node.notes.styles));
                if node.flow && !in_flow && is_v3 {
                    notes.texts.push(written_as(Form::Flow));
                }
                return Ok(value);
            }
            // kyaml prints a text and reads it again. In a flow collection its printer has to quote absent
            // scalars and texts with a colon, which makes strings of both. A patch is used before it is
            // printed.
            NodeContent::Scalar { absent: true, .. } if is_v3 && in_flow && !self.first_wins => {
                notes.texts.push(written_as(Form::Text(String::new())));
                return Ok(Value::String(String::new()));
            }
            // In a flow collection the printer uses quotes.
            NodeContent::Scalar { text, tag, style: TextStyle::Folded, .. } if is_v3 && !in_flow => {
                let printed = fold::printed(&text);
                if printed != text {
                    notes.texts.push(written_as(Form::Text(text)));
                }
                (printed, tag, false, TextStyle::Folded)
            }
            NodeContent::Scalar { text, tag, absent, style } => (text, tag, absent, style),
        };
        let is_plain = is_v3 && tag.is_none() && !is_text(Dialect::V3, &text);
        let plain = is_plain.then(|| if absent { String::new() } else { text.clone() });
        let value = match resolve(self.dialect, tag, text) {
            Ok(Scalar::Time(_, text)) if in_flow && tag.is_none() && text.contains(':') => {
                Ok(Value::String(text))
            }
            Ok(scalar) => scalar.value(self.dialect),
            Err(message) => Err(message),
        };
        let value = value.map_err(|message| node.place.error(message))?;
        if let (true, Value::String(text)) = (is_v3, &value) {
            let told = match style {
                TextStyle::Tagged => !is_usually_quoted(text),
                TextStyle::Plain => !is_quoted_when_plain(text),
                TextStyle::Quoted => is_usually_quoted(text),
                TextStyle::Folded => false,
            };
            notes.style(position, if told { Styles::Told } else { Styles::Own(style) });
        }
        if let Some(text) = plain.filter(|text| !tells(&value, text)) {
            notes.texts.push(written_as(Form::Text(text)));
        }
        Ok(value)
    }
}

/// Whether a line begins or ends a document.
fn is_marker(line: &str) -> bool {
    line.starts_with("---") || line.starts_with("...")
}

/// Whether a value shows how it was written.
fn tells(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value == text,
        Value::Number(number) => number.to_string() == text,
        Value::Bool(value) => text == if *value { "true" } else { "false" },
        Value::Null => text == "null",
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn syntax_error(error: &ScanError) -> YamlError {
    let place = Place {
        line: error.marker().line(),
        column: error.marker().col() + 1,
        empty: true,
        to_the_end: false,
    };
    place.error(error.info().replace('\n', " "))
}
