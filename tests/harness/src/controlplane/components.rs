//! The command line of each program of the control plane.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::binaries::Binaries;
use super::kubeconfig::write_private;
use crate::dirs::RunDir;
use crate::pki::{Authority, signing_key};

/// The inputs of the command lines.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) dir: RunDir,
    pub(super) binaries: Binaries,
    pub(super) etcd_port: u16,
    pub(super) peer_port: u16,
    pub(super) api_port: u16,
    pub(super) audit: bool,
    pub(super) apiserver_args: Vec<String>,
}

/// The range of Services' addresses; the first is the API server's.
const SERVICES: &str = "10.0.0.0/16";
const API_SERVICE: &str = "10.0.0.1";

impl Layout {
    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    pub(super) fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.etcd_port)
    }

    /// Writes certificates, keys, policies and stages.
    pub(super) fn write_files(&self, authority: &Authority) -> anyhow::Result<()> {
        let server = authority.server(&[
            "kube-apiserver",
            "localhost",
            "127.0.0.1",
            API_SERVICE,
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ])?;
        let (signing, verifying) = signing_key()?;
        let files = [
            ("ca.crt", authority.pem()),
            ("ca.key", &authority.key_pem()),
            ("apiserver.crt", &server.certificate),
            ("apiserver.key", &server.key),
            ("service-account.key", &signing),
            ("service-account.pub", &verifying),
            ("audit-policy.yaml", AUDIT_POLICY),
            ("stages.yaml", &self.binaries.stages()?),
        ];
        files.iter().try_for_each(|(name, content)| write_private(&self.dir.join(name), content.as_bytes()))
    }

    pub(super) fn etcd(&self) -> Command {
        let client = self.etcd_url();
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        self.command(
            "etcd",
            &[
                flag("name", "test"),
                path("data-dir", &self.dir.join("etcd")),
                flag("unsafe-no-fsync", "true"),
                flag("listen-client-urls", &client),
                flag("advertise-client-urls", &client),
                flag("listen-peer-urls", &peer),
                flag("initial-advertise-peer-urls", &peer),
                flag("initial-cluster", &format!("test={peer}")),
                flag("quota-backend-bytes", "2147483648"),
                flag("log-level", "warn"),
            ],
        )
    }

    pub(super) fn apiserver(&self) -> Command {
        let mut command = self.command(
            "kube-apiserver",
            &[
                flag("etcd-servers", &self.etcd_url()),
                flag("bind-address", "127.0.0.1"),
                flag("advertise-address", "127.0.0.1"),
                flag("secure-port", &self.api_port.to_string()),
                path("cert-dir", &self.dir.join("certs")),
                path("tls-cert-file", &self.dir.join("apiserver.crt")),
                path("tls-private-key-file", &self.dir.join("apiserver.key")),
                path("client-ca-file", &self.dir.join("ca.crt")),
                flag("service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
                path("service-account-key-file", &self.dir.join("service-account.pub")),
                path("service-account-signing-key-file", &self.dir.join("service-account.key")),
                flag("service-cluster-ip-range", SERVICES),
                flag("authorization-mode", "Node,RBAC"),
                flag("endpoint-reconciler-type", "none"),
                flag("allow-privileged", "true"),
                flag("profiling", "false"),
            ],
        );
        if self.audit {
            command.args([
                path("audit-policy-file", &self.dir.join("audit-policy.yaml")),
                path("audit-log-path", &self.dir.join("audit.log")),
            ]);
        }
        command.args(&self.apiserver_args);
        command
    }

    pub(super) fn controller_manager(&self) -> Command {
        let key = self.dir.join("service-account.key");
        let mut args = vec![
            path("kubeconfig", &self.dir.join("controller-manager.kubeconfig")),
            path("root-ca-file", &self.dir.join("ca.crt")),
            path("service-account-private-key-file", &key),
            path("cluster-signing-cert-file", &self.dir.join("ca.crt")),
            path("cluster-signing-key-file", &self.dir.join("ca.key")),
            flag("use-service-account-credentials", "true"),
            flag("leader-elect", "false"),
            flag("secure-port", "0"),
            // A slow machine must not make the node NotReady.
            flag("node-monitor-grace-period", "24h"),
            flag("concurrent-deployment-syncs", "20"),
            flag("concurrent-replicaset-syncs", "20"),
            flag("concurrent-namespace-syncs", "20"),
            flag("pvclaimbinder-sync-period", "2s"),
        ];
        args.extend(client_rate());
        self.command("kube-controller-manager", &args)
    }

    pub(super) fn scheduler(&self) -> Command {
        let mut args = vec![
            path("kubeconfig", &self.dir.join("scheduler.kubeconfig")),
            flag("leader-elect", "false"),
            flag("secure-port", "0"),
        ];
        args.extend(client_rate());
        self.command("kube-scheduler", &args)
    }

    pub(super) fn kwok(&self) -> Command {
        self.command(
            "kwok",
            &[
                path("kubeconfig", &self.dir.join("admin.kubeconfig")),
                path("config", &self.dir.join("stages.yaml")),
                flag("manage-all-nodes", "true"),
                flag("cidr", "10.244.0.0/16"),
                flag("node-ip", "192.0.2.1"),
            ],
        )
    }

    fn command(&self, name: &str, args: &[OsString]) -> Command {
        let mut command = Command::new(self.binaries.program(name));
        // The user's environment must not affect the cluster under test.
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.dir.path());
        command.args(args);
        command
    }
}

fn client_rate() -> [OsString; 2] {
    [flag("kube-api-qps", "1000"), flag("kube-api-burst", "2000")]
}

fn flag(name: &str, value: &str) -> OsString {
    format!("--{name}={value}").into()
}

fn path(name: &str, value: &Path) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

/// Logs the user, the verb and the object of each request, without bodies.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";
