//! A stand-in for GitHub's REST API that really admits keys: a deploy key reads its repository exactly while
//! it is registered and its owner's policy allows it.

mod app;
mod clones;
mod faults;
mod files;
mod keys;
mod routes;
mod tokens;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use serde_json::Value;

pub use clones::GitCall;
pub use faults::Fault;
pub use keys::DeployKey;
pub use tokens::{Access, App, Bearer, Token, app_key};

use self::keys::Keys;
use self::tokens::Tokens;
use crate::git::GitServer;
use crate::pki::Authority;
use crate::process::lock;
use crate::serve::{Server, runtime};

/// A request that the stand-in got.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// GET, POST and so on.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, empty if there was none.
    pub query: String,
    /// Whether an Authorization header came with it.
    pub authorized: bool,
    /// The User-Agent header, which GitHub demands.
    pub user_agent: String,
    /// The body, if it was JSON.
    pub body: Value,
    /// The answer's status.
    pub status: u16,
}

/// The stand-in, on http://127.0.0.1:PORT.
#[derive(Debug)]
pub struct GitHub {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    git: GitServer,
    address: Mutex<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: Tokens,
    keys: Keys,
    private: BTreeSet<String>,
    archived: BTreeSet<String>,
    /// Earlier names of repositories, and what these are called now.
    renamed: Vec<(String, String)>,
    faults: Vec<faults::Planned>,
    /// How many more requests are answered before the rate limit.
    budget: u64,
    requests: Vec<Request>,
    clones: Vec<GitCall>,
}

/// The stand-in on https://127.0.0.1:PORT as well, with a certificate of an authority of its own.
#[derive(Debug)]
pub struct SecureGitHub {
    server: Server,
    authority: Authority,
}

impl SecureGitHub {
    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.server.address())
    }

    /// The authority of the certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }
}

impl GitHub {
    /// Starts the stand-in for the repositories of `git`, with no token that it knows.
    pub fn start(git: &GitServer) -> anyhow::Result<Self> {
        Self::start_on(git, None)
    }

    /// Starts it on a port.
    pub fn start_on(git: &GitServer, port: Option<u16>) -> anyhow::Result<Self> {
        let state = State {
            tokens: Tokens::default(),
            keys: Keys::new(git),
            private: BTreeSet::new(),
            archived: BTreeSet::new(),
            renamed: Vec::new(),
            faults: Vec::new(),
            budget: faults::RATE_LIMIT,
            requests: Vec::new(),
            clones: Vec::new(),
        };
        let shared =
            Arc::new(Shared { git: git.clone(), address: Mutex::default(), state: Mutex::new(state) });
        let server = Server::http(routes::router(&shared), port)?;
        *lock(&shared.address) = format!("http://{}", server.address());
        Ok(Self { server, shared })
    }

    /// Serves the same over TLS, too.
    pub fn secured(&self) -> anyhow::Result<SecureGitHub> {
        let authority = Authority::new("test-github-ca")?;
        let identity = authority.server(&["localhost", "127.0.0.1"])?;
        Ok(SecureGitHub { server: Server::https(routes::router(&self.shared), &identity)?, authority })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        lock(&self.shared.address).clone()
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Knows a classic token with the scope `repo` whose bearer is an admin of all repositories.
    pub fn add_token(&self, token: &str) {
        self.add_token_as(token, Token::classic("octocat", true));
    }

    /// Knows a token with rights of its own.
    pub fn add_token_as(&self, token: &str, rights: Token) {
        lock(&self.shared.state).tokens.add(token, rights);
    }

    /// Deletes a token, and the deploy keys that were made with it unless it was an App's.
    pub fn delete_token(&self, token: &str) -> anyhow::Result<()> {
        let mut state = lock(&self.shared.state);
        state.tokens.remove(token);
        state.keys.delete_made_with(token)
    }

    /// Puts another token in a token's place; the deploy keys that were made with it stay.
    pub fn regenerate_token(&self, token: &str, next: &str) -> anyhow::Result<()> {
        let mut state = lock(&self.shared.state);
        let rights = state.tokens.remove(token).context("no such token")?;
        state.tokens.add(next, rights);
        state.keys.hand_over(token, next);
        Ok(())
    }

    /// Knows an App.
    pub fn add_app(&self, app: App) {
        lock(&self.shared.state).tokens.apps.push(app);
    }

    /// How long the tokens of installations live that are made from now on; an hour unless this is called.
    pub fn set_token_life(&self, life: Duration) {
        lock(&self.shared.state).tokens.life = life;
    }

    /// Whether a token is known and has not expired, as a Git host checks it.
    pub fn knows_token(&self, token: &str) -> bool {
        lock(&self.shared.state).tokens.get(token).is_some()
    }

    /// Sets an owner's policy for deploy keys. Where they are forbidden none is added, and none that is there
    /// is let in.
    pub fn allow_deploy_keys(&self, owner: &str, allowed: bool) -> anyhow::Result<()> {
        lock(&self.shared.state).keys.allow(owner, allowed)
    }

    /// How long it takes until the use of a key is shown; not at all unless this is called.
    pub fn set_use_lag(&self, lag: Duration) {
        lock(&self.shared.state).keys.lag = lag;
    }

    /// How many more requests are answered before the rate limit, which then lasts an hour.
    pub fn set_rate_limit(&self, requests: u64) {
        lock(&self.shared.state).budget = requests;
    }

    /// Marks a repository as private: without a known token it is not found.
    pub fn set_private(&self, repo: &str) {
        lock(&self.shared.state).private.insert(repo.to_owned());
    }

    /// Marks a repository as archived.
    pub fn set_archived(&self, repo: &str) {
        lock(&self.shared.state).archived.insert(repo.to_owned());
    }

    /// Knows an earlier name of a repository, from which it was renamed or transferred.
    pub fn add_earlier_name(&self, earlier: &str, repo: &str) {
        lock(&self.shared.state).renamed.push((earlier.to_owned(), repo.to_owned()));
    }

    /// Answers requests of a method (empty for any) whose path holds a text with a fault, `times` times
    /// (`None` for ever).
    pub fn fail(&self, method: &str, path: &str, fault: Fault, times: Option<usize>) {
        lock(&self.shared.state).faults.push(faults::Planned::new(method, path, fault, times));
    }

    /// Ends all faults.
    pub fn heal(&self) {
        lock(&self.shared.state).faults.clear();
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.state).requests.clone()
    }

    /// Answers a request with a token as it would over HTTP: the status and the body.
    pub async fn answer(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let uri: Uri = path.parse()?;
        let query = Query::try_from_uri(&uri)?;
        let headers = HeaderMap::from_iter([
            (header::USER_AGENT, HeaderValue::from_static("test")),
            (header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?),
        ]);
        let shared = axum::extract::State(Arc::clone(&self.shared));
        // On the harness's own threads, of which one may wait for a program.
        let served = routes::serve(shared, method.parse()?, uri, query, headers, body.into());
        let response = runtime()?.spawn(served).await?;
        let status = response.status().as_u16();
        Ok((status, axum::body::to_bytes(response.into_body(), usize::MAX).await?.to_vec()))
    }

    /// Takes another moment for the present, as far as deploy keys are concerned.
    pub fn set_time(&self, now: SystemTime) {
        lock(&self.shared.state).keys.now = Some(now);
    }

    /// Notes that the owner of a key was let in now, without a login.
    pub fn note_use(&self, public: &str) {
        lock(&self.shared.state).keys.note_use(public);
    }

    /// When GitHub says that a key was last used.
    pub fn last_used(&self, key: &DeployKey) -> Option<SystemTime> {
        lock(&self.shared.state).keys.last_used(key)
    }

    /// The requests of Git clients so far, which are none of the API's.
    pub fn clones(&self) -> Vec<GitCall> {
        lock(&self.shared.state).clones.clone()
    }

    /// The registered deploy keys.
    pub fn keys(&self) -> Vec<DeployKey> {
        lock(&self.shared.state).keys.all().to_vec()
    }

    /// Registers a deploy key with a token, as another program does; GitHub's number of it.
    pub fn register(
        &self,
        repo: &str,
        title: &str,
        key: &str,
        read_only: bool,
        token: &str,
    ) -> anyhow::Result<u64> {
        let mut state = lock(&self.shared.state);
        let rights = state.tokens.get(token).context("no such token")?.clone();
        Ok(state.keys.add(&keys::New { repo, title, key, read_only }, token, &rights)?.id)
    }

    /// Deletes a deploy key, as somebody does on GitHub's own pages.
    pub fn delete_key(&self, id: u64) -> anyhow::Result<()> {
        anyhow::ensure!(lock(&self.shared.state).keys.delete(id)?, "no key {id}");
        Ok(())
    }

    /// Gives a key other times than it has, so that a test need not wait for them.
    pub fn pretend(
        &self,
        id: u64,
        created_at: SystemTime,
        last_used: Option<SystemTime>,
    ) -> anyhow::Result<()> {
        lock(&self.shared.state).keys.pretend(id, created_at, last_used)
    }
}
