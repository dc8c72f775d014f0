//! A busy server: a stand-in that answers like the API server's priority and fairness.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use lockgate::tested::{Client, preflight};
use lockgate_core::pipeline::ports::ApiFailure;

/// A client of a server that puts off the first `put_off` requests, and the number of requests that it
/// received.
async fn busy(put_off: usize, retry_after: &'static str) -> (Client, Arc<AtomicUsize>) {
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let answer = move || async move {
        if count.fetch_add(1, Ordering::Relaxed) < put_off {
            let status = r#"{"kind":"Status","reason":"TooManyRequests","message":"too many requests, please try again later"}"#;
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", retry_after)], status).into_response()
        } else {
            r#"{"gitVersion":"v1.35.4"}"#.into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    (Client::from_config(config).unwrap(), received)
}

#[tokio::test]
async fn a_request_that_is_put_off_is_sent_again() {
    let (client, received) = busy(2, "0").await;
    assert_eq!(preflight::version(&client).await, Ok("v1.35.4".into()));
    assert_eq!(received.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_server_that_stays_busy_is_not_hammered() {
    let (client, received) = busy(usize::MAX, "0").await;
    let failure = preflight::version(&client).await.unwrap_err();
    assert!(failure.is_transient(), "{failure}");
    assert!(failure.to_string().contains("too many requests"), "{failure}");
    assert!(received.load(Ordering::Relaxed) <= 5);
}

#[tokio::test]
async fn a_long_wish_is_handed_to_the_caller() {
    let (client, received) = busy(usize::MAX, "3600").await;
    let failure = preflight::version(&client).await.unwrap_err();
    assert!(
        matches!(failure, ApiFailure::Unavailable { retry_after: Some(delay), .. } if delay == Duration::from_hours(1))
    );
    assert_eq!(received.load(Ordering::Relaxed), 1);
}
