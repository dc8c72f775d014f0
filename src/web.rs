//! What the agent shows over HTTP: whether it lives, whether it is ready, and its metrics, which name objects and hold
//! nothing of what is in them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The media type that Prometheus expects of the text that `prometheus-client` writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Connections at a time.
const CONNECTIONS: usize = 256;
/// How long one may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(200);

/// What the pages show.
pub(crate) trait Probes: Send + Sync + 'static {
    /// Why the agent cannot work at present; `None` when it can, or stands by for one that does.
    fn not_ready(&self) -> Option<String>;

    /// The metrics in the OpenMetrics text format.
    fn metrics(&self) -> String;
}

/// A listener that is bound and not yet served.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    /// How long a connection may take, from its begin to the end of the answer.
    limit: Duration,
}

impl Server {
    /// Binds the address. Port 0 stands for any that is free, and `[::]` for all addresses of both families.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = match TcpListener::bind(address).await {
            // A node may have IPv6 switched off.
            Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?
            }
            bound => bound?,
        };
        Ok(Self { listener, limit: LIMIT })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped. Anybody in the cluster may connect, so a connection is one question and has an
    /// end, and there are so many of them and no more.
    pub(crate) async fn serve(self, probes: Arc<dyn Probes>) {
        let (router, slots) = (router(probes), Arc::new(Semaphore::new(CONNECTIONS)));
        let mut connections = JoinSet::new();
        // The semaphore is never closed.
        while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
            while connections.try_join_next().is_some() {}
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // There are too many files open, for example.
                    tracing::warn!(%error, "a connection to the probes was not accepted");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let service = TowerToHyperService::new(router.clone());
            connections.spawn(async move {
                let connection =
                    http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
                // What goes wrong here is the peer's own affair.
                let _ = timeout(self.limit, connection).await;
                drop(slot);
            });
        }
    }
}

fn router(probes: Arc<dyn Probes>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probes)
}

async fn ready(State(probes): State<Arc<dyn Probes>>) -> Response {
    match probes.not_ready() {
        None => "ok\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics(State(probes): State<Arc<dyn Probes>>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], probes.metrics()).into_response()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    struct Fake(Option<&'static str>);

    impl Probes for Fake {
        fn not_ready(&self) -> Option<String> {
            self.0.map(Into::into)
        }

        fn metrics(&self) -> String {
            "lockgate_leader 1\n# EOF\n".into()
        }
    }

    async fn ask(path: &str, fake: Fake) -> String {
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = server.address().unwrap();
        let serving = tokio::spawn(server.serve(Arc::new(fake)));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        serving.abort();
        answer
    }

    #[tokio::test]
    async fn all_addresses_are_those_of_both_families() {
        let server = Server::bind("[::]:0".parse().unwrap()).await.unwrap();
        let port = server.address().unwrap().port();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok());
    }

    #[tokio::test]
    async fn those_who_say_nothing_leave_room_for_others() {
        let mut server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        server.limit = Duration::from_millis(300);
        let address = server.address().unwrap();
        let serving = tokio::spawn(server.serve(Arc::new(Fake(None))));
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serving.abort();
    }

    #[tokio::test]
    async fn the_probes_are_answered_and_nothing_else_is() {
        let cases = [
            ("/healthz", Some("no API server"), "200", "ok"),
            ("/readyz", None, "200", "ok"),
            ("/readyz", Some("no API server"), "503", "no API server"),
            ("/metrics", None, "200", "lockgate_leader 1"),
            ("/debug/pprof", None, "404", ""),
        ];
        for (path, reason, status, body) in cases {
            let answer = ask(path, Fake(reason)).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
            assert!(answer.contains(body), "{path}: {answer}");
        }
    }
}
