//! HTTP hosts that give unexpected answers.

use std::time::Duration;

use lockgate_git::{Credentials, GitFetcher, GitRequest, GitUrl, RefRequest};
use lockgate_git::{FailureClass, SourceError};

use super::canned::{Answer, Canned, line};
use super::site::{credentials, stores};

const LISTING: &str = "200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement";
const RESULT: &str = "200 OK\r\nContent-Type: application/x-git-upload-pack-result";

/// A host with one branch, at a commit that it does not have.
fn listing(branch: &[u8]) -> Answer {
    let id = "1".repeat(40);
    let first =
        [id.as_bytes(), b" refs/heads/", branch, b"\0 side-band-64k shallow ofs-delta agent=test\n"].concat();
    let mut body = line("# service=git-upload-pack\n");
    body.extend(b"0000");
    body.extend(format!("{:04x}", first.len() + 4).into_bytes());
    body.extend(first);
    body.extend(line(&format!("{id} refs/heads/main\n")));
    body.extend(b"0000");
    (LISTING, body)
}

fn pack(content: &[u8]) -> Answer {
    let mut body = line(&format!("shallow {}", "1".repeat(40)));
    body.extend(b"0000");
    body.extend(line("NAK\n"));
    body.extend(format!("{:04x}\u{1}", content.len() + 5).into_bytes());
    body.extend(content);
    body.extend(b"0000");
    (RESULT, body)
}

async fn fetch(listing: Answer, pack: Answer) -> SourceError {
    let host = Canned::start(listing, pack);
    let folder = tempfile::tempdir().unwrap();
    let request = GitRequest {
        namespace: "n".into(),
        url: GitUrl::parse(&format!("http://127.0.0.1:{}/o/r.git", host.port)).unwrap(),
        reference: RefRequest { branch: Some("main".into()), ..RefRequest::default() },
        credentials: Credentials::None,
        timeout: Duration::from_secs(30),
        ignore: None,
        known: None,
    };
    let error = GitFetcher::new(folder.path()).unwrap().fetch(request).await.unwrap_err();
    let leftovers = stores(folder.path());
    assert!(leftovers.is_empty(), "a failed store is left: {leftovers:?}");
    error
}

#[tokio::test]
async fn what_is_no_repository_is_told() {
    let none = || pack(b"");
    let cases: [(Answer, &str, FailureClass); 11] = [
        (
            ("200 OK\r\nContent-Type: text/html", b"<html>".to_vec()),
            "text/html came back",
            FailureClass::GitOperationFailed,
        ),
        (("404 Not Found", vec![]), "repository not found", FailureClass::GitOperationFailed),
        (("401 Unauthorized", vec![]), "name a Secret in spec.secretRef", FailureClass::AuthenticationFailed),
        (("500 Oops", vec![]), "HTTP 500", FailureClass::GitOperationFailed),
        (("302 Found", vec![]), "it redirects to '', which is no address", FailureClass::GitOperationFailed),
        (
            ("302 Found\r\nLocation: http://127.0.0.1:1/x", vec![]),
            "it redirects to http://127.0.0.1:1/x, which is not a Git repository",
            FailureClass::GitOperationFailed,
        ),
        (
            ("302 Found\r\nLocation: http://169.254.169.254/x/info/refs?service=git-upload-pack", vec![]),
            "it redirects to another host or port; write spec.url: http://169.254.169.254/x",
            FailureClass::GitOperationFailed,
        ),
        (
            ("302 Found\r\nLocation: http://127.0.0.1:1/x/info/refs?service=git-upload-pack", vec![]),
            "it redirects to another host or port; write spec.url: http://127.0.0.1:1/x",
            FailureClass::GitOperationFailed,
        ),
        (
            ("302 Found\r\nLocation: /x/info/refs?service=git-upload-pack", vec![]),
            "it redirects more than 5 times",
            FailureClass::GitOperationFailed,
        ),
        ((LISTING, b"hello".to_vec()), "127.0.0.1:", FailureClass::GitOperationFailed),
        ((LISTING, vec![]), "127.0.0.1:", FailureClass::GitOperationFailed),
    ];
    for (answer, message, class) in cases {
        let error = fetch(answer.clone(), none()).await;
        assert!(error.to_string().contains(message) && error.class() == class, "{}: {error}", answer.0);
    }
}

#[tokio::test]
async fn damaged_packs_are_refused() {
    let header = |objects: u32| [b"PACK".as_slice(), &2_u32.to_be_bytes(), &objects.to_be_bytes()].concat();
    let cases: [(&str, Vec<u8>); 6] = [
        ("garbage", b"not a pack at all, but long enough for a header".to_vec()),
        ("empty", vec![]),
        ("truncated", header(3)),
        ("bad checksum", [header(0), vec![0; 20]].concat()),
        ("too many objects", [header(u32::MAX), vec![0x35; 100]].concat()),
        ("a stream that is not compressed", [header(1), vec![0xff; 100]].concat()),
    ];
    for (name, content) in cases {
        let error = fetch(listing(b"main"), pack(&content)).await;
        assert_eq!(error.class(), FailureClass::GitOperationFailed, "{name}: {error}");
        assert!(error.to_string().contains("the data that it sent is damaged: "), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_branch_that_is_not_utf8_hides_no_other() {
    let error = fetch(listing(b"latin\xe9"), pack(b"")).await;
    // `main` was found and requested, but this host cannot serve it.
    assert!(error.to_string().contains("the data that it sent is damaged"), "{error}");
}

/// A host that redirects its clients to another port of itself, where somebody else may listen.
#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_port() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    other.set_nonblocking(true).unwrap();
    let answer =
        format!("302 Found\r\nLocation: http://127.0.0.1:{port}/o/r.git/info/refs?service=git-upload-pack");
    let host = Canned::start((answer.leak(), vec![]), pack(b""));
    let url = format!("http://127.0.0.1:{}/o/r.git", host.port);
    let fields = [("username", Some("git")), ("password", Some("hunter2"))];
    let folder = tempfile::tempdir().unwrap();
    let request = GitRequest {
        namespace: "n".into(),
        url: GitUrl::parse(&url).unwrap(),
        reference: RefRequest { branch: Some("main".into()), ..RefRequest::default() },
        credentials: credentials(&url, &fields).unwrap(),
        timeout: Duration::from_secs(30),
        ignore: None,
        known: None,
    };
    let error = GitFetcher::new(folder.path()).unwrap().fetch(request).await.unwrap_err();
    assert!(error.to_string().contains("another host or port"), "{error}");
    assert!(other.accept().is_err(), "somebody connected");
}
