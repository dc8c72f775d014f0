//! The nodes that a merge works on. kyaml's nodes are shared by reference between an object and its patch, so
//! a merge that changes one changes the other. Indexes into one arena keep that behaviour.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::{Map, Value};

use lockgate_base::model::yaml::{
    Dialect, Form, PathStep, Styles, TextStyle, WrittenAs, first_document, is_usually_quoted, plain_value,
    reprinted,
};

/// The notation of an object or a patch, as far as its value does not show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'w> {
    /// The notation of scalars.
    pub(crate) texts: &'w [WrittenAs],
    /// The styles of strings.
    pub(crate) styles: &'w Styles,
}

/// The index of a node.
pub(super) type MergeNodeId = usize;

/// One node.
pub(super) enum Node {
    /// The names are shared, because a merge keeps many of them while it changes the mapping.
    Map(Vec<(Rc<str>, MergeNodeId)>),
    List(Vec<MergeNodeId>),
    /// Any scalar but null.
    Scalar(Value),
    Null,
}

/// The type of a node that is not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeKind {
    Map,
    List,
    Scalar,
}

impl NodeKind {
    /// The name in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Map => "a mapping",
            Self::List => "a list",
            Self::Scalar => "a scalar",
        }
    }
}

/// All nodes of a merge.
#[derive(Default)]
pub(crate) struct Nodes {
    all: Vec<Node>,
    /// The notation of each node, if its value does not show it.
    marks: Vec<Mark>,
    /// Whether any node has a mark.
    has_marks: bool,
}

/// The notation of a node; empty if its value shows it.
#[derive(Default)]
struct Mark {
    style: Option<TextStyle>,
    form: Option<Form>,
}

impl Nodes {
    /// Drops all nodes and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.marks.clear();
        self.has_marks = false;
    }

    pub(super) fn add(&mut self, node: Node) -> MergeNodeId {
        self.all.push(node);
        self.marks.push(Mark::default());
        self.all.len() - 1
    }

    fn mark(&mut self, id: MergeNodeId, mark: Mark) {
        self.marks[id] = mark;
        self.has_marks = true;
    }

    pub(super) fn read(&mut self, value: &Value, written: Written<'_>) -> MergeNodeId {
        let texts: Vec<&WrittenAs> = written.texts.iter().collect();
        self.read_at(value, &texts, 0, written.styles)
    }

    /// Reads a value `depth` steps inside, with its texts and styles.
    fn read_at(&mut self, value: &Value, texts: &[&WrittenAs], depth: usize, styles: &Styles) -> MergeNodeId {
        let node = match value {
            Value::Null => Node::Null,
            Value::Array(items) => Node::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| {
                        let is_here =
                            |step: &PathStep| matches!(step, PathStep::Index(index) if *index == at);
                        self.read_at(item, &behind(texts, depth, is_here), depth + 1, styles.at(at))
                    })
                    .collect(),
            ),
            Value::Object(map) => Node::Map(
                map.iter()
                    .enumerate()
                    .map(|(at, (key, value))| {
                        let is_here = |step: &PathStep| matches!(step, PathStep::Key(name) if name == key);
                        let texts = behind(texts, depth, is_here);
                        (key.as_str().into(), self.read_at(value, &texts, depth + 1, styles.at(at)))
                    })
                    .collect(),
            ),
            scalar => Node::Scalar(scalar.clone()),
        };
        let style = if let Styles::Own(style) = styles { Some(*style) } else { None };
        let form = texts.iter().find(|written| written.way.len() == depth).map(|written| &written.form);
        let form = form.filter(|form| !is_stale(form, value));
        if style.is_none() && form.is_none() {
            return self.add(node);
        }
        let (node, form) = match (node, form) {
            // A merge writes the text itself in another style.
            (Node::Scalar(Value::String(_)), Some(Form::Text(text))) if style == Some(TextStyle::Folded) => {
                (Node::Scalar(text.as_str().into()), None)
            }
            // It becomes a string only when it is printed.
            (Node::Scalar(Value::String(text)), form) if form.is_some() && text.is_empty() => {
                (Node::Null, form)
            }
            other => other,
        };
        let id = self.add(node);
        self.mark(id, Mark { style, form: form.cloned() });
        id
    }

    /// The value of a node, with the details of its notation.
    pub(super) fn value_as_written(&self, id: MergeNodeId) -> (Value, Vec<WrittenAs>, Styles) {
        let mut texts = Vec::new();
        if !self.has_marks {
            return (self.value(id), texts, Styles::Told);
        }
        let (value, styles) = self.write_at(id, &mut Vec::new(), false, &mut texts);
        (value, texts, styles)
    }

    fn write_at(
        &self,
        id: MergeNodeId,
        way: &mut Vec<Part>,
        in_flow: bool,
        texts: &mut Vec<WrittenAs>,
    ) -> (Value, Styles) {
        let form = self.marks[id].form.as_ref();
        let begins = form == Some(&Form::Flow);
        match &self.all[id] {
            Node::Null | Node::Scalar(_) => self.write_scalar(id, way, in_flow, texts),
            Node::List(items) => {
                if begins && !in_flow {
                    note(texts, way, Form::Flow);
                }
                let in_flow = in_flow || begins;
                let (mut values, mut styles) = (Vec::with_capacity(items.len()), Vec::new());
                for (at, item) in items.iter().enumerate() {
                    way.push(Part::Index(at));
                    let (value, inside) = self.write_at(*item, way, in_flow, texts);
                    way.pop();
                    values.push(value);
                    add_styles(&mut styles, at, inside);
                }
                (Value::Array(values), Styles::inside(styles))
            }
            Node::Map(entries) => {
                if begins && !in_flow {
                    note(texts, way, Form::Flow);
                }
                let in_flow = in_flow || begins;
                let (mut map, mut styles) = (Map::with_capacity(entries.len()), Vec::new());
                for (key, id) in entries {
                    way.push(Part::Key(Rc::clone(key)));
                    let (value, inside) = self.write_at(*id, way, in_flow, texts);
                    way.pop();
                    add_styles(&mut styles, map.len(), inside);
                    map.insert(String::from(&**key), value);
                }
                (Value::Object(map), Styles::inside(styles))
            }
        }
    }

    fn write_scalar(
        &self,
        id: MergeNodeId,
        way: &[Part],
        in_flow: bool,
        texts: &mut Vec<WrittenAs>,
    ) -> (Value, Styles) {
        let Mark { style, form } = &self.marks[id];
        if let (Node::Scalar(Value::String(text)), Some(TextStyle::Folded), false) =
            (&self.all[id], *style, in_flow)
        {
            let printed = reprinted(text);
            if printed != *text {
                note(texts, way, Form::Text(text.clone()));
            }
            return (printed.into(), Styles::Own(TextStyle::Folded));
        }
        if let Some(form) = form {
            note(texts, way, form.clone());
        }
        match &self.all[id] {
            Node::Scalar(Value::String(text)) => {
                let told = |style: TextStyle| {
                    style != TextStyle::Folded && is_usually_quoted(text) == style.makes_strings()
                };
                let styles = style.filter(|style| !told(*style)).map_or(Styles::Told, Styles::Own);
                (text.as_str().into(), styles)
            }
            Node::Null if in_flow && self.is_unwritten(id) => ("".into(), Styles::Told),
            _ => (self.value(id), Styles::Told),
        }
    }

    pub(super) fn value(&self, id: MergeNodeId) -> Value {
        match &self.all[id] {
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

    pub(super) fn get(&self, id: MergeNodeId) -> &Node {
        &self.all[id]
    }

    /// `None` for null.
    pub(super) fn kind(&self, id: MergeNodeId) -> Option<NodeKind> {
        match &self.all[id] {
            Node::Map(_) => Some(NodeKind::Map),
            Node::List(_) => Some(NodeKind::List),
            Node::Scalar(_) => Some(NodeKind::Scalar),
            Node::Null => None,
        }
    }

    pub(super) fn is_null(&self, id: MergeNodeId) -> bool {
        matches!(self.all[id], Node::Null)
    }

    /// Whether a node is absent or null.
    pub(super) fn is_missing(&self, id: Option<MergeNodeId>) -> bool {
        id.is_none_or(|id| self.is_null(id))
    }

    pub(super) fn is_empty_map(&self, id: MergeNodeId) -> bool {
        matches!(&self.all[id], Node::Map(entries) if entries.is_empty())
    }

    /// The text of a scalar, by which keys are compared: 80 equals `"80"`. Collections have none.
    pub(super) fn text(&self, id: MergeNodeId) -> Cow<'_, str> {
        match (&self.all[id], self.written_text(id)) {
            (Node::Map(_) | Node::List(_), _) => Cow::Borrowed(""),
            (_, Some(text)) => Cow::Borrowed(text),
            (Node::Scalar(Value::String(text)), None) => Cow::Borrowed(text),
            (Node::Scalar(other), None) => Cow::Owned(other.to_string()),
            (Node::Null, None) => Cow::Borrowed("null"),
        }
    }

    /// The text of a scalar in its notation, if its value does not show it.
    fn written_text(&self, id: MergeNodeId) -> Option<&str> {
        match self.marks[id].form.as_ref()? {
            Form::Text(text) => Some(text),
            Form::Flow | Form::Untagged => None,
        }
    }

    /// Whether it is null because its notation is empty.
    pub(super) fn is_unwritten(&self, id: MergeNodeId) -> bool {
        self.is_null(id) && self.written_text(id).is_some_and(str::is_empty)
    }

    pub(super) fn field(&self, id: MergeNodeId, name: &str) -> Option<MergeNodeId> {
        match &self.all[id] {
            Node::Map(entries) => entries.iter().find(|(key, _)| **key == *name).map(|(_, id)| *id),
            _ => None,
        }
    }

    /// The entries of a mapping; none for any other node.
    pub(super) fn entries(&self, id: MergeNodeId) -> &[(Rc<str>, MergeNodeId)] {
        match &self.all[id] {
            Node::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none for any other node.
    pub(super) fn items(&self, id: MergeNodeId) -> &[MergeNodeId] {
        match &self.all[id] {
            Node::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn set_items(&mut self, id: MergeNodeId, items: Vec<MergeNodeId>) {
        if let Node::List(old) = &mut self.all[id] {
            *old = items;
        }
    }

    pub(super) fn clear_field(&mut self, id: MergeNodeId, name: &str) {
        if let Node::Map(entries) = &mut self.all[id]
            && let Some(at) = entries.iter().position(|(key, _)| **key == *name)
        {
            entries.remove(at);
        }
    }

    /// Sets a field. A scalar gets the style of the one that it replaces, and so may become a string.
    pub(super) fn set_field(&mut self, id: MergeNodeId, name: &str, value: MergeNodeId) {
        self.quote_words(value);
        let Some(old) = self.field(id, name) else {
            if let Node::Map(entries) = &mut self.all[id] {
                entries.push((name.into(), value));
            }
            return;
        };
        if old == value {
            return;
        }
        self.take_style(value, old);
        if let Node::Map(entries) = &mut self.all[id]
            && let Some(entry) = entries.iter_mut().find(|(key, _)| **key == *name)
        {
            entry.1 = value;
        }
    }

    /// Gives an empty collection the style of the collection that is merged into it.
    pub(super) fn take_style_when_empty(&mut self, id: MergeNodeId, from: MergeNodeId) {
        if matches!(&self.all[id], Node::Map(entries) if entries.is_empty())
            || matches!(&self.all[id], Node::List(items) if items.is_empty())
        {
            self.take_flow(id, from);
        }
    }

    /// Puts quotes around an unquoted string that YAML 1.1 takes for another type, as kyaml does with each
    /// field that it sets.
    fn quote_words(&mut self, id: MergeNodeId) {
        let mark = &mut self.marks[id];
        if mark.style == Some(TextStyle::Plain)
            && mark.form.is_none()
            && let Node::Scalar(Value::String(text)) = &self.all[id]
            && gets_quotes(text)
        {
            mark.style = None;
        }
    }

    fn take_style(&mut self, id: MergeNodeId, from: MergeNodeId) {
        let style = match &self.all[from] {
            Node::Scalar(Value::String(text)) => {
                let usual = if is_usually_quoted(text) { TextStyle::Quoted } else { TextStyle::Plain };
                self.marks[from].style.unwrap_or(usual)
            }
            _ => TextStyle::Plain,
        };
        match &self.all[id] {
            Node::Map(_) | Node::List(_) => return self.take_flow(id, from),
            Node::Null => return,
            Node::Scalar(Value::String(_)) if self.written_text(id).is_none() => {}
            // Quotes make a string of another type, and without them it keeps its type.
            Node::Scalar(_) if !style.makes_strings() => return,
            Node::Scalar(_) => {
                let text = self.text(id).into_owned();
                self.all[id] = Node::Scalar(text.into());
            }
        }
        self.mark(id, Mark { style: Some(style), form: None });
    }

    fn take_flow(&mut self, id: MergeNodeId, from: MergeNodeId) {
        let is_flow = |mark: &Mark| mark.form == Some(Form::Flow);
        if is_flow(&self.marks[from]) {
            self.marks[id].form = Some(Form::Flow);
            self.has_marks = true;
        } else if is_flow(&self.marks[id]) {
            self.marks[id].form = None;
        }
    }

    /// A scalar with the value that its text has without quotes.
    pub(super) fn add_plain(&mut self, text: &str) -> MergeNodeId {
        let value = plain_value(text, Dialect::V3).unwrap_or_else(|_| Value::String(text.to_owned()));
        self.add(if value.is_null() { Node::Null } else { Node::Scalar(value) })
    }
}

/// Whether kyaml quotes a string when it sets it: a string that YAML 1.1 would read as another type, or as a
/// comment or a mapping.
pub(crate) fn gets_quotes(text: &str) -> bool {
    !text.is_empty()
        && !text.contains('\n')
        && first_document(text, Dialect::V2).is_ok_and(|document| !document.value.is_string())
}

/// Whether the noted text of a scalar no longer fits its value.
fn is_stale(form: &Form, value: &Value) -> bool {
    match form {
        Form::Text(text) => {
            *value != *reprinted(text) && plain_value(text, Dialect::V3).as_ref() != Ok(value)
        }
        Form::Flow | Form::Untagged => false,
    }
}

/// The texts behind one step, among those `depth` steps inside.
fn behind<'t>(
    texts: &[&'t WrittenAs],
    depth: usize,
    is_here: impl Fn(&PathStep) -> bool,
) -> Vec<&'t WrittenAs> {
    texts.iter().copied().filter(|written| written.way.get(depth).is_some_and(&is_here)).collect()
}

fn note(texts: &mut Vec<WrittenAs>, way: &[Part], form: Form) {
    texts.push(WrittenAs { way: way.iter().map(Part::step).collect(), form });
}

fn add_styles(styles: &mut Vec<(u32, Styles)>, position: usize, inside: Styles) {
    if let (false, Ok(position)) = (inside == Styles::Told, u32::try_from(position)) {
        styles.push((position, inside));
    }
}

/// A step on the way to a node.
enum Part {
    Key(Rc<str>),
    Index(usize),
}

impl Part {
    fn step(&self) -> PathStep {
        match self {
            Self::Key(key) => PathStep::Key(String::from(&**key)),
            Self::Index(index) => PathStep::Index(*index),
        }
    }
}
