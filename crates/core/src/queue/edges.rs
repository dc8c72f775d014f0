//! The edges between objects: who waits for whom and why, readable from either end.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_base::model::Ref;

/// Why one object depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// The other object's content is its input.
    Source,
    /// It runs after the other.
    Dependency,
    /// It reads values from the other, a ConfigMap or Secret.
    Input,
}

/// An edge from one object to another, which need not exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The reason.
    pub why: Why,
    /// The other object.
    pub to: Ref,
}

impl Edge {
    /// An edge for a reason.
    pub const fn new(why: Why, to: Ref) -> Self {
        Self { why, to }
    }
}

/// The objects that have edges to an object, for each reason. The edges themselves are kept with the object
/// from which they lead.
#[derive(Debug, Default)]
pub(super) struct Edges(BTreeMap<Edge, BTreeSet<Ref>>);

impl Edges {
    /// Replaces the edges that lead from an object.
    pub(super) fn replace(&mut self, from: &Ref, old: &[Edge], new: &[Edge]) {
        for edge in old {
            if let Some(ends) = self.0.get_mut(edge) {
                ends.remove(from);
                if ends.is_empty() {
                    self.0.remove(edge);
                }
            }
        }
        for edge in new {
            self.0.entry(edge.clone()).or_default().insert(from.clone());
        }
    }

    /// The objects that have an edge of this reason to an object.
    pub(super) fn to(&self, why: Why, to: &Ref) -> Vec<Ref> {
        let edge = Edge::new(why, to.clone());
        self.0.get(&edge).into_iter().flatten().cloned().collect()
    }
}
