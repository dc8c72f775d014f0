//! One fetch of an artifact: resolves the digest, reads the manifest, and unpacks the layer while it arrives.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use lockgate_base::model::Revision;
use lockgate_base::model::version::Version;
use lockgate_base::tree::{Snapshot, Tree};
use sha2::{Digest as _, Sha256};

use super::login::PullSecret;
use super::manifest::{self, ACCEPT, ImageManifest, Layer};
use super::registry::Registry;
use super::repository::{ArtifactRequest, Repository, TagSelector, is_digest, is_tag};
use super::verify::{SignatureKeys, verify};
use crate::client::{self, ClientOptions, NAME};
use crate::context::FetchContext;
use crate::disk::Disk;
use crate::fetch::{FetchFinding, Fetcher, Fetching, Update};
use crate::hashing::Hashing;
use crate::memory::FetchMemory;
use crate::pool::{self, Pool};
use crate::spool::Spools;
use crate::tls::{Proxy, Tls};
use crate::unpack::{UnpackedLayer, unpack};
use crate::url::GitUrl;
use crate::web::WebAnswer;
use crate::{SourceError, ignore};
use lockgate_base::keys;

/// The most tags of a repository that are considered.
const TAGS: usize = 100_000;
/// How many tags one request asks for.
const PAGE: usize = 1000;
/// The media type of a layer that is the archive of a Helm chart.
pub const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// What to fetch.
#[derive(Debug, Clone)]
pub struct OciRequest {
    /// The namespace of the request. Each namespace has a share of the threads.
    pub namespace: String,
    /// The repository.
    pub repository: Repository,
    /// The artifact to fetch.
    pub reference: ArtifactRequest,
    /// The logins of registries; those for other registries are not used.
    pub secrets: Vec<PullSecret>,
    /// `spec.certSecretRef`.
    pub tls: Option<Tls>,
    /// `spec.proxySecretRef`.
    pub proxy: Option<Proxy>,
    /// `spec.insecure`: plain HTTP, or a certificate without a trusted authority.
    pub insecure: bool,
    /// The media type of the wanted layer; `None` for the first layer.
    pub media_type: Option<String>,
    /// Whether the whole layer is wanted, without `ignore` and `.sourceignore`.
    pub whole: bool,
    /// `spec.ignore`: lines in `.gitignore` syntax.
    pub ignore: Option<String>,
    /// The keys one of which must have signed the artifact; `None` if it need not be signed.
    pub keys: Option<SignatureKeys>,
    /// The time limit of the whole fetch.
    pub timeout: Duration,
    /// The revision whose [`Snapshot`] the caller has, made from the same layer in the same way.
    pub known: Option<Revision>,
}

/// The adapter for OCI artifacts.
#[derive(Clone)]
pub struct OciFetcher {
    spools: Arc<Spools>,
    pool: Arc<Pool>,
    allows_insecure: bool,
}

impl OciFetcher {
    /// Creates the adapter with its folder below `state_dir`, which only one process at a time may use.
    /// `spec.insecure` of a registry on another machine is refused unless `allows_insecure`.
    pub fn new(state_dir: &Path, disk: &Disk, allows_insecure: bool) -> Result<Self, SourceError> {
        let spools = Arc::new(Spools::open(state_dir, disk)?);
        Ok(Self { spools, pool: Arc::new(Pool::sharing(&FetchMemory::default())), allows_insecure })
    }

    /// This adapter with memory that other adapters share.
    #[must_use]
    pub fn sharing(self, memory: &FetchMemory) -> Self {
        Self { pool: Arc::new(Pool::sharing(memory)), ..self }
    }

    /// The digests by which registries and container runtimes know what a reference names now: its own, and
    /// where it is an index those of its manifests, one for each platform.
    pub async fn digests(&self, request: OciRequest) -> Result<Vec<String>, SourceError> {
        let wanted = request.reference.wanted()?;
        self.work(request, move |job| job.digests(&wanted)).await
    }

    async fn run(&self, request: OciRequest) -> Result<FetchFinding, SourceError> {
        let wanted = request.reference.wanted()?;
        if let TagSelector::Digest { tag, digest } = &wanted
            && let Some(known) =
                request.known.as_ref().filter(|known| **known == Revision::oci(tag.as_deref(), digest))
        {
            // A digest always names the same content.
            return Ok(FetchFinding::Unchanged(known.clone()));
        }
        self.work(request, move |job| job.run(&wanted)).await
    }

    /// Talks to a registry within the time limit of the request, whatever the host does. The wait for a free
    /// thread has the same limit of its own.
    async fn work<T: Send + 'static>(
        &self,
        request: OciRequest,
        work: impl FnOnce(&Job<'_>) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let base = request.repository.base(false)?;
        if request.insecure && !base.is_loopback() && !self.allows_insecure {
            return Err(SourceError::InvalidUrl {
                url: format!("oci://{}", request.repository),
                problem: "spec.insecure is for registries on this machine; remove it, give the registry's authority in \
                          spec.certSecretRef, or start the agent with --allow-insecure-registries"
                    .into(),
            });
        }
        let (spools, namespace, timeout) =
            (Arc::clone(&self.spools), request.namespace.clone(), request.timeout);
        let work =
            move |context: &Arc<FetchContext>| work(&Job { context, request: &request, spools: &spools });
        pool::fetch(&self.pool, &base, &namespace, timeout, work).await
    }
}

impl Fetcher<OciRequest> for OciFetcher {
    fn fetch(&self, request: OciRequest) -> Fetching<'_> {
        Box::pin(self.run(request))
    }
}

/// The manifest that a reference names.
struct NamedManifest {
    tag: Option<String>,
    digest: String,
    /// Its text, where the registry has told the digest with that alone.
    body: Option<Vec<u8>>,
}

/// One fetch on its thread.
struct Job<'j> {
    context: &'j Arc<FetchContext>,
    request: &'j OciRequest,
    spools: &'j Spools,
}

impl Job<'_> {
    fn run(&self, wanted: &TagSelector) -> Result<FetchFinding, SourceError> {
        let mut registry = self.connect()?;
        let NamedManifest { tag, digest, body } = self.named(&mut registry, wanted)?;
        let revision = Revision::oci(tag.as_deref(), &digest);
        if self.request.known.as_ref() == Some(&revision) {
            return Ok(FetchFinding::Unchanged(revision));
        }
        if let Some(keys) = &self.request.keys {
            verify(&mut registry, &digest, keys)?;
        }
        let body = body.map_or_else(|| self.manifest(&mut registry, &digest), Ok)?;
        let manifest = ImageManifest::read(&body, &digest)?;
        let (layer, warning) = manifest.select(self.request.media_type.as_deref())?;
        let (tree, warnings) = self.layer(&mut registry, layer)?;
        let metadata = manifest.annotations();
        let origin = metadata.get(keys::OCI_REVISION).cloned();
        Ok(FetchFinding::Updated(Update {
            snapshot: Snapshot { revision, tree, origin },
            subject: None,
            metadata,
            rewritten: None,
            warnings: warning.into_iter().chain(warnings).collect(),
            received: self.context.received(),
        }))
    }

    fn digests(&self, wanted: &TagSelector) -> Result<Vec<String>, SourceError> {
        let mut registry = self.connect()?;
        let NamedManifest { digest, body, .. } = self.named(&mut registry, wanted)?;
        let body = body.map_or_else(|| self.manifest(&mut registry, &digest), Ok)?;
        let mut digests = manifest::children(&body);
        digests.insert(0, digest);
        Ok(digests)
    }

    /// What a reference names now.
    fn named(&self, registry: &mut Registry<'_>, wanted: &TagSelector) -> Result<NamedManifest, SourceError> {
        let (tag, digest) = match wanted {
            TagSelector::Digest { tag, digest } => (tag.clone(), Some(digest.clone())),
            TagSelector::Tag(tag) => (Some(tag.clone()), None),
            TagSelector::Versions { range, text, filter } => {
                let tags = self.tags(registry)?;
                let fits = |tag: &&String| filter.as_ref().is_none_or(|filter| filter.is_match(tag));
                let versions =
                    tags.iter().filter(fits).filter_map(|tag| Version::of_tag(&self.version_of(tag)));
                let newest =
                    versions.filter(|version| range.contains(version)).max_by(Version::compare_whole);
                let newest = newest.ok_or_else(|| self.no_version(text, tags.len()))?;
                (Some(self.tag_of(&newest.original)), None)
            }
        };
        let (digest, body) = match (digest, tag.as_deref()) {
            (Some(digest), _) => (digest, None),
            (None, tag) => self.resolve(registry, tag.unwrap_or_default())?,
        };
        Ok(NamedManifest { tag, digest, body })
    }

    /// The version of a tag. A tag cannot contain a plus, so charts use an underscore in its place.
    fn version_of(&self, tag: &str) -> String {
        if self.is_chart() { tag.replace('_', "+") } else { tag.to_owned() }
    }

    fn tag_of(&self, version: &str) -> String {
        if self.is_chart() { version.replace('+', "_") } else { version.to_owned() }
    }

    fn is_chart(&self) -> bool {
        self.request.media_type.as_deref() == Some(CHART)
    }

    /// Connects to the registry over TLS; with `spec.insecure` over plain HTTP if it does not speak TLS.
    fn connect(&self) -> Result<Registry<'_>, SourceError> {
        let OciRequest { repository, secrets, tls, insecure, proxy, .. } = self.request;
        let options = |is_verified: bool, https_only: bool| ClientOptions {
            authorities: tls.as_ref().and_then(Tls::authorities),
            identity: tls.as_ref().and_then(Tls::identity),
            is_verified,
            https_only,
            // Redirects are followed here, since credentials must not follow them.
            redirects: 0,
            proxy: proxy.as_ref().map(Proxy::client).or_else(ureq::Proxy::try_from_env),
            name: NAME,
        };
        let agent = |options| client::agent(options).map_err(|problem| Tls::unusable(tls.as_ref(), problem));
        let registry = |agent, base: GitUrl| Registry::new(self.context, agent, repository, base, secrets);
        let secure = agent(options(!insecure || tls.is_some(), !insecure))?;
        if *insecure {
            self.context.now_doing("finding out whether the registry speaks TLS");
            let ping = secure.get(format!("https://{}/v2/", repository.authority()));
            let left = self.context.remaining().map_err(|_| self.context.timeout())?;
            let ping = ping.config().timeout_global(Some(left / 2)).build().call();
            if ping.is_err() {
                return Ok(registry(secure, repository.base(true)?));
            }
        }
        Ok(registry(secure, repository.base(false)?))
    }

    fn tags(&self, registry: &mut Registry<'_>) -> Result<Vec<String>, SourceError> {
        #[derive(serde::Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut found: Vec<String> = Vec::new();
        let mut path = format!("tags/list?n={PAGE}");
        loop {
            self.context.now_doing("listing the tags");
            let answer = registry.ask(&Method::GET, &path, "application/json")?;
            if answer.status() != 200 {
                return Err(listing(registry.failed(answer, "the list of tags")));
            }
            let next = answer.headers().get("link").and_then(|link| link.to_str().ok()).and_then(next_page);
            let body = registry.body(answer)?;
            let page: Page = serde_json::from_slice(&body)
                .map_err(|_| SourceError::Listing("the answer is no list of tags".into()))?;
            let tags = page.tags.unwrap_or_default();
            let is_last = tags.is_empty();
            found.extend(tags.into_iter().filter(|tag| is_tag(tag)));
            if found.len() > TAGS {
                let message = format!("{} has more than {TAGS} tags", self.request.repository);
                return Err(SourceError::TooLarge(message));
            }
            match next.filter(|_| !is_last) {
                Some(query) => path = format!("tags/list?{query}"),
                None => return Ok(found),
            }
        }
    }

    fn no_version(&self, range: &str, tags: usize) -> SourceError {
        let filter = self.request.reference.semver_filter.as_ref();
        let filter = filter.map(|filter| format!(" and semverFilter '{filter}'")).unwrap_or_default();
        SourceError::Listing(format!(
            "failed to determine the artifact tag for 'oci://{}': no match found for semver: {range}{filter}, among {tags} \
             tags",
            self.request.repository
        ))
    }

    /// The present digest of a tag, and the manifest if the registry gives the digest only with it. All later
    /// requests use the digest, so that a moving tag does no harm.
    fn resolve(
        &self,
        registry: &mut Registry<'_>,
        tag: &str,
    ) -> Result<(String, Option<Vec<u8>>), SourceError> {
        self.context.now_doing("asking which artifact the tag names");
        let path = format!("manifests/{tag}");
        let digest_of = |answer: &WebAnswer| {
            let header = answer.headers().get("docker-content-digest")?.to_str().ok()?;
            is_digest(header).then(|| header.to_owned())
        };
        let head = registry.ask(&Method::HEAD, &path, ACCEPT)?;
        if head.status() == 200
            && let Some(digest) = digest_of(&head)
        {
            return Ok((digest, None));
        }
        // Some registries answer a HEAD differently, and an error has its text only in a body.
        let answer = registry.ask(&Method::GET, &path, ACCEPT)?;
        if answer.status() != 200 {
            return Err(registry.failed(answer, &format!("tag '{tag}'")));
        }
        let body = registry.body(answer)?;
        Ok((format!("sha256:{}", hex::encode(Sha256::digest(&body))), Some(body)))
    }

    fn manifest(&self, registry: &mut Registry<'_>, digest: &str) -> Result<Vec<u8>, SourceError> {
        self.context.now_doing("receiving the manifest");
        let answer = registry.ask(&Method::GET, &format!("manifests/{digest}"), ACCEPT)?;
        if answer.status() != 200 {
            return Err(registry.failed(answer, &format!("artifact '{digest}'")));
        }
        let body = registry.body(answer)?;
        let found = format!("sha256:{}", hex::encode(Sha256::digest(&body)));
        if found == digest {
            return Ok(body);
        }
        Err(SourceError::Content(format!(
            "the manifest was requested by the digest {digest}, but has {found}"
        )))
    }

    fn layer(&self, registry: &mut Registry<'_>, layer: &Layer) -> Result<(Tree, Vec<String>), SourceError> {
        self.context.now_doing("receiving the layer");
        let digest = &layer.digest;
        let answer = registry.ask(&Method::GET, &format!("blobs/{digest}"), "*/*")?;
        if answer.status() != 200 {
            return Err(registry.failed(answer, &format!("layer '{digest}'")));
        }
        let mut stream = Hashing::of(registry.web.reader(answer));
        let mut spool = self.spools.begin()?;
        let unpacked = unpack(&mut stream, &mut spool);
        // A changed layer may look like anything; the digest is what matters.
        let (found, read) = stream.end(u64::MAX).map_err(|error| registry.web.broken(&error))?;
        if let Some(broken) = self.context.take_failure() {
            return Err(broken);
        }
        let found = found.to_string();
        if found != *digest {
            let message = format!(
                "the layer {digest} arrived with {read} of {} bytes and the digest {found}",
                layer.size
            );
            return Err(SourceError::Content(message));
        }
        let UnpackedLayer { entries, warnings } = unpacked.map_err(|failure| {
            failure.of(&format!("the layer {digest}"), "failed to extract layer contents from artifact")
        })?;
        let tree = Tree::new(entries, spool.finish()?);
        if self.request.whole {
            return Ok((tree, warnings));
        }
        self.context.now_doing("applying .sourceignore");
        let go_on = || self.context.remaining().map(drop);
        let tree = ignore::applied(&tree, self.request.ignore.as_deref(), go_on);
        Ok((tree.map_err(|_| self.context.timeout())?, warnings))
    }
}

/// A failure of the list of tags, which Flux distinguishes from one of the artifact.
fn listing(error: SourceError) -> SourceError {
    match error {
        SourceError::Remote { host, message } => SourceError::Listing(format!("{host}: {message}")),
        SourceError::ReferenceNotFound(message) => SourceError::Listing(message),
        other => other,
    }
}

/// The query of the next page, from a header such as `</v2/a/tags/list?n=1000&last=x>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (address, relation) = link.strip_prefix('<')?.split_once('>')?;
    let (_, query) = address.split_once('?')?;
    let is_plain = |c: char| c.is_ascii_graphic() && c != '#';
    (relation.contains("next") && query.chars().all(is_plain)).then(|| query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_asked_for_at_the_same_registry() {
        assert_eq!(next_page("</v2/a/tags/list?n=2&last=b>; rel=\"next\"").as_deref(), Some("n=2&last=b"));
        assert_eq!(next_page("<https://evil/x?n=2>; rel=\"next\"").as_deref(), Some("n=2"));
        for strange in ["", "<x>; rel=\"next\"", "<x?a>; rel=\"prev\"", "<x?a b>; rel=\"next\""] {
            assert_eq!(next_page(strange), None, "{strange}");
        }
    }
}
