//! Smart HTTP over TLS: `git http-backend` behind a server with its own authority.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::git;
use super::repo::Repo;
use super::sshd::GitServer;
use crate::pki::Authority;
use crate::process::{lock, run};
use crate::serve::Server;

/// Who may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpsAuth {
    /// Everybody.
    None,
    /// A user with a password.
    Basic {
        /// The user's name.
        username: String,
        /// The user's password.
        password: String,
    },
    /// A client with the token, sent as `Authorization: Bearer`.
    Bearer(String),
}

impl HttpsAuth {
    fn expected(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Basic { username, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
            }
            Self::Bearer(token) => Some(format!("Bearer {token}")),
        }
    }
}

/// A server of the repositories of a [`GitServer`] over HTTPS.
#[derive(Debug)]
pub struct HttpsGitServer {
    server: Server,
    shared: Arc<Shared>,
    authority: Authority,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    auth: Mutex<HttpsAuth>,
    requests: Mutex<Vec<String>>,
}

impl HttpsGitServer {
    /// Serves the repositories of `git` on a free port.
    pub fn start(git: &GitServer, auth: HttpsAuth) -> anyhow::Result<Self> {
        let authority = Authority::new("test-git-ca")?;
        let identity = authority.server(&["localhost", "127.0.0.1"])?;
        let shared =
            Arc::new(Shared { root: git.root(), auth: Mutex::new(auth), requests: Mutex::default() });
        let app = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        Ok(Self { server: Server::https(app, &identity)?, shared, authority })
    }

    /// Who may read from now on.
    pub fn set_auth(&self, auth: HttpsAuth) {
        *lock(&self.shared.auth) = auth;
    }

    /// The authority of the server's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// A certificate for a client and its key, PEM, of the same authority.
    pub fn client_certificate(&self, name: &str) -> anyhow::Result<(String, String)> {
        let identity = self.authority.client(name, &[])?;
        Ok((identity.certificate, identity.key))
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `https://127.0.0.1:PORT/owner/name.git`.
    pub fn url(&self, repo: &Repo) -> String {
        format!("https://{}/{}.git", self.address(), repo.name())
    }

    /// The requests so far: method, path and query.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).clone()
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    lock(&shared.requests).push(format!("{method} {uri}"));
    let expected = lock(&shared.auth).expected();
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if expected.is_some() && expected.as_deref() != given {
        let scheme =
            if expected.is_some_and(|value| value.starts_with("Bearer")) { "Bearer" } else { "Basic" };
        let challenge = format!("{scheme} realm=\"git\"");
        return (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, challenge)],
            "authentication required",
        )
            .into_response();
    }
    let query = uri.query().unwrap_or_default().to_owned();
    backend(&shared.root, method, (uri.path(), query), headers, body).await
}

/// What `git http-backend` answers for the repositories below a folder.
pub(crate) async fn backend(
    root: &Path,
    method: Method,
    (path, query): (&str, String),
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (root, path) = (root.to_owned(), path.to_owned());
    let answer =
        tokio::task::spawn_blocking(move || run_backend(&root, &method, (&path, &query), &headers, &body))
            .await;
    match answer {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// One run of `git http-backend` as a CGI program.
fn run_backend(
    root: &Path,
    method: &Method,
    (path, query): (&str, &str),
    headers: &HeaderMap,
    body: &[u8],
) -> anyhow::Result<Response> {
    let mut command = git();
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_LENGTH", body.len().to_string());
    let passed = [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ];
    for (header, variable) in passed {
        if let Some(value) = headers.get(header).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    let output = run(command, body)?;
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("git http-backend gave no head")?;
    let head = String::from_utf8_lossy(output.get(..end).unwrap_or_default()).into_owned();
    let mut response = output.get(end + 4..).unwrap_or_default().to_vec().into_response();
    for line in head.lines() {
        let (name, value) = line.split_once(": ").with_context(|| format!("not a header: {line}"))?;
        if name.eq_ignore_ascii_case("status") {
            *response.status_mut() = value.get(..3).unwrap_or_default().parse()?;
        } else {
            response.headers_mut().insert(HeaderName::try_from(name)?, HeaderValue::from_str(value)?);
        }
    }
    Ok(response)
}
