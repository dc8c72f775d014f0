//! The threads of commands: a runtime, and a thread with a large stack for builds.

use super::output::CommandError;
use lockgate_render::STACK_SIZE;

/// Runs a build on a stack as large as that of the agent's builds.
pub(in crate::cli) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, CommandError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, work)?;
        thread.join().map_err(|_| CommandError::failed("the build failed because of a bug in lockgate"))
    })
}

/// Runs a command on a runtime, in the caller's thread.
pub(super) fn in_runtime<T>(
    command: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CommandError::failed(format!("the runtime does not start: {error}")))?;
    let result = runtime.block_on(command);
    // A thread that waits for a silent host must not delay the end.
    runtime.shutdown_background();
    result
}
