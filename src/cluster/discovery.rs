//! The served kinds of the cluster and their paths: aggregated discovery, with two requests, cached.
//!
//! A group that does not answer (a dead aggregated API) keeps its last known kinds, and delays nothing else.
//! A missing kind is looked up once more, with one lookup for all callers within a second. The kinds of a
//! CustomResourceDefinition that we apply ourselves need no request.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::client::{ApiRequest, Client};
use super::failure::{self, RequestFailure};
use super::path::ServedKind;
use lockgate_base::model::{Gvk, Object};
use lockgate_core::pipeline::ports::ObjectReference;

/// The media types: version 2 since Kubernetes 1.30, and 2beta1 in the same form since 1.26.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// How long a kind that discovery did not find counts as missing.
const MISSING: Duration = Duration::from_secs(1);
/// How long after its definition was accepted a kind may be missing from discovery.
const FRESH: Duration = Duration::from_secs(10);

/// Group and kind.
type GroupKind = (String, String);

/// The served kinds of one cluster.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    known: Mutex<Known>,
    /// Held during discovery, so that all callers that miss a kind share one.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// The served versions of each kind, the preferred one first.
    kinds: HashMap<GroupKind, Vec<ServedKind>>,
    /// The groups with a version that did not answer.
    stale: Vec<String>,
    /// The kinds of accepted definitions, and when each was learned.
    learned: HashMap<GroupKind, Instant>,
    /// When the last complete discovery ended, unless a kind was learned or forgotten since it began.
    asked: Option<Instant>,
    /// The number of kinds that were learned and forgotten.
    news: u64,
}

impl Discovery {
    /// The resource in exactly this version.
    pub(super) async fn exact(&self, client: &Client, gvk: &Gvk) -> Result<ServedKind, RequestFailure> {
        let find = |known: &Known| {
            known
                .versions(&gvk.group, &gvk.kind)
                .iter()
                .find(|resource| resource.version == gvk.version)
                .cloned()
        };
        self.find(client, gvk, find).await
    }

    /// The resource of an object: in the version of the reference if that is served, and otherwise in the
    /// preferred one.
    pub(super) async fn any(
        &self,
        client: &Client,
        reference: &ObjectReference,
    ) -> Result<ServedKind, RequestFailure> {
        let find = |known: &Known| {
            let versions = known.versions(&reference.id.group, &reference.id.kind);
            versions
                .iter()
                .find(|resource| resource.version == reference.version)
                .or(versions.first())
                .cloned()
        };
        self.find(client, &reference.gvk(), find).await
    }

    /// The resource in exactly this version, if it is known without a request.
    pub(super) fn cached(&self, gvk: &Gvk) -> Option<ServedKind> {
        let known = self.known();
        known.versions(&gvk.group, &gvk.kind).iter().find(|resource| resource.version == gvk.version).cloned()
    }

    /// All served kinds in the form that charts see: `apps/v1` and `apps/v1/Deployment`, in order.
    pub(super) async fn api_versions(&self, client: &Client) -> Result<Vec<String>, RequestFailure> {
        let is_asked = !self.known().kinds.is_empty();
        if !is_asked {
            let _asking = self.asking.lock().await;
            self.ask(client).await?;
        }
        let mut versions = BTreeSet::new();
        for resource in self.known().kinds.values().flatten() {
            let version = resource.api_version();
            versions.insert(format!("{version}/{}", resource.kind));
            versions.insert(version);
        }
        Ok(versions.into_iter().collect())
    }

    /// Learns the kind of a CustomResourceDefinition that the server has accepted. From then on these
    /// versions count as served.
    pub(super) fn learn(&self, crd: &Object) {
        let Some((kind, resources)) = kind_of_crd(crd) else { return };
        let mut known = self.known();
        known.changed();
        known.learned.insert(kind.clone(), Instant::now());
        known.kinds.insert(kind, resources);
    }

    /// Forgets a kind that is gone, so that the next caller asks again.
    pub(super) fn forget(&self, group: &str, kind: &str) {
        let kind = (group.to_owned(), kind.to_owned());
        let mut known = self.known();
        known.changed();
        known.learned.remove(&kind);
        known.kinds.remove(&kind);
    }

    async fn find(
        &self,
        client: &Client,
        gvk: &Gvk,
        find: impl Fn(&Known) -> Option<ServedKind>,
    ) -> Result<ServedKind, RequestFailure> {
        if let Some(found) = find(&self.known()) {
            return Ok(found);
        }
        {
            let _asking = self.asking.lock().await;
            let is_answered = {
                let known = self.known();
                find(&known).is_some() || known.asked.is_some_and(|asked| asked.elapsed() < MISSING)
            };
            if !is_answered {
                self.ask(client).await?;
            }
        }
        let known = self.known();
        find(&known).ok_or_else(|| RequestFailure::UnknownKind {
            gvk: gvk.clone(),
            unreachable: known.stale.contains(&gvk.group),
        })
    }

    async fn ask(&self, client: &Client) -> Result<(), RequestFailure> {
        let news = self.known().news;
        let mut fresh = Known::default();
        for path in ["/api", "/apis"] {
            let answer = client.send(ApiRequest::get(path.into(), AGGREGATED)).await?;
            fresh.read(answer.body)?;
        }
        self.known().replace(fresh, news);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn versions(&self, group: &str, kind: &str) -> &[ServedKind] {
        self.kinds.get(&(group.to_owned(), kind.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Stores the result of a discovery that began at `news`.
    fn replace(&mut self, fresh: Self, news: u64) {
        let known = std::mem::replace(self, fresh);
        self.asked = (known.news == news).then(Instant::now);
        self.news = known.news;
        self.learned = known.learned;
        self.learned.retain(|_, at| at.elapsed() < FRESH);
        for (kind, versions) in known.kinds {
            if self.learned.contains_key(&kind) {
                self.kinds.insert(kind, versions);
            } else if self.stale.contains(&kind.0) {
                // A silent group most likely still serves its earlier kinds.
                let kinds = self.kinds.entry(kind).or_default();
                for resource in versions {
                    if !kinds.iter().any(|known| known.version == resource.version) {
                        kinds.push(resource);
                    }
                }
            }
        }
    }

    /// An earlier discovery says nothing about the present kinds.
    fn changed(&mut self) {
        self.news += 1;
        self.asked = None;
    }

    fn add(&mut self, resource: ServedKind) {
        let versions = self.kinds.entry((resource.group.clone(), resource.kind.clone())).or_default();
        match versions.iter_mut().find(|known| known.version == resource.version) {
            Some(known) => *known = resource,
            None => versions.push(resource),
        }
    }

    fn read(&mut self, body: Value) -> Result<(), RequestFailure> {
        let groups = GroupList::deserialize(body)
            .map_err(|error| failure::unavailable(format!("discovery cannot be read: {error}")))?;
        for group in groups.items {
            for version in group.versions {
                if version.freshness == "Stale" && !self.stale.contains(&group.metadata.name) {
                    self.stale.push(group.metadata.name.clone());
                }
                for resource in version.resources {
                    let Some(kind) = resource.response_kind else { continue };
                    self.add(ServedKind {
                        group: if kind.group.is_empty() { group.metadata.name.clone() } else { kind.group },
                        version: if kind.version.is_empty() { version.version.clone() } else { kind.version },
                        kind: kind.kind,
                        plural: resource.resource,
                        namespaced: resource.scope == "Namespaced",
                    });
                }
            }
        }
        Ok(())
    }
}

/// The kind and the served versions of a CustomResourceDefinition; `None` for another object.
fn kind_of_crd(crd: &Object) -> Option<(GroupKind, Vec<ServedKind>)> {
    if (crd.group(), crd.kind()) != ("apiextensions.k8s.io", "CustomResourceDefinition") {
        return None;
    }
    let (group, kind) = (crd.text("/spec/group")?, crd.text("/spec/names/kind")?);
    let resource = |version: &Value| {
        (version["served"] == true).then_some(())?;
        Some(ServedKind {
            group: group.into(),
            version: version["name"].as_str()?.into(),
            kind: kind.into(),
            plural: crd.text("/spec/names/plural")?.into(),
            namespaced: crd.text("/spec/scope")? == "Namespaced",
        })
    };
    let versions = crd.pointer("/spec/versions")?.as_array()?.iter().filter_map(resource).collect();
    Some(((group.into(), kind.into()), versions))
}

#[derive(Deserialize)]
struct GroupList {
    #[serde(default)]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: GroupMetadata,
    #[serde(default)]
    versions: Vec<GroupVersion>,
}

#[derive(Default, Deserialize)]
struct GroupMetadata {
    /// The group's name; empty for the core group.
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
    #[serde(default)]
    resources: Vec<GroupResource>,
    /// `Current`, or `Stale` if the server behind the group did not answer.
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupResource {
    resource: String,
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
}

#[derive(Deserialize)]
struct ResponseKind {
    #[serde(default)]
    group: String,
    #[serde(default)]
    version: String,
    kind: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_group_that_does_not_answer_is_told_from_one_that_is_not_there() {
        let mut known = Known::default();
        known
            .read(json!({"items": [
                {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "freshness": "Current", "resources": [
                    {"resource": "deployments", "scope": "Namespaced",
                     "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"}}]}]},
                {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]}]}))
            .unwrap();
        assert_eq!(known.versions("apps", "Deployment")[0].plural, "deployments");
        assert_eq!(known.stale, ["metrics.k8s.io"]);
        assert!(known.versions("metrics.k8s.io", "NodeMetrics").is_empty());
    }

    fn crd(versions: &Value) -> Object {
        Object::parse(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "foos.x.io"},
            "spec": {"group": "x.io", "scope": "Namespaced", "names": {"kind": "Foo", "plural": "foos"},
                     "versions": versions}}))
        .unwrap()
    }

    fn served(discovery: &Discovery) -> Vec<String> {
        let known = discovery.known();
        let versions = known.versions("x.io", "Foo");
        assert!(versions.iter().all(|version| version.plural == "foos" && version.namespaced));
        versions.iter().map(|resource| resource.version.clone()).collect()
    }

    #[test]
    fn the_versions_that_a_crd_serves_are_known_at_once_and_no_others() {
        let discovery = Discovery::default();
        discovery
            .learn(&crd(&json!([{"name": "v1", "served": true}, {"name": "v1alpha1", "served": false}])));
        assert_eq!(served(&discovery), ["v1"]);
        discovery.learn(&crd(&json!([{"name": "v1", "served": false}, {"name": "v2", "served": true}])));
        assert_eq!(served(&discovery), ["v2"]);
    }

    #[test]
    fn a_look_that_began_before_a_kind_was_learned_does_not_unlearn_it() {
        let discovery = Discovery::default();
        let began = discovery.known().news;
        discovery.learn(&crd(&json!([{"name": "v1", "served": true}])));
        discovery.known().replace(Known::default(), began);
        assert_eq!(served(&discovery), ["v1"]);
        assert_eq!(discovery.known().asked, None, "whoever misses something looks again");
        discovery.forget("x.io", "Foo");
        let began = discovery.known().news;
        discovery.known().replace(Known::default(), began);
        assert!(served(&discovery).is_empty() && discovery.known().asked.is_some());
    }
}
