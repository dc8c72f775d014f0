//! Artifacts of registries on other machines: Docker Hub under its own names, and `spec.insecure` elsewhere.

use harness::Hub;
use lockgate_git::oci::{OciFetcher, OciRequest, PullSecret};
use lockgate_git::{Disk, FetchFinding, Fetcher as _, Proxy, SourceError, Tls};

use super::oci::{files, request, secret, update};
use super::oci_faults::{connecting_proxy, layer, serving};

fn proxy(address: &str) -> Proxy {
    let (name, data) = secret("Secret n/proxy", "address", address);
    Proxy::read(&name, &data).unwrap()
}

/// `docker.io` is `registry-1.docker.io`, an image without a namespace is below `library`, a token is to be
/// had for it elsewhere, and the layers are on a third host, which sees no credentials.
#[tokio::test]
async fn docker_hub_is_known_by_its_short_names() {
    let hub = Hub::start("library/demo", layer()).unwrap();
    let (name, authority) = secret("Secret n/tls", "ca.crt", hub.authority());
    let ask = |secrets: Vec<PullSecret>| OciRequest {
        insecure: false,
        tls: Some(Tls::read(&name, &authority).unwrap()),
        proxy: Some(proxy(&hub.proxy())),
        secrets,
        ..request("oci://docker.io/demo")
    };
    let found = update(ask(Vec::new())).await.snapshot;
    assert_eq!(files(&found.tree), [("a.yaml".to_owned(), "x".to_owned())]);
    let asked = hub.asked();
    let hosts = |host: &str| asked.iter().filter(|request| request.host == host).collect::<Vec<_>>();
    let registry = hosts("registry-1.docker.io");
    assert!(registry.iter().all(|request| request.path.starts_with("/v2/library/demo/")), "{asked:?}");
    let [token] = hosts("auth.docker.io")[..] else { panic!("{asked:?}") };
    assert_eq!(token.path, "/token?scope=repository%3Alibrary%2Fdemo%3Apull&service=registry%2Edocker%2Eio");
    assert_eq!(token.authorization, None, "anybody may read it");
    let [blob] = hosts("production.cloudflare.docker.com")[..] else { panic!("{asked:?}") };
    assert_eq!(blob.authorization, None);

    // The name under which `docker login` keeps the credentials of Docker Hub.
    let config = r#"{"auths": {"https://index.docker.io/v1/": {"username": "u", "password": "hunter2"}}}"#;
    let (name, data) = secret("Secret n/pull", ".dockerconfigjson", config);
    update(ask(vec![PullSecret::read(&name, &data).unwrap()])).await;
    let asked = hub.asked().split_off(asked.len());
    let shown = |host: &str| {
        let to = asked.iter().filter(|request| request.host == host);
        to.filter_map(|request| request.authorization.clone()).collect::<Vec<_>>()
    };
    assert_eq!(shown("auth.docker.io"), ["Basic dTpodW50ZXIy"]);
    assert!(shown("registry-1.docker.io").iter().all(|header| header == "Bearer hub-token"), "{asked:?}");
    assert_eq!(shown("production.cloudflare.docker.com"), [] as [&str; 0]);
}

#[tokio::test]
async fn with_a_flag_insecure_is_for_other_machines_too() {
    let fake = serving(&layer(), |_, answer| answer);
    let (port, asked) = connecting_proxy(Some(fake.port));
    let fetch = async |allows: bool| -> Result<FetchFinding, SourceError> {
        let state = tempfile::tempdir().unwrap();
        let fetcher = OciFetcher::new(state.path(), &Disk::default(), allows).unwrap();
        let proxy = Some(proxy(&format!("http://127.0.0.1:{port}")));
        fetcher.fetch(OciRequest { proxy, ..request("oci://registry.example/app") }).await
    };
    let told = fetch(false).await.unwrap_err();
    assert!(told.is_terminal() && told.to_string().contains("--allow-insecure-registries"), "{told}");
    assert_eq!(asked.lock().unwrap().len(), 0, "nobody is asked");
    assert!(matches!(fetch(true).await, Ok(FetchFinding::Updated(_))));
    let asked = asked.lock().unwrap().join("");
    assert!(asked.contains("CONNECT registry.example:80 HTTP/1.1"), "{asked}");
}
