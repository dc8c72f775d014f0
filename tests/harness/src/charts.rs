//! A Helm repository: a web server with an index and the archives of charts, which records its requests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::pki::Authority;
use crate::serve::Server;

/// Who may read a repository that wants a login.
pub const CHARTS_USER: (&str, &str) = ("reader", "chart-canary");

/// How a repository is reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChartServerOptions {
    /// Whether it wants a login.
    pub login: bool,
    /// Whether it speaks TLS, with an authority of its own.
    pub tls: bool,
}

/// The answer to a path.
#[derive(Debug, Clone)]
pub struct Served {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Served {
    /// This body.
    pub fn body(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }

    /// This status alone.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// It is at this address.
    pub fn at(url: &str) -> Self {
        Self { headers: vec![("location", url.to_owned())], ..Self::status(302) }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// Whether credentials came with it.
    pub has_credentials: bool,
    /// The status of the answer.
    pub status: u16,
}

#[derive(Debug, Default)]
struct State {
    answers: BTreeMap<String, Served>,
    /// The lines of the index, by chart.
    entries: BTreeMap<String, Vec<String>>,
    asked: Vec<Asked>,
}

/// A repository on a loopback port. It ends when it is dropped.
#[derive(Debug)]
pub struct ChartServer {
    server: Server,
    authority: Option<Authority>,
    state: Arc<Mutex<State>>,
}

impl ChartServer {
    /// Starts a repository whose index is empty.
    pub fn start(options: ChartServerOptions) -> anyhow::Result<Self> {
        Self::start_on(options, None)
    }

    /// Starts one on this port, where it speaks no TLS.
    pub fn start_on(options: ChartServerOptions, port: Option<u16>) -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let app =
            Router::new().fallback(async move |request: Request| answer(&shared, options.login, &request));
        let (server, authority) = if options.tls {
            let authority = Authority::new("test-charts-ca")?;
            let identity = authority.server(&["localhost", "127.0.0.1"])?;
            (Server::https(app, &identity)?, Some(authority))
        } else {
            (Server::http(app, port)?, None)
        };
        let charts = Self { server, authority, state };
        charts.write_index();
        Ok(charts)
    }

    /// Its address.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.server.address())
    }

    /// The authority of its certificate in PEM form; empty if it has none.
    pub fn ca_pem(&self) -> &str {
        self.authority.as_ref().map_or("", Authority::pem)
    }

    /// Packs a chart of these files, besides a Chart.yaml where they hold none, and offers it in the index.
    pub fn publish(&self, name: &str, version: &str, files: &[(&str, &str)]) -> anyhow::Result<()> {
        let archive = packed(name, version, files)?;
        let digest = digest(&archive);
        let file = format!("{name}-{version}.tgz");
        let line = format!("{{name: {name}, version: \"{version}\", urls: [{file}], digest: {digest}}}");
        self.put(&format!("/{file}"), Served::body(archive));
        self.lock().entries.entry(name.to_owned()).or_default().push(line);
        self.write_index();
        Ok(())
    }

    /// Answers a path so from now on.
    pub fn put(&self, path: &str, served: Served) {
        self.lock().answers.insert(path.to_owned(), served);
    }

    /// Answers a path as it did before no more.
    pub fn remove(&self, path: &str) {
        self.lock().answers.remove(path);
    }

    /// The requests since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.lock().asked)
    }

    /// Writes the index of the published charts.
    pub fn write_index(&self) {
        let mut text = "apiVersion: v1\nentries:\n".to_owned();
        for (name, lines) in &self.lock().entries {
            let _ = writeln!(text, "  {name}:");
            for line in lines {
                let _ = writeln!(text, "  - {line}");
            }
        }
        let etag = format!("\"{}\"", digest(text.as_bytes()));
        self.put("/index.yaml", Served { headers: vec![("etag", etag)], ..Served::body(text) });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The archive of a chart of these files, besides a Chart.yaml where they hold none.
pub fn packed(name: &str, version: &str, files: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |path: &str, text: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("{name}/{path}"), text.as_bytes())
    };
    if files.iter().all(|(path, _)| *path != "Chart.yaml") {
        add("Chart.yaml", &format!("apiVersion: v2\nname: {name}\nversion: {version}\n"))?;
    }
    for (path, text) in files {
        add(path, text)?;
    }
    Ok(builder.into_inner()?.finish()?)
}

/// The SHA-256 of bytes in hex digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn answer(state: &Mutex<State>, wants_login: bool, request: &Request) -> Response {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let (path, headers) = (request.uri().path().to_owned(), request.headers());
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let login = STANDARD.encode(format!("{}:{}", CHARTS_USER.0, CHARTS_USER.1));
    let is_let_in = !wants_login || text(header::AUTHORIZATION) == Some(&format!("Basic {login}"));
    let mut served = state.answers.get(&path).cloned().unwrap_or_else(|| Served::status(404));
    if !is_let_in {
        served = Served::status(401);
    }
    let etag = served.headers.iter().find(|(name, _)| *name == "etag").map(|(_, value)| value.as_str());
    if served.status == 200 && etag.is_some() && text(header::IF_NONE_MATCH) == etag {
        served = Served::status(304);
    }
    let has_credentials = headers.contains_key(header::AUTHORIZATION);
    state.asked.push(Asked { path, has_credentials, status: served.status });
    let mut all = HeaderMap::new();
    for (name, value) in served.headers {
        if let Ok(value) = value.parse() {
            all.insert(name, value);
        }
    }
    let status = StatusCode::from_u16(served.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, all, served.body).into_response()
}
