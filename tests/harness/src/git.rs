//! Git servers on loopback: a real sshd with one forced command a deploy key, and smart HTTP over TLS.

mod https;
mod keys;
mod repo;
mod sshd;
#[cfg(test)]
mod tests;

pub(crate) use https::backend;
pub use https::{HttpsAuth, HttpsGitServer};
pub use keys::{HostKeyType, KeyAlgorithm, SshKey, fingerprint};
pub use repo::{Change, Repo};
pub use sshd::{GitServer, GitServerOptions, KeyId};

use std::process::Command;

use crate::controlplane::write_private;
use crate::process::run;

/// `git` without the user's or the system's settings, taking any repository for safe.
fn git() -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_WORK_TREE");
    command
}

/// Asks a server over SSH for its refs with the git client, as a user with this private key and known_hosts
/// file would.
pub fn ls_remote(url: &str, private_key: &str, known_hosts: &str) -> anyhow::Result<String> {
    Ok(String::from_utf8_lossy(&with_key(&["ls-remote", url], private_key, known_hosts)?).into_owned())
}

/// Runs git with one private key and one known_hosts file, and nothing of the user's.
fn with_key(arguments: &[&str], private_key: &str, known_hosts: &str) -> anyhow::Result<Vec<u8>> {
    let dir = tempfile::tempdir()?;
    let (identity, hosts) = (dir.path().join("identity"), dir.path().join("known_hosts"));
    write_private(&identity, private_key.as_bytes())?;
    std::fs::write(&hosts, known_hosts)?;
    let ssh = format!(
        "ssh -F none -i {} -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile={} -o GlobalKnownHostsFile=none",
        identity.display(),
        hosts.display()
    );
    let mut command = git();
    command.env("GIT_SSH_COMMAND", ssh).env_remove("SSH_AUTH_SOCK").args(arguments);
    run(command, b"")
}
