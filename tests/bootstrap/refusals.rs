//! What a run refuses, and what it says then. Nothing is half done afterwards.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::hub::Refusal;
use super::site::{Site, TOKEN, ended};

fn refusal(
    request: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
) -> Refusal {
    Refusal { request, status, headers, body }
}

const REPO: &str = "GET /repos/barolab/foobar-infra";
const POST: &str = "POST /repos/barolab/foobar-infra/keys";

/// B04: each refusal of GitHub has its cause in one line, what to do about it, and an exit code.
#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_github_is_told_with_its_fix() {
    let site = Site::new().await;
    let forbidden = json!({"message": "Resource not accessible by personal access token"});
    let in_use = json!({"message": "Validation Failed", "errors": [{"message": "key is already in use"}]});
    let cases = [
        (refusal(REPO, 401, &[], json!({})), 1, "the token is not valid", "Administration: read and write"),
        (
            refusal(
                REPO,
                403,
                &[("x-github-sso", "required; url=https://github.com/orgs/o/sso?x=1")],
                json!({}),
            ),
            1,
            "single sign-on",
            "https://github.com/orgs/o/sso?x=1",
        ),
        (
            refusal(REPO, 403, &[("x-oauth-scopes", "gist"), ("x-accepted-oauth-scopes", "repo")], json!({})),
            1,
            "scopes [gist]",
            "scope 'repo'",
        ),
        (refusal(REPO, 404, &[], json!({})), 1, "may not see it", "must list the repository"),
        (
            refusal("GET /repos/barolab/foobar-infra/keys", 404, &[], json!({})),
            1,
            "may not administer it",
            "lockgate bootstrap git",
        ),
        (refusal(REPO, 502, &[], json!({})), 3, "GitHub has a problem", "run the same command again"),
        (
            refusal(REPO, 403, &[("retry-after", "60")], json!({"message": "secondary rate limit"})),
            3,
            "ask again in 60 s",
            "run the same command again",
        ),
        (refusal(POST, 403, &[], forbidden), 1, "not accessible by personal access token", "Administration"),
        (refusal(POST, 422, &[], in_use), 1, "in use at another repository", "--secret-name"),
    ];
    for (refusal, code, told, fix) in cases {
        let is_preflight = refusal.request != POST;
        let status = refusal.status;
        site.hub.refuse(Some(refusal));
        let run = ended(site.bootstrap(&[])).await;
        assert_eq!(run.code, code, "{status}: {}", run.stderr);
        let (crosses, hints): (Vec<&str>, Vec<&str>) = run
            .stderr
            .lines()
            .filter(|line| line.starts_with(['✗', ' ']))
            .partition(|line| line.starts_with('✗'));
        assert!(crosses.len() == 1 && crosses[0].contains(told), "{status}: {}", run.stderr);
        assert!(hints.iter().any(|line| line.starts_with("  fix: ") && line.contains(fix)), "{}", run.stderr);
        assert!(!run.stderr.contains(TOKEN));
        if is_preflight {
            assert!(site.secrets().await.is_empty() && site.hub.keys().is_empty(), "{status}");
        }
    }
    site.hub.refuse(None);
    site.hub.set_admin(false);
    let run = ended(site.bootstrap(&["--branch", "gone", "--path", "nowhere"])).await;
    assert!(
        run.stderr.contains("may not administer it") && run.stderr.contains("'gone' does not exist"),
        "{}",
        run.stderr
    );
}

/// B08, B09: what is missing on the cluster is told at once, before anything is changed.
#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_and_folders_are_told_together() {
    let site = Site::new().await;
    let mut command = site.bootstrap(&["--path", "nowhere"]);
    command.env("KUBECONFIG", site.plane.user_kubeconfig("jane", &[]).unwrap());
    let run = ended(command).await;
    assert_eq!(run.code, 1, "{}", run.stderr);
    for missing in [
        "jane may not create namespaces at the cluster scope",
        "jane may not create secrets in namespace flux-system",
        "jane may not bind clusterroles.rbac.authorization.k8s.io at the cluster scope",
        "the folder 'nowhere' does not exist on the branch 'main'",
    ] {
        assert!(run.stderr.contains(missing), "no {missing:?} in\n{}", run.stderr);
    }
    assert!(site.hub.keys().is_empty());
    let namespaces = site.all("v1", "Namespace", "namespaces").await;
    assert!(namespaces.iter().all(|namespace| namespace["metadata"]["name"] != "flux-system"));
}

/// B06: neither another's Secret nor Flux is run over.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_left_is_not_run_over() {
    let site = Site::new().await;
    site.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})).await;
    site.create(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "flux-system", "namespace": "flux-system"},
        "stringData": {"username": "git", "password": "hunter2"},
    }))
    .await;
    let run = ended(site.bootstrap(&[])).await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(
        run.stderr.contains("the Secret flux-system/flux-system exists, and has no 'identity'"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--secret-name") && !run.stderr.contains("hunter2"), "{}", run.stderr);
    assert!(site.hub.keys().is_empty());

    let labels = json!({"app.kubernetes.io/part-of": "flux", "app": "x"});
    site.create(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "kustomize-controller", "namespace": "flux-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": "i"}]}},
        },
    }))
    .await;
    let run = ended(site.bootstrap(&["--secret-name", "other"])).await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(
        run.stderr.contains("Flux runs on this cluster: flux-system/kustomize-controller"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--adopt"), "{}", run.stderr);
}

/// S08: the token by each way, never among the arguments.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_taken_from_where_it_is_safe() {
    let site = Site::new().await;
    let none = ended(without_token(&site, &[])).await;
    assert_eq!(none.code, 2, "{}", none.stderr);
    assert!(none.stderr.contains("GITHUB_TOKEN") && none.stderr.contains("--token-stdin"), "{}", none.stderr);
    let plain = ended({
        let mut command = site.lockgate(&["bootstrap", "github", "o/r", "--api-url", "http://example.org"]);
        command.env("GITHUB_TOKEN", TOKEN);
        command
    })
    .await;
    assert_eq!(plain.code, 2, "{}", plain.stderr);
    assert!(plain.stderr.contains("not sent over plain HTTP"), "{}", plain.stderr);

    let refusal = refusal(REPO, 401, &[], json!({}));
    site.hub.refuse(Some(refusal));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let by_file = ended(without_token(&site, &["--token-file", file.to_str().unwrap()])).await;
    assert!(by_file.stderr.contains("the token is not valid"), "{}", by_file.stderr);

    let mut command = without_token(&site, &["--token-stdin"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let arguments = std::fs::read(format!("/proc/{}/cmdline", child.id().unwrap())).unwrap();
    let environment = std::fs::read(format!("/proc/{}/environ", child.id().unwrap())).unwrap();
    for bytes in [arguments, environment] {
        assert!(!String::from_utf8_lossy(&bytes).contains(TOKEN));
    }
    child.stdin.take().unwrap().write_all(format!("{TOKEN}\n").as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("the token is not valid"));
    assert_eq!(site.hub.tokens(), [format!("Bearer {TOKEN}")]);
}

fn without_token(site: &Site, more: &[&str]) -> tokio::process::Command {
    let mut command = site.bootstrap(more);
    command.env_remove("GITHUB_TOKEN");
    command
}
