//! GitHub Apps. An App signs a claim, and gets for it a token of its installation, which can read one
//! repository and expires after an hour.
//!
//! The keys of the Secret are Flux's (fluxcd/pkg `git/github`): `githubAppID`, `githubAppPrivateKey`, one of
//! `githubAppInstallationID` and `githubAppInstallationOwner`, and at Enterprise servers `githubAppBaseURL`.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::Signer;
use serde::Deserialize;
use serde_json::json;

use crate::SourceError;
use crate::client::{self, ClientOptions, NAME};
use crate::context::{FetchContext, lock};
use crate::credentials::{
    APP_ID, Certificates, Credentials, Fields, SecretData, basic, holds_app, refuse_plain_http,
};
use crate::error::one_line;
use crate::memory::FetchMemory;
use crate::pool::{self, Pool};
use crate::url::{GitUrl, Scheme};
use crate::web::{Web, WebAnswer};
use lockgate_base::model::{Digest, Secret, Timestamp};

/// The address of github.com's API.
const PUBLIC_API: &str = "https://api.github.com";
/// The user name that belongs to a token.
const USER: &str = "x-access-token";
/// How long before its end a token is no longer used, in addition to the time that the fetch may take.
const MARGIN: Duration = Duration::from_mins(5);
/// How long before now the signed claim begins, for clocks that are wrong, and how long it is valid in total;
/// GitHub accepts at most ten minutes.
const CLAIM: (u64, u64) = (60, 540);
/// The largest answer, in bytes.
const ANSWER: u64 = 1 << 20;
const JSON: &str = "application/json";

/// A GitHub App that reads one repository.
#[derive(Debug, Clone)]
pub struct App {
    /// The origin of the App, for messages: `Secret namespace/name`.
    source: String,
    /// The address of the API, without a slash at its end.
    api: String,
    checked: GitUrl,
    id: u64,
    installation: Installation,
    /// The private key in PEM form.
    key: Secret<Vec<u8>>,
    /// The repository's name, without its owner's.
    repository: String,
    certificates: Certificates,
    fingerprint: Digest,
}

/// The choice of the App's installation.
#[derive(Debug, Clone)]
enum Installation {
    /// By GitHub's number.
    Id(u64),
    /// By the organisation or user where it is installed.
    Owner(String),
}

impl App {
    /// The App for `url` from a Secret called `source` in messages (`Secret namespace/name`); `None` if the
    /// object names no Secret.
    pub fn read(url: &GitUrl, secret: Option<(&str, &SecretData)>) -> Result<Self, SourceError> {
        let Some((source, data)) = secret.filter(|(_, data)| holds_app(data)) else {
            // These are Flux's words.
            let message = "secretRef with github app data must be specified when provider is set to github";
            return Err(SourceError::Provider(message.into()));
        };
        if url.scheme() == Scheme::Ssh {
            let problem = "the token of a GitHub App is good over https alone; write https://".into();
            return Err(SourceError::InvalidUrl { url: url.to_string(), problem });
        }
        refuse_plain_http(url, source)?;
        let fields = Fields { source, data };
        let number = |key: &str| -> Result<Option<u64>, SourceError> {
            let Some(text) = fields.text(key)? else { return Ok(None) };
            let number = text.parse().ok().filter(|number| *number > 0);
            number.map(Some).ok_or_else(|| fields.error(&format!("{key} is no number of GitHub's")))
        };
        let id = number(APP_ID)?.ok_or_else(|| fields.error("it has no key 'githubAppID'"))?;
        let owner = fields.text("githubAppInstallationOwner")?;
        let installation = match (number("githubAppInstallationID")?, owner) {
            (Some(id), None) => Installation::Id(id),
            (None, Some(owner)) if is_login(owner) => Installation::Owner(owner.into()),
            (None, Some(_)) => {
                return Err(fields.error("githubAppInstallationOwner is no name of an organisation or user"));
            }
            (Some(_), Some(_)) => {
                let both = "it has both githubAppInstallationID and githubAppInstallationOwner; keep one";
                return Err(fields.error(both));
            }
            (None, None) => {
                return Err(
                    fields.error("it has neither githubAppInstallationID nor githubAppInstallationOwner")
                );
            }
        };
        let api = fields.text("githubAppBaseURL")?.unwrap_or(PUBLIC_API).trim_end_matches('/');
        let checked = GitUrl::site(api)
            .and_then(|checked| refuse_plain_http(&checked, source).map(|()| checked))
            .map_err(|error| fields.error(&format!("githubAppBaseURL: {error}")))?;
        let key = fields.bytes("githubAppPrivateKey");
        let key = key.ok_or_else(|| fields.error("it has no key 'githubAppPrivateKey'"))?.clone();
        signer(&key).map_err(|problem| fields.error(problem))?;
        let path = url.path().trim_end_matches('/');
        let name = path.rsplit('/').next().unwrap_or_default();
        Ok(Self {
            source: source.into(),
            api: api.into(),
            checked,
            id,
            installation,
            key,
            repository: name.strip_suffix(".git").unwrap_or(name).into(),
            certificates: fields.certificates()?,
            fingerprint: fields.fingerprint(),
        })
    }

    /// The credentials with a token. They are distinguished from others by the Secret, whatever the token.
    pub fn credentials(&self, token: &Secret<String>) -> Credentials {
        Credentials::of_app(&self.source, basic(USER, token.expose()), &self.certificates, self.fingerprint)
    }

    /// The key of the App's token in the store of tokens.
    fn known_as(&self) -> Digest {
        Digest::of_parts([self.fingerprint.bytes().as_slice(), self.repository.as_bytes()])
    }

    /// The signed claim to be this App: the `Authorization` header for requests to the API.
    fn claim(&self, now: u64) -> Result<Secret<String>, SourceError> {
        let (before, after) = CLAIM;
        let claims = json!({
            "iat": now.saturating_sub(before), "exp": now.saturating_add(after), "iss": self.id.to_string(),
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(&claims));
        let signature =
            signer(&self.key).and_then(|signer| signer.sign(text.as_bytes()).map_err(|_| UNUSABLE));
        let signature = signature.map_err(|problem| SourceError::Credentials {
            secret: self.source.clone(),
            problem: problem.into(),
        })?;
        Ok(Secret::new(format!("Bearer {text}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

const UNUSABLE: &str = "githubAppPrivateKey is no RSA key in PEM form";

fn signer(key: &Secret<Vec<u8>>) -> Result<Box<dyn Signer>, &'static str> {
    let der = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| UNUSABLE)?;
    let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| UNUSABLE)?;
    key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or(UNUSABLE)
}

/// Whether a text can be the login of an organisation or user, and so a part of a path.
fn is_login(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// A token, and its end.
struct Token {
    text: Secret<String>,
    ends: SystemTime,
}

/// The tokens of Apps. Each is used until shortly before its end.
pub struct AppTokens {
    pool: Pool,
    known: Mutex<HashMap<Digest, Token>>,
}

impl Default for AppTokens {
    fn default() -> Self {
        Self { pool: Pool::sharing(&FetchMemory::default()), known: Mutex::default() }
    }
}

impl AppTokens {
    /// A token that is valid for a fetch on behalf of a namespace that begins now and takes at most `limit`,
    /// which is also the time limit for GitHub's answer.
    pub async fn token(
        &self,
        app: &App,
        namespace: &str,
        limit: Duration,
    ) -> Result<Secret<String>, SourceError> {
        let key = app.known_as();
        let now = SystemTime::now();
        {
            let mut known = lock(&self.known);
            known.retain(|_, token| token.ends > now);
            if let Some(token) = known.get(&key).filter(|token| token.ends > now + MARGIN + limit) {
                return Ok(token.text.clone());
            }
        }
        let asked = app.clone();
        let token =
            pool::fetch(&self.pool, &app.checked, namespace, limit, move |context| Hub::ask(context, &asked))
                .await?;
        let text = token.text.clone();
        lock(&self.known).insert(key, token);
        Ok(text)
    }

    /// Drops a token that GitHub has refused, so that the next fetch requests another.
    pub fn forget(&self, app: &App) {
        lock(&self.known).remove(&app.known_as());
    }
}

/// A client of GitHub's API for an App.
struct Hub<'h> {
    web: Web,
    app: &'h App,
    claim: Secret<String>,
}

#[derive(Deserialize)]
struct InstallationBody {
    id: u64,
}

#[derive(Deserialize)]
struct TokenBody {
    token: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Hub<'_> {
    fn ask(context: &Arc<FetchContext>, app: &App) -> Result<Token, SourceError> {
        context.now_doing("asking for a token of the GitHub App");
        let is_private = app.checked.scheme() == Scheme::Https;
        let (authorities, identity) = &app.certificates;
        let agent = client::agent(ClientOptions {
            authorities: authorities.as_deref(),
            identity: identity.as_ref().map(|(chain, key)| (chain.as_slice(), key.expose().as_slice())),
            is_verified: true,
            https_only: is_private,
            redirects: 0,
            proxy: ureq::Proxy::try_from_env(),
            name: NAME,
        });
        let agent =
            agent.map_err(|problem| SourceError::Credentials { secret: app.source.clone(), problem })?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let hub = Hub { web: Web::new(context, agent, is_private), app, claim: app.claim(now)? };
        let installation = match &app.installation {
            Installation::Id(id) => *id,
            Installation::Owner(owner) => hub.installation(owner)?,
        };
        hub.token(installation)
    }

    /// The id of the installation for an organisation or a user.
    fn installation(&self, owner: &str) -> Result<u64, SourceError> {
        for owners in ["orgs", "users"] {
            let url = format!("{}/{owners}/{owner}/installation", self.app.api);
            let (answer, _) = self.web.follow(&Method::GET, &url, &[ACCEPT], Some(&self.claim))?;
            match answer.status().as_u16() {
                200 => return self.read(answer).map(|body: InstallationBody| body.id),
                404 => {}
                _ => return Err(self.refused(answer)),
            }
        }
        Err(self.rejected(format_args!(
            "is not installed for {owner}: install it there, or correct githubAppInstallationOwner"
        )))
    }

    /// A token that can read the repository. A renamed repository can still be read under its earlier name,
    /// but no token can be requested for that name. Then the token is for all repositories of the
    /// installation.
    fn token(&self, installation: u64) -> Result<Token, SourceError> {
        let url = format!("{}/app/installations/{installation}/access_tokens", self.app.api);
        let permissions = json!({"contents": "read"});
        let narrow = json!({"repositories": [self.app.repository], "permissions": permissions});
        let ask = |body: serde_json::Value| {
            self.web.post(&url, Some(&self.claim), (JSON, &Secret::new(body.to_string())))
        };
        let mut answer = ask(narrow)?;
        if answer.status().as_u16() == 422 {
            answer = ask(json!({"permissions": permissions}))?;
        }
        match answer.status().as_u16() {
            201 => {}
            404 => {
                return Err(self.rejected(format_args!(
                    "has no installation {installation}: correct githubAppInstallationID"
                )));
            }
            _ => return Err(self.refused(answer)),
        }
        let TokenBody { token, expires_at } = self.read(answer)?;
        let text = Secret::new(token);
        if text.expose().is_empty() || !text.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.remote("it gave a token that is none"));
        }
        let ends = UNIX_EPOCH + Duration::from_secs(u64::try_from(expires_at.unix()).unwrap_or_default());
        Ok(Token { text, ends })
    }

    fn read<T: serde::de::DeserializeOwned>(&self, answer: WebAnswer) -> Result<T, SourceError> {
        let body = self.web.body(answer, ANSWER)?.map(Secret::new);
        let read = body.and_then(|body| serde_json::from_slice(body.expose()).ok());
        read.ok_or_else(|| self.remote("its answer about a GitHub App is not GitHub's"))
    }

    /// The error of an unexpected answer.
    fn refused(&self, answer: WebAnswer) -> SourceError {
        let status = answer.status().as_u16();
        let body = self.web.body(answer, ANSWER).ok().flatten().unwrap_or_default();
        let said = serde_json::from_slice(&body).map(|refusal: Refusal| one_line(&refusal.message));
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        match status {
            401 => self.rejected(format_args!(
                "is not known by its key (HTTP 401){said}; check githubAppID, githubAppPrivateKey and the clock of this node"
            )),
            403 | 422 => self.rejected(format_args!("is given no token (HTTP {status}){said}")),
            _ => self.remote(format_args!("it answered HTTP {status} when a GitHub App asked{said}")),
        }
    }

    fn rejected(&self, what: impl Display) -> SourceError {
        let App { id, source, checked, .. } = self.app;
        SourceError::Rejected(format!("the GitHub App {id} of {source} {what} ({})", checked.authority()))
    }

    fn remote(&self, message: impl Display) -> SourceError {
        SourceError::Remote { host: self.app.checked.authority(), message: message.to_string() }
    }
}

/// The media type of the API's answers.
const ACCEPT: (&str, &str) = ("Accept", "application/vnd.github+json");

#[cfg(test)]
mod tests;
