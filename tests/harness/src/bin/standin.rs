//! `standin FOLDER PLATFORM`: sshd on loopback, port 2222, with the platform in `acme/platform`, and the
//! stand-in for GitHub on port 8088, until SIGTERM. The test on a real node bootstraps from them.

use harness::{Change, GitHub, GitServer, GitServerOptions};
use tokio::signal::unix::{SignalKind, signal};

const SSH: u16 = 2222;
const GITHUB: u16 = 8088;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, platform] = arguments.as_slice() else { anyhow::bail!("usage: standin FOLDER PLATFORM") };
    let options = GitServerOptions { dir: Some(folder.into()), port: Some(SSH), keep: false };
    let git = GitServer::start_with(&options)?;
    let platform = [Change::Directory("kubernetes".into(), platform.into())];
    git.create_repo("acme/platform")?.commit_changes("main", "Add the platform", &platform)?;
    let github = GitHub::start_on(&git, Some(GITHUB))?;
    github.add_token("node-token");
    println!("{}", github.url());
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}
