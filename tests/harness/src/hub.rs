//! A stand-in for Docker Hub, behind a proxy that leads to it under the names that Docker Hub has: one host
//! is the registry, one gives out tokens, and one has the layers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::charts::digest;
use crate::pki::Authority;
use crate::process::lock;
use crate::serve::Server;

const REGISTRY: &str = "registry-1.docker.io";
const TOKENS: &str = "auth.docker.io";
const LAYERS: &str = "production.cloudflare.docker.com";
/// The token that the registry accepts.
const TOKEN: &str = "hub-token";

/// A request to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRequest {
    /// Which host, by the name it was asked under.
    pub host: String,
    /// The path and the query.
    pub path: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

/// A hub with one public image. It ends when it is dropped.
#[derive(Debug)]
pub struct Hub {
    authority: Authority,
    asked: Arc<Mutex<Vec<HubRequest>>>,
    _server: Server,
    proxy: Server,
}

impl Hub {
    /// Starts a hub that has `name` (with its namespace) in the tag `latest`, of one layer.
    pub fn start(name: &str, layer: Vec<u8>) -> anyhow::Result<Self> {
        let authority = Authority::new("test-hub-ca")?;
        let identity = authority.server(&[REGISTRY, TOKENS, LAYERS])?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, image) = (Arc::clone(&asked), Arc::new(Image::of(name, layer)));
        let app = Router::new().fallback(async move |request: Request| {
            let request = seen(&request);
            lock(&log).push(request.clone());
            image.answer(&request)
        });
        let server = Server::https(app, &identity)?;
        let address = server.address();
        let proxy = Server::start(None, async move |listener| proxied(listener, address).await)?;
        Ok(Self { authority, asked, _server: server, proxy })
    }

    /// The authority of its certificate, PEM.
    pub fn authority(&self) -> &str {
        self.authority.pem()
    }

    /// The address of the proxy that leads to it.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.proxy.address())
    }

    /// The requests.
    pub fn asked(&self) -> Vec<HubRequest> {
        lock(&self.asked).clone()
    }
}

fn seen(request: &Request) -> HubRequest {
    let text = |name: header::HeaderName| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
    };
    HubRequest {
        host: text(header::HOST).unwrap_or_default(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        authorization: text(header::AUTHORIZATION),
    }
}

/// The image of a hub.
struct Image {
    /// Below which path the registry has it.
    root: String,
    name: String,
    manifest: Vec<u8>,
    layer: Vec<u8>,
}

impl Image {
    fn of(name: &str, layer: Vec<u8>) -> Self {
        let layers = json!([{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": layer.len(),
                             "digest": format!("sha256:{}", digest(&layer))}]);
        let manifest = json!({"schemaVersion": 2, "layers": layers}).to_string().into_bytes();
        Self { root: format!("/v2/{name}/"), name: name.to_owned(), manifest, layer }
    }

    fn answer(&self, request: &HubRequest) -> Response {
        match request.host.as_str() {
            TOKENS => json!({"token": TOKEN, "expires_in": 300}).to_string().into_response(),
            LAYERS => self.layer.clone().into_response(),
            REGISTRY if request.authorization.as_deref() != Some(&format!("Bearer {TOKEN}")) => {
                let challenge = format!(
                    "Bearer realm=\"https://{TOKENS}/token\",service=\"registry.docker.io\",scope=\"repository:{}:pull\"",
                    self.name
                );
                with(StatusCode::UNAUTHORIZED, header::WWW_AUTHENTICATE, &challenge, Vec::new())
            }
            REGISTRY => self.registry(request.path.strip_prefix(&self.root).unwrap_or_default()),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn registry(&self, path: &str) -> Response {
        let digest_of = format!("sha256:{}", digest(&self.manifest));
        if path == "manifests/latest" || path == format!("manifests/{digest_of}") {
            let name = header::HeaderName::from_static("docker-content-digest");
            return with(StatusCode::OK, name, &digest_of, self.manifest.clone());
        }
        match path.strip_prefix("blobs/") {
            Some(blob) => {
                let place = format!("https://{LAYERS}/registry-v2/{blob}/data");
                with(StatusCode::TEMPORARY_REDIRECT, header::LOCATION, &place, Vec::new())
            }
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

fn with(status: StatusCode, name: header::HeaderName, value: &str, body: Vec<u8>) -> Response {
    let mut headers = HeaderMap::new();
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
    (status, headers, body).into_response()
}

/// Connects all who ask for any host with one address.
async fn proxied(listener: TcpListener, address: SocketAddr) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(connect(client, address));
    }
}

async fn connect(client: TcpStream, address: SocketAddr) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if client.read_line(&mut line).await? == 0 {
            return Ok(());
        }
    }
    let mut server = TcpStream::connect(address).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
