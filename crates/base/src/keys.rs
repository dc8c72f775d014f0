//! Labels, annotations, finalizers and manager names of the Flux ecosystem, and a few of lockgate's own.

/// Owner label: the Kustomization's name.
pub const OWNER_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
/// Owner label: the Kustomization's namespace.
pub const OWNER_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
/// `Override`, `Merge`, `IfNotPresent` or `Ignore`, as a label or an annotation.
pub const SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
/// `disabled`: the object is never deleted.
pub const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";
/// `enabled`: the object is recreated when an immutable field changes.
pub const FORCE: &str = "kustomize.toolkit.fluxcd.io/force";
/// `disabled`: the object is neither applied nor deleted.
pub const RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";
/// `disabled`: the object's text is not substituted.
pub const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";
/// Helm's annotation of an object: the name of its release.
pub const RELEASE_NAME: &str = "meta.helm.sh/release-name";
/// Helm's annotation of an object: the namespace of its release.
pub const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";
/// A token; when it changes, the object is reconciled at once.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// On a HelmRelease, equal to [`REQUESTED_AT`]: release a new version, even without changes.
pub const FORCE_AT: &str = "reconcile.fluxcd.io/forceAt";
/// On a HelmRelease, equal to [`REQUESTED_AT`]: reset the counts of its failures.
pub const RESET_AT: &str = "reconcile.fluxcd.io/resetAt";
/// The prefix of annotations that are copied to events about their object.
pub const EVENT_METADATA: &str = "event.toolkit.fluxcd.io/";
/// `Enabled` as a label of a ConfigMap or Secret: a change of it causes a reconcile of the Kustomizations
/// that read it.
pub const WATCH: &str = "reconcile.fluxcd.io/watch";
/// On a Kustomization, `allowed`: a build that has become empty may delete everything, however much that is.
pub const PRUNE_ALL: &str = "lockgate.dev/prune-all";
/// On a Kustomization or an object, `watch`, `interval` or `report`: the drift policy.
pub const DRIFT: &str = "lockgate.dev/drift";
/// On the Secret with the deploy key: the public line of the previous key, during a rotation.
pub const REPLACED_KEY: &str = "lockgate.dev/replaced-key";
/// On the Secret with the deploy key: the address of the repository where the key is registered.
pub const KEY_HOST: &str = "lockgate.dev/key-host";
/// On the agent's Deployment and on a source: the flags of bootstrap as JSON.
pub const FLAGS: &str = "lockgate.dev/flags";
/// Flux's finalizer, kept so that either agent can take over from the other.
pub const FINALIZER: &str = "finalizers.fluxcd.io";
/// Field manager of applied objects, kept so that ownership continues.
pub const FIELD_MANAGER: &str = "kustomize-controller";
/// Field manager of the agent's writes to its own kinds' status.
pub const STATUS_MANAGER: &str = "gotk-kustomize-controller";
/// The Lease of the agent that watches all namespaces; an agent for a single namespace adds its name.
pub const LEASE: &str = "lockgate-leader";
/// Annotation of the Lease with the pod (`pod/NAME`) or the process that holds it, in a form from which
/// others can see its end.
pub const LEASE_HOLDER: &str = "lockgate.dev/holder";
/// The namespace that repositories written for Flux name.
pub const DEFAULT_NAMESPACE: &str = "flux-system";
/// The annotation of an OCI artifact with the address of its origin.
pub const OCI_SOURCE: &str = "org.opencontainers.image.source";
/// The annotation of an OCI artifact with the revision of its origin.
pub const OCI_REVISION: &str = "org.opencontainers.image.revision";
