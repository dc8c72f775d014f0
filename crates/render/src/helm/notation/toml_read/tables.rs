//! The tables of a document while it is read: the keys that are set, and the tables that exist because a
//! longer key names them. Go's reader distinguishes the two by the whole key, whatever element of an array of
//! tables is meant.

use std::collections::{BTreeMap, HashSet};

use crate::helm::notation::toml::quoted_key;
use crate::helm::value::Value;

/// The value of a key.
#[derive(Debug)]
pub(super) enum TomlNode {
    Leaf(Value),
    List(Vec<Self>),
    Table(TomlTable),
    /// Tables of `[[...]]`.
    Tables(Vec<TomlTable>),
}

pub(super) type TomlTable = BTreeMap<String, TomlNode>;

/// A document.
#[derive(Debug, Default)]
pub(super) struct TomlTables {
    root: TomlTable,
    /// The key of the table that is open.
    context: Vec<String>,
    implicit: HashSet<String>,
    /// The keys at which there is a list.
    lists: HashSet<String>,
    /// How much was done, in parts of keys.
    pub(super) work: usize,
}

impl TomlTables {
    /// The whole document.
    pub(super) fn into_root(self) -> TomlTable {
        self.root
    }

    /// The key of the table that is open.
    pub(super) fn context(&self) -> &[String] {
        &self.context
    }

    /// Opens a table again that was open before.
    pub(super) fn reopen(&mut self, context: Vec<String>) {
        self.work += context.len();
        self.context = context;
    }

    /// The key that a message names, where `key` is the last part of it.
    pub(super) fn named(&self, key: &str) -> String {
        match (self.context.as_slice(), key) {
            (context, "") => text(context),
            ([], key) => key.to_owned(),
            (context, key) => format!("{}.{key}", text(context)),
        }
    }

    /// Opens a table that a longer key names.
    pub(super) fn open_implicitly(&mut self, key: &[String]) -> Result<(), String> {
        self.imply(key);
        self.open(key, false)
    }

    /// Records that a table exists because another key names it.
    pub(super) fn imply(&mut self, key: &[String]) {
        self.implicit.insert(text(key));
    }

    /// Opens a table, or the next one of an array of tables.
    pub(super) fn open(&mut self, key: &[String], is_array: bool) -> Result<(), String> {
        self.work += key.len();
        let Some((last, parents)) = key.split_last() else { return Ok(()) };
        let mut table = &mut self.root;
        for (depth, part) in parents.iter().enumerate() {
            if !table.contains_key(part) {
                self.implicit.insert(text(&key[..=depth]));
                self.work += depth;
            }
            let node = table.entry(part.clone()).or_insert_with(|| TomlNode::Table(TomlTable::new()));
            table = inside(node)
                .ok_or_else(|| format!("Key '{}' was already created as a hash.", text(&key[..=depth])))?;
        }
        if is_array {
            let node = table.entry(last.clone()).or_insert_with(|| TomlNode::Tables(Vec::new()));
            self.context = parents.to_vec();
            let TomlNode::Tables(tables) = node else {
                return Err(format!(
                    "Key '{}' was already created and cannot be used as an array.",
                    text(key)
                ));
            };
            tables.push(TomlTable::new());
        } else {
            self.context = parents.to_vec();
            self.set(last, Some(TomlNode::Table(TomlTable::new())))?;
        }
        self.context.push(last.clone());
        Ok(())
    }

    /// Sets a key of the open table; with `None` the present value stays. A table that exists by implication
    /// stays as it is.
    pub(super) fn set(&mut self, key: &str, node: Option<TomlNode>) -> Result<(), String> {
        self.work += self.context.len();
        let defined = |key: &[String]| format!("Key '{}' has already been defined.", text(key));
        let mut table = &mut self.root;
        for (depth, part) in self.context.iter().enumerate() {
            let next = table.get_mut(part).and_then(inside);
            table = next.ok_or_else(|| defined(&self.context[..=depth]))?;
        }
        if !table.contains_key(key) {
            table.extend(node.map(|node| (key.to_owned(), node)));
            return Ok(());
        }
        let whole = [self.context.as_slice(), &[key.to_owned()]].concat();
        if !self.implicit.remove(&text(&whole)) {
            return Err(defined(&whole));
        }
        if self.lists.contains(&text(&whole)) {
            table.extend(node.map(|node| (key.to_owned(), node)));
        }
        Ok(())
    }

    /// Takes the last one of the tables out that stand at a key of the table that is open.
    pub(super) fn take_last(&mut self, key: &str) -> Option<TomlNode> {
        self.work += self.context.len();
        let mut table = &mut self.root;
        for part in &self.context {
            table = table.get_mut(part).and_then(inside)?;
        }
        match table.get_mut(key)? {
            TomlNode::Tables(tables) => tables.pop().map(TomlNode::Table),
            TomlNode::Leaf(_) | TomlNode::List(_) | TomlNode::Table(_) => None,
        }
    }

    /// Takes note of what stands at a key of the table that is open; an empty key is that table itself.
    pub(super) fn note(&mut self, key: &str, is_list: bool) {
        let own = (!key.is_empty()).then(|| key.to_owned());
        let whole: Vec<String> = self.context.iter().cloned().chain(own).collect();
        self.work += whole.len();
        let whole = text(&whole);
        if is_list {
            self.lists.insert(whole);
        } else {
            self.lists.remove(&whole);
        }
    }
}

/// The table that is meant by a key that goes on behind a node: the last one of several.
fn inside(node: &mut TomlNode) -> Option<&mut TomlTable> {
    match node {
        TomlNode::Table(table) => Some(table),
        TomlNode::Tables(tables) => tables.last_mut(),
        TomlNode::Leaf(_) | TomlNode::List(_) => None,
    }
}

/// A key as a document writes it.
fn text(key: &[String]) -> String {
    let part = |part: &String| String::from_utf8_lossy(&quoted_key(part.as_bytes())).into_owned();
    key.iter().map(part).collect::<Vec<_>>().join(".")
}
