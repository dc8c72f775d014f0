//! `lockgate keys`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use ssh_key::{Fingerprint, PublicKey};

use super::output::{self, CommandError, printable};
use super::progress::{Printer, ProgressFormat};
use super::shared::{days, key_pair, lifetime};
use super::table::{TableForm, age, plain, trimmed};
use super::token::{HubArguments, repository};
use crate::bootstrap::github::GitHub;
use crate::bootstrap::keyring::{self, LEAST_UNUSED, ListedKeys, Unwanted};
use crate::bootstrap::leftovers::Age;
use crate::bootstrap::moment;
use crate::bootstrap::problem::FailedStep;
use crate::bootstrap::progress::ProgressLog;
use crate::bootstrap::title::{ClusterName, Title};
use crate::clock;
use lockgate_base::keys;
use lockgate_base::model::yaml;

const EXAMPLES: &str = "\
Examples:
  lockgate keys list acme/platform
  lockgate keys delete acme/platform --cluster-name eu-west9
      for a cluster that is gone, or about to go
  lockgate keys prune acme/platform --expired
      of clusters with a --key-ttl
  lockgate keys prune acme/platform --unused-for 30d --dry-run

Only GitHub is contacted, with the token in GITHUB_TOKEN unless a flag says otherwise; it needs \"Administration: read
and write\". Exit codes: 0 done or nothing to do, 1 failed, 2 wrong usage, 3 GitHub could not be reached, 4 refused for
safety.";

/// Manage the deploy keys of a repository at GitHub, without a cluster
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    List(ListArguments),
    Create(CreateArguments),
    Delete(DeleteArguments),
    Prune(PruneArguments),
}

#[derive(Args)]
struct AtGithub {
    /// The repository, as OWNER/REPO
    #[arg(value_name = "OWNER/REPO")]
    repository: String,
    #[command(flatten)]
    hub: HubArguments,
}

impl AtGithub {
    fn sign_in(&self) -> Result<GitHub, CommandError> {
        self.hub.sign_in(repository(&self.repository)?).map(|signed_in| signed_in.github)
    }
}

/// List the deploy keys and the clusters that they belong to
#[derive(Args)]
struct ListArguments {
    #[command(flatten)]
    github: AtGithub,
    /// Only keys of clusters with this name
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<ClusterName>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: TableForm,
}

/// Register an existing key for a cluster that need not exist yet
#[derive(Args)]
struct CreateArguments {
    #[command(flatten)]
    github: AtGithub,
    /// The cluster's name
    #[arg(long, value_name = "NAME")]
    cluster_name: ClusterName,
    /// The private or the public key, in the format of `ssh-keygen`
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// The agent's namespace
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE)]
    namespace: String,
    /// The lifetime of the key, such as 12h
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    key_ttl: Option<Duration>,
    /// Print what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print the progress
    #[arg(short, long, value_enum, default_value_t)]
    output: ProgressFormat,
}

/// Delete the keys of a cluster that is gone, or one key
#[derive(Args)]
struct DeleteArguments {
    #[command(flatten)]
    github: AtGithub,
    #[command(flatten)]
    which: Which,
    /// The uid of the cluster's namespace kube-system, or its first 8 digits, if two clusters have the same
    /// name
    #[arg(long, value_name = "UID", requires = "cluster_name")]
    uid: Option<String>,
    #[command(flatten)]
    deletion: DeletionArguments,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// All keys of the cluster with this name
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<ClusterName>,
    /// The key with this fingerprint, as SHA256:…
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    key: Option<String>,
}

/// Delete lockgate's keys that have expired, or that nobody uses
#[derive(Args)]
struct PruneArguments {
    #[command(flatten)]
    github: AtGithub,
    #[command(flatten)]
    age: AgeArguments,
    /// Only keys of clusters with this name
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<ClusterName>,
    #[command(flatten)]
    deletion: DeletionArguments,
}

#[derive(Args)]
struct DeletionArguments {
    /// Print what would be deleted, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print the progress
    #[arg(short, long, value_enum, default_value_t)]
    output: ProgressFormat,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct AgeArguments {
    /// Keys whose --key-ttl has passed, unless they were used afterwards
    #[arg(long)]
    expired: bool,
    /// Keys that were created and last used longer ago than this, at least 7d
    #[arg(long, value_name = "DURATION", value_parser = unused_for)]
    unused_for: Option<Duration>,
}

/// Parses a fingerprint as `lockgate keys list` prints it.
fn fingerprint(text: &str) -> Result<String, String> {
    let is_one = matches!(text.parse(), Ok(Fingerprint::Sha256(_)));
    if is_one {
        Ok(text.into())
    } else {
        Err("it is no fingerprint, as in SHA256:… of lockgate keys list".into())
    }
}

fn unused_for(text: &str) -> Result<Duration, String> {
    let duration = days(text)?;
    if duration < LEAST_UNUSED {
        return Err("GitHub's last use lags; give at least 7d".into());
    }
    Ok(duration)
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CommandError> {
    match arguments.act {
        Act::List(arguments) => list(&arguments).await,
        Act::Create(arguments) => create(&arguments).await,
        Act::Delete(arguments) => {
            let Which { cluster_name, key } = arguments.which;
            let unwanted = match (cluster_name, key) {
                (Some(name), _) => Unwanted::Cluster { name, uid: arguments.uid },
                (None, key) => Unwanted::Fingerprint(key.unwrap_or_default()),
            };
            remove(&arguments.github, &unwanted, &arguments.deletion).await
        }
        Act::Prune(arguments) => {
            let age = arguments.age.unused_for.map_or(Age::Expired, Age::Unused);
            let unwanted = Unwanted::Aged { age, name: arguments.cluster_name };
            remove(&arguments.github, &unwanted, &arguments.deletion).await
        }
    }
}

async fn remove(
    github: &AtGithub,
    unwanted: &Unwanted,
    deletion: &DeletionArguments,
) -> Result<ExitCode, CommandError> {
    let github = github.sign_in()?;
    let (now, is_rehearsed) = (clock::now(), deletion.dry_run);
    told(deletion.output, is_rehearsed, async |progress| {
        keyring::remove(&github, unwanted, is_rehearsed, now, progress).await
    })
    .await
}

async fn create(arguments: &CreateArguments) -> Result<ExitCode, CommandError> {
    let key = public_key(&arguments.key_file)?;
    let github = arguments.github.sign_in()?;
    let until = arguments.key_ttl.map(|ttl| moment::after(clock::now(), ttl));
    let title = Title::new(&arguments.cluster_name.to_string(), None, &arguments.namespace, until);
    let is_rehearsed = arguments.dry_run;
    told(arguments.output, is_rehearsed, async |progress| {
        keyring::create(&github, &title, &key, is_rehearsed, progress).await
    })
    .await
}

/// Runs a step that reports its progress.
async fn told(
    form: ProgressFormat,
    is_rehearsed: bool,
    step: impl AsyncFnOnce(&mut ProgressLog<'_>) -> Result<(), FailedStep>,
) -> Result<ExitCode, CommandError> {
    let mut printer = if is_rehearsed { Printer::rehearsing(form) } else { Printer::new(form) };
    let mut sink = |event| printer.print(&event);
    let mut progress = ProgressLog::new(&mut sink);
    let result = step(&mut progress).await;
    let (changed, took) = (progress.changed, progress.started.elapsed());
    printer.end(result, changed, took, "")
}

/// The public key of the key pair whose private or public key is in a file.
fn public_key(file: &Path) -> Result<PublicKey, CommandError> {
    match std::fs::read_to_string(file).ok().and_then(|text| PublicKey::from_openssh(text.trim()).ok()) {
        Some(public) => Ok(public),
        None => key_pair(file).map(|pair| pair.public().clone()),
    }
}

async fn list(arguments: &ListArguments) -> Result<ExitCode, CommandError> {
    let github = arguments.github.sign_in()?;
    let listed = keyring::list(&github, arguments.cluster_name.as_ref()).await?;
    let value = || listed.iter().map(value).collect::<Value>();
    let text = match arguments.output {
        TableForm::Table => table(&listed, false),
        TableForm::Wide => table(&listed, true),
        TableForm::Json => format!("{:#}\n", value()),
        TableForm::Yaml => yaml::to_string(&value()),
        TableForm::Name => listed.iter().map(|row| row.key.id.to_string() + "\n").collect(),
    };
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(listed: &[ListedKeys], wide: bool) -> String {
    let now = clock::now();
    let mut header = vec!["CLUSTER", "UID", "NAMESPACE", "FINGERPRINT", "MODE", "AGE", "LAST USED", "UNTIL"];
    if wide {
        header.extend(["ID", "TITLE"]);
    }
    let mut table = plain(&header);
    for ListedKeys { key, title } in listed {
        let of = |field: fn(&Title) -> &str| title.as_ref().map_or("-", field).to_owned();
        let mode = if key.read_only { "read-only" } else { "READ-WRITE" };
        let mut row = vec![
            printable(&of(|title| &title.cluster)),
            of(|title| &title.uid),
            of(|title| &title.namespace),
            key.fingerprint(),
            if key.enabled == Some(false) { format!("{mode}, disabled") } else { mode.into() },
            age(now.since(key.created_at)),
            key.last_used.map_or_else(|| "-".into(), |at| format!("{} ago", age(now.since(at)))),
            title.as_ref().and_then(|title| title.until).map_or_else(|| "-".into(), |at| at.to_string()),
        ];
        if wide {
            row.extend([key.id.to_string(), printable(&key.title)]);
        }
        table.add_row(row);
    }
    trimmed(&table)
}

fn value(ListedKeys { key, title }: &ListedKeys) -> Value {
    let of = |field: fn(&Title) -> &str| title.as_ref().map(field);
    json!({
        "id": key.id,
        "title": key.title,
        "cluster": of(|title| &title.cluster),
        "uid": of(|title| &title.uid),
        "namespace": of(|title| &title.namespace),
        "until": title.as_ref().and_then(|title| title.until),
        "fingerprint": key.fingerprint(),
        "readOnly": key.read_only,
        "enabled": key.enabled,
        "createdAt": key.created_at,
        "lastUsed": key.last_used,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_sha256() {
        let print = "SHA256:uNiVztksCsDhcc0u9e8BrrulTo/TCNpY4hVdmLNVkzM";
        assert_eq!(fingerprint(print), Ok(print.into()));
        for text in ["nonsense", "SHA256:foo", "SHA512:uNiV", "", print.strip_prefix("SHA256:").unwrap()] {
            assert!(fingerprint(text).unwrap_err().contains("no fingerprint"), "{text}");
        }
    }
}
