//! The flags of the last installation and of its source, so that a run without them changes nothing. They are
//! kept in an annotation of the agent's Deployment and of the source, and none of them is a secret.

use std::collections::BTreeMap;

use super::manifests;
use super::problem::Problem;
use super::title::ClusterName;
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_core::api::GitRepository;

/// Flags by name without dashes, each with its value as written.
pub(crate) type Flags = BTreeMap<String, String>;

/// The entry of the repository's address, which is an argument and no flag.
pub(crate) const REMOTE: &str = "remote";

/// The flags that a cluster remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RememberedFlags {
    /// The namespace of the agent, if there is exactly one agent.
    pub namespace: Option<String>,
    /// The flags of the agent.
    pub agent: Flags,
    /// The flags of the source that reads the repository; none if several sources do and none is named.
    pub source: Flags,
}

impl RememberedFlags {
    /// Reads the flags of the agent, in the named namespace if there is one, and those of the source of a
    /// repository. Without the rights for that no flags are returned; later checks tell the user which rights
    /// are missing.
    pub(crate) async fn of(
        objects: &Objects,
        namespace: Option<&str>,
        remote: Option<&str>,
        name: Option<&str>,
    ) -> Result<Self, Problem> {
        use lockgate_core::pipeline::ports::ApiFailure;
        let seen = |listed: Result<Vec<Object>, ApiFailure>, what: &str| match listed {
            Err(ApiFailure::Forbidden(_)) => Ok(Vec::new()),
            listed => listed.map_err(|failure| Problem::cluster(what, failure)),
        };
        let agents = objects.list("apps/v1", "Deployment", namespace, manifests::AGENT).await;
        let agents = seen(agents, "Deployments")?;
        let [agent] = agents.as_slice() else { return Ok(Self::default()) };
        let namespace = agent.id().namespace;
        let mut memory = Self { agent: flags(agent), ..Self::default() };
        if let Some(remote) = remote {
            let info = GitRepository::INFO;
            let sources = objects.list(&info.api_version(), info.id.kind, Some(&namespace), "").await;
            let mut sources = seen(sources, info.plural)?;
            sources.retain(|source| {
                let is_of = flags(source).get(REMOTE).is_some_and(|its| its.eq_ignore_ascii_case(remote));
                is_of && name.is_none_or(|name| name == source.name())
            });
            if let [source] = sources.as_slice() {
                memory.source = flags(source);
            }
        }
        Ok(Self { namespace: Some(namespace), ..memory })
    }
}

/// The cluster's name that a source was set up with.
pub(super) fn cluster_name(source: &Object) -> Option<ClusterName> {
    flags(source).get("cluster-name")?.parse().ok()
}

/// The flags that an object remembers.
fn flags(object: &Object) -> Flags {
    let text = object.annotation(keys::FLAGS).unwrap_or_default();
    // An annotation that was edited by hand may be unreadable, and then counts as empty.
    serde_json::from_str(text).unwrap_or_default()
}

/// The objects, with the flags in an annotation of each object of one kind.
pub(crate) fn noted(objects: Vec<Object>, kind: &str, flags: &Flags) -> Result<Vec<Object>, Problem> {
    if flags.is_empty() {
        return Ok(objects);
    }
    let text = serde_json::to_string(flags).map_err(|error| Problem::Embedded(error.to_string()))?;
    let note = |object: Object| {
        if object.kind() != kind {
            return Ok(object);
        }
        object.edit(|value| value["metadata"]["annotations"][keys::FLAGS] = text.clone().into())
    };
    let noted = objects.into_iter().map(note).collect::<Result<_, _>>();
    noted.map_err(|error| Problem::Embedded(error.to_string()))
}
