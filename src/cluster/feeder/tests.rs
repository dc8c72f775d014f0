//! Many waits on a server in memory that counts the open watches.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cluster::feed::WATCHES;
use crate::cluster::{Client, Cluster};
use lockgate_base::model::ObjectId;
use lockgate_core::api::Kustomization;
use lockgate_core::health::Health;
use lockgate_core::pipeline::ports::{ObjectReference, Settle as _, Settled};

/// The kinds of the server: `K0` and so on.
const KINDS: usize = 20;
const LIMIT: Duration = Duration::from_mins(10);

/// A server whose objects are all alike.
struct Server {
    /// The existing names in each kind and namespace, and whether the objects are healthy.
    objects: Mutex<Vec<(String, bool)>>,
    /// Becomes true when the watches show the objects.
    shown: watch::Sender<bool>,
    /// Whether listing is forbidden.
    is_closed: bool,
    open: AtomicUsize,
    most: AtomicUsize,
    reads: AtomicUsize,
}

/// An open watch.
struct Open(Arc<Server>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    fn start(names: &[&str], is_closed: bool) -> (Cluster, Arc<Self>) {
        let objects = names.iter().map(|name| ((*name).to_owned(), true)).collect();
        let (shown, _) = watch::channel(false);
        let [open, most, reads] = [0; 3].map(AtomicUsize::new);
        let server = Arc::new(Self { objects: Mutex::new(objects), shown, is_closed, open, most, reads });
        let answering = Arc::clone(&server);
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (status, body) = Self::answer(&answering, request.uri());
            async move { Ok::<_, Infallible>(http::Response::builder().status(status).body(body).unwrap()) }
        });
        (Cluster::new(Client::of_service(service, "http://test")).0, server)
    }

    fn put(&self, names: impl IntoIterator<Item = (String, bool)>) {
        *self.objects.lock().unwrap() = names.into_iter().collect();
    }

    fn items(&self) -> Vec<Value> {
        let objects = self.objects.lock().unwrap();
        let item = |(name, is_ready): &(String, bool)| {
            let ready = json!({"type": "Ready", "status": if *is_ready { "True" } else { "False" }});
            json!({"metadata": {"name": name, "namespace": "n", "uid": "u", "resourceVersion": "1"},
                   "status": {"conditions": [ready]}})
        };
        objects.iter().map(item).collect()
    }

    fn answer(server: &Arc<Self>, uri: &http::Uri) -> (u16, Body) {
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let json = |body: Value| (200, Body::from(body.to_string()));
        if path == "/api" {
            return json(json!({"items": []}));
        }
        if path == "/apis" {
            let resource = |at| json!({"resource": format!("k{at}s"), "scope": "Namespaced", "responseKind": {"kind": format!("K{at}")}});
            let resources: Vec<Value> = (0..KINDS).map(resource).collect();
            let versions = json!([{"version": "v1", "resources": resources}]);
            return json(json!({"items": [{"metadata": {"name": "x.io"}, "versions": versions}]}));
        }
        let (_, rest) = path.split_once("/namespaces/n/").unwrap();
        if query.contains("watch=true") {
            return (200, Self::events(server));
        }
        let refused = |verb: &str| {
            let message = format!(
                "k0s.x.io is forbidden: User \"u\" cannot {verb} resource \"k0s\" in API group \"x.io\" in the namespace \"n\""
            );
            let status = json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": message});
            (403, Body::from(status.to_string()))
        };
        match rest.split_once('/') {
            None if server.is_closed => refused("list"),
            None => json(json!({"metadata": {"resourceVersion": "1"}, "items": server.items()})),
            Some((_, "hidden")) => refused("get"),
            Some((_, name)) => {
                server.reads.fetch_add(1, Ordering::Relaxed);
                let found = server.items().into_iter().find(|item| item["metadata"]["name"] == name);
                let gone = || json!({"kind": "Status", "code": 404, "reason": "NotFound", "details": {"name": name}});
                found.map_or_else(|| (404, Body::from(gone().to_string())), json)
            }
        }
    }

    /// The events of a watch: all objects, once they may be shown.
    fn events(server: &Arc<Self>) -> Body {
        let open = Open(Arc::clone(server));
        let now = server.open.fetch_add(1, Ordering::Relaxed) + 1;
        server.most.fetch_max(now, Ordering::Relaxed);
        let mut shown = server.shown.subscribe();
        let first = async move {
            let server = &open.0;
            shown.wait_for(|shown| *shown).await.unwrap();
            let event = |object: Value| json!({"type": "ADDED", "object": object}).to_string() + "\n";
            let events: String = server.items().into_iter().map(event).collect();
            (events, open)
        };
        // The watch stays open, and `open` with it.
        let events = futures::stream::once(first).flat_map(|(events, open)| {
            let rest = futures::stream::pending().map(move |()| {
                let _ = &open;
                Bytes::new()
            });
            futures::stream::once(async { Bytes::from(events) }).chain(rest)
        });
        Body::from_stream(events.map(Ok::<_, Infallible>))
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Waits for this number of open watches, and of objects that were read.
    async fn until(&self, open: usize, reads: usize) {
        while self.open.load(Ordering::Relaxed) != open || self.reads.load(Ordering::Relaxed) < reads {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn reference(kind: usize, name: &str) -> ObjectReference {
    let kind = format!("K{kind}");
    let id = ObjectId { namespace: "n".into(), name: name.into(), group: "x.io".into(), kind };
    ObjectReference::new(id, "v1")
}

/// A wait for the object `k{at}` of each kind, with an account of a namespace.
async fn wait(cluster: &Cluster, namespace: &str, at: usize) -> Settled {
    let name = format!("k{at}");
    let cluster = cluster.acting_for(Kustomization::named(namespace, &name), Some("deployer")).unwrap();
    let references: Vec<_> = (0..KINDS).map(|kind| reference(kind, &name)).collect();
    cluster.settle(&references, LIMIT).await
}

#[tokio::test]
async fn a_hundred_waits_of_an_account_share_a_watch_for_each_kind() {
    let (cluster, server) = Server::start(&[], false);
    let waits = futures::future::join_all((0..100).map(|at| wait(&cluster, "tenant", at)));
    let appear = async {
        server.until(KINDS, 0).await;
        server.put((0..100).map(|at| (format!("k{at}"), true)));
        server.shown.send_replace(true);
    };
    let (settled, ()) = futures::join!(waits, appear);
    assert!(settled.iter().all(|settled| *settled == Settled::Healthy), "{settled:?}");
    assert_eq!((server.most(), server.reads.load(Ordering::Relaxed)), (KINDS, 0));
    // No watch lives longer than the waits.
    server.until(0, 0).await;
}

#[tokio::test]
async fn what_is_beyond_the_cap_is_looked_at_and_no_account_holds_all_watches() {
    let (cluster, server) = Server::start(&[], false);
    let namespaces: Vec<String> = (0..10).map(|at| format!("tenant-{at}")).collect();
    let waits = futures::future::join_all(namespaces.iter().map(|namespace| wait(&cluster, namespace, 0)));
    let appear = async {
        server.until(WATCHES, 10 * KINDS - WATCHES).await;
        server.put([("k0".to_owned(), true)]);
        server.shown.send_replace(true);
    };
    let (settled, ()) = futures::join!(waits, appear);
    assert!(settled.iter().all(|settled| *settled == Settled::Healthy), "{settled:?}");
    assert_eq!(server.most(), WATCHES);
}

/// A feed of another wait may show an object as it was before it was applied.
#[tokio::test]
async fn a_wait_is_not_answered_by_what_was_known_before_it() {
    let (cluster, server) = Server::start(&["old"], false);
    let references = [reference(0, "old"), reference(0, "missing")];
    let other = cluster.settle(&references, LIMIT);
    let later = async {
        server.until(1, 0).await;
        // The object is changed, and no watch has shown that yet.
        server.put([("old".to_owned(), false)]);
        let settled = cluster.settle(&references[..1], Duration::ZERO).await;
        let Settled::TimedOut(unhealthy) = settled else { panic!("{settled:?}") };
        assert!(matches!(unhealthy[0].health, Health::InProgress(_)), "{unhealthy:?}");
    };
    tokio::select! {
        settled = other => panic!("an object is missing: {settled:?}"),
        () = later => {}
    }
}

#[tokio::test]
async fn an_object_that_may_not_be_read_ends_the_waits_for_it_alone() {
    let (cluster, server) = Server::start(&["open"], true);
    let (refused, waiting) = ([reference(0, "hidden"), reference(0, "open")], [reference(0, "later")]);
    let (refused, waiting, appear) =
        (cluster.settle(&refused, LIMIT), cluster.settle(&waiting, LIMIT), async {
            server.until(0, 1).await;
            server.put([("later".to_owned(), true)]);
        });
    let (refused, waiting, ()) = futures::join!(refused, waiting, appear);
    assert!(matches!(refused, Settled::Unknown(_)), "{refused:?}");
    assert_eq!(waiting, Settled::Healthy);
    assert_eq!(server.most(), 0);
}
