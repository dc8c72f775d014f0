//! The real helm, as a user of one cluster runs it. `tests/oracle/build.sh` builds it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::dirs::RunDir;
use crate::process::oracle;

/// The real helm, for one cluster.
#[derive(Debug)]
pub struct HelmCli {
    program: PathBuf,
    kubeconfig: PathBuf,
    /// Where it keeps what it caches.
    home: RunDir,
}

impl HelmCli {
    /// For the cluster of a kubeconfig; the first call on a machine builds helm.
    pub fn of(kubeconfig: &Path) -> anyhow::Result<Self> {
        let (program, home) = (oracle("helm-cli")?, RunDir::temporary("helm")?);
        Ok(Self { program, kubeconfig: kubeconfig.to_owned(), home })
    }

    /// Runs a command in a namespace; returns what it prints on standard output.
    pub fn run(&self, namespace: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--namespace", namespace, "--kubeconfig"]).arg(&self.kubeconfig);
        let output = command.env("HOME", self.home.path()).output().context("helm was not run")?;
        let told = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "helm {}: {told}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Pushes an archive of a chart to a registry without TLS: `oci://` and the folder that is to hold it.
    pub fn push(&self, archive: &[u8], url: &str) -> anyhow::Result<()> {
        let path = self.home.join("chart.tgz");
        std::fs::write(&path, archive)?;
        let path = path.to_str().context("the path is no text")?;
        self.run("default", &["push", path, url, "--plain-http"]).map(drop)
    }
}
