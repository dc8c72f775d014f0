//! Follows a set of objects for ever: a list in pages, then a watch from the list's resourceVersion. It
//! survives every end of a watch: one without a reason, an outage of the server, an expired resourceVersion,
//! a silent peer.

use std::time::Duration;

use futures::TryStreamExt as _;
use kube::api::WatchEvent;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::client::{ApiRequest, Client, JSON, METADATA, METADATA_LIST};
use super::failure;
use super::index::Watching;
use super::judge;
use super::path::{ServedKind, encode};
use lockgate_base::model::{Gvk, Object};
use lockgate_core::pipeline::ports::ApiFailure;

/// How many objects a page of a list has. This limits the memory that a list takes.
const PAGE: usize = 100;
/// The server ends a watch after this many seconds, so that none lives for ever.
const LIFE: u64 = 290;
/// The server sends a bookmark each minute or so; a watch that is silent for longer than this is dead.
const SILENCE: Duration = Duration::from_secs(150);
/// The first and the longest pause before the next attempt.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A watch that has lived this long counts as a success, whatever ended it.
const LIVED: Duration = Duration::from_secs(5);

/// What to list and watch.
#[derive(Debug, Clone)]
pub struct Query {
    resource: ServedKind,
    /// The path with a selector, without the parameters that differ between a list and a watch.
    path: String,
    /// Whether only type and metadata are requested.
    metadata: bool,
}

/// What a query yields.
#[derive(Debug)]
pub enum QueryEvent {
    /// A list begins.
    Listing,
    /// An object exists.
    There {
        /// The object, or its type and metadata.
        object: Object,
        /// Whether a list contains it.
        listed: bool,
    },
    /// An object was deleted, or no longer matches.
    Left {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The resourceVersion of the deletion.
        at: u64,
    },
    /// The last list is complete, as of this resourceVersion.
    Listed(u64),
}

/// The end of a watch.
enum End {
    /// A normal end: the watch continues from the last resourceVersion.
    Resume,
    /// The resourceVersion is too old, so a new list is needed.
    Relist,
    /// A failure.
    Failed(ApiFailure),
}

impl From<ApiFailure> for End {
    fn from(failure: ApiFailure) -> Self {
        match failure {
            ApiFailure::Answered { code: 410, .. } => Self::Relist,
            failure => Self::Failed(failure),
        }
    }
}

impl Query {
    /// A query over a namespaced kind that needs no discovery, since it is Kubernetes' own or the agent's. It
    /// covers one namespace or all, and only objects with the label, if one is given.
    pub fn of(gvk: &Gvk, plural: &str, namespace: Option<&str>, label: Option<(&str, &str)>) -> Self {
        let resource = ServedKind {
            group: gvk.group.clone(),
            version: gvk.version.clone(),
            kind: gvk.kind.clone(),
            plural: plural.into(),
            namespaced: true,
        };
        let selector =
            label.map(|(name, value)| format!("labelSelector={}", encode(&format!("{name}={value}"))));
        Self::new(&resource, namespace.unwrap_or_default(), &selector.unwrap_or_default())
    }

    /// A query over one namespace, or over the whole cluster if `namespace` is empty. `selector` is an
    /// encoded query parameter.
    pub(super) fn new(resource: &ServedKind, namespace: &str, selector: &str) -> Self {
        Self {
            path: format!("{}?{selector}", resource.collection(namespace)),
            metadata: judge::is_stateless(&resource.group, &resource.kind),
            resource: resource.clone(),
        }
    }

    /// Lists and then watches for ever, and lists again if the watch has lost its place. Returns only with a
    /// failure that no early retry can cure: the right is missing, or the kind is gone. Other failures are
    /// reported to `standing`, and the watch is retried.
    pub(super) async fn follow(
        &self,
        client: &Client,
        mut sink: impl FnMut(QueryEvent),
        mut standing: impl FnMut(Watching),
    ) -> ApiFailure {
        let mut place: Option<String> = None;
        let mut pause = PAUSE.0;
        loop {
            let began = Instant::now();
            let end = match &mut place {
                Some(place) => self.watch(client, place, &mut sink, &mut standing).await,
                None => match self.list(client, &mut sink).await {
                    Ok(at) => {
                        place = Some(at);
                        continue;
                    }
                    Err(failure) => failure.into(),
                },
            };
            match end {
                End::Resume => {}
                End::Relist => place = None,
                End::Failed(failure) if is_final(&failure) => return failure,
                // The watch continues from here; if the resourceVersion is too old, the server says so.
                End::Failed(failure) => standing(Watching::Broken(failure)),
            }
            if began.elapsed() > LIVED {
                pause = PAUSE.0;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Lists page by page. Returns the resourceVersion to watch from.
    async fn list(&self, client: &Client, sink: &mut impl FnMut(QueryEvent)) -> Result<String, ApiFailure> {
        sink(QueryEvent::Listing);
        let mut next = String::new();
        loop {
            let path = format!("{}&limit={PAGE}&continue={}", self.path, encode(&next));
            let accept = if self.metadata { METADATA_LIST } else { JSON };
            let mut body = client.send(ApiRequest::get(path, accept)).await.map_err(ApiFailure::from)?.body;
            for item in
                body.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default()
            {
                if let Some(object) = self.object(item) {
                    sink(QueryEvent::There { object, listed: true });
                }
            }
            let text = |pointer| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            next = text("/metadata/continue");
            if next.is_empty() {
                let place = text("/metadata/resourceVersion");
                sink(QueryEvent::Listed(judge::version_number(&place)));
                return Ok(place);
            }
        }
    }

    /// Watches until the watch ends. `place` follows the events.
    async fn watch(
        &self,
        client: &Client,
        place: &mut String,
        sink: &mut impl FnMut(QueryEvent),
        standing: &mut impl FnMut(Watching),
    ) -> End {
        let path = format!(
            "{}&watch=true&allowWatchBookmarks=true&timeoutSeconds={LIFE}&resourceVersion={}",
            self.path,
            encode(place)
        );
        let accept = if self.metadata { METADATA } else { JSON };
        let mut events = match client.events(ApiRequest::get(path, accept)).await {
            Ok(events) => std::pin::pin!(events),
            Err(failure) => return failure.into(),
        };
        standing(Watching::Live);
        loop {
            let (value, left) = match timeout(SILENCE, events.try_next()).await {
                Err(_) | Ok(Ok(None)) => return End::Resume,
                Ok(Err(error)) => return ApiFailure::from(failure::of_kube(&error)).into(),
                Ok(Ok(Some(WatchEvent::Error(status)))) => {
                    return ApiFailure::from(failure::of_kube(&kube::Error::Api(status))).into();
                }
                Ok(Ok(Some(WatchEvent::Bookmark(bookmark)))) => {
                    *place = bookmark.metadata.resource_version;
                    continue;
                }
                Ok(Ok(Some(WatchEvent::Added(value) | WatchEvent::Modified(value)))) => (value, false),
                Ok(Ok(Some(WatchEvent::Deleted(value)))) => (value, true),
            };
            let Some(object) = self.object(value) else { continue };
            if let Some(version) = object.text("/metadata/resourceVersion") {
                version.clone_into(place);
            }
            sink(if left {
                let namespace = object.namespace().unwrap_or_default().to_owned();
                QueryEvent::Left {
                    namespace,
                    name: object.name().to_owned(),
                    at: judge::version_number(place),
                }
            } else {
                QueryEvent::There { object, listed: false }
            });
        }
    }

    fn object(&self, mut value: Value) -> Option<Object> {
        // The items of a list have no type, and those of a metadata list have another one.
        value["apiVersion"] = self.resource.api_version().into();
        value["kind"] = self.resource.kind.clone().into();
        Object::parse(value).ok()
    }
}

/// Whether an early retry is useless.
const fn is_final(failure: &ApiFailure) -> bool {
    matches!(
        failure,
        ApiFailure::Forbidden(_)
            | ApiFailure::UnknownKind { .. }
            | ApiFailure::Answered { code: 404 | 405, .. }
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use axum::body::Body;
    use serde_json::json;

    use super::*;

    fn object(at: u64) -> Value {
        json!({"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": at.to_string()}})
    }

    /// The answer to a request: a list as of 5, and then a watch that shows the change 9 and is closed.
    fn answer(uri: &http::Uri) -> Body {
        let query = uri.query().unwrap_or_default();
        if !query.contains("watch=true") {
            return json!({"metadata": {"resourceVersion": "5"}, "items": [object(3)]}).to_string().into();
        }
        let place: u64 = query.rsplit_once("resourceVersion=").unwrap().1.parse().unwrap();
        if place == 9 {
            return Body::from_stream(futures::stream::pending::<Result<String, Infallible>>());
        }
        (json!({"type": "MODIFIED", "object": object(place + 1)}).to_string() + "\n").into()
    }

    /// F13: nothing is listed again, and nothing is seen twice or missed.
    #[tokio::test]
    async fn a_watch_that_is_closed_again_and_again_goes_on_where_it_was() {
        let lists = Arc::new(Mutex::new(0));
        let count = Arc::clone(&lists);
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            *count.lock().unwrap() +=
                usize::from(!request.uri().query().unwrap_or_default().contains("watch=true"));
            let response = http::Response::new(answer(request.uri()));
            async move { Ok::<_, Infallible>(response) }
        });
        let client = Client::of_service(service, "http://test");
        let gvk = Gvk { group: String::new(), version: "v1".into(), kind: "ConfigMap".into() };
        let query = Query::of(&gvk, "configmaps", None, None);
        let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let sink = |event| {
            if let QueryEvent::There { object, .. } = event {
                sender
                    .send(judge::version_number(object.text("/metadata/resourceVersion").unwrap()))
                    .unwrap();
            }
        };
        let all = async {
            let mut all = Vec::new();
            while all.last() != Some(&9) {
                all.push(seen.recv().await.unwrap());
            }
            all
        };
        tokio::select! {
            failure = query.follow(&client, sink, |_| {}) => panic!("{failure}"),
            all = all => assert_eq!(all, [3, 6, 7, 8, 9]),
        }
        assert_eq!(*lists.lock().unwrap(), 1);
    }
}
