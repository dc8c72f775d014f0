//! SSH keys, made by ssh-keygen in every form that users have.

use std::path::Path;
use std::process::Command;

use crate::process::run;

/// The algorithm of a user's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// Ed25519.
    Ed25519,
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// RSA of 3072 bits.
    Rsa,
}

/// The algorithm of a server's key: one of those that GitHub has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostKeyType {
    /// `ssh-ed25519`.
    Ed25519,
    /// `ecdsa-sha2-nistp256`.
    EcdsaP256,
    /// `ssh-rsa`, 2048 bits.
    Rsa,
}

impl HostKeyType {
    /// All algorithms.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::EcdsaP256, Self::Rsa];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa",
            Self::Rsa => "rsa",
        }
    }

    fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Ed25519 => ["-t", "ed25519", "-b", "256"],
            Self::EcdsaP256 => ["-t", "ecdsa", "-b", "256"],
            Self::Rsa => ["-t", "rsa", "-b", "2048"],
        }
    }
}

/// A user's key pair.
#[derive(Clone, Debug)]
pub struct SshKey {
    /// The private key in OpenSSH's form.
    pub openssh: String,
    /// The private key in the old form of its algorithm: PKCS#1 or SEC 1. Ed25519 has none, so this is
    /// OpenSSH's.
    pub legacy: String,
    /// The private key as PKCS#8. Ed25519 keys are in OpenSSH's form here too.
    pub pkcs8: String,
    /// The public key as one line, without a comment.
    pub public: String,
}

impl SshKey {
    /// Makes a key pair.
    pub fn generate(algorithm: KeyAlgorithm) -> anyhow::Result<Self> {
        let arguments = match algorithm {
            KeyAlgorithm::Ed25519 => ["-t", "ed25519", "-b", "256"],
            KeyAlgorithm::EcdsaP256 => ["-t", "ecdsa", "-b", "256"],
            KeyAlgorithm::EcdsaP384 => ["-t", "ecdsa", "-b", "384"],
            KeyAlgorithm::EcdsaP521 => ["-t", "ecdsa", "-b", "521"],
            KeyAlgorithm::Rsa => ["-t", "rsa", "-b", "3072"],
        };
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("key");
        keygen(&arguments, &path)?;
        let openssh = std::fs::read_to_string(&path)?;
        let public = public_key(&path)?;
        let legacy = converted(&path, "PEM")?;
        let pkcs8 = converted(&path, "PKCS8")?;
        Ok(Self { openssh, legacy, pkcs8, public })
    }

    /// The private key in OpenSSH's form, encrypted with a passphrase.
    pub fn encrypted(&self, passphrase: &str) -> anyhow::Result<String> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("key");
        crate::controlplane::write_private(&path, self.openssh.as_bytes())?;
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-p", "-P", "", "-N", passphrase, "-f"]).arg(&path);
        run(command, b"")?;
        Ok(std::fs::read_to_string(&path)?)
    }
}

/// The fingerprint of a public key line, `SHA256:...`.
pub fn fingerprint(public: &str) -> anyhow::Result<String> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-l", "-f", "-"]);
    let output = String::from_utf8(run(command, format!("{public}\n").as_bytes())?)?;
    Ok(output.split_whitespace().nth(1).unwrap_or_default().to_owned())
}

/// Makes a host key at `path`, in place of an existing one.
pub(super) fn host_key(kind: HostKeyType, path: &Path) -> anyhow::Result<()> {
    for old in [path.to_owned(), path.with_extension("pub")] {
        match std::fs::remove_file(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    keygen(&kind.arguments(), path)
}

/// The public half beside a private key: algorithm and key, no comment.
pub(super) fn public_key(path: &Path) -> anyhow::Result<String> {
    let line = std::fs::read_to_string(path.with_extension("pub"))?;
    Ok(line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

fn keygen(arguments: &[&str], path: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", ""]).args(arguments).arg("-f").arg(path);
    run(command, b"").map(drop)
}

fn converted(path: &Path, form: &str) -> anyhow::Result<String> {
    let copy = path.with_extension(form);
    std::fs::copy(path, &copy)?;
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-p", "-P", "", "-N", "", "-m", form, "-f"]).arg(&copy);
    run(command, b"")?;
    Ok(std::fs::read_to_string(&copy)?)
}
