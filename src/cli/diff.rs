//! `lockgate diff`.

mod arguments;
mod changes;
mod lines;
mod section;
mod print;
mod output;
mod agents;
mod cluster;
mod commits;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

pub(super) use arguments::Arguments;

use super::output::{CommandError, has_colour};
use super::releases::unusable;
use super::threads::{in_runtime, on_deep_stack};
use crate::preview::Fetchers;
use cluster::Whole;
use output::DiffOutput;
use print::Paint;

/// Compares. It sets up what a fetch needs before there are threads.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let paint = Paint(has_colour(io::stdout().is_terminal()));
    let mut output = DiffOutput::new(arguments.output, paint);
    if let Some(from) = &arguments.from {
        let fetchers = arguments.releases.fetchers()?;
        let fetchers = fetchers.as_ref();
        on_deep_stack(|| in_runtime(commits::compare(arguments, from, fetchers, &mut output)))??;
        return output.finish();
    }
    if arguments.releases.are_given() {
        let error = CommandError::usage("--chart-cache and --fetch are for two revisions");
        return Err(error.hint("add --from REV"));
    }
    let whole = match (&arguments.kustomization, &arguments.platform) {
        (Some(name), _) => Whole::One(name),
        (None, Some(folder)) => Whole::Folder(folder),
        (None, None) if arguments.all_namespaces => Whole::All,
        (None, None) => {
            return Err(CommandError::usage("nothing to compare is named").hint(
                "--kustomization NAME for one, -A for all, PATH for a folder, --from REV for two revisions",
            ));
        }
    };
    let is_fetched = match whole {
        Whole::One(_) => arguments.path.is_none(),
        Whole::All => true,
        Whole::Folder(_) => false,
    };
    let fetchers = is_fetched.then(Fetchers::new).transpose().map_err(|error| unusable(&error))?;
    // The build runs on this thread, whose stack is deep enough for nested files.
    on_deep_stack(|| in_runtime(cluster::compare(arguments, &whole, fetchers.as_ref(), &mut output)))??;
    output.finish()
}
