//! Ways into the control plane: clients and kubeconfigs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::ControlPlane;
use super::kubeconfig::{Login, kubeconfig, write_private};
use crate::eventually;

impl ControlPlane {
    /// The API server's address, `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.layout.url()
    }

    /// The API server's socket address, for a proxy in front of it.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.layout.api_port))
    }

    /// The authority that signed the API server's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The directory with logs and kubeconfigs.
    pub fn dir(&self) -> &Path {
        self.layout.dir.path()
    }

    /// A kubeconfig of the group system:masters.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.layout.dir.join("admin.kubeconfig")
    }

    /// A client of the group system:masters, created for the calling runtime.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        client_of(&self.admin_kubeconfig()).await
    }

    /// A kubeconfig with a token of a ServiceAccount, valid for a day; waits for the account for a few
    /// seconds.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> anyhow::Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(86_400), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let answer = eventually(Duration::from_secs(5), async || {
            Ok(accounts.create_token_request(name, &PostParams::default(), &request).await?)
        })
        .await
        .with_context(|| format!("no token for ServiceAccount {namespace}/{name}"))?;
        let token = answer.status.context("the token request was not answered")?.token;
        self.write_kubeconfig(&format!("sa-{namespace}-{name}"), &self.url(), &Login::Token(&token))
    }

    /// A kubeconfig with a client certificate for a user of at most two groups.
    pub fn user_kubeconfig(&self, user: &str, groups: &[&str]) -> anyhow::Result<PathBuf> {
        let identity = self.authority.client(user, groups)?;
        self.write_kubeconfig("user", &self.url(), &Login::Certificate(&identity))
    }

    /// The kubeconfig with the address of a proxy (or any other address with the same certificate).
    pub fn kubeconfig_through(&self, kubeconfig: &Path, proxy: SocketAddr) -> anyhow::Result<PathBuf> {
        let mut config: Value = serde_json::from_slice(&std::fs::read(kubeconfig)?)?;
        let server =
            config.pointer_mut("/clusters/0/cluster/server").context("the kubeconfig names no server")?;
        *server = json!(format!("https://{proxy}"));
        self.write_new("proxied", &config)
    }

    /// The audit log so far, one JSON object a request; empty without `Options::audit`.
    pub fn audit_log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.layout.dir.join("audit.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub(super) fn write_kubeconfigs(&self) -> anyhow::Result<()> {
        let identities = [
            ("admin", "admin", "system:masters"),
            ("controller-manager", "system:kube-controller-manager", ""),
            ("scheduler", "system:kube-scheduler", ""),
        ];
        for (file, user, group) in identities {
            let groups: &[&str] = if group.is_empty() { &[] } else { &[group] };
            let identity = self.authority.client(user, groups)?;
            let config = kubeconfig(&self.url(), self.authority.pem(), &Login::Certificate(&identity));
            write_private(
                &self.layout.dir.join(format!("{file}.kubeconfig")),
                &serde_json::to_vec_pretty(&config)?,
            )?;
        }
        Ok(())
    }

    fn write_kubeconfig(&self, name: &str, url: &str, login: &Login<'_>) -> anyhow::Result<PathBuf> {
        self.write_new(name, &kubeconfig(url, self.authority.pem(), login))
    }

    fn write_new(&self, name: &str, config: &Value) -> anyhow::Result<PathBuf> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.layout.dir.join(format!("{name}-{number}.kubeconfig"));
        write_private(&path, &serde_json::to_vec_pretty(config)?)?;
        Ok(path)
    }
}

/// A client from any kubeconfig, created for the calling runtime.
pub async fn client_of(path: &Path) -> anyhow::Result<kube::Client> {
    let config = Kubeconfig::read_from(path)?;
    let mut config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    // The control plane is on this machine, so no proxy of the environment applies.
    config.proxy_url = None;
    Ok(kube::Client::try_from(config)?)
}
