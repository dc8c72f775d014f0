//! A real registry: CNCF distribution, with artifacts pushed as `flux push artifact` and `oras push` do.
//! `tests/registry/build.sh` builds the programs.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::dirs::RunDir;
use crate::eventually;
use crate::pki::Authority;
use crate::process::{Lifetime, Process, built_by, run};
use crate::serve::free_port;

/// Who may read and write a registry that wants a login.
pub const REGISTRY_USER: (&str, &str) = ("puller", "hunter2-canary");
/// The password of [`REGISTRY_USER`] as htpasswd keeps it.
const HASH: &str = "$2a$04$XYgQ4/F0FJU1E4BQGlLvGeYJyrqEroX8Ajp9or/t80i4RN39ioUrC";

/// A key of cosign's, and its public half. It goes when it is dropped.
#[derive(Debug)]
pub struct CosignKey {
    folder: RunDir,
    public: String,
}

impl CosignKey {
    /// Makes a key, as `cosign generate-key-pair` does.
    pub fn make() -> anyhow::Result<Self> {
        let folder = RunDir::temporary("cosign")?;
        let mut command = cosign(&built_by("registry/build.sh")?, folder.path());
        command.arg("generate-key-pair");
        run(command, b"")?;
        let public = std::fs::read_to_string(folder.join("cosign.pub"))?;
        Ok(Self { folder, public })
    }

    /// The public half, PEM.
    pub fn public(&self) -> &str {
        &self.public
    }
}

/// The real cosign, in a folder with a key that has no password.
fn cosign(programs: &Path, folder: &Path) -> Command {
    let mut command = Command::new(programs.join("cosign"));
    command.current_dir(folder).env("HOME", folder).env("COSIGN_PASSWORD", "");
    command
}

/// How a registry is reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegistryOptions {
    /// Whether it wants a login.
    pub login: bool,
    /// Whether it speaks TLS, with an authority of its own.
    pub tls: bool,
}

/// A running registry on a loopback port. It ends when it is dropped.
#[derive(Debug)]
pub struct Registry {
    process: Process,
    address: SocketAddr,
    authority: Option<Authority>,
    options: RegistryOptions,
    programs: PathBuf,
    folder: RunDir,
}

impl Registry {
    /// Starts a registry that is empty.
    pub async fn start(options: RegistryOptions) -> anyhow::Result<Self> {
        let programs = built_by("registry/build.sh")?;
        let folder = RunDir::temporary("registry")?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let mut config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n",
            folder.join("data").display()
        );
        if options.login {
            std::fs::write(folder.join("htpasswd"), format!("{}:{HASH}\n", REGISTRY_USER.0))?;
            let path = folder.join("htpasswd");
            write!(config, "auth:\n  htpasswd: {{realm: test, path: {}}}\n", path.display())?;
        }
        write!(config, "http:\n  addr: {address}\n")?;
        let mut authority = None;
        if options.tls {
            let made = Authority::new("test-registry-ca")?;
            let identity = made.server(&["localhost", "127.0.0.1"])?;
            let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
            std::fs::write(&certificate, identity.certificate)?;
            std::fs::write(&key, identity.key)?;
            let (certificate, key) = (certificate.display(), key.display());
            writeln!(config, "  tls: {{certificate: {certificate}, key: {key}}}")?;
            authority = Some(made);
        }
        std::fs::write(folder.join("config.yml"), config)?;
        let mut command = Command::new(programs.join("registry"));
        // Nothing leaves this machine, traces neither.
        command.arg("serve").arg(folder.join("config.yml")).env("OTEL_TRACES_EXPORTER", "none");
        let process =
            Process::start("the registry", command, &folder.join("registry.log"), Lifetime::Parent)?;
        let registry = Self { process, address, authority, options, programs, folder };
        eventually(Duration::from_secs(30), async || {
            registry.process.check_alive()?;
            std::net::TcpStream::connect(address).context("the registry does not listen").map(drop)
        })
        .await?;
        Ok(registry)
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `oci://` and the address of a repository.
    pub fn url(&self, name: &str) -> String {
        format!("oci://{}/{name}", self.address)
    }

    /// The authority of its certificate in PEM form; empty if it has none.
    pub fn authority(&self) -> &str {
        self.authority.as_ref().map_or("", Authority::pem)
    }

    /// The content of a pull secret's `.dockerconfigjson` for its user.
    pub fn docker_config(&self) -> String {
        let (username, password) = REGISTRY_USER;
        serde_json::json!({"auths": {self.address.to_string(): {"username": username, "password": password}}})
            .to_string()
    }

    /// Pushes a folder as `flux push artifact` does, made from `revision`. Returns the digest, `sha256:…`.
    pub fn push(&self, name: &str, tag: &str, folder: &Path, revision: &str) -> anyhow::Result<String> {
        let url = format!("{}/{name}:{tag}", self.address);
        let mut command = Command::new(self.programs.join("push"));
        command.args([
            "-url",
            &url,
            "-source",
            "https://example.com/platform",
            "-revision",
            revision,
            "-path",
        ]);
        command.arg(folder).args(self.login(["-user", "-password"]));
        self.trust(&mut command);
        let printed = String::from_utf8(run(command, b"")?)?;
        let digest = printed.trim().rsplit_once('@').context("no digest was printed")?.1;
        Ok(digest.to_owned())
    }

    /// Pushes files and folders as `oras push` does: `(path below the folder, media type)`. Returns the
    /// digest.
    pub fn oras_push(
        &self,
        name: &str,
        tag: &str,
        folder: &Path,
        layers: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let url = format!("{}/{name}:{tag}", self.address);
        let mut command = Command::new(self.programs.join("oras"));
        command.args(["push", "--no-tty", "--format", "go-template={{.digest}}"]);
        command.args(if self.options.tls { ["--insecure"] } else { ["--plain-http"] });
        command.args(self.login(["--username", "--password"])).arg(url);
        command.args(layers.iter().map(|(path, media_type)| format!("{path}:{media_type}")));
        command.current_dir(folder).env("DOCKER_CONFIG", self.folder.path());
        Ok(String::from_utf8(run(command, b"")?)?.trim().to_owned())
    }

    /// Signs an artifact by its digest with a key of [`CosignKey::make`], as `cosign sign --key` does: in an
    /// artifact beside it, or in a bundle that refers to it.
    pub fn sign(&self, name: &str, digest: &str, key: &CosignKey, in_bundle: bool) -> anyhow::Result<()> {
        let mut command = cosign(&self.programs, key.folder.path());
        command.args([
            "sign",
            "--yes",
            "--key",
            "cosign.key",
            "--tlog-upload=false",
            "--use-signing-config=false",
        ]);
        command.args(["--allow-http-registry", "--allow-insecure-registry"]);
        command.arg(format!("--new-bundle-format={in_bundle}"));
        command.args(self.login(["--registry-username", "--registry-password"]));
        self.trust(&mut command);
        command.arg(format!("{}/{name}@{digest}", self.address));
        run(command, b"").map(drop)
    }

    /// Puts the signature beside one artifact beside another as well. Whether there was one.
    pub fn copy_signature(&self, name: &str, from: &str, to: &str) -> anyhow::Result<bool> {
        let tag = |digest: &str| format!("{}/{name}:{}.sig", self.address, digest.replacen(':', "-", 1));
        let mut command = Command::new(self.programs.join("oras"));
        command.args(["copy", "--no-tty", "--from-plain-http", "--to-plain-http"]);
        command.arg(tag(from)).arg(tag(to)).env("DOCKER_CONFIG", self.folder.path());
        Ok(run(command, b"").is_ok())
    }

    fn login(&self, flags: [&str; 2]) -> Vec<String> {
        let values = [REGISTRY_USER.0, REGISTRY_USER.1];
        let pairs = flags.iter().zip(values).filter(|_| self.options.login);
        pairs.flat_map(|(flag, value)| [(*flag).to_owned(), value.to_owned()]).collect()
    }

    /// Go's programs trust the authorities of this file.
    fn trust(&self, command: &mut Command) {
        let path = self.folder.join("ca.crt");
        if self.options.tls && std::fs::write(&path, self.authority()).is_ok() {
            command.env("SSL_CERT_FILE", path);
        }
    }
}
