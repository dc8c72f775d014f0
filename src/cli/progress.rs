//! Prints the progress of a run: lines for people on standard error, or one JSON object a line on standard
//! output.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::output::{self, CommandError, printable, printable_lines};
use crate::bootstrap::problem::{FailedStep, Problem};
use crate::bootstrap::progress::ProgressEvent;
use crate::bootstrap::put::PutOutcome;
use lockgate_base::model::Ref;

/// The width of a step's name.
const NAME_WIDTH: usize = 11;
/// The column at which a line's time ends, on a terminal that is wide enough.
const TIME_COLUMN: usize = 96;

/// How the progress is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum ProgressFormat {
    /// Lines for people, on standard error
    #[default]
    Text,
    /// One JSON object a line, on standard output
    Json,
}

/// Prints events in one format.
pub(super) struct Printer {
    form: ProgressFormat,
    colour: bool,
    live: bool,
    /// Whether the next line may overwrite the last one.
    is_open: bool,
    /// Whether the run changes nothing on purpose.
    is_rehearsal: bool,
    /// The last wait that was printed, so that a file does not fill with the same line.
    waiting: String,
}

impl Printer {
    pub(super) fn new(form: ProgressFormat) -> Self {
        Self {
            form,
            colour: output::has_colour(io::stderr().is_terminal()),
            live: output::is_live(),
            is_open: false,
            is_rehearsal: false,
            waiting: String::new(),
        }
    }

    /// A printer for a dry run.
    pub(super) fn rehearsing(form: ProgressFormat) -> Self {
        Self { is_rehearsal: true, ..Self::new(form) }
    }

    /// Prints the heading of the run.
    pub(super) fn heading(&mut self, text: &str) {
        match self.form {
            ProgressFormat::Text => self.line(&format!(" {text}"), false),
            ProgressFormat::Json => print_json(&json!({"event": "start", "detail": text})),
        }
    }

    /// Prints one event.
    pub(super) fn print(&mut self, event: &ProgressEvent) {
        match self.form {
            ProgressFormat::Text => self.print_text(event),
            ProgressFormat::Json => print_json(&json_of(event)),
        }
    }

    /// Prints the end of the run.
    pub(super) fn end(
        &mut self,
        result: Result<(), FailedStep>,
        changed: PutOutcome,
        took: Duration,
        next: &str,
    ) -> Result<ExitCode, CommandError> {
        match result {
            Ok(()) => {
                let what = match changed {
                    PutOutcome::Unchanged if self.is_rehearsal => "dry run: nothing was changed",
                    PutOutcome::Unchanged => "already up to date, nothing was changed",
                    PutOutcome::Adopted | PutOutcome::Configured | PutOutcome::Created => "done",
                };
                match self.form {
                    ProgressFormat::Json => {
                        print_json(
                            &json!({"event": "done", "change": changed.to_string(), "seconds": seconds(took)}),
                        );
                    }
                    ProgressFormat::Text => {
                        self.line(&format!("{} {what} in {}", self.glyph("ready"), in_seconds(took)), false);
                        if !next.is_empty() {
                            self.line(&format!("  next: {next}"), false);
                        }
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(failure) => {
                if self.form == ProgressFormat::Json {
                    let problems: Vec<Value> = failure.problems.iter().map(json_problem).collect();
                    print_json(&json!({"event": "failed", "step": failure.step, "problems": problems}));
                }
                self.close();
                Err(CommandError::from(failure))
            }
        }
    }

    fn print_text(&mut self, event: &ProgressEvent) {
        match event {
            ProgressEvent::Step { name, detail, change, took } => {
                let change = change.map(|change| format!("  ({change})")).unwrap_or_default();
                let detail = printable(detail);
                let text = format!("{} {name:NAME_WIDTH$} {detail}{change}", self.glyph("ready"));
                self.line(&with_time(&text, *took, output::width()), false);
            }
            ProgressEvent::Waiting { name, detail, since } => {
                let news = format!("{name} {detail}");
                if self.waiting == news && !self.live {
                    return;
                }
                self.waiting = news;
                let glyph = self.glyph("progressing");
                let text = format!(
                    "{glyph} {name:NAME_WIDTH$} waiting {}: {}",
                    in_seconds(*since),
                    printable(first_line(detail))
                );
                self.line(&text, true);
            }
            ProgressEvent::Order(levels) => {
                let text =
                    format!("{} {:NAME_WIDTH$} order: {}", self.glyph("progressing"), "sync", order(levels));
                self.line(&text, false);
            }
            ProgressEvent::Kustomization { key, state, detail, took } => {
                let glyph = self.glyph(state);
                let text = format!("  {glyph} {:20} {}", key.name, printable(first_line(detail)));
                let is_end = matches!(*state, "ready" | "suspended");
                let text = if is_end { with_time(&text, *took, output::width()) } else { text };
                self.line(&text, !is_end && *state != "failing");
            }
            ProgressEvent::Fact(text) => self.line(&format!("  · {}", printable(text)), false),
            ProgressEvent::Note(text) => {
                let text = printable_lines(text).replace('\n', "\n    ");
                self.line(&format!("  ! {text}"), false);
            }
        }
    }

    /// Writes a line. On a terminal the next line overwrites an open one.
    fn line(&mut self, text: &str, open: bool) {
        let mut stderr = io::stderr().lock();
        // A closed terminal or pipe must not end the run half-way.
        let _ = if self.is_open { write!(stderr, "\r\x1b[2K") } else { Ok(()) };
        self.is_open = open && self.live;
        let _ = if self.is_open {
            write!(stderr, "{}", cut(text, output::width()))
        } else {
            writeln!(stderr, "{text}")
        };
        let _ = stderr.flush();
    }

    fn close(&mut self) {
        if self.is_open {
            let _ = writeln!(io::stderr());
            self.is_open = false;
        }
    }

    fn glyph(&self, state: &str) -> String {
        let (glyph, colour) = match state {
            "ready" => ("✔", 32),
            "failing" => ("✗", 31),
            "blocked" => ("⧗", 33),
            "suspended" => ("‖", 33),
            _ => ("◎", 36),
        };
        if self.colour { format!("\x1b[{colour}m{glyph}\x1b[0m") } else { glyph.into() }
    }
}

/// The order of the levels, as in `crds → kube-security, kube-observability → foobar`.
fn order(levels: &[Vec<Ref>]) -> String {
    let level = |keys: &Vec<Ref>| keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(", ");
    levels.iter().map(level).collect::<Vec<_>>().join(" → ")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The text with its time at the end: in the time column, or at the edge of a narrower terminal.
fn with_time(text: &str, took: Duration, terminal: Option<usize>) -> String {
    let time = in_seconds(took);
    let column = terminal.map_or(TIME_COLUMN, |width| TIME_COLUMN.min(width));
    let used = marked(text).filter(|(_, is_shown)| *is_shown).count() + time.len();
    let gap = column.saturating_sub(used).max(2);
    format!("{text}{:gap$}{time}", "")
}

/// Cuts a line to one row of the terminal minus one column: some terminals wrap in the last column, and only
/// one row can be overwritten. Colour codes take no room, and those that end a colour are kept.
fn cut(text: &str, terminal: Option<usize>) -> String {
    let mut left = terminal.map_or(usize::MAX, |width| width.saturating_sub(1));
    let fits = marked(text).filter(|(_, is_shown)| {
        let fits = !is_shown || left > 0;
        left -= usize::from(*is_shown && fits);
        fits
    });
    fits.map(|(char, _)| char).collect()
}

/// The characters of a text, each with whether it is visible. Those of a colour code, from the escape to the
/// `m`, are not.
fn marked(text: &str) -> impl Iterator<Item = (char, bool)> {
    let mut in_colour = false;
    text.chars().map(move |char| {
        in_colour |= char == '\x1b';
        let is_shown = !in_colour;
        in_colour &= char != 'm';
        (char, is_shown)
    })
}

fn in_seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn json_of(event: &ProgressEvent) -> Value {
    match event {
        ProgressEvent::Step { name, detail, change, took } => json!({
            "event": "step", "step": name, "detail": detail, "seconds": seconds(*took),
            "change": change.map(|change| change.to_string()),
        }),
        ProgressEvent::Waiting { name, detail, since } => {
            json!({"event": "waiting", "step": name, "detail": detail, "seconds": seconds(*since)})
        }
        ProgressEvent::Order(levels) => {
            let levels: Vec<Vec<String>> =
                levels.iter().map(|keys| keys.iter().map(Ref::path).collect()).collect();
            json!({"event": "order", "levels": levels})
        }
        ProgressEvent::Kustomization { key, state, detail, took } => json!({
            "event": "kustomization", "namespace": key.namespace, "name": key.name, "state": state, "detail": detail,
            "seconds": seconds(*took),
        }),
        ProgressEvent::Fact(text) | ProgressEvent::Note(text) => json!({"event": "note", "detail": text}),
    }
}

fn json_problem(problem: &Problem) -> Value {
    json!({"cause": problem.to_string(), "fix": problem.fix()})
}

/// Prints a value as one line. A reader that has gone must not end the run half-way either.
fn print_json(value: &Value) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{value}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_core::api::Kustomization;

    #[test]
    fn the_order_reads_from_left_to_right() {
        let key = |name: &str| Kustomization::named("n", name);
        let levels = [vec![key("crds")], vec![key("a"), key("b")], vec![key("foobar")]];
        assert_eq!(order(&levels), "crds → a, b → foobar");
    }

    #[test]
    fn times_stand_in_a_column_and_never_touch_the_text() {
        let took = Duration::from_millis(1240);
        let green = "\x1b[32m✔\x1b[0m short";
        for (text, terminal, columns) in [
            ("✔ short", None, TIME_COLUMN),
            ("✔ short", Some(200), TIME_COLUMN),
            ("✔ short", Some(80), 80),
            (green, Some(80), 80 + green.chars().count() - "✔ short".chars().count()),
            ("✔ short", Some(5), "✔ short  1.2s".chars().count()),
        ] {
            let line = with_time(text, took, terminal);
            assert_eq!((line.chars().count(), line.ends_with("  1.2s")), (columns, true), "{terminal:?}");
        }
        let long = "x".repeat(200);
        assert_eq!(with_time(&long, took, Some(80)), format!("{long}  1.2s"));
    }

    #[test]
    fn an_open_line_takes_one_row() {
        for (text, terminal, expected) in [
            ("12345", Some(6), "12345"),
            ("12345", Some(5), "1234"),
            ("\x1b[36m◎\x1b[0m 345", Some(5), "\x1b[36m◎\x1b[0m 34"),
            ("\x1b[36m◎◎\x1b[0m", Some(2), "\x1b[36m◎\x1b[0m"),
            ("12345", Some(0), ""),
            ("12345", None, "12345"),
        ] {
            assert_eq!(cut(text, terminal), expected, "{text:?}");
        }
    }

    #[test]
    fn events_are_one_object_each() {
        let event = ProgressEvent::Step {
            name: "secret",
            detail: "n/s".into(),
            change: Some(PutOutcome::Created),
            took: Duration::from_millis(120),
        };
        let expected = json!({
            "event": "step", "step": "secret", "detail": "n/s", "seconds": 0.12, "change": "created",
        });
        assert_eq!(json_of(&event), expected);
    }
}
