//! Threads for fetches, which block. There are enough of them that a silent host or one namespace does not
//! delay others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::SourceError;
use crate::context::{FetchContext, lock};
use crate::credentials::Credentials;
use crate::memory::FetchMemory;
use crate::url::GitUrl;
use lockgate_base::shares::{Permit, Permits};

/// How many fetches may run at one time.
const THREADS: usize = 32;
/// How many of them may use one host. A silent host occupies only these.
const PER_HOST: usize = 4;

/// The threads.
pub(crate) struct Pool {
    threads: Permits,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// The memory for all running fetches.
    pub(crate) memory: FetchMemory,
}

/// The right to use a thread. It is returned when the thread is done, even if its caller has given up long
/// before.
pub(crate) struct ThreadSlot {
    _host: OwnedSemaphorePermit,
    _thread: Permit,
}

impl Pool {
    /// Creates threads whose fetches use this memory.
    pub(crate) fn sharing(memory: &FetchMemory) -> Self {
        Self { threads: Permits::fair(THREADS), hosts: Mutex::default(), memory: memory.clone() }
    }

    /// Waits for a thread for `host` on behalf of a namespace.
    pub(crate) async fn slot(&self, host: &str, namespace: &str) -> Result<ThreadSlot, SourceError> {
        let host = {
            let mut hosts = lock(&self.hosts);
            // The table has one reference to each, so more references mean that somebody waits or runs.
            hosts.retain(|_, host| Arc::strong_count(host) > 1);
            Arc::clone(hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(PER_HOST))))
        };
        let closed = |_| SourceError::Storage("the threads for fetches were closed".into());
        let host = host.acquire_owned().await.map_err(closed)?;
        let thread = self.threads.take(&namespace.into()).await;
        Ok(ThreadSlot { _host: host, _thread: thread })
    }
}

/// Ends the connection of a fetch whose caller has gone.
pub(crate) struct CancelOnDrop(pub(crate) Arc<FetchContext>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs a fetch from `url` on a thread within the time limit, whatever the host does. The wait for a free
/// thread has the same limit of its own.
pub(crate) async fn fetch<T: Send + 'static>(
    pool: &Pool,
    url: &GitUrl,
    namespace: &str,
    limit: Duration,
    work: impl FnOnce(&Arc<FetchContext>) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let begin = || Arc::new(FetchContext::new(url.clone(), Credentials::None, limit));
    let waiting = begin();
    let slot = tokio::time::timeout(limit, pool.slot(&waiting.host(), namespace)).await;
    let slot = slot.unwrap_or_else(|_| Err(waiting.timeout()))?;
    let context = begin();
    context.holds_in(pool.memory.share(namespace));
    let _cancel = CancelOnDrop(Arc::clone(&context));
    let deadline = tokio::time::Instant::from_std(context.deadline());
    let work = {
        let context = Arc::clone(&context);
        run(slot, move || {
            context.receives_objects();
            work(&context)
        })
    };
    tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| Err(context.timeout()))
}

/// Runs `work` on a thread of its own and waits for it.
///
/// This does not use the runtime's threads for blocking calls: those delay the end of the process until each
/// has returned.
pub(crate) async fn run<T: Send + 'static>(
    slot: ThreadSlot,
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let (answer, result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("fetch".into()).spawn(move || {
        let result = work();
        drop(slot);
        // If the caller has given up, nobody listens.
        let _ = answer.send(result);
    });
    thread.map_err(|error| SourceError::Storage(format!("no thread for a fetch: {error}")))?;
    result.await.unwrap_or_else(|_| Err(SourceError::Storage("the fetch ended without a result".into())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_free(pool: &Pool, host: &str) -> Option<ThreadSlot> {
        is_free_for(pool, host, "n").await
    }

    async fn is_free_for(pool: &Pool, host: &str, namespace: &str) -> Option<ThreadSlot> {
        let slot = pool.slot(host, namespace);
        tokio::time::timeout(Duration::from_millis(20), slot).await.ok().map(Result::unwrap)
    }

    #[tokio::test]
    async fn a_namespace_whose_hosts_all_hang_leaves_the_others_a_thread() {
        let pool = Pool::sharing(&FetchMemory::default());
        let mut held = Vec::new();
        for host in 0..THREADS {
            held.extend(is_free_for(&pool, &format!("dead-{host}"), "hog").await);
        }
        assert_eq!(held.len(), THREADS - 1);
        let other = is_free_for(&pool, "alive", "other").await;
        assert!(other.is_some());
        drop(other);
        assert!(is_free_for(&pool, "alive", "third").await.is_some());
    }

    #[tokio::test]
    async fn a_host_that_hangs_leaves_the_others_their_threads() {
        let pool = Pool::sharing(&FetchMemory::default());
        let mut held = Vec::new();
        while let Some(slot) = is_free(&pool, "dead").await {
            held.push(slot);
        }
        assert_eq!(held.len(), PER_HOST);
        assert!(is_free(&pool, "alive").await.is_some());
        held.pop();
        assert!(is_free(&pool, "dead").await.is_some());
        drop(held);
        drop(is_free(&pool, "alive").await);
        assert_eq!(lock(&pool.hosts).len(), 1);
    }

    #[tokio::test]
    async fn a_panic_in_a_fetch_is_an_error_of_that_fetch() {
        let pool = Pool::sharing(&FetchMemory::default());
        let slot = pool.slot("h", "n").await.unwrap();
        let result = run::<()>(slot, || panic!("on purpose")).await;
        assert!(matches!(result, Err(SourceError::Storage(_))));
        for _ in 0..PER_HOST {
            assert!(is_free(&pool, "h").await.is_some());
        }
    }
}
