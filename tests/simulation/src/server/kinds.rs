//! What the server serves: Kubernetes' own kinds as far as a platform here has them, the agent's, and those
//! that CustomResourceDefinitions add, each a while after its definition was written.

use lockgate_core::api::{KindInfo, acted_on};
use serde_json::{Value, json};

/// A kind, and how the server treats it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the API calls both a kind and its name so")]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
    /// Whether it is Kubernetes' own, so that its lists have keys.
    pub(crate) builtin: bool,
    /// Whether its status is a part of its own.
    pub(crate) has_status: bool,
    /// Whether its generation is counted.
    pub(crate) counts: bool,
    /// Where the value is that its schema lets nobody change, as a JSON pointer.
    pub(crate) fixed: Option<String>,
}

impl Kind {
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Deployment.apps`
    pub(crate) fn of_group(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }

    pub(crate) fn flags(&self) -> (bool, bool) {
        (self.builtin, self.has_status)
    }
}

/// Group, version, kind, plural; then whether it is namespaced, Kubernetes' own, has a status, and counts its
/// generation.
const SERVED: [(&str, &str, &str, &str, bool, bool, bool, bool); 10] = [
    ("", "v1", "Namespace", "namespaces", false, true, true, false),
    ("", "v1", "ConfigMap", "configmaps", true, true, false, false),
    ("", "v1", "Secret", "secrets", true, true, false, false),
    ("", "v1", "ServiceAccount", "serviceaccounts", true, true, false, false),
    ("", "v1", "Pod", "pods", true, true, true, false),
    ("", "v1", "Event", "events", true, true, false, false),
    ("coordination.k8s.io", "v1", "Lease", "leases", true, true, false, false),
    ("apps", "v1", "Deployment", "deployments", true, true, true, true),
    ("batch", "v1", "Job", "jobs", true, true, true, true),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
        true,
        true,
        true,
    ),
];

/// Where a schema has the rule that a value stays as it is.
fn fixed_by(schema: &Value, pointer: &str) -> Option<String> {
    if schema.pointer("/x-kubernetes-validations/0/rule").is_some_and(|rule| rule == "self == oldSelf") {
        return Some(pointer.to_owned());
    }
    let mut fields = schema["properties"].as_object()?.iter();
    fields.find_map(|(name, schema)| fixed_by(schema, &format!("{pointer}/{name}")))
}

/// The kinds that are served.
#[derive(Debug, Clone)]
pub(crate) struct Kinds(Vec<Kind>);

impl Default for Kinds {
    fn default() -> Self {
        let kind = |&(group, version, kind, plural, namespaced, builtin, has_status, counts): &(
            &str,
            &str,
            &str,
            &str,
            bool,
            bool,
            bool,
            bool,
        )| Kind {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural.into(),
            namespaced,
            builtin,
            has_status,
            counts,
            fixed: match kind {
                "Deployment" => Some("/spec/selector".into()),
                "Job" => Some("/spec/template".into()),
                "Secret" => Some("/type".into()),
                _ => None,
            },
        };
        let of_the_agent = |info: &KindInfo| Kind {
            group: info.id.group.into(),
            version: info.versions[0].into(),
            kind: info.id.kind.into(),
            plural: info.plural.into(),
            namespaced: true,
            builtin: false,
            has_status: true,
            counts: true,
            fixed: None,
        };
        Self(SERVED.iter().map(kind).chain(acted_on().map(of_the_agent)).collect())
    }
}

impl Kinds {
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Kind> {
        self.0.iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
    }

    pub(crate) fn all(&self) -> &[Kind] {
        &self.0
    }

    /// The kind that a definition defines.
    pub(crate) fn of_definition(definition: &Value) -> Kind {
        let text = |pointer: &str| {
            definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Kind {
            group: text("/spec/group"),
            version: text("/spec/versions/0/name"),
            kind: text("/spec/names/kind"),
            plural: text("/spec/names/plural"),
            namespaced: text("/spec/scope") == "Namespaced",
            builtin: false,
            has_status: definition.pointer("/spec/versions/0/subresources/status").is_some(),
            counts: true,
            fixed: fixed_by(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], ""),
        }
    }

    /// Serves the kind of a definition from now on.
    pub(crate) fn add(&mut self, definition: &Value) {
        let kind = Self::of_definition(definition);
        if self.find(&kind.group, &kind.version, &kind.plural).is_none() {
            self.0.push(kind);
        }
    }

    /// Serves the kind of a definition no more.
    pub(crate) fn remove(&mut self, definition: &Value) {
        let (group, plural) = (&definition["spec"]["group"], &definition["spec"]["names"]["plural"]);
        self.0.retain(|kind| kind.builtin || kind.group != *group || kind.plural != *plural);
    }

    /// The aggregated discovery document of `/api` or `/apis`.
    pub(crate) fn discovery(&self, path: &str) -> Value {
        let mut groups: Vec<(String, Vec<&Kind>)> = Vec::new();
        for kind in self.0.iter().filter(|kind| kind.group.is_empty() == (path == "/api")) {
            match groups.iter_mut().find(|(group, _)| *group == kind.group) {
                Some((_, kinds)) => kinds.push(kind),
                None => groups.push((kind.group.clone(), vec![kind])),
            }
        }
        let resource = |kind: &&Kind| {
            json!({"resource": kind.plural, "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
                "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind}})
        };
        let group = |(name, kinds): (String, Vec<&Kind>)| {
            let version = kinds.first().map_or("v1", |kind| &kind.version);
            let resources: Vec<Value> = kinds.iter().map(resource).collect();
            json!({"metadata": {"name": name},
                "versions": [{"version": version, "freshness": "Current", "resources": resources}]})
        };
        json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
            "items": groups.into_iter().map(group).collect::<Vec<_>>()})
    }
}
