//! What the agent shows over HTTP: whether it lives, whether it is ready, and its metrics, which name objects and hold
//! nothing of what is in them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// The media type that Prometheus expects of the text that `prometheus-client` writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the pages show.
pub trait Probes: Send + Sync + 'static {
    /// Why the agent cannot work at present; `None` when it can, or stands by for one that does.
    fn not_ready(&self) -> Option<String>;

    /// The metrics in the OpenMetrics text format.
    fn metrics(&self) -> String;
}

/// A listener that is bound and not yet served.
#[derive(Debug)]
pub struct Server(TcpListener);

impl Server {
    /// Binds the address. Port 0 stands for any that is free, and `[::]` for all addresses of both families.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = match TcpListener::bind(address).await {
            // A node may have IPv6 switched off.
            Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?
            }
            bound => bound?,
        };
        Ok(Self(listener))
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves until the future is dropped.
    pub async fn serve(self, probes: Arc<dyn Probes>) -> io::Result<()> {
        axum::serve(self.0, router(probes)).await
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
