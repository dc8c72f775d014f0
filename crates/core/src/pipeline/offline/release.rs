//! Renders one HelmRelease of a tree.

use super::anew;
use super::charts::{Charts, NoChart, ReleaseSetting};
use super::error::{BuiltOwner, BuiltRelease, BuiltSet, LocatedObject, OfflineError, oddities_of, subject};
use super::one::Completed;
use super::sources::KnownSources;
use super::values::{Nearby, SubstituteValues};
use crate::api::{self, HelmRelease};
use crate::pipeline::build::supported;
use crate::pipeline::ports::Lookup;
use crate::pipeline::release::{FoundChart, ShownRelease, shown};
use crate::verdict::Common;
use lockgate_base::tree::Tree;

/// Renders one HelmRelease as the agent would install it, with its values and post-renderers. ConfigMaps,
/// Secrets and sources that neither the caller nor an earlier build provides are looked up `elsewhere`, and
/// then in the tree.
pub async fn helm_release<C: Charts>(
    tree: &Tree,
    found: &LocatedObject,
    values: &SubstituteValues,
    elsewhere: &impl Lookup,
    setting: &ReleaseSetting<'_, C>,
) -> Result<BuiltSet, OfflineError> {
    let mut sources = KnownSources::default();
    for object in &values.given {
        sources.meet(object);
    }
    released(tree, found, (values, &sources), elsewhere, setting).await
}

/// [`helm_release`] with the sources that are known.
pub(super) async fn released<C: Charts>(
    tree: &Tree,
    found: &LocatedObject,
    (values, sources): (&SubstituteValues, &KnownSources),
    elsewhere: &impl Lookup,
    setting: &ReleaseSetting<'_, C>,
) -> Result<BuiltSet, OfflineError> {
    let Completed { found, mut warnings } = Completed::of(found.clone());
    let subject = subject(&found);
    let release: HelmRelease = api::decode(&found.object)
        .map_err(|error| OfflineError::Malformed { file: found.file.clone(), error })?;
    if let Err(Common::Malformed { message }) = supported(&release) {
        warnings.push(format!("the agent does not release it: {message}"));
    }
    if release.spec.suspend {
        warnings.push("it is suspended, so the agent leaves it alone".into());
    }
    let failed = |message: String| OfflineError::Release { subject: subject.clone(), message };
    let chart = setting.chart(tree, (&found, &release), (values, sources)).await;
    let (snapshot, is_artifact) = chart.map_err(|trouble| match trouble {
        NoChart::NotAtHand(message) => OfflineError::NoChart { subject: subject.clone(), message },
        NoChart::Failed(message) => failed(message),
    })?;
    let nearby = Nearby::new(values, &found.file, elsewhere);
    let render = async |chance| {
        let chart = FoundChart { snapshot: &snapshot, is_artifact };
        shown(&nearby, &release, chart, (&setting.capabilities, chance)).await.map_err(failed)
    };
    let (shown, anew) = if let Some(chance) = setting.chance {
        (render(chance).await?, Vec::new())
    } else {
        let mut one = render(anew::TWO[0]).await?;
        let anew = marked(&mut one, &render(anew::TWO[1]).await?);
        (one, anew)
    };
    let ShownRelease { chart, resources, definitions, hooks, warnings: told } = shown;
    // Two renders look the same values up.
    let mut places = nearby.into_told();
    places.dedup();
    let warnings = warnings.into_iter().chain(places).chain(told);
    let warnings = warnings.map(|warning| format!("{subject}: {warning}")).chain(oddities_of(&resources));
    let warnings = warnings.collect();
    let owner = BuiltOwner::Release(Box::new(BuiltRelease { release, chart, definitions, hooks, anew }));
    Ok(BuiltSet { subject, owner, resources, digest: None, warnings })
}

/// Marks what differs between two renders of a release. Where they do not even have the same objects, nothing
/// can be told of them.
fn marked(one: &mut ShownRelease, other: &ShownRelease) -> Vec<String> {
    if one.resources.len() != other.resources.len() || one.hooks.len() != other.hooks.len() {
        one.warnings.push("the chart makes other objects at each render".to_owned());
        return Vec::new();
    }
    let hooks = one.hooks.iter_mut().map(|hook| &mut hook.built);
    let others = other.resources.iter().chain(other.hooks.iter().map(|hook| &hook.built));
    anew::mark(one.resources.iter_mut().chain(hooks), others)
}
