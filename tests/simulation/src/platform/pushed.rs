//! What a pipeline has pushed to where sources other than Git are: artifacts and charts, and how statuses
//! name them.

use lockgate_base::model::{Digest, Revision};

/// The chart that the Helm repository has.
pub(crate) const CHART: &str = "chart";
/// How the address of an archive begins and ends, with the version between.
pub(crate) const ARCHIVE: (&str, &str) = ("archive-", ".tgz");

/// How statuses name an artifact of the registry.
pub(crate) fn artifact(number: u64) -> Revision {
    Revision::oci(Some("latest"), &format!("sha256:{number:064x}"))
}

/// A version of the chart.
pub(crate) fn chart_version(number: u64) -> String {
    format!("1.0.{number}")
}

/// The index of the Helm repository up to a version of the chart.
pub(crate) fn index(charts: u64) -> String {
    let entry = |number: u64| {
        let version = chart_version(number);
        format!(
            "  - name: {CHART}\n    version: {version}\n    urls: [\"{}{version}{}\"]\n",
            ARCHIVE.0, ARCHIVE.1
        )
    };
    let entries: String = (0..=charts).map(entry).collect();
    format!("apiVersion: v1\nentries:\n  {CHART}:\n{entries}")
}

/// How the status of the Helm repository names that index.
pub(crate) fn index_revision(charts: u64) -> Revision {
    Revision::oci(None, &Digest::of(index(charts)).to_string())
}
