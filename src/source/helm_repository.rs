//! HelmRepositories: turns the address, the fetched index and the Secrets into a request to the adapter of
//! Helm repositories.

use std::sync::Arc;

use super::adapter::{Adapter, Ask, FetchAnswer, FetchedNews, VerdictFuture, failed};
use super::held::Held;
use lockgate_base::model::{KindId, Revision};
use lockgate_core::api::{HelmRepository, HelmRepositorySpec};
use lockgate_core::verdict::{self, Content};
use lockgate_git::helm::{Access, HelmHost, IndexRequest, Indexed, Listed, Site, SiteLogin};
use lockgate_git::{SourceError, Tls};

/// The adapter of HelmRepositories.
pub(super) struct HelmRepositories(pub(super) Arc<dyn HelmHost>);

impl Adapter for HelmRepositories {
    fn kind(&self) -> KindId {
        HelmRepository::ID
    }

    fn fetch<'f>(&'f self, ask: &'f Ask<'f>) -> VerdictFuture<'f> {
        Box::pin(async {
            let spec: &HelmRepositorySpec = ask.spec()?;
            if ask.source.spec.is_static() {
                return Ok(FetchAnswer::Static { says: format!("{spec:?}") });
            }
            self.index(ask, spec).await
        })
    }
}

impl HelmRepositories {
    async fn index(&self, ask: &Ask<'_>, spec: &HelmRepositorySpec) -> Result<FetchAnswer, verdict::Fetched> {
        let held = match ask.held {
            Some(Held::Index { revision, index }) if ask.known().as_ref() == Some(revision) => Some(index),
            _ => None,
        };
        let request = IndexRequest { access: access(ask, spec).await?, known: held.cloned() };
        let listed = self.0.index(request).await.map_err(|error| ask.failed(&within(error)))?;
        let (index, is_known) = match (listed, held) {
            (Listed::Updated(index), _) => (index, false),
            (Listed::Unchanged, Some(held)) => (Arc::clone(held), true),
            (Listed::Unchanged, None) => {
                let problem = "the repository reports an unchanged index, but the agent has none".to_owned();
                return Err(ask.failed(&SourceError::Listing(problem)));
            }
        };
        let (revision, size) = match stays_at(ask).filter(|(revision, _)| !is_of(revision, &index)) {
            Some(stays) => stays,
            None => (revision(&index), index.size),
        };
        let content = Content::Index { size };
        if is_known && ask.known().as_ref() == Some(&revision) {
            return Ok(FetchAnswer::Unchanged { revision, content });
        }
        let left_out = index.index.left_out();
        let warning = format!("{left_out} entries of the index have no valid version");
        let warnings = (left_out > 0).then_some(warning).into_iter().collect();
        let news = FetchedNews::of(Held::Index { revision, index }, content);
        Ok(FetchAnswer::Updated(Box::new(FetchedNews { warnings, ..news })))
    }
}

fn revision(index: &Indexed) -> Revision {
    Revision::oci(None, &index.digest.to_string())
}

/// The revision at which a suspended repository stays, and the size of its index. A newer index may be kept
/// in its place, since it also contains the charts of the older one.
fn stays_at(ask: &Ask<'_>) -> Option<(Revision, u64)> {
    let size = ask.source.status.artifact.as_ref()?.size.and_then(|size| u64::try_from(size).ok());
    Some((ask.paused_at()?, size.unwrap_or_default()))
}

/// Whether a revision is that of an index, or of an earlier one in whose place the index is kept.
pub(super) fn is_of(revision: &Revision, index: &Indexed) -> bool {
    *revision == self::revision(index)
}

/// The credentials and certificates for the requests to an object's repository.
pub(super) async fn access(ask: &Ask<'_>, spec: &HelmRepositorySpec) -> Result<Access, verdict::Fetched> {
    let site = Site::parse(&spec.url).map_err(|error| failed(&error))?;
    let (mut login, mut tls) = (None, None);
    if let Some(reference) = &spec.secret_ref {
        let (name, data) = ask.inputs.secret("spec.secretRef", &reference.name).await?;
        (login, tls) = SiteLogin::read(&name, &data).map_err(|error| failed(&error))?;
    }
    if let Some(reference) = &spec.cert_secret_ref {
        let (name, data) = ask.inputs.secret("spec.certSecretRef", &reference.name).await?;
        tls = Some(Tls::read(&name, &data).map_err(|error| failed(&error))?);
    }
    let access =
        Access { namespace: ask.source.metadata.namespace.clone(), site, login, tls, timeout: ask.timeout() };
    access.check().map_err(|error| failed(&error))?;
    Ok(access)
}

/// A failure with Flux's opening words, if the host or the network is the cause.
fn within(error: SourceError) -> SourceError {
    const FIRST: &str = "failed to fetch Helm repository index";
    match error {
        SourceError::Connect { host, cause } => {
            SourceError::Listing(format!("{FIRST}: cannot reach {host}: {cause}"))
        }
        SourceError::Remote { host, message } => SourceError::Listing(format!("{FIRST}: {host}: {message}")),
        SourceError::ReferenceNotFound(message) => SourceError::Listing(format!("{FIRST}: {message}")),
        SourceError::Rejected(message) => SourceError::Rejected(format!("{FIRST}: {message}")),
        SourceError::TooLarge(message) => SourceError::TooLarge(format!("{FIRST}: {message}")),
        other => other,
    }
}
