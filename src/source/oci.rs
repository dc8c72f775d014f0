//! OCIRepositories: turns the address, the reference, the layer and the Secrets into a request to the adapter
//! of registries.

use std::sync::Arc;

use super::adapter::{Adapter, Ask, VerdictFuture, failed};
use lockgate_base::model::KindId;
use lockgate_core::api::{LayerOperation, OciRepository, OciRepositorySpec, Verification};
use lockgate_core::verdict;
use lockgate_git::oci::{ArtifactRequest, OciRequest, PullSecret, Repository, SignatureKeys};
use lockgate_git::{Fetcher, Proxy, Tls};

/// The adapter of OCIRepositories.
pub(super) struct Oci(pub(super) Arc<dyn Fetcher<OciRequest>>);

impl Adapter for Oci {
    fn kind(&self) -> KindId {
        OciRepository::ID
    }

    fn fetch<'f>(&'f self, ask: &'f Ask<'f>) -> VerdictFuture<'f> {
        Box::pin(async {
            let request = request(ask).await?;
            self.0.fetch(request).await.map(Into::into).map_err(|error| ask.failed(&error))
        })
    }
}

async fn request(ask: &Ask<'_>) -> Result<OciRequest, verdict::Fetched> {
    let spec: &OciRepositorySpec = ask.spec()?;
    let repository = Repository::parse(&spec.url).map_err(|error| failed(&error))?;
    let layer = spec.layer_selector.clone().unwrap_or_default();
    let wanted = spec.reference.clone().unwrap_or_default();
    Ok(OciRequest {
        namespace: ask.source.metadata.namespace.clone(),
        repository,
        reference: ArtifactRequest {
            digest: wanted.digest,
            semver: wanted.semver,
            semver_filter: wanted.semver_filter,
            tag: wanted.tag,
            revision: ask.paused_at(),
        },
        secrets: pull_secrets(ask, spec).await?,
        tls: match &spec.cert_secret_ref {
            Some(reference) => {
                let (name, data) = ask.inputs.secret("spec.certSecretRef", &reference.name).await?;
                Some(Tls::read(&name, &data).map_err(|error| failed(&error))?)
            }
            None => None,
        },
        proxy: match &spec.proxy_secret_ref {
            Some(reference) => {
                let (name, data) = ask.inputs.secret("spec.proxySecretRef", &reference.name).await?;
                Some(Proxy::read(&name, &data).map_err(|error| failed(&error))?)
            }
            None => None,
        },
        insecure: spec.insecure,
        media_type: layer.media_type,
        whole: layer.operation == Some(LayerOperation::Copy),
        ignore: spec.ignore.clone(),
        keys: signature_keys(ask, spec.verify.as_ref()).await?,
        timeout: ask.timeout(),
        known: ask.known(),
    })
}

/// The keys one of which must have signed the fetched artifact.
pub(super) async fn signature_keys(
    ask: &Ask<'_>,
    verify: Option<&Verification>,
) -> Result<Option<SignatureKeys>, verdict::Fetched> {
    let Some(reference) = verify.and_then(|verify| verify.secret_ref.as_ref()) else { return Ok(None) };
    let (name, data) = ask.inputs.secret("spec.verify.secretRef", &reference.name).await?;
    SignatureKeys::read(&name, &data).map(Some).map_err(|error| failed(&error))
}

/// The Secret that the object names, and those of its ServiceAccount.
async fn pull_secrets(ask: &Ask<'_>, spec: &OciRepositorySpec) -> Result<Vec<PullSecret>, verdict::Fetched> {
    let mut found = Vec::new();
    if let Some(reference) = &spec.secret_ref {
        found.push(pull_secret(ask, "spec.secretRef", &reference.name).await?);
    }
    if let Some(account) = &spec.service_account_name {
        for name in ask.inputs.pull_secrets(account).await? {
            let field = format!("imagePullSecrets of ServiceAccount {account}");
            found.push(pull_secret(ask, &field, &name).await?);
        }
    }
    Ok(found)
}

async fn pull_secret(ask: &Ask<'_>, field: &str, name: &str) -> Result<PullSecret, verdict::Fetched> {
    let (subject, data) = ask.inputs.secret(field, name).await?;
    let secret = PullSecret::read(&subject, &data).map_err(|error| failed(&error))?;
    for value in secret.hidden() {
        ask.inputs.hide(value);
    }
    Ok(secret)
}
