//! The port to the threads on which builds run. A build is pure and may take long, so that it must not run where the lease is
//! renewed and probes are answered.

use std::fmt::Debug;
use std::pin::Pin;

use tokio::sync::oneshot;

/// Pure work.
pub type Work = Box<dyn FnOnce() + Send>;

/// The end of work; the error is the place of a panic in it.
pub type Ended = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Runs pure work, as much of it at a time as it has threads, on stacks of [`lockgate_render::STACK_SIZE`].
pub trait Workers: Debug + Send + Sync {
    /// Runs work. Where the answer is dropped, work that has not begun is not done.
    fn run(&self, work: Work) -> Ended;
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
