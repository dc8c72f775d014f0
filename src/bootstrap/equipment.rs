//! The objects that the agent's pod refers to, and the fields of its Deployment that others have set: read
//! and created before the Deployment is applied.

use super::manifests::Installation;
use super::memory::Flags;
use super::pod::{self, RegistryLogin};
use super::problem::Problem;
use super::wait;
use super::yielding::{overridden, yielding};
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::Object;

/// The installation, completed by the content of files that an earlier run has left on the cluster.
/// Afterwards the Secrets of its registry logins exist, and contain logins.
pub(crate) async fn resolved(
    objects: &Objects,
    installation: &Installation,
) -> Result<Installation, Problem> {
    let mut installation = installation.clone();
    let namespace = &installation.namespace;
    for login in &installation.pod.logins {
        let secret = login.secret(namespace)?;
        let subject = secret.id().subject();
        if login.file.is_some() {
            let put = wait::through_discovery(objects, &secret).await;
            put.map_err(|failure| Problem::cluster(&subject, failure))?;
        }
        let live = objects.get(&secret).await.map_err(|failure| Problem::cluster(&subject, failure))?;
        let name = format!("{namespace}/{}", login.name);
        RegistryLogin::check(live.as_ref()).map_err(|reason| Problem::Login { name, reason })?;
    }
    if installation.pod.authorities.is_none() {
        let map = pod::authorities(namespace, "")?;
        let live =
            objects.get(&map).await.map_err(|failure| Problem::cluster(map.id().subject(), failure))?;
        installation.pod.authorities = live.as_ref().and_then(pod::read_authorities);
    }
    Ok(installation)
}

/// The Deployment without the fields that others have set and that stay, and notes about these fields and
/// about those that are put back.
pub(crate) async fn yielded(
    objects: &Objects,
    deployment: &Object,
    flags: &Flags,
) -> Result<(Object, Vec<String>), Problem> {
    let live = objects.get(deployment).await;
    let live = live.map_err(|failure| Problem::cluster(deployment.id().subject(), failure))?;
    let (deployment, left) = yielding(deployment, live.as_ref(), flags)?;
    // An object that a Kustomization manages stays as in Git.
    let live = live.filter(|live| live.label(keys::OWNER_NAME).is_none());
    let restored = live.map_or_else(Vec::new, |live| overridden(&deployment, &live));
    let notes = [
        ("fields of the Deployment that others have set stay", left),
        ("fields of the Deployment that others have set are put back", restored),
    ];
    let notes = notes.into_iter().filter(|(_, fields)| !fields.is_empty());
    Ok((deployment, notes.map(|(what, fields)| format!("{what}: {}", fields.join(", "))).collect()))
}
