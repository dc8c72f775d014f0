//! A Kubernetes control plane of real binaries on loopback: etcd, kube-apiserver, kube-controller-manager
//! and, in full, kube-scheduler and kwok, which plays the kubelet, the load balancer and the volume
//! provisioner.

mod access;
mod binaries;
mod components;
mod faults;
mod kubeconfig;
mod shared;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;

pub use access::client_of;
pub use binaries::program;
pub(crate) use kubeconfig::write_private;
pub use shared::shared;

use crate::dirs::RunDir;
use crate::eventually;
use crate::pki::Authority;
use crate::process::{Lifetime, Process, lock};
use crate::serve::free_port;
use components::Layout;

/// The programs that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Components {
    /// etcd, kube-apiserver and kube-controller-manager: objects, garbage collection and namespaces, but no
    /// pods.
    Bare,
    /// Also kube-scheduler and kwok: pods run, Deployments become available, claims are bound, load balancers
    /// get addresses.
    Full,
}

/// How a control plane is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The programs that run.
    pub components: Components,
    /// The number of nodes that kwok simulates, each in a zone of its own.
    pub nodes: usize,
    /// Whether the API server writes an audit log, one JSON line a request.
    pub audit: bool,
    /// A directory that stays, instead of a temporary one.
    pub dir: Option<PathBuf>,
    /// The API server's port, instead of a free one.
    pub port: Option<u16>,
    /// Leaves the programs running when this process ends; needs `dir`. [`ControlPlane::stop_left_running`]
    /// ends them.
    pub keep: bool,
    /// More arguments for kube-apiserver.
    pub apiserver_args: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            components: Components::Full,
            nodes: 1,
            audit: false,
            dir: None,
            port: None,
            keep: false,
            apiserver_args: Vec::new(),
        }
    }
}

impl Options {
    /// Without scheduler and kwok.
    pub fn bare() -> Self {
        Self { components: Components::Bare, ..Self::default() }
    }
}

/// A running control plane. On drop its programs end and its directory is removed.
#[derive(Debug)]
pub struct ControlPlane {
    // Fields drop in order: the programs end before their directory goes.
    processes: Mutex<Processes>,
    layout: Layout,
    authority: Authority,
    lifetime: Lifetime,
}

#[derive(Debug, Default)]
struct Processes {
    clients: Vec<Process>,
    apiserver: Option<Process>,
    etcd: Option<Process>,
}

impl ControlPlane {
    /// Starts a control plane and waits until it is ready.
    ///
    /// The first start on a machine builds the programs, which takes minutes.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        anyhow::ensure!(!options.keep || options.dir.is_some(), "a control plane to keep needs a directory");
        let binaries = tokio::task::spawn_blocking(binaries::Binaries::find).await??;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::attempt(&options, binaries.clone()).await {
                // Another program may take a free port before ours listens on it.
                Err(error) if attempts < 3 && format!("{error:#}").contains("address already in use") => {}
                result => return result,
            }
        }
    }

    async fn attempt(options: &Options, binaries: binaries::Binaries) -> anyhow::Result<Self> {
        let dir = match &options.dir {
            Some(dir) => RunDir::fixed(dir)?,
            None => RunDir::temporary("cluster")?,
        };
        let layout = Layout {
            dir,
            binaries,
            etcd_port: free_port()?,
            peer_port: free_port()?,
            api_port: options.port.map_or_else(free_port, Ok)?,
            audit: options.audit,
            apiserver_args: options.apiserver_args.clone(),
        };
        let authority = Authority::new("test-ca")?;
        layout.write_files(&authority)?;
        let lifetime = if options.keep { Lifetime::Own } else { Lifetime::Parent };
        let plane = Self { processes: Mutex::default(), layout, authority, lifetime };
        plane.write_kubeconfigs()?;
        match plane.start_all(options).await {
            Ok(()) => Ok(plane),
            Err(error) => {
                // Programs that are kept would run on with nobody to stop them.
                plane.kill_all();
                Err(error)
            }
        }
    }

    async fn start_all(&self, options: &Options) -> anyhow::Result<()> {
        self.start_etcd().await?;
        self.start_apiserver().await?;
        let mut clients = vec![("kube-controller-manager", self.layout.controller_manager())];
        if options.components == Components::Full {
            clients.push(("kube-scheduler", self.layout.scheduler()));
            clients.push(("kwok", self.layout.kwok()));
        }
        for (name, command) in clients {
            let process = self.launch(name, command)?;
            lock(&self.processes).clients.push(process);
        }
        let nodes = if options.components == Components::Full { options.nodes } else { 0 };
        self.make_nodes(nodes).await?;
        self.wait_usable(nodes).await
    }

    fn launch(&self, name: &str, command: Command) -> anyhow::Result<Process> {
        Process::start(name, command, &self.layout.dir.join(format!("{name}.log")), self.lifetime)
    }

    async fn make_nodes(&self, count: usize) -> anyhow::Result<()> {
        let nodes: Api<Node> = Api::all(self.client().await?);
        for index in 0..count {
            let name = format!("node-{index}");
            let node = serde_json::from_value(json!({
                "metadata": { "name": name, "labels": {
                    "kubernetes.io/hostname": name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64",
                    "topology.kubernetes.io/region": "region-1",
                    "topology.kubernetes.io/zone": format!("zone-{index}"),
                } },
            }))?;
            match nodes.create(&PostParams::default(), &node).await {
                // A directory that was kept still holds it.
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                result => drop(result?),
            }
        }
        Ok(())
    }

    async fn wait_usable(&self, nodes: usize) -> anyhow::Result<()> {
        let client = self.client().await?;
        let all: Api<Node> = Api::all(client.clone());
        let accounts: Api<ServiceAccount> = Api::namespaced(client, "default");
        self.until(async || {
            accounts.get("default").await.context("no default ServiceAccount yet")?;
            let ready =
                all.list(&ListParams::default()).await?.items.iter().filter(|node| is_ready(node)).count();
            anyhow::ensure!(ready >= nodes, "{ready} of {nodes} nodes are ready");
            Ok(())
        })
        .await
        .context("the control plane did not become usable")
    }

    /// Waits up to a minute for an answer, or until one of the programs has ended.
    async fn until(&self, mut probe: impl AsyncFnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
        eventually(Duration::from_mins(1), async || match self.check_alive() {
            Ok(()) => probe().await.map(Ok),
            Err(ended) => Ok(Err(ended)),
        })
        .await?
    }

    fn kill_all(&self) {
        let processes = std::mem::take(&mut *lock(&self.processes));
        processes.clients.iter().chain(&processes.apiserver).chain(&processes.etcd).for_each(Process::kill);
    }

    fn check_alive(&self) -> anyhow::Result<()> {
        let processes = lock(&self.processes);
        processes
            .clients
            .iter()
            .chain(&processes.apiserver)
            .chain(&processes.etcd)
            .try_for_each(Process::check_alive)
    }

    /// Ends the programs that were started with `keep` in `dir`, by their pid files, and removes the
    /// directory.
    pub fn stop_left_running(dir: &Path) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(dir).with_context(|| format!("nothing runs from {}", dir.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "pid") {
                crate::process::kill_by_pid_file(&path)?;
            }
        }
        std::fs::remove_dir_all(dir).with_context(|| format!("failed to remove {}", dir.display()))
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
