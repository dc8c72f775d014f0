//! What is told of a panic: where it was, and not what it said, which may quote anything.

use std::cell::RefCell;
use std::panic::PanicHookInfo;

thread_local! {
    /// Where the last panic of this thread was. A task that is caught is caught on the thread on which it
    /// panicked.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Sees to it that panics are logged by their place alone.
pub(crate) fn hide_panics() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(%place, "internal error");
        LAST.with(|last| *last.borrow_mut() = Some(place));
    }));
}

/// Where the panic that was just caught was.
pub(super) fn place() -> String {
    LAST.with(|last| last.borrow_mut().take()).unwrap_or_else(|| "an unknown place".into())
}
