//! A composed node: its value, the details that the value does not show, and the effect of merge keys on it.

use std::borrow::Cow;

use granit_parser::Span;
use serde_json::{Map, Value};

use crate::model::yaml::document::{PathStep, Styles, TextStyle, WrittenAs, YamlError};
use crate::model::yaml::scalar::Tag;

/// A composed node, with everything that is needed to copy it.
#[derive(Clone)]
pub(super) struct ComposedNode {
    pub(super) content: NodeContent,
    pub(super) place: Place,
    pub(super) aliased: bool,
    /// Whether it is a collection in flow style.
    pub(super) flow: bool,
    pub(super) weight: usize,
    pub(super) height: usize,
    pub(super) notes: Notes,
}

/// The details that the values in a collection do not show. They are almost always empty, so the type is kept
/// small.
#[derive(Clone, Default)]
pub(super) struct Notes {
    /// The texts of scalars, with their paths from the innermost step outwards.
    pub(super) texts: Vec<WrittenAs>,
    /// The styles of strings, by their positions.
    pub(super) styles: Vec<(u32, Styles)>,
}

impl Notes {
    /// Notes the styles of the value at a position.
    pub(super) fn style(&mut self, position: usize, styles: Styles) {
        if let (false, Ok(position)) = (styles == Styles::Told, u32::try_from(position)) {
            self.styles.push((position, styles));
        }
    }
}

/// A scalar keeps its text, because a key is read by other rules than a value.
#[derive(Clone)]
pub(super) enum NodeContent {
    Scalar { text: String, tag: Option<Tag>, absent: bool, style: TextStyle },
    Collection(Value),
}

/// The place of a node; line and column count from 1.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    /// The text is empty there, which makes the node null.
    pub(super) empty: bool,
    /// The node ends where the text does, on a line without a line feed.
    pub(super) to_the_end: bool,
}

pub(super) fn scalar(text: Cow<'_, str>, tag: Option<Tag>, place: Place, style: TextStyle) -> ComposedNode {
    let weight = 1 + text.len() / 32;
    let content =
        NodeContent::Scalar { text: text.into_owned(), tag, absent: place.empty && tag.is_none(), style };
    ComposedNode { content, place, aliased: false, flow: false, weight, height: 0, notes: Notes::default() }
}

/// A mapping that a merge key names.
struct Source<'n> {
    map: &'n Map<String, Value>,
    /// The index in the list of the merge key.
    at: Option<usize>,
}

/// The mappings that a merge key names; earlier ones win.
fn merge_sources(node: &ComposedNode) -> Result<Vec<Source<'_>>, YamlError> {
    let wrong = || node.place.error("a merge key needs a mapping or a list of mappings");
    match &node.content {
        NodeContent::Collection(Value::Object(map)) => Ok(vec![Source { map, at: None }]),
        NodeContent::Collection(Value::Array(items)) if !node.aliased => items
            .iter()
            .enumerate()
            .map(|(at, item)| Ok(Source { map: item.as_object().ok_or_else(wrong)?, at: Some(at) }))
            .collect(),
        _ => Err(wrong()),
    }
}

/// V2: entries of a merge replace earlier entries, and are replaced by later ones.
pub(super) fn merge_over(map: &mut Map<String, Value>, node: &ComposedNode) -> Result<(), YamlError> {
    for source in merge_sources(node)?.into_iter().rev() {
        for (key, value) in source.map {
            map.insert(key.clone(), value.clone());
        }
    }
    Ok(())
}

/// V3: entries of a merge never replace those of the mapping itself.
pub(super) fn merge_under(
    map: &mut Map<String, Value>,
    notes: &mut Notes,
    node: &ComposedNode,
) -> Result<(), YamlError> {
    let of_all = Styles::inside(node.notes.styles.clone());
    for source in merge_sources(node)? {
        let styles = source.at.map_or(&of_all, |at| of_all.at(at));
        for (position, (key, value)) in source.map.iter().enumerate() {
            if map.contains_key(key) {
                continue;
            }
            notes.style(map.len(), styles.at(position).clone());
            map.insert(key.clone(), value.clone());
            let outer = source.at.map(PathStep::Index);
            let is_inside = |written: &&WrittenAs| {
                let mut from_outside = written.way.iter().rev();
                outer.as_ref().is_none_or(|outer| from_outside.next() == Some(outer))
                    && from_outside
                        .next()
                        .is_some_and(|step| matches!(step, PathStep::Key(name) if name == key))
            };
            for written in node.notes.texts.iter().filter(is_inside) {
                let way = written.way[..written.way.len() - usize::from(outer.is_some())].to_vec();
                notes.texts.push(WrittenAs { way, form: written.form.clone() });
            }
        }
    }
    Ok(())
}

impl ComposedNode {
    pub(super) fn collection(value: Value, place: Place, weight: usize, height: usize, notes: Notes) -> Self {
        Self {
            content: NodeContent::Collection(value),
            place,
            aliased: false,
            flow: false,
            weight,
            height,
            notes,
        }
    }
}

impl Place {
    pub(super) fn of(span: &Span, empty: bool) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1, empty, to_the_end: false }
    }

    pub(super) fn error(self, message: impl Into<String>) -> YamlError {
        YamlError { line: self.line, column: self.column, message: message.into() }
    }
}
