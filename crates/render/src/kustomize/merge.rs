//! Strategic merge patches as kustomize 5.8.1 applies them: kyaml's `merge2` with its schema, quirks
//! included.

mod nodes;
mod list;

use std::rc::Rc;

use serde_json::Value;

use self::list::{MergeKeyValues, Unkeyed};
use self::nodes::{MergeNodeId, Node, NodeKind};
pub(crate) use self::nodes::{Nodes, Written, gets_quotes};
use super::id::KindRef;
use super::schema::{Schema, SchemaPlace};
use lockgate_base::model::yaml::{Styles, WrittenAs};

/// An object, and the details of its notation that its value does not show.
#[derive(Debug)]
pub(crate) struct MergeTarget<'t> {
    /// The object.
    pub(crate) value: &'t mut Value,
    /// The notation of scalars.
    pub(crate) texts: &'t mut Vec<WrittenAs>,
    /// The styles of strings.
    pub(crate) styles: &'t mut Styles,
}

/// The result of a merge besides the changed target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MergeOutcome {
    /// The patch deletes the whole object; the target is unchanged.
    pub(crate) deleted: bool,
    /// Surprises for the user, each a fragment that follows the object's name.
    pub(crate) warnings: Vec<String>,
}

/// Why a patch cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MergeError {
    /// Object and patch have different types for a field.
    #[error("{path}: the object has {have} here, the patch has {patch}")]
    Kinds {
        /// Dotted path of the field.
        path: String,
        /// The object's type.
        have: &'static str,
        /// The patch's type.
        patch: &'static str,
    },
    /// An unknown `$patch` directive.
    #[error("{path}: unknown directive '$patch: {directive}'; it is one of delete, replace and merge")]
    Directive {
        /// Dotted path of the mapping or list.
        path: String,
        /// The directive as written.
        directive: String,
    },
    /// An empty key, where kustomize expects a scalar.
    #[error("{path}: an empty key cannot be merged")]
    EmptyKey {
        /// Dotted path of the mapping.
        path: String,
    },
    /// A scalar or list in a list of mappings.
    #[error("{path}: expected a mapping with '{key}' in this list, found {found}")]
    Element {
        /// Dotted path of the list.
        path: String,
        /// The merge key.
        key: String,
        /// The type that was found.
        found: &'static str,
    },
}

/// Merges `patch` into `target`; both are objects. `nodes` is the working memory, and its old content is
/// dropped.
pub(crate) fn strategic_merge(
    target: &mut MergeTarget<'_>,
    patch: &Value,
    patch_written: Written<'_>,
    schema: &Schema,
    nodes: &mut Nodes,
) -> Result<MergeOutcome, MergeError> {
    nodes.clear();
    let mut merge = Merge { nodes, schema, path: Vec::new(), warnings: Vec::new() };
    let object = merge.nodes.read(target.value, Written { texts: target.texts, styles: target.styles });
    let sources = [Some(object), Some(merge.nodes.read(patch, patch_written))];
    let merged = merge.walk(sources, None)?;
    let mut outcome = MergeOutcome { deleted: false, warnings: merge.warnings };
    match merged {
        Some(merged) if merged.id == object => {
            (*target.value, *target.texts, *target.styles) = merge.nodes.value_as_written(merged.id);
        }
        // kustomize drops the result if it is the patch and not the object itself.
        Some(_) => outcome.warnings.push("'$patch: replace' at the top of a patch has no effect".into()),
        None => outcome.deleted = true,
    }
    Ok(outcome)
}

/// The same place in the object and in the patch.
type Sources = [Option<MergeNodeId>; 2];

/// The resulting node of a walk.
#[derive(Clone, Copy)]
struct Walked {
    id: MergeNodeId,
    /// The node is a null that is kept: it was in the object and is not in the patch.
    kept: bool,
}

/// A directive of a patch. The API server has more, and kustomize knows none of those.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

struct Merge<'s> {
    nodes: &'s mut Nodes,
    schema: &'s Schema,
    path: Vec<Rc<str>>,
    warnings: Vec<String>,
}

impl<'s> Merge<'s> {
    fn walk(
        &mut self,
        sources: Sources,
        place: Option<SchemaPlace<'s>>,
    ) -> Result<Option<Walked>, MergeError> {
        let place = place.or_else(|| self.place_by_kind(sources));
        let kind = sources.into_iter().flatten().find_map(|id| self.nodes.kind(id));
        if let [Some(have), Some(patch)] = sources
            && let (Some(have), Some(patch)) = (self.nodes.kind(have), self.nodes.kind(patch))
            && have != patch
        {
            return Err(MergeError::Kinds { path: self.path(), have: have.name(), patch: patch.name() });
        }
        if let [Some(have), Some(patch)] = sources {
            self.nodes.take_style_when_empty(have, patch);
        }
        match kind {
            Some(NodeKind::Map) | None => self.walk_map(sources, place),
            Some(NodeKind::List) => match place.and_then(SchemaPlace::merge_keys) {
                Some(keys) => self.walk_merged_list(sources, place, keys),
                None => Ok(replaced(sources)),
            },
            Some(NodeKind::Scalar) => Ok(replaced(sources)),
        }
    }

    /// An object inside another one has its own schema.
    fn place_by_kind(&self, sources: Sources) -> Option<SchemaPlace<'s>> {
        sources.into_iter().flatten().find_map(|id| {
            let text = |field: &str| self.nodes.field(id, field).map(|id| self.nodes.text(id));
            self.schema.of_kind(KindRef::new(&text("apiVersion")?, &text("kind")?))
        })
    }

    fn walk_map(
        &mut self,
        sources: Sources,
        place: Option<SchemaPlace<'s>>,
    ) -> Result<Option<Walked>, MergeError> {
        let Some(walked) = self.visit_map(sources)? else { return Ok(None) };
        let sources = [Some(walked.id), sources[1]];
        let entries = sources.into_iter().flatten().flat_map(|id| self.nodes.entries(id));
        let mut names: Vec<Rc<str>> = entries.map(|(name, _)| Rc::clone(name)).collect();
        names.sort_unstable();
        names.dedup();
        if names.first().is_some_and(|name| name.is_empty()) {
            return Err(MergeError::EmptyKey { path: self.path() });
        }
        for name in names {
            let fields = sources.map(|source| source.and_then(|id| self.nodes.field(id, &name)));
            self.path.push(Rc::clone(&name));
            let field = self.walk(fields, place.and_then(|place| place.field(&name)))?;
            self.path.pop();
            match field {
                Some(field) if field.kept || !self.nodes.is_null(field.id) => {
                    self.nodes.set_field(walked.id, &name, field.id);
                }
                _ => self.nodes.clear_field(walked.id, &name),
            }
        }
        Ok(Some(walked))
    }

    /// Decides which of two mappings becomes the result.
    fn visit_map(&mut self, [dest, origin]: Sources) -> Result<Option<Walked>, MergeError> {
        let Some(dest) = dest.filter(|id| !self.nodes.is_null(*id)) else {
            if let Some(origin) = origin {
                // An unknown directive is no error here.
                let deletes = matches!(self.directive(origin), Ok(Directive::Delete));
                return Ok((!deletes).then_some(Walked { id: origin, kept: false }));
            }
            // A written null stays, and an unwritten one is removed.
            let written = dest.filter(|id| !self.nodes.is_unwritten(*id));
            return Ok(written.map(|id| Walked { id, kept: true }));
        };
        self.directed(dest, origin)
    }

    /// Applies the directive of a patch to an existing node.
    fn directed(
        &mut self,
        dest: MergeNodeId,
        origin: Option<MergeNodeId>,
    ) -> Result<Option<Walked>, MergeError> {
        let Some(origin) = origin else { return Ok(Some(Walked { id: dest, kept: false })) };
        if self.nodes.is_null(origin) {
            return Ok(None);
        }
        Ok(match self.directive(origin)? {
            Directive::Delete => None,
            Directive::Replace => Some(Walked { id: origin, kept: false }),
            Directive::Merge => Some(Walked { id: dest, kept: false }),
        })
    }

    /// Removes the directive from a patch's mapping or list.
    fn directive(&mut self, patch: MergeNodeId) -> Result<Directive, MergeError> {
        let holder = match self.nodes.get(patch) {
            Node::Map(_) => Some(patch),
            // In a list the directive is an element of its own, the first one with the key.
            Node::List(items) => {
                let first = items.iter().copied().find(|item| self.nodes.field(*item, "$patch").is_some());
                first.filter(|item| self.nodes.entries(*item).len() == 1)
            }
            Node::Scalar(_) | Node::Null => None,
        };
        let Some(found) = holder.and_then(|id| self.nodes.field(id, "$patch")) else {
            return Ok(Directive::Merge);
        };
        let text = self.nodes.text(found).into_owned();
        let directive = match text.as_str() {
            "delete" => Directive::Delete,
            "replace" => Directive::Replace,
            "merge" => Directive::Merge,
            _ => return Err(MergeError::Directive { path: self.path(), directive: text }),
        };
        if self.nodes.kind(patch) == Some(NodeKind::List) {
            let key = ["$patch".to_owned()];
            self.nodes.set_element(patch, None, &key, &[text]).map_err(|unkeyed| self.at(unkeyed))?;
        } else {
            self.nodes.clear_field(patch, "$patch");
        }
        Ok(directive)
    }

    /// Merges a list whose elements have keys. The steps are kyaml's (`associative_sequence.go`), one by one,
    /// because users see their order: elements of the patch come first, and one is lost if only one side sets
    /// the second key.
    fn walk_merged_list(
        &mut self,
        [dest, origin]: Sources,
        place: Option<SchemaPlace<'s>>,
        keys: &[String],
    ) -> Result<Option<Walked>, MergeError> {
        let walked = if self.nodes.is_missing(dest) {
            origin.map(|id| Walked { id, kept: false })
        } else {
            match dest {
                Some(dest) => self.directed(dest, origin)?,
                None => None,
            }
        };
        let Some(walked) = walked else { return Ok(None) };
        let sources = [Some(walked.id), origin];
        if self.nodes.kind(walked.id) != Some(NodeKind::List) {
            return Ok(Some(walked));
        }
        let (values, keys) = if keys.is_empty() {
            (self.nodes.scalars(sources), vec![String::new()])
        } else {
            (self.nodes.key_values(sources, keys), keys.to_vec())
        };
        let stated = if keys.len() > 1 { self.nodes.stated(origin, &keys) } else { Vec::new() };
        let merged = self.merge_elements(sources, place, values, &keys)?;
        if !stated.is_empty() {
            for lost in list::lost(&stated, &self.nodes.value(merged), &keys) {
                self.warnings.push(format!(
                    "{}: the patch's element {{{lost}}} is lost, because only the object or only the patch \
                     sets {}; set it in both",
                    self.path(),
                    keys[1..].join(" and "),
                ));
            }
        }
        Ok(Some(Walked { id: merged, kept: false }))
    }

    fn merge_elements(
        &mut self,
        sources: Sources,
        place: Option<SchemaPlace<'s>>,
        mut all: Vec<MergeKeyValues>,
        keys: &[String],
    ) -> Result<MergeNodeId, MergeError> {
        let dest = sources[0].unwrap_or_default();
        if all.is_empty() {
            return Ok(dest);
        }
        let place = place.and_then(SchemaPlace::elements);
        if keys.len() > 1 {
            list::unite(&mut all);
        }
        let added = self.nodes.add(Node::List(Vec::new()));
        let mut used = keys.to_vec();
        for values in &all {
            let (keys, values) = list::used_keys(&all, values, keys);
            let (own_keys, own_values) = list::used_keys(std::slice::from_ref(&values), &values, &keys);
            let elements = sources.map(|list| self.nodes.element(list?, &own_keys, &own_values));
            let merged = self.walk(elements, place)?;
            used.clone_from(&keys);
            let Some(merged) = merged.filter(|m| !self.nodes.is_null(m.id) && !self.nodes.is_empty_map(m.id))
            else {
                for _ in &keys {
                    self.nodes.set_element(dest, None, &keys, &values).map_err(|unkeyed| self.at(unkeyed))?;
                }
                continue;
            };
            for (key, value) in keys.iter().zip(&values) {
                if !key.is_empty() && !value.is_empty() && self.nodes.field(merged.id, key).is_none() {
                    let value = self.nodes.add_plain(value);
                    self.nodes.set_field(merged.id, key, value);
                }
            }
            let set = self.nodes.set_element(added, Some(merged.id), &keys, &values);
            set.map_err(|unkeyed| self.at(unkeyed))?;
        }
        self.nodes.append_list(added, dest, &used).map_err(|unkeyed| self.at(unkeyed))?;
        Ok(added)
    }

    fn at(&self, Unkeyed { key, found }: Unkeyed) -> MergeError {
        MergeError::Element { path: self.path(), key, found }
    }

    fn path(&self) -> String {
        if self.path.is_empty() { ".".into() } else { self.path.join(".") }
    }
}

/// Merges lists without merge keys, and scalars: the patch wins as a whole.
fn replaced([dest, origin]: Sources) -> Option<Walked> {
    origin.or(dest).map(|id| Walked { id, kept: false })
}

#[cfg(test)]
mod tests;
