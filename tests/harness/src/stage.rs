//! A namespace of a test's own on a control plane, and how tests read and write objects.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use serde_json::{Value, json};

use crate::controlplane::ControlPlane;
use crate::eventually::eventually;

/// A namespace, and an administrator's client for it.
#[derive(Clone)]
pub struct Stage {
    /// The client.
    pub client: kube::Client,
    /// The namespace.
    pub namespace: String,
}

impl Stage {
    /// Makes a namespace whose name begins with a text, and that no other test of this process has.
    pub async fn new(plane: &ControlPlane, name: &str) -> anyhow::Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let namespace = format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let client = plane.client().await?;
        let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        create(&client, made).await?;
        Ok(Self { client, namespace })
    }

    /// The API of a kind in the namespace.
    pub fn api(&self, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        api(&self.client, &self.namespace, api_version, kind, plural)
    }

    /// The API of a kind whose objects belong to the cluster.
    pub fn in_cluster(&self, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource(api_version, kind, plural))
    }

    /// The ConfigMaps of the namespace.
    pub fn config_maps(&self) -> Api<DynamicObject> {
        self.api("v1", "ConfigMap", "configmaps")
    }

    /// Applies an object of any kind.
    pub async fn apply(&self, value: Value) -> anyhow::Result<DynamicObject> {
        apply(&self.client, value).await
    }
}

/// The API of a kind in a namespace.
pub fn api(
    client: &kube::Client,
    namespace: &str,
    api_version: &str,
    kind: &str,
    plural: &str,
) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(api_version, kind, plural))
}

/// All objects of a kind, whatever their namespaces.
pub async fn all(
    client: &kube::Client,
    api_version: &str,
    kind: &str,
    plural: &str,
) -> anyhow::Result<Vec<Value>> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(api_version, kind, plural));
    let items = api.list(&ListParams::default()).await?.items;
    items.into_iter().map(|item| Ok(serde_json::to_value(item)?)).collect()
}

fn resource(api_version: &str, kind: &str, plural: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// Creates an object of a kind that the server serves already.
pub async fn create(client: &kube::Client, value: Value) -> anyhow::Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(value)?;
    let types = object.types.clone().context("an object without a kind")?;
    let gvk = GroupVersionKind::try_from(&types)?;
    let resource = ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    Ok(api.create(&PostParams::default(), &object).await?)
}

/// Applies an object of any kind, which may be served in a moment, as a user with another field manager than
/// the agent's.
pub async fn apply(client: &kube::Client, value: Value) -> anyhow::Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(value.clone())?;
    let types = object.types.clone().context("an object without a kind")?;
    let gvk = GroupVersionKind::try_from(&types)?;
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let params = PatchParams::apply("test").force();
    eventually(Duration::from_secs(20), async || {
        let (resource, capabilities) = pinned_kind(client, &gvk).await?;
        let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
        let api: Api<DynamicObject> = match capabilities.scope {
            Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
            Scope::Cluster => Api::all_with(client.clone(), &resource),
        };
        Ok(api.patch(name, &params, &Patch::Apply(&value)).await?)
    })
    .await
    .with_context(|| format!("{}/{name}", types.kind))
}
