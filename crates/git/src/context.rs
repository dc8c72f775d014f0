//! The state that a fetch shares between its caller, its thread and the transports: the deadline, the
//! cancellation, and the reason of a failure.
//!
//! libgit2 reports a failed transport as a code and at most a text. So the transports record their reason
//! here, typed, and the fetch prefers it to libgit2's.

use std::cell::RefCell;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::SourceError;
use crate::credentials::Credentials;
use crate::disk::Share;
use crate::memory::FetchShare;
use crate::url::GitUrl;

/// The most bytes that one fetch may receive. A platform's repository is a thousand times smaller.
const RECEIVE_LIMIT: u64 = 1 << 30;
/// The most bytes of references that a host may list, some 400,000 references.
const LISTING_LIMIT: u64 = 24 << 20;
/// How many bytes of memory libgit2 uses for each byte of listed references. It keeps all of them until the
/// connection ends, and the list comes before the first request.
const LISTING_WEIGHT: u64 = 5;
/// How many bytes of memory libgit2 uses for each object while it indexes a pack.
const OBJECT_WEIGHT: u64 = 100;

/// The shared state of one fetch.
pub(crate) struct FetchContext {
    pub(crate) url: GitUrl,
    pub(crate) credentials: Credentials,
    started: Instant,
    limit: Duration,
    cancelled: AtomicBool,
    received: AtomicU64,
    /// Whether objects are being received, and no longer references.
    lists_no_more: AtomicBool,
    /// The disk space for the objects.
    share: OnceLock<Arc<Share>>,
    /// The memory of the fetch.
    memory: OnceLock<FetchShare>,
    /// How many objects are counted in that memory.
    objects: AtomicU64,
    socket: Mutex<Option<TcpStream>>,
    failure: Mutex<Option<SourceError>>,
    doing: Mutex<&'static str>,
}

thread_local! {
    /// The fetch that runs on this thread. libgit2 creates a transport from a URL alone, on the thread that
    /// connects.
    static CURRENT: RefCell<Option<Arc<FetchContext>>> = const { RefCell::new(None) };
}

impl FetchContext {
    pub(crate) fn new(url: GitUrl, credentials: Credentials, limit: Duration) -> Self {
        Self {
            url,
            credentials,
            started: Instant::now(),
            limit,
            cancelled: AtomicBool::new(false),
            received: AtomicU64::new(0),
            lists_no_more: AtomicBool::new(false),
            share: OnceLock::new(),
            memory: OnceLock::new(),
            objects: AtomicU64::new(0),
            socket: Mutex::new(None),
            failure: Mutex::new(None),
            doing: Mutex::new("waiting for an earlier fetch"),
        }
    }

    /// Runs `work` as this fetch.
    pub(crate) fn enter<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        CURRENT.with(|current| *current.borrow_mut() = Some(Arc::clone(self)));
        let result = work();
        CURRENT.with(|current| *current.borrow_mut() = None);
        result
    }

    /// The fetch that runs on this thread.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with(|current| current.borrow().clone())
    }

    /// `host:port` for messages.
    pub(crate) fn host(&self) -> String {
        self.url.authority()
    }

    /// Sets the text for the message of a timeout.
    pub(crate) fn now_doing(&self, what: &'static str) {
        *lock(&self.doing) = what;
    }

    /// The time at which the fetch must be over.
    pub(crate) fn deadline(&self) -> Instant {
        self.started + self.limit
    }

    /// The remaining time; an error if there is none, or if the caller no longer waits for the result.
    pub(crate) fn remaining(&self) -> io::Result<Duration> {
        let left = self.limit.saturating_sub(self.started.elapsed());
        if left.is_zero() || self.cancelled.load(Ordering::Acquire) {
            self.fail(self.timeout());
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the fetch ran out of time"));
        }
        Ok(left)
    }

    /// The error of a fetch that has timed out.
    pub(crate) fn timeout(&self) -> SourceError {
        let received = self.received.load(Ordering::Relaxed);
        let doing = *lock(&self.doing);
        let host = self.host();
        let doing = match received {
            0 => format!("{doing} ({host})"),
            bytes => format!("{doing} ({host}, {} received)", size(bytes)),
        };
        SourceError::Timeout { after: self.limit, doing }
    }

    /// Counts received bytes against the limit.
    pub(crate) fn receive(&self, bytes: usize) -> io::Result<()> {
        let total = self.received.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let is_listing = !self.lists_no_more.load(Ordering::Relaxed);
        if is_listing && total > LISTING_LIMIT {
            let message = format!(
                "{} lists more than {} of branches, tags and other references, the limit for one repository",
                self.host(),
                size(LISTING_LIMIT)
            );
            self.fail(SourceError::TooLarge(message));
            return Err(io::Error::other("too many references were listed"));
        }
        if is_listing {
            self.hold(LISTING_WEIGHT * bytes as u64)?;
        }
        if total > RECEIVE_LIMIT {
            let message =
                format!("{} sent more than {}, the limit for one fetch", self.host(), size(RECEIVE_LIMIT));
            self.fail(SourceError::TooLarge(message));
            return Err(io::Error::other("too much was received"));
        }
        if let Some(Err(message)) =
            self.share.get().filter(|_| !is_listing).map(|share| share.take(bytes as u64))
        {
            self.fail(SourceError::Storage(message));
            return Err(io::Error::other("there is no room for more"));
        }
        Ok(())
    }

    /// Sets the share of the memory in which the fetch is counted.
    pub(crate) fn holds_in(&self, memory: FetchShare) {
        // A fetch has one namespace.
        let _ = self.memory.set(memory);
    }

    /// Counts memory that is used until the end of the fetch, in bytes.
    pub(crate) fn hold(&self, bytes: u64) -> io::Result<()> {
        let Some(Err(message)) = self.memory.get().map(|memory| memory.take(bytes)) else { return Ok(()) };
        self.fail(SourceError::TooLarge(format!("{}: {message}", self.host())));
        Err(io::Error::other("there is no memory for more"))
    }

    /// Counts the announced objects of a pack.
    pub(crate) fn hold_objects(&self, objects: usize) -> io::Result<()> {
        let before = self.objects.fetch_max(objects as u64, Ordering::Relaxed);
        self.hold(OBJECT_WEIGHT * (objects as u64).saturating_sub(before))
    }

    /// Sets the share of the disk in which received objects are counted.
    pub(crate) fn keeps_in(&self, share: Arc<Share>) {
        // A fetch has one repository.
        let _ = self.share.set(share);
    }

    /// Records that objects follow from here on.
    pub(crate) fn receives_objects(&self) {
        self.now_doing("receiving objects");
        self.lists_no_more.store(true, Ordering::Relaxed);
    }

    /// How many bytes were received.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Records the reason of a failure. The first one is kept, since later ones are its consequences.
    pub(crate) fn fail(&self, error: SourceError) {
        lock(&self.failure).get_or_insert(error);
    }

    /// The reason that a transport has recorded.
    pub(crate) fn take_failure(&self) -> Option<SourceError> {
        lock(&self.failure).take()
    }

    /// Registers a socket, so that [`FetchContext::cancel`] can end a read on it.
    pub(crate) fn watch(&self, socket: TcpStream) {
        *lock(&self.socket) = Some(socket);
        if self.cancelled.load(Ordering::Acquire) {
            self.cancel();
        }
    }

    /// Ends the fetch from another thread: a read or write in progress fails at once.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        if let Some(socket) = lock(&self.socket).take() {
            // This fails only if the connection is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// A number of bytes in words.
fn size(bytes: u64) -> String {
    match bytes {
        0..=1023 => format!("{bytes} bytes"),
        1024..=1_048_575 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Locks a mutex whose value is consistent at every moment, so that a panic elsewhere does no harm.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FetchMemory;

    const MINUTE: Duration = Duration::from_mins(1);

    fn context(limit: Duration) -> FetchContext {
        FetchContext::new(GitUrl::parse("ssh://h/r").unwrap(), Credentials::None, limit)
    }

    #[test]
    fn the_first_reason_is_kept() {
        let context = context(MINUTE);
        context.fail(SourceError::Storage("first".into()));
        context.fail(SourceError::Storage("second".into()));
        assert_eq!(context.take_failure(), Some(SourceError::Storage("first".into())));
    }

    #[test]
    fn a_spent_or_cancelled_fetch_has_no_time_left() {
        let spent = context(Duration::ZERO);
        assert!(spent.remaining().is_err());
        assert!(matches!(spent.take_failure(), Some(SourceError::Timeout { .. })));
        let cancelled = context(MINUTE);
        assert!(cancelled.remaining().is_ok());
        cancelled.cancel();
        assert!(cancelled.remaining().is_err());
    }

    #[test]
    fn a_flood_of_references_is_cut_off_before_they_fill_the_memory() {
        let context = context(MINUTE);
        let limit = usize::try_from(LISTING_LIMIT).unwrap();
        assert!(context.receive(limit).is_ok());
        assert!(context.receive(1).is_err());
        let told = context.take_failure().unwrap().to_string();
        assert!(told.contains("lists more than 24 MiB of branches"), "{told}");
        context.receives_objects();
        assert!(context.receive(limit).is_ok(), "objects have their own limit");
    }

    #[test]
    fn what_a_fetch_holds_is_counted_until_it_ends() {
        let memory = FetchMemory::of(2_000);
        let begin = || {
            let context = context(MINUTE);
            context.holds_in(memory.share("n"));
            context
        };
        let context = begin();
        assert!(context.receive(100).is_ok(), "500 of 1000");
        context.receives_objects();
        assert!(context.receive(100_000).is_ok(), "objects go to the disk");
        assert!(context.hold_objects(5).is_ok() && context.hold_objects(5).is_ok());
        assert!(context.hold_objects(6).is_err());
        let told = context.take_failure().unwrap().to_string();
        assert!(told.starts_with("h: it would take more of the 0 MiB of memory"), "{told}");
        assert!(begin().receive(1).is_err());
        drop(context);
        assert!(begin().receive(100).is_ok());
    }

    #[test]
    fn a_flood_is_cut_off() {
        let context = context(MINUTE);
        context.receives_objects();
        assert!(context.receive(usize::try_from(RECEIVE_LIMIT).unwrap()).is_ok());
        assert!(context.receive(1).is_err());
        assert!(matches!(context.take_failure(), Some(SourceError::TooLarge(_))));
    }
}
