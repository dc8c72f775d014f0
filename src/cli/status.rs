//! `lockgate status`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::agent::rules_of;
use super::output::{self, CommandError, printable, printable_lines};
use super::shared::ClusterArguments;
use super::table::{TableForm, age, plain, trimmed};
use crate::bootstrap::manifests;
use crate::bootstrap::rollout;
use crate::clock::now;
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::{ConditionStatus, Object, Ref, Timestamp, yaml};
use lockgate_core::api::{self, HelmRelease, KindInfo, Kustomization, Role};
use lockgate_core::overview::{ChainEnd, Overview, Row, SourceRow, State};

mod kinds;
#[cfg(test)]
mod tests;

/// Show the state of the platform: failures first, with their root cause
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 all ready, 1 something is not ready or nothing exists, 3 the cluster could not be reached. \
                        It needs only rights to read; the agent need not run."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// The namespace to show
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE)]
    namespace: String,
    /// Show all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Leave out objects that are ready
    #[arg(long)]
    failing: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: TableForm,
}

pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let target = arguments.cluster.connect().await?;
    let objects = Objects::new(&target.client);
    let namespace = (!arguments.all_namespaces).then_some(arguments.namespace.as_str());
    let (sources, kustomizations, others, idle) = futures::try_join!(
        all_of(|role| matches!(role, Role::Source(_)), &objects, namespace),
        all_of(|role| matches!(role, Role::Applier(_)), &objects, namespace),
        kinds::find(&target.client, &objects, namespace),
        async { Ok(idle_agent(&objects, namespace).await) }
    )?;
    let is_installed = sources.is_some() || kustomizations.is_some();
    let whole = Overview::of(&sources.unwrap_or_default(), &kustomizations.unwrap_or_default());
    let elsewhere = namespaces(&whole);
    let overview = match namespace {
        Some(namespace) => whole.within(namespace),
        None => whole,
    };
    let nothing = overview.is_empty().then(|| nothing(namespace, is_installed, &elsewhere));
    let is_ready = overview.is_ready() && idle.is_none();
    let view = View {
        colour: output::has_colour(io::stdout().is_terminal()),
        now: now(),
        with_namespace: arguments.all_namespaces,
        failing: arguments.failing,
    };
    // They count as ready.
    let others = if view.failing { Vec::new() } else { others };
    let value = || {
        let mut value = value(&overview, &view);
        value["kinds"] = kinds::value(&others);
        value
    };
    let text = match arguments.output {
        TableForm::Table | TableForm::Wide => {
            kinds::table(&others) + &table(&overview, &view, arguments.output == TableForm::Wide)
        }
        TableForm::Json => format!("{:#}\n", value()),
        TableForm::Yaml => yaml::to_string(&value()),
        TableForm::Name => names(&overview, &view),
    };
    // Standard output is for the requested data.
    for note in idle.iter().chain(&nothing) {
        let _ = writeln!(io::stderr(), "! {}", printable_lines(note));
    }
    output::write(&text)?;
    Ok(ExitCode::from(u8::from(!is_ready)))
}

/// The warning that the installed agent of the shown namespace does not run, so that the shown state may be
/// out of date. `None` also for a user who may not read Deployments.
async fn idle_agent(objects: &Objects, namespace: Option<&str>) -> Option<String> {
    let mut agents = objects.list("apps/v1", "Deployment", None, manifests::AGENT).await.ok()?;
    if let Some(namespace) = namespace {
        agents.retain(|agent| rules_of(agent).map_or(true, |rules| rules.serves(namespace)));
    }
    let available =
        |agent: &&Object| agent.pointer("/status/availableReplicas").and_then(Value::as_i64).unwrap_or(0) > 0;
    let idle = agents.iter().find(|agent| !available(agent))?;
    let trouble = rollout::trouble(objects, idle, Some(idle)).await.ok().flatten();
    let cause = trouble.map_or_else(String::new, |trouble| format!(": {}", trouble.cause));
    Some(format!(
        "the agent is not running ({} has no ready pod{cause}), so the following may be out of date",
        idle.id().subject()
    ))
}

/// Why there is nothing to show: the wrong cluster, or the wrong namespace.
fn nothing(namespace: Option<&str>, is_installed: bool, elsewhere: &BTreeSet<String>) -> String {
    if !is_installed {
        let kinds: Vec<&str> = api::acted_on().map(|info| info.plural).collect();
        return format!(
            "lockgate is not installed here: the cluster serves none of {} (lockgate bootstrap installs it)",
            kinds.join(", ")
        );
    }
    let place = namespace.map_or("in any namespace".into(), |namespace| format!("in namespace {namespace}"));
    let mut text = format!("nothing to show: there is no Kustomization and no source {place}");
    if !elsewhere.is_empty() {
        let others = elsewhere.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        text = format!("{text}; there are some in {others} (-A looks everywhere)");
    }
    text
}

fn namespaces(overview: &Overview) -> BTreeSet<String> {
    let sources = overview.sources.iter().map(|source| source.key.namespace.clone());
    sources.chain(overview.kustomizations.iter().map(|row| row.key.namespace.clone())).collect()
}

/// How to print the status.
struct View {
    colour: bool,
    now: Timestamp,
    with_namespace: bool,
    failing: bool,
}

impl View {
    fn rows<'o>(&self, overview: &'o Overview) -> impl Iterator<Item = &'o Row> + use<'o> {
        let failing = self.failing;
        overview.kustomizations.iter().filter(move |row| !failing || row.state != State::Ready)
    }

    fn sources<'o>(&self, overview: &'o Overview) -> impl Iterator<Item = &'o SourceRow> + use<'o> {
        let failing = self.failing;
        overview.sources.iter().filter(move |source| !failing || source.ready != ConditionStatus::True)
    }

    fn name(&self, key: &Ref) -> String {
        if self.with_namespace { key.path() } else { key.name.clone() }
    }

    /// The name of an object in a row, or at the end of a chain. It has its kind too if that is a
    /// HelmRelease, among Kustomizations.
    fn title(&self, key: &Ref) -> String {
        let name = self.name(key);
        if key.kind == HelmRelease::ID { format!("{}/{name}", key.kind.kind) } else { name }
    }

    fn age(&self, since: Option<Timestamp>) -> String {
        since.map_or_else(|| "-".into(), |since| age(self.now.since(since)))
    }

    /// Colours the signs at the beginning of lines, after the columns have been aligned.
    fn coloured(&self, table: &str) -> String {
        let states =
            [State::Failing, State::Blocked(Vec::new()), State::Progressing, State::Suspended, State::Ready];
        let mut text = table.to_owned();
        for (glyph, colour) in states.iter().map(glyph).filter(|_| self.colour) {
            text = text.replace(&format!("\n{glyph}"), &format!("\n\x1b[{colour}m{glyph}\x1b[0m"));
        }
        text
    }
}

const fn glyph(state: &State) -> (&'static str, u8) {
    match state {
        State::Failing => ("✗", 31),
        State::Blocked(_) => ("⧗", 33),
        State::Progressing => ("◎", 36),
        State::Suspended => ("‖", 33),
        State::Ready => ("✔", 32),
    }
}

/// All objects of the kinds with a role that lockgate reconciles; `None` if the cluster has none of the
/// kinds.
async fn all_of(
    is_wanted: impl Fn(Role) -> bool,
    objects: &Objects,
    namespace: Option<&str>,
) -> Result<Option<Vec<Object>>, CommandError> {
    let kinds = api::acted_on().filter(|info| is_wanted(info.role));
    let listed = futures::future::try_join_all(kinds.map(|info| all(info, objects, namespace))).await?;
    let served: Vec<Vec<Object>> = listed.into_iter().flatten().collect();
    Ok((!served.is_empty()).then(|| served.concat()))
}

/// All objects of a kind in all namespaces, since the cause of a block may be in another one; only those of
/// one namespace if the user may not list all. `None` if the cluster does not have the kind.
async fn all(
    info: &KindInfo,
    objects: &Objects,
    namespace: Option<&str>,
) -> Result<Option<Vec<Object>>, CommandError> {
    let listed = objects.list_all_or_near(info, namespace).await;
    listed.map_err(|failure| CommandError::unreachable(format!("{}: {failure}", info.plural)))
}

fn table(overview: &Overview, view: &View, wide: bool) -> String {
    if overview.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    let sources: Vec<&SourceRow> = view.sources(overview).collect();
    if !sources.is_empty() {
        let header = ["SOURCE", "REVISION", "FETCHED", "READY", "WHAT", "URL"];
        let columns = if wide { 6 } else { 5 };
        let mut table = plain(&header[..columns]);
        for source in sources {
            let what = if source.ready == ConditionStatus::True { "" } else { source.message.as_str() };
            let cells = [
                view.name(&source.key),
                source.revision.clone().unwrap_or_else(|| "-".into()),
                source.fetched.map_or_else(|| "-".into(), |at| format!("{} ago", age(view.now.since(at)))),
                word(source.ready).into(),
                shown(what, wide),
                source.url.clone(),
            ];
            table.add_row(&cells[..columns]);
        }
        let _ = writeln!(text, "{}", trimmed(&table));
    }
    let rows: Vec<&Row> = view.rows(overview).collect();
    if !rows.is_empty() {
        let mut table = plain(&["KUSTOMIZATION", "READY", "REVISION", "AGE", "OBJECTS", "WHAT"]);
        for row in rows {
            table.add_row(cells(row, view, wide));
        }
        let _ = writeln!(text, "{}", view.coloured(&trimmed(&table)));
    }
    text.push_str(&summary(overview, view));
    text
}

fn cells(row: &Row, view: &View, wide: bool) -> [String; 6] {
    let ready = match row.state {
        State::Ready => "True",
        State::Failing | State::Blocked(_) => "False",
        State::Progressing => "Unknown",
        State::Suspended => "Paused",
    };
    let what = match &row.state {
        State::Blocked(chain) if !chain.is_empty() => blocked(row, chain, view),
        _ => shown(&row.what, wide),
    };
    [
        format!("{} {}", glyph(&row.state).0, view.title(&row.key)),
        ready.into(),
        row.revision.clone().unwrap_or_else(|| "-".into()),
        view.age(row.since),
        if row.objects == 0 { "-".into() } else { row.objects.to_string() },
        what,
    ]
}

fn blocked(row: &Row, chain: &[Ref], view: &View) -> String {
    let path = path(chain, view);
    match row.end {
        ChainEnd::Open => format!("blocked by {path}"),
        ChainEnd::Missing => format!("blocked by {path}, which does not exist"),
        ChainEnd::Cycle => format!("in a cycle: {} → {path}", view.title(&row.key)),
    }
}

fn path(chain: &[Ref], view: &View) -> String {
    chain.iter().map(|key| view.title(key)).collect::<Vec<_>>().join(" → ")
}

fn summary(overview: &Overview, view: &View) -> String {
    let count = |word: &str| overview.kustomizations.iter().filter(|row| row.state.word() == word).count();
    let mut parts: Vec<String> = ["failing", "blocked", "progressing", "suspended", "ready"]
        .iter()
        .filter(|word| count(word) > 0)
        .map(|word| format!("{} {word}", count(word)))
        .collect();
    let broken: Vec<String> =
        overview.broken_sources().map(|key| format!("source {}", view.name(key))).collect();
    if !broken.is_empty() {
        parts.push(format!("{} not ready", broken.join(", ")));
    }
    let causes: Vec<String> =
        broken.into_iter().chain(overview.root_causes.iter().map(|key| view.title(key))).collect();
    let cause =
        if causes.is_empty() { String::new() } else { format!("   Root cause: {}.", causes.join(", ")) };
    format!("{}.{cause}\n", parts.join(", "))
}

fn names(overview: &Overview, view: &View) -> String {
    let mut text = String::new();
    for source in view.sources(overview) {
        let _ = writeln!(text, "{}/{}", source.key.kind.kind.to_lowercase(), source.key.path());
    }
    for row in view.rows(overview) {
        let _ = writeln!(text, "{}/{}", row.key.kind.kind.to_lowercase(), row.key.path());
    }
    text
}

fn value(overview: &Overview, view: &View) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let sources: Vec<Value> = view
        .sources(overview)
        .map(|source| {
            json!({
                "kind": source.key.kind.kind,
                "namespace": source.key.namespace, "name": source.key.name, "url": source.url,
                "revision": source.revision, "fetched": time(source.fetched),
                "ready": word(source.ready), "message": source.message,
            })
        })
        .collect();
    let rows: Vec<Value> = view
        .rows(overview)
        .map(|row| {
            let blocked_by: Vec<String> = match &row.state {
                State::Blocked(chain) => chain.iter().map(named).collect(),
                _ => Vec::new(),
            };
            json!({
                "kind": row.key.kind.kind,
                "namespace": row.key.namespace, "name": row.key.name, "state": row.state.word(),
                "revision": row.revision, "since": time(row.since), "objects": row.objects,
                "message": row.what, "blockedBy": blocked_by,
                "dependsOn": row.depends_on.iter().map(named).collect::<Vec<_>>(),
            })
        })
        .collect();
    let causes = overview.broken_sources().chain(&overview.root_causes);
    let causes: Vec<String> = causes.map(Ref::to_string).collect();
    json!({"ready": overview.is_ready(), "rootCauses": causes, "sources": sources, "kustomizations": rows})
}

/// The name of an object in JSON and YAML; with its kind, if that is not the usual one.
fn named(key: &Ref) -> String {
    if key.kind == Kustomization::ID { key.path() } else { key.to_string() }
}

fn shown(message: &str, wide: bool) -> String {
    let mut lines = message.lines();
    let first = printable(lines.next().unwrap_or_default());
    match (wide, lines.count()) {
        (true, _) => printable(&message.replace('\n', "; ")),
        (false, 0) => first,
        (false, more) => format!("{first} (and {more} more lines: -o wide)"),
    }
}

const fn word(status: ConditionStatus) -> &'static str {
    match status {
        ConditionStatus::True => "True",
        ConditionStatus::False => "False",
        ConditionStatus::Unknown => "Unknown",
    }
}
