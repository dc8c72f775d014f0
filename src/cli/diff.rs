//! `lockgate diff`.

mod changes;
mod lines;
mod section;
mod print;
mod output;
mod cluster;
mod commits;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::input::on_deep_stack;
use super::output::{Error, has_colour};
use super::shared::ClusterArguments;
use cluster::{Fetchers, Whole};
use lockgate_base::keys;
use output::Output;
use print::Paint;

/// Show what the agent would do next, without doing it
///
/// Compares what is in Git, or in a working tree, with what is on the cluster, by the server's own dry run: objects that would
/// be created, configured, deleted and made anew, pruned or refused, and those that a guard keeps. With --from it compares two
/// commits and needs no cluster. Nothing is written, and the agent need not run. Values of Secrets are not shown.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// A folder of a platform, with all Kustomizations that follow from it
    #[arg(value_name = "PATH", conflicts_with_all = ["kustomization", "all_namespaces"])]
    platform: Option<PathBuf>,
    /// One Kustomization: its name, NAMESPACE/NAME, or a file that holds it
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "all_namespaces")]
    kustomization: Option<String>,
    /// Build --kustomization from a working tree and not from its source: the folder of its spec.path, or the folder in which
    /// that is
    #[arg(long, value_name = "DIR", requires = "kustomization")]
    path: Option<PathBuf>,
    /// All Kustomizations of the cluster, each from its source
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Compare with this revision instead of with a cluster
    #[arg(long, value_name = "REV", conflicts_with_all = ["kustomization", "all_namespaces"])]
    from: Option<String>,
    /// The revision that is compared with --from, by default the working tree
    #[arg(long, value_name = "REV", requires = "from")]
    to: Option<String>,
    /// The folder outside which nothing of a working tree is read; without it the repository that PATH or DIR is in
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// The namespace of --kustomization
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE)]
    namespace: String,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Form {
    /// Lines of YAML for people
    #[default]
    Text,
    /// JSON
    Json,
    /// kind/namespace/name of what differs or is refused, one a line
    Name,
    /// A comment for a pull request, its long parts folded
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

Exit codes: 0 nothing differs, 1 something does, 2 wrong usage or it does not build, 3 the cluster could not be asked, 4 refused \
by the server or by a guard.";

/// Compares. What a fetch needs is set up before there are threads.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let paint = Paint(has_colour(io::stdout().is_terminal()));
    let mut output = Output::new(arguments.output, paint);
    if let Some(from) = &arguments.from {
        on_deep_stack(|| commits::compare(arguments, from, &mut output))??;
        return output.finish();
    }
    let whole = match (&arguments.kustomization, &arguments.platform) {
        (Some(name), _) => Whole::One(name),
        (None, Some(folder)) => Whole::Folder(folder),
        (None, None) if arguments.all_namespaces => Whole::All,
        (None, None) => {
            return Err(Error::usage("say what to compare").hint(
                "--kustomization NAME for one, -A for all, PATH for a folder, --from REV for two revisions",
            ));
        }
    };
    let is_fetched = match whole {
        Whole::One(_) => arguments.path.is_none(),
        Whole::All => true,
        Whole::Folder(_) => false,
    };
    let fetchers = is_fetched.then(Fetchers::new).transpose()?;
    let sources = fetchers.as_ref().map(Fetchers::sources);
    // All is built on this thread, as deep as files may be nested.
    on_deep_stack(|| super::in_runtime(cluster::compare(arguments, &whole, sources, &mut output)))??;
    output.finish()
}
