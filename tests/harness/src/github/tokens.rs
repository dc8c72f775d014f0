//! The callers: personal access tokens, Apps and the tokens of their installations, and their rate limits.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// How far a token reaches into a repository's settings: GitHub's permission "Administration".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Not at all.
    None,
    /// Deploy keys are seen.
    Read,
    /// Deploy keys are seen, added and deleted.
    Write,
}

impl Access {
    /// GitHub's word; `None` where the permission is not listed.
    pub(super) const fn word(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Read => Some("read"),
            Self::Write => Some("write"),
        }
    }
}

/// For whom a token speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A person: the keys that are made with the token are deleted with it.
    Person,
    /// An installation of an App, or a workflow, whose token is one of GitHub's own App. GitHub names no role
    /// for it, and the keys that are made with the token stay.
    Installation,
}

/// The rights of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The login that it belongs to.
    pub login: String,
    /// The X-OAuth-Scopes header of a classic token; the others have none.
    pub scopes: Option<String>,
    /// Whether deploy keys may be seen and changed.
    pub administration: Access,
    /// For whom it speaks.
    pub bearer: Bearer,
    /// The repositories that it reaches, as `owner/name`, or as `owner/` for all of an owner. `None` stands
    /// for all repositories.
    pub(super) reach: Option<Vec<String>>,
}

impl Token {
    /// A classic token with the scope `repo`; its owner is an administrator of all repositories, or of none.
    pub fn classic(login: &str, is_admin: bool) -> Self {
        let administration = if is_admin { Access::Write } else { Access::None };
        Self {
            login: login.into(),
            scopes: Some("repo".into()),
            administration,
            bearer: Bearer::Person,
            reach: None,
        }
    }

    /// A fine-grained token of an administrator.
    pub fn fine_grained(login: &str, administration: Access) -> Self {
        Self { login: login.into(), scopes: None, administration, bearer: Bearer::Person, reach: None }
    }

    /// The token of an App's installation, or with [`Access::None`] that of a workflow.
    pub fn installation(login: &str, administration: Access) -> Self {
        Self { bearer: Bearer::Installation, ..Self::fine_grained(login, administration) }
    }

    /// Whether it reaches a repository.
    pub(super) fn reaches(&self, repo: &str) -> bool {
        let is_within =
            |reached: &String| reached == repo || reached.ends_with('/') && repo.starts_with(reached);
        self.reach.as_ref().is_none_or(|reach| reach.iter().any(is_within))
    }

    /// What GitHub shows of the bearer's role in a repository; an installation has none.
    pub(super) fn is_admin(&self) -> bool {
        let is_person = self.bearer == Bearer::Person;
        is_person && (self.scopes.is_none() || self.administration == Access::Write)
    }

    /// GitHub's name for it in refusals.
    pub(super) const fn kind(&self) -> &'static str {
        match self.bearer {
            Bearer::Person => "personal access token",
            Bearer::Installation => "integration",
        }
    }
}

/// An App, and its installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its id or client id.
    pub id: String,
    /// The number of the installation.
    pub installation: u64,
    /// The user or organisation with the installation.
    pub owner: String,
    /// Whether its tokens see and change deploy keys; all may read the repositories.
    pub administration: Access,
}

/// A private key as GitHub gives one to an App: RSA, PEM.
pub fn app_key() -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.pem");
    let mut command = std::process::Command::new("ssh-keygen");
    command.args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"]).arg(&file);
    crate::process::run(command, b"")?;
    Ok(std::fs::read_to_string(file)?)
}

/// The tokens and Apps that are known.
#[derive(Debug)]
pub(super) struct Tokens {
    known: BTreeMap<String, (Token, Option<SystemTime>)>,
    pub(super) apps: Vec<App>,
    /// How long the token of an installation lives.
    pub(super) life: Duration,
    last: u64,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { known: BTreeMap::new(), apps: Vec::new(), life: Duration::from_hours(1), last: 0 }
    }
}

impl Tokens {
    /// Knows a token until it is removed.
    pub(super) fn add(&mut self, text: &str, token: Token) {
        self.known.insert(text.to_owned(), (token, None));
    }

    /// Knows a token no more.
    pub(super) fn remove(&mut self, text: &str) -> Option<Token> {
        self.known.remove(text).map(|(token, _)| token)
    }

    /// A token that is known and has not ended.
    pub(super) fn get(&self, text: &str) -> Option<&Token> {
        let (token, end) = self.known.get(text)?;
        end.is_none_or(|end| SystemTime::now() < end).then_some(token)
    }

    /// Makes a token for an installation, for some of its repositories or for all; it and its end.
    pub(super) fn issue(&mut self, app: &App, repositories: Option<&[String]>) -> (String, SystemTime) {
        self.last += 1;
        let (text, end) = (format!("ghs_{:036}", self.last), SystemTime::now() + self.life);
        let named = |name: &String| format!("{}/{name}", app.owner);
        let reach = repositories
            .map_or_else(|| vec![format!("{}/", app.owner)], |names| names.iter().map(named).collect());
        let token = Token::installation(&format!("app-{}[bot]", app.id), app.administration);
        let token = Token { reach: Some(reach), ..token };
        self.known.insert(text.clone(), (token, Some(end)));
        (text, end)
    }
}
