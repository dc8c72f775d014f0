//! The stored releases, and the facts about the cluster that charts see.

use serde_json::{Value, json};

use super::client::{ApiRequest, JSON, METADATA_LIST};
use super::failure::{self, RequestFailure};
use super::handle::Cluster;
use super::path::{ServedKind, encode, secrets};
use lockgate_base::model::{Gvk, Object};
use lockgate_core::pipeline::ports::{ApiFailure, ReleaseStores};
use lockgate_core::plan::Answer;
use lockgate_render::helm::chart::capabilities::{Capabilities, KubeVersion};
use lockgate_render::helm::context::LookupQuery;

/// The path of the server's version.
const VERSION: &str = "/version";

impl ReleaseStores for Cluster {
    async fn versions(&self, namespace: &str, name: &str) -> Result<Vec<Object>, ApiFailure> {
        let selector = format!("owner=helm,name={name}");
        let path = format!("{}?labelSelector={}", secrets().collection(namespace), encode(&selector));
        let reply = self.client.send(ApiRequest::get(path, METADATA_LIST)).await?;
        Ok(items(reply.body, &secrets()))
    }

    async fn store(&self, secret: &Object) -> Result<Object, ApiFailure> {
        let stored = self.store_secret(secret, &secrets()).await?;
        Object::parse(stored).map_err(|_| failure::unavailable("the answer is no object").into())
    }

    async fn capabilities(&self) -> Result<Capabilities, ApiFailure> {
        let reply = self.shared.client.send(ApiRequest::get(VERSION.into(), JSON)).await?;
        let version = reply.body["gitVersion"].as_str().unwrap_or_default();
        let kube = KubeVersion::parse(version).map_err(|error| failure::unavailable(error.clone()))?;
        let api_versions = self.shared.discovery.api_versions(&self.shared.client).await?;
        Ok(Capabilities { kube, api_versions })
    }

    async fn look(&self, query: &LookupQuery) -> Result<Value, ApiFailure> {
        let (group, version) = query.api_version.split_once('/').unwrap_or(("", &query.api_version));
        let gvk = Gvk { group: group.into(), version: version.into(), kind: query.kind.clone() };
        let resource = self.shared.discovery.exact(&self.shared.client, &gvk).await?;
        let path = if query.name.is_empty() {
            resource.collection(&query.namespace)
        } else {
            resource.object(&query.namespace, &query.name).unwrap_or_default()
        };
        match self.client.send(ApiRequest::get(path, JSON)).await {
            Ok(reply) => Ok(reply.body),
            Err(RequestFailure::Answered(Answer { code: 404, .. })) => Ok(json!({})),
            Err(failure) => Err(failure.into()),
        }
    }
}

/// The objects of a list, whose type only the list states.
fn items(mut body: Value, resource: &ServedKind) -> Vec<Object> {
    let items = body["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let typed = |mut item: Value| {
        item["apiVersion"] = resource.api_version().into();
        item["kind"] = resource.kind.as_str().into();
        Object::parse(item).ok()
    };
    items.into_iter().filter_map(typed).collect()
}
