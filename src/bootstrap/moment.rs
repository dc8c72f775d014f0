//! Computes times before and after others, and prints how long ago a time was.

use std::time::Duration;

use crate::clock::now;
use lockgate_base::model::Timestamp;

/// The time after a duration.
pub(crate) fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    Timestamp::from_unix(moment.unix().saturating_add(seconds(duration)))
}

/// The time before a duration.
pub(crate) fn before(moment: Timestamp, duration: Duration) -> Timestamp {
    Timestamp::from_unix(moment.unix().saturating_sub(seconds(duration)))
}

/// How long ago a time was: `40 s ago`, `3 min ago`, `2 h ago`, `5 d ago`.
pub(crate) fn ago(moment: Timestamp) -> String {
    in_words(now().since(moment))
}

fn in_words(since: Duration) -> String {
    let seconds = since.as_secs();
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_told_in_its_largest_unit() {
        for (seconds, told) in
            [(0, "0 s ago"), (119, "119 s ago"), (180, "3 min ago"), (7200, "2 h ago"), (864_000, "10 d ago")]
        {
            assert_eq!(in_words(Duration::from_secs(seconds)), told);
        }
    }

    #[test]
    fn a_moment_moves_both_ways() {
        let (moment, hour) = (Timestamp::from_unix(7200), Duration::from_hours(1));
        assert_eq!((after(moment, hour).unix(), before(moment, hour).unix()), (10_800, 3600));
        assert!(after(moment, Duration::MAX) > moment && before(moment, Duration::MAX) < moment);
    }
}
