//! `standin FOLDER CHARTS`: sshd on loopback, port 2222, with the sample platform in `acme/platform`, the
//! stand-in for GitHub on port 8088, and the platform's charts on port 8089, until SIGTERM. `CHARTS` is the
//! address under which pods reach them. What the test on a real node bootstraps from.

use harness::{GitHub, GitServer, GitServerOptions, sample};
use tokio::signal::unix::{SignalKind, signal};

const SSH: u16 = 2222;
const GITHUB: u16 = 8088;
const CHARTS: u16 = 8089;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, charts] = arguments.as_slice() else { anyhow::bail!("usage: standin FOLDER CHARTS") };
    let options = GitServerOptions { dir: Some(folder.into()), port: Some(SSH), keep: false };
    let git = GitServer::start_with(&options)?;
    let _charts = sample::chart_server(Some(CHARTS))?;
    let platform = sample::platform(charts)?;
    git.create_repo("acme/platform")?.commit_changes("main", "Add the platform", &platform)?;
    let github = GitHub::start_on(&git, Some(GITHUB))?;
    github.add_token("node-token");
    println!("{}", github.url());
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}
