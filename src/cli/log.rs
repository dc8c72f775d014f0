//! The agent's log: one JSON object a line, with the field names of Flux's controllers, so that `flux logs`
//! and existing queries for Flux can read it.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// lockgate's names of fields, and those of controller-runtime, which `flux logs` reads (`ControllerLogEntry`
/// in its logs.go).
const NAMES: [(&str, &str); 3] =
    [("message", "msg"), ("kind", "controllerKind"), ("reconcile", "reconcileID")];

/// Starts to log to stdout, at the level in `LOCKGATE_LOG`.
pub(super) fn start() {
    let filter = EnvFilter::try_from_env("LOCKGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().event_format(Lines(now)).with_env_filter(filter).init();
}

fn now() -> String {
    k8s_openapi::jiff::Timestamp::now().to_string()
}

/// The format of a line, with the clock for its timestamp.
struct Lines(fn() -> String);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("level".into(), level(*metadata.level()).into());
        line.insert("ts".into(), (self.0)().into());
        event.record(&mut Fields(&mut line));
        line.insert("logger".into(), metadata.target().into());
        writeln!(writer, "{}", Value::Object(line))
    }
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

struct Fields<'m>(&'m mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let ours = field.name();
        let name = NAMES.iter().find(|(name, _)| *name == ours).map_or(ours, |(_, theirs)| theirs);
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_read_by_what_reads_flux() {
        let page = Page::default();
        let written = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Lines(|| "2026-01-02T03:04:05Z".into()))
            .with_writer(move || page.clone());
        tracing::subscriber::with_default(subscriber.finish(), || {
            let error = "it said \"no\"\n";
            tracing::error!(kind = "Kustomization", name = "apps", reconcile = 7_u64, revision = Some("main@sha1:1"), %error,
                            "apply {}", "failed");
            tracing::info!(is_left_out = None::<&str>, ready = true, "ended");
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(
            lines,
            [
                r#"{"level":"error","ts":"2026-01-02T03:04:05Z","msg":"apply failed","controllerKind":"Kustomization","name":"apps","reconcileID":7,"revision":"main@sha1:1","error":"it said \"no\"\n","logger":"lockgate::cli::log::tests"}"#,
                r#"{"level":"info","ts":"2026-01-02T03:04:05Z","msg":"ended","ready":true,"logger":"lockgate::cli::log::tests"}"#,
            ]
        );
    }
}
