//! The transformers of one kustomization, in the order in which they run.

use super::build::BuildShared;
use super::file::Replacement;
use super::hash;
use super::images::SetImage;
use super::labels::SetPairs;
use super::metadata::Origin;
use super::namespace::Namespace;
use super::patches::{self, MergePatch, PatchStep};
use super::prefix::Affix;
use super::replacements;
use super::replicas::SetReplicas;
use super::resmap::ResMap;
use super::value_add::AddValue;
use crate::error::Result;

/// A transformer that is ready to run.
pub(crate) enum Transformer {
    /// `patchesStrategicMerge`.
    StrategicMerge(Vec<MergePatch>),
    /// An entry of `patches` or `patchesJson6902`.
    Patch(PatchStep),
    /// `namespace`.
    Namespace(Namespace),
    /// `namePrefix` or `nameSuffix`.
    Affix(Affix),
    /// Labels or annotations.
    Pairs(SetPairs),
    /// An entry of `replicas`.
    Replicas(SetReplicas),
    /// An entry of `images`.
    Image(SetImage),
    /// `replacements`.
    Replacements(Vec<Replacement>),
    /// A value that is put into fields; only a plugin configuration can ask for it.
    AddValue(AddValue),
    /// Hashes in generated names, now and again at the end.
    Hash,
}

/// A transformer, and its identity in an object's notes.
pub(crate) struct BuildStep {
    pub(crate) transformer: Transformer,
    /// Its identity, if that is noted.
    pub(crate) origin: Option<Origin>,
    /// The file that configures it.
    pub(crate) file: String,
}

impl Transformer {
    /// Whether it writes to any resource, even if it writes the existing value. For transformers that do not
    /// know, the result shows it.
    pub(crate) fn touches(&self, map: &ResMap) -> bool {
        match self {
            Self::StrategicMerge(patches) => !patches.is_empty(),
            Self::Patch(patch) => patch.touches(map),
            Self::Affix(affix) => affix.touches(map),
            Self::Namespace(namespace) => !namespace.name.is_empty() && !map.items().is_empty(),
            Self::AddValue(add) => add.touches(map),
            // Without a match it would fail.
            Self::Replicas(_) => true,
            Self::Pairs(_) | Self::Image(_) | Self::Replacements(_) | Self::Hash => false,
        }
    }

    fn run(&self, map: &mut ResMap, build: &BuildShared<'_>) -> Result<()> {
        match self {
            Self::StrategicMerge(patches) => patches::run_strategic_merge(patches, map, build),
            Self::Patch(patch) => patch.run(map, build),
            Self::Namespace(namespace) => namespace.run(map),
            Self::Affix(affix) => affix.run(map, build.budget),
            Self::Pairs(pairs) => pairs.run(map, build.budget),
            Self::Replicas(replicas) => replicas.run(map),
            Self::Image(image) => image.run(map),
            Self::Replacements(replacements) => replacements::run(replacements, map, build.budget),
            Self::AddValue(add) => add.run(map, build.budget),
            Self::Hash => hash::run(map),
        }
    }
}

impl BuildStep {
    /// Runs the transformer, and notes it on every object.
    pub(crate) fn run(&self, map: &mut ResMap, build: &BuildShared<'_>) -> Result<()> {
        self.transformer.run(map, build).map_err(|error| error.in_file(&self.file))?;
        for at in 0..map.items().len() {
            let res = map.content_mut(at);
            res.twins.settle(&mut res.value);
        }
        if let Some(origin) = &self.origin {
            for at in 0..map.items().len() {
                map.content_mut(at).note(origin);
            }
        }
        map.drop_empty();
        Ok(())
    }
}
