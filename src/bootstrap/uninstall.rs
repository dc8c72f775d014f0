//! Removes the agent from a cluster. The applied objects stay, unless the user asks for a purge.
//!
//! A Kustomization that is deleted while an agent runs takes its objects with it. So each is suspended first,
//! since an agent deletes nothing for a suspended one, and only then are finalizers removed. If Flux is
//! installed too, even without replicas, the kinds and their objects belong to Flux and stay, unless the user
//! asks for their removal.

mod registered;

use std::task::Poll;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::registered::{Registered, unnoted, unreadable};
use super::deploy_key::KeyIdentity;
use super::hub::Hub;
use super::manifests::{self, Installation};
use super::pod;
use super::preflight;
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressEvent, ProgressLog, at};
use super::put::{self, PutOutcome};
use super::secret;
use super::title::Title;
use super::wait::{Patience, Wait};
use crate::cluster::flux::{self, FluxController};
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model::Object;
use lockgate_core::api::{self, Actors, GitRepository, KindInfo, Kustomization};
use lockgate_core::pipeline::ports::ApiFailure;

/// Selects the objects that bootstrap has created.
const OURS: &str = "app.kubernetes.io/part-of=lockgate";

/// The settings of an uninstall.
#[derive(Debug, Clone)]
pub(crate) struct Removal {
    /// The agent's namespace.
    pub namespace: String,
    /// Whether to delete the applied objects too, the Secrets with a key or a login that bootstrap created,
    /// and the namespace if bootstrap created it.
    pub purge: bool,
    /// Whether to delete the kinds and objects of Flux's controllers too.
    pub adopt: bool,
    /// GitHub, if the deploy keys are to be deleted there.
    pub hub: Option<Hub>,
    /// How long the purge may take.
    pub timeout: Duration,
}

/// Removes the agent, its kinds and their objects.
pub(crate) async fn uninstall(
    objects: &Objects,
    removal: &Removal,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    if let Some(problem) = preflight::elsewhere(objects, &removal.namespace).await {
        return Err(at("preflight")(problem));
    }
    let secrets = secrets(objects, removal).await?;
    let keys = registered(objects, removal, &secrets).await?;
    let controllers = if removal.adopt { Vec::new() } else { controllers(objects).await? };
    if let Some(rivals) = FluxController::rivals(&controllers) {
        if removal.purge {
            return Err(at("preflight")(Problem::FluxShares(rivals)));
        }
        remove_agent(objects, removal, progress).await?;
        let note = format!("Kustomizations, sources and their kinds are left to Flux: {rivals}");
        progress.tell(ProgressEvent::Note(note));
        // Flux reads with the same keys.
        progress.tell_all(keys.iter().map(|key| ProgressEvent::Note(key.to_string())));
        return Ok(());
    }
    let is_bare = removal.hub.is_some() && secrets.is_empty() && !has_namespace(objects, removal).await?;
    let began = Instant::now();
    let kustomizations = all(Kustomization::INFO, objects).await?;
    if removal.purge {
        purge(objects, &kustomizations, removal, progress).await?;
    } else {
        for object in &kustomizations {
            pause(objects, object, true, "pause").await?;
        }
        let detail = format!("{} Kustomizations suspended, so that their objects stay", kustomizations.len());
        progress.done("pause", began, detail, Some(change(!kustomizations.is_empty())));
    }
    remove_agent(objects, removal, progress).await?;
    let running: Vec<_> = controllers.into_iter().filter(FluxController::runs).collect();
    remove_kinds(objects, removal, &FluxController::actors(&running), (&secrets, &keys), progress).await?;
    if is_bare && progress.changed > PutOutcome::Unchanged {
        return Err(at("deploy key")(
            gone_with_its_namespace(objects, removal).await.map_err(at("deploy key"))?,
        ));
    }
    Ok(())
}

/// The keys of the Secrets. Before anything is removed, each has to be registered at the GitHub that is
/// given.
async fn registered(
    objects: &Objects,
    removal: &Removal,
    secrets: &[Object],
) -> Result<Vec<Registered>, FailedStep> {
    let sources = all(GitRepository::INFO, objects).await?;
    let keys = Registered::all(secrets, &sources, removal.hub.as_ref());
    let apis = removal.hub.iter().flat_map(|hub| keys.iter().flat_map(|key| key.check_api(&hub.api)));
    let problems: Vec<Problem> = apis.collect();
    if problems.is_empty() { Ok(keys) } else { Err(FailedStep { step: "preflight", problems }) }
}

async fn has_namespace(objects: &Objects, removal: &Removal) -> Result<bool, FailedStep> {
    let namespace = shell("v1", "Namespace", "", &removal.namespace).map_err(at("preflight"))?;
    let live = objects.get(&namespace).await;
    let live =
        live.map_err(|failure| at("preflight")(Problem::cluster(namespace.id().subject(), failure)))?;
    Ok(live.is_some())
}

/// The problem of a key whose Secret was deleted together with its namespace.
async fn gone_with_its_namespace(objects: &Objects, removal: &Removal) -> Result<Problem, Problem> {
    let title = Title::new("NAME", Some(&KeyIdentity::of(objects).await?.uid), &removal.namespace, None);
    Ok(Problem::UnknownKey(format!(
        "the Secret was gone together with the namespace {}, so nothing says which deploy key was this cluster's; one \
         that is left is called \"{title}\": run lockgate keys list OWNER/REPO",
        removal.namespace
    )))
}

/// Flux's controllers, including those without replicas.
async fn controllers(objects: &Objects) -> Result<Vec<FluxController>, FailedStep> {
    let failed = |what: &'static str| move |failure| at("preflight")(Problem::cluster(what, failure));
    let selector = format!("{}={}", flux::LABEL.0, flux::LABEL.1);
    let deployments = objects.list("apps/v1", "Deployment", None, &selector).await;
    let deployments = deployments.map_err(failed("Deployments"))?;
    let mut controllers: Vec<_> =
        deployments.iter().filter_map(|found| FluxController::claimed(found.value())).collect();
    if controllers.is_empty() {
        return Ok(controllers);
    }
    let (api_version, kind) = flux::BINDINGS;
    let bindings = objects.list(api_version, kind, None, "").await.map_err(failed("ClusterRoleBindings"))?;
    controllers.retain(|one| one.is_genuine(bindings.iter().map(Object::value)));
    Ok(controllers)
}

/// Deletes every Kustomization and waits: the agent prunes their objects.
async fn purge(
    objects: &Objects,
    kustomizations: &[Object],
    removal: &Removal,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let began = Instant::now();
    for object in kustomizations {
        // For a suspended one the agent would delete nothing.
        pause(objects, object, false, "purge").await?;
        let deleted = objects.delete(object).await;
        deleted.map_err(|failure| at("purge")(Problem::cluster(object.id().subject(), failure)))?;
    }
    let patience = Patience::new("purge", removal.timeout);
    let mut wait = Wait::new(&patience, progress);
    loop {
        let left = wait.answer(Kustomization::INFO.plural, list(Kustomization::INFO, objects).await).await;
        let Poll::Ready(left) = left.map_err(at("purge"))? else { continue };
        if left.is_empty() {
            break;
        }
        if patience.is_over() {
            let cause = "the agent has not removed its finalizer; is the agent running?";
            let problems = left.iter().map(|object| patience.ended(object, cause)).collect();
            return Err(FailedStep { step: "purge", problems });
        }
        let names: Vec<String> = left.iter().map(|object| object.id().subject()).collect();
        wait.on(format!("for {} to be gone", names.join(", "))).await;
    }
    if kustomizations.is_empty() {
        let note = "no Kustomization is left to tell what was applied, so workloads that an earlier removal left stay: \
                    delete them by hand";
        progress.tell(ProgressEvent::Note(note.into()));
    }
    let detail = format!("{} Kustomizations and their objects", kustomizations.len());
    progress.done("purge", began, detail, Some(change(!kustomizations.is_empty())));
    Ok(())
}

async fn pause(
    objects: &Objects,
    object: &Object,
    is_paused: bool,
    step: &'static str,
) -> Result<(), FailedStep> {
    let paused = objects.merge(object, &json!({"spec": {"suspend": is_paused}})).await;
    paused.map(drop).map_err(|failure| at(step)(Problem::cluster(object.id().subject(), failure)))
}

async fn remove_agent(
    objects: &Objects,
    removal: &Removal,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let began = Instant::now();
    let installation = Installation::in_namespace(&removal.namespace);
    let mut wanted = manifests::agent(&installation).map_err(at("agent"))?;
    for (version, kind, name) in
        [("coordination.k8s.io/v1", "Lease", keys::LEASE), ("v1", "ConfigMap", pod::CA)]
    {
        wanted.push(shell(version, kind, &removal.namespace, name).map_err(at("agent"))?);
    }
    // The Deployment is deleted first, so that no agent loses its rights in the middle of its work.
    wanted.sort_by_key(|object| object.kind() != "Deployment");
    let mut count = 0;
    for object in &wanted {
        let deleted = objects.delete(object).await;
        count += usize::from(
            deleted.map_err(|failure| at("agent")(Problem::cluster(object.id().subject(), failure)))?,
        );
        if object.kind() == "Deployment" {
            stopped(objects, removal, progress).await?;
        }
    }
    progress.done("agent", began, format!("{count} objects removed"), Some(change(count > 0)));
    Ok(())
}

/// Waits until no pod of the agent is left.
async fn stopped(
    objects: &Objects,
    removal: &Removal,
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let patience = Patience::new("agent", removal.timeout);
    let mut wait = Wait::new(&patience, progress);
    loop {
        let pods = objects.list("v1", "Pod", Some(&removal.namespace), manifests::AGENT).await;
        let Poll::Ready(pods) = wait.answer("pods", pods).await.map_err(at("agent"))? else { continue };
        let Some(pod) = pods.first() else { return Ok(()) };
        if patience.is_over() {
            return Err(at("agent")(patience.ended(pod, "it does not terminate")));
        }
        wait.on(format!("for {} to terminate", pod.id().subject())).await;
    }
}

/// Removes the finalizers of all Kustomizations and sources, and then their kinds.
async fn remove_kinds(
    objects: &Objects,
    removal: &Removal,
    actors: &Actors,
    (secrets, keys): (&[Object], &[Registered]),
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let began = Instant::now();
    let failed = |object: &Object| {
        let subject = object.id().subject();
        move |failure| at("kinds")(Problem::cluster(subject, failure))
    };
    let mut count = 0;
    let mut acted_on = Vec::new();
    // Kinds that apply objects come first in the table, and are deleted before the sources that they build
    // from.
    for info in api::acted_on() {
        acted_on.extend(all(info, objects).await?);
    }
    let forgotten = forget_keys(objects, removal, (secrets, keys), progress).await?;
    // A Secret of an earlier version relies on the sources for the place of its key.
    for (secret, host) in
        secrets.iter().filter_map(|secret| Some((secret, unnoted(secret, &acted_on, removal.hub.as_ref())?)))
    {
        let patch = json!({"metadata": {"annotations": {keys::KEY_HOST: host.to_string()}}});
        objects.merge(secret, &patch).await.map_err(failed(secret))?;
    }
    let mut held = Vec::new();
    for object in &acted_on {
        let others = finalizers_of_others(object);
        objects.merge(object, &json!({"metadata": {"finalizers": others}})).await.map_err(failed(object))?;
        count += usize::from(objects.delete(object).await.map_err(failed(object))?);
        if !others.is_empty() {
            held.push(format!("{} ({})", object.id().subject(), others.join(", ")));
        }
    }
    let mut left = Vec::new();
    for object in manifests::crds().map_err(at("kinds"))? {
        if is_needed(objects, &object, actors).await? {
            left.push(object.name().to_owned());
        } else {
            count += usize::from(objects.delete(&object).await.map_err(failed(&object))?);
        }
    }
    progress.done("kinds", began, format!("{count} objects removed"), Some(change(count > 0)));
    if !held.is_empty() {
        let note =
            format!("these objects stay until other tools remove their finalizers: {}", held.join(", "));
        progress.tell(ProgressEvent::Note(note));
    }
    if !left.is_empty() {
        let note = format!("definitions of kinds that lockgate does not reconcile stay: {}", left.join(", "));
        progress.tell(ProgressEvent::Note(note));
    }
    if !forgotten.is_empty() {
        // The Secrets say which key stays where, so they stay for the next run.
        return Err(FailedStep { step: "deploy key", problems: forgotten });
    }
    if removal.purge {
        remove_secrets(objects, removal, secrets, progress).await?;
    } else {
        let note = format!("the workloads, the namespace {} and its Secrets stay", removal.namespace);
        progress.tell(ProgressEvent::Note(note));
    }
    Ok(())
}

/// Deletes the deploy keys of the Secrets at their hosts, or reports that they stay there. Returns the
/// problems that keep keys there.
async fn forget_keys(
    objects: &Objects,
    removal: &Removal,
    (secrets, keys): (&[Object], &[Registered]),
    progress: &mut ProgressLog<'_>,
) -> Result<Vec<Problem>, FailedStep> {
    let Some(hub) = &removal.hub else {
        progress.tell_all(keys.iter().map(|key| ProgressEvent::Note(key.to_string())));
        return Ok(Vec::new());
    };
    let identity = KeyIdentity::of(objects).await.map_err(at("deploy key"))?;
    let mut problems = unreadable(secrets);
    for key in keys {
        problems.extend(key.delete(hub, &identity, progress).await);
    }
    Ok(problems)
}

/// Whether a definition exists and must stay. That is so for a kind that lockgate does not reconcile if a
/// controller of Flux does, if somebody else has created the definition, or if the kind has objects, which
/// would be deleted too.
async fn is_needed(objects: &Objects, definition: &Object, actors: &Actors) -> Result<bool, FailedStep> {
    let Some(info) = api::defined_by(definition).filter(|info| !info.is_acted_on) else { return Ok(false) };
    let failed = |failure| at("kinds")(Problem::cluster(definition.id().subject(), failure));
    let Some(live) = objects.get(definition).await.map_err(failed)? else { return Ok(false) };
    Ok(actors.of(info).is_some() || !put::is_ours(&live) || !all(info, objects).await?.is_empty())
}

/// The finalizers that somebody else has added, whose work must not be skipped.
fn finalizers_of_others(object: &Object) -> Vec<&str> {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    let names = finalizers.into_iter().flatten().filter_map(Value::as_str);
    names.filter(|name| *name != keys::FINALIZER).collect()
}

/// The Secrets with credentials that bootstrap created for sources and for the pull of the image. They are
/// recognised without what reads them, which an interrupted uninstall may have deleted.
async fn secrets(objects: &Objects, removal: &Removal) -> Result<Vec<Object>, FailedStep> {
    let listed = objects.list("v1", "Secret", Some(&removal.namespace), OURS).await;
    let mut secrets = listed.map_err(|failure| at("kinds")(Problem::cluster("Secrets", failure)))?;
    // Anybody may set the label alone.
    let is_login = |secret: &Object| secret::is_login(secret) || pod::is_login(secret);
    secrets.retain(|secret| is_login(secret) && put::is_ours(secret));
    Ok(secrets)
}

/// Deletes the Secrets, and the namespace if bootstrap created it.
async fn remove_secrets(
    objects: &Objects,
    removal: &Removal,
    secrets: &[Object],
    progress: &mut ProgressLog<'_>,
) -> Result<(), FailedStep> {
    let began = Instant::now();
    let failed =
        |failure| at("namespace")(Problem::cluster(format!("namespace {}", removal.namespace), failure));
    let mut count = 0;
    for secret in secrets {
        let told = |failure| at("namespace")(Problem::cluster(secret.id().subject(), failure));
        count += usize::from(objects.delete(secret).await.map_err(told)?);
    }
    let namespaces = objects.list("v1", "Namespace", None, OURS).await.map_err(failed)?;
    for namespace in namespaces.iter().filter(|object| object.id().name == removal.namespace) {
        count += usize::from(objects.delete(namespace).await.map_err(failed)?);
    }
    progress.done("namespace", began, format!("{count} objects removed"), Some(change(count > 0)));
    Ok(())
}

async fn all(info: &KindInfo, objects: &Objects) -> Result<Vec<Object>, FailedStep> {
    list(info, objects).await.map_err(|failure| at("kinds")(Problem::cluster(info.plural, failure)))
}

async fn list(info: &KindInfo, objects: &Objects) -> Result<Vec<Object>, ApiFailure> {
    objects.list(&info.api_version(), info.id.kind, None, "").await
}

fn shell(api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Object, Problem> {
    let value =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}});
    Object::parse(value).map_err(|error| Problem::Embedded(error.to_string()))
}

const fn change(is_change: bool) -> PutOutcome {
    if is_change { PutOutcome::Configured } else { PutOutcome::Unchanged }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::objects::tests::answering;

    #[tokio::test]
    async fn a_server_that_is_away_for_a_moment_ends_no_wait() {
        let none = json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []});
        let removal = Removal {
            namespace: "n".into(),
            purge: true,
            adopt: false,
            hub: None,
            timeout: Duration::from_mins(1),
        };
        for wait in ["purge", "agent"] {
            let objects = answering(vec![(None, Value::Null), (Some(200), none.clone())]);
            let mut told = Vec::new();
            let mut sink = |event| told.push(event);
            let progress = &mut ProgressLog::new(&mut sink);
            let ended = match wait {
                "purge" => purge(&objects, &[], &removal, progress).await,
                _ => stopped(&objects, &removal, progress).await,
            };
            assert_eq!(ended, Ok(()), "{wait}");
            assert!(matches!(told[0], ProgressEvent::Waiting { name, .. } if name == wait), "{told:?}");
        }
    }
}
