//! The check of a repository over SSH from this machine, with a Secret in any form that the agent accepts.

use std::process::Command;

use harness::{GitServer, KeyAlgorithm, Repo, SshKey};
use lockgate::tested::{SshError, SshUrl, branches, scan};
use lockgate_base::model::Secret;
use lockgate_git::{Credentials, SshCredentials};

fn site() -> (GitServer, Repo, SshUrl) {
    let git = GitServer::start().unwrap();
    let repo = git.create_repo("owner/infra").unwrap();
    repo.commit("main", "begin", &[("a", Some("b"))]).unwrap();
    let url = git.url(&repo).parse().unwrap();
    (git, repo, url)
}

/// A key file's text after a change by OpenSSH.
fn ssh_keygen(text: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, text).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).unwrap();
    let ended = Command::new("ssh-keygen").args(arguments).arg("-f").arg(&file).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    std::fs::read_to_string(file).unwrap()
}

fn credentials(url: &SshUrl, fields: &[(&str, &str)]) -> SshCredentials {
    let data = fields.iter().map(|(key, text)| ((*key).to_owned(), Secret::new(text.as_bytes().to_vec())));
    match Credentials::read(url.git(), Some(("Secret n/s", &data.collect()))).unwrap() {
        Credentials::Ssh(credentials) => *credentials,
        other => unreachable!("{other:?}"),
    }
}

fn each_line(text: &str, change: impl Fn(&str) -> String) -> String {
    text.lines().map(change).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_form_of_key_and_host_that_the_agent_takes_gets_in() {
    let (git, repo, url) = site();
    let plain = git.known_hosts_file().unwrap();
    let listed = each_line(&plain, |line| format!("other,{line} of the house"));
    let hashed = ssh_keygen(&plain, &["-q", "-H"]);
    assert!(hashed.starts_with("|1|"), "{hashed}");
    let head = repo.rev_parse("main").unwrap();
    for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::EcdsaP384] {
        let key = SshKey::generate(algorithm).unwrap();
        let encrypted = key.encrypted("open sesame").unwrap();
        for (identity, known_hosts) in
            [(&key.openssh, &listed), (&key.legacy, &hashed), (&encrypted, &plain), (&key.pkcs8, &plain)]
        {
            let fields =
                [("identity", identity.as_str()), ("password", "open sesame"), ("known_hosts", known_hosts)];
            let credentials = credentials(&url, &fields);
            let denied = branches(&url, &credentials).unwrap_err();
            assert_eq!(denied, SshError::Denied { server: url.known_as() });
            let id = git.authorize(&repo, &key.public).unwrap();
            let found = branches(&url, &credentials).unwrap();
            assert_eq!(found, [("main".to_owned(), head.clone())]);
            git.revoke(id).unwrap();
        }
    }
}

#[test]
fn a_key_that_cannot_be_used_and_a_host_that_is_another_are_told_apart() {
    let (git, repo, url) = site();
    let key = SshKey::generate(KeyAlgorithm::EcdsaP384).unwrap();
    git.authorize(&repo, &key.public).unwrap();
    let known_hosts = git.known_hosts_file().unwrap();
    // Only libssh2 reads this form, and only when the key is used.
    let encrypted = ssh_keygen(&key.legacy, &["-q", "-p", "-m", "PEM", "-P", "", "-N", "open sesame"]);
    let with = |password: &str| {
        let fields =
            [("identity", encrypted.as_str()), ("password", password), ("known_hosts", &known_hosts)];
        branches(&url, &credentials(&url, &fields))
    };
    assert!(with("open sesame").is_ok());
    assert_eq!(with("sesame").unwrap_err(), SshError::Identity { secret: "Secret n/s".into() });

    let other = GitServer::start().unwrap().known_hosts_file().unwrap();
    let theirs = each_line(&other, |line| format!("* {}", line.split_once(' ').unwrap().1));
    let fields = [("identity", key.openssh.as_str()), ("known_hosts", &theirs)];
    let error = branches(&url, &credentials(&url, &fields)).unwrap_err();
    assert!(matches!(&error, SshError::HostKey(message) if message.contains("host key mismatch")), "{error}");
    assert_eq!(scan(&url).unwrap().len(), known_hosts.lines().count());
}
