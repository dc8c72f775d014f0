//! The servers admit the git client itself as intended.

use std::process::Command;

use super::*;
use crate::process::run;

/// Clones with the git client and returns the directory that holds the clone.
fn clone(server: &GitServer, url: &str, key: &str, known_hosts: &str) -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    let target = dir.path().join("clone").to_string_lossy().into_owned();
    with_key(&["clone", "-q", url, &target], key, known_hosts)
        .map_err(|error| error.context(format!("sshd says: {}", server.log())))?;
    Ok(dir)
}

#[test]
fn a_key_reads_its_own_repository_until_it_is_revoked() {
    let server = GitServer::start().unwrap();
    let repo = server.create_repo("owner/infra").unwrap();
    let other = server.create_repo("owner/other").unwrap();
    repo.commit("main", "First", &[("a/b.yaml", Some("x: 1\n")), ("gone", Some("y"))]).unwrap();
    other.commit("main", "Other", &[("secret", Some("z"))]).unwrap();
    let sha = repo
        .commit_changes(
            "main",
            "Second",
            &[
                Change::Delete("gone".into()),
                Change::Symlink("link".into(), "a/b.yaml".into()),
                Change::Executable("run \"it\"\n".into(), b"#!/bin/sh\n".to_vec()),
            ],
        )
        .unwrap();
    assert_eq!(repo.rev_parse("main").unwrap(), sha);
    for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::EcdsaP384, KeyAlgorithm::Rsa] {
        let key = SshKey::generate(algorithm).unwrap();
        let hosts = server.known_hosts_file().unwrap();
        let error = clone(&server, &server.url(&repo), &key.openssh, &hosts).unwrap_err();
        assert!(format!("{error:#}").contains("Permission denied (publickey)"), "{error:#}");
        let id = server.authorize(&repo, &key.public).unwrap();
        let dir = clone(&server, &server.url(&repo), &key.openssh, &hosts).unwrap();
        let files = dir.path().join("clone");
        assert_eq!(std::fs::read_to_string(files.join("link")).unwrap(), "x: 1\n");
        assert!(!files.join("gone").exists());
        // The forced command decides which repository is read, not the URL.
        let dir = clone(&server, &server.url(&other), &key.legacy, &hosts).unwrap();
        assert!(dir.path().join("clone/a/b.yaml").exists());
        server.revoke(id).unwrap();
        let error = clone(&server, &server.url(&repo), &key.openssh, &hosts).unwrap_err();
        assert!(format!("{error:#}").contains("Permission denied (publickey)"), "{error:#}");
    }
}

#[test]
fn another_host_key_is_seen() {
    let server = GitServer::start().unwrap();
    let repo = server.create_repo("owner/infra").unwrap();
    repo.commit("main", "First", &[("a", Some("1"))]).unwrap();
    let key = SshKey::generate(KeyAlgorithm::Ed25519).unwrap();
    server.authorize(&repo, &key.public).unwrap();
    let hosts = server.known_hosts_file().unwrap();
    assert_eq!(hosts.lines().count(), 3);
    server.set_host_keys(&[HostKeyType::Ed25519]).unwrap();
    clone(&server, &server.url(&repo), &key.openssh, &hosts).unwrap();
    server.rotate_host_key(HostKeyType::Ed25519).unwrap();
    let error = clone(&server, &server.url(&repo), &key.openssh, &hosts).unwrap_err();
    assert!(format!("{error:#}").contains("Host key verification failed"), "{error:#}");
    let hosts = server.known_hosts_file().unwrap();
    clone(&server, &server.url(&repo), &key.openssh, &hosts).unwrap();
}

#[test]
fn histories_are_rewritten_and_branches_deleted() {
    let server = GitServer::start().unwrap();
    let repo = server.create_repo("owner/infra").unwrap();
    let first = repo.commit("main", "First", &[("a", Some("1"))]).unwrap();
    let second = repo.force_orphan("main", "Again", &[("a", Some("1"))]).unwrap();
    assert_ne!(first, second);
    assert_eq!(repo.git(&["rev-list", "--count", "main"]).unwrap(), "1");
    repo.tag("v1.0.0", "main").unwrap();
    repo.annotated_tag("v1.1.0", "main", "Release").unwrap();
    repo.delete_branch("main").unwrap();
    assert!(repo.rev_parse("main").is_err());
    assert_eq!(repo.rev_parse("v1.1.0^{commit}").unwrap(), second);
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    std::fs::write(dir.path().join("sub/file"), "content").unwrap();
    std::os::unix::fs::symlink("file", dir.path().join("sub/link")).unwrap();
    repo.commit_dir("main", "Tree", dir.path()).unwrap();
    let tree = repo.git(&["ls-tree", "-r", "main", "--format=%(objectmode) %(path)"]).unwrap();
    assert_eq!(tree, "100644 sub/file\n120000 sub/link");
    assert_eq!(server.repos().unwrap(), ["owner/infra"]);
}

#[test]
fn https_asks_for_what_it_was_told_to() {
    let server = GitServer::start().unwrap();
    let repo = server.create_repo("owner/infra").unwrap();
    repo.commit("main", "First", &[("a", Some("1"))]).unwrap();
    let https = HttpsGitServer::start(&server, HttpsAuth::None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, https.ca_pem()).unwrap();
    let list = |header: &str| {
        let mut command: Command = git();
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_SSL_CAINFO", &ca);
        command.args(["-c", &format!("http.extraHeader={header}"), "ls-remote", &https.url(&repo)]);
        run(command, b"").map(|output| String::from_utf8_lossy(&output).into_owned())
    };
    assert!(list("X-None: 1").unwrap().contains("refs/heads/main"));
    https.set_auth(HttpsAuth::Bearer("t0ken".into()));
    assert!(list("X-None: 1").is_err());
    assert!(list("Authorization: Bearer t0ken").unwrap().contains("refs/heads/main"));
    https.set_auth(HttpsAuth::Basic { username: "git".into(), password: "pw".into() });
    assert!(list("Authorization: Bearer t0ken").is_err());
    assert!(list("Authorization: Basic Z2l0OnB3").unwrap().contains("refs/heads/main"));
    let mut clone: Command = git();
    clone.env("GIT_SSL_CAINFO", &ca).args([
        "clone",
        "-q",
        "-c",
        "http.extraHeader=Authorization: Basic Z2l0OnB3",
    ]);
    clone.arg(https.url(&repo)).arg(dir.path().join("clone"));
    run(clone, b"").unwrap();
    assert!(dir.path().join("clone/a").exists());
}
