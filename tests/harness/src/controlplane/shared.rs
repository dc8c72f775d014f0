//! One control plane for all tests of a process.

use std::sync::OnceLock;

use super::{ControlPlane, Options};

/// The control plane that all tests of this process share, started by the first that asks; it ends with the
/// process.
///
/// Tests use namespaces of their own. Each asks it for a client of its own, since a client belongs to a
/// runtime.
///
/// # Panics
/// When it cannot be started: no test that asks for it can go on.
#[expect(clippy::panic, reason = "no test that asks for the control plane can go on without it")]
pub fn shared() -> &'static ControlPlane {
    static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    let started = SHARED.get_or_init(|| {
        // The test may run inside a runtime already, and a runtime cannot block on another.
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(ControlPlane::start(Options { audit: true, ..Options::default() }))
        });
        match thread.join() {
            Ok(result) => result.map_err(|error: anyhow::Error| format!("{error:#}")),
            Err(_) => Err("its start panicked".to_owned()),
        }
    });
    match started {
        Ok(plane) => plane,
        Err(error) => panic!("the control plane did not start: {error}"),
    }
}
