//! Reports a panic by its place and without its message, which may quote anything.

use std::cell::RefCell;
use std::panic::PanicHookInfo;

thread_local! {
    /// The place of this thread's last panic. A task's panic is caught on the thread on which it panicked.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics log only their place.
pub(crate) fn hide_panics() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(%place, "internal error");
        LAST.with(|last| *last.borrow_mut() = Some(place));
    }));
}

/// The place of the panic that was just caught.
pub(super) fn place() -> String {
    LAST.with(|last| last.borrow_mut().take()).unwrap_or_else(|| "an unknown place".into())
}
