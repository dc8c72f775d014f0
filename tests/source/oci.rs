//! Artifacts of a real registry, pushed as `flux push artifact` and `oras push` do.

use std::path::Path;
use std::time::Duration;

use harness::{Registry, RegistryOptions};
use lockgate_base::model::{Revision, Secret};
use lockgate_base::tree::Tree;
use lockgate_git::oci::{ArtifactRequest, OciFetcher, OciRequest, PullSecret, Repository};
use lockgate_git::{Disk, FailureClass, FetchFinding, Fetcher as _, SecretData, SourceError, Tls, Update};

/// A folder of these files.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

pub(crate) fn secret(name: &str, key: &str, value: &str) -> (String, SecretData) {
    (name.to_owned(), SecretData::from([(key.to_owned(), Secret::new(value.as_bytes().to_vec()))]))
}

/// A request for the tag `latest` without credentials.
pub(crate) fn request(url: &str) -> OciRequest {
    OciRequest {
        namespace: "tests".into(),
        repository: Repository::parse(url).unwrap(),
        reference: ArtifactRequest::default(),
        secrets: Vec::new(),
        tls: None,
        proxy: None,
        insecure: true,
        media_type: None,
        whole: false,
        ignore: None,
        keys: None,
        timeout: Duration::from_mins(1),
        known: None,
    }
}

pub(crate) fn tag(name: &str) -> ArtifactRequest {
    ArtifactRequest { tag: Some(name.into()), ..ArtifactRequest::default() }
}

/// Fetches with an adapter of its own.
pub(crate) async fn fetch(request: OciRequest) -> Result<FetchFinding, SourceError> {
    let state = tempfile::tempdir().unwrap();
    OciFetcher::new(state.path(), &Disk::default(), false).unwrap().fetch(request).await
}

pub(crate) async fn update(request: OciRequest) -> Update {
    match fetch(request).await.unwrap() {
        FetchFinding::Updated(update) => update,
        FetchFinding::Unchanged(revision) => unreachable!("unchanged at {revision}"),
    }
}

pub(crate) fn files(tree: &Tree) -> Vec<(String, String)> {
    tree.entries().map(|(path, _)| (path.clone(), tree.reader().text(&path).unwrap())).collect()
}

fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

fn push(registry: &Registry, tag: &str, path: &Path) -> String {
    registry.push("org/app", tag, path, &format!("{tag}@sha1:0123456789")).unwrap()
}

#[tokio::test]
async fn an_artifact_of_flux_is_fetched_by_tag_version_and_digest() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let one =
        folder(&[("a.yaml", "one"), ("b/c.yaml", "c"), ("README.md", "read"), (".sourceignore", "*.md\n")]);
    let two = folder(&[("a.yaml", "two")]);
    let first = push(&registry, "v1.0.0", one.path());
    push(&registry, "latest", one.path());
    let second = push(&registry, "v1.2.0", two.path());
    push(&registry, "v1.3.0-rc.1", one.path());
    push(&registry, "nightly", one.path());
    let ask = |reference: ArtifactRequest| OciRequest { reference, ..request(&registry.url("org/app")) };

    let latest = update(ask(ArtifactRequest::default())).await;
    assert!(
        latest.snapshot.revision.to_string().starts_with("latest@sha256:"),
        "{}",
        latest.snapshot.revision
    );
    assert_eq!(latest.snapshot.origin.as_deref(), Some("latest@sha1:0123456789"));
    assert_eq!(latest.metadata["org.opencontainers.image.source"], "https://example.com/platform");
    let kept = [(".sourceignore", "*.md\n"), ("a.yaml", "one"), ("b/c.yaml", "c")];
    assert_eq!(files(&latest.snapshot.tree), pairs(&kept));

    let tagged = update(ask(tag("v1.0.0"))).await.snapshot;
    assert_eq!(tagged.revision.to_string(), format!("v1.0.0@{first}"));
    let by_digest = ArtifactRequest {
        digest: Some(second.clone()),
        tag: Some("v1.0.0".into()),
        ..ArtifactRequest::default()
    };
    let by_digest = update(ask(by_digest)).await.snapshot;
    assert_eq!(
        (by_digest.revision.to_string(), files(&by_digest.tree)),
        (second.clone(), pairs(&[("a.yaml", "two")]))
    );
    let range = |range: &str, filter: Option<&str>| ArtifactRequest {
        semver: Some(range.into()),
        semver_filter: filter.map(Into::into),
        ..ArtifactRequest::default()
    };
    for (reference, expected) in [
        (range(">=1.0.0", None), format!("v1.2.0@{second}")),
        (range("1.0.x", None), format!("v1.0.0@{first}")),
        (range("*", Some("0$")), format!("v1.2.0@{second}")),
        (range("*", Some("^v1\\.0")), format!("v1.0.0@{first}")),
    ] {
        let found = update(ask(reference.clone())).await.snapshot.revision.to_string();
        assert_eq!(found, expected, "{reference:?}");
    }
    let newest = update(ask(range(">=1.0.0-0", Some("rc")))).await.snapshot.revision;
    assert_eq!(newest.name(), Some("v1.3.0-rc.1"));

    let no_match = fetch(ask(range(">=2.0.0", None))).await.unwrap_err();
    assert_eq!(no_match.class(), FailureClass::ListingFailed);
    let told = no_match.to_string();
    assert!(told.contains("no match found for semver: >=2.0.0, among 5 tags"), "{told}");
    let missing = fetch(ask(tag("v9"))).await.unwrap_err();
    assert_eq!(missing.class(), FailureClass::ReferenceNotFound);
    assert!(missing.to_string().starts_with("tag 'v9' not found in 127.0.0.1:"), "{missing}");
    let lost =
        ArtifactRequest { digest: Some(format!("sha256:{}", "0".repeat(64))), ..ArtifactRequest::default() };
    assert!(fetch(ask(lost)).await.unwrap_err().to_string().contains("artifact 'sha256:000"));
}

#[tokio::test]
async fn what_is_known_is_not_fetched_again_and_what_is_paused_stays() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let one = folder(&[("a.yaml", "one")]);
    let digest = push(&registry, "latest", one.path());
    let known: Revision = format!("latest@{digest}").parse().unwrap();
    let url = registry.url("org/app");
    let ask = || OciRequest { known: Some(known.clone()), ..request(&url) };
    assert!(matches!(fetch(ask()).await, Ok(FetchFinding::Unchanged(revision)) if revision == known));
    let two = folder(&[("a.yaml", "two")]);
    let moved = push(&registry, "latest", two.path());
    assert_eq!(update(ask()).await.snapshot.revision.to_string(), format!("latest@{moved}"));
    let paused = ArtifactRequest { revision: Some(known.clone()), ..ArtifactRequest::default() };
    let stays = update(OciRequest { reference: paused.clone(), ..request(&registry.url("org/app")) }).await;
    assert_eq!(
        (stays.snapshot.revision, files(&stays.snapshot.tree)),
        (known.clone(), pairs(&[("a.yaml", "one")]))
    );
    // Nobody is asked for what can never change.
    drop(registry);
    let ask = OciRequest { reference: paused, ..ask() };
    assert!(matches!(fetch(ask).await, Ok(FetchFinding::Unchanged(revision)) if revision == known));
}

#[tokio::test]
async fn layers_of_oras_are_chosen_by_their_media_type() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let source =
        folder(&[("one/a.yaml", "one"), ("two/b.yaml", "two"), ("two/c.md", "md"), ("plain.yaml", "x: 1")]);
    let types = "application/vnd.test.one.tar+gzip";
    let layers =
        [("one", types), ("two", "application/vnd.test.two.tar+gzip"), ("plain.yaml", "application/yaml")];
    let digest = registry.oras_push("mixed", "v1", source.path(), &layers).unwrap();
    let ask = |media_type: Option<&str>, whole: bool| OciRequest {
        reference: tag("v1"),
        media_type: media_type.map(Into::into),
        whole,
        ignore: Some("*.md".into()),
        ..request(&registry.url("mixed"))
    };
    let first = update(ask(None, false)).await.snapshot;
    assert_eq!(first.revision.to_string(), format!("v1@{digest}"));
    assert_eq!((files(&first.tree), first.origin), (pairs(&[("one/a.yaml", "one")]), None));
    let two = "application/vnd.test.two.tar+gzip";
    let second = update(ask(Some(two), false)).await.snapshot.tree;
    assert_eq!(files(&second), pairs(&[("two/b.yaml", "two")]));
    let copied = update(ask(Some(two), true)).await.snapshot.tree;
    assert_eq!(files(&copied), pairs(&[("two/b.yaml", "two"), ("two/c.md", "md")]), "nothing is left out");
    let plain = fetch(ask(Some("application/yaml"), false)).await.unwrap_err();
    assert_eq!(plain.class(), FailureClass::ContentInvalid);
    assert!(plain.to_string().contains("is not a tar.gz"), "{plain}");
    let none = fetch(ask(Some("text/plain"), false)).await.unwrap_err().to_string();
    assert!(
        none.contains("failed to find layer with media type 'text/plain'") && none.contains(two),
        "{none}"
    );
    let twice = [("one", types), ("two", types)];
    registry.oras_push("mixed", "v2", source.path(), &twice).unwrap();
    let both = update(OciRequest { reference: tag("v2"), ..ask(Some(types), false) }).await;
    assert!(both.warnings[0].starts_with("2 layers have the media type"), "{:?}", both.warnings);
    assert_eq!(files(&both.snapshot.tree), pairs(&[("one/a.yaml", "one")]));
}

#[tokio::test]
async fn a_registry_that_wants_a_login_and_has_an_authority_of_its_own() {
    let registry = Registry::start(RegistryOptions { login: true, tls: true }).await.unwrap();
    let source = folder(&[("a.yaml", "one")]);
    registry.push("private", "latest", source.path(), "main@sha1:1").unwrap();
    let read = |(name, data): (String, SecretData)| PullSecret::read(&name, &data).unwrap();
    let right = || read(secret("Secret n/pull", ".dockerconfigjson", &registry.docker_config()));
    let (name, authority) = secret("Secret n/tls", "ca.crt", registry.authority());
    let tls = Some(Tls::read(&name, &authority).unwrap());
    let ask = |secrets: Vec<PullSecret>| OciRequest {
        insecure: false,
        tls: tls.clone(),
        secrets,
        ..request(&registry.url("private"))
    };
    assert_eq!(files(&update(ask(vec![right()])).await.snapshot.tree), pairs(&[("a.yaml", "one")]));

    let anonymous = fetch(ask(Vec::new())).await.unwrap_err();
    assert_eq!(anonymous.class(), FailureClass::AuthenticationFailed);
    let host = registry.address();
    let told = anonymous.to_string();
    assert!(
        told.starts_with(&format!("{host} asks for credentials (HTTP 401): name a Secret in spec.secretRef")),
        "{told}"
    );
    let other = r#"{"auths": {"ghcr.io": {"username": "u", "password": "hunter2-other"}}}"#;
    let other = read(secret("Secret n/other", ".dockerconfigjson", other));
    let told = fetch(ask(vec![other])).await.unwrap_err().to_string();
    assert!(told.contains("there are none for it: Secret n/other is for ghcr.io"), "{told}");
    let wrong = registry.docker_config().replace("hunter2-canary", "hunter2-wrong");
    let wrong = read(secret("Secret n/wrong", ".dockerconfigjson", &wrong));
    let told = fetch(ask(vec![wrong])).await.unwrap_err().to_string();
    assert!(told.contains("does not accept the credentials of Secret n/wrong (HTTP 401)"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");

    let untrusted = fetch(OciRequest { tls: None, ..ask(vec![right()]) }).await.unwrap_err();
    assert_eq!(untrusted.class(), FailureClass::AuthenticationFailed);
    assert!(untrusted.to_string().contains("is not trusted"), "{untrusted}");
    let any = OciRequest { tls: None, insecure: true, ..ask(vec![right()]) };
    assert_eq!(files(&update(any).await.snapshot.tree), pairs(&[("a.yaml", "one")]));
}

#[tokio::test]
async fn without_a_flag_insecure_is_for_this_machine() {
    let told = fetch(request("oci://registry.example/app")).await.unwrap_err();
    assert!(told.is_terminal(), "{told}");
    assert!(told.to_string().contains("--allow-insecure-registries"), "{told}");
    let plain = Registry::start(RegistryOptions::default()).await.unwrap();
    let secure = OciRequest { insecure: false, ..request(&plain.url("app")) };
    let told = fetch(secure).await.unwrap_err();
    assert_eq!(told.class(), FailureClass::GitOperationFailed, "{told}");
}
