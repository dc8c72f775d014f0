//! The agent's HTTP endpoints: liveness and readiness, and on a port of their own the metrics. The metrics
//! name objects and hold none of their content. The ports are separate because a reader of the metrics can
//! keep that port busy, and the kubelet must be answered nevertheless.

use std::collections::VecDeque;
use std::fmt;
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
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// The media type that Prometheus expects of the text that `prometheus-client` writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The most connections of one port at one time.
const CONNECTIONS: usize = 256;
/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(200);

/// The content of the pages.
pub(crate) trait Probes: Send + Sync + 'static {
    /// Why the agent cannot work at present; `None` if it can, or if it is a standby.
    fn not_ready(&self) -> Option<String>;

    /// The metrics in the OpenMetrics text format.
    fn metrics(&self) -> String;
}

/// The pages of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// `/healthz` and `/readyz`.
    Probes,
    /// `/metrics`.
    Metrics,
}

impl Pages {
    /// The time limit of a connection, from its beginning to the end of the answer.
    const fn limit(self) -> Duration {
        match self {
            Self::Probes => Duration::from_secs(1),
            Self::Metrics => Duration::from_secs(10),
        }
    }

    fn router(self, probes: Arc<dyn Probes>) -> Router {
        let router = match self {
            Self::Probes => {
                Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready))
            }
            Self::Metrics => Router::new().route("/metrics", get(metrics)),
        };
        router.with_state(probes)
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probes => "probes",
            Self::Metrics => "metrics",
        })
    }
}

/// A listener that is bound and not yet served.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    pages: Pages,
    /// The time limit of a connection, from its beginning to the end of the answer.
    limit: Duration,
}

impl Server {
    /// Binds the address. Port 0 stands for any free port, and `[::]` for all addresses of both families.
    pub(crate) async fn bind(address: SocketAddr, pages: Pages) -> io::Result<Self> {
        let listener = match TcpListener::bind(address).await {
            // IPv6 may be switched off on a node.
            Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?
            }
            bound => bound?,
        };
        Ok(Self { listener, pages, limit: pages.limit() })
    }

    /// The address on which it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped. Anybody who reaches the port may connect, so a connection has one
    /// request and a time limit, and the number of connections is limited: the oldest makes room for the
    /// next.
    pub(crate) async fn serve(self, probes: Arc<dyn Probes>) {
        let router = self.pages.router(probes);
        let mut connections = JoinSet::new();
        let mut open: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // There are too many files open, for example.
                    tracing::warn!(%error, pages = %self.pages, "failed to accept a connection");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            if open.len() >= CONNECTIONS {
                open.retain(|connection| !connection.is_finished());
            }
            if open.len() >= CONNECTIONS
                && let Some(oldest) = open.pop_front()
            {
                oldest.abort();
            }
            let service = TowerToHyperService::new(router.clone());
            open.push_back(connections.spawn(async move {
                let connection =
                    http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
                // An error of the connection is the peer's own affair.
                let _ = timeout(self.limit, connection).await;
            }));
        }
    }
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

    async fn serving(pages: Pages, fake: Fake) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let mut server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), pages).await.unwrap();
        // No connection runs out of time, so only the end of another makes room.
        server.limit = Duration::from_hours(1);
        (server.address().unwrap(), tokio::spawn(server.serve(Arc::new(fake))))
    }

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn all_addresses_are_those_of_both_families() {
        let server = Server::bind("[::]:0".parse().unwrap(), Pages::Probes).await.unwrap();
        let port = server.address().unwrap().port();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok());
    }

    #[tokio::test]
    async fn those_who_say_nothing_leave_room_for_others() {
        for (pages, path) in [(Pages::Probes, "/healthz"), (Pages::Metrics, "/metrics")] {
            let (address, serving) = serving(pages, Fake(None)).await;
            let mut silent = Vec::new();
            for _ in 0..2 * CONNECTIONS {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            let answer = ask(address, path).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            let ended = silent[0].read(&mut [0]).await;
            assert!(matches!(ended, Ok(0) | Err(_)), "the oldest has made room: {ended:?}");
            serving.abort();
        }
    }

    #[tokio::test]
    async fn each_port_answers_its_own_pages_and_nothing_else() {
        let cases = [
            (Pages::Probes, "/healthz", Some("no API server"), "200", "ok"),
            (Pages::Probes, "/readyz", None, "200", "ok"),
            (Pages::Probes, "/readyz", Some("no API server"), "503", "no API server"),
            (Pages::Probes, "/metrics", None, "404", ""),
            (Pages::Metrics, "/metrics", None, "200", "lockgate_leader 1"),
            (Pages::Metrics, "/healthz", None, "404", ""),
            (Pages::Metrics, "/debug/pprof", None, "404", ""),
        ];
        for (pages, path, reason, status, body) in cases {
            let (address, serving) = serving(pages, Fake(reason)).await;
            let answer = ask(address, path).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
            assert!(answer.contains(body), "{path}: {answer}");
            serving.abort();
        }
    }
}
