//! Registries that give unexpected answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lockgate_git::Proxy;
use lockgate_git::oci::{ArtifactRequest, OciRequest, PullSecret};
use lockgate_git::{FailureClass, SourceError};
use sha2::{Digest as _, Sha256};

use super::oci::{fetch, request, secret, tag};
use super::peer::{Mode, Peer};

/// An answer: status and headers as they go over the wire, and the body.
#[derive(Clone)]
pub(crate) struct Answer(String, Vec<u8>);

/// A registry that answers as a test says, and remembers what it was asked: the line and the `Authorization`
/// header.
pub(crate) struct Fake {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<(String, Option<String>)>>>,
}

impl Fake {
    fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(socket, &log, &*answer));
            }
        });
        Self { port, asked }
    }

    fn request(&self) -> OciRequest {
        request(&format!("oci://127.0.0.1:{}/app", self.port))
    }

    /// What it was asked, without the tries of TLS.
    fn asked(&self) -> Vec<(String, Option<String>)> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(socket: TcpStream, log: &Mutex<Vec<(String, Option<String>)>>, answer: &dyn Fn(&str) -> Answer) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut socket = socket;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = Vec::new();
            // What is no text is a hello of TLS, which a plain registry hangs up on.
            if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 || line.first() == Some(&0x16) {
                return;
            }
            if line == b"\r\n" {
                break;
            }
            head.extend(line);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let line = head.lines().next().unwrap_or_default().to_owned();
        let header = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
        });
        log.lock().unwrap().push((line.clone(), header));
        let Answer(status, body) = answer(line.trim_end_matches(" HTTP/1.1"));
        let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        if !line.starts_with("HEAD") {
            bytes.extend(body);
        }
        if socket.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::from("sha256:"), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn ok(body: impl Into<Vec<u8>>) -> Answer {
    Answer("200 OK".into(), body.into())
}

fn status(line: &str) -> Answer {
    Answer(line.into(), Vec::new())
}

/// A registry of one artifact with this layer; `twist` changes its answers.
pub(crate) fn serving(layer: &[u8], twist: impl Fn(&str, Answer) -> Answer + Send + Sync + 'static) -> Fake {
    let layer = layer.to_vec();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "layers": [{"mediaType": "a", "digest": digest(&layer), "size": layer.len()}],
    });
    let manifest = manifest.to_string().into_bytes();
    Fake::start(move |line| {
        let answer = match line.split_once(' ').unwrap_or_default() {
            ("HEAD", path) if path.contains("/manifests/") => {
                status(&format!("200 OK\r\nDocker-Content-Digest: {}", digest(&manifest)))
            }
            (_, path) if path.contains("/manifests/") => ok(manifest.clone()),
            (_, path) if path.contains("/blobs/") => ok(layer.clone()),
            _ => status("404 Not Found"),
        };
        twist(line, answer)
    })
}

/// A layer with one file.
pub(crate) fn layer() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gzip);
    builder.append_data(&mut header, "a.yaml", &b"x"[..]).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

fn pull_secret(registry: &str) -> PullSecret {
    let config = serde_json::json!({"auths": {registry: {"username": "u", "password": "hunter2"}}});
    let (name, data) = secret("Secret n/pull", ".dockerconfigjson", &config.to_string());
    PullSecret::read(&name, &data).unwrap()
}

async fn error(request: OciRequest) -> SourceError {
    fetch(request).await.unwrap_err()
}

#[tokio::test]
async fn the_fake_registry_serves() {
    let fake = serving(&layer(), |_, answer| answer);
    assert!(fetch(fake.request()).await.is_ok());
}

#[tokio::test]
async fn a_refusal_is_told_with_what_the_registry_says() {
    let cases = [
        (
            "401 Unauthorized",
            FailureClass::AuthenticationFailed,
            "asks for credentials (HTTP 401): name a Secret",
        ),
        ("403 Forbidden", FailureClass::AuthenticationFailed, "asks for credentials (HTTP 403)"),
        ("404 Not Found", FailureClass::ReferenceNotFound, "tag 'latest' not found in 127.0.0.1:"),
        (
            "429 Too Many Requests\r\nRetry-After: 17",
            FailureClass::GitOperationFailed,
            "it received too many requests (HTTP 429): say please; it says to wait for 17 s",
        ),
        ("500 Oops", FailureClass::GitOperationFailed, "it answered HTTP 500 for tag 'latest': say please"),
        ("302 Found", FailureClass::GitOperationFailed, "it redirects to '', which is no address"),
        ("302 Found\r\nLocation: ftp://x/y", FailureClass::GitOperationFailed, "which is no address"),
        (
            "302 Found\r\nLocation: /v2/app/manifests/latest",
            FailureClass::GitOperationFailed,
            "more than 5 times",
        ),
        (
            "302 Found\r\nLocation: http://169.254.169.254/x",
            FailureClass::GitOperationFailed,
            "no address that may be connected to",
        ),
    ];
    for (line, class, message) in cases {
        let body = br#"{"errors": [{"code": "X", "message": "say please"}]}"#;
        let fake = Fake::start(move |_| Answer(line.into(), body.to_vec()));
        let error = error(fake.request()).await;
        assert!(error.class() == class && error.to_string().contains(message), "{line}: {error}");
    }
}

#[tokio::test]
async fn what_is_not_what_was_asked_for_is_refused() {
    let other = |part: &'static str, body: &'static [u8]| {
        serving(
            &layer(),
            move |line, answer| {
                if line.starts_with("GET") && line.contains(part) { ok(body) } else { answer }
            },
        )
    };
    let manifest = error(other("/manifests/", b"{}").request()).await;
    assert_eq!(manifest.class(), FailureClass::ContentInvalid);
    assert!(manifest.to_string().contains("the manifest was requested by the digest sha256:"), "{manifest}");
    let changed = error(other("/blobs/", b"not the layer").request()).await;
    assert_eq!(changed.class(), FailureClass::ContentInvalid);
    let told = changed.to_string();
    assert!(
        told.contains(" arrived with 13 of ") && told.contains(" bytes and the digest sha256:"),
        "{told}"
    );
    let page: Vec<u8> = b"<html>".repeat(10);
    let fake =
        Fake::start(move |line| if line.starts_with("HEAD") { status("200 OK") } else { ok(page.clone()) });
    assert!(error(fake.request()).await.to_string().contains("cannot be read"), "a page of the web");
}

#[tokio::test]
async fn a_tag_that_moves_between_two_requests_does_not_mix_two_artifacts() {
    let old =
        serde_json::json!({"layers": [{"digest": digest(&layer()), "size": layer().len()}]}).to_string();
    let known = digest(old.as_bytes());
    let fake = Fake::start(move |line| match line.split_once(' ').unwrap() {
        ("HEAD", _) => status(&format!("200 OK\r\nDocker-Content-Digest: {known}")),
        // By its tag it is another one by now.
        (_, path) if path.ends_with("/manifests/latest") => ok("{\"layers\": []}"),
        (_, path) if path.contains("/manifests/") => ok(old.clone()),
        _ => ok(layer()),
    });
    assert!(fetch(fake.request()).await.is_ok());
    let asked = fake.asked();
    assert!(!asked.iter().any(|(line, _)| line.starts_with("GET /v2/app/manifests/latest")), "{asked:?}");
}

/// Credentials go to the registry and its server of tokens, and along with no redirect to another host or
/// port.
#[tokio::test]
async fn credentials_do_not_follow_a_redirect() {
    let store = Fake::start(|_| ok(layer()));
    let open = Arc::new(Mutex::new(false));
    let gate = {
        let (open, inner) = (Arc::clone(&open), layer());
        let elsewhere = format!("307 Temporary Redirect\r\nLocation: http://127.0.0.1:{}/blob", store.port);
        serving(&inner, move |line, answer| {
            let is_first = !std::mem::replace(&mut *open.lock().unwrap(), true);
            if is_first && line.starts_with("HEAD") {
                return status("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"");
            }
            if line.contains("/blobs/") { status(&elsewhere) } else { answer }
        })
    };
    let secrets = vec![pull_secret(&format!("127.0.0.1:{}", gate.port))];
    assert!(fetch(OciRequest { secrets, ..gate.request() }).await.is_ok());
    assert!(gate.asked().iter().any(|(_, header)| header.as_deref() == Some("Basic dTpodW50ZXIy")));
    let told = store.asked();
    assert_eq!(told.iter().map(|(_, header)| header.clone()).collect::<Vec<_>>(), [None], "{told:?}");
}

#[tokio::test]
async fn a_bearer_token_is_asked_for_once_and_shown_to_the_registry_alone() {
    let tokens = Fake::start(|line| {
        assert!(line.contains("scope=repository%3Aapp%3Apull&service=test"), "{line}");
        ok(r#"{"token": "a.b.c"}"#)
    });
    let port = tokens.port;
    let seen = Arc::new(Mutex::new(0));
    let fake = {
        let seen = Arc::clone(&seen);
        serving(&layer(), move |_, answer| {
            let mut seen = seen.lock().unwrap();
            *seen += 1;
            if *seen > 1 {
                return answer;
            }
            let realm = format!("realm=\"http://127.0.0.1:{port}/token\",service=\"test\"");
            status(&format!("401 Unauthorized\r\nWWW-Authenticate: Bearer {realm}"))
        })
    };
    let secrets = vec![pull_secret(&format!("127.0.0.1:{}", fake.port))];
    assert!(fetch(OciRequest { secrets, ..fake.request() }).await.is_ok());
    let asked = tokens.asked();
    assert_eq!((asked.len(), asked[0].1.as_deref()), (1, Some("Basic dTpodW50ZXIy")));
    let shown: Vec<_> = fake.asked().into_iter().skip(1).filter_map(|(_, header)| header).collect();
    assert!(shown.len() == 3 && shown.iter().all(|header| header == "Bearer a.b.c"), "{shown:?}");

    let strange = Fake::start(|_| {
        status("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://169.254.169.254/token\"")
    });
    let told = error(strange.request()).await.to_string();
    assert!(told.contains("for a token, and lockgate does not ask there"), "{told}");
}

#[tokio::test]
async fn tags_come_in_pages_and_a_list_that_cannot_be_had_is_told() {
    let reference = ArtifactRequest { semver: Some("*".into()), ..ArtifactRequest::default() };
    let fake = serving(&layer(), |line, answer| {
        if line.contains("last=b") {
            ok(r#"{"tags": ["2.0.0"]}"#)
        } else if line.contains("/tags/list") {
            let next = "Link: </v2/app/tags/list?n=1000&last=b>; rel=\"next\"";
            Answer(format!("200 OK\r\n{next}"), br#"{"tags": ["1.0.0", "../x"]}"#.to_vec())
        } else {
            answer
        }
    });
    let found = super::oci::update(OciRequest { reference: reference.clone(), ..fake.request() }).await;
    assert_eq!(found.snapshot.revision.name(), Some("2.0.0"));
    let fake = serving(&layer(), |line, answer| if line.contains("/tags/") { ok("[") } else { answer });
    let told = error(OciRequest { reference: reference.clone(), ..fake.request() }).await;
    assert!(
        told.class() == FailureClass::ListingFailed && told.to_string().contains("no list of tags"),
        "{told}"
    );
    let fake = serving(&layer(), |_, answer| answer);
    let told = error(OciRequest { reference, ..fake.request() }).await;
    assert!(
        told.class() == FailureClass::ListingFailed
            && told.to_string().contains("the list of tags not found"),
        "{told}"
    );
}

/// A proxy that connects its clients with whoever they ask for, or with `port` of this machine, and remembers
/// what they ask for.
pub(crate) fn connecting_proxy(leads_to: Option<u16>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                log.lock().unwrap().push(head.clone());
                let Some(host) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else {
                    return;
                };
                let host = leads_to.map_or_else(|| host.to_owned(), |port| format!("127.0.0.1:{port}"));
                let Ok(mut server) = TcpStream::connect(host) else { return };
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let _ = std::io::copy(&mut server, &mut client);
            });
        }
    });
    (port, asked)
}

#[tokio::test]
async fn a_registry_is_reached_through_the_proxy_of_a_secret() {
    let fake = serving(&layer(), |_, answer| answer);
    let (port, asked) = connecting_proxy(None);
    let bytes = |value: &str| lockgate_base::model::Secret::new(value.as_bytes().to_vec());
    let data =
        [("address", format!("http://127.0.0.1:{port}")), ("username", "u".into()), ("password", "p".into())];
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), bytes(value))).collect();
    let proxy = Some(Proxy::read("Secret n/proxy", &data).unwrap());
    assert!(fetch(OciRequest { proxy, ..fake.request() }).await.is_ok());
    let asked = asked.lock().unwrap().join("");
    assert!(asked.starts_with(&format!("CONNECT 127.0.0.1:{} HTTP/1.1", fake.port)), "{asked}");
    assert!(asked.contains("Basic dTpw"), "{asked}");
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_given_up_in_time() {
    let slow = serving(&layer(), |_, answer| answer);
    for mode in [Mode::Silent, Mode::Throttle { port: slow.port }, Mode::Garbage] {
        let peer = Peer::start(mode);
        let limit = Duration::from_secs(2);
        let ask = request(&format!("oci://127.0.0.1:{}/app", peer.port));
        let started = Instant::now();
        let error = error(OciRequest { timeout: limit, reference: tag("v1"), ..ask }).await;
        let is_right = match mode {
            Mode::Garbage => error.class() == FailureClass::GitOperationFailed,
            _ => {
                error.class() == FailureClass::Timeout
                    && error.to_string().starts_with("timed out after 2s while ")
            }
        };
        assert!(is_right, "{mode:?}: {error}");
        assert!(started.elapsed() < limit * 10, "{mode:?}");
    }
}
