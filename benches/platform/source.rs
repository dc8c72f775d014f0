//! Where the files of a workload are served from, and the objects by which the agent reads them.

use harness::{GitServer, KeyAlgorithm, Registry, RegistryOptions, SshKey};
use serde_json::{Value, json};

use crate::workload::{Origin, Workload};

const GROUP: &str = "source.toolkit.fluxcd.io/v1";

/// A server that has the files of a workload. It ends when this is dropped.
pub(crate) struct Source {
    /// The source `bench` and what it refers to.
    pub(crate) objects: Vec<Value>,
    _server: Server,
}

/// What serves; held for as long as it is to run.
#[expect(dead_code, reason = "it is held, and ends with who holds it")]
enum Server {
    Git(GitServer),
    Registry(Box<Registry>),
}

impl Source {
    /// Starts a server and hands it the files.
    pub(crate) async fn of(workload: &Workload) -> anyhow::Result<Self> {
        match workload.origin {
            Origin::Git => repository(workload),
            Origin::Registry => artifact(workload).await,
        }
    }
}

fn object(origin: Origin, spec: &Value) -> Value {
    json!({"apiVersion": GROUP, "kind": origin.kind(), "spec": spec,
           "metadata": {"name": "bench", "namespace": "flux-system"}})
}

fn repository(workload: &Workload) -> anyhow::Result<Source> {
    let git = GitServer::start()?;
    let repo = git.create_repo("bench/platform")?;
    let files = workload.files();
    let files: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), Some(content))).collect();
    repo.commit("main", "Add the platform", &files)?;
    let key = SshKey::generate(KeyAlgorithm::Ed25519)?;
    git.authorize(&repo, &key.public)?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bench", "namespace": "flux-system"},
        "stringData": {
            "identity": key.openssh, "identity.pub": key.public, "known_hosts": git.known_hosts_file()?,
        },
    });
    let spec = json!({
        "interval": "1h", "url": git.url(&repo), "ref": {"branch": "main"}, "secretRef": {"name": "bench"},
    });
    Ok(Source { objects: vec![secret, object(Origin::Git, &spec)], _server: Server::Git(git) })
}

async fn artifact(workload: &Workload) -> anyhow::Result<Source> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let folder = tempfile::tempdir()?;
    for (path, content) in workload.files() {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        std::fs::write(path, content)?;
    }
    registry.push("bench/platform", "latest", folder.path(), "main@sha1:0123456789")?;
    let spec = json!({"interval": "1h", "url": registry.url("bench/platform"), "insecure": true});
    Ok(Source {
        objects: vec![object(Origin::Registry, &spec)],
        _server: Server::Registry(Box::new(registry)),
    })
}
