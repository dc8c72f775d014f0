//! HelmCharts: which chart is meant, of which repository, and what is made of it.

use std::sync::Arc;

use super::adapter::{Adapter, Ask, FetchAnswer, FetchedNews, Upstream, VerdictFuture, failed};
use super::held::Held;
use super::helm_repository;
use lockgate_base::model::version::Version;
use lockgate_base::model::{KindId, Revision};
use lockgate_base::tree::{Resolved, Snapshot, Tree};
use lockgate_core::api::{
    GitRepository, HelmChart, HelmChartSpec, HelmRepositorySpec, ReconcileStrategy, Source,
};
use lockgate_core::verdict::{Content, FetchCause, Fetched as Failed, PackedChart};
use lockgate_git::helm::{ArchiveRequest, HelmHost};
use lockgate_git::oci::{self, CHART, PullSecret, Repository};
use lockgate_git::{FailureClass, FetchFinding, Fetcher, SourceError, Tls};
use lockgate_render::helm::chart::archive::Bounds;
use lockgate_render::helm::chart::files_of;
use lockgate_render::helm::chart::package::{Edits, Package, PackageError, described, package};

/// How many hex digits of a commit a version tells.
const DIGITS: usize = 12;

/// The kind, and where its charts are.
pub(super) struct HelmCharts {
    pub(super) helm: Arc<dyn HelmHost>,
    pub(super) oci: Arc<dyn Fetcher<oci::OciRequest>>,
}

/// A chart as it came, and what it came from.
struct Pulled {
    tree: Tree,
    /// The revision of that which the chart is made from.
    origin: Option<String>,
    /// Where the files with its values are; the chart itself where there is nothing else.
    source: Option<Tree>,
}

impl Adapter for HelmCharts {
    fn kind(&self) -> KindId {
        HelmChart::ID
    }

    fn fetch<'f>(&'f self, ask: &'f Ask<'f>) -> VerdictFuture<'f> {
        Box::pin(async {
            let spec: &HelmChartSpec = ask.spec()?;
            let (upstream, source) = there(ask)?;
            if upstream.key.kind == GitRepository::ID {
                return from_git(ask, spec, upstream).await;
            }
            let foreign = || not_of(&upstream.key.to_string());
            let repository: &HelmRepositorySpec = source.spec().ok_or_else(foreign)?;
            if source.spec.is_static() {
                self.by_registry(ask, spec, repository).await
            } else {
                self.by_index(ask, spec, upstream, repository).await
            }
        })
    }
}

/// The source that a chart is made from, where it is there.
fn there<'a>(ask: &Ask<'a>) -> Result<(&'a Upstream, &'a Arc<Source>), Failed> {
    let upstream = ask.upstream.ok_or_else(|| not_of("a chart without a source"))?;
    let source = upstream.source.as_ref().ok_or_else(|| {
        let Upstream { key, .. } = upstream;
        let named = format!("{}.{} \"{}\"", key.kind.kind, key.kind.group, key.name);
        let cure = "create it, or correct spec.sourceRef; it is picked up as soon as it is there";
        told(FetchCause::NoSource, format!("failed to get source: {named} not found: {cure}"), false)
    })?;
    if source.spec.is_static() || upstream.held.is_some() {
        return Ok((upstream, source));
    }
    let ready = source.status.conditions.get("Ready").map(|ready| format!(": {}", ready.message));
    let message = format!(
        "no artifact available for {} source '{}'{}",
        upstream.key.kind.kind,
        upstream.key.name,
        ready.unwrap_or_default()
    );
    Err(told(FetchCause::NoArtifact, message, false))
}

fn not_of(what: &str) -> Failed {
    failed(&SourceError::Storage(format!("{what} is of another kind")))
}

const fn told(cause: FetchCause, message: String, terminal: bool) -> Failed {
    Failed::Failed { cause, message, terminal }
}

/// What is to be made of the chart; `revision` is of the source, where the chart is another one with each.
fn edits(ask: &Ask<'_>, spec: &HelmChartSpec, revision: Option<&Revision>) -> Edits {
    let mut edits = Edits {
        metadata: revision.map(|revision| revision.hex().chars().take(DIGITS).collect()).unwrap_or_default(),
        values_files: spec.values_files(),
        ignores_missing: spec.ignore_missing_values_files,
    }
    .without_its_own();
    if !edits.values_files.is_empty() {
        let generation = ask.source.metadata.generation.to_string();
        let point = if edits.metadata.is_empty() { "" } else { "." };
        edits.metadata = format!("{}{point}{generation}", edits.metadata);
    }
    edits
}

/// What is held, where it is the chart of this version, made of this generation of the object.
fn held<'a>(ask: &Ask<'a>, version: &str) -> Option<&'a Snapshot> {
    let is_current = ask.source.status.observed_generation == Some(ask.source.metadata.generation);
    let held = ask.held?.files()?;
    let known = ask.known().filter(|_| is_current)?;
    (known == held.revision && known == Revision::chart(version)).then_some(held)
}

/// That what is held is still what is wanted.
fn unchanged(ask: &Ask<'_>, spec: &HelmChartSpec, held: &Snapshot, is_packaged: bool) -> FetchAnswer {
    let status = &ask.source.status;
    let values_files = if status.observed_values_files.is_empty() {
        edits(ask, spec, None).values_files
    } else {
        status.observed_values_files.clone()
    };
    let chart = PackedChart {
        name: status.observed_chart_name.clone().unwrap_or_else(|| spec.chart.clone()),
        is_packaged,
        values_files,
        ignores_missing: spec.ignore_missing_values_files,
        source_revision: source_revision(ask),
    };
    FetchAnswer::Unchanged { revision: held.revision.clone(), content: Content::Chart(chart) }
}

fn source_revision(ask: &Ask<'_>) -> Option<String> {
    Some(ask.upstream?.held.as_ref()?.revision().to_string())
}

/// Hands a chart over as it is to be.
fn made(ask: &Ask<'_>, pulled: Pulled, edits: &Edits, is_packaged: bool) -> Result<FetchAnswer, Failed> {
    let Pulled { tree, origin, source } = pulled;
    let Package { name, version, tree, values_files } =
        package(&tree, source.as_ref(), edits).map_err(|error| unusable(error, source.is_some()))?;
    let content = Content::Chart(PackedChart {
        name,
        is_packaged,
        values_files,
        ignores_missing: edits.ignores_missing,
        source_revision: source_revision(ask),
    });
    let held = Held::Files(Snapshot { revision: Revision::chart(&version), tree, origin });
    Ok(FetchAnswer::Updated(Box::new(FetchedNews::of(held, content))))
}

/// Why a chart cannot be made what it is to be.
fn unusable(error: PackageError, is_in_git: bool) -> Failed {
    let (cause, first, error, terminal) = match error {
        PackageError::Chart(error) if is_in_git => {
            (FetchCause::Reference, "invalid chart reference", error, true)
        }
        PackageError::Chart(error) => {
            (FetchCause::Pull, "chart pull error: failed to load chart metadata", error, false)
        }
        PackageError::Version(error) => (FetchCause::Version, "chart metadata patch error", error, true),
        PackageError::Values(error) => {
            let first = if is_in_git {
                "values files merge error"
            } else {
                "values files merge error: failed to merge chart values"
            };
            (FetchCause::ValuesFiles, first, error, true)
        }
    };
    told(cause, format!("{first}: {}", error.text()), terminal)
}

/// The folder that an archive holds.
fn unpacked(tree: &Tree) -> Tree {
    let folder_of = |path: String| {
        let folder = path.strip_suffix("/Chart.yaml")?;
        (!folder.contains('/')).then(|| folder.to_owned())
    };
    let first = tree.entries().find_map(|(path, _)| folder_of(path));
    first.map_or_else(|| tree.clone(), |folder| tree.folder(&folder))
}

impl HelmCharts {
    async fn by_index(
        &self,
        ask: &Ask<'_>,
        spec: &HelmChartSpec,
        upstream: &Upstream,
        repository: &HelmRepositorySpec,
    ) -> Result<FetchAnswer, Failed> {
        let Some(Held::Index { index, .. }) = &upstream.held else {
            return Err(not_of(&upstream.key.to_string()));
        };
        let choice = index.index.choose(&spec.chart, &spec.version).map_err(|missing| {
            let first = "invalid chart reference: failed to get chart version for remote reference";
            told(FetchCause::Reference, format!("{first}: {missing}"), true)
        })?;
        let edits = edits(ask, spec, None);
        let is_packaged = !edits.metadata.is_empty();
        let version = edits.version(choice.version).map_err(|error| unusable(error, false))?;
        if let Some(held) = held(ask, &version) {
            return Ok(unchanged(ask, spec, held, is_packaged));
        }
        let Some(url) = choice.url else {
            let message = format!("chart pull error: chart '{}' has no downloadable URLs", spec.chart);
            return Err(told(FetchCause::Pull, message, false));
        };
        let request = ArchiveRequest {
            access: helm_repository::access(ask, repository).await?,
            passes_credentials: repository.pass_credentials,
            url: url.to_owned(),
            digest: choice.digest,
        };
        let archive = self.helm.archive(request).await.map_err(|error| pull_failed(ask, &error))?;
        let origin = Some(archive.digest.to_string());
        let pulled = Pulled { tree: unpacked(&archive.tree), origin, source: None };
        made(ask, pulled, &edits, is_packaged)
    }

    async fn by_registry(
        &self,
        ask: &Ask<'_>,
        spec: &HelmChartSpec,
        repository: &HelmRepositorySpec,
    ) -> Result<FetchAnswer, Failed> {
        let url = format!("{}/{}", repository.url.trim_end_matches('/'), spec.chart);
        let address = Repository::parse(&url).map_err(|error| failed(&error))?;
        let edits = edits(ask, spec, None);
        let is_packaged = !edits.metadata.is_empty();
        let exact = Version::of_tag(&spec.version).map(|version| version.original);
        if let Some(version) = &exact {
            let version = edits.version(version).map_err(|error| unusable(error, false))?;
            if let Some(held) = held(ask, &version) {
                return Ok(unchanged(ask, spec, held, is_packaged));
            }
        }
        let range = Some(&spec.version).filter(|version| !version.is_empty()).map_or("*", |version| version);
        let reference = match &exact {
            Some(version) => oci::ArtifactRequest {
                tag: Some(version.replace('+', "_")),
                ..oci::ArtifactRequest::default()
            },
            None => {
                oci::ArtifactRequest { semver: Some(range.to_owned()), ..oci::ArtifactRequest::default() }
            }
        };
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
        let current = ask
            .held
            .and_then(Held::files)
            .filter(|held| self::held(ask, &held.revision.to_string()).is_some());
        let request = oci::OciRequest {
            namespace: ask.source.metadata.namespace.clone(),
            repository: address,
            reference,
            secrets,
            tls,
            proxy: None,
            insecure: repository.insecure,
            media_type: Some(CHART.into()),
            whole: true,
            ignore: None,
            timeout: ask.timeout(),
            known: current.and_then(|held| held.origin.as_ref()?.parse().ok()),
        };
        match (self.oci.fetch(request).await.map_err(|error| pull_failed(ask, &error))?, current) {
            (FetchFinding::Updated(update), _) => {
                let origin = Some(update.snapshot.revision.to_string());
                let pulled = Pulled { tree: unpacked(&update.snapshot.tree), origin, source: None };
                made(ask, pulled, &edits, is_packaged)
            }
            (FetchFinding::Unchanged(_), Some(held)) => Ok(unchanged(ask, spec, held, is_packaged)),
            (FetchFinding::Unchanged(_), None) => Err(not_of("what is unchanged and nobody has")),
        }
    }
}

/// Why a chart could not be pulled.
fn pull_failed(ask: &Ask<'_>, error: &SourceError) -> Failed {
    match error.class() {
        FailureClass::AuthenticationFailed => {
            let message = format!("failed to authenticate with the Helm repository: {error}");
            told(FetchCause::Authentication, message, false)
        }
        FailureClass::UrlInvalid | FailureClass::Storage => ask.failed(error),
        _ => {
            let first = "chart pull error: failed to download chart for remote reference";
            // A range that can never be read is not tried again.
            told(FetchCause::Pull, format!("{first}: {error}"), error.is_terminal())
        }
    }
}

async fn from_git(ask: &Ask<'_>, spec: &HelmChartSpec, upstream: &Upstream) -> Result<FetchAnswer, Failed> {
    let Some(Held::Files(repository)) = &upstream.held else {
        return Err(not_of(&upstream.key.to_string()));
    };
    let by_revision = spec.reconcile_strategy == ReconcileStrategy::Revision;
    let edits = edits(ask, spec, by_revision.then_some(&repository.revision));
    let (tree, path) = (repository.tree.clone(), lockgate_base::tree::within_root(&spec.chart));
    let wanted = edits.clone();
    // Reading a chart out of an object store takes a while.
    let read = tokio::task::spawn_blocking(move || in_git(&tree, &path, &wanted)).await;
    let fault =
        |_| told(FetchCause::Storage, "the chart could not be read out of its repository".into(), false);
    let (version, tree) = read.map_err(fault)??;
    if let Some(held) = held(ask, &version) {
        return Ok(unchanged(ask, spec, held, true));
    }
    let origin = Some(repository.revision.to_string());
    let pulled = Pulled { tree, origin, source: Some(repository.tree.clone()) };
    made(ask, pulled, &edits, true)
}

/// The version that the chart in a folder will have, and its files.
fn in_git(tree: &Tree, path: &str, edits: &Edits) -> Result<(String, Tree), Failed> {
    let reader = tree.reader();
    let reference =
        |problem: String| told(FetchCause::Reference, format!("invalid chart reference: {problem}"), true);
    match reader.node(path).map_err(|error| reference(error.to_string()))? {
        Some(Resolved::Directory) => {}
        Some(Resolved::File) => {
            return Err(reference(format!(
                "{path} is a file; only folders of a Git repository are read as charts"
            )));
        }
        None => return Err(reference(format!("stat {path}: no such file or directory"))),
    }
    let files = files_of(&reader, path, &mut Bounds::default());
    let files = files.map_err(|error| reference(error.text()))?;
    let chart = Tree::in_memory(files.into_iter().map(|file| (file.path, file.content.to_vec())));
    let (_, own) = described(&chart).map_err(|error| unusable(error, true))?;
    let version = edits.version(&own).map_err(|error| unusable(error, true))?;
    Ok((version, chart))
}
