//! GitRepositories: turns the address, the reference and the credentials into a request to the Git adapter.

use std::sync::Arc;

use super::adapter::{Adapter, Ask, ResumeFuture, VerdictFuture, failed};
use super::held::Held;
use lockgate_base::model::{KindId, Revision};
use lockgate_core::api::{GitRepository, GitRepositorySpec, PROVIDER_GITHUB};
use lockgate_core::verdict;
use lockgate_git::{App, AppTokens, Credentials, FailureClass, Fetcher, GitRequest, GitUrl, RefRequest};

/// The adapter of GitRepositories: the Git fetcher, and the tokens of GitHub Apps.
pub(super) struct Git {
    host: Arc<dyn Fetcher>,
    tokens: AppTokens,
}

impl Adapter for Git {
    fn kind(&self) -> KindId {
        GitRepository::ID
    }

    fn fetch<'f>(&'f self, ask: &'f Ask<'f>) -> VerdictFuture<'f> {
        Box::pin(async {
            let (request, app) = self.request(ask).await?;
            let fetched = self.host.fetch(request).await;
            if let (Err(error), Some(app)) = (&fetched, &app)
                && error.class() == FailureClass::AuthenticationFailed
            {
                self.tokens.forget(app);
            }
            fetched.map(Into::into).map_err(|error| ask.failed(&error))
        })
    }

    fn resume<'f>(&'f self, ask: &'f Ask<'f>) -> ResumeFuture<'f> {
        Box::pin(async {
            let (revision, digest) = ask.left()?;
            let (request, app) = self.request(ask).await.ok()?;
            // A token of an App is requested from its host, and each App has a store of its own.
            if app.is_some() {
                return None;
            }
            let held = Held::Files(self.host.resume(request, revision).await?);
            (held.digest().to_string() == digest).then_some(held)
        })
    }
}

impl Git {
    pub(super) fn new(host: Arc<dyn Fetcher>) -> Self {
        Self { host, tokens: AppTokens::default() }
    }

    /// The request to the host, and the App whose tokens it uses.
    async fn request(&self, ask: &Ask<'_>) -> Result<(GitRequest, Option<App>), verdict::Fetched> {
        let spec: &GitRepositorySpec = ask.spec()?;
        let url = GitUrl::parse(&spec.url).map_err(|error| failed(&error))?;
        let secret = match &spec.secret_ref {
            Some(reference) => Some(ask.inputs.secret("spec.secretRef", &reference.name).await?),
            None => None,
        };
        let named = secret.as_ref().map(|(name, data)| (name.as_str(), data));
        let (credentials, app) = if spec.provider.as_deref() == Some(PROVIDER_GITHUB) {
            let app = App::read(&url, named).map_err(|error| match failed(&error) {
                // A Secret that the object does not name cannot arrive here.
                verdict::Fetched::Failed { cause, message, .. } if secret.is_none() => {
                    verdict::Fetched::Failed { cause, message, terminal: true }
                }
                failed => failed,
            })?;
            let namespace = &ask.source.metadata.namespace;
            let token = self.tokens.token(&app, namespace, ask.timeout()).await;
            let token = token.map_err(|error| ask.failed(&error))?;
            ask.inputs.hide(token.expose().as_bytes());
            (app.credentials(&token), Some(app))
        } else {
            (Credentials::read(&url, named).map_err(|error| failed(&error))?, None)
        };
        let request = GitRequest {
            namespace: ask.source.metadata.namespace.clone(),
            url,
            reference: reference(spec, ask.paused_at()),
            credentials,
            timeout: ask.timeout(),
            ignore: spec.ignore.clone(),
            known: ask.known(),
        };
        Ok((request, app))
    }
}

/// The reference to check out.
fn reference(spec: &GitRepositorySpec, paused_at: Option<Revision>) -> RefRequest {
    let wanted = spec.reference.clone().unwrap_or_default();
    RefRequest {
        branch: wanted.branch,
        tag: wanted.tag,
        semver: wanted.semver,
        name: wanted.name,
        commit: wanted.commit,
        revision: paused_at,
    }
}
