//! Runs each command of README unchanged, by a shell, against real parts.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use harness::{Access, App, HttpsAuth, HttpsGitServer, KeyAlgorithm, SshKey};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::site::{LIMIT, Site, TOKEN, config_map, ended};

const README: &str = include_str!("../../README.md");
const MAKEFILE: &str = include_str!("../../Makefile");

/// How a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// By CI or by hand: the target is there.
    Make,
    /// To its end, with one of these codes.
    Ends(&'static [i32]),
    /// Until the agent has fetched.
    Fetches,
}

/// The commands in the blocks that show some, without their output.
fn commands(text: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    for block in text.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let has_output = block.lines().any(|line| line.starts_with("$ "));
        let shown = block.lines().filter(|line| line.starts_with("$ ") || !(has_output || line.is_empty()));
        commands.extend(shown.map(|line| line.trim_start_matches("$ ").trim_end_matches(" …")));
    }
    commands
}

/// How a command is run; `None` if it is unknown.
fn run_of(line: &str) -> Option<Run> {
    let line =
        line.split_once(" | ").filter(|(first, _)| first.starts_with("pass ")).map_or(line, |(_, rest)| rest);
    let words: Vec<&str> = line.split_whitespace().take(3).collect();
    Some(match words.as_slice() {
        ["make", ..] => Run::Make,
        ["lockgate", "bootstrap", "github" | "git"] => Run::Fetches,
        ["lockgate", "status" | "diff", ..] => Run::Ends(&[0, 1]),
        ["lockgate", "keys", "list" | "create" | "delete" | "prune"]
        | ["lockgate", "rotate-key" | "uninstall", ..] => Run::Ends(&[0]),
        _ => return None,
    })
}

/// What must be added to a command that is run here, where GitHub is not at its usual place.
fn more(site: &Site, folder: &Path, line: &str, number: usize) -> String {
    let (api, host) = (site.hub.url(), format!("{}@{}", site.git.user(), site.git.address()));
    let named = format!("--name n{number} --secret-name s{number}");
    match line {
        _ if line.contains(" bootstrap github ") => format!("--api-url {api} --ssh-host {host} {named}"),
        _ if line.contains(" https://") => format!("--ca-file {} {named}", folder.join("ca.pem").display()),
        _ if line.contains(" ssh://") => format!("--key-file platform.key {named}"),
        _ if line.contains(" keys ") || line.contains(" uninstall ") => format!("--api-url {api}"),
        _ if line.contains(" rotate-key") => format!("--api-url {api} --name n0"),
        _ => String::new(),
    }
}

fn script(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A line, as a shell runs it that finds lockgate and a password store on its path.
fn shell(site: &Site, folder: &Path, line: &str, more: &str) -> Command {
    let mut command = Command::new("sh");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    command
        .args(["-c", line])
        .envs([("PATH", path.as_str()), ("MORE", more), ("GITHUB_TOKEN", TOKEN)])
        .env("KUBECONFIG", site.plane.admin_kubeconfig())
        .current_dir(if line.contains(" diff ") { Path::new(env!("CARGO_MANIFEST_DIR")) } else { folder })
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0);
    command
}

/// Runs a command until the agent has fetched, and ends it there with all that it has started.
async fn fetches(mut command: Command) -> Result<(), String> {
    let mut child = command.spawn().unwrap();
    let group = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = String::new();
    let seen = tokio::time::timeout(LIMIT, async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("✔ source ") {
                return true;
            }
            told += &(line + "\n");
        }
        false
    });
    let is_seen = seen.await.unwrap_or(false);
    let _ = kill_process_group(group, Signal::KILL);
    child.wait().await.unwrap();
    if is_seen { Ok(()) } else { Err(told) }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_readme_is_run() {
    let site = Site::new().await;
    let repo = site.git.create_repo("acme/platform").unwrap();
    let map = config_map("platform", "one");
    let files = ["clusters/eu/cm.yaml", "kubernetes/production/eu-west9/flux-system/cm.yaml"];
    repo.commit("main", "begin", &files.map(|file| (file, Some(map.as_str())))).unwrap();
    let owner = "acme".into();
    site.hub.add_app(App { id: "124".into(), installation: 7, owner, administration: Access::None });
    let login = HttpsAuth::Basic { username: "reader".into(), password: TOKEN.into() };
    let server = HttpsGitServer::start(&site.git, login).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    script(folder, "lockgate", &format!("exec {} \"$@\" $MORE", env!("CARGO_BIN_EXE_lockgate")));
    script(folder, "pass", &format!("echo {TOKEN}"));
    let key = SshKey::generate(KeyAlgorithm::Ed25519).unwrap();
    for (name, text) in [
        ("platform.key", key.openssh.as_str()),
        ("reader.pem", &harness::app_key().unwrap()),
        ("ca.pem", server.ca_pem()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let here = |line: &str| {
        line.replace("OWNER/REPO", "acme/platform")
            .replace("https://git.example.com/acme/platform", &server.url(&repo))
            .replace("git@git.example.com", &format!("{}@{}", site.git.user(), site.git.address()))
    };
    let mut lines = commands(README);
    // Uninstalls run last, since nothing is left afterwards.
    lines.sort_by_key(|line| line.contains(" uninstall"));
    let mut agent = None;
    for (number, line) in lines.iter().enumerate() {
        let run = run_of(line).unwrap_or_else(|| panic!("no test runs the command of README: {line}"));
        let is_first = agent.is_none() && run == Run::Fetches;
        let added = more(&site, folder, line, if is_first { 0 } else { number + 1 });
        let command = shell(&site, folder, &here(line), &added);
        match run {
            Run::Make => {
                let target = line.split_whitespace().nth(1).unwrap();
                assert!(MAKEFILE.contains(&format!("\n{target}: ")), "there is no target for {line}");
            }
            Run::Fetches if is_first => agent = Some(site.with_agent(command, &[]).await),
            Run::Fetches => fetches(command).await.unwrap_or_else(|told| panic!("{line}: {told}")),
            Run::Ends(codes) => {
                let ended = ended(command).await;
                assert!(codes.contains(&ended.code), "{line}: {}{}", ended.stdout, ended.stderr);
            }
        }
    }
    assert!(agent.is_some() && lines.len() > 15, "{lines:#?}");
}

#[test]
fn a_command_that_nobody_knows_is_found() {
    let text = "```console\nmake demo\n```\nSo:\n```console\n$ lockgate frobnicate --all …\n✔ done\n```\n";
    assert_eq!(commands(text), ["make demo", "lockgate frobnicate --all"]);
    assert_eq!(run_of("lockgate frobnicate --all"), None);
    assert_eq!(run_of("pass token | lockgate keys list o/r"), Some(Run::Ends(&[0])));
    assert_eq!(run_of("curl x | lockgate keys list o/r"), None);
}
