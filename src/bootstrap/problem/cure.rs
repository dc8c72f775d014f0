//! The cures of problems that other parts report: of the API server, of SSH and of a repository's host.

use crate::bootstrap::ssh::SshError;
use lockgate_core::pipeline::ports::ApiFailure;
use lockgate_git::SourceError;

/// Whether the failure is an answer of the server, which then was reachable, whatever it said.
pub(super) const fn is_answer(failure: &ApiFailure) -> bool {
    matches!(failure, ApiFailure::Answered { .. })
}

/// The cure if Flux's controllers do the same work.
pub(super) const FLUX_RUNS: &str = "scale its controllers to zero or uninstall them with `flux uninstall --keep-namespace`, then run \
                         again; --adopt goes on beside them";

/// The cure if a purge would delete objects that Flux needs.
pub(super) const FLUX_SHARES: &str = "uninstall without --purge, which leaves what Flux needs; or uninstall Flux first; --adopt takes it \
                           from Flux";

/// The cure of a host's failure over https.
pub(super) const fn host_fix(error: &SourceError) -> Option<&'static str> {
    match error {
        SourceError::Connect { .. } | SourceError::Timeout { .. } => {
            Some("check the address, the port and the network")
        }
        SourceError::HostKey(_) => {
            Some("give the certificates of the authority that vouches for it with --ca-file FILE")
        }
        SourceError::Rejected(_) => Some("check what is signed in with, and that it may read the repository"),
        _ => None,
    }
}

/// The cure of a failure over SSH.
pub(super) const fn ssh_fix(error: &SshError) -> &'static str {
    match error {
        SshError::HostKey(_) => {
            "compare with the keys that the server's owner publishes, then accept one with \
             --accept-host-key FINGERPRINT"
        }
        SshError::Identity { .. } => {
            "put the password of the key into 'password' of the Secret, or name another with --secret-name"
        }
        SshError::Repository { .. } => "check the path of the address, and what the key may read",
        SshError::Unreachable { .. } => "check the address, the port and the network",
        SshError::Denied { .. } => "add the public key at the server with read access",
    }
}

/// The cure if the user may not grant the rights of a role.
pub(super) const ESCALATION: &str =
    "run as a user with these rights, such as a cluster administrator, or with the right to 'escalate' roles";

/// The cure of an API server's answer.
pub(super) fn cluster_fix(failure: &ApiFailure) -> Option<String> {
    if !is_answer(failure) {
        let fix = "check the kubeconfig, the context and the network, then run again";
        return failure.is_transient().then(|| fix.into());
    }
    let ApiFailure::Answered { code: code @ (403 | 409 | 429 | 500..), message, .. } = failure else {
        return None;
    };
    Some(match (code, webhook(message)) {
        // The API server's message if a role or a binding contains rights that the user does not have.
        (403, _) if message.contains("is attempting to grant RBAC permissions not currently held") => {
            ESCALATION.into()
        }
        (403, _) => {
            "a policy of the cluster forbids it: change the policy, or have it leave out the agent's namespace, then run \
             again"
                .into()
        }
        (500.., Some(name)) => format!(
            "bring up the server behind the webhook {name}, or remove its configuration (kubectl get \
             validatingwebhookconfigurations,mutatingwebhookconfigurations), then run again"
        ),
        (500.., None) => {
            "look at the API server (kubectl get --raw '/readyz?verbose'), then run again: it answers, with an error of \
             its own"
                .into()
        }
        _ => "run again".into(),
    })
}

/// The webhook that an API server could not call, as the server names it.
fn webhook(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("failed calling webhook \"")?;
    rest.split_once('"').map(|(name, _)| name)
}

/// The cure of an annotation that was edited by hand.
pub(super) const DAMAGED_FLAGS: &str = "correct the annotation; or remove it with kubectl annotate … lockgate.dev/flags-, and \
                                        pass all flags again";

/// The cure if a command does not name the GitHub of the repository.
pub(super) const OTHER_API: &str = "pass --api-url again: the token is sent only to an address that you give";
