//! Why an object was refused, whether the cause may pass without help, and the cure.

use super::denied::Denied;
use super::groups::is_built_in;
use super::removed::removed;
use lockgate_base::keys;
use lockgate_base::model::Gvk;

/// Why an object was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The namespace does not exist, or does not exist yet.
    NamespaceMissing(String),
    /// The namespace is being deleted.
    NamespaceTerminating {
        /// The namespace.
        namespace: String,
        /// Since when it is terminating, and the finalizers that block it; empty if these are unknown.
        state: String,
    },
    /// The object's kind is namespaced, and the object names no namespace.
    NamespaceNotSpecified,
    /// A right is missing.
    Forbidden(Denied),
    /// An admission plugin or policy of the API server denies the object: a quota, Pod Security, a
    /// `ValidatingAdmissionPolicy`.
    Denied,
    /// A field that cannot change has changed; the object has to be deleted and recreated.
    Immutable {
        /// The loss with the object, if it is more than `spec.force` may cost.
        loss: Option<&'static str>,
    },
    /// A field that the kind does not have, by its path.
    UnknownField(String),
    /// A field that the live object has and that the requested version of the kind does not have, by its
    /// path. Git does not set it.
    Undeclared(String),
    /// A value of the wrong type, or one that cannot be read.
    TypeError,
    /// A value that is not allowed.
    Invalid,
    /// The cluster does not have the kind, or does not have it yet.
    UnknownKind(Gvk),
    /// The server behind the kind's API group does not answer.
    GroupDown(String),
    /// A webhook denies the object.
    WebhookDenied(String),
    /// A webhook does not answer.
    WebhookDown(String),
    /// A webhook has side effects, so a dry run cannot call it.
    WebhookWithoutDryRun(String),
    /// The object is larger than the server or its store accepts.
    TooLarge,
    /// The object was changed meanwhile, or is still being deleted.
    Conflict,
    /// A Secret that is still encrypted with SOPS.
    Encrypted,
    /// The server could not be reached.
    Unavailable,
    /// Anything else, and whether the server is at fault rather than the object.
    Other {
        /// The server is at fault, so the same request may pass later.
        server_fault: bool,
    },
}

impl Cause {
    /// Whether the same object may pass later without a change in Git or of rights.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::NamespaceMissing(_)
            | Self::NamespaceTerminating { .. }
            | Self::GroupDown(_)
            | Self::WebhookDown(_)
            | Self::Conflict
            | Self::Unavailable => true,
            Self::UnknownKind(gvk) => removed(gvk).is_none(),
            Self::Other { server_fault } => *server_fault,
            Self::NamespaceNotSpecified
            | Self::Forbidden(_)
            | Self::Denied
            | Self::Immutable { .. }
            | Self::UnknownField(_)
            | Self::Undeclared(_)
            | Self::TypeError
            | Self::Invalid
            | Self::WebhookDenied(_)
            | Self::WebhookWithoutDryRun(_)
            | Self::TooLarge
            | Self::Encrypted => false,
        }
    }

    /// The cure, if it is known.
    pub(super) fn cure(&self) -> Option<String> {
        Some(match self {
            Self::NamespaceMissing(namespace) => {
                format!("add the Namespace {namespace} to this build, or to one that this build depends on")
            }
            Self::NamespaceTerminating { namespace, state } => {
                format!("namespace {namespace} terminating{state}; this is tried again until it is gone")
            }
            Self::NamespaceNotSpecified => "set metadata.namespace, or spec.targetNamespace".into(),
            Self::Forbidden(denied) => {
                let Denied { account, verb, resource, .. } = denied;
                format!("grant {verb} on {resource} {} to {account}", denied.place())
            }
            Self::Immutable { loss: None } => {
                format!("set spec.force, or annotate the object with {}: enabled", keys::FORCE)
            }
            Self::Immutable { loss: Some(loss) } => format!(
                "undo the change, or add an object of another name: this one is not deleted and recreated, since {loss} \
                 would be lost"
            ),
            Self::UnknownField(path) => format!("remove the field {path}, or correct its name"),
            Self::Undeclared(path) => format!(
                "Git does not set {path}: an entry of metadata.managedFields in another version of the \
                 object has it"
            ),
            Self::UnknownKind(gvk) => match removed(gvk) {
                Some(removed) => format!("{} is {removed}", gvk.api_version()),
                None if is_built_in(&gvk.group) => {
                    "this release of Kubernetes does not serve it, or serves it only behind a feature \
                     gate"
                        .into()
                }
                None => "its CustomResourceDefinition does not exist: add it to this build, or to one that \
                    this build depends on"
                    .into(),
            },
            Self::GroupDown(_) => {
                "see kubectl get apiservices; is the Service of its APIService healthy?".into()
            }
            Self::WebhookDown(name) => {
                format!("the webhook {name} does not answer; are its pods healthy?")
            }
            Self::WebhookWithoutDryRun(name) => format!(
                "the webhook {name} must declare sideEffects: None or NoneOnDryRun in its configuration, since every \
                 object is applied as a dry run first"
            ),
            Self::TooLarge => "split it, or move the data elsewhere".into(),
            Self::Encrypted => "configure spec.decryption".into(),
            Self::Denied
            | Self::TypeError
            | Self::Invalid
            | Self::WebhookDenied(_)
            | Self::Conflict
            | Self::Unavailable
            | Self::Other { .. } => return None,
        })
    }
}
