//! The index of a Helm repository: the charts that it offers, their versions and their addresses. It is read
//! while it arrives, and kept in a compact form: for each offer only the data that a download needs.

mod read;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use crate::model::Digest;
use crate::model::version::{Range, Version, VersionError};

pub use read::{IndexError, LIMIT};

/// How many names a message lists.
const LISTED: usize = 5;
/// How similar two names must be, from 0 to 1, so that one is proposed for the other.
const ALIKE: f64 = 0.6;

/// The charts of a Helm repository.
#[derive(Debug, Default)]
pub struct ChartIndex {
    /// The texts of all offers, one after the other.
    text: String,
    charts: BTreeMap<Box<str>, Vec<Offer>>,
    left_out: usize,
}

/// A version of a chart.
#[derive(Debug, Clone, Copy)]
struct Offer {
    version: Span,
    /// Empty if the index has no address.
    url: Span,
    /// When it was created, in nanoseconds since 1970.
    created: i64,
    digest: Option<Digest>,
}

/// A place in the text of an index.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: u16,
}

/// A chosen version of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'i> {
    /// The version as written in the index.
    pub version: &'i str,
    /// The address of its archive, or a path below the repository's address. `None` if the index has none.
    pub url: Option<&'i str>,
    /// The SHA-256 digest of the archive, if the index has one.
    pub digest: Option<Digest>,
}

/// Why an index does not contain the wanted chart. The text begins as Flux's does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// There is no chart with this name.
    Chart {
        /// The wanted name.
        name: String,
        /// The most similar names.
        near: Vec<String>,
        /// The number of charts.
        count: usize,
    },
    /// The chart has no version.
    Versions,
    /// The chart does not have the wanted version.
    Version {
        /// The chart.
        name: String,
        /// The wanted version or range.
        wanted: String,
        /// The newest versions.
        newest: Vec<String>,
        /// The number of its versions.
        count: usize,
    },
    /// The wanted version is neither a version nor a range.
    Range(VersionError),
}

impl ChartIndex {
    /// The number of charts.
    pub fn len(&self) -> usize {
        self.charts.len()
    }

    /// Whether there are no charts.
    pub fn is_empty(&self) -> bool {
        self.charts.is_empty()
    }

    /// The number of versions of all charts.
    pub fn offers(&self) -> usize {
        self.charts.values().map(Vec::len).sum()
    }

    /// The number of entries that are left out, as helm does, since they have no valid version.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The version of a chart that a version or a range selects: the one with that very text, or the newest
    /// in the range. Without a range it is the newest release.
    pub fn choose(&self, name: &str, wanted: &str) -> Result<Choice<'_>, Missing> {
        let offers = self.charts.get(name).ok_or_else(|| self.no_chart(name))?;
        if offers.is_empty() {
            return Err(Missing::Versions);
        }
        if !wanted.is_empty()
            && let Some(offer) = offers.iter().find(|offer| self.at(offer.version) == wanted)
        {
            return Ok(self.choice(offer));
        }
        let range = Range::parse(if wanted.is_empty() { "*" } else { wanted }).map_err(Missing::Range)?;
        let fits = |version: &Version| range.contains(version);
        let newest = self.versions(offers).filter(|(version, _)| fits(version)).max_by(newer);
        newest.map(|(_, offer)| self.choice(offer)).ok_or_else(|| self.no_version(name, wanted, offers))
    }

    fn at(&self, span: Span) -> &str {
        let start = span.start as usize;
        &self.text[start..start + usize::from(span.length)]
    }

    fn choice(&self, offer: &Offer) -> Choice<'_> {
        let url = Some(self.at(offer.url)).filter(|url| !url.is_empty());
        Choice { version: self.at(offer.version), url, digest: offer.digest }
    }

    fn versions<'i>(&'i self, offers: &'i [Offer]) -> impl Iterator<Item = (Version, &'i Offer)> {
        offers.iter().filter_map(|offer| Some((Version::of_tag(self.at(offer.version))?, offer)))
    }

    fn no_chart(&self, name: &str) -> Missing {
        let alike = |known: &str| strsim::normalized_damerau_levenshtein(known, name);
        let mut near: Vec<(f64, &str)> = self
            .charts
            .keys()
            .map(|known| (alike(known), &**known))
            .filter(|(how, _)| *how >= ALIKE)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near = near.into_iter().take(LISTED).map(|(_, known)| known.to_owned()).collect();
        Missing::Chart { name: name.to_owned(), near, count: self.charts.len() }
    }

    fn no_version(&self, name: &str, wanted: &str, offers: &[Offer]) -> Missing {
        let mut versions: Vec<_> = self.versions(offers).collect();
        versions.sort_by(|a, b| newer(b, a));
        let newest = versions.iter().take(LISTED).map(|(version, _)| version.original.clone()).collect();
        Missing::Version { name: name.to_owned(), wanted: wanted.to_owned(), newest, count: offers.len() }
    }
}

/// The order of versions. Of two that differ only in their metadata, the one that was created later is newer.
fn newer(one: &(Version, &Offer), other: &(Version, &Offer)) -> Ordering {
    one.0.compare(&other.0).then_with(|| one.1.created.cmp(&other.1.created))
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chart { name, near, count } if near.is_empty() => {
                let similar = format!("and none with a name similar to '{name}'");
                write!(f, "no chart name found: the index has {count} charts, {similar}")
            }
            Self::Chart { name, near, .. } => {
                write!(f, "no chart name found: the index has no '{name}', but {}", near.join(", "))
            }
            Self::Versions => f.write_str("no chart version found"),
            Self::Version { name, wanted, newest, count } => {
                write!(f, "no '{name}' chart with version matching '{wanted}' found")?;
                let more = count - newest.len();
                match (newest.is_empty(), more) {
                    (true, _) => Ok(()),
                    (false, 0) => write!(f, "; the index has {}", newest.join(", ")),
                    (false, more) => write!(f, "; the index has {} and {more} more", newest.join(", ")),
                }
            }
            Self::Range(error) => error.fmt(f),
        }
    }
}
