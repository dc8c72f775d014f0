//! A repository that is read over https: a Secret with a GitHub App, or with a user's name and token.
//!
//! Nothing is registered at the host, so nothing stays there.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::branches;
use super::entry::Entry;
use super::github::PUBLIC_API;
use super::hosts;
use super::key_host::{KeyHost, deletion};
use super::manifests::Installation;
use super::namespace::put_namespace;
use super::preflight;
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressEvent, ProgressLog, at};
use super::put::PutOutcome;
use super::secret;
use super::wait::Patience;
use crate::cluster::objects::Objects;
use lockgate_base::model::{Object, Secret};
use lockgate_git::{App, AppTokens, Credentials, GitUrl, SecretData, SourceError, advertisement};

/// The time limit for the host's answer whether it accepts the agent.
const TIMEOUT: Duration = Duration::from_secs(30);
const STEP: &str = "secret";

/// The agent's credentials.
#[derive(Debug, Clone)]
pub(crate) enum SignIn {
    /// As a GitHub App.
    App {
        /// The id of the App.
        id: u64,
        /// Its installation; by default that of the repository's owner.
        installation: Option<u64>,
        /// Its private key in PEM form.
        key: Secret<Vec<u8>>,
    },
    /// As a user.
    User {
        /// The user's name.
        name: String,
        /// The user's password or token.
        password: Secret<String>,
    },
}

/// The user's settings for the Secret.
#[derive(Debug, Clone)]
pub(crate) struct LoginPlan {
    /// The name of the Secret.
    pub secret: String,
    /// Whether it is for a GitHub App.
    pub is_app: bool,
    /// The credentials for a new Secret. Without them, the Secret has to exist, or the repository has to be
    /// public.
    pub login: Option<SignIn>,
    /// Certificates of further authorities for the host in PEM form.
    pub authorities: Option<Vec<u8>>,
    /// The address of GitHub's API, unless it is github.com's.
    pub api: Option<String>,
    /// Whether to replace an existing Secret.
    pub replace: bool,
}

/// The login of one cluster for one repository.
pub(crate) struct LoginEntry<'l> {
    /// The cluster.
    pub objects: &'l Objects,
    /// The installation; only its namespace matters.
    pub installation: &'l Installation,
    /// The user's settings.
    pub plan: &'l LoginPlan,
    /// The repository.
    pub url: &'l GitUrl,
    /// The branch whose presence shows that the host accepts the agent.
    pub branch: &'l str,
    /// How long each wait may take.
    pub timeout: Duration,
}

/// The state before the run.
pub(crate) enum Before {
    /// There is no Secret, and none is needed.
    Open,
    /// The Secret is as it should be.
    Stands,
    /// The Secret is missing or has to be replaced; with its new content.
    Absent(Option<Object>, Map<String, Value>),
}

impl LoginEntry<'_> {
    fn name(&self) -> String {
        format!("{}/{}", self.installation.namespace, self.plan.secret)
    }

    fn shell(&self) -> Result<Object, Problem> {
        secret::shell_of(&self.installation.namespace, &self.plan.secret)
    }

    /// The content of a new Secret; `None` without credentials.
    fn wanted(&self) -> Option<Map<String, Value>> {
        let mut data = Map::new();
        let mut add = |key: &str, value: &[u8]| data.insert(key.into(), STANDARD.encode(value).into());
        match &self.plan.login {
            None if self.plan.is_app || self.plan.authorities.is_none() => return None,
            None => {}
            Some(SignIn::App { id, installation, key }) => {
                add("githubAppID", id.to_string().as_bytes());
                match installation {
                    Some(id) => add("githubAppInstallationID", id.to_string().as_bytes()),
                    None => add("githubAppInstallationOwner", self.owner().as_bytes()),
                };
                add("githubAppPrivateKey", key.expose());
                if let Some(api) = &self.plan.api {
                    add("githubAppBaseURL", api.as_bytes());
                }
            }
            Some(SignIn::User { name, password }) => {
                add("username", name.as_bytes());
                add("password", password.expose().as_bytes());
            }
        }
        if let Some(authorities) = &self.plan.authorities {
            add("ca.crt", authorities);
        }
        Some(data)
    }

    fn owner(&self) -> &str {
        self.url.path().trim_start_matches('/').split('/').next().unwrap_or_default()
    }

    /// Checks the content of a Secret as the agent will, and tries it at the host.
    async fn tried(&self, data: &SecretData) -> Result<(), Problem> {
        let source = format!("Secret {}", self.name());
        let held = Some((source.as_str(), data));
        let credentials = if self.plan.is_app {
            let app = App::read(self.url, held)?;
            let namespace = &self.installation.namespace;
            app.credentials(&AppTokens::default().token(&app, namespace, TIMEOUT).await?)
        } else {
            Credentials::read(self.url, held)?
        };
        self.listed(credentials).await
    }

    /// Checks whether the host lists the branch with these credentials.
    async fn listed(&self, credentials: Credentials) -> Result<(), Problem> {
        let url = self.url.clone();
        let listed = tokio::task::spawn_blocking(move || advertisement(&url, &credentials, TIMEOUT)).await;
        let listed = listed.unwrap_or_else(|error| Err(SourceError::Storage(error.to_string())))?;
        let lines = branches::packets(&mut listed.as_slice(), branches::Lists::Second);
        let lines = lines.map_err(|error| SourceError::Remote {
            host: self.url.authority(),
            message: error.to_string(),
        })?;
        preflight::commit_at(&branches::of(&lines), self.branch).map(drop)
    }

    /// The problem of a Secret of another type, which lockgate does not use.
    fn other_kind(&self, live: &Object) -> Option<Problem> {
        let reason = "it holds a key for SSH".to_owned();
        secret::has_key(live).then(|| Problem::Secret { name: self.name(), reason })
    }

    async fn looked(&self) -> Result<Before, Problem> {
        let shell = self.shell()?;
        let live = self.objects.get(&shell).await;
        let live = live.map_err(|failure| Problem::cluster(shell.id().subject(), failure))?;
        if let Some(live) = live.as_ref().filter(|_| !self.plan.replace) {
            if let Some(problem) = self.other_kind(live) {
                return Err(problem);
            }
            let refused = |reason: String| Problem::Secret { name: self.name(), reason };
            return match self.tried(&secret::data(live)).await {
                Ok(()) => Ok(Before::Stands),
                Err(Problem::Host(
                    SourceError::Credentials { problem, .. } | SourceError::Provider(problem),
                )) => Err(refused(problem)),
                Err(problem) => Err(problem),
            };
        }
        let Some(data) = self.wanted() else {
            if self.plan.is_app {
                return Err(Problem::NoApp(self.name()));
            }
            self.listed(Credentials::None).await?;
            return Ok(Before::Open);
        };
        let encoded = data.iter().filter_map(|(key, value)| {
            Some((key.clone(), Secret::new(STANDARD.decode(value.as_str()?).ok()?)))
        });
        self.tried(&encoded.collect()).await?;
        Ok(Before::Absent(live, data))
    }

    /// Creates the Secret, or replaces its content.
    async fn put(&self, data: Map<String, Value>) -> Result<PutOutcome, Problem> {
        let wanted = self.shell()?.edit(|value| {
            value["type"] = "Opaque".into();
            value["data"] = Value::Object(data);
        });
        let wanted = wanted.map_err(|error| Problem::Embedded(error.to_string()))?;
        let put = secret::overwrite(self.objects, &wanted).await;
        put.map_err(|failure| Problem::cluster(wanted.id().subject(), failure))
    }
}

/// Reports a deploy key that was in the Secret, and that the host still accepts.
fn tell_of_key(live: Option<&Object>, progress: &mut ProgressLog<'_>) {
    let Some(key) = live.and_then(secret::key) else { return };
    let print = hosts::fingerprint(key.public());
    let command = match live.and_then(KeyHost::of) {
        Some(KeyHost::GitHub { api, repository }) => deletion(&api, &repository, &print),
        Some(KeyHost::Owner { .. }) | None => deletion(PUBLIC_API, "OWNER/REPO", &print),
    };
    let note = format!(
        "the deploy key {print} is in no use here any more, and stays registered: `{command}` deletes it"
    );
    progress.tell(ProgressEvent::Note(note));
}

impl Entry for LoginEntry<'_> {
    type Before = Before;
    type Admitted = ();

    async fn rehearsed(&self) -> Result<Before, FailedStep> {
        self.looked().await.map_err(at(STEP))
    }

    fn secret(&self, before: &Before) -> Option<String> {
        (!matches!(before, Before::Open)).then(|| self.plan.secret.clone())
    }

    async fn let_in(&self, before: Before, progress: &mut ProgressLog<'_>) -> Result<(), FailedStep> {
        let patience = Patience::new(STEP, self.timeout);
        put_namespace(self.objects, self.installation, &patience, progress).await?;
        let began = Instant::now();
        let change = match before {
            Before::Open => return Ok(()),
            Before::Stands => PutOutcome::Unchanged,
            Before::Absent(live, data) => {
                let change = self.put(data).await.map_err(at(STEP))?;
                tell_of_key(live.as_ref(), progress);
                change
            }
        };
        progress.done(STEP, began, self.name(), Some(change));
        Ok(())
    }

    async fn tidy(&self, (): &(), _: &mut ProgressLog<'_>) -> Result<(), FailedStep> {
        Ok(())
    }
}
