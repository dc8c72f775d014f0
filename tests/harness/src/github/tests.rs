//! sshd accepts a key exactly while the stand-in has it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::*;
use crate::git::{KeyAlgorithm, SshKey};

/// A call over plain HTTP: the status, the head and the body.
fn call(github: &GitHub, method: &str, path: &str, token: &str, body: &Value) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(github.address()).unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let authorization =
        if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: github\r\nUser-Agent: test\r\n{authorization}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), serde_json::from_str(body).unwrap_or_default())
}

fn admitted(git: &GitServer, url: &str, key: &SshKey) -> bool {
    crate::git::ls_remote(url, &key.openssh, &git.known_hosts_file().unwrap()).is_ok()
}

#[test]
fn a_key_is_admitted_while_it_is_registered() {
    let git = GitServer::start().unwrap();
    let repo = git.create_repo("octo/infra").unwrap();
    repo.commit("main", "First", &[("clusters/a/x.yaml", Some("x: 1\n"))]).unwrap();
    let github = GitHub::start(&git).unwrap();
    github.add_token("good");
    github.add_token_as("reader", Token::classic("reader", false));
    github.set_private("octo/infra");
    let key = SshKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let body = json!({ "title": "flux", "key": format!("{} a comment", key.public), "read_only": true });
    let keys = "/repos/octo/infra/keys";
    assert_eq!(call(&github, "GET", "/repos/octo/infra", "", &Value::Null).0, 404);
    assert_eq!(call(&github, "GET", "/repos/octo/infra", "bad", &Value::Null).0, 401);
    assert_eq!(call(&github, "POST", keys, "reader", &body).0, 404);
    let (status, head, about) = call(&github, "GET", "/repos/octo/infra", "good", &Value::Null);
    assert_eq!((status, about["default_branch"].as_str()), (200, Some("main")));
    assert!(head.contains("x-oauth-scopes: repo"), "{head}");
    let url = about["ssh_url"].as_str().unwrap();
    assert!(!admitted(&git, url, &key));
    let (status, _, made) = call(&github, "POST", keys, "good", &body);
    assert_eq!(
        (status, made["read_only"].as_bool(), made["key"].as_str()),
        (201, Some(true), Some(key.public.as_str()))
    );
    assert!(admitted(&git, url, &key));
    let (status, _, again) = call(&github, "POST", keys, "good", &body);
    assert_eq!((status, again["errors"][0]["message"].as_str()), (422, Some("key is already in use")));
    assert_eq!(call(&github, "GET", keys, "good", &Value::Null).2.as_array().unwrap().len(), 1);
    assert_eq!(call(&github, "DELETE", &format!("{keys}/{}", made["id"]), "good", &Value::Null).0, 204);
    assert!(!admitted(&git, url, &key));
    assert!(github.keys().is_empty());
    let asked = github.requests();
    assert_eq!((asked[0].authorized, asked[0].status), (false, 404));
    assert_eq!(asked.last().map(|request| request.method.as_str()), Some("DELETE"));
}

#[test]
fn github_says_no_when_told_to() {
    let git = GitServer::start().unwrap();
    let repo = git.create_repo("octo/infra").unwrap();
    repo.commit("main", "First", &[("clusters/a/x.yaml", Some("x: 1\n"))]).unwrap();
    let github = GitHub::start(&git).unwrap();
    github.fail("", "/repos", Fault::SsoRequired, Some(1));
    github.fail("GET", "/branches", Fault::SecondaryRateLimit(7), None);
    let about = || call(&github, "GET", "/repos/octo/infra", "", &Value::Null);
    let (status, head, _) = about();
    assert!(status == 403 && head.contains("x-github-sso: required; url="), "{head}");
    assert_eq!(about().0, 200);
    let branch = || call(&github, "GET", "/repos/octo/infra/branches/main", "", &Value::Null);
    assert!(branch().1.contains("retry-after: 7"));
    github.heal();
    assert_eq!(branch().2["commit"]["sha"].as_str(), Some(repo.rev_parse("main").unwrap().as_str()));
    let meta = call(&github, "GET", "/meta", "", &Value::Null).2;
    assert_eq!(meta["ssh_keys"].as_array().unwrap().len(), 3);
    assert!(meta["ssh_key_fingerprints"]["SHA256_ED25519"].is_string());
    let file = call(&github, "GET", "/repos/octo/infra/contents/clusters/a/x.yaml", "", &Value::Null).2;
    assert_eq!(file["content"].as_str(), Some("eDogMQo="));
    let tree = call(&github, "GET", "/repos/octo/infra/git/trees/main?recursive=1", "", &Value::Null).2;
    assert_eq!(tree["tree"][2]["path"].as_str(), Some("clusters/a/x.yaml"));
    let (status, _, body) = call(&github, "POST", "/app/installations/5/access_tokens", "a.b.c", &json!({}));
    assert_eq!(status, 401, "{body}");
    // The stand-in checks the length of the signature and not the signature.
    let encode =
        |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes);
    let head = encode(br#"{"alg":"RS256","typ":"JWT"}"#);
    let jwt = format!("{head}.{}.{}", encode(br#"{"iat":100,"exp":600,"iss":"12"}"#), encode(&[0; 256]));
    assert_eq!(call(&github, "POST", "/app/installations/5/access_tokens", &jwt, &json!({})).0, 404);
    github.set_rate_limit(1);
    let (status, head, _) = about();
    assert!(status == 200 && head.contains("x-ratelimit-remaining: 0"), "{head}");
    let (status, _, body) = about();
    assert!(status == 403 && body["message"].as_str().unwrap().contains("rate limit"), "{body}");
}

/// The GitHub of a bootstrap, with a key and calls over HTTP.
struct Place {
    git: GitServer,
    github: GitHub,
    key: SshKey,
}

const KEYS: &str = "/repos/octo/infra/keys";

impl Place {
    fn new() -> Self {
        let git = GitServer::start().unwrap();
        let repo = git.create_repo("octo/infra").unwrap();
        repo.commit("main", "First", &[("x.yaml", Some("x: 1\n"))]).unwrap();
        let github = GitHub::start(&git).unwrap();
        Self { git, github, key: SshKey::generate(KeyAlgorithm::Ed25519).unwrap() }
    }

    fn call(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let (status, _, body) = call(&self.github, method, path, token, body);
        (status, body)
    }

    fn register(&self, token: &str) -> (u16, Value) {
        self.call("POST", KEYS, token, &json!({"title": "t", "key": self.key.public, "read_only": true}))
    }

    fn listed(&self, token: &str) -> Value {
        self.call("GET", KEYS, token, &Value::Null).1[0].clone()
    }

    fn is_let_in(&self) -> bool {
        admitted(&self.git, &self.git.url(&self.git.repo("octo/infra").unwrap()), &self.key)
    }
}

#[test]
fn a_key_tells_when_it_was_made_and_late_when_it_was_used() {
    let place = Place::new();
    place.github.add_token("good");
    let before = SystemTime::now();
    assert_eq!(place.register("good").0, 201);
    let made = place.github.keys()[0].created_at;
    assert!(before <= made && made <= SystemTime::now());
    assert_eq!(place.listed("good")["created_at"], json!(keys::seconds(made).unwrap()));
    assert_eq!(place.listed("good")["last_used"], Value::Null);
    place.github.set_use_lag(Duration::from_hours(1));
    assert!(place.is_let_in());
    assert_eq!(place.listed("good")["last_used"], Value::Null, "GitHub does not know yet");
    place.github.set_use_lag(Duration::ZERO);
    let used = place.listed("good")["last_used"].as_str().unwrap().to_owned();
    assert!(
        used >= keys::seconds(made).unwrap() && used <= keys::seconds(SystemTime::now()).unwrap(),
        "{used}"
    );
}

#[test]
fn a_policy_turns_keys_off_and_on() {
    let place = Place::new();
    place.github.add_token("good");
    assert_eq!(place.register("good").0, 201);
    place.github.allow_deploy_keys("octo", false).unwrap();
    assert_eq!(place.listed("good")["enabled"], json!(false));
    assert!(!place.is_let_in());
    let (status, body) = place.register("good");
    assert!(status == 422 && body["message"].as_str().unwrap().contains("are disabled"), "{body}");
    place.github.allow_deploy_keys("octo", true).unwrap();
    assert_eq!(place.listed("good")["enabled"], json!(true));
    assert!(place.is_let_in());
}

#[test]
fn a_key_goes_with_the_persons_token_that_made_it_and_stays_after_an_apps() {
    let place = Place::new();
    place.github.add_token_as("github_pat_1", Token::fine_grained("jane", Access::Write));
    assert_eq!(place.register("github_pat_1").0, 201);
    place.github.regenerate_token("github_pat_1", "github_pat_2").unwrap();
    assert_eq!(place.call("GET", KEYS, "github_pat_1", &Value::Null).0, 401);
    assert!(place.is_let_in());
    place.github.delete_token("github_pat_2").unwrap();
    assert!(place.github.keys().is_empty() && !place.is_let_in());

    place.github.add_token_as("ghs_app", Token::installation("app[bot]", Access::Write));
    assert_eq!(place.register("ghs_app").0, 201);
    let about = place.call("GET", "/repos/octo/infra", "ghs_app", &Value::Null).1;
    assert_eq!(about["permissions"], json!({"admin": false, "push": false, "pull": false}));
    place.github.delete_token("ghs_app").unwrap();
    assert!(place.is_let_in());
}

#[test]
fn a_token_without_the_permission_is_told_what_it_lacks() {
    let place = Place::new();
    place.github.add_token_as("reads", Token::fine_grained("jane", Access::Read));
    place.github.add_token_as("ghs_workflow", Token::installation("github-actions[bot]", Access::None));
    assert_eq!(place.call("GET", KEYS, "reads", &Value::Null).0, 200);
    for (token, told) in [("reads", "personal access token"), ("ghs_workflow", "integration")] {
        let (status, body) = place.register(token);
        assert_eq!((status, &body["message"]), (403, &json!(format!("Resource not accessible by {told}"))));
    }
}

#[test]
fn an_installation_is_found_by_its_owner_and_its_tokens_end() {
    let place = Place::new();
    let app = App { id: "12".into(), installation: 5, owner: "octo".into(), administration: Access::Write };
    place.github.add_app(app);
    let encode =
        |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes);
    let head = encode(br#"{"alg":"RS256","typ":"JWT"}"#);
    let jwt = format!("{head}.{}.{}", encode(br#"{"iat":100,"exp":600,"iss":"12"}"#), encode(&[0; 256]));
    for path in ["/users/octo/installation", "/orgs/octo/installation", "/repos/octo/infra/installation"] {
        let (status, body) = place.call("GET", path, &jwt, &Value::Null);
        assert_eq!((status, &body["id"]), (200, &json!(5)), "{path}");
        assert_eq!(body["permissions"]["administration"], json!("write"));
    }
    assert_eq!(place.call("GET", "/users/other/installation", &jwt, &Value::Null).0, 404);
    let route = "/app/installations/5/access_tokens";
    let (status, body) = place.call("POST", route, &jwt, &json!({}));
    let token = body["token"].as_str().unwrap();
    assert!(status == 201 && token.starts_with("ghs_") && place.github.knows_token(token), "{body}");
    assert_eq!(place.call("GET", KEYS, token, &Value::Null).0, 200);
    place.github.set_token_life(Duration::ZERO);
    let body = place.call("POST", route, &jwt, &json!({})).1;
    assert_eq!(place.call("GET", KEYS, body["token"].as_str().unwrap(), &Value::Null).0, 401);
}
