//! The replacement of the key with which a source is read.

use std::time::Duration;

use crate::bootstrap::admission::{Admission, AdmissionTarget, Host};
use crate::bootstrap::deploy_key::KeyPlan;
use crate::bootstrap::entry::Entry as _;
use crate::bootstrap::hosts::{AddressError, SshUrl};
use crate::bootstrap::hub::Hub;
use crate::bootstrap::key_host::KeyHost;
use crate::bootstrap::manifests::Installation;
use crate::bootstrap::memory;
use crate::bootstrap::preflight;
use crate::bootstrap::problem::{FailedStep, Problem};
use crate::bootstrap::progress::{ProgressLog, at};
use crate::bootstrap::secret;
use crate::cluster::objects::Objects;
use lockgate_base::model::Object;
use lockgate_core::api::GitRepository;

/// The settings of a key rotation.
pub(crate) struct RotationPlan {
    /// The installation; only its namespace matters.
    pub installation: Installation,
    /// The source; by default the only one that is read over SSH.
    pub name: Option<String>,
    /// The settings of the key. Its Secret is the one that the source names.
    pub key: KeyPlan,
    /// How long each wait may take.
    pub timeout: Duration,
}

/// The branch of a source that names none.
const DEFAULT_BRANCH: &str = "master";

/// Replaces the key of a source, or completes an interrupted replacement.
pub(crate) async fn rotate(
    target: &AdmissionTarget,
    rotation: &RotationPlan,
    hub: &Hub,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let failed = at("rotation");
    let objects = Objects::new(&target.client);
    let source = rotated(&objects, rotation).await.map_err(&failed)?;
    let text = |pointer: &str| source.text(pointer).unwrap_or_default();
    let url: SshUrl = text("/spec/url").parse().map_err(|error: AddressError| failed(error.into()))?;
    remembered(&objects, &source)
        .await
        .map_err(&failed)?
        .map_or(Ok(()), |host| host.check(&hub.api))
        .map_err(&failed)?;
    let github = hub.repository(&url).map(|repository| hub.client(&repository)).transpose();
    let github = github.map_err(&failed)?;
    let keys = match &github {
        Some(github) => preflight::deploy_keys(github).await.map_err(&failed)?,
        None => Vec::new(),
    };
    let host = match &github {
        Some(github) => Host::GitHub(github, &keys),
        None => Host::Owner { branch: source.text("/spec/ref/branch").unwrap_or(DEFAULT_BRANCH) },
    };
    let plan = KeyPlan {
        secret: text("/spec/secretRef/name").into(),
        cluster: rotation.key.cluster.clone().or_else(|| memory::cluster_name(&source)),
        ..rotation.key.clone()
    };
    let (installation, timeout) = (&rotation.installation, rotation.timeout);
    let admission = Admission::of(target, installation, &plan, timeout, (&url, host)).await?;
    let admission = admission.called_as_before().await?;
    let Some(existing) = admission.rehearsed().await? else {
        return Err(failed(admission.no_key().await));
    };
    let admitted = admission.let_in(Some(existing), progress).await?;
    admission.tidy(&admitted, progress).await
}

/// The source whose key is replaced: the one with this name, or the only one that is read over SSH.
async fn rotated(objects: &Objects, plan: &RotationPlan) -> Result<Object, Problem> {
    let (info, namespace) = (GitRepository::INFO, &plan.installation.namespace);
    let sources = objects.list(&info.api_version(), info.id.kind, Some(namespace), "").await;
    let mut sources = sources.map_err(|failure| Problem::cluster(info.plural, failure))?;
    sources.retain(|source| {
        let is_named = plan.name.as_deref().is_none_or(|name| name == source.name());
        let is_ssh = source.text("/spec/url").is_some_and(|url| url.starts_with("ssh://"));
        is_named && is_ssh && source.text("/spec/secretRef/name").is_some()
    });
    if sources.len() > 1 {
        let names: Vec<&str> = sources.iter().map(Object::name).collect();
        return Err(Problem::Source(format!("{namespace} has several sources: {}", names.join(", "))));
    }
    let name = plan.name.as_ref().map_or_else(String::new, |name| format!("/{name}"));
    sources.pop().ok_or_else(|| Problem::NoSource(format!("{namespace}{name}")))
}

/// Where the key of a source is registered, as its Secret or the source itself remembers.
async fn remembered(objects: &Objects, source: &Object) -> Result<Option<KeyHost>, Problem> {
    let name = source.text("/spec/secretRef/name").unwrap_or_default();
    let shell = secret::shell_of(&source.id().namespace, name)?;
    let live = objects.get(&shell).await;
    let live = live.map_err(|failure| Problem::cluster(shell.id().subject(), failure))?;
    Ok(live.as_ref().and_then(KeyHost::of).or_else(|| memory::key_host(source)))
}
