//! GitRepositories: the address, the reference and the credentials as the Git adapter wants them.

use std::sync::Arc;

use super::adapter::{Adapter, Ask, ResumeFuture, VerdictFuture, failed};
use super::held::Held;
use lockgate_base::model::{KindId, Revision};
use lockgate_core::api::{GitRepository, GitRepositorySpec};
use lockgate_core::verdict;
use lockgate_git::{Credentials, Fetcher, GitRequest, GitUrl, RefRequest};

/// The kind, and where its repositories are.
pub(super) struct Git(pub(super) Arc<dyn Fetcher>);

impl Adapter for Git {
    fn kind(&self) -> KindId {
        GitRepository::ID
    }

    fn fetch<'f>(&'f self, ask: &'f Ask<'f>) -> VerdictFuture<'f> {
        Box::pin(async {
            let request = request(ask).await?;
            self.0.fetch(request).await.map(Into::into).map_err(|error| ask.failed(&error))
        })
    }

    fn resume<'f>(&'f self, ask: &'f Ask<'f>) -> ResumeFuture<'f> {
        Box::pin(async {
            let (revision, digest) = ask.left()?;
            let request = request(ask).await.ok()?;
            let held = Held::Files(self.0.resume(request, revision).await?);
            (held.digest().to_string() == digest).then_some(held)
        })
    }
}

async fn request(ask: &Ask<'_>) -> Result<GitRequest, verdict::Fetched> {
    let spec: &GitRepositorySpec = ask.spec()?;
    let url = GitUrl::parse(&spec.url).map_err(|error| failed(&error))?;
    let secret = match &spec.secret_ref {
        Some(reference) => Some(ask.inputs.secret("spec.secretRef", &reference.name).await?),
        None => None,
    };
    let named = secret.as_ref().map(|(name, data)| (name.as_str(), data));
    let credentials = Credentials::read(&url, named).map_err(|error| failed(&error))?;
    Ok(GitRequest {
        namespace: ask.source.metadata.namespace.clone(),
        url,
        reference: reference(spec, ask.paused_at()),
        credentials,
        timeout: ask.timeout(),
        ignore: spec.ignore.clone(),
        known: ask.known(),
    })
}

/// What to check out.
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
