//! The level at which a verdict is logged: a failure at error, a warning about what is ready at warn, any
//! other news at info, a repetition at debug.

/// Logs fields, written as for `tracing`'s own macros, at the level that a verdict calls for by its Ready
/// condition and its events.
macro_rules! log {
    ($ready:expr, $events:expr, $($fields:tt)*) => {{
        let is_ready = $ready.is_some_and(|ready: &lockgate_base::model::Condition| {
            ready.status == lockgate_base::model::ConditionStatus::True
        });
        match $events.iter().map(|notice: &lockgate_core::verdict::Notice| notice.warning).max() {
            None => tracing::debug!($($fields)*),
            Some(true) if !is_ready => tracing::error!($($fields)*),
            Some(true) => tracing::warn!($($fields)*),
            Some(false) => tracing::info!($($fields)*),
        }
    }};
}

pub(super) use log;
