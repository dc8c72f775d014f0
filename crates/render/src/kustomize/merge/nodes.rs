//! The nodes that a merge works on. kyaml's nodes are shared by reference between an object and its patch, and what a
//! merge does to one shows in the other; indexes into one arena keep that.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::{Map, Value};

use lockgate_base::model::yaml::{Dialect, plain_value, writes_plain};

/// The index of a node.
pub(super) type Id = usize;

/// One node.
pub(super) enum Node {
    /// The names are shared, because a merge holds on to many of them while it changes the mapping.
    Map(Vec<(Rc<str>, Id)>),
    List(Vec<Id>),
    /// Anything but null.
    Scalar(Value),
    Null,
}

/// What kind of node it is, null aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Map,
    List,
    Scalar,
}

/// All nodes of a merge.
#[derive(Default)]
pub(crate) struct Nodes(Vec<Node>);

impl Nodes {
    /// Drops all nodes and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn add(&mut self, node: Node) -> Id {
        self.0.push(node);
        self.0.len() - 1
    }

    pub(super) fn read(&mut self, value: &Value) -> Id {
        let node = match value {
            Value::Null => Node::Null,
            Value::Array(items) => Node::List(items.iter().map(|item| self.read(item)).collect()),
            Value::Object(map) => {
                Node::Map(map.iter().map(|(key, value)| (key.as_str().into(), self.read(value))).collect())
            }
            scalar => Node::Scalar(scalar.clone()),
        };
        self.add(node)
    }

    pub(super) fn value(&self, id: Id) -> Value {
        match &self.0[id] {
            Node::Null => Value::Null,
            Node::Scalar(value) => value.clone(),
            Node::List(items) => items.iter().map(|item| self.value(*item)).collect(),
            Node::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, id)| (String::from(&**key), self.value(*id)))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    pub(super) fn get(&self, id: Id) -> &Node {
        &self.0[id]
    }

    /// `None` for null.
    pub(super) fn kind(&self, id: Id) -> Option<Kind> {
        match &self.0[id] {
            Node::Map(_) => Some(Kind::Map),
            Node::List(_) => Some(Kind::List),
            Node::Scalar(_) => Some(Kind::Scalar),
            Node::Null => None,
        }
    }

    pub(super) fn is_null(&self, id: Id) -> bool {
        matches!(self.0[id], Node::Null)
    }

    /// Absent or null.
    pub(super) fn is_missing(&self, id: Option<Id>) -> bool {
        id.is_none_or(|id| self.is_null(id))
    }

    pub(super) fn is_empty_map(&self, id: Id) -> bool {
        matches!(&self.0[id], Node::Map(entries) if entries.is_empty())
    }

    /// The text of a scalar, by which keys are compared: 80 equals `"80"`. Collections have none.
    pub(super) fn text(&self, id: Id) -> Cow<'_, str> {
        match &self.0[id] {
            Node::Scalar(Value::String(text)) => Cow::Borrowed(text),
            Node::Scalar(other) => Cow::Owned(other.to_string()),
            Node::Null => Cow::Borrowed("null"),
            Node::Map(_) | Node::List(_) => Cow::Borrowed(""),
        }
    }

    pub(super) fn field(&self, id: Id, name: &str) -> Option<Id> {
        match &self.0[id] {
            Node::Map(entries) => entries.iter().find(|(key, _)| **key == *name).map(|(_, id)| *id),
            _ => None,
        }
    }

    /// The entries of a mapping; none of anything else.
    pub(super) fn entries(&self, id: Id) -> &[(Rc<str>, Id)] {
        match &self.0[id] {
            Node::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none of anything else.
    pub(super) fn items(&self, id: Id) -> &[Id] {
        match &self.0[id] {
            Node::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn set_items(&mut self, id: Id, items: Vec<Id>) {
        if let Node::List(old) = &mut self.0[id] {
            *old = items;
        }
    }

    pub(super) fn clear_field(&mut self, id: Id, name: &str) {
        if let Node::Map(entries) = &mut self.0[id]
            && let Some(at) = entries.iter().position(|(key, _)| **key == *name)
        {
            entries.remove(at);
        }
    }

    /// Sets a field. A value that takes the place of a string which stands in quotes gets the quotes too, and so becomes
    /// a string: kyaml keeps the style of what was there.
    pub(super) fn set_field(&mut self, id: Id, name: &str, value: Id) {
        let Some(old) = self.field(id, name) else {
            if let Node::Map(entries) = &mut self.0[id] {
                entries.push((name.into(), value));
            }
            return;
        };
        if old == value {
            return;
        }
        let quoted = matches!(&self.0[old], Node::Scalar(Value::String(text)) if is_quoted(text));
        let value = match &self.0[value] {
            Node::Scalar(Value::String(_)) => value,
            Node::Scalar(scalar) if quoted => {
                let text = Value::String(scalar.to_string());
                self.add(Node::Scalar(text))
            }
            _ => value,
        };
        if let Node::Map(entries) = &mut self.0[id]
            && let Some(entry) = entries.iter_mut().find(|(key, _)| **key == *name)
        {
            entry.1 = value;
        }
    }

    /// A scalar as it is when its text is written without quotes.
    pub(super) fn add_plain(&mut self, text: &str) -> Id {
        let value = plain_value(text, Dialect::V3).unwrap_or_else(|_| Value::String(text.to_owned()));
        self.add(if value.is_null() { Node::Null } else { Node::Scalar(value) })
    }
}

/// Whether a string has to stand in quotes to be one, as kyaml reads it: `yes` need not.
fn is_quoted(text: &str) -> bool {
    let is_word = matches!(plain_value(text, Dialect::V3), Ok(Value::String(same)) if same == text);
    !is_word
        || (!writes_plain(text)
            && matches!(plain_value(text, Dialect::V2), Ok(Value::String(same)) if same == text))
}
