//! The part of GitHub's API that bootstrap needs: the repository, its files, its deploy keys, and the host
//! keys.

mod error;
mod exchange;
mod deploy_keys;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, Uri};
use octocrab::Octocrab;
use octocrab::models::{AppId, InstallationId};
use octocrab::service::middleware::retry::RetryConfig;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use lockgate_base::model::Secret;

pub(crate) use deploy_keys::DeployKey;
pub(crate) use error::GitHubError;

use self::error::INSTALLATION_ROUTE;

/// The address of github.com's API.
pub(crate) const PUBLIC_API: &str = "https://api.github.com";
/// The most files of a folder that are read.
const FILE_LIMIT: usize = 30;
/// The time limit for a connection, and for the next part of an answer.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// The credentials for GitHub.
#[derive(Debug, Clone)]
pub(crate) enum GithubCredentials {
    /// A personal access token, or the token of an App's installation.
    Token(Secret<String>),
    /// A GitHub App's installation.
    App {
        /// The id of the App.
        id: u64,
        /// Its installation; by default the one with the repository.
        installation: Option<u64>,
        /// Its private key in PEM form.
        private_key: Secret<Vec<u8>>,
    },
}

/// The prefix of installation tokens, including those of workflows.
const INSTALLATION: &str = "ghs_";

/// The kind of account that GitHub sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bearer {
    /// A user with a role in the repository.
    Person,
    /// An App whose private key is given. GitHub names no role for it.
    App,
    /// An App or a workflow of which only a token is given.
    Installation,
}

impl Bearer {
    fn of(credentials: &GithubCredentials) -> Self {
        match credentials {
            GithubCredentials::App { .. } => Self::App,
            GithubCredentials::Token(token) if token.expose().starts_with(INSTALLATION) => Self::Installation,
            GithubCredentials::Token(_) => Self::Person,
        }
    }
}

/// A client that has authenticated, or does so with its first request.
#[derive(Clone)]
enum Session {
    /// With a token, or without credentials.
    Token(Octocrab),
    /// As an App.
    App {
        /// The client for the App itself.
        app: Octocrab,
        /// The installation; looked up if absent.
        installation: Option<u64>,
        /// The client for the installation.
        installed: Arc<OnceCell<Octocrab>>,
    },
}

/// A repository at GitHub, and a client for it.
pub(crate) struct GitHub {
    session: Session,
    /// The address of the API, without a slash at its end.
    pub api: String,
    address: String,
    bearer: Bearer,
    /// `owner/name`.
    pub repository: String,
}

/// Facts about the repository and the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GithubFacts {
    /// The present `owner/name`, which differs from the requested one after a rename.
    pub full_name: String,
    /// The default branch.
    pub default_branch: String,
    /// Whether the user is an administrator; `None` for an installation, for which GitHub does not say.
    pub admin: Option<bool>,
    /// When the token expires, if it does.
    pub expires: Option<String>,
}

#[derive(Deserialize)]
struct RepositoryBody {
    full_name: String,
    default_branch: String,
    #[serde(default)]
    permissions: Permissions,
}

#[derive(Default, Deserialize)]
struct Permissions {
    #[serde(default)]
    admin: bool,
}

#[derive(Deserialize)]
struct InstallationBody {
    id: u64,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct BranchBody {
    commit: CommitBody,
}

#[derive(Deserialize)]
struct CommitBody {
    sha: String,
}

#[derive(Deserialize)]
struct MetaBody {
    #[serde(default)]
    ssh_keys: Vec<String>,
}

#[derive(Deserialize)]
struct EntryBody {
    name: String,
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

impl GitHub {
    /// Creates a client, without a request yet. Plain HTTP is refused except to a loopback address, so that
    /// no token crosses a network unencrypted.
    pub(crate) fn new(
        api: &str,
        credentials: &GithubCredentials,
        repository: &str,
    ) -> Result<Self, GitHubError> {
        let address = checked_address(api)?;
        let usage = |error: octocrab::Error| GitHubError::Usage(format!("--api-url {api}: {error}"));
        let builder = Octocrab::builder()
            .base_uri(api.trim_end_matches('/'))
            .map_err(usage)?
            .add_retry_config(RetryConfig::Simple(2))
            .set_connect_timeout(Some(TIMEOUT))
            .set_read_timeout(Some(TIMEOUT));
        let session = match credentials {
            GithubCredentials::Token(token) => {
                Session::Token(builder.personal_token(token.expose().clone()).build().map_err(usage)?)
            }
            GithubCredentials::App { id, installation, private_key } => {
                let unusable =
                    |_| GitHubError::Usage("the App's private key is not an RSA key in PEM form".into());
                let app = builder.app_from_rsa_pem(AppId(*id), private_key.expose()).map_err(unusable)?;
                let (app, installed) = (app.build().map_err(usage)?, Arc::default());
                Session::App { app, installation: *installation, installed }
            }
        };
        let (api, bearer) = (api.trim_end_matches('/').to_owned(), Bearer::of(credentials));
        Ok(Self { session, api, address, bearer, repository: repository.into() })
    }

    /// A client of a GitHub that is reached through a service.
    #[cfg(test)]
    pub(crate) fn of_service<S>(service: S, repository: &str) -> Self
    where
        S: tower::Service<http::Request<octocrab::OctoBody>, Response = http::Response<octocrab::OctoBody>>
            + Send
            + 'static,
        S::Future: Send + 'static,
        S::Error: Into<tower::BoxError>,
    {
        let builder = octocrab::OctocrabBuilder::new_empty().with_service(service);
        let session = Session::Token(builder.with_auth(octocrab::AuthState::None).build().unwrap());
        let (api, address, bearer) = ("http://test".into(), "http://test".into(), Bearer::Person);
        Self { session, api, address, bearer, repository: repository.into() }
    }

    /// The repository under its present name. GitHub redirects reads under an earlier name, but refuses
    /// writes.
    #[must_use]
    pub(crate) fn called(&self, full_name: &str) -> Self {
        let (session, api, address) = (self.session.clone(), self.api.clone(), self.address.clone());
        Self { session, api, address, bearer: self.bearer, repository: full_name.into() }
    }

    /// Whether the token is that of an installation whose private key is not given, such as a workflow's.
    pub(crate) fn has_token_of_installation(&self) -> bool {
        self.bearer == Bearer::Installation
    }

    /// The page on which an owner allows deploy keys.
    pub(crate) fn key_settings(&self) -> String {
        let owner = self.repository.split('/').next().unwrap_or_default();
        format!("{}/organizations/{owner}/settings/member_privileges", web_address(&self.address))
    }

    /// The write permissions of the App's installation for the repository; none if the account is no App.
    pub(crate) async fn writes(&self) -> Result<Vec<String>, GitHubError> {
        let Session::App { app, .. } = &self.session else { return Ok(Vec::new()) };
        let permissions = self.installation(app).await?.permissions;
        let writes = permissions.into_iter().filter(|(_, access)| access == "write" || access == "admin");
        Ok(writes.map(|(name, _)| name).collect())
    }

    /// The App's installation for the repository.
    async fn installation(&self, app: &Octocrab) -> Result<InstallationBody, GitHubError> {
        let route = self.route(INSTALLATION_ROUTE);
        let (_, body) = self.exchange(app, Method::GET, &route, None).await?;
        self.decode(&route, &body)
    }

    /// The client for requests about the repository.
    async fn client(&self) -> Result<&Octocrab, GitHubError> {
        let (app, installation, installed) = match &self.session {
            Session::Token(client) => return Ok(client),
            Session::App { app, installation, installed } => (app, installation, installed),
        };
        let sign_in = async || {
            let id = match installation {
                Some(id) => *id,
                None => self.installation(app).await?.id,
            };
            let client = app.installation(InstallationId(id));
            client.map_err(|error| GitHubError::Usage(error.to_string()))
        };
        installed.get_or_try_init(sign_in).await
    }

    /// Facts about the repository and the token.
    pub(crate) async fn facts(&self) -> Result<GithubFacts, GitHubError> {
        let (headers, body) = self.request(Method::GET, &self.route(""), None).await?;
        let body: RepositoryBody = self.decode(&self.route(""), &body)?;
        let expires = headers.get("github-authentication-token-expiration");
        Ok(GithubFacts {
            full_name: body.full_name,
            default_branch: body.default_branch,
            admin: (self.bearer == Bearer::Person).then_some(body.permissions.admin),
            expires: expires.and_then(|value| value.to_str().ok()).map(ToOwned::to_owned),
        })
    }

    /// The commit of a branch; `None` if there is no such branch.
    pub(crate) async fn branch(&self, branch: &str) -> Result<Option<String>, GitHubError> {
        let route = self.route(&format!("/branches/{}", encode(branch)));
        Ok(found(self.get::<BranchBody>(&route).await)?.map(|body| body.commit.sha))
    }

    /// The YAML files directly in a folder, as `(path, text)`; `None` if there is no such folder.
    pub(crate) async fn folder(
        &self,
        branch: &str,
        path: &str,
    ) -> Result<Option<Vec<(String, String)>>, GitHubError> {
        let route = |path: &str| self.route(&format!("/contents/{}?ref={}", encode(path), encode(branch)));
        let Some(listing) = found(self.get::<Value>(&route(path)).await)? else { return Ok(None) };
        // For a file, the answer is one entry and not a list.
        let Ok(entries) = serde_json::from_value::<Vec<EntryBody>>(listing) else { return Ok(None) };
        let is_yaml = |entry: &EntryBody| {
            entry.kind == "file" && [".yaml", ".yml"].iter().any(|ending| entry.name.ends_with(ending))
        };
        let mut files = Vec::new();
        for entry in entries.into_iter().filter(is_yaml).take(FILE_LIMIT) {
            let file: Value = self.get(&route(&entry.path)).await?;
            let text: String =
                file["content"].as_str().unwrap_or_default().split_ascii_whitespace().collect();
            let bytes = STANDARD.decode(text).unwrap_or_default();
            files.push((entry.path, String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(Some(files))
    }

    /// The host keys that GitHub publishes; most Enterprise servers publish none.
    pub(crate) async fn host_keys(&self) -> Result<Vec<String>, GitHubError> {
        Ok(found(self.get::<MetaBody>("/meta").await)?.map(|body| body.ssh_keys).unwrap_or_default())
    }

    fn route(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", encode(&self.repository))
    }

    async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, GitHubError> {
        let (_, body) = self.request(Method::GET, route, None).await?;
        self.decode(route, &body)
    }

    /// Sends a request.
    async fn request(
        &self,
        method: Method,
        route: &str,
        body: Option<&Value>,
    ) -> Result<(HeaderMap, Vec<u8>), GitHubError> {
        self.exchange(self.client().await?, method, route, body).await
    }
}

fn found<T>(result: Result<T, GitHubError>) -> Result<Option<T>, GitHubError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(GitHubError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The web address that belongs to an API: `github.com` for `api.github.com`, and the server itself for an
/// Enterprise server.
pub(crate) fn web_address(api: &str) -> String {
    let (scheme, rest) = api.split_once("://").unwrap_or(("https", api));
    let authority = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{}", authority.strip_prefix("api.").unwrap_or(authority))
}

fn checked_address(api: &str) -> Result<String, GitHubError> {
    let uri: Uri = api.parse().map_err(|error| GitHubError::Usage(format!("--api-url {api}: {error}")))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(GitHubError::Usage(format!("--api-url {api}: give the whole URL, such as {PUBLIC_API}")));
    };
    if authority.as_str().contains('@') {
        return Err(GitHubError::Usage(
            "--api-url holds a user name; credentials do not belong there".into(),
        ));
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(authority.host()) => {}
        "http" => {
            return Err(GitHubError::Usage(format!(
                "--api-url {api}: a token is sent over plain HTTP only to a loopback address; use https"
            )));
        }
        other => return Err(GitHubError::Usage(format!("--api-url {api}: '{other}' is not https"))),
    }
    Ok(format!("{scheme}://{authority}"))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Percent-encodes characters that a path or query cannot contain, except slashes.
fn encode(text: &str) -> impl Display + '_ {
    const SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    utf8_percent_encode(text, SET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_https_or_to_this_machine() {
        for api in [PUBLIC_API, "https://ghe.example.com/api/v3", "http://127.0.0.1:8080", "http://[::1]:1"] {
            assert!(checked_address(api).is_ok(), "{api}");
        }
        for (api, message) in [
            ("http://ghe.example.com", "is sent over plain HTTP only to a loopback address"),
            ("http://10.0.0.1", "is sent over plain HTTP only to a loopback address"),
            ("http://127.0.0.1.example.com", "is sent over plain HTTP only to a loopback address"),
            ("ftp://ghe.example.com", "is not https"),
            ("ghe.example.com", "give the whole URL"),
            ("https://me:secret@ghe.example.com", "holds a user name"),
        ] {
            let error = checked_address(api).unwrap_err().to_string();
            assert!(error.contains(message) && !error.contains("secret"), "{api}: {error}");
        }
    }

    #[test]
    fn branch_names_are_escaped_in_a_url() {
        assert_eq!(encode("feature/a b#1?x").to_string(), "feature/a%20b%231%3Fx");
    }
}
