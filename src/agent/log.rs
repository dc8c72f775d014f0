//! The level at which a verdict is logged: a change at info, a failure at error, a repetition at debug.

/// Logs fields, written as for `tracing`'s own macros, at the level that a verdict's events call for.
macro_rules! log {
    ($events:expr, $($fields:tt)*) => {
        match $events.iter().map(|notice: &lockgate_core::verdict::Notice| notice.warning).max() {
            None => tracing::debug!($($fields)*),
            Some(false) => tracing::info!($($fields)*),
            Some(true) => tracing::error!($($fields)*),
        }
    };
}

pub(super) use log;
