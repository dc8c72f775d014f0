//! The table of kinds. It is the source of definitions, rights and watches, and of the kinds that `status`
//! shows, that uninstall removes, and whose definitions in Git are left alone.

use super::kind::{KindInfo, Role};
use super::malformed::Malformed;
use super::reference::SourceReference;
use super::source::Source;
use kustomization::DependsOn;
use lockgate_base::model::{KindId, Object, Ref};

pub(super) mod kustomization;
mod alert;
mod bucket;
mod external_artifact;
pub(super) mod git_repository;
pub(super) mod helm_chart;
pub(super) mod helm_repository;
mod image_policy;
mod image_repository;
mod image_update_automation;
pub(super) mod oci_repository;
pub(super) mod helm_release;
mod provider;
mod receiver;

/// The kinds of sources from which charts are made by their names or paths.
const CHARTS_FROM: [&KindInfo; 3] = [&git_repository::INFO, &oci_repository::INFO, &helm_repository::INFO];

/// Every kind of Flux. The kinds that lockgate acts on come first.
pub const KINDS: &[&KindInfo] = &[
    &kustomization::INFO,
    &helm_release::INFO,
    &git_repository::INFO,
    &oci_repository::INFO,
    &helm_repository::INFO,
    &helm_chart::INFO,
    &bucket::INFO,
    &external_artifact::INFO,
    &alert::INFO,
    &provider::INFO,
    &receiver::INFO,
    &image_repository::INFO,
    &image_policy::INFO,
    &image_update_automation::INFO,
];

/// The kinds that lockgate acts on and leaves to a running controller of Flux, by the controller's name. A
/// controller of releases touches nothing else.
pub(super) const LEFT: [(&str, &[KindId]); 1] =
    [("helm-controller", &[helm_release::INFO.id, helm_chart::INFO.id])];

/// The kinds that lockgate acts on.
pub fn acted_on() -> impl Iterator<Item = &'static KindInfo> {
    KINDS.iter().copied().filter(|info| info.is_acted_on)
}

/// The kinds of sources that lockgate acts on.
pub fn sources() -> impl Iterator<Item = &'static KindInfo> {
    acted_on().filter(|info| matches!(info.role, Role::Source(_)))
}

/// The kinds of sources that a Kustomization can be built from.
pub fn built_from() -> impl Iterator<Item = &'static KindInfo> {
    sources().filter(|info| info.source().is_some_and(|source| source.is_built_from))
}

/// The kind of source in a Kustomization's reference, if a Kustomization can be built from it.
pub fn source(api_version: Option<&str>, kind: &str) -> Option<&'static KindInfo> {
    let named = named(api_version, kind)?;
    built_from().find(|info| *info == named)
}

/// Reads an object of a kind of source that lockgate acts on.
pub fn decode_source(object: &Object) -> Result<Source, Malformed> {
    let kind = sources().find(|info| info.is_of(object)).and_then(KindInfo::source);
    let foreign =
        || Malformed { subject: object.id().subject(), message: format!("use {}", either(sources())) };
    kind.map_or_else(|| Err(foreign()), |kind| (kind.read)(object))
}

/// Kinds in a sentence, as a choice.
pub fn either(kinds: impl Iterator<Item = &'static KindInfo>) -> String {
    let article = |kind: &str| if kind.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
    let named = kinds.map(|info| format!("{} {}", article(info.id.kind), info.id.kind));
    named.collect::<Vec<_>>().join(" or ")
}

/// Whether a Deployment has the name of a controller of Flux whose work lockgate does.
pub fn is_rival(controller: &str) -> bool {
    acted_on().any(|info| info.controller == controller)
}

/// Whether nothing is written beside a controller of Flux: lockgate does its work, and it is not one whose
/// kinds can be left to it.
pub fn holds_back(controller: &str) -> bool {
    is_rival(controller) && LEFT.iter().all(|(name, _)| *name != controller)
}

/// The entry of a kind.
pub fn info(id: KindId) -> Option<&'static KindInfo> {
    KINDS.iter().copied().find(|info| info.id == id)
}

/// The entry of the kind that a CustomResourceDefinition defines.
pub fn defined_by(object: &Object) -> Option<&'static KindInfo> {
    let is_definition =
        (object.group(), object.kind()) == ("apiextensions.k8s.io", "CustomResourceDefinition");
    KINDS.iter().copied().find(|info| is_definition && info.definition() == object.name())
}

/// The kind in a reference, by `kind` and, if given, `apiVersion`. No two kinds of Flux share a name.
pub fn named(api_version: Option<&str>, kind: &str) -> Option<&'static KindInfo> {
    let group = api_version.map(|text| text.split_once('/').map_or("", |(group, _)| group));
    KINDS
        .iter()
        .copied()
        .find(|info| info.id.kind == kind && group.is_none_or(|group| group == info.id.group))
}

impl SourceReference {
    /// The source of a Kustomization in this namespace; `None` if no Kustomization can be built from its
    /// kind.
    pub fn target(&self, namespace: &str) -> Option<Ref> {
        let info = source(self.api_version.as_deref(), &self.kind)?;
        Some(Ref::new(info.id, self.namespace.as_deref().unwrap_or(namespace), &self.name))
    }
}

impl Source {
    /// The source that the chart is made from, if it has one; an error if no chart can be made from its kind.
    pub fn upstream(&self) -> Option<Result<Ref, String>> {
        let SourceReference { api_version, kind, name, .. } = self.spec.upstream()?;
        let charts = || CHARTS_FROM.iter().copied();
        let own = &self.metadata.namespace;
        let found = named(api_version.as_deref(), kind).and_then(|info| charts().find(|from| *from == info));
        Some(found.map(|info| Ref::new(info.id, own, name)).ok_or_else(|| {
            let served = either(charts());
            format!("spec.sourceRef: {kind}/{own}/{name} is of a kind that lockgate does not serve yet; use {served}")
        }))
    }
}

impl DependsOn {
    /// The object that the dependent waits for, or why that object can never be ready.
    pub fn target(&self, dependent: &Ref) -> Result<Ref, String> {
        let namespace = self.namespace.as_ref().unwrap_or(&dependent.namespace);
        let own = dependent.kind;
        let (kind, api_version) = (self.kind.as_deref(), self.api_version.as_deref());
        let found = match (kind, api_version) {
            (None, None) => return Ok(Ref::new(own, namespace, &self.name)),
            _ => named(api_version, kind.unwrap_or(own.kind)),
        };
        let subject = || format!("{}/{namespace}/{}", kind.unwrap_or(own.kind), self.name);
        match found {
            Some(info) if info.is_acted_on => Ok(Ref::new(info.id, namespace, &self.name)),
            Some(_) => Err(format!(
                "spec.dependsOn: lockgate does not reconcile objects of this kind, so {} never becomes ready",
                subject()
            )),
            None => Err(format!(
                "spec.dependsOn: nothing can depend on the kind of {}; use {}",
                subject(),
                either(acted_on())
            )),
        }
    }
}
