//! The sources whose files the tree holds.

use std::collections::BTreeMap;

use crate::api::{self, DEFAULT_SOURCE};
use lockgate_base::model::{Object, Ref};
use lockgate_base::tree::{Resolved, Tree};

/// The known sources.
#[derive(Debug, Default)]
pub(super) struct KnownSources {
    /// The source that stands for the tree, if it is known.
    pub(super) own: Option<Ref>,
    /// The URL of each source.
    urls: BTreeMap<Ref, String>,
}

impl KnownSources {
    /// Adds an object; returns whether it is a source.
    pub(super) fn meet(&mut self, object: &Object) -> bool {
        let Some(info) = api::built_from().find(|info| info.is_of(object)) else { return false };
        let url = object.text("/spec/url").unwrap_or_default().to_owned();
        let id = object.id();
        self.urls.insert(Ref::new(info.id, id.namespace, id.name), url);
        true
    }

    /// Whether the source is known.
    pub(super) fn knows(&self, source: &Ref) -> bool {
        self.urls.contains_key(source)
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
        let url = self.urls.get(&source)?;
        let path = folder_of(object);
        let is_here = self.own.as_ref().map_or_else(
            // An existing folder is evidence for the tree; the root folder, which always exists, is none.
            || !path.is_empty() && tree.reader().node(&path) == Ok(Some(Resolved::Directory)),
            |own| *own == source || self.urls.get(own) == Some(url),
        );
        (!is_here).then(|| format!("its source is another repository, {url}"))
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
