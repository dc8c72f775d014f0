//! Repositories that are read over https: as a GitHub App, with a token, with a password, and by anybody; and
//! a key that is kept elsewhere.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{Access, App, HttpsAuth, HttpsGitServer, KeyAlgorithm, SshKey};
use serde_json::{Value, json};

use super::site::{LIMIT, PATH, Site, TOKEN, config_map, done, ended, killed_at};

const APP: [&str; 4] = ["--auth", "app", "--app-id", "12345"];

/// The data of the Secret of a name, decoded.
async fn data(site: &Site, name: &str) -> Vec<(String, String)> {
    let secrets = site.secrets().await;
    let secret = secrets.iter().find(|secret| secret["metadata"]["name"] == name).unwrap();
    let text = |value: &Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
    secret["data"].as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

async fn source(site: &Site, name: &str) -> Value {
    let all = site.all("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories").await;
    all.into_iter().find(|source| source["metadata"]["name"] == name).unwrap()
}

/// Waits until the agent has applied a commit.
async fn is_applied(site: &Site, text: &str) {
    site.repo.commit("main", "change", &[("base/cm.yaml", Some(config_map("base", text)))]).unwrap();
    harness::eventually(LIMIT, async || {
        let maps = site.all("v1", "ConfigMap", "configmaps").await;
        let found = maps.iter().find(|map| map["metadata"]["name"] == "base");
        anyhow::ensure!(found.is_some_and(|map| map["data"]["text"] == text), "{found:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// No token that the stand-in has given is in an object or a text.
async fn no_trace_of_tokens(site: &Site, texts: &[&str]) {
    let tokens = site.hub.clones().into_iter().filter_map(|call| call.token);
    for token in tokens.filter(|token| token.starts_with("ghs_")).collect::<BTreeSet<_>>() {
        assert!(texts.iter().all(|text| !text.contains(&token)));
        for (api_version, kind, plural) in [
            ("v1", "Event", "events"),
            ("v1", "Secret", "secrets"),
            ("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories"),
        ] {
            for object in site.all(api_version, kind, plural).await {
                assert!(!object.to_string().contains(&token), "{kind}");
            }
        }
    }
}

/// If the owner forbids deploy keys, both alternatives are named, and an App uses the second: its
/// installation is found, and its tokens are renewed before they expire.
#[tokio::test(flavor = "multi_thread")]
async fn where_deploy_keys_are_forbidden_an_app_reads() {
    let site = Site::new().await;
    site.hub.set_private("barolab/foobar-infra");
    site.hub.allow_deploy_keys("barolab", false).unwrap();
    let run = ended(site.bootstrap(&[])).await;
    assert_eq!(run.code, 1, "{}", run.stderr);
    let told = format!(
        "deploy keys are disabled by policy; an owner allows them at \
         {}/organizations/barolab/settings/member_privileges, or use --auth app\n",
        site.hub.url()
    );
    assert!(run.stderr.contains(&told), "{told}: {}", run.stderr);
    assert!(site.secrets().await.is_empty());

    let key = harness::app_key().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.pem");
    std::fs::write(&file, &key).unwrap();
    let bootstrap = |more: &[&str]| {
        let mut command = site.login_at_github(&[&APP[..], &["--interval", "3s"], more].concat());
        command.arg("--app-private-key-file").arg(&file).env_remove("GITHUB_TOKEN");
        command
    };
    let nobody = ended(site.login_at_github(&APP[..2])).await;
    assert_eq!(nobody.code, 2, "{}", nobody.stderr);
    assert!(nobody.stderr.contains("pass --app-id and --app-private-key-file"), "{}", nobody.stderr);
    let owner = "barolab".into();
    site.hub.add_app(App { id: "12345".into(), installation: 77, owner, administration: Access::Write });
    site.hub.set_token_life(std::time::Duration::from_secs(4));
    let (run, agent) = site.with_agent(bootstrap(&[]), &[]).await;
    assert!(run.stderr.contains("the App may write: administration"), "{}", run.stderr);
    let held = data(&site, "flux-system").await;
    let expected = [
        ("githubAppBaseURL", site.hub.url()),
        ("githubAppID", "12345".to_owned()),
        ("githubAppInstallationOwner", "barolab".to_owned()),
        ("githubAppPrivateKey", key),
    ];
    assert_eq!(held, expected.map(|(key, value)| (key.to_owned(), value)));
    let spec = source(&site, "foobar-infra").await["spec"].clone();
    let url = format!("{}/barolab/foobar-infra", site.hub.url());
    assert_eq!((&spec["provider"], &spec["url"]), (&json!("github"), &json!(url)));
    is_applied(&site, "two").await;
    let calls = site.hub.clones();
    assert!(calls.iter().all(|call| call.status == 200), "a token had ended: {calls:?}");
    assert!(calls.iter().filter_map(|call| call.token.as_ref()).collect::<BTreeSet<_>>().len() > 2);
    no_trace_of_tokens(&site, &[&run.stderr, &agent.log()]).await;

    // The flags are remembered. The Secret is used as it is, whatever credentials bootstrap itself has.
    let again = done(site.login_at_github(&[])).await;
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
    assert!(site.hub.keys().is_empty());
    let other = ended(site.login_at_github(&["--auth", "token"])).await;
    assert_eq!(other.code, 4, "{}", other.stderr);
    assert!(other.stderr.contains("has github app data") && other.stderr.contains("--replace-secret"));
    let run = done(site.login_at_github(&["--auth", "token", "--replace-secret"])).await;
    let held = data(&site, "flux-system").await;
    assert_eq!(held, [("password", TOKEN), ("username", "git")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(source(&site, "foobar-infra").await["spec"]["provider"], Value::Null);
    assert!(!run.stderr.contains(TOKEN) && !agent.log().contains(TOKEN));
    is_applied(&site, "three").await;

    done(site.lockgate(&["uninstall", "--purge"])).await;
    assert!(site.secrets().await.is_empty(), "a purge leaves the token");
}

/// A token that expires within the hour is not stored, and contradicting flags are reported.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_with_a_way_in_is_told() {
    let site = Site::new().await;
    let file = site.plane.admin_kubeconfig().display().to_string();
    let prune = ["--auth", "token", "--cluster-name", "eu-west9", "--prune-keys"];
    for (flags, told) in [
        (&["--auth", "token", "--key-file", &file][..], "--key-file goes with --auth deploy-key"),
        (&prune, "--prune-keys goes with --auth deploy-key"),
        (&["--ca-file", &file], "holds no certificate"),
        (&["--key-file", &file], "make a pair without a passphrase"),
        (&["--key-file", "/nonexistent"], "/nonexistent: No such file"),
        (&["--auth", "nobody"], "possible values: deploy-key, app, token"),
    ] {
        let run = ended(site.bootstrap(flags)).await;
        assert_eq!(run.code, 2, "{flags:?}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
    site.hub.add_token_as("ghs_x", harness::Token::installation("app[bot]", Access::Write));
    let mut command = site.login_at_github(&["--auth", "token"]);
    command.env("GITHUB_TOKEN", "ghs_x");
    let run = ended(command).await;
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("ends within the hour") && run.stderr.contains("fix: use --auth app"));
    for (url, told) in [
        ("http://git.example.com/o/r", "is not encrypted"),
        ("git.example.com/o/r", "write ssh:// or https://"),
    ] {
        let run = ended(site.lockgate(&["bootstrap", "git", url])).await;
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
    let ssh = ["bootstrap", "git", "ssh://git@git.example.com/o/r", "--token-file", &file];
    let run = ended(site.lockgate(&ssh)).await;
    assert!(run.code == 2 && run.stderr.contains("go with an https:// address"), "{}", run.stderr);
    assert!(site.secrets().await.is_empty() && site.hub.keys().is_empty());
}

/// Any server over https: its refusal is reported before anything is created, and a public repository needs
/// no password.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_any_kind_is_read_over_https() {
    let site = Site::new().await;
    let login = HttpsAuth::Basic { username: "reader".into(), password: "hunter2".into() };
    let server = HttpsGitServer::start(&site.git, login).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, server.ca_pem()).unwrap();
    let url = server.url(&site.repo);
    let bootstrap = |password: &str, authority: Option<&Path>, more: &[&str]| {
        let mut command = site.lockgate(&[&["bootstrap", "git", &url, "--path", PATH][..], more].concat());
        command.args(authority.map(|_| "--ca-file")).args(authority).env("GIT_PASSWORD", password);
        command
    };
    let named = ["--username", "reader", "--name", "foobar-infra"];
    for (run, code, told) in [
        (bootstrap("wrong", Some(&authority), &named), 1, "(HTTP 401): they are wrong"),
        (bootstrap("hunter2", None, &named), 4, "fix: give the certificates of the authority"),
        (
            bootstrap("hunter2", Some(&authority), &[&named[..], &["--branch", "gone"]].concat()),
            1,
            "the branch 'gone' does not exist; existing branches include 'main'",
        ),
    ] {
        let run = ended(run).await;
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!(run.stderr.contains(told) && !run.stderr.contains("hunter2"), "{told}: {}", run.stderr);
        assert!(site.secrets().await.is_empty());
    }
    let (run, _agent) = site.with_agent(bootstrap("hunter2", Some(&authority), &named), &[]).await;
    assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    let mut again = bootstrap("", Some(&authority), &[]);
    again.env_remove("GIT_PASSWORD");
    let again = done(again).await;
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);

    server.set_auth(HttpsAuth::None);
    let other = ["--name", "open", "--secret-name", "open"];
    let mut open = bootstrap("", Some(&authority), &other);
    open.env_remove("GIT_PASSWORD");
    done(open).await;
    let held = data(&site, "open").await;
    assert_eq!(held.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), ["ca.crt"]);
}

/// A pair that is kept elsewhere is used again by each cluster, and only another one's place is taken unasked
/// by none.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_kept_elsewhere_is_used_by_each_cluster() {
    let mut site = Site::new().await;
    let folder = tempfile::tempdir().unwrap();
    let pair = |name: &str, algorithm| {
        let key = SshKey::generate(algorithm).unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, &key.openssh).unwrap();
        (key, file.display().to_string())
    };
    let (key, file) = pair("key", KeyAlgorithm::Rsa);
    for _ in 0..2 {
        let run = site.bootstrap(&["--cluster-name", "eu-west9", "--key-file", &file]);
        assert!(killed_at(run, "✔ deploy key ").await);
        let [made] = site.hub.keys().try_into().unwrap();
        assert!(made.read_only && key.public.starts_with(&made.key), "{made:?}");
        let held = data(&site, "flux-system").await;
        let (_, public) = held.iter().find(|(key, _)| key == "identity.pub").unwrap();
        assert!(public.contains(" lockgate eu-west9 "), "{public}");
        site.recreate().await;
    }
    assert!(killed_at(site.bootstrap(&["--key-file", &file]), "✔ deploy key ").await);
    let (_, other) = pair("other", KeyAlgorithm::Ed25519);
    let run = ended(site.bootstrap(&["--key-file", &other])).await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("contains another key than the given one: rsa SHA256:"), "{}", run.stderr);
    // A key is replaced only on request; otherwise the rest of the old one would be deleted.
    assert!(killed_at(site.bootstrap(&["--key-file", &file, "--replace-secret"]), "✔ deploy key ").await);
    assert_eq!(site.hub.keys().len(), 1);
    assert!(killed_at(site.bootstrap(&["--key-file", &other, "--replace-secret"]), "✔ rotation ").await);
    assert_eq!(site.hub.keys().len(), 2);
}
