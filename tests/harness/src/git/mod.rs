//! Git servers on loopback: a real sshd with one forced command a deploy key, and smart HTTP over TLS.

mod https;
mod keys;
mod repo;
mod sshd;
#[cfg(test)]
mod tests;

pub use https::{HttpsAuth, HttpsGitServer};
pub use keys::{HostKeyType, KeyAlgorithm, SshKey, fingerprint};
pub use repo::{Change, Repo};
pub use sshd::{GitServer, GitServerOptions, KeyId};

use std::process::Command;

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
