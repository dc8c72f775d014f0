//! Clones over HTTP: the token is the password, whatever the user's name, and reads the repositories that it
//! reaches.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Shared;
use super::faults::not_found;
use crate::git::backend;
use crate::process::lock;

/// A request of a Git client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitCall {
    /// `owner/name`.
    pub repo: String,
    /// The token that came with it.
    pub token: Option<String>,
    /// The answer's status.
    pub status: u16,
}

/// A request of a Git client: a repository, and a part of it.
pub(super) struct Clone {
    repo: String,
    rest: String,
}

impl Clone {
    /// Parses an address; `None` if no Git client requests it.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let path = uri.path().trim_start_matches('/');
        let rest = ["/info/refs", "/git-upload-pack"].into_iter().find(|rest| path.ends_with(rest))?;
        let repo = path.strip_suffix(rest)?;
        let repo = repo.strip_suffix(".git").unwrap_or(repo);
        (repo.matches('/').count() == 1).then(|| Self { repo: repo.to_owned(), rest: rest.to_owned() })
    }

    pub(super) async fn answer(
        self,
        shared: &Shared,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let token = password(&headers);
        let response = if let Some(refused) = self.refused(shared, token.as_deref()) {
            refused
        } else {
            let path = format!("/{}.git{}", self.repo, self.rest);
            let query = uri.query().unwrap_or_default().to_owned();
            backend(&shared.git.root(), method, (&path, query), headers, body).await
        };
        let status = response.status().as_u16();
        lock(&shared.state).clones.push(GitCall { repo: self.repo, token, status });
        response
    }

    fn refused(&self, shared: &Shared, token: Option<&str>) -> Option<Response> {
        let state = lock(&shared.state);
        let known = token.and_then(|token| state.tokens.get(token));
        let is_private = state.private.contains(&self.repo);
        if token.is_some() != known.is_some() || is_private && known.is_none() {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
            return Some((StatusCode::UNAUTHORIZED, challenge, "authentication required").into_response());
        }
        let is_reached = !is_private || known.is_some_and(|token| token.reaches(&self.repo));
        (!is_reached || !shared.git.has_repo(&self.repo)).then(not_found)
    }
}

/// The password of basic authentication.
fn password(headers: &HeaderMap) -> Option<String> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}
