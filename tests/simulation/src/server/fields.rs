//! Sets of fields, as `metadata.managedFields` keeps them: a trie whose edges are written as the API server
//! writes them (`f:name`, `k:{"name":"web"}`, `v:"x"`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A set of fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, Node>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    /// Whether the field itself is in the set, and not only what is below it.
    itself: bool,
    below: Fields,
}

/// How a value is divided into fields.
pub(crate) enum Parts<'v> {
    /// It is one field.
    Whole,
    /// A map: its entries.
    Map(Vec<(String, &'v Value)>),
    /// A list whose items have names of their own.
    Items(Vec<(String, &'v Value)>),
}

/// The lists of built-in kinds that are maps by one of their items' fields (`x-kubernetes-list-map-keys`).
const KEYED: [(&str, &str); 7] = [
    ("f:containers", "name"),
    ("f:initContainers", "name"),
    ("f:env", "name"),
    ("f:volumes", "name"),
    ("f:volumeMounts", "mountPath"),
    ("f:ownerReferences", "uid"),
    ("f:conditions", "type"),
];

/// Divides a value that stands at `path`. `builtin` says whether the kind is Kubernetes' own: in the schemas
/// of our custom resources all lists are one field.
pub(crate) fn parts<'v>(path: &[String], value: &'v Value, builtin: bool) -> Parts<'v> {
    let last = path.last().map_or("", String::as_str);
    let in_metadata = path.first().is_some_and(|first| first == "f:metadata");
    match value {
        // A label selector is one field.
        Value::Object(_) if builtin && path.len() == 2 && last == "f:selector" => Parts::Whole,
        Value::Object(map) if !map.is_empty() => {
            Parts::Map(map.iter().map(|(key, value)| (format!("f:{key}"), value)).collect())
        }
        Value::Array(items) if in_metadata && last == "f:finalizers" && !items.is_empty() => {
            Parts::Items(items.iter().map(|item| (format!("v:{item}"), item)).collect())
        }
        Value::Array(items) if !items.is_empty() && (builtin || in_metadata) => {
            let Some((_, key)) = KEYED.iter().find(|(list, _)| *list == last) else { return Parts::Whole };
            let named = |item: &'v Value| (format!("k:{}", json!({*key: item[*key]})), item);
            Parts::Items(items.iter().map(named).collect())
        }
        _ => Parts::Whole,
    }
}

impl Fields {
    /// What an applied object sets: its leaves, and the items of its lists.
    pub(crate) fn of_applied(value: &Value, builtin: bool) -> Self {
        let mut fields = Self::default();
        fields.add_applied(&mut Vec::new(), value, builtin);
        fields
    }

    fn add_applied(&mut self, path: &mut Vec<String>, value: &Value, builtin: bool) {
        let (children, are_items) = match parts(path, value, builtin) {
            Parts::Whole => return self.insert(path),
            Parts::Map(children) => (children, false),
            Parts::Items(children) => (children, true),
        };
        for (edge, child) in children {
            path.push(edge);
            if are_items {
                self.insert(path);
            }
            self.add_applied(path, child, builtin);
            path.pop();
        }
    }

    /// What differs between two objects: the fields that were changed or added, and those that were removed.
    pub(crate) fn changed(old: &Value, new: &Value, builtin: bool) -> (Self, Self) {
        let (mut set, mut removed) = (Self::default(), Self::default());
        compare(&mut Vec::new(), Some(old), Some(new), builtin, &mut set, &mut removed);
        (set, removed)
    }

    pub(crate) fn insert(&mut self, path: &[String]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.0.entry(first.clone()).or_default();
        if rest.is_empty() {
            node.itself = true;
        } else {
            node.below.insert(rest);
        }
    }

    pub(crate) fn contains(&self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        self.0
            .get(first)
            .is_some_and(|node| if rest.is_empty() { node.itself } else { node.below.contains(rest) })
    }

    /// Whether a field or something below it is in the set.
    pub(crate) fn reaches(&self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else { return true };
        self.0.get(first).is_some_and(|node| node.below.reaches(rest))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All paths in the set.
    pub(crate) fn paths(&self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        self.collect(&mut Vec::new(), &mut all);
        all
    }

    fn collect(&self, path: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
        for (edge, node) in &self.0 {
            path.push(edge.clone());
            if node.itself {
                all.push(path.clone());
            }
            node.below.collect(path, all);
            path.pop();
        }
    }

    pub(crate) fn union(&mut self, other: &Self) {
        for (edge, theirs) in &other.0 {
            let ours = self.0.entry(edge.clone()).or_default();
            ours.itself |= theirs.itself;
            ours.below.union(&theirs.below);
        }
    }

    /// Takes the fields of `other` out.
    pub(crate) fn subtract(&mut self, other: &Self) {
        for (edge, theirs) in &other.0 {
            let Some(ours) = self.0.get_mut(edge) else { continue };
            ours.itself &= !theirs.itself;
            ours.below.subtract(&theirs.below);
            if !ours.itself && ours.below.is_empty() {
                self.0.remove(edge);
            }
        }
    }

    /// Takes out a field with all below it.
    pub(crate) fn cut(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            self.0.remove(*first);
        } else if let Some(node) = self.0.get_mut(*first) {
            node.below.cut(rest);
            if !node.itself && node.below.is_empty() {
                self.0.remove(*first);
            }
        }
    }

    /// Leaves only what is below one field.
    pub(crate) fn keep(&mut self, edge: &str) {
        self.0.retain(|known, _| known == edge);
    }

    pub(crate) fn to_json(&self) -> Value {
        let node = |node: &Node| {
            let mut map = Map::new();
            if node.itself && !node.below.is_empty() {
                map.insert(".".into(), json!({}));
            }
            if let Value::Object(below) = node.below.to_json() {
                map.extend(below);
            }
            Value::Object(map)
        };
        Value::Object(self.0.iter().map(|(edge, of)| (edge.clone(), node(of))).collect())
    }

    pub(crate) fn of_json(value: &Value) -> Self {
        let mut fields = Self::default();
        for (edge, child) in value.as_object().into_iter().flatten().filter(|(edge, _)| *edge != ".") {
            let is_leaf = child.as_object().is_none_or(Map::is_empty);
            let node = Node { itself: is_leaf || child.get(".").is_some(), below: Self::of_json(child) };
            fields.0.insert(edge.clone(), node);
        }
        fields
    }
}

fn divided<'v>(value: Option<&'v Value>, path: &[String], builtin: bool) -> BTreeMap<String, &'v Value> {
    match value.map(|value| parts(path, value, builtin)) {
        Some(Parts::Map(children) | Parts::Items(children)) => children.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

fn compare(
    path: &mut Vec<String>,
    old: Option<&Value>,
    new: Option<&Value>,
    builtin: bool,
    set: &mut Fields,
    removed: &mut Fields,
) {
    if old == new {
        return;
    }
    let (old_parts, new_parts) = (divided(old, path, builtin), divided(new, path, builtin));
    match (old, new) {
        (None, Some(_)) => set.insert(path),
        (Some(_), None) => removed.insert(path),
        _ if old_parts.is_empty() && new_parts.is_empty() => set.insert(path),
        _ => {}
    }
    for (edge, child) in &new_parts {
        path.push(edge.clone());
        compare(path, old_parts.get(edge).copied(), Some(child), builtin, set, removed);
        path.pop();
    }
    for (edge, child) in old_parts.iter().filter(|(edge, _)| !new_parts.contains_key(*edge)) {
        path.push(edge.clone());
        compare(path, Some(child), None, builtin, set, removed);
        path.pop();
    }
}

/// Lays an applied object over a live one.
pub(crate) fn merge(path: &mut Vec<String>, live: &mut Value, applied: &Value, builtin: bool) {
    match parts(path, applied, builtin) {
        Parts::Map(children) if live.is_object() => {
            for (edge, child) in children {
                let name = edge.trim_start_matches("f:").to_owned();
                path.push(edge);
                match live.get_mut(&name) {
                    Some(known) => merge(path, known, child, builtin),
                    None => live[&name] = child.clone(),
                }
                path.pop();
            }
        }
        Parts::Items(children) if live.is_array() => {
            for (edge, child) in children {
                let known = names(path, live, builtin).iter().position(|name| *name == edge);
                path.push(edge);
                match (live.as_array_mut(), known) {
                    (Some(items), Some(at)) => merge(path, &mut items[at], child, builtin),
                    (Some(items), None) => items.push(child.clone()),
                    (None, _) => {}
                }
                path.pop();
            }
        }
        // An empty map takes nothing away from another.
        Parts::Whole if applied.as_object().is_some_and(Map::is_empty) && live.is_object() => {}
        _ => *live = applied.clone(),
    }
}

fn names(path: &[String], list: &Value, builtin: bool) -> Vec<String> {
    match parts(path, list, builtin) {
        Parts::Items(items) => items.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// Removes a field from an object, and with it a map of which it was the last.
pub(crate) fn remove(at: &mut Vec<String>, value: &mut Value, path: &[String], builtin: bool) {
    let Some((edge, rest)) = path.split_first() else { return };
    if let Some(name) = edge.strip_prefix("f:") {
        if rest.is_empty() {
            if let Some(map) = value.as_object_mut() {
                map.shift_remove(name);
            }
            return;
        }
        at.push(edge.clone());
        if let Some(child) = value.get_mut(name) {
            remove(at, child, rest, builtin);
            let is_empty = child.as_object().is_some_and(Map::is_empty);
            if let Some(map) = value.as_object_mut().filter(|_| is_empty) {
                map.shift_remove(name);
            }
        }
        at.pop();
        return;
    }
    let Some(index) = names(at, value, builtin).iter().position(|name| name == edge) else { return };
    let Some(items) = value.as_array_mut() else { return };
    if rest.is_empty() {
        items.remove(index);
    } else {
        at.push(edge.clone());
        remove(at, &mut items[index], rest, builtin);
        at.pop();
    }
}
