//! The calls that a bootstrap makes, answered as GitHub answers them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::faults::{Planned, invalid, refusal};
use super::{DeployKey, Fault, Request, Shared, Token, app};
use crate::git::{Repo, fingerprint};
use crate::process::lock;

type Parameters = BTreeMap<String, String>;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new().fallback(serve).with_state(Arc::clone(shared))
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name| {
        headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut request = Request {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        authorized: headers.contains_key(header::AUTHORIZATION),
        user_agent: text(header::USER_AGENT),
        body,
        status: 0,
    };
    let bearer = text(header::AUTHORIZATION);
    let bearer = bearer.split_once(' ').map(|(_, token)| token.trim().to_owned());
    let fault = Planned::take(&mut lock(&shared.state).faults, &request.method, &request.path);
    if let Some(Fault::Delay(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    let response = match fault.as_ref().and_then(Fault::answer) {
        Some(response) => response,
        // git and ssh-keygen are waited for.
        None => tokio::task::block_in_place(|| route(&shared, &request, &query, bearer.as_deref())),
    };
    if fault == Some(Fault::Lost) {
        return std::future::pending().await;
    }
    request.status = response.status().as_u16();
    lock(&shared.state).requests.push(request);
    response
}

/// One call by a caller who has been recognized.
struct Call<'a> {
    shared: &'a Shared,
    request: &'a Request,
    query: &'a Parameters,
    token: Option<Token>,
}

fn route(shared: &Shared, request: &Request, query: &Parameters, bearer: Option<&str>) -> Response {
    if request.user_agent.is_empty() {
        return refusal(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            &[],
        );
    }
    let path = request.path.trim_matches('/').to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    if let ["app", "installations", id, "access_tokens"] = parts.as_slice() {
        return installation_token(shared, id, bearer);
    }
    let token = bearer.and_then(|bearer| lock(&shared.state).tokens.get(bearer).cloned());
    if bearer.is_some() && token.is_none() {
        return refusal(401, "Bad credentials", &[]);
    }
    let scopes = token.as_ref().and_then(|token| token.scopes.clone());
    let call = Call { shared, request, query, token };
    let mut response = call.answer(&parts).unwrap_or_else(|error| {
        // A mistake of the stand-in or of the test, not GitHub's word.
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response()
    });
    if let Some(Ok(scopes)) = scopes.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert("x-oauth-scopes", scopes);
    }
    response
}

impl Call<'_> {
    fn answer(&self, parts: &[&str]) -> anyhow::Result<Response> {
        match (self.request.method.as_str(), parts) {
            ("GET", ["meta"]) => self.meta(),
            ("GET", ["rate_limit"]) => {
                let limit =
                    json!({ "limit": 5000, "used": 1, "remaining": 4999, "reset": 4_102_444_800_u64 });
                Ok(Json(json!({ "resources": { "core": limit }, "rate": limit })).into_response())
            }
            ("GET", ["user"]) => Ok(match &self.token {
                Some(token) => Json(json!({ "login": token.login, "id": 1, "type": "User" })).into_response(),
                None => refusal(401, "Requires authentication", &[]),
            }),
            (_, ["repos", owner, name, rest @ ..]) => {
                let name = format!("{owner}/{name}");
                match (self.visible(&name)?, self.moved(&name, rest)) {
                    (Some(repo), _) => self.repository(&repo, rest),
                    (None, Some(redirect)) => Ok(redirect),
                    (None, None) => Ok(not_found()),
                }
            }
            (_, ["repositories", number, rest @ ..]) => {
                let number: usize = number.parse()?;
                let name = lock(&self.shared.state).renamed.get(number).map(|(_, name)| name.clone());
                match self.visible(&name.unwrap_or_default())? {
                    Some(repo) => self.repository(&repo, rest),
                    None => Ok(not_found()),
                }
            }
            _ => Ok(not_found()),
        }
    }

    /// The redirect for a repository's earlier name: to its number, as GitHub does. 307 keeps method and body.
    fn moved(&self, earlier: &str, rest: &[&str]) -> Option<Response> {
        let number = lock(&self.shared.state).renamed.iter().position(|(name, _)| name == earlier)?;
        let mut url = format!("{}/repositories/{number}", lock(&self.shared.address));
        for part in rest {
            url.extend(["/", part]);
        }
        if !self.request.query.is_empty() {
            url.extend(["?", &self.request.query]);
        }
        let (code, message) = match self.request.method.as_str() {
            "GET" => (301, "Moved Permanently"),
            _ => (307, "Temporary Redirect"),
        };
        Some(refusal(code, message, &[("location", &url)]))
    }

    /// A repository, unless it is private and the caller unknown.
    fn visible(&self, name: &str) -> anyhow::Result<Option<Repo>> {
        let private = lock(&self.shared.state).private.contains(name);
        if !self.shared.git.has_repo(name) || private && self.token.is_none() {
            return Ok(None);
        }
        self.shared.git.repo(name).map(Some)
    }

    fn repository(&self, repo: &Repo, rest: &[&str]) -> anyhow::Result<Response> {
        let method = self.request.method.as_str();
        match (method, rest) {
            ("GET", []) => self.about(repo),
            ("GET", ["branches", branch @ ..]) if !branch.is_empty() => branch_of(repo, &branch.join("/")),
            ("GET", ["contents", path @ ..]) => contents(repo, &path.join("/"), self.query),
            ("GET", ["git", "trees", revision]) => tree(repo, revision, self.query),
            (_, ["keys", ..]) if !self.token.as_ref().is_some_and(|token| token.admin) => Ok(not_found()),
            ("GET", ["keys"]) => Ok(self.list_keys(repo)),
            ("POST", ["keys"]) => self.add_key(repo),
            ("GET" | "DELETE", ["keys", id]) => self.one_key(repo, id),
            _ => Ok(not_found()),
        }
    }

    fn meta(&self) -> anyhow::Result<Response> {
        let keys = self.shared.git.host_keys()?;
        let mut fingerprints = serde_json::Map::new();
        for (_, key) in &keys {
            let name = match key.split(' ').next().unwrap_or_default() {
                "ssh-ed25519" => "SHA256_ED25519",
                "ssh-rsa" => "SHA256_RSA",
                _ => "SHA256_ECDSA",
            };
            let print = fingerprint(key)?;
            fingerprints.insert(name.to_owned(), json!(print.trim_start_matches("SHA256:")));
        }
        let keys: Vec<&String> = keys.iter().map(|(_, key)| key).collect();
        let body = json!({
            "verifiable_password_authentication": false,
            "ssh_key_fingerprints": fingerprints,
            "ssh_keys": keys,
            "git": ["127.0.0.0/8"],
        });
        Ok(Json(body).into_response())
    }

    fn about(&self, repo: &Repo) -> anyhow::Result<Response> {
        let (private, archived) = {
            let state = lock(&self.shared.state);
            (state.private.contains(repo.name()), state.archived.contains(repo.name()))
        };
        let (owner, name) = repo.name().split_once('/').context("a name without an owner")?;
        let web = lock(&self.shared.address).clone();
        let mut body = json!({
            "id": 1,
            "name": name,
            "full_name": repo.name(),
            "owner": { "login": owner, "id": 2, "type": "Organization" },
            "private": private,
            "archived": archived,
            "disabled": false,
            "visibility": if private { "private" } else { "public" },
            "default_branch": repo.default_branch()?,
            "url": format!("{web}/repos/{}", repo.name()),
            "html_url": format!("{web}/{}", repo.name()),
            "clone_url": format!("{web}/{}.git", repo.name()),
            "ssh_url": self.shared.git.url(repo),
        });
        if let (Some(token), Some(body)) = (&self.token, body.as_object_mut()) {
            body.insert(
                "permissions".into(),
                json!({ "admin": token.admin, "push": token.admin, "pull": true }),
            );
        }
        Ok(Json(body).into_response())
    }

    fn list_keys(&self, repo: &Repo) -> Response {
        let number = |name: &str, otherwise: usize| {
            self.query.get(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
        };
        let (size, page) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
        let all = lock(&self.shared.state).keys.clone();
        let all: Vec<Value> =
            all.iter().filter(|key| key.repo == repo.name()).map(|key| self.key(key)).collect();
        let shown: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
        let mut response = Json(json!(shown)).into_response();
        if page * size < all.len() {
            let url = format!(
                "{}{}?per_page={size}&page={}",
                lock(&self.shared.address),
                self.request.path,
                page + 1
            );
            if let Ok(link) = HeaderValue::from_str(&format!("<{url}>; rel=\"next\"")) {
                response.headers_mut().insert(header::LINK, link);
            }
        }
        response
    }

    fn add_key(&self, repo: &Repo) -> anyhow::Result<Response> {
        let text = |name: &str| self.request.body.get(name).and_then(Value::as_str);
        let (title, key) = (text("title").unwrap_or_default(), text("key").unwrap_or_default());
        if lock(&self.shared.state).archived.contains(repo.name()) {
            return Ok(refusal(403, "Repository was archived so is read-only.", &[]));
        }
        if fingerprint(key).is_err() {
            return Ok(invalid("key is invalid. You must supply a key in OpenSSH public key format"));
        }
        let blob = key.split_whitespace().nth(1);
        let known = |known: &DeployKey| known.key.split(' ').nth(1) == blob;
        if lock(&self.shared.state).keys.iter().any(known) {
            return Ok(invalid("key is already in use"));
        }
        let read_only = self.request.body.get("read_only").and_then(Value::as_bool).unwrap_or(false);
        let key = self.shared.add_key(repo.name(), title, key, read_only)?;
        Ok((StatusCode::CREATED, Json(self.key(&key))).into_response())
    }

    fn one_key(&self, repo: &Repo, id: &str) -> anyhow::Result<Response> {
        let found = lock(&self.shared.state)
            .keys
            .iter()
            .find(|key| key.id.to_string() == id && key.repo == repo.name())
            .cloned();
        let Some(key) = found else { return Ok(not_found()) };
        if self.request.method == "GET" {
            return Ok(Json(self.key(&key)).into_response());
        }
        self.shared.delete_key(key.id)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    fn key(&self, key: &DeployKey) -> Value {
        json!({
            "id": key.id,
            "key": key.key,
            "url": format!("{}/repos/{}/keys/{}", lock(&self.shared.address), key.repo, key.id),
            "title": key.title,
            "verified": true,
            "created_at": "2026-01-02T03:04:05Z",
            "read_only": key.read_only,
            "added_by": self.token.as_ref().map(|token| token.login.as_str()),
            "last_used": null,
            "enabled": true,
        })
    }
}

fn not_found() -> Response {
    refusal(404, "Not Found", &[])
}

fn branch_of(repo: &Repo, branch: &str) -> anyhow::Result<Response> {
    let Ok(sha) = repo.rev_parse(&format!("refs/heads/{branch}")) else {
        return Ok(refusal(404, "Branch not found", &[]));
    };
    let subject = repo.git(&["log", "-1", "--format=%B", &sha])?;
    let commit = json!({ "sha": sha, "commit": { "message": subject } });
    Ok(Json(json!({ "name": branch, "commit": commit, "protected": false })).into_response())
}

fn contents(repo: &Repo, path: &str, query: &Parameters) -> anyhow::Result<Response> {
    let revision = query.get("ref").map_or("HEAD", String::as_str);
    let object = format!("{revision}:{path}");
    let Ok(sha) = repo.rev_parse(&object) else { return Ok(not_found()) };
    if repo.git(&["cat-file", "-t", &sha])? == "tree" {
        let entries = list(repo, &sha, false)?;
        let entry = |(kind, sha, name): &(String, String, String)| {
            let path = format!("{path}/{name}").trim_matches('/').to_owned();
            json!({ "type": if kind == "tree" { "dir" } else { "file" }, "name": name, "path": path, "sha": sha })
        };
        return Ok(Json(entries.iter().map(entry).collect::<Value>()).into_response());
    }
    let content = repo.blob(&sha)?;
    let name = path.rsplit('/').next();
    Ok(Json(json!({
        "type": "file", "encoding": "base64", "size": content.len(), "name": name, "path": path, "sha": sha,
        "content": STANDARD.encode(content),
    }))
    .into_response())
}

fn tree(repo: &Repo, revision: &str, query: &Parameters) -> anyhow::Result<Response> {
    let Ok(sha) = repo.rev_parse(&format!("{revision}^{{tree}}")) else { return Ok(not_found()) };
    let entries = list(repo, &sha, query.contains_key("recursive"))?;
    let entry =
        |(kind, sha, path): &(String, String, String)| json!({ "path": path, "type": kind, "sha": sha });
    let entries = entries.iter().map(entry).collect::<Value>();
    Ok(Json(json!({ "sha": sha, "tree": entries, "truncated": false })).into_response())
}

/// The type, id and path of a tree's entries.
fn list(repo: &Repo, tree: &str, recursive: bool) -> anyhow::Result<Vec<(String, String, String)>> {
    let mut arguments = vec!["ls-tree", "-z"];
    if recursive {
        arguments.extend(["-r", "-t"]);
    }
    arguments.push(tree);
    let output = repo.git(&arguments)?;
    let entry = |line: &str| {
        let (head, path) = line.split_once('\t')?;
        let mut words = head.split(' ').skip(1);
        Some((words.next()?.to_owned(), words.next()?.to_owned(), path.to_owned()))
    };
    Ok(output.split('\0').filter_map(entry).collect())
}

fn installation_token(shared: &Shared, id: &str, bearer: Option<&str>) -> Response {
    let issuer = match bearer.context("A JSON web token could not be decoded").and_then(app::issuer) {
        Ok(issuer) => issuer,
        Err(error) => return refusal(401, &format!("{error:#}"), &[]),
    };
    let mut state = lock(&shared.state);
    let known = id.parse().is_ok_and(|id| state.apps.contains(&(issuer, id)));
    if !known {
        return not_found();
    }
    state.last_id += 1;
    let token = format!("ghs_{:036}", state.last_id);
    state.tokens.insert(token.clone(), Token { login: "app[bot]".into(), scopes: None, admin: true });
    let body = json!({
        "token": token,
        "expires_at": "2099-01-01T00:00:00Z",
        "permissions": { "administration": "write", "contents": "read", "metadata": "read" },
        "repository_selection": "selected",
    });
    (StatusCode::CREATED, Json(body)).into_response()
}
