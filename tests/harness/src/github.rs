//! A stand-in for GitHub's REST API that really admits keys: a deploy key reads its repository exactly while it is registered.

mod app;
mod faults;
mod routes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;

pub use faults::Fault;

use crate::git::{GitServer, KeyId};
use crate::process::lock;
use crate::serve::Server;

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

/// A registered deploy key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployKey {
    /// GitHub's number of it.
    pub id: u64,
    /// `owner/name`.
    pub repo: String,
    /// What it is called.
    pub title: String,
    /// The public key, without a comment.
    pub key: String,
    /// Whether it may only read.
    pub read_only: bool,
    admitted: KeyId,
}

/// What the bearer of a token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The login that it belongs to.
    pub login: String,
    /// The X-OAuth-Scopes header; a fine-grained token has none.
    pub scopes: Option<String>,
    /// Whether it may see and add keys; without it GitHub answers 404 to those.
    pub admin: bool,
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

#[derive(Debug, Default)]
struct State {
    tokens: BTreeMap<String, Token>,
    apps: BTreeSet<(String, u64)>,
    private: BTreeSet<String>,
    archived: BTreeSet<String>,
    /// Earlier names of repositories, and what these are called now.
    renamed: Vec<(String, String)>,
    keys: Vec<DeployKey>,
    last_id: u64,
    faults: Vec<faults::Planned>,
    requests: Vec<Request>,
}

impl GitHub {
    /// Starts the stand-in for the repositories of `git`, with no token that it knows.
    pub fn start(git: &GitServer) -> anyhow::Result<Self> {
        Self::start_on(git, None)
    }

    /// Starts it on a port.
    pub fn start_on(git: &GitServer, port: Option<u16>) -> anyhow::Result<Self> {
        let shared =
            Arc::new(Shared { git: git.clone(), address: Mutex::default(), state: Mutex::default() });
        let server = Server::http(routes::router(&shared), port)?;
        *lock(&shared.address) = format!("http://{}", server.address());
        Ok(Self { server, shared })
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
        let admin = Token { login: "octocat".into(), scopes: Some("repo".into()), admin: true };
        self.add_token_as(token, admin);
    }

    /// Knows a token with rights of its own.
    pub fn add_token_as(&self, token: &str, rights: Token) {
        lock(&self.shared.state).tokens.insert(token.to_owned(), rights);
    }

    /// Knows a token no more. As on GitHub the keys that were registered with it stay.
    pub fn revoke_token(&self, token: &str) {
        lock(&self.shared.state).tokens.remove(token);
    }

    /// Knows an app, by its id or client id, installed under a number.
    pub fn add_app(&self, app: &str, installation: u64) {
        lock(&self.shared.state).apps.insert((app.to_owned(), installation));
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

    /// Answers requests of a method (empty for any) whose path holds a text with a fault, `times` times (`None` for ever).
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

    /// The registered deploy keys.
    pub fn keys(&self) -> Vec<DeployKey> {
        lock(&self.shared.state).keys.clone()
    }

    /// Deletes a deploy key, as somebody does on GitHub's own pages.
    pub fn delete_key(&self, id: u64) -> anyhow::Result<()> {
        anyhow::ensure!(self.shared.delete_key(id)?, "no key {id}");
        Ok(())
    }
}

impl Shared {
    fn add_key(&self, repo: &str, title: &str, key: &str, read_only: bool) -> anyhow::Result<DeployKey> {
        let admitted = self.git.authorize(&self.git.repo(repo)?, key)?;
        let mut state = lock(&self.state);
        state.last_id += 1;
        let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let key =
            DeployKey { id: state.last_id, repo: repo.into(), title: title.into(), key, read_only, admitted };
        state.keys.push(key.clone());
        Ok(key)
    }

    /// Whether there was such a key.
    fn delete_key(&self, id: u64) -> anyhow::Result<bool> {
        let mut state = lock(&self.state);
        let Some(index) = state.keys.iter().position(|key| key.id == id) else { return Ok(false) };
        self.git.revoke(state.keys.remove(index).admitted)?;
        Ok(true)
    }
}
