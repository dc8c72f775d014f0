//! The flags of the last installation and of its source, so that a run without them changes nothing. They are
//! kept in an annotation of the agent's Deployment and of the source, and none of them is a secret.

use std::collections::BTreeMap;

use super::github::PUBLIC_API;
use super::key_host::KeyHost;
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
/// The flag that is remembered, but never used from memory.
pub(crate) const API_URL: &str = "api-url";

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
        let mut memory = Self { agent: readable_flags(agent)?, ..Self::default() };
        if let Some(remote) = remote {
            let info = GitRepository::INFO;
            let sources = objects.list(&info.api_version(), info.id.kind, Some(&namespace), "").await;
            let mut sources = seen(sources, info.plural)?;
            for source in &sources {
                readable_flags(source)?;
            }
            // A source that was set up by the name of a repository may be set up again by its address.
            let is_at = |source: &Object| source.text("/spec/url") == Some(remote);
            sources.retain(|source| {
                let its = flags(source).remove(REMOTE);
                let is_of = its.is_some_and(|its| its.eq_ignore_ascii_case(remote) || is_at(source));
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

/// Where the key of a source that bootstrap set up at GitHub is registered; `None` if it was set up with an
/// address, or by somebody else.
pub(super) fn key_host(source: &Object) -> Option<KeyHost> {
    let flags = flags(source);
    let repository = flags.get(REMOTE).filter(|remote| !remote.contains("://"))?;
    Some(KeyHost::github(flags.get(API_URL).map_or(PUBLIC_API, String::as_str), repository))
}

/// The flags that an object remembers.
fn flags(object: &Object) -> Flags {
    readable_flags(object).unwrap_or_default()
}

/// The flags that an object remembers. An annotation that was edited by hand may be unreadable.
fn readable_flags(object: &Object) -> Result<Flags, Problem> {
    let Some(text) = object.annotation(keys::FLAGS) else { return Ok(Flags::new()) };
    serde_json::from_str(text).map_err(|error| {
        let id = object.id();
        Problem::Flags { object: id.subject(), error: error.to_string() }
    })
}

/// The message about remembered flags of a source that a run does not keep.
pub(super) fn dropped(live: &Object, kept: &Flags) -> Option<String> {
    let gone = flags(live).into_iter().filter(|(name, _)| name != REMOTE && !kept.contains_key(name));
    let gone: Vec<String> = gone.map(|(name, value)| format!("--{name} {value}")).collect();
    let text = || format!("{} no longer remembers: {}", live.id().subject(), gone.join(", "));
    (!gone.is_empty()).then(text)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::objects::tests::answering;

    const SSH: &str = "ssh://git@127.0.0.1:2/acme/platform";
    const FLAGS: &str =
        r#"{"remote":"acme/platform","cluster-name":"eu-west9","api-url":"http://127.0.0.1:1"}"#;

    fn object(kind: &str, api_version: &str, flags: &str) -> serde_json::Value {
        json!({
            "apiVersion": api_version, "kind": kind, "spec": {"url": SSH},
            "metadata": {"name": "x", "namespace": "n", "annotations": {keys::FLAGS: flags}},
        })
    }

    async fn remembered(agent: &str, source: &str, remote: &str) -> Result<RememberedFlags, Problem> {
        let list =
            |item| (Some(200), json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [item]}));
        let objects = answering(vec![
            list(object("Deployment", "apps/v1", agent)),
            list(object("GitRepository", "source.toolkit.fluxcd.io/v1", source)),
        ]);
        RememberedFlags::of(&objects, None, Some(remote), None).await
    }

    #[tokio::test]
    async fn a_source_is_remembered_by_its_repository_and_by_its_address() {
        for (remote, is_known) in
            [("acme/platform", true), ("Acme/Platform", true), (SSH, true), ("acme/other", false)]
        {
            let memory = remembered("{}", FLAGS, remote).await.unwrap();
            assert_eq!(memory.source.contains_key("cluster-name"), is_known, "{remote}");
        }
    }

    #[tokio::test]
    async fn a_damaged_annotation_is_told_and_no_flag_is_forgotten_for_it() {
        for (agent, source, told) in
            [(r#"{"image":["a"]}"#, FLAGS, "Deployment/n/x"), ("{}", "{", "GitRepository/n/x")]
        {
            let problem = remembered(agent, source, SSH).await.unwrap_err();
            let start = format!("the annotation lockgate.dev/flags of {told} cannot be read: ");
            assert!(problem.to_string().starts_with(&start), "{problem}");
            assert!(problem.fix().unwrap().contains("lockgate.dev/flags-"), "{problem:?}");
        }
    }

    #[test]
    fn what_is_dropped_is_told() {
        let live = Object::parse(object("GitRepository", "source.toolkit.fluxcd.io/v1", FLAGS)).unwrap();
        let kept = Flags::from([("cluster-name".to_owned(), "x".to_owned())]);
        let told = "GitRepository/n/x no longer remembers: --api-url http://127.0.0.1:1";
        assert_eq!(dropped(&live, &kept).as_deref(), Some(told));
        let kept =
            Flags::from([("cluster-name", "x"), (API_URL, "y")].map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(dropped(&live, &kept), None);
    }
}
