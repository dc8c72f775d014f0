//! Deploy keys that are accepted, hosts that are trusted, and the messages about others.

use std::io::Write as _;
use std::process::Command;

use harness::{HostKeyType, KeyAlgorithm, SshKey};
use lockgate_git::FailureClass;
use lockgate_git::GitRequest;

use super::site::{Site, branch};

#[tokio::test]
async fn every_type_and_form_of_key_gets_in() {
    const PASSWORD: &str = "pass phrase";
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    let types = [
        KeyAlgorithm::Ed25519,
        KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::EcdsaP521,
        KeyAlgorithm::Rsa,
    ];
    for kind in types {
        let key = SshKey::generate(kind).unwrap();
        site.host.authorize(&site.repo, &key.public).unwrap();
        let mut forms = vec![
            (key.openssh.clone(), None),
            (key.legacy.clone(), None),
            (key.pkcs8.clone(), None),
            (key.encrypted(PASSWORD).unwrap(), Some(PASSWORD)),
        ];
        if kind != KeyAlgorithm::Ed25519 {
            forms.extend(
                ["PEM", "PKCS8"].map(|form| (encrypted(&key.openssh, form, PASSWORD), Some(PASSWORD))),
            );
        }
        for (identity, password) in forms {
            let credentials = site.credentials(&identity, password, &site.known_hosts()).unwrap();
            let result = site.git.fetch(GitRequest { credentials, ..site.request(branch("main")) }).await;
            assert!(result.is_ok(), "{kind:?} {:?}: {result:?}", identity.lines().next());
        }
        if kind != KeyAlgorithm::Ed25519 {
            let identity = encrypted(&key.openssh, "PKCS8", PASSWORD);
            let credentials = site.credentials(&identity, Some("guess"), &site.known_hosts()).unwrap();
            let error = site.error(GitRequest { credentials, ..site.request(branch("main")) }).await;
            assert!(error.to_string().contains("password does not decrypt it"), "{kind:?}: {error}");
        }
    }
}

#[tokio::test]
async fn every_p521_key_gets_in() {
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    // OpenSSH writes every second key in a form that one of the libraries does not read.
    for _ in 0..6 {
        let key = SshKey::generate(KeyAlgorithm::EcdsaP521).unwrap();
        site.host.authorize(&site.repo, &key.public).unwrap();
        for (identity, password) in
            [(key.openssh.clone(), None), (key.encrypted("secret").unwrap(), Some("secret"))]
        {
            let credentials = site.credentials(&identity, password, &site.known_hosts()).unwrap();
            site.update(GitRequest { credentials, ..site.request(branch("main")) }).await;
        }
    }
}

/// A key in one of the PEM forms, encrypted.
fn encrypted(openssh: &str, form: &str, password: &str) -> String {
    use std::os::unix::fs::OpenOptionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
    file.write_all(openssh.as_bytes()).unwrap();
    let arguments = ["-q", "-p", "-P", "", "-N", password, "-m", form, "-f"];
    assert!(Command::new("ssh-keygen").args(arguments).arg(&path).status().unwrap().success());
    std::fs::read_to_string(&path).unwrap()
}

#[tokio::test]
async fn the_host_shows_whichever_key_is_known() {
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    let name = format!("[127.0.0.1]:{}", site.host.port());
    for kind in HostKeyType::ALL {
        site.update(site.trusting(&site.host_key(&name, kind))).await;
    }
    // Two Secrets that know different keys of one host do not disturb each other.
    let (first, second) =
        (site.host_key(&name, HostKeyType::EcdsaP256), site.host_key(&name, HostKeyType::Rsa));
    let (first, second) =
        tokio::join!(site.git.fetch(site.trusting(&first)), site.git.fetch(site.trusting(&second)));
    assert!(first.is_ok() && second.is_ok());
}

#[tokio::test]
async fn hashed_names_and_patterns_are_known_hosts() {
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    let file = site.folder.path().join("hashed");
    std::fs::write(&file, site.known_hosts()).unwrap();
    let hashed = Command::new("ssh-keygen").arg("-H").arg("-f").arg(&file).output().unwrap();
    assert!(hashed.status.success());
    let hashed = std::fs::read_to_string(&file).unwrap();
    assert!(hashed.starts_with("|1|"));
    for known_hosts in [
        hashed,
        site.host_key("[127.0.0.*]:*", HostKeyType::Ed25519),
        site.host_key("127.0.0.1", HostKeyType::EcdsaP256),
    ] {
        site.update(site.trusting(&known_hosts)).await;
    }
}

#[tokio::test]
async fn an_unexpected_host_key_is_refused_with_both_fingerprints() {
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    let name = format!("[127.0.0.1]:{}", site.host.port());
    let old = site.host_key(&name, HostKeyType::Ed25519);
    let all = site.known_hosts();
    site.host.rotate_host_key(HostKeyType::Ed25519).unwrap();
    let error = site.error(site.trusting(&old)).await;
    let message = error.to_string();
    assert_eq!(error.class(), FailureClass::AuthenticationFailed);
    assert!(message.starts_with(&format!("host key mismatch for {name}: got SHA256:")), "{message}");
    assert!(message.contains("(ed25519), known_hosts has SHA256:"), "{message}");
    assert!(message.ends_with("update known_hosts in Secret flux-system/deploy"), "{message}");

    let revoked = format!("{all}@revoked * {}", site.host_key("", HostKeyType::Ed25519).trim());
    let error =
        site.error(site.trusting(&format!("{}{revoked}", site.host_key(&name, HostKeyType::Ed25519)))).await;
    assert!(error.to_string().contains("is revoked"), "{error}");

    // This host no longer has any key of the known type.
    site.host.set_host_keys(&[HostKeyType::Rsa]).unwrap();
    let error = site.error(site.trusting(&old)).await;
    assert!(error.to_string().contains("(rsa), known_hosts has SHA256:"), "{error}");

    let error = site.error(site.trusting(&old.replace("127.0.0.1", "127.0.0.9"))).await;
    assert!(error.to_string().starts_with(&format!("unknown host {name}")), "{error}");
    assert_eq!(error.class(), FailureClass::AuthenticationFailed);
}

#[tokio::test]
async fn a_revoked_deploy_key_is_told_by_its_fingerprint_and_the_last_state_stays_readable() {
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    let update = site.update(site.request(branch("main"))).await;
    site.host.revoke(site.deploy_key).unwrap();
    let error = site.error(site.request(branch("main"))).await;
    assert_eq!(error.class(), FailureClass::AuthenticationFailed);
    assert!(!error.is_terminal());
    let message = error.to_string();
    assert!(
        message.contains("SHA256:")
            && message.contains("not registered")
            && message.contains("flux-system/deploy"),
        "{message}"
    );
    assert_eq!(update.snapshot.tree.reader().text("a.yaml").unwrap(), "kind: A");
}

#[tokio::test]
async fn the_private_key_never_reaches_the_disk_and_nobody_else_reads_what_does() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    let _update = site.update(site.request(branch("main"))).await;
    let state = site.folder.path().join("state");
    let secret: Vec<&str> = site.identity.lines().filter(|line| !line.starts_with("-----")).collect();
    let mut pending = vec![state.join("lockgate-objects")];
    let mut files = 0;
    while let Some(path) = pending.pop() {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
        let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(secret.iter().all(|line| !content.contains(line)), "{}", path.display());
        assert!(!content.contains("known_hosts") && !content.contains("ssh://"), "{}", path.display());
        files += 1;
    }
    assert!(files > 3);
}
