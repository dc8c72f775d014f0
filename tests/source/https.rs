//! Repositories over HTTPS: accepted credentials and trusted certificates.

use std::time::Duration;

use harness::{HttpsAuth, HttpsGitServer};
use lockgate_git::{Credentials, FetchFinding, GitRequest, GitUrl};
use lockgate_git::{FailureClass, SourceError};

use super::site::{Site, branch, credentials, knowing};

fn request(url: &str, credentials: Credentials) -> GitRequest {
    GitRequest {
        namespace: "n".into(),
        url: GitUrl::parse(url).unwrap(),
        reference: branch("main"),
        credentials,
        timeout: Duration::from_mins(1),
        ignore: None,
        known: None,
    }
}

fn rejected(error: &SourceError, secret: &str) {
    assert_eq!(error.class(), FailureClass::AuthenticationFailed, "{error}");
    assert!(error.to_string().contains("HTTP 401") && !error.to_string().contains(secret), "{error}");
}

#[tokio::test]
async fn basic_bearer_and_private_authorities() {
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    let basic = HttpsAuth::Basic { username: "git".into(), password: "hunter2".into() };
    let server = HttpsGitServer::start(&site.host, basic).unwrap();
    let url = server.url(&site.repo);
    let ca = Some(server.ca_pem());
    let with = |fields: &[(&str, Option<&str>)]| request(&url, credentials(&url, fields).unwrap());

    let user = ("username", Some("git"));
    let trusted = with(&[("ca.crt", ca), user, ("password", Some("hunter2"))]);
    let update = site.update(trusted.clone()).await;
    assert_eq!(update.snapshot.tree.reader().text("a.yaml").unwrap(), "kind: A");
    let again = site.git.fetch(knowing(&trusted, &update.snapshot.revision)).await;
    assert!(matches!(again, Ok(FetchFinding::Unchanged(_))));
    // The second fetch is incremental, as over SSH.
    site.commit("main", "Second", &[("a.yaml", "kind: B")]);
    let update = site.update(knowing(&trusted, &update.snapshot.revision)).await;
    assert_eq!((update.subject.as_deref(), update.rewritten.as_deref()), (Some("Second"), None));
    site.update(with(&[("caFile", ca), user, ("password", Some("hunter2"))])).await;

    rejected(&site.error(with(&[("ca.crt", ca), user, ("password", Some("wr0ng"))])).await, "wr0ng");
    let error = site.error(with(&[("ca.crt", ca)])).await;
    rejected(&error, "hunter2");
    assert!(error.to_string().contains("spec.secretRef"), "{error}");
    for untrusted in [with(&[user, ("password", Some("hunter2"))]), request(&url, Credentials::None)] {
        let error = site.error(untrusted).await;
        assert_eq!(error.class(), FailureClass::AuthenticationFailed, "{error}");
        assert!(
            error.to_string().contains("is not trusted") && error.to_string().contains("ca.crt"),
            "{error}"
        );
    }
    let error = site.error(with(&[("ca.crt", Some("junk")), user])).await;
    assert!(
        error.to_string().starts_with("Secret flux-system/deploy: ca.crt holds no certificate"),
        "{error}"
    );

    server.set_auth(HttpsAuth::Bearer("t0ken".into()));
    site.update(with(&[("ca.crt", ca), ("bearerToken", Some("t0ken"))])).await;
    rejected(&site.error(with(&[("ca.crt", ca), ("bearerToken", Some("wr0ng"))])).await, "wr0ng");
}

#[tokio::test]
async fn a_certificate_and_a_key_must_be_a_pair() {
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    let server = HttpsGitServer::start(&site.host, HttpsAuth::None).unwrap();
    let url = server.url(&site.repo);
    let with = |certificate: &str, key: &str| {
        let fields =
            [("ca.crt", Some(server.ca_pem())), ("tls.crt", Some(certificate)), ("tls.key", Some(key))];
        request(&url, credentials(&url, &fields).unwrap())
    };
    let (certificate, key) = server.client_certificate("agent").unwrap();
    let (_, other) = server.client_certificate("other").unwrap();
    site.update(with(&certificate, &key)).await;
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (certificate, key, problem) in [
        (certificate.as_str(), other.as_str(), "tls.key is not the key of the first certificate in tls.crt"),
        (damaged, &key, "tls.crt and tls.key cannot be used: "),
        (&certificate, no_key, "tls.crt and tls.key cannot be used: "),
    ] {
        let error = site.error(with(certificate, key)).await;
        assert_eq!(error.class(), FailureClass::AuthenticationFailed, "{error}");
        assert!(error.to_string().starts_with(&format!("Secret flux-system/deploy: {problem}")), "{error}");
    }
}

#[tokio::test]
async fn a_missing_repository_and_an_empty_one_are_told_apart() {
    let site = Site::new();
    let server = HttpsGitServer::start(&site.host, HttpsAuth::None).unwrap();
    let url = server.url(&site.repo);
    let trusting = |url: &str| request(url, credentials(url, &[("ca.crt", Some(server.ca_pem()))]).unwrap());
    assert_eq!(site.error(trusting(&url)).await.class(), FailureClass::EmptyRepository);
    let error = site.error(trusting(&url.replace("platform", "missing"))).await;
    assert!(error.to_string().contains("repository not found"), "{error}");
}
