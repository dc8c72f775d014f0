//! The port to the threads on which builds run. A build is pure and may take long, so it must not run on the
//! threads that renew the lease and answer probes.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;

use lockgate_render::Budget;
use lockgate_render::budget::Memory;
use lockgate_render::helm::shelf::Shelf;

/// Pure work. It is given the charts that its thread has rendered last.
pub type Work = Box<dyn FnOnce(&mut Shelf) + Send>;

/// The end of the work; an error is the place of a panic in it.
pub type Ended = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Runs pure work on stacks of [`lockgate_render::STACK_SIZE`]. The number of threads limits how much runs at
/// a time.
pub trait Workers: Debug + Send + Sync {
    /// The memory that builds share; `None` if it is unknown.
    fn memory(&self) -> Option<Arc<dyn Memory>> {
        None
    }

    /// Runs work. If the returned future is dropped before the work begins, the work is not done.
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
    output_beside_charts(workers, |_| work()).await
}

/// The output of work that renders a chart, or the place of a panic in it.
pub(super) async fn output_beside_charts<T: Send + 'static>(
    workers: &dyn Workers,
    work: impl FnOnce(&mut Shelf) -> T + Send + 'static,
) -> Result<T, String> {
    let (sender, output) = oneshot::channel();
    let ended = workers.run(Box::new(move |shelf| {
        // The receiver is gone if the run was cancelled.
        let _ = sender.send(work(shelf));
    }));
    ended.await?;
    output.await.map_err(|_| "work that was not done".to_owned())
}
