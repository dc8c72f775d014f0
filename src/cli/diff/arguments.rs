//! The arguments of a comparison, and of its output.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::agent::drift;
use crate::cli::releases::ReleaseFlags;
use crate::cli::shared::ClusterArguments;
use crate::preview::AgentRules;
use lockgate_base::keys;
use lockgate_core::plan::DriftPolicy;

/// Show what the agent would do next, without doing it
///
/// Compares Git, or a working tree, with the cluster, by a dry run of the API server. It shows objects that
/// would be created, configured, recreated, pruned or refused, and those that a guard keeps. With --from it
/// compares two commits, without a cluster, with the objects of HelmReleases whose charts are in the
/// repository or at hand. It writes nothing, and the agent need not run. Values of Secrets
/// are not shown.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    pub(super) cluster: ClusterArguments,
    /// The folder of a platform: all Kustomizations in it, and those in their builds
    #[arg(value_name = "PATH", conflicts_with_all = ["kustomization", "all_namespaces"])]
    pub(super) platform: Option<PathBuf>,
    /// One Kustomization: its name, NAMESPACE/NAME, or a file that holds it
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "all_namespaces")]
    pub(super) kustomization: Option<String>,
    /// Build --kustomization from a working tree and not from its source: from the folder of its spec.path,
    /// or from the folder that spec.path begins in
    #[arg(long, value_name = "DIR", requires = "kustomization")]
    pub(super) path: Option<PathBuf>,
    /// All Kustomizations of the cluster, each from its source
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,
    /// Compare with this revision, and not with a cluster
    #[arg(long, value_name = "REV", conflicts_with_all = ["kustomization", "all_namespaces"])]
    pub(super) from: Option<String>,
    /// The revision to compare with --from; the working tree by default
    #[arg(long, value_name = "REV", requires = "from")]
    pub(super) to: Option<String>,
    /// The only folder of a working tree from which files are read; by default the repository that contains
    /// PATH or DIR
    #[arg(long, value_name = "FOLDER")]
    pub(super) root: Option<PathBuf>,
    /// The namespace of --kustomization
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE)]
    pub(super) namespace: String,
    #[command(flatten)]
    pub(super) agent: AgentFlags,
    #[command(flatten)]
    pub(super) releases: ReleaseFlags,
    /// Warn of objects of --to in versions that this release of Kubernetes no longer serves, such as 1.33
    #[arg(long, value_name = "VERSION", requires = "from")]
    pub(super) kube_version: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: DiffFormat,
}

/// The flags of the agent, if its Deployment does not have them.
#[derive(Args)]
pub(super) struct AgentFlags {
    /// Compare as an agent with --lockdown, or without it; by default as the agent's Deployment
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    lockdown: Option<bool>,
    /// Compare as an agent with this --drift; by default as the agent's Deployment
    #[arg(long, value_name = "POLICY", value_parser = drift)]
    drift: Option<DriftPolicy>,
    /// The ServiceAccount of Kustomizations that name none; by default as the agent's Deployment
    #[arg(long, value_name = "NAME")]
    default_service_account: Option<String>,
    /// Compare as an agent with --allow-insecure-registries, or without it; by default as the agent's
    /// Deployment
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    allow_insecure_registries: Option<bool>,
}

impl AgentFlags {
    /// Overrides rules with the given flags.
    pub(super) fn lay_over(&self, rules: &mut AgentRules) {
        rules.tenancy.lockdown = self.lockdown.unwrap_or(rules.tenancy.lockdown);
        rules.drift = self.drift.unwrap_or(rules.drift);
        if let Some(account) = &self.default_service_account {
            rules.tenancy.default_service_account = Some(account.clone());
        }
        rules.allows_insecure_registries =
            self.allow_insecure_registries.unwrap_or(rules.allows_insecure_registries);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum DiffFormat {
    /// Lines of YAML for people
    #[default]
    Text,
    /// JSON
    Json,
    /// kind/namespace/name of what differs or is refused, one a line
    Name,
    /// A comment for a pull request, with long parts folded
    Markdown,
}

const EXAMPLES: &str = "\
Examples:
  lockgate diff -A
      what the agent would do next, for all Kustomizations
  lockgate diff --kustomization apps --path .
      what a working tree would change of the Kustomization 'apps'
  lockgate diff kubernetes/production/eu-west9
      what a working tree would change of a whole region
  lockgate diff --from origin/main kubernetes/production/eu-west9 -o markdown
      what a branch changes, for a pull request, without a cluster
  lockgate diff --from HEAD~1 --to HEAD --fetch kubernetes/production/eu-west9
      what a commit changes, the objects of the charts included whose versions it raises

Exit codes: 0 no differences, 1 differences, 2 wrong usage or a failed build, 3 the cluster could not be reached, \
4 refused by the server or by a guard.";
