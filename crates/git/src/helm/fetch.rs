//! One request to a Helm repository: for its index, or for the archive of a chart.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use http::Method;

use super::site::{Site, SiteLogin};
use crate::SourceError;
use crate::client::{self, ClientOptions, NAME};
use crate::context::{FetchContext, lock};
use crate::disk::Disk;
use crate::error::one_line;
use crate::hashing::Hashing;
use crate::memory::FetchMemory;
use crate::pool::{self, Pool};
use crate::spool::Spools;
use crate::tls::Tls;
use crate::unpack::{UnpackedLayer, unpack};
use crate::web::{Web, WebAnswer};
use lockgate_base::index::{self, ChartIndex, IndexError};
use lockgate_base::model::Digest;
use lockgate_base::tree::{Blobs, ContentId, Tree, TreeEntry};

/// The largest archive of a chart, in bytes (Flux's limit).
const ARCHIVE: u64 = 10 << 20;

/// A repository, and the credentials for it.
#[derive(Debug, Clone)]
pub struct Access {
    /// The namespace of the request. Each namespace has a share of the threads.
    pub namespace: String,
    /// The address of the repository.
    pub site: Site,
    /// The credentials for it.
    pub login: Option<SiteLogin>,
    /// `spec.certSecretRef`.
    pub tls: Option<Tls>,
    /// The time limit of the whole request.
    pub timeout: Duration,
}

impl Access {
    /// Refuses credentials that would be sent over plain HTTP to another machine.
    pub fn check(&self) -> Result<(), SourceError> {
        let sends_a_secret =
            self.login.is_some() || self.tls.as_ref().is_some_and(|tls| tls.identity().is_some());
        if !sends_a_secret || self.site.is_private() || self.site.checked().is_loopback() {
            return Ok(());
        }
        Err(SourceError::InvalidUrl {
            url: self.site.to_string(),
            problem: "the credentials of spec.secretRef are not sent over plain http; write https://".into(),
        })
    }
}

/// A request for an index.
#[derive(Debug, Clone)]
pub struct IndexRequest {
    /// The repository.
    pub access: Access,
    /// The index that the caller has.
    pub known: Option<Arc<Indexed>>,
}

/// A parsed index.
#[derive(Debug)]
pub struct Indexed {
    /// The charts.
    pub index: ChartIndex,
    /// The digest of its text.
    pub digest: Digest,
    /// The size of its text, in bytes.
    pub size: u64,
    /// The repository's mark of this version of the index.
    etag: Option<String>,
}

impl Indexed {
    /// Parses an index from YAML or JSON.
    pub fn read(text: &[u8]) -> Result<Self, IndexError> {
        let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(Self { index: ChartIndex::read(text)?, digest: Digest::of(text), size, etag: None })
    }
}

/// The result of a request for an index.
#[derive(Debug, Clone)]
pub enum Listed {
    /// The index has not changed.
    Unchanged,
    /// A new index.
    Updated(Arc<Indexed>),
}

/// A request for an archive.
#[derive(Debug, Clone)]
pub struct ArchiveRequest {
    /// The repository.
    pub access: Access,
    /// Whether the credentials are for every host of the archive.
    pub passes_credentials: bool,
    /// The address in the index.
    pub url: String,
    /// The digest in the index, if it has one.
    pub digest: Option<Digest>,
}

/// A chart from an unpacked archive.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The files of the chart's folder.
    pub tree: Tree,
    /// The digest of the archive.
    pub digest: Digest,
}

/// The content of an archive, while its tree or a part of it is in use.
struct Kept {
    blobs: Arc<dyn Blobs>,
    entries: Vec<(String, TreeEntry)>,
    digest: Digest,
}

impl Blobs for Kept {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        self.blobs.read(id)
    }
}

impl Kept {
    fn archive(self: Arc<Self>) -> Archive {
        let (entries, digest) = (self.entries.clone(), self.digest);
        Archive { tree: Tree::new(entries, self), digest }
    }
}

/// The slot of an archive, which may be empty.
type Place = Arc<tokio::sync::Mutex<Weak<Kept>>>;

/// The key of an archive: its address, the credentials and the digest. So nobody gets an archive that was
/// fetched with other credentials.
type Key = Digest;

/// The future result of a request to a Helm repository.
pub type Asking<'f, T> = Pin<Box<dyn Future<Output = Result<T, SourceError>> + Send + 'f>>;

/// The port to Helm repositories.
pub trait HelmHost: Send + Sync {
    /// Requests an index within the time limit. Dropping the future ends the request.
    fn index(&self, request: IndexRequest) -> Asking<'_, Listed>;

    /// Requests an archive within the time limit. Dropping the future ends the request.
    fn archive(&self, request: ArchiveRequest) -> Asking<'_, Archive>;
}

impl HelmHost for Helm {
    fn index(&self, request: IndexRequest) -> Asking<'_, Listed> {
        Box::pin(Self::index(self, request))
    }

    fn archive(&self, request: ArchiveRequest) -> Asking<'_, Archive> {
        Box::pin(Self::archive(self, request))
    }
}

/// The adapter for Helm repositories.
#[derive(Clone)]
pub struct Helm {
    spools: Arc<Spools>,
    pool: Arc<Pool>,
    /// The archives in use. A request for one that is being fetched waits for it.
    archives: Arc<Mutex<HashMap<Key, Place>>>,
}

impl Helm {
    /// Creates the adapter with its folder below `state_dir`, which only one process at a time may use.
    pub fn new(state_dir: &Path, disk: &Disk) -> Result<Self, SourceError> {
        Ok(Self {
            spools: Arc::new(Spools::open(&state_dir.join("charts"), disk)?),
            pool: Arc::new(Pool::sharing(&FetchMemory::default())),
            archives: Arc::default(),
        })
    }

    /// This adapter with memory that other adapters share.
    #[must_use]
    pub fn sharing(self, memory: &FetchMemory) -> Self {
        Self { pool: Arc::new(Pool::sharing(memory)), ..self }
    }

    /// Requests an index within the time limit.
    pub async fn index(&self, request: IndexRequest) -> Result<Listed, SourceError> {
        let access = request.access.clone();
        self.within(&access, move |context| {
            Job { context, access: &request.access }.index(request.known.as_deref())
        })
        .await
    }

    /// Requests an archive within the time limit. An archive in use is not requested again.
    pub async fn archive(&self, request: ArchiveRequest) -> Result<Archive, SourceError> {
        let url = request.access.site.resolve(&request.url)?;
        let place = request.digest.map(|digest| self.place(&request, url.as_str(), digest));
        let mut held = match &place {
            Some(place) => Some(place.lock().await),
            None => None,
        };
        if let Some(kept) = held.as_ref().and_then(|held| held.upgrade()) {
            return Ok(kept.archive());
        }
        let (access, spools) = (request.access.clone(), Arc::clone(&self.spools));
        let work = move |context: &Arc<FetchContext>| {
            Job { context, access: &request.access }.archive(&request, &url, &spools)
        };
        let kept = Arc::new(self.within(&access, work).await?);
        if let Some(held) = &mut held {
            **held = Arc::downgrade(&kept);
        }
        Ok(kept.archive())
    }

    async fn within<T: Send + 'static>(
        &self,
        access: &Access,
        work: impl FnOnce(&Arc<FetchContext>) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        pool::fetch(&self.pool, access.site.checked(), &access.namespace, access.timeout, work).await
    }

    /// The slot of an archive.
    fn place(&self, request: &ArchiveRequest, url: &str, digest: Digest) -> Place {
        let login = request.access.login.as_ref().map(SiteLogin::fingerprint);
        let login = login.map(|digest| digest.bytes().to_vec()).unwrap_or_default();
        let key = Digest::of_parts([url.as_bytes(), &login, digest.bytes()]);
        let mut archives = lock(&self.archives);
        // More than one reference means that somebody fetches it or is about to.
        archives.retain(|_, place| {
            Arc::strong_count(place) > 1 || place.try_lock().is_ok_and(|held| held.strong_count() > 0)
        });
        Arc::clone(archives.entry(key).or_default())
    }
}

/// One request on its thread.
struct Job<'j> {
    context: &'j Arc<FetchContext>,
    access: &'j Access,
}

impl Job<'_> {
    fn web(&self) -> Result<Web, SourceError> {
        let Access { site, tls, .. } = self.access;
        let options = ClientOptions {
            authorities: tls.as_ref().and_then(Tls::authorities),
            identity: tls.as_ref().and_then(Tls::identity),
            is_verified: true,
            https_only: site.is_private(),
            // Redirects are followed here, since credentials must not follow them.
            redirects: 0,
            proxy: ureq::Proxy::try_from_env(),
            name: NAME,
        };
        let agent = client::agent(options).map_err(|problem| Tls::unusable(tls.as_ref(), problem))?;
        Ok(Web::new(self.context, agent, site.is_private()))
    }

    fn index(&self, known: Option<&Indexed>) -> Result<Listed, SourceError> {
        self.context.now_doing("receiving the index");
        let (web, url) = (self.web()?, self.access.site.index());
        let etag = known.and_then(|known| known.etag.as_deref());
        let headers: Vec<(&str, &str)> = etag.map(|etag| ("If-None-Match", etag)).into_iter().collect();
        let authorization = self.access.login.as_ref().map(SiteLogin::authorization);
        let (answer, _) = web.follow(&Method::GET, &url, &headers, authorization)?;
        match answer.status().as_u16() {
            304 if known.is_some() => return Ok(Listed::Unchanged),
            200 => {}
            _ => return Err(self.failed(&answer, &url)),
        }
        let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(ToOwned::to_owned);
        let mut stream = Hashing::of(HeldReader { context: self.context, reader: web.reader(answer) });
        let index = ChartIndex::read(&mut stream);
        // If the connection was cut, the error of the parser says nothing.
        if let Some(broken) = self.context.take_failure() {
            return Err(broken);
        }
        let index = index.map_err(|error| match error {
            IndexError::Broken(error) => web.broken(&error),
            IndexError::TooLarge(problem) => SourceError::TooLarge(problem),
            other => SourceError::Content(format!(
                "failed to load Helm repository from index YAML at {url}: {other}"
            )),
        })?;
        let (digest, size) = stream.end(index::LIMIT).map_err(|error| web.broken(&error))?;
        if known.is_some_and(|known| known.digest == digest) {
            return Ok(Listed::Unchanged);
        }
        Ok(Listed::Updated(Arc::new(Indexed { index, digest, size, etag })))
    }

    fn archive(
        &self,
        request: &ArchiveRequest,
        url: &url::Url,
        spools: &Spools,
    ) -> Result<Kept, SourceError> {
        self.context.now_doing("receiving the chart");
        let web = self.web()?;
        let is_let_in = request.passes_credentials || self.access.site.is_own(url);
        let authorization = self.access.login.as_ref().filter(|_| is_let_in).map(SiteLogin::authorization);
        let (answer, _) = web.follow(&Method::GET, url.as_str(), &[], authorization)?;
        if answer.status().as_u16() != 200 {
            return Err(self.failed(&answer, url.as_str()));
        }
        let mut stream = Hashing::of(web.reader(answer));
        let mut spool = spools.begin()?;
        let unpacked = unpack((&mut stream).take(ARCHIVE + 1), &mut spool);
        if let Some(broken) = self.context.take_failure() {
            return Err(broken);
        }
        let too_large = || {
            let message = format!("the chart at {url} is larger than {} MiB, the limit", ARCHIVE >> 20);
            SourceError::TooLarge(message)
        };
        // A changed archive may look like anything; the digest is what matters.
        let (digest, size) = stream.end(ARCHIVE).map_err(|error| web.broken(&error))?;
        if size > ARCHIVE {
            return Err(too_large());
        }
        if let Some(wanted) = request.digest.filter(|wanted| *wanted != digest) {
            return Err(SourceError::Content(format!(
                "the chart at {url} does not have the digest {wanted} of the index, but {digest}"
            )));
        }
        let UnpackedLayer { entries, .. } =
            unpacked.map_err(|failure| failure.of(&format!("the chart at {url}"), "failed to load chart"))?;
        Ok(Kept { blobs: spool.finish()?, entries, digest })
    }

    /// The error of an answer other than 200.
    fn failed(&self, answer: &WebAnswer, url: &str) -> SourceError {
        let status = answer.status().as_u16();
        let host = self.context.host();
        let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(one_line);
        match (status, &self.access.login) {
            (401 | 403, Some(login)) => SourceError::Rejected(format!(
                "{host} does not accept the credentials of {} (HTTP {status}): they are wrong, expired or may not read {url}",
                login.source()
            )),
            (401 | 403, None) => SourceError::Rejected(format!(
                "{host} asks for credentials (HTTP {status}): name a Secret in spec.secretRef of the HelmRepository"
            )),
            (404, _) => SourceError::ReferenceNotFound(format!("{url} not found (HTTP 404)")),
            (429, _) => {
                let wait = wait.map(|wait| format!("; it says to wait for {wait} s")).unwrap_or_default();
                SourceError::Remote {
                    host,
                    message: format!("it received too many requests (HTTP 429){wait}"),
                }
            }
            _ => SourceError::Remote { host, message: format!("it answered HTTP {status} for {url}") },
        }
    }
}
/// A reader that counts memory: an index never takes more than its text.
struct HeldReader<'h, R> {
    context: &'h FetchContext,
    reader: R,
}

impl<R: Read> Read for HeldReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read(buffer)?;
        self.context.hold(bytes as u64)?;
        Ok(bytes)
    }
}
