//! A large repository with several sources: its files are kept once.

use std::fmt::Write as _;

use harness::{Cage, Change};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::stage::{condition, config_map, stage};

/// Folders, and files in each.
const FOLDERS: usize = 1_500;
const FILES: usize = 100;
/// The sources, and what each leaves out. The last two are what people write for a part of a repository.
const SOURCES: [(&str, &str); 5] = [
    ("one", ""),
    ("two", "/docs/"),
    ("three", ".github/"),
    ("four", "/*\n!/apps/\n"),
    ("five", "/*\n!/apps/\n!/team-7/\n"),
];
/// The most that the agent may hold at a time, in KiB. The code of a debug binary, which is mapped, takes
/// more of it than that of a release binary, which `LOCKGATE` names.
fn most_held() -> u64 {
    let is_release = std::env::var_os("LOCKGATE").is_some();
    if is_release { 100 * 1024 } else { 115 * 1024 }
}

/// 150,000 files and five sources, at rest and at a commit.
#[tokio::test]
async fn a_large_repository_costs_its_files_once() {
    let stage = stage("large", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let mut changes = Vec::new();
    for folder in 0..FOLDERS {
        let team = folder % 30;
        changes.extend((0..FILES).map(|file| {
            let mut path = String::new();
            write!(path, "team-{team}/services/service-{folder}/manifests/deployment-{file}.yaml").unwrap();
            Change::file(path, format!("{folder} {file}"))
        }));
    }
    stage.repo.commit_changes("main", "large", &changes).unwrap();
    for (name, ignore) in SOURCES {
        stage.source(name, json!({"ignore": ignore, "timeout": "5m"})).await.unwrap();
    }
    // The one that the stage begins with is not needed.
    let suspended = Patch::Merge(json!({"spec": {"suspend": true}}));
    stage.sources().patch("repo", &PatchParams::default(), &suspended).await.unwrap();
    let cage = Cage::new(256 << 20);
    let agent = stage.agent_in(&cage).await;
    for (name, _) in SOURCES {
        stage.until_source(name, "fetched", |status| condition(status, "Ready")["status"] == "True").await;
    }
    println!("at rest: {} KiB, at most {} KiB", agent.rss_kib().unwrap(), agent.peak_rss_kib().unwrap());
    let revision = stage.push(&[("apps/a.yaml", &config_map("a", "2"))]);
    for (name, _) in SOURCES {
        let is_there = |status: &serde_json::Value| status["artifact"]["revision"] == revision.as_str();
        stage.until_source(name, "at the commit", is_there).await;
    }
    let peak = agent.peak_rss_kib().unwrap();
    println!("after a commit: {} KiB, at most {peak} KiB", agent.rss_kib().unwrap());
    assert!(peak <= most_held(), "{peak} KiB");
    assert_eq!(cage.kills(), 0);
}
