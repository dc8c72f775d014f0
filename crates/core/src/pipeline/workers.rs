//! The port to the threads on which builds run. A build is pure and may take long, so that it must not run
//! where the lease is renewed and probes are answered.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;

use lockgate_render::Budget;
use lockgate_render::budget::Memory;

/// Pure work.
pub type Work = Box<dyn FnOnce() + Send>;

/// The end of work; the error is the place of a panic in it.
pub type Ended = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Runs pure work, as much of it at a time as it has threads, on stacks of [`lockgate_render::STACK_SIZE`].
pub trait Workers: Debug + Send + Sync {
    /// The memory that builds share; `None` where nothing is known of it.
    fn memory(&self) -> Option<Arc<dyn Memory>> {
        None
    }

    /// Runs work. Where the answer is dropped, work that has not begun is not done.
    fn run(&self, work: Work) -> Ended;
}

/// The budget of one build on these threads.
pub(super) fn budget(memory: Option<Arc<dyn Memory>>) -> Budget {
    memory.map_or_else(Budget::default, Budget::sharing)
}

/// The output of work, or the place of a panic in it.
pub(super) async fn output<T: Send + 'static>(
    workers: &dyn Workers,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (sender, output) = oneshot::channel();
    let ended = workers.run(Box::new(move || {
        // Nobody listens once the run was cancelled.
        let _ = sender.send(work());
    }));
    ended.await?;
    output.await.map_err(|_| "work that was not done".to_owned())
}
