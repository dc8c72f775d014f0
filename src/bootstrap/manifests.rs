//! The objects of an installation, from the files that are embedded in the binary.

use serde_json::{Value, json};

use super::pod::PodSettings;
use super::problem::Problem;
use lockgate_base::model::yaml::{self, Dialect};
use lockgate_base::model::{Duration, Object};
use lockgate_core::api::PROVIDER_GITHUB;

/// The image of this release.
pub(crate) const IMAGE: &str = concat!("ghcr.io/lockgate/lockgate:", env!("CARGO_PKG_VERSION"));

const CRDS: &str = include_str!("../../bootstrap/crds.yaml");
const NAMESPACE: &str = include_str!("../../bootstrap/namespace.yaml");
const RBAC: &str = include_str!("../../bootstrap/rbac.yaml");
const NETWORK_POLICY: &str = include_str!("../../bootstrap/network-policy.yaml");
const DEPLOYMENT: &str = include_str!("../../bootstrap/deployment.yaml");
const SYNC: &str = include_str!("../../bootstrap/sync.yaml");

/// Selects the agent's Deployments and pods.
pub(crate) const AGENT: &str = "app.kubernetes.io/name=lockgate,app.kubernetes.io/component=agent";
const VERSION: &str = "app.kubernetes.io/version";

/// The differences between two installations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The agent's namespace.
    pub namespace: String,
    /// The agent's image.
    pub image: String,
    /// Whether the agent runs without the binding to cluster-admin.
    pub lockdown: bool,
    /// Whether the agent runs although Flux's controllers run.
    pub adopt: bool,
    /// The level of the agent's log; that of its command where absent.
    pub log_level: Option<&'static str>,
    /// The settings of the pod.
    pub pod: PodSettings,
}

impl Installation {
    /// An existing installation, of which only the namespace matters.
    pub fn in_namespace(namespace: &str) -> Self {
        let (image, pod) = (String::new(), PodSettings::default());
        Self { namespace: namespace.into(), image, lockdown: false, adopt: false, log_level: None, pod }
    }
}

/// The repository to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sync {
    /// Name of the source and of the Kustomization.
    pub name: String,
    /// Address of the repository.
    pub url: String,
    /// The branch.
    pub branch: String,
    /// The folder, relative to the root.
    pub path: String,
    /// How often to look for a new commit.
    pub interval: Duration,
    /// The Secret with the credentials of the source; `None` for a public repository.
    pub secret_name: Option<String>,
    /// Whether that Secret is for a GitHub App.
    pub is_app: bool,
    /// The ServiceAccount to impersonate for the root Kustomization; by default the agent's own.
    pub service_account: Option<String>,
}

/// The CustomResourceDefinitions of the served kinds.
pub fn crds() -> Result<Vec<Object>, Problem> {
    edited(parse("crds.yaml", CRDS)?, |value| {
        // `flux version` shows it as the distribution, after "flux-". It must not look like a release of
        // Flux.
        let version = concat!("lockgate-", env!("CARGO_PKG_VERSION"));
        value["metadata"]["labels"][VERSION] = version.into();
    })
}

/// The agent's namespace.
pub fn namespace(installation: &Installation) -> Result<Vec<Object>, Problem> {
    edited(parse("namespace.yaml", NAMESPACE)?, |value| {
        value["metadata"]["name"] = installation.namespace.clone().into();
    })
}

/// The objects that an installation must not have, and that one with other flags may have left.
pub(crate) fn left_out(installation: &Installation) -> Result<Vec<Object>, Problem> {
    let mut objects = parse("rbac.yaml", RBAC)?;
    objects.retain(|object| installation.lockdown && is_unlocked(object));
    Ok(objects)
}

/// Whether an object belongs only to an installation without lockdown.
fn is_unlocked(object: &Object) -> bool {
    object.label("app.kubernetes.io/component") == Some("apply")
}

/// The agent's account and rights, its network policy and its Deployment.
pub fn agent(installation: &Installation) -> Result<Vec<Object>, Problem> {
    let mut objects = parse("rbac.yaml", RBAC)?;
    objects.retain(|object| !(installation.lockdown && is_unlocked(object)));
    objects.extend(parse("network-policy.yaml", NETWORK_POLICY)?);
    objects.extend(installation.pod.beside(&installation.namespace)?);
    objects.extend(parse("deployment.yaml", DEPLOYMENT)?);
    edited(objects, |value| {
        move_to(value, &installation.namespace);
        if value["kind"] != "Deployment" {
            return;
        }
        let version = env!("CARGO_PKG_VERSION");
        value["metadata"]["labels"][VERSION] = version.into();
        let container = &mut value["spec"]["template"]["spec"]["containers"][0];
        container["image"] = installation.image.clone().into();
        if let Some(arguments) = container["args"].as_array_mut() {
            let flags = [("--adopt", installation.adopt), ("--lockdown", installation.lockdown)];
            arguments.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| Value::from(*flag)));
            arguments.extend(installation.log_level.map(|level| Value::from(format!("--log-level={level}"))));
        }
        installation.pod.apply(value);
    })
}

/// The source, and the root Kustomization.
pub(crate) fn sync(installation: &Installation, sync: &Sync) -> Result<Vec<Object>, Problem> {
    edited(parse("sync.yaml", SYNC)?, |value| {
        move_to(value, &installation.namespace);
        value["metadata"]["name"] = sync.name.clone().into();
        let spec = &mut value["spec"];
        if spec.get("url").is_some() {
            spec["url"] = sync.url.clone().into();
            spec["ref"]["branch"] = sync.branch.clone().into();
            spec["interval"] = json!(sync.interval);
            match &sync.secret_name {
                Some(name) => spec["secretRef"]["name"] = name.clone().into(),
                None => drop(spec.as_object_mut().and_then(|spec| spec.shift_remove("secretRef"))),
            }
            if sync.is_app {
                spec["provider"] = PROVIDER_GITHUB.into();
            }
        } else {
            spec["path"] = format!("./{}", normal_path(&sync.path)).into();
            spec["sourceRef"]["name"] = sync.name.clone().into();
            if let Some(account) = &sync.service_account {
                spec["serviceAccountName"] = account.clone().into();
            }
        }
    })
}

/// The objects as a stream of YAML documents.
pub(crate) fn to_yaml(objects: &[Object]) -> String {
    let documents: Vec<String> = objects.iter().map(|object| yaml::to_string(object.value())).collect();
    documents.join("---\n")
}

/// A folder without `./` and slashes at its ends.
pub(crate) fn normal_path(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

/// Sets the namespace of the object, and of the accounts that a binding names.
fn move_to(value: &mut Value, namespace: &str) {
    if value["metadata"].get("namespace").is_some() {
        value["metadata"]["namespace"] = namespace.into();
    }
    for subject in value.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        subject["namespace"] = namespace.into();
    }
}

fn edited(objects: Vec<Object>, edit: impl Fn(&mut Value)) -> Result<Vec<Object>, Problem> {
    let edited = objects.into_iter().map(|object| object.edit(&edit));
    edited.collect::<Result<_, _>>().map_err(|error| Problem::Embedded(error.to_string()))
}

fn parse(name: &str, text: &str) -> Result<Vec<Object>, Problem> {
    let embedded = |message: String| Problem::Embedded(format!("bootstrap/{name}: {message}"));
    let documents = yaml::documents(text, Dialect::V2).map_err(|error| embedded(error.to_string()))?;
    let objects = documents.into_iter().map(|document| Object::parse(document.value));
    objects.collect::<Result<_, _>>().map_err(|error| embedded(error.to_string()))
}

#[cfg(test)]
mod tests;
