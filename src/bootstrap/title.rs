//! The title of a deploy key. It names the key's cluster, so that the key can be told from others once the
//! cluster is gone.
//!
//! ```text
//! lockgate NAME UID8 NAMESPACE [until TIME]
//! ```

use std::fmt;
use std::str::FromStr;

use lockgate_base::model::Timestamp;

/// How many digits of the uid of kube-system a title has.
const DIGITS: usize = 8;
/// The longest DNS label, and so the longest name of a namespace or a cluster.
const LABEL_LIMIT: usize = 63;

/// Whether a text is a DNS label in lower case, like the names of namespaces.
pub(crate) fn is_label(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(is_word)
        && text.ends_with(is_word)
        && text.chars().all(|c| is_word(c) || c == '-')
        && text.len() <= LABEL_LIMIT
}

/// The name that the user gives a cluster: a DNS label. A recreated cluster gets the same name, and no other
/// living cluster may have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClusterName(String);

/// A text that is no name of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no cluster name: use a-z, 0-9 and '-'")]
pub(crate) struct NoClusterName(String);

impl FromStr for ClusterName {
    type Err = NoClusterName;

    fn from_str(text: &str) -> Result<Self, NoClusterName> {
        if is_label(text) { Ok(Self(text.into())) } else { Err(NoClusterName(text.into())) }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The title of one of lockgate's deploy keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Title {
    /// The cluster's name, or the name of the context if the user gave none. Many clusters may have the same
    /// context name.
    pub cluster: String,
    /// The first digits of the uid of kube-system, which no two clusters share; zeros if there was no cluster
    /// yet.
    pub uid: String,
    /// The agent's namespace.
    pub namespace: String,
    /// When the key is to be deleted, even if its cluster is alive.
    pub until: Option<Timestamp>,
}

impl Title {
    /// The title for a cluster; a `uid` of `None` stands for a cluster that does not exist yet.
    pub(crate) fn new(cluster: &str, uid: Option<&str>, namespace: &str, until: Option<Timestamp>) -> Self {
        let uid = uid.map_or_else(|| "0".repeat(DIGITS), |uid| uid.chars().take(DIGITS).collect());
        Self { cluster: cluster.into(), uid, namespace: namespace.into(), until }
    }

    /// Parses a title from its end, since the name of a context may contain anything. `None` if it is not one
    /// of lockgate's.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let ended = text.rsplit_once(" until ").and_then(|(head, end)| Some((head, end.parse().ok()?)));
        let (text, until) = ended.map_or((text, None), |(head, end)| (head, Some(end)));
        let (text, namespace) = text.strip_prefix("lockgate ")?.rsplit_once(' ')?;
        let (cluster, uid) = text.rsplit_once(' ')?;
        let is_uid = uid.len() == DIGITS && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_whole = is_uid && !cluster.trim().is_empty() && !namespace.is_empty();
        is_whole.then(|| Self {
            cluster: cluster.into(),
            uid: uid.into(),
            namespace: namespace.into(),
            until,
        })
    }

    /// Whether the key was made before its cluster, whose uid was not known yet.
    pub(super) fn is_early(&self) -> bool {
        self.uid.bytes().all(|digit| digit == b'0')
    }

    /// Whether the key belongs to a cluster with this name.
    pub(crate) fn is_of(&self, name: &ClusterName) -> bool {
        self.cluster == name.0
    }
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lockgate {} {} {}", self.cluster, self.uid, self.namespace)?;
        self.until.map_or(Ok(()), |until| write!(f, " until {until}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_reads_back() {
        let uid = "4f1c9a2e-7d0b-4c55-8f6e-0123456789ab";
        let until = Timestamp::from_unix(1_700_000_000);
        for (title, text) in [
            (Title::new("eu-west9", Some(uid), "gitops", None), "lockgate eu-west9 4f1c9a2e gitops"),
            (
                Title::new("pr-12", None, "flux-system", Some(until)),
                "lockgate pr-12 00000000 flux-system until 2023-11-14T22:13:20Z",
            ),
            // A context may have any name.
            (Title::new("my until x", Some(uid), "n", None), "lockgate my until x 4f1c9a2e n"),
            (
                Title::new("my until x", Some(uid), "n", Some(until)),
                "lockgate my until x 4f1c9a2e n until 2023-11-14T22:13:20Z",
            ),
        ] {
            assert_eq!(title.to_string(), text);
            assert_eq!(Title::parse(text), Some(title));
        }
    }

    #[test]
    fn what_is_not_ours_is_no_title() {
        for text in [
            "flux",
            "lockgate",
            "lockgate eu-west9",
            "lockgate eu-west9 flux-system",
            "lockgate eu-west9 4f1c9a2 flux-system",
            "lockgate eu-west9 4f1c9a2x flux-system",
            "lockgate  4f1c9a2e flux-system",
            "lockgate a 4f1c9a2e ",
            "lockgate a 4f1c9a2e n until tomorrow",
            "Lockgate a 4f1c9a2e n",
            "a lockgate a 4f1c9a2e n",
        ] {
            assert_eq!(Title::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_cluster_name_is_a_dns_label() {
        for text in ["eu-west9", "9", "a", &"a".repeat(63)] {
            assert_eq!(text.parse::<ClusterName>().unwrap().to_string(), text);
        }
        for text in ["", "EU West", "eu_west", "-a", "a-", "a.b", "caf\u{e9}", &"a".repeat(64)] {
            let told = format!("'{text}' is no cluster name: use a-z, 0-9 and '-'");
            assert_eq!(text.parse::<ClusterName>().unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn a_title_is_of_the_whole_name_only() {
        let title = Title::new("eu-west9", None, "n", None);
        let is_of = |name: &str| title.is_of(&name.parse().unwrap());
        assert!(is_of("eu-west9") && !is_of("eu-west") && !is_of("west9"));
    }
}
