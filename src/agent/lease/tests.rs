//! The holder of the lease, and when it may write.

use kube::client::Body;

use super::*;
use crate::agent::clock::SystemClock;
use crate::cluster::ClusterTarget;

/// A standby before a server whose lease another holds, renewed at `renewed`.
fn standby(renewed: &'static str) -> Leadership {
    let service = tower::service_fn(move |request: http::Request<Body>| async move {
        let body = if request.method() == http::Method::GET {
            let lease = serde_json::json!({
                "metadata": {"name": keys::LEASE, "resourceVersion": "1"},
                "spec": {"holderIdentity": "other", "renewTime": renewed},
            });
            lease.to_string().into_bytes()
        } else {
            request.into_body().collect_bytes().await.unwrap().to_vec()
        };
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(body)))
    });
    Leadership::new(
        &Client::of_service(service, "http://test"),
        "n",
        None,
        LeaseHolder::this(None, &SystemClock),
        Arc::new(SystemClock),
    )
}

#[tokio::test]
async fn a_lease_that_was_renewed_while_looks_failed_is_not_taken() {
    let (early, late) = ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:15.000000Z");
    let long_ago = Instant::now().checked_sub(DURATION * 2).unwrap();
    for (now, seen, since, is_taken) in [
        (early, early, long_ago, true),
        (late, early, long_ago, false),
        (early, early, Instant::now(), false),
    ] {
        let sight = Sight { holder: String::new(), renewed: Some(MicroTime(seen.parse().unwrap())), since };
        let look = standby(now).look(Some(&sight)).await.unwrap();
        assert_eq!(matches!(look, Look::Ours(_)), is_taken, "{seen}, then {now}");
    }
    let look = standby(late).look(None).await.unwrap();
    assert!(matches!(look, Look::Theirs { .. }), "seen for the first time");
}

/// A server that keeps the Lease and counts the requests; `None` stands for no Lease.
fn keeping(lease: &Arc<Mutex<(Value, Vec<String>)>>) -> Leadership {
    let shared = Arc::clone(lease);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let shared = Arc::clone(&shared);
        async move {
            let method = request.method().clone();
            let body = request.into_body().collect_bytes().await.unwrap();
            let (lease, requests) = &mut *shared.lock().unwrap();
            requests.push(method.to_string());
            let is_read = method == http::Method::GET;
            let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
            let fits = sent["metadata"]["resourceVersion"] == lease["metadata"]["resourceVersion"];
            let (code, answer) = match (is_read, fits) {
                (true, _) if lease.is_null() => {
                    (404, serde_json::json!({"code": 404, "message": "leases \"l\" not found"}))
                }
                (true, _) => (200, lease.clone()),
                (false, false) => {
                    (409, serde_json::json!({"code": 409, "message": "the object has been modified"}))
                }
                (false, true) => {
                    let number = |value: &Value| value.as_str().map_or(0, |text| text.parse().unwrap());
                    let next: u64 = number(&lease["metadata"]["resourceVersion"]) + 1;
                    *lease = sent;
                    lease["metadata"]["resourceVersion"] = next.to_string().into();
                    (200, lease.clone())
                }
            };
            let answer =
                http::Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
            Ok::<_, std::convert::Infallible>(answer.unwrap())
        }
    });
    let holder = LeaseHolder::this(None, &SystemClock);
    Leadership::new(&Client::of_service(service, "http://test"), "n", None, holder, Arc::new(SystemClock))
}

/// The holder creates it again at its next renewal, and writes until then.
#[tokio::test]
async fn a_lease_that_was_deleted_is_taken_once_its_term_is_over() {
    let long_ago = Instant::now().checked_sub(DURATION * 2).unwrap();
    for (since, is_taken) in [(long_ago, true), (Instant::now(), false)] {
        let renewed = Some(MicroTime("2026-01-01T00:00:00.000000Z".parse().unwrap()));
        let sight = Sight { holder: "other".into(), renewed, since };
        let look = keeping(&Arc::default()).look(Some(&sight)).await.unwrap();
        assert_eq!(matches!(look, Look::Ours(_)), is_taken);
    }
}

#[tokio::test]
async fn a_lease_is_renewed_by_one_request_and_looked_at_where_another_wrote_it() {
    let kept = Arc::new(Mutex::new((Value::Null, Vec::new())));
    let leadership = keeping(&kept);
    let requests = || std::mem::take(&mut kept.lock().unwrap().1);
    assert!(matches!(leadership.look(None).await, Ok(Look::Ours(_))));
    assert_eq!(requests(), ["GET", "POST"]);
    for _ in 0..2 {
        assert!(matches!(leadership.renew().await, Ok(Look::Ours(_))));
        assert_eq!(requests(), ["PUT"]);
    }
    // Another field of it was changed.
    kept.lock().unwrap().0["metadata"]["resourceVersion"] = "70".into();
    assert!(matches!(leadership.renew().await, Ok(Look::Ours(_))));
    assert_eq!(requests(), ["PUT", "GET", "PUT"]);
    kept.lock().unwrap().0["metadata"]["resourceVersion"] = "80".into();
    kept.lock().unwrap().0["spec"]["holderIdentity"] = "other".into();
    kept.lock().unwrap().0["metadata"]["annotations"][keys::LEASE_HOLDER] = "process/b/1/1/1".into();
    assert!(matches!(leadership.renew().await, Ok(Look::Theirs { .. })));
    assert_eq!(requests(), ["PUT", "GET"]);
}

#[tokio::test]
async fn the_cause_is_told_for_which_the_server_cannot_be_asked_about_the_lease() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{unused}")}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    let target = ClusterTarget { kubeconfig: Some(path), ..ClusterTarget::default() };
    let client = Client::connect(&target).await.unwrap();
    let holder = LeaseHolder::this(None, &SystemClock);
    let leadership = Leadership::new(&client, "n", None, holder, Arc::new(SystemClock));
    let failure = leadership.renew().await.err().unwrap();
    assert!(failure.to_string().contains("Connection refused"), "{failure}");
    let mut told = ToldFailure::default();
    assert!(told.is_news(&failure) && !told.is_news(&failure));
    let other = ApiFailure::Unavailable { message: "no answer in time".into(), retry_after: None };
    assert!(told.is_news(&other));
}

#[test]
fn a_fence_closes_by_itself() {
    let fence = Fence::closed(Arc::new(SystemClock));
    assert!(!fence.is_open());
    fence.open_until(SystemClock.uptime() + Duration::from_mins(1));
    assert!(fence.is_open() && fence.clone().is_open());
    fence.open_until(SystemClock.uptime());
    assert!(!fence.is_open(), "its time is up");
    assert_eq!(fence.rest(), Duration::ZERO);
    fence.open_until(SystemClock.uptime() + OPEN);
    assert!(fence.rest() <= RENEW && fence.rest() > RENEW / 2, "{:?}", fence.rest());
    fence.open_until(SystemClock.uptime() + Duration::from_mins(1));
    fence.close();
    assert!(!fence.is_open());
}

#[test]
fn two_holders_of_one_process_differ() {
    let (one, other) = (LeaseHolder::this(None, &SystemClock), LeaseHolder::this(None, &SystemClock));
    assert_ne!(one.identity, other.identity);
    assert_eq!(one.trace, other.trace);
    assert_eq!(LeaseHolder::this(Some("lockgate-x"), &SystemClock).trace, "pod/lockgate-x");
}
