//! The flags by which HelmReleases are rendered without a cluster.

use std::path::PathBuf;

use clap::Args;

use super::input::warn;
use super::output::CommandError;
use crate::preview::{ChartSources, Fetchers};
use lockgate_git::SourceError;

/// Where the charts of HelmReleases are had from.
#[derive(Args)]
pub(in crate::cli) struct ReleaseFlags {
    /// Take the charts of HelmReleases from the archives in this folder, as `helm pull` brings them. A chart
    /// is found by its name, whichever repository it is of, and its signature is not looked at
    #[arg(long, value_name = "FOLDER")]
    chart_cache: Option<PathBuf>,
    /// Fetch the charts of HelmReleases as the agent does. What --chart-cache has is not fetched
    #[arg(long)]
    fetch: bool,
}

impl ReleaseFlags {
    /// Whether any is given.
    pub(in crate::cli) const fn are_given(&self) -> bool {
        self.fetch || self.chart_cache.is_some()
    }

    /// What fetches, set up before there are threads; `None` if nothing is fetched.
    pub(in crate::cli) fn fetchers(&self) -> Result<Option<Fetchers>, CommandError> {
        self.fetch.then(Fetchers::new).transpose().map_err(|error| unusable(&error))
    }

    /// Where charts are had from. Must be called within a runtime.
    pub(in crate::cli) fn charts(&self, fetchers: Option<&Fetchers>) -> Result<ChartSources, CommandError> {
        // An agent that runs without flags fetches so.
        let sources = fetchers.map(|fetchers| fetchers.sources(false)).transpose();
        let sources = sources.map_err(|error| unusable(&error))?;
        let (charts, told) =
            ChartSources::new(self.chart_cache.as_deref(), sources).map_err(CommandError::usage)?;
        warn(&told);
        Ok(charts)
    }
}

/// Nothing can be fetched here.
pub(in crate::cli) fn unusable(error: &SourceError) -> CommandError {
    CommandError::usage(error.to_string())
}
