//! The lease and the statuses do not wait behind applies, even if the server makes applies wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use kube::client::Body;
use serde_json::json;

use super::*;
use crate::agent::subject::Subject;
use crate::cluster::preflight;
use lockgate_base::model::{Ref, Timestamp};
use lockgate_core::api::{Kustomization, KustomizationStatus, Metadata};
use lockgate_core::verdict::{Judged, NO_SECRETS, Schedule, VerdictContext, applying};

/// A client of a server that never answers requests for its version, and a count of the callers that wait for
/// that.
fn busy_server() -> (Client, Arc<AtomicUsize>) {
    let waiting = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&waiting);
    let service = tower::service_fn(move |request: Request<Body>| {
        let count = Arc::clone(&count);
        async move {
            if request.uri().path() == "/version" {
                count.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
            }
            let body = if request.method() == http::Method::GET {
                json!({"metadata": {"name": "l", "resourceVersion": "1"}})
            } else {
                json!({"metadata": {"name": "x", "resourceVersion": "2"}})
            };
            Ok::<_, std::convert::Infallible>(Response::new(Body::from(body.to_string().into_bytes())))
        }
    });
    (Client::of_service(service, "http://test"), waiting)
}

/// A status that differs from `old`.
fn status_of(key: &Ref, old: &KustomizationStatus) -> Judged<KustomizationStatus> {
    let context = VerdictContext {
        key,
        generation: 1,
        schedule: Schedule { interval: Duration::ZERO, retry: Duration::ZERO, timeout: Duration::ZERO },
        requested_at: None,
        previous: old,
        revision: None,
        origin: None,
        now: Timestamp::from_unix(0),
        took: Duration::ZERO,
        redactor: &NO_SECRETS,
    };
    applying(&context, Vec::new())
}

#[tokio::test]
async fn nothing_that_applies_holds_up_the_lease_or_a_status() {
    const MANY: usize = 50;
    let (client, waiting) = busy_server();
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..MANY {
        let client = client.clone();
        others.spawn(async move { preflight::version(&client).await });
    }
    // All permits are taken when no further request gets through.
    let mut seen = 0;
    while seen == 0 || waiting.load(Ordering::Relaxed) > seen {
        seen = waiting.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!((1..MANY).contains(&seen), "{seen} of {MANY} are in flight");

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let holder = LeaseHolder::this(None, &*clock);
    let leadership = Leadership::new(&client, "n", None, holder, Arc::clone(&clock));
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, leadership.acquire()).await.expect("the lease is not held up");
    assert!(leadership.fence().is_open());

    let metrics = Arc::new(Metrics::new());
    let reporter = Reporter::new(&client, Arc::new(|| Ok(())), metrics, clock);
    let (key, old) = (Kustomization::named("n", "x"), KustomizationStatus::default());
    let new = status_of(&key, &old);
    let subject = Subject::of(&key, &Metadata::default());
    let status = tokio::time::timeout(limit, reporter.status(&subject, 0, &old, &new)).await;
    assert_eq!(status.expect("a status is not held up").unwrap(), 2);
    assert_eq!(waiting.load(Ordering::Relaxed), seen, "the others still wait");
}
