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

/// Who asks a repository, and how.
#[derive(Debug, Clone)]
pub struct Access {
    /// The namespace that asks; each has its share of the threads.
    pub namespace: String,
    /// Where it is.
    pub site: Site,
    /// The credentials for it.
    pub login: Option<SiteLogin>,
    /// `spec.certSecretRef`.
    pub tls: Option<Tls>,
    /// The wall-clock limit of the whole request.
    pub timeout: Duration,
}

impl Access {
    /// Refuses credentials that would go over plain HTTP to another machine.
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

/// Which index is wanted.
#[derive(Debug, Clone)]
pub struct IndexRequest {
    /// Of which repository.
    pub access: Access,
    /// The index that the caller has.
    pub known: Option<Arc<Indexed>>,
}

/// An index that was read.
#[derive(Debug)]
pub struct Indexed {
    /// The charts.
    pub index: ChartIndex,
    /// The digest of its text.
    pub digest: Digest,
    /// The size of its text, in bytes.
    pub size: u64,
    /// By which the repository tells whether it is still the same.
    etag: Option<String>,
}

impl Indexed {
    /// Reads an index that is at hand, as YAML or JSON.
    pub fn read(text: &[u8]) -> Result<Self, IndexError> {
        let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(Self { index: ChartIndex::read(text)?, digest: Digest::of(text), size, etag: None })
    }
}

/// What a request for an index found.
#[derive(Debug, Clone)]
pub enum Listed {
    /// The repository still has the index that is known.
    Unchanged,
    /// Another one.
    Updated(Arc<Indexed>),
}

/// Which archive is wanted.
#[derive(Debug, Clone)]
pub struct ArchiveRequest {
    /// Of which repository.
    pub access: Access,
    /// Whether the credentials are for whichever host the archive is at.
    pub passes_credentials: bool,
    /// Where it is, as the index says.
    pub url: String,
    /// Its digest, where the index says that.
    pub digest: Option<Digest>,
}

/// The archive of a chart, unpacked.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its files, in the folder that it holds.
    pub tree: Tree,
    /// Its digest.
    pub digest: Digest,
}

/// The content of an archive, for as long as somebody has its tree or a part of it.
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

/// Where an archive is held, if anybody holds it.
type Place = Arc<tokio::sync::Mutex<Weak<Kept>>>;

/// What one archive is known by: where it is, to whom it is given, and what is in it. Whoever may not read a
/// repository gets nothing out of what others have fetched from it.
type Key = Digest;

/// What a request to a Helm repository will have found.
pub type Asking<'f, T> = Pin<Box<dyn Future<Output = Result<T, SourceError>> + Send + 'f>>;

/// The port to where Helm repositories are.
pub trait HelmHost: Send + Sync {
    /// Asks for an index, within the request's limit by the clock. Dropping the future ends the request.
    fn index(&self, request: IndexRequest) -> Asking<'_, Listed>;

    /// Asks for an archive, within the request's limit by the clock. Dropping the future ends the request.
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
    /// The archives that somebody holds. Who asks for one that is on its way waits for it.
    archives: Arc<Mutex<HashMap<Key, Place>>>,
}

impl Helm {
    /// Sets the adapter up with its folder below `state_dir`, which one process at a time may use.
    pub fn new(state_dir: &Path, disk: &Disk) -> Result<Self, SourceError> {
        Ok(Self {
            spools: Arc::new(Spools::open(&state_dir.join("charts"), disk)?),
            pool: Arc::new(Pool::sharing(&FetchMemory::default())),
            archives: Arc::default(),
        })
    }

    /// The same, whose fetches share memory with others.
    #[must_use]
    pub fn sharing(self, memory: &FetchMemory) -> Self {
        Self { pool: Arc::new(Pool::sharing(memory)), ..self }
    }

    /// Asks for an index, within the request's limit by the clock.
    pub async fn index(&self, request: IndexRequest) -> Result<Listed, SourceError> {
        let access = request.access.clone();
        self.within(&access, move |context| {
            Job { context, access: &request.access }.index(request.known.as_deref())
        })
        .await
    }

    /// Asks for an archive, within the request's limit by the clock. One that somebody holds is not asked for
    /// again.
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

    /// Where an archive is held, if anybody holds it.
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
            // Followed here, since credentials must not go along.
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
        // Where it was cut off, what was read of it says nothing.
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
        // What was changed on the way may look like anything; that it was is what matters.
        let (digest, size) = stream.end(ARCHIVE).map_err(|error| web.broken(&error))?;
        if size > ARCHIVE {
            return Err(too_large());
        }
        if let Some(wanted) = request.digest.filter(|wanted| *wanted != digest) {
            return Err(SourceError::Content(format!(
                "the chart at {url} is not the one that the index names: that has the digest {wanted}, and what came has {digest}"
            )));
        }
        let UnpackedLayer { entries, .. } =
            unpacked.map_err(|failure| failure.of(&format!("the chart at {url}"), "failed to load chart"))?;
        Ok(Kept { blobs: spool.finish()?, entries, digest })
    }

    /// What an answer other than 200 means.
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
                SourceError::Remote { host, message: format!("it was asked too often (HTTP 429){wait}") }
            }
            _ => SourceError::Remote { host, message: format!("it answered HTTP {status} for {url}") },
        }
    }
}
/// What is read and kept in memory: no more is kept of an index than was read of it.
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
