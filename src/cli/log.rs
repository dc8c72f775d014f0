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

/// The names of the levels.
const LEVELS: &str = "error, warn, info, debug or trace";

/// Starts to log to stdout at a level, or as the directives in `LOCKGATE_LOG` say.
pub(super) fn start(level: Level) {
    let filter = EnvFilter::try_from_env("LOCKGATE_LOG").unwrap_or_else(|_| filter(level));
    tracing_subscriber::fmt().event_format(Lines(now)).with_env_filter(filter).init();
}

/// Reads the name of a level.
pub(super) fn read_level(text: &str) -> Result<Level, String> {
    let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let found = levels.into_iter().find(|level| level_name(*level) == text);
    found.ok_or_else(|| format!("write {LEVELS}"))
}

/// What is logged at a level. Libraries say no more than warnings: at lower levels some print requests with
/// their credentials. Where the API server ends, kube warns of it once a watch, which the agent tells better.
fn filter(level: Level) -> EnvFilter {
    let libraries = level_name(level.min(Level::WARN));
    EnvFilter::new(format!("{libraries},kube_client=error,lockgate={}", level_name(level)))
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
        line.insert("level".into(), level_name(*metadata.level()).into());
        line.insert("ts".into(), (self.0)().into());
        event.record(&mut Fields(&mut line));
        line.insert("logger".into(), metadata.target().into());
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// The name of a level, in the log and in flags.
pub(super) const fn level_name(level: Level) -> &'static str {
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
    fn libraries_say_less_than_the_agent() {
        let logged = |level: &str| {
            let page = Page::default();
            let written = page.clone();
            let subscriber = tracing_subscriber::fmt()
                .event_format(Lines(|| "2026-01-02T03:04:05Z".into()))
                .with_env_filter(filter(read_level(level).unwrap()))
                .with_writer(move || page.clone());
            tracing::subscriber::with_default(subscriber.finish(), || {
                tracing::warn!(target: "kube_client::client", "eof in poll");
                tracing::debug!(target: "hyper::client", "authorization: Bearer token");
                tracing::warn!(target: "rustls::conn", "warned");
                tracing::error!(target: "lockgate::agent", "failed");
                tracing::info!(target: "lockgate::agent", "became leader");
                tracing::debug!(target: "lockgate_git::pool", "begins");
            });
            let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            let said = |line: &str| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["msg"].as_str().unwrap().to_owned()
            };
            written.lines().map(said).collect::<Vec<_>>()
        };
        assert_eq!(logged("error"), ["failed"]);
        assert_eq!(logged("warn"), ["warned", "failed"]);
        assert_eq!(logged("info"), ["warned", "failed", "became leader"]);
        assert_eq!(logged("debug"), ["warned", "failed", "became leader", "begins"]);
        assert_eq!(read_level("loud").unwrap_err(), "write error, warn, info, debug or trace");
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
