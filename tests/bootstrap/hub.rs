//! A stand-in for GitHub's API: one repository, whose deploy keys the sshd really admits. It can be told to fail.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{GitServer, Repo};
use serde_json::{Value, json};

/// Refuses requests whose method and path begin with a text.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) request: &'static str,
    pub(crate) status: u16,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) body: Value,
}

/// What the stand-in knows.
#[derive(Default)]
struct Known {
    keys: Vec<Value>,
    requests: Vec<String>,
    refusal: Option<Refusal>,
    admin: bool,
    tokens: Vec<String>,
}

/// A running stand-in. It ends with the runtime that it was started in.
#[derive(Clone)]
pub(crate) struct Hub {
    git: GitServer,
    repo: Repo,
    known: Arc<Mutex<Known>>,
    address: SocketAddr,
}

impl Hub {
    pub(crate) async fn start(git: GitServer, repo: Repo) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::new(Mutex::new(Known { admin: true, ..Known::default() }));
        let hub = Self { git, repo, known, address };
        let router = Router::new().fallback(answer).with_state(hub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        hub
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The deploy keys that are registered.
    pub(crate) fn keys(&self) -> Vec<Value> {
        self.known.lock().unwrap().keys.clone()
    }

    /// Method and path of each request so far, in order, and forgets them.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.known.lock().unwrap().requests)
    }

    /// The distinct Authorization headers so far.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.known.lock().unwrap().tokens.clone()
    }

    pub(crate) fn refuse(&self, refusal: Option<Refusal>) {
        self.known.lock().unwrap().refusal = refusal;
    }

    pub(crate) fn set_admin(&self, admin: bool) {
        self.known.lock().unwrap().admin = admin;
    }

    fn respond(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let prefix = format!("/repos/{}", self.repo.name());
        if path == "/meta" {
            let keys: Vec<String> = self.git.host_keys().unwrap().into_iter().map(|(_, key)| key).collect();
            return (200, json!({ "ssh_keys": keys }));
        }
        let Some(rest) = path.strip_prefix(&prefix) else { return missing() };
        match (method, rest) {
            (&Method::GET, "") => {
                let admin = self.known.lock().unwrap().admin;
                let facts = json!({
                    "full_name": self.repo.name(), "default_branch": "main", "permissions": {"admin": admin},
                });
                (200, facts)
            }
            (&Method::GET, "/keys") => (200, self.keys().into()),
            (&Method::POST, "/keys") => self.register(&serde_json::from_slice(body).unwrap()),
            (&Method::GET, rest) if rest.starts_with("/branches/") => {
                self.branch(&rest["/branches/".len()..])
            }
            (&Method::GET, rest) if rest.starts_with("/contents/") => {
                self.contents(&rest["/contents/".len()..])
            }
            _ => missing(),
        }
    }

    fn branch(&self, branch: &str) -> (u16, Value) {
        let commit = self.repo.rev_parse(&format!("refs/heads/{branch}"));
        commit.map_or_else(|_| missing(), |commit| (200, json!({"name": branch, "commit": {"sha": commit}})))
    }

    fn register(&self, wanted: &Value) -> (u16, Value) {
        let mut known = self.known.lock().unwrap();
        if known.keys.iter().any(|key| key["key"] == wanted["key"]) {
            let errors = json!([{"resource": "PublicKey", "message": "key is already in use"}]);
            return (422, json!({"message": "Validation Failed", "errors": errors}));
        }
        self.git.authorize(&self.repo, wanted["key"].as_str().unwrap()).unwrap();
        let mut key = wanted.clone();
        key["id"] = (known.keys.len() + 1).into();
        known.keys.push(key.clone());
        (201, key)
    }

    fn contents(&self, path: &str) -> (u16, Value) {
        let listing = self.repo.git(&["ls-tree", &format!("main:{path}")]);
        if let Ok(listing) = listing {
            let entry = |line: &str| {
                let (meta, name) = line.split_once('\t').unwrap();
                let kind = if meta.contains(" tree ") { "dir" } else { "file" };
                json!({"name": name, "path": format!("{path}/{name}"), "type": kind})
            };
            return (200, listing.lines().map(entry).collect::<Vec<_>>().into());
        }
        let text = self.repo.git(&["show", &format!("main:{path}")]);
        let file =
            |text| json!({"type": "file", "encoding": "base64", "content": STANDARD.encode::<String>(text)});
        text.map_or_else(|_| missing(), |text| (200, file(text)))
    }
}

fn missing() -> (u16, Value) {
    (404, json!({"message": "Not Found"}))
}

async fn answer(
    State(hub): State<Hub>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let request = format!("{method} {}", uri.path());
    let refusal = {
        let mut known = hub.known.lock().unwrap();
        known.requests.push(request.clone());
        let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        if let Some(token) = token.filter(|token| !known.tokens.contains(token)) {
            known.tokens.push(token);
        }
        known.refusal.clone().filter(|refusal| request.starts_with(refusal.request))
    };
    let (status, body, more) = if let Some(refusal) = refusal {
        (refusal.status, refusal.body, refusal.headers)
    } else {
        let (status, body) = hub.respond(&method, uri.path(), &body);
        (status, body, &[][..])
    };
    let mut response = (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
    for (name, value) in more {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
