//! Pulling charts: from repositories by their index, and from registries.

use std::sync::Arc;

use super::making::{Pulled, edits, held, made, not_of, told, unchanged, unusable};
use crate::source::adapter::{Ask, FetchAnswer, Upstream, failed};
use crate::source::held::Held;
use crate::source::helm_repository;
use crate::source::oci::signature_keys;
use lockgate_base::index::Choice;
use lockgate_base::model::Revision;
use lockgate_base::model::version::Version;
use lockgate_base::tree::Tree;
use lockgate_core::api::{HelmChartSpec, HelmRepositorySpec, RepositoryType};
use lockgate_core::verdict::{FetchCause, Fetched as Failed};
use lockgate_git::helm::{Access, Archive, ArchiveRequest, HelmHost, IndexRequest, Listed};
use lockgate_git::oci::{self, CHART, PullSecret, Repository, SignatureKeys};
use lockgate_git::{FailureClass, FetchFinding, Fetcher, SourceError, Tls};
use lockgate_render::helm::chart::package::chart_folder;

/// Pulls charts.
pub(super) struct ChartPuller {
    pub(super) helm: Arc<dyn HelmHost>,
    pub(super) oci: Arc<dyn Fetcher<oci::OciRequest>>,
}

impl ChartPuller {
    /// Pulls a chart from a Helm repository whose index is known.
    pub(super) async fn by_index(
        &self,
        ask: &Ask<'_>,
        spec: &HelmChartSpec,
        upstream: &Upstream,
        repository: &HelmRepositorySpec,
    ) -> Result<FetchAnswer, Failed> {
        let Some(Held::Index { index, revision }) = &upstream.held else {
            return Err(not_of(&upstream.key.to_string()));
        };
        let wanted = if helm_repository::is_of(revision, index) {
            spec.version.clone()
        } else {
            stays_at(ask, upstream)?
        };
        let choice = index.index.choose(&spec.chart, &wanted).map_err(|missing| {
            let first = "invalid chart reference: failed to get chart version for remote reference";
            told(FetchCause::Reference, format!("{first}: {missing}"), true)
        })?;
        let edits = edits(ask, spec, None);
        let is_packaged = !edits.metadata.is_empty();
        let version = edits.version(choice.version).map_err(|error| unusable(error, false))?;
        if let Some(held) = held(ask, &version) {
            return Ok(unchanged(ask, spec, held, is_packaged));
        }
        let access = helm_repository::access(ask, repository).await?;
        let archive = self.archive(ask, repository, access, (&spec.chart, &choice)).await?;
        let origin = Some(archive.digest.to_string());
        let pulled = Pulled { tree: chart_folder(&archive.tree), origin, source: None };
        made(ask, pulled, &edits, is_packaged)
    }

    /// Pulls a chart from a registry.
    pub(super) async fn by_registry(
        &self,
        ask: &Ask<'_>,
        spec: &HelmChartSpec,
        repository: &HelmRepositorySpec,
    ) -> Result<FetchAnswer, Failed> {
        let edits = edits(ask, spec, None);
        let is_packaged = !edits.metadata.is_empty();
        let exact = Version::of_tag(&spec.version).map(|version| version.original);
        if let Some(version) = &exact {
            let version = edits.version(version).map_err(|error| unusable(error, false))?;
            if let Some(held) = held(ask, &version) {
                return Ok(unchanged(ask, spec, held, is_packaged));
            }
        }
        let current = ask
            .held
            .and_then(Held::files)
            .filter(|held| self::held(ask, &held.revision.to_string()).is_some());
        let known = current.and_then(|held| held.origin.as_ref()?.parse().ok());
        let keys = signature_keys(ask, spec.verify.as_ref()).await?;
        let found = self.fetched(ask, repository, (&spec.chart, &spec.version), (known, keys)).await?;
        match (found, current) {
            (FetchFinding::Updated(update), _) => {
                let origin = Some(update.snapshot.revision.to_string());
                let pulled = Pulled { tree: chart_folder(&update.snapshot.tree), origin, source: None };
                made(ask, pulled, &edits, is_packaged)
            }
            (FetchFinding::Unchanged(_), Some(held)) => Ok(unchanged(ask, spec, held, is_packaged)),
            (FetchFinding::Unchanged(_), None) => Err(not_of(
                "an unchanged artifact that the agent does not \
                have",
            )),
        }
    }

    /// Pulls a chart from a Helm repository whose index is not known.
    pub(super) async fn chart(
        &self,
        ask: &Ask<'_>,
        repository: &HelmRepositorySpec,
        (name, version): (&str, &str),
    ) -> Result<Tree, Failed> {
        if repository.form == RepositoryType::Oci {
            let FetchFinding::Updated(update) =
                self.fetched(ask, repository, (name, version), (None, None)).await?
            else {
                return Err(not_of("an unchanged artifact that the agent does not have"));
            };
            return Ok(chart_folder(&update.snapshot.tree));
        }
        let access = helm_repository::access(ask, repository).await?;
        let request = IndexRequest { access: access.clone(), known: None };
        let Listed::Updated(found) =
            self.helm.index(request).await.map_err(|error| pull_failed(ask, &error))?
        else {
            return Err(not_of("an unchanged index that the agent does not have"));
        };
        let choice = found.index.choose(name, version);
        let choice = choice.map_err(|missing| told(FetchCause::Reference, missing.to_string(), false))?;
        Ok(chart_folder(&self.archive(ask, repository, access, (name, &choice)).await?.tree))
    }

    /// Downloads the archive that an index names.
    async fn archive(
        &self,
        ask: &Ask<'_>,
        repository: &HelmRepositorySpec,
        access: Access,
        (name, choice): (&str, &Choice<'_>),
    ) -> Result<Archive, Failed> {
        let Some(url) = choice.url else {
            let message = format!("chart pull error: chart '{name}' has no downloadable URLs");
            return Err(told(FetchCause::Pull, message, false));
        };
        let request = ArchiveRequest {
            access,
            passes_credentials: repository.pass_credentials,
            url: url.to_owned(),
            digest: choice.digest,
        };
        self.helm.archive(request).await.map_err(|error| pull_failed(ask, &error))
    }

    /// Pulls a chart from a registry, in a version or a range.
    async fn fetched(
        &self,
        ask: &Ask<'_>,
        repository: &HelmRepositorySpec,
        (name, version): (&str, &str),
        (known, keys): (Option<Revision>, Option<SignatureKeys>),
    ) -> Result<FetchFinding, Failed> {
        let url = format!("{}/{name}", repository.url.trim_end_matches('/'));
        let address = Repository::parse(&url).map_err(|error| failed(&error))?;
        let mut secrets = Vec::new();
        if let Some(reference) = &repository.secret_ref {
            let (name, data) = ask.inputs.secret("spec.secretRef", &reference.name).await?;
            let secret = PullSecret::for_charts(&name, &data, &address).map_err(|error| failed(&error))?;
            secret.hidden().for_each(|value| ask.inputs.hide(value));
            secrets.push(secret);
        }
        let tls = match &repository.cert_secret_ref {
            Some(reference) => {
                let (name, data) = ask.inputs.secret("spec.certSecretRef", &reference.name).await?;
                Some(Tls::read(&name, &data).map_err(|error| failed(&error))?)
            }
            None => None,
        };
        let request = oci::OciRequest {
            namespace: ask.source.metadata.namespace.clone(),
            repository: address,
            reference: reference_to(version),
            secrets,
            tls,
            proxy: None,
            insecure: repository.insecure,
            media_type: Some(CHART.into()),
            whole: true,
            ignore: None,
            keys,
            timeout: ask.timeout(),
            known,
        };
        self.oci.fetch(request).await.map_err(|error| pull_failed(ask, &error))
    }
}

/// The artifact of a chart in a version or a range; the newest release if none is given. A tag cannot contain
/// a plus, so charts use an underscore in its place.
fn reference_to(version: &str) -> oci::ArtifactRequest {
    let none = oci::ArtifactRequest::default();
    match Version::of_tag(version) {
        Some(exact) => oci::ArtifactRequest { tag: Some(exact.original.replace('+', "_")), ..none },
        None if version.is_empty() => oci::ArtifactRequest { semver: Some("*".into()), ..none },
        None => oci::ArtifactRequest { semver: Some(version.to_owned()), ..none },
    }
}

/// The version at which a chart stays if its repository is suspended at an index that no longer exists.
fn stays_at(ask: &Ask<'_>, upstream: &Upstream) -> Result<String, Failed> {
    let artifact = ask.source.status.artifact.as_ref();
    let version = artifact.and_then(|artifact| Version::parse(&artifact.revision).ok());
    let Some(version) = version else {
        let message = format!(
            "no artifact available for {} source '{}': it is paused, and its index has been replaced; resume it",
            upstream.key.kind.kind, upstream.key.name
        );
        return Err(told(FetchCause::NoArtifact, message, false));
    };
    // The text after the plus may be lockgate's own.
    Ok(Version { metadata: String::new(), ..version }.to_string())
}

/// Why a chart could not be pulled.
fn pull_failed(ask: &Ask<'_>, error: &SourceError) -> Failed {
    match error.class() {
        FailureClass::AuthenticationFailed => {
            let message = format!("failed to authenticate with the Helm repository: {error}");
            told(FetchCause::Authentication, message, false)
        }
        FailureClass::UrlInvalid | FailureClass::Storage | FailureClass::Unsigned => ask.failed(error),
        _ => {
            let first = "chart pull error: failed to download chart for remote reference";
            // An invalid range is not retried.
            told(FetchCause::Pull, format!("{first}: {error}"), error.is_terminal())
        }
    }
}
