//! Helm repositories over HTTP: their indexes, and the archives of charts.

use std::sync::Arc;
use std::time::Duration;

use harness::charts::packed;
use harness::{Asked, CHARTS_USER, ChartServer, ChartServerOptions, Served};
use lockgate_base::model::{Digest, Secret};
use lockgate_git::helm::{
    Access, Archive, ArchiveRequest, Helm, IndexRequest, Indexed, Listed, Site, SiteLogin,
};
use lockgate_git::{Disk, FailureClass, SecretData, SourceError, Tls};

use super::oci::{files, secret};
use super::peer::{Mode, Peer};

fn helm() -> (Helm, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    (Helm::new(state.path(), &Disk::default()).unwrap(), state)
}

fn access(url: &str) -> Access {
    let site = Site::parse(url).unwrap();
    Access { namespace: "tests".into(), site, login: None, tls: None, timeout: Duration::from_mins(1) }
}

fn login() -> SiteLogin {
    let field = |text: &str| Secret::new(text.as_bytes().to_vec());
    let (username, password) = CHARTS_USER;
    let data = SecretData::from([("username".into(), field(username)), ("password".into(), field(password))]);
    SiteLogin::read("Secret tests/login", &data).unwrap().0.unwrap()
}

async fn index(access: Access, known: Option<Arc<Indexed>>) -> Result<Listed, SourceError> {
    helm().0.index(IndexRequest { access, known }).await
}

async fn updated(access: Access) -> Arc<Indexed> {
    match index(access, None).await.unwrap() {
        Listed::Updated(index) => index,
        Listed::Unchanged => panic!("nothing was known"),
    }
}

fn chart(access: Access, index: &Indexed, name: &str, version: &str) -> ArchiveRequest {
    let choice = index.index.choose(name, version).unwrap();
    let url = choice.url.unwrap().to_owned();
    ArchiveRequest { access, passes_credentials: false, url, digest: choice.digest }
}

async fn archive(request: ArchiveRequest) -> Result<Archive, SourceError> {
    helm().0.archive(request).await
}

fn asked(paths: &[(&str, bool, u16)]) -> Vec<Asked> {
    let asked = |(path, has_credentials, status): &(&str, bool, u16)| Asked {
        path: (*path).to_owned(),
        has_credentials: *has_credentials,
        status: *status,
    };
    paths.iter().map(asked).collect()
}

#[tokio::test]
async fn an_index_is_read_and_not_sent_again_while_it_is_the_same() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    charts.publish("demo", "1.0.0", &[]).unwrap();
    let first = updated(access(&charts.url())).await;
    assert_eq!(first.index.choose("demo", "*").unwrap().version, "1.0.0");
    let again = index(access(&charts.url()), Some(Arc::clone(&first))).await.unwrap();
    assert!(matches!(again, Listed::Unchanged));
    assert_eq!(charts.asked(), asked(&[("/index.yaml", false, 200), ("/index.yaml", false, 304)]));
    charts.publish("demo", "1.1.0", &[]).unwrap();
    let Listed::Updated(second) = index(access(&charts.url()), Some(first)).await.unwrap() else {
        panic!("it has changed")
    };
    assert_eq!(second.index.choose("demo", "*").unwrap().version, "1.1.0");
    // Some say nothing by which to tell; then the text decides.
    let text = "apiVersion: v1\nentries: {}\n";
    charts.put("/index.yaml", Served::body(text));
    let plain = updated(access(&charts.url())).await;
    assert_eq!((plain.digest, plain.size), (Digest::of(text), text.len() as u64));
    assert!(matches!(index(access(&charts.url()), Some(plain)).await, Ok(Listed::Unchanged)));
}

#[tokio::test]
async fn a_login_and_an_authority_come_from_secrets() {
    let charts = ChartServer::start(ChartServerOptions { login: true, tls: true }).unwrap();
    charts.publish("demo", "1.0.0", &[("values.yaml", "a: 1\n")]).unwrap();
    let (name, data) = secret("Secret tests/ca", "ca.crt", charts.ca_pem());
    let with_tls = Access { tls: Some(Tls::read(&name, &data).unwrap()), ..access(&charts.url()) };
    let whole = Access { login: Some(login()), ..with_tls.clone() };
    let found = updated(whole.clone()).await;
    let archive = archive(chart(whole, &found, "demo", "1.0.0")).await.unwrap();
    let names: Vec<String> = files(&archive.tree).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["demo/Chart.yaml", "demo/values.yaml"]);

    let host = charts.url().strip_prefix("https://").unwrap().to_owned();
    let nobody = index(with_tls.clone(), None).await.unwrap_err();
    assert_eq!(
        nobody.to_string(),
        format!(
            "{host} asks for credentials (HTTP 401): name a Secret in spec.secretRef of the HelmRepository"
        )
    );
    let data = SecretData::from([
        ("username".into(), Secret::new(b"reader".to_vec())),
        ("password".into(), Secret::new(b"wrong-canary".to_vec())),
    ]);
    let wrong = SiteLogin::read("Secret tests/wrong", &data).unwrap().0;
    let wrong = index(Access { login: wrong, ..with_tls }, None).await.unwrap_err();
    assert_eq!(wrong.class(), FailureClass::AuthenticationFailed);
    assert_eq!(
        wrong.to_string(),
        format!(
            "{host} does not accept the credentials of Secret tests/wrong (HTTP 401): they are wrong, expired or may not \
             read {}/index.yaml",
            charts.url()
        )
    );
    let stranger = index(Access { login: Some(login()), ..access(&charts.url()) }, None).await.unwrap_err();
    let told = stranger.to_string();
    assert!(told.starts_with(&format!("the certificate of {host} is not trusted: ")), "{told}");
}

#[tokio::test]
async fn credentials_go_to_the_repository_alone_unless_they_are_passed_on() {
    let charts = ChartServer::start(ChartServerOptions { login: true, tls: false }).unwrap();
    let elsewhere = ChartServer::start(ChartServerOptions::default()).unwrap();
    let content = packed("demo", "1.0.0", &[]).unwrap();
    for (server, path) in [(&elsewhere, "/demo.tgz"), (&charts, "/own.tgz")] {
        server.put(path, Served::body(content.clone()));
    }
    charts.put("/moved.tgz", Served::at(&format!("{}/demo.tgz", elsewhere.url())));
    let ask = |url: String, passes_credentials| ArchiveRequest {
        access: Access { login: Some(login()), ..access(&charts.url()) },
        passes_credentials,
        url,
        digest: None,
    };
    let far = format!("{}/demo.tgz", elsewhere.url());
    for (url, passes, at_home, at_the_other) in [
        ("own.tgz".to_owned(), false, asked(&[("/own.tgz", true, 200)]), vec![]),
        (far.clone(), false, vec![], asked(&[("/demo.tgz", false, 200)])),
        (far, true, vec![], asked(&[("/demo.tgz", true, 200)])),
        // Where it is redirected to, nobody has said that it may have them.
        ("moved.tgz".into(), true, asked(&[("/moved.tgz", true, 302)]), asked(&[("/demo.tgz", false, 200)])),
    ] {
        archive(ask(url.clone(), passes)).await.unwrap();
        assert_eq!((charts.asked(), elsewhere.asked()), (at_home, at_the_other), "{url} {passes}");
    }
}

#[tokio::test]
async fn an_archive_is_fetched_once_while_somebody_holds_it() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    charts.publish("demo", "1.0.0", &[]).unwrap();
    let (helm, _state) = helm();
    let index = updated(access(&charts.url())).await;
    charts.asked();
    let ask = || helm.archive(chart(access(&charts.url()), &index, "demo", "1.0.0"));
    let (one, other) = tokio::join!(ask(), ask());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(files(&one.tree), files(&other.tree));
    assert_eq!(charts.asked(), asked(&[("/demo-1.0.0.tgz", false, 200)]));
    // With other credentials it is asked for: what one may read is no other's.
    let others = Access { login: Some(login()), ..access(&charts.url()) };
    helm.archive(chart(others, &index, "demo", "1.0.0")).await.unwrap();
    assert_eq!(charts.asked(), asked(&[("/demo-1.0.0.tgz", true, 200)]));
    let part = one.tree.filtered(|path| path.ends_with("Chart.yaml"));
    drop((one, other));
    ask().await.unwrap();
    assert_eq!(charts.asked(), [], "somebody has a part of it");
    drop(part);
    ask().await.unwrap();
    assert_eq!(charts.asked().len(), 1, "nobody held it any more");
}

#[tokio::test]
async fn what_a_repository_answers_amiss_is_told() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    let (url, host) = (charts.url(), charts.url().replace("http://", ""));
    let late = Served { headers: vec![("retry-after", "7".into())], ..Served::status(429) };
    for (served, class, told) in [
        (
            Served::status(404),
            FailureClass::ReferenceNotFound,
            format!("{url}/index.yaml not found (HTTP 404)"),
        ),
        (
            Served::status(403),
            FailureClass::AuthenticationFailed,
            format!(
                "{host} asks for credentials (HTTP 403): name a Secret in spec.secretRef of the HelmRepository"
            ),
        ),
        (
            late,
            FailureClass::GitOperationFailed,
            format!("{host}: it received too many requests (HTTP 429); it says to wait for 7 s"),
        ),
        (
            Served::status(500),
            FailureClass::GitOperationFailed,
            format!("{host}: it answered HTTP 500 for {url}/index.yaml"),
        ),
        (
            Served::body("a: [b"),
            FailureClass::ContentInvalid,
            format!("failed to load Helm repository from index YAML at {url}/index.yaml: line 1: "),
        ),
        (
            Served::body("<html>"),
            FailureClass::ContentInvalid,
            format!(
                "failed to load Helm repository from index YAML at {url}/index.yaml: line 1: an index is a map"
            ),
        ),
        (
            Served::body(""),
            FailureClass::ContentInvalid,
            format!(
                "failed to load Helm repository from index YAML at {url}/index.yaml: empty index.yaml file"
            ),
        ),
        (
            Served::at("ftp://h/index.yaml"),
            FailureClass::GitOperationFailed,
            format!("{host}: it redirects to 'ftp://h/index.yaml', which is no address"),
        ),
    ] {
        charts.put("/index.yaml", served);
        let error = index(access(&url), None).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().starts_with(&told), "{error}");
    }
}

#[tokio::test]
async fn an_archive_that_is_not_what_the_index_names_is_refused() {
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    let (wanted, came) = (packed("demo", "1.0.0", &[]).unwrap(), packed("demo", "6.6.6", &[]).unwrap());
    let ask = |digest| ArchiveRequest {
        access: access(&charts.url()),
        passes_credentials: false,
        url: "demo.tgz".into(),
        digest,
    };
    let url = format!("{}/demo.tgz", charts.url());
    let (own, other) = (Digest::of(&wanted), Digest::of(&came));
    charts.put("/demo.tgz", Served::body(came.clone()));
    for (served, digest, told) in [
        (
            Served::body(came),
            Some(own),
            format!("the chart at {url} does not have the digest {own} of the index, but {other}"),
        ),
        (Served::status(404), None, format!("{url} not found (HTTP 404)")),
        (
            Served::body("no archive"),
            None,
            format!(
                "the chart at {url} is not a tar.gz: failed to load chart: requires gzip-compressed body"
            ),
        ),
        (
            Served::body(wanted[..wanted.len() / 2].to_vec()),
            None,
            format!("the chart at {url} cannot be unpacked: failed to load chart: "),
        ),
        (
            Served::body([&wanted[..], &vec![0; 10 << 20]].concat()),
            None,
            format!("the chart at {url} is larger than 10 MiB, the limit"),
        ),
    ] {
        charts.put("/demo.tgz", served);
        let error = archive(ask(digest)).await.unwrap_err().to_string();
        assert!(error.starts_with(&told), "{error}\n{told}");
    }
}

#[tokio::test]
async fn charts_take_their_room_of_the_one_disk_of_all_sources() {
    let server = ChartServer::start(ChartServerOptions::default()).unwrap();
    server.publish("demo", "1.0.0", &[("values.yaml", &"a: 1\n".repeat(1000))]).unwrap();
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::of(6000);
    let helm = Helm::new(state.path(), &disk).unwrap();
    let index = updated(access(&server.url())).await;
    let ask = || chart(access(&server.url()), &index, "demo", "1.0.0");
    let held = helm.archive(ask()).await.unwrap();
    // Another adapter on the same disk has what is left.
    let other = Helm::new(&state.path().join("other"), &disk).unwrap();
    let told = other.archive(ask()).await.unwrap_err().to_string();
    assert!(told.contains("raise --disk-limit"), "{told}");
    drop(held);
    assert!(other.archive(ask()).await.is_ok(), "what is let go of is there again");
}

#[tokio::test]
async fn a_repository_that_does_not_answer_is_given_up_in_time() {
    for (mode, told) in [
        (Mode::Silent, "timed out after 1s while receiving the index (127.0.0.1:"),
        (Mode::Garbage, "cannot reach 127.0.0.1:"),
    ] {
        let peer = Peer::start(mode);
        let access = access(&format!("http://127.0.0.1:{}", peer.port));
        let error = index(Access { timeout: Duration::from_secs(1), ..access }, None).await.unwrap_err();
        assert!(error.to_string().starts_with(told), "{mode:?}: {error}");
    }
    // One that drips is no better than a silent one.
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    let peer =
        Peer::start(Mode::Throttle { port: charts.url().rsplit(':').next().unwrap().parse().unwrap() });
    let slow =
        Access { timeout: Duration::from_secs(1), ..access(&format!("http://127.0.0.1:{}", peer.port)) };
    let error = index(slow, None).await.unwrap_err();
    assert!(
        error.to_string().starts_with("timed out after 1s while receiving the index (127.0.0.1:"),
        "{error}"
    );
    // An index that comes to an end too early is none, though what came of it can be read.
    let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
    charts
        .put("/index.yaml", Served::body(format!("apiVersion: v1\nentries:\n{}", "  a: []\n".repeat(1000))));
    let port = charts.url().rsplit(':').next().unwrap().parse().unwrap();
    let peer = Peer::start(Mode::CutAfter { port, bytes: 2048 });
    let error = index(access(&format!("http://127.0.0.1:{}", peer.port)), None).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot reach 127.0.0.1:"), "{error}");
}
