//! A document as it was read: its value, and the details of its notation that the value does not show.

use serde_json::Value;

/// The reader to agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// go-yaml v3 as kustomize reads resources: `yes` is a string, `0644` is 420, a duplicate key is an
    /// error.
    V3,
    /// sigs.k8s.io/yaml, YAML 1.1: `yes` is true, even as a key; the last of two equal keys wins. That reader
    /// takes only the first document; here all are returned.
    V2,
}

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its content; `Null` for an empty document.
    pub value: Value,
    /// The line of its first node, from 1.
    pub line: usize,
    /// Scalars whose values do not show their notation: `1.50`, `0644`, a date, an absent value, a folded
    /// text that printing changes. The outermost collections in flow style are here too.
    pub texts: Vec<WrittenAs>,
    /// Strings in another style than their texts would get.
    pub styles: Styles,
}

/// A value that does not show its notation: its path, and the notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenAs {
    /// The path from the document to the value.
    pub way: Vec<PathStep>,
    /// The notation.
    pub form: Form,
}

/// The notation of a part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A scalar, with this text.
    Text(String),
    /// A collection in flow style.
    Flow,
    /// A scalar that was made and not read, and has no type of its own.
    Untagged,
}

impl WrittenAs {
    /// The text of a scalar that was read.
    pub fn text(&self) -> Option<&str> {
        match &self.form {
            Form::Text(text) => Some(text),
            Form::Flow | Form::Untagged => None,
        }
    }
}

/// Why a text is not YAML, with the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// A lowercase fragment.
    pub message: String,
}

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// A key of a mapping.
    Key(String),
    /// An index of a list.
    Index(usize),
}

/// The style of a string, as far as it decides the type of another scalar in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStyle {
    /// Without quotes: another scalar would have the type that its text looks like.
    Plain,
    /// With a tag, which another scalar would get too, and so keep its own type.
    Tagged,
    /// In quotes or as a literal block: another scalar would be a string.
    Quoted,
    /// As a folded block: another scalar would be a string, printed as such a block.
    Folded,
}

/// The styles of those strings in a value whose text does not show the style: strings in quotes that need
/// none, strings without quotes that a printer would quote, and folded strings. Almost all values have none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Styles {
    /// The styles follow from the texts.
    #[default]
    Told,
    /// The value is a string in this style.
    Own(TextStyle),
    /// The styles of inner values, in order, by their positions in the mapping or list.
    Inside(Vec<(u32, Styles)>),
}

impl TextStyle {
    /// Whether another scalar would be a string.
    pub const fn makes_strings(self) -> bool {
        matches!(self, Self::Quoted | Self::Folded)
    }
}

impl Styles {
    /// The styles of inner values, if there are any.
    pub fn inside(entries: Vec<(u32, Self)>) -> Self {
        if entries.is_empty() { Self::Told } else { Self::Inside(entries) }
    }

    /// The styles of the value at the end of a path of positions, mutable.
    pub fn at_mut(&mut self, positions: &[usize]) -> Option<&mut Self> {
        let Some((first, rest)) = positions.split_first() else { return Some(self) };
        let Self::Inside(entries) = self else { return None };
        let entry = entries.iter_mut().find(|(at, _)| usize::try_from(*at) == Ok(*first))?;
        entry.1.at_mut(rest)
    }

    /// Replaces the styles of the value at the end of a path of positions.
    pub fn set(&mut self, positions: &[usize], styles: Self) {
        let Some((first, rest)) = positions.split_first() else {
            *self = styles;
            return;
        };
        let Ok(first) = u32::try_from(*first) else { return };
        let mut entries = if let Self::Inside(entries) = std::mem::take(self) { entries } else { Vec::new() };
        let at = entries.partition_point(|(at, _)| *at < first);
        if entries.get(at).is_none_or(|(found, _)| *found != first) {
            entries.insert(at, (first, Self::Told));
        }
        entries[at].1.set(rest, styles);
        entries.retain(|(_, styles)| *styles != Self::Told);
        *self = Self::inside(entries);
    }

    /// Removes the value at the end of a path of positions: its styles go, and the positions behind it move
    /// up.
    pub fn remove(&mut self, positions: &[usize]) {
        let Some((last, way)) = positions.split_last() else { return };
        let (Some(outer), Ok(last)) = (self.at_mut(way), u32::try_from(*last)) else { return };
        let Self::Inside(entries) = outer else { return };
        entries.retain(|(at, _)| *at != last);
        for (at, _) in entries.iter_mut().filter(|(at, _)| *at > last) {
            *at -= 1;
        }
        if entries.is_empty() {
            self.set(way, Self::Told);
        }
    }

    /// Takes folded strings for quoted ones, for a printer that does not keep them folded.
    pub fn unfold(&mut self) {
        match self {
            Self::Own(style) if *style == TextStyle::Folded => *style = TextStyle::Quoted,
            Self::Inside(entries) => entries.iter_mut().for_each(|(_, styles)| styles.unfold()),
            Self::Own(_) | Self::Told => {}
        }
    }

    /// The styles of the value at a position of the mapping or list.
    pub fn at(&self, position: usize) -> &Self {
        let Self::Inside(entries) = self else { return &Self::Told };
        let found = u32::try_from(position)
            .ok()
            .and_then(|position| entries.binary_search_by_key(&position, |(at, _)| *at).ok());
        found.map_or(&Self::Told, |at| &entries[at].1)
    }
}
