//! The calls that a bootstrap makes, answered as GitHub answers them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::clones::Clone;
use super::faults::{Planned, invalid, keys_disabled, not_found, refusal, tell_limit};
use super::files::{branch_of, contents, tree};
use super::keys::{DeployKey, New};
use super::tokens::{Access, Bearer, Token};
use super::{Fault, Request, Shared, app};
use crate::git::{Repo, fingerprint};
use crate::process::lock;

pub(super) type Parameters = BTreeMap<String, String>;

/// The number of seconds after which a rate limit is reset.
const HOUR: u64 = 3600;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new().fallback(serve).with_state(Arc::clone(shared))
}

pub(super) async fn serve(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(clone) = Clone::of(&uri) {
        return clone.answer(&shared, method, &uri, headers, body).await;
    }
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
    let (fault, left) = {
        let mut state = lock(&shared.state);
        let fault = Planned::take(&mut state.faults, &request.method, &request.path);
        let spent = (state.budget == 0).then_some(Fault::RateLimit(HOUR));
        state.budget = state.budget.saturating_sub(1);
        (fault.or(spent), state.budget)
    };
    if let Some(Fault::Delay(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    let mut response = match fault.as_ref().and_then(Fault::answer) {
        Some(response) => response,
        // git and ssh-keygen are waited for.
        None => tokio::task::block_in_place(|| route(&shared, &request, &query, bearer.as_deref())),
    };
    if fault == Some(Fault::Lost) && response.status().is_success() {
        return std::future::pending().await;
    }
    if !response.headers().contains_key("x-ratelimit-remaining") {
        tell_limit(&mut response, left, HOUR);
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
    bearer: &'a str,
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
    // A mistake of the stand-in or of the test, not GitHub's word.
    let mistake = |error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response();
    if app::is_asked_by_apps(&parts) {
        let answer = app::answer(shared, &request.method, &parts, bearer, &request.body);
        return answer.unwrap_or_else(mistake);
    }
    let token = bearer.and_then(|bearer| lock(&shared.state).tokens.get(bearer).cloned());
    if bearer.is_some() && token.is_none() {
        return refusal(401, "Bad credentials", &[]);
    }
    let scopes = token.as_ref().and_then(|token| token.scopes.clone());
    let call = Call { shared, request, query, bearer: bearer.unwrap_or_default(), token };
    let mut response = call.answer(&parts).unwrap_or_else(mistake);
    if let Some(Ok(scopes)) = scopes.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert("x-oauth-scopes", scopes);
    }
    response
}

impl Call<'_> {
    fn answer(&self, parts: &[&str]) -> anyhow::Result<Response> {
        match (self.request.method.as_str(), parts) {
            ("GET", ["meta"]) => self.meta(),
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

    /// The redirect for a repository's earlier name: to its number, as GitHub does. 307 keeps method and
    /// body.
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

    /// A repository, unless it is private and none of the caller's.
    fn visible(&self, name: &str) -> anyhow::Result<Option<Repo>> {
        let private = lock(&self.shared.state).private.contains(name);
        let is_reached = self.token.as_ref().is_some_and(|token| token.reaches(name));
        if !self.shared.git.has_repo(name) || private && !is_reached {
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
            (_, ["keys", rest @ ..]) => self.deploy_keys(repo, rest),
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
                json!({ "admin": token.is_admin(), "push": token.is_admin(), "pull": token.bearer == Bearer::Person }),
            );
        }
        Ok(Json(body).into_response())
    }

    fn deploy_keys(&self, repo: &Repo, rest: &[&str]) -> anyhow::Result<Response> {
        let method = self.request.method.as_str();
        let (needed, word) = if method == "GET" { (Access::Read, "read") } else { (Access::Write, "write") };
        let Some(token) = self.token.as_ref().filter(|token| token.reaches(repo.name())) else {
            return Ok(not_found());
        };
        if token.administration < needed {
            // A user who is no administrator gets no reason; a token without the permission gets the missing
            // one.
            return Ok(if token.scopes.is_some() {
                not_found()
            } else {
                let message = format!("Resource not accessible by {}", token.kind());
                let needs = format!("administration={word}");
                refusal(403, &message, &[("x-accepted-github-permissions", &needs)])
            });
        }
        match (method, rest) {
            ("GET", []) => self.list_keys(repo),
            ("POST", []) => self.add_key(repo, token),
            ("GET" | "DELETE", [id]) => self.one_key(repo, id),
            _ => Ok(not_found()),
        }
    }

    fn list_keys(&self, repo: &Repo) -> anyhow::Result<Response> {
        let number = |name: &str, otherwise: usize| {
            self.query.get(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
        };
        let (size, page) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
        let of_it = |key: &&DeployKey| key.repo == repo.name();
        let all = lock(&self.shared.state).keys.all().to_vec();
        let all = all.iter().filter(of_it).map(|key| self.key(key)).collect::<anyhow::Result<Vec<_>>>()?;
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
        Ok(response)
    }

    fn add_key(&self, repo: &Repo, token: &Token) -> anyhow::Result<Response> {
        let text = |name: &str| self.request.body.get(name).and_then(Value::as_str);
        let (title, key) = (text("title").unwrap_or_default(), text("key").unwrap_or_default());
        let mut state = lock(&self.shared.state);
        if state.archived.contains(repo.name()) {
            return Ok(refusal(403, "Repository was archived so is read-only.", &[]));
        }
        if !state.keys.are_allowed(repo.name().split('/').next().unwrap_or_default()) {
            return Ok(keys_disabled());
        }
        if fingerprint(key).is_err() {
            return Ok(invalid("key is invalid. You must supply a key in OpenSSH public key format"));
        }
        let blob = key.split_whitespace().nth(1);
        let known = |known: &DeployKey| known.key.split(' ').nth(1) == blob;
        if state.keys.all().iter().any(known) {
            return Ok(invalid("key is already in use"));
        }
        let read_only = self.request.body.get("read_only").and_then(Value::as_bool).unwrap_or(false);
        let new = New { repo: repo.name(), title, key, read_only };
        let key = state.keys.add(&new, self.bearer, token)?;
        drop(state);
        Ok((StatusCode::CREATED, Json(self.key(&key)?)).into_response())
    }

    fn one_key(&self, repo: &Repo, id: &str) -> anyhow::Result<Response> {
        let is_it = |key: &&DeployKey| key.id.to_string() == id && key.repo == repo.name();
        let found = lock(&self.shared.state).keys.all().iter().find(is_it).cloned();
        let Some(key) = found else { return Ok(not_found()) };
        if self.request.method == "GET" {
            return Ok(Json(self.key(&key)?).into_response());
        }
        lock(&self.shared.state).keys.delete(key.id)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    fn key(&self, key: &DeployKey) -> anyhow::Result<Value> {
        let api = lock(&self.shared.address).clone();
        lock(&self.shared.state).keys.shown(key, &api)
    }
}
