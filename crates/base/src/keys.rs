//! Labels, annotations, finalizers and manager names of the Flux ecosystem, and the few of our own.

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
/// On a HelmRelease, equal to [`REQUESTED_AT`]: a new version is asked for, whatever has changed.
pub const FORCE_AT: &str = "reconcile.fluxcd.io/forceAt";
/// On a HelmRelease, equal to [`REQUESTED_AT`]: its failures are to count anew.
pub const RESET_AT: &str = "reconcile.fluxcd.io/resetAt";
/// Annotations that begin so are carried by the events about their object.
pub const EVENT_METADATA: &str = "event.toolkit.fluxcd.io/";
/// `Enabled` as a label of a ConfigMap or Secret: a change of it wakes the Kustomizations that read it.
pub const WATCH: &str = "reconcile.fluxcd.io/watch";
/// On a Kustomization, `allowed`: a build that has become empty may delete everything, however much that is.
pub const PRUNE_ALL: &str = "lockgate.dev/prune-all";
/// On a Kustomization or an object: `watch`, `interval` or `report`, what is done about drift.
pub const DRIFT: &str = "lockgate.dev/drift";
/// On the Secret with the deploy key: the public line of the key that it held before a rotation that is not
/// finished.
pub const REPLACED_KEY: &str = "lockgate.dev/replaced-key";
/// On the agent's Deployment and on a source: the flags that bootstrap was given, as JSON.
pub const FLAGS: &str = "lockgate.dev/flags";
/// Flux's finalizer, kept so that either agent can take over from the other.
pub const FINALIZER: &str = "finalizers.fluxcd.io";
/// Field manager of applied objects, kept so that ownership continues.
pub const FIELD_MANAGER: &str = "kustomize-controller";
/// Field manager of the agent's writes to its own kinds' status.
pub const STATUS_MANAGER: &str = "gotk-kustomize-controller";
/// The Lease of the agent that watches all namespaces; one that watches a single one adds its name.
pub const LEASE: &str = "lockgate-leader";
/// Annotation of the Lease that says which pod (`pod/NAME`) or process holds it, in a form in which its end
/// can be seen.
pub const LEASE_HOLDER: &str = "lockgate.dev/holder";
/// The namespace that repositories written for Flux name.
pub const DEFAULT_NAMESPACE: &str = "flux-system";
/// The annotation of an OCI artifact with the address of what it was made from.
pub const OCI_SOURCE: &str = "org.opencontainers.image.source";
/// The annotation of an OCI artifact with the revision of what it was made from.
pub const OCI_REVISION: &str = "org.opencontainers.image.revision";
