//! Arguments that several commands take.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::config::Kubeconfig;

use super::output::Error;
use crate::bootstrap::manifests::{IMAGE, Installation};
use crate::bootstrap::steps::Target;
use crate::cluster;
use lockgate_base::keys;
use lockgate_base::model;

/// Which cluster.
#[derive(Args, Clone)]
pub(super) struct ClusterArguments {
    /// A kubeconfig file; without it KUBECONFIG, then ~/.kube/config, then the pod's own account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; without it the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ClusterArguments {
    /// The connection's description.
    pub(super) fn target(&self) -> cluster::Target {
        cluster::Target { kubeconfig: self.kubeconfig.clone(), context: self.context.clone(), withheld: &[] }
    }

    /// Connects. Nothing is asked yet.
    pub(super) async fn connect(&self) -> Result<Target, Error> {
        self.connect_withholding(&[]).await
    }

    /// Connects, and keeps variables of the environment from the programs that the kubeconfig has run.
    pub(super) async fn connect_withholding(
        &self,
        withheld: &'static [&'static str],
    ) -> Result<Target, Error> {
        let client = cluster::Client::connect(&cluster::Target { withheld, ..self.target() }).await;
        let client = client.map_err(|error| Error::unreachable(error.to_string()))?;
        Ok(Target { client, name: self.name() })
    }

    /// What the user calls the cluster.
    fn name(&self) -> String {
        let read = || match &self.kubeconfig {
            Some(file) => Kubeconfig::read_from(file),
            None => Kubeconfig::read(),
        };
        let named = self.context.clone().or_else(|| read().ok().and_then(|config| config.current_context));
        named.unwrap_or_else(|| "in-cluster".into())
    }
}

/// The agent.
#[derive(Args, Clone)]
pub(super) struct InstallationArguments {
    /// The agent's namespace
    #[arg(short, long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE)]
    pub(super) namespace: String,
    /// The agent's image
    #[arg(long, value_name = "REFERENCE", default_value = IMAGE)]
    image: String,
    /// Without cluster-admin: every Kustomization names the ServiceAccount in whose name it is applied
    #[arg(long)]
    lockdown: bool,
    /// Go on beside Flux's controllers, and change what another set-up left
    #[arg(long)]
    adopt: bool,
}

impl InstallationArguments {
    pub(super) fn installation(&self) -> Installation {
        Installation {
            namespace: self.namespace.clone(),
            image: self.image.clone(),
            lockdown: self.lockdown,
            adopt: self.adopt,
        }
    }
}

/// Reads `90s`, `5m`.
pub(super) fn duration(text: &str) -> Result<Duration, model::ParseDurationError> {
    text.parse::<model::Duration>().map(model::Duration::std)
}
