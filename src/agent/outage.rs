//! What the log says of the agent's watches. Where the API server ends, all of them end, and one line tells
//! of it.

use std::collections::BTreeSet;

use lockgate_core::pipeline::ports::ApiFailure;

/// The watches whose server does not answer.
#[derive(Debug, Default)]
pub(super) struct Outage {
    away: BTreeSet<&'static str>,
}

/// What a change of a watch means for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchNews {
    /// It is interrupted, by itself or as the first.
    Interrupted,
    /// It is interrupted by the outage that another watch has told of.
    InterruptedToo,
    /// It is established.
    Established,
    /// It is established, as the last of an outage.
    OutageOver,
}

impl Outage {
    /// Logs how the watch of a kind stands.
    pub(super) fn tell(&mut self, kind: &'static str, failure: Option<&ApiFailure>) {
        let news = self.news(kind, failure);
        let problem = failure.map(ToString::to_string).unwrap_or_default();
        match news {
            WatchNews::Interrupted => tracing::warn!(watch = kind, %problem, "watch interrupted"),
            WatchNews::InterruptedToo => tracing::debug!(watch = kind, %problem, "watch interrupted"),
            WatchNews::Established => tracing::debug!(watch = kind, "watch established"),
            WatchNews::OutageOver => tracing::info!("all watches are established again"),
        }
    }

    fn news(&mut self, kind: &'static str, failure: Option<&ApiFailure>) -> WatchNews {
        let Some(failure) = failure else {
            let was_away = self.away.remove(kind);
            let is_over = was_away && self.away.is_empty();
            return if is_over { WatchNews::OutageOver } else { WatchNews::Established };
        };
        // A missing right, or a kind that is not served, is a matter of this watch alone.
        if !matches!(failure, ApiFailure::Unavailable { .. }) {
            self.away.remove(kind);
            return WatchNews::Interrupted;
        }
        let is_first = self.away.is_empty();
        self.away.insert(kind);
        if is_first { WatchNews::Interrupted } else { WatchNews::InterruptedToo }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_core::pipeline::ports::Denied;

    #[test]
    fn one_line_tells_of_the_end_of_the_api_server_and_one_of_its_return() {
        let away = ApiFailure::Unavailable { message: "connection refused".into(), retry_after: None };
        let denied = ApiFailure::Forbidden(Denied {
            account: String::new(),
            verb: "watch".into(),
            resource: "secrets".into(),
            namespace: String::new(),
        });
        let mut outage = Outage::default();
        for (kind, failure, expected) in [
            ("Secret", None, WatchNews::Established),
            ("Secret", Some(&away), WatchNews::Interrupted),
            ("ConfigMap", Some(&away), WatchNews::InterruptedToo),
            ("Kustomization", Some(&denied), WatchNews::Interrupted),
            ("Secret", None, WatchNews::Established),
            ("ConfigMap", None, WatchNews::OutageOver),
            ("Kustomization", None, WatchNews::Established),
            ("ConfigMap", Some(&away), WatchNews::Interrupted),
        ] {
            assert_eq!(outage.news(kind, failure), expected, "{kind} {failure:?}");
        }
    }
}
