//! A document as it was read: its value, and what the value does not tell of the way in which it was written.

use serde_json::Value;

/// Which of the two readers to agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// go-yaml v3 as kustomize reads resources: `yes` is a string, `0644` is 420, a duplicate key is an
    /// error.
    V3,
    /// sigs.k8s.io/yaml, YAML 1.1: `yes` is true, also as a key; the last of two equal keys wins. Only the
    /// first document counts there, but all are returned here.
    V2,
}

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its content; `Null` for an empty document.
    pub value: Value,
    /// The line of its first node, from 1.
    pub line: usize,
    /// Scalars whose values do not tell how they were written: `1.50`, `0644`, a date, an absent value, a
    /// folded text that printing changes; and the outermost collections in flow style.
    pub texts: Vec<WrittenAs>,
    /// Strings that are written in another style than their texts would be.
    pub styles: Styles,
}

/// Where something stands whose value does not tell how it is written, and how that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenAs {
    /// The way from the document to it.
    pub way: Vec<PathStep>,
    /// As what.
    pub form: Form,
}

/// How a part of a document is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A scalar, with this text.
    Text(String),
    /// A collection in flow style.
    Flow,
    /// A scalar that was not read but made, and has no type of its own.
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

/// Why a text is not YAML, and where.
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

/// One step from a value to a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// A key of a mapping.
    Key(String),
    /// An index of a list.
    Index(usize),
}

/// The style of a string, as far as it says what another scalar in its place would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStyle {
    /// Without quotes, so that another scalar would be what its text means.
    Plain,
    /// With a tag, which another scalar would have too, and so be what it is.
    Tagged,
    /// In quotes or as a literal block, so that it would be a string.
    Quoted,
    /// As a folded block, so that it would be a string, and printed as such a block.
    Folded,
}

/// The styles of the strings in a value, of those alone whose text does not tell: where a string is in quotes
/// that needs none, where it has none though a printer would give it some, and where it is folded. Almost all
/// values have none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Styles {
    /// The styles that the texts tell.
    #[default]
    Told,
    /// The value is a string in this style.
    Own(TextStyle),
    /// The styles of values inside, by their positions in the mapping or list, in order.
    Inside(Vec<(u32, Styles)>),
}

impl TextStyle {
    /// Whether another scalar would be a string.
    pub const fn makes_strings(self) -> bool {
        matches!(self, Self::Quoted | Self::Folded)
    }
}

impl Styles {
    /// The styles of values inside, where there are any.
    pub fn inside(entries: Vec<(u32, Self)>) -> Self {
        if entries.is_empty() { Self::Told } else { Self::Inside(entries) }
    }

    /// The styles of the value that these positions lead to, each in the mapping or list before, to be
    /// changed.
    pub fn at_mut(&mut self, positions: &[usize]) -> Option<&mut Self> {
        let Some((first, rest)) = positions.split_first() else { return Some(self) };
        let Self::Inside(entries) = self else { return None };
        let entry = entries.iter_mut().find(|(at, _)| usize::try_from(*at) == Ok(*first))?;
        entry.1.at_mut(rest)
    }

    /// Puts others in place of those of the value that these positions lead to.
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

    /// Takes out those of the value that these positions lead to, with its position: what stands behind it
    /// moves up.
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

    /// Takes folded strings for quoted ones, where nobody prints them as what they are.
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
