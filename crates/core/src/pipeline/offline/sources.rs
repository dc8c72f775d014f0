//! The sources whose files the tree holds.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::error::LocatedObject;
use super::search::sources_in;
use super::values::nearest;
use crate::api::{self, DEFAULT_SOURCE};
use lockgate_base::model::{Object, Ref};
use lockgate_base::tree::{Resolved, Tree};

/// The known sources.
#[derive(Debug, Default)]
pub(super) struct KnownSources {
    /// The source that stands for the tree, if it is known.
    pub(super) own: Option<Ref>,
    /// The objects.
    objects: BTreeMap<Ref, Object>,
    /// The sources in the files of the tree, once they were looked for.
    tree: OnceLock<Vec<LocatedObject>>,
}

impl KnownSources {
    /// Adds an object; returns whether it is a source.
    pub(super) fn meet(&mut self, object: &Object) -> bool {
        let Some(info) = api::sources().find(|info| info.is_of(object)) else { return false };
        let id = object.id();
        self.objects.insert(Ref::new(info.id, id.namespace, id.name), object.clone());
        true
    }

    /// Whether the source is known.
    pub(super) fn knows(&self, source: &Ref) -> bool {
        self.objects.contains_key(source)
    }

    /// The object of a source.
    pub(super) fn object(&self, source: &Ref) -> Option<&Object> {
        self.objects.get(source)
    }

    /// The object of a source, from the tree where no build brings it; `near` is the file of who asks. Where
    /// the tree holds too much to be looked through, it is not found.
    pub(super) fn nearest(&self, source: &Ref, tree: &Tree, near: &str) -> Option<&Object> {
        let in_tree = || {
            let all = self.tree.get_or_init(|| sources_in(tree).unwrap_or_default());
            let is_it = |found: &&LocatedObject| {
                let id = found.object.id();
                (id.group.as_str(), id.kind.as_str()) == (source.kind.group, source.kind.kind)
                    && id.name == source.name
                    && (id.namespace.is_empty() || id.namespace == source.namespace)
            };
            nearest(all.iter().filter(is_it), near).map(|found| &found.object)
        };
        self.object(source).or_else(in_tree)
    }

    /// The objects of all sources.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    fn url(&self, source: &Ref) -> Option<&str> {
        Some(self.object(source)?.text("/spec/url").unwrap_or_default())
    }

    /// The reason why the files of a Kustomization are not in the tree; `None` if they are. A source that no
    /// object defines counts as the tree.
    pub(super) fn is_foreign(&self, object: &Object, tree: &Tree) -> Option<String> {
        let Some(source) = source_of(object) else {
            let text = |field: &str| object.text(&format!("/spec/sourceRef/{field}"));
            let (kind, name) = (text("kind").unwrap_or(DEFAULT_SOURCE), text("name")?);
            let own = object.id().namespace;
            let namespace = text("namespace").unwrap_or(&own);
            let served = api::either(api::built_from());
            return Some(format!("its source is not {served} but the {kind} {namespace}/{name}"));
        };
        let path = folder_of(object);
        // An existing folder is evidence for the tree; the root folder, which always exists, is none.
        let is_there = || !path.is_empty() && tree.reader().node(&path) == Ok(Some(Resolved::Directory));
        let url = self.elsewhere(&source, is_there)?;
        Some(format!("its source is another repository, {url}"))
    }

    /// The address of a source whose files are not in the tree; `None` if they are. `is_there` tells whether
    /// the tree holds what is wanted of them.
    pub(super) fn elsewhere(&self, source: &Ref, is_there: impl FnOnce() -> bool) -> Option<&str> {
        let url = self.url(source)?;
        let is_here =
            self.own.as_ref().map_or_else(is_there, |own| own == source || self.url(own) == Some(url));
        (!is_here).then_some(url)
    }
}

/// The source of a Kustomization, if lockgate acts on its kind.
pub(super) fn source_of(object: &Object) -> Option<Ref> {
    let text = |field: &str| object.text(&format!("/spec/sourceRef/{field}"));
    let info = api::source(text("apiVersion"), text("kind").unwrap_or(DEFAULT_SOURCE))?;
    let own = object.id().namespace;
    let namespace = text("namespace").map_or(own, ToOwned::to_owned);
    Some(Ref::new(info.id, namespace, text("name")?))
}

/// `spec.path` as a path of the tree.
pub(super) fn folder_of(object: &Object) -> String {
    api::folder(object.text("/spec/path").unwrap_or_default())
}
