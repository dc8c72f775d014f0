//! Arguments that several commands take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tracing::Level;
use zeroize::Zeroizing;

use super::log;
use super::names::namespace;
use super::output::CommandError;
use super::pod::PodArguments;
use crate::bootstrap::admission::AdmissionTarget;
use crate::bootstrap::deploy_key::KeyPlan;
use crate::bootstrap::key::{Algorithm, KeyPair};
use crate::bootstrap::manifests::{IMAGE, Installation};
use crate::bootstrap::title::ClusterName;
use crate::cluster;
use lockgate_base::keys;
use lockgate_base::model;
use lockgate_git::Identity;

/// The choice of the cluster.
#[derive(Args, Clone)]
pub(super) struct ClusterArguments {
    /// A kubeconfig file; by default KUBECONFIG, then ~/.kube/config, then the pod's own account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; by default the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ClusterArguments {
    /// The connection's description.
    pub(super) fn target(&self) -> cluster::ClusterTarget {
        cluster::ClusterTarget {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            withheld: &[],
        }
    }

    /// Creates the client, without a request yet.
    pub(super) async fn connect(&self) -> Result<AdmissionTarget, CommandError> {
        self.connect_withholding(&[]).await
    }

    /// Creates the client, and hides environment variables from the programs that the kubeconfig runs.
    pub(super) async fn connect_withholding(
        &self,
        withheld: &'static [&'static str],
    ) -> Result<AdmissionTarget, CommandError> {
        let target = cluster::ClusterTarget { withheld, ..self.target() };
        let connected = cluster::Client::connect_by_name(&target).await;
        let (client, context) = connected.map_err(|error| CommandError::unreachable(error.to_string()))?;
        // A pod that uses its own account has no context.
        Ok(AdmissionTarget { client, name: context.unwrap_or_else(|| "in-cluster".into()) })
    }
}

/// The settings of the deploy key.
#[derive(Args, Clone)]
pub(super) struct KeyArguments {
    /// The cluster's name in the title of its deploy key; give a cluster that is created again the same name
    #[arg(long, value_name = "NAME")]
    pub(super) cluster_name: Option<ClusterName>,
    /// The lifetime of a new deploy key, such as 12h; `lockgate keys prune --expired` deletes it afterwards
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    key_ttl: Option<Duration>,
    /// The type of a new key: ed25519, ecdsa-p256, ecdsa-p384 or ecdsa-p521
    #[arg(long, value_name = "NAME", default_value_t)]
    ssh_key_algorithm: Algorithm,
}

impl KeyArguments {
    /// The plan for the key in a Secret.
    pub(super) fn plan(&self, secret: &str) -> KeyPlan {
        KeyPlan {
            secret: secret.into(),
            algorithm: self.ssh_key_algorithm,
            given: None,
            replace: false,
            cluster: self.cluster_name.clone(),
            ttl: self.key_ttl,
            prune: false,
            accepted_host_key: None,
        }
    }
}

/// The settings of the agent.
#[derive(Args, Clone)]
pub(super) struct InstallationArguments {
    /// The agent's namespace
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE, value_parser = namespace)]
    pub(super) namespace: String,
    /// The agent's image
    #[arg(long, value_name = "REFERENCE", default_value = IMAGE)]
    image: String,
    /// Run without cluster-admin: every Kustomization has to name a ServiceAccount to impersonate
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    lockdown: bool,
    /// Continue although Flux's controllers run, and take over another installation's objects
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    adopt: bool,
    /// How much the agent logs: error, warn, info, debug or trace; info without it
    #[arg(long, value_name = "LEVEL", value_parser = log::read_level)]
    log_level: Option<Level>,
    #[command(flatten)]
    pub(super) pod: PodArguments,
}

impl InstallationArguments {
    /// The installation, with the content of the files that its flags name.
    pub(super) fn installation(&self) -> Result<Installation, CommandError> {
        Ok(Installation {
            namespace: self.namespace.clone(),
            image: self.image.clone(),
            lockdown: self.lockdown,
            adopt: self.adopt,
            log_level: self.log_level.map(log::level_name),
            pod: self.pod.settings()?,
        })
    }
}

/// The key pair whose private key is in a file.
pub(super) fn key_pair(file: &Path) -> Result<KeyPair, CommandError> {
    let unreadable = |error: String| {
        // The agent's messages call the file by its name in a Secret.
        let error = error.strip_prefix("identity ").map_or(error.clone(), |rest| format!("it {rest}"));
        CommandError::usage(format!("{}: {error}", file.display()))
            .hint("make a pair without a passphrase: ssh-keygen -t ed25519 -N '' -f FILE")
    };
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| unreadable(error.to_string()))?;
    let identity = Identity::parse(&text, None).map_err(unreadable)?;
    KeyPair::existing(&identity, None).map_err(|error| unreadable(error.to_string()))
}

/// Parses a duration such as `90s` or `5m`.
pub(super) fn duration(text: &str) -> Result<Duration, model::ParseDurationError> {
    text.parse::<model::Duration>().map(model::Duration::std)
}

/// Parses the lifetime of a key. GitHub's date of last use lags, so a shorter one could not be told from one
/// that has ended.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_hours(1);
    let lifetime = days(text)?;
    if lifetime < LEAST { Err("a key lives for at least 1h".into()) } else { Ok(lifetime) }
}

/// Parses a number of days such as `30d`, or a [`duration`].
pub(super) fn days(text: &str) -> Result<Duration, String> {
    const DAY: u64 = 24 * 60 * 60;
    let number = text.strip_suffix('d').and_then(|number| number.parse::<u64>().ok());
    match number.and_then(|days| days.checked_mul(DAY)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => duration(text).map_err(|_| format!("'{text}' is not a duration such as 12h or 30d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_for_an_hour_at_least() {
        assert_eq!(
            (lifetime("1h"), lifetime("1d")),
            (Ok(Duration::from_hours(1)), Ok(Duration::from_hours(24)))
        );
        for text in ["0", "1s", "59m"] {
            assert_eq!(lifetime(text), Err("a key lives for at least 1h".into()), "{text}");
        }
    }

    #[test]
    fn days_are_durations_too() {
        assert_eq!(days("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(days("12h"), Ok(Duration::from_hours(12)));
        for text in ["d", "-1d", "1.5d", "999999999999999999d", "soon"] {
            assert!(days(text).unwrap_err().contains("such as 12h or 30d"), "{text}");
        }
    }
}
