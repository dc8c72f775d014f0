//! The refusals of a run and their messages. A refused run leaves nothing half done.

use std::process::Stdio;

use harness::flux::{binding, controller};
use harness::{Access, App, Fault, Token};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::site::{LIMIT, Site, TOKEN, done, ended, killed_at, kustomization};

const REPO: (&str, &str) = ("GET", "/repos/barolab/foobar-infra");
const LIST: (&str, &str) = ("GET", "/repos/barolab/foobar-infra/keys");
const POST: (&str, &str) = ("POST", "/repos/barolab/foobar-infra/keys");

/// The message if the owner's policy forbids deploy keys.
const POLICY: &str = "deploy keys are disabled by policy; an owner allows them at ";

/// B04: each refusal of GitHub has its cause in one line, what to do about it, and an exit code.
#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_github_is_told_with_its_fix() {
    let site = Site::new().await;
    let limit = json!({"message": "Validation Failed", "errors": [{"message": "the limit is 100 keys"}]});
    let cases = [
        (REPO, Fault::Unauthorized, 1, "the token is not valid", "Administration: read and write"),
        (
            REPO,
            Fault::SsoRequired,
            1,
            "single sign-on",
            "https://github.com/orgs/octo-org/sso?authorization_request=",
        ),
        (REPO, Fault::MissingScope, 1, "scopes [gist]", "scope 'repo'"),
        (REPO, Fault::NotFound, 1, "may not see it", "must list the repository"),
        (LIST, Fault::NotFound, 1, "may not administer it", "lockgate bootstrap git"),
        (REPO, Fault::ServerError(502), 3, "GitHub has a problem", "run the same command again"),
        (REPO, Fault::SecondaryRateLimit(60), 3, "ask again in 60 s", "run the same command again"),
        (REPO, Fault::RateLimit(90), 3, "too many requests; ask again in ", "run the same command again"),
        (
            POST,
            Fault::MissingPermission,
            1,
            "not accessible by personal access token",
            "administration=write",
        ),
        (POST, Fault::KeyInUse, 1, "in use at another repository", "--secret-name"),
        (POST, Fault::KeysDisabled, 1, POLICY, ""),
        (POST, Fault::Status(422, limit), 1, "Validation Failed: the limit is 100 keys", ""),
    ];
    for ((method, path), fault, code, told, fix) in cases {
        let name = format!("{fault:?}");
        site.hub.fail(method, path, fault, None);
        let run = ended(site.bootstrap(&[])).await;
        site.hub.heal();
        assert_eq!(run.code, code, "{name}: {}", run.stderr);
        let (crosses, hints): (Vec<&str>, Vec<&str>) = run
            .stderr
            .lines()
            .filter(|line| line.starts_with(['✗', ' ']))
            .partition(|line| line.starts_with('✗'));
        assert!(crosses.len() == 1 && crosses[0].contains(told), "{name}: {}", run.stderr);
        let has_fix = hints.iter().any(|line| line.starts_with("  fix: ") && line.contains(fix));
        assert!(has_fix || fix.is_empty(), "{name}: {}", run.stderr);
        assert!(!run.stderr.contains(TOKEN));
        assert!(site.hub.keys().is_empty(), "{name}");
        assert!(site.secrets().await.is_empty(), "{name}");
        let left = site.all("v1", "Namespace", "namespaces").await.into_iter().find(|namespace| {
            let metadata = &namespace["metadata"];
            metadata["name"] == "flux-system" && metadata["deletionTimestamp"].is_null()
        });
        assert_eq!(left, None, "{name}");
    }
    site.hub.set_archived("barolab/foobar-infra");
    let run = ended(site.bootstrap(&[])).await;
    assert!(run.code == 1 && run.stderr.contains("fix: unarchive barolab/foobar-infra"), "{}", run.stderr);
    site.hub.add_token_as(TOKEN, Token::classic("jane", false));
    let run = ended(site.bootstrap(&["--branch", "gone", "--path", "nowhere"])).await;
    assert!(
        run.stderr.contains("may not administer it") && run.stderr.contains("'gone' does not exist"),
        "{}",
        run.stderr
    );
    site.hub.add_token(TOKEN);
    site.repo.git(&["update-ref", "-d", "refs/heads/main"]).unwrap();
    let run = ended(site.bootstrap(&[])).await;
    assert!(run.code == 1 && run.stderr.contains("the repository is empty"), "{}", run.stderr);
}

/// A GitHub App authenticates with its key, which is stored nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_stands_in_for_a_token() {
    let site = Site::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.pem");
    std::fs::write(&file, harness::app_key().unwrap()).unwrap();
    let app = |more: &[&str]| {
        let mut command = site.bootstrap(&[&["--app-id", "12345"], more].concat());
        command.arg("--app-private-key-file").arg(&file).env_remove("GITHUB_TOKEN");
        command
    };
    let numbered = ["--app-installation-id", "77"];
    let unknown = ended(app(&numbered)).await;
    assert_eq!(unknown.code, 1, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("the App cannot sign in: Not Found"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("under --app-installation-id"), "{}", unknown.stderr);
    // The installation is found by the repository if its id is not given.
    let nowhere = ended(app(&[])).await;
    assert!(
        nowhere.code == 1 && nowhere.stderr.contains("that the App is installed for"),
        "{}",
        nowhere.stderr
    );
    let owner = "barolab".into();
    site.hub.add_app(App { id: "12345".into(), installation: 77, owner, administration: Access::Write });
    assert!(killed_at(app(&numbered), "✔ deploy key ").await);
    assert_eq!(site.hub.keys().len(), 1);
    assert!(killed_at(app(&[]), "✔ deploy key ").await);
    assert_eq!(site.hub.keys().len(), 1);
    let alone = ended(site.bootstrap(&["--app-id", "12345"])).await;
    assert!(alone.code == 2 && alone.stderr.contains("--app-private-key-file"), "{}", alone.stderr);
}

/// B08, B09: everything that is missing on the cluster is reported at once, before any change.
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

/// An argument that is left out the second time must not change the sync.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_exists_is_turned_elsewhere_only_when_asked() {
    let site = Site::new().await;
    done(site.lockgate(&["install"])).await;
    let url = "ssh://git@git.example.com/acme/other";
    site.create(json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "foobar-infra", "namespace": "flux-system"},
        "spec": {"interval": "1m", "url": url, "ref": {"branch": "production"}, "suspend": true},
    }))
    .await;
    let run = ended(site.bootstrap(&[])).await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    for told in [format!("spec.url '{url}'"), "spec.ref.branch 'production', not 'main'".into()] {
        assert!(run.stderr.contains(&told), "no {told:?} in\n{}", run.stderr);
    }
    assert!(run.stderr.contains("--replace-sync"), "{}", run.stderr);
    assert!(site.hub.keys().is_empty());
    assert!(killed_at(site.bootstrap(&["--replace-sync"]), "✔ secret ").await);
}

/// A user with all checked rights, but without those of the agent, may not grant these.
#[tokio::test(flavor = "multi_thread")]
async fn rights_that_may_not_be_handed_out_are_told_before_anything_is_written() {
    let site = Site::new().await;
    let rbac = "rbac.authorization.k8s.io";
    let rule =
        |groups: &[&str], verbs: &[&str]| json!({"apiGroups": groups, "resources": ["*"], "verbs": verbs});
    let groups = ["", "apps", "apiextensions.k8s.io", "networking.k8s.io", "coordination.k8s.io"];
    let flux = ["source.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"];
    site.create(json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": "almost"},
        "rules": [
            rule(&groups, &["get", "list", "watch", "create", "patch"]),
            rule(&flux, &["get", "list", "create", "patch"]),
            rule(&[rbac], &["get", "list", "create", "patch", "bind"]),
        ],
    }))
    .await;
    site.create(json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "almost"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "almost"},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": "jane"}],
    }))
    .await;
    let kubeconfig = site.plane.user_kubeconfig("jane", &[]).unwrap();
    let told = harness::eventually(LIMIT, async || {
        let mut command = site.bootstrap(&[]);
        command.env("KUBECONFIG", &kubeconfig);
        let run = ended(command).await;
        // The API server's authorizer learns of a new role in a moment.
        anyhow::ensure!(!run.stderr.contains("may not"), "{}", run.stderr);
        Ok(run)
    });
    let run = told.await.unwrap();
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("✗ preflight  ClusterRole/lockgate cannot be created: "), "{}", run.stderr);
    assert!(run.stderr.contains("attempting to grant RBAC permissions not currently held"), "{}", run.stderr);
    assert!(
        site.hub.keys().is_empty() && site.versions().await.iter().all(|name| !name.contains("\"lockgate"))
    );
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
        run.stderr.contains("the Secret flux-system/flux-system exists, and it has no key 'identity'"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--secret-name") && !run.stderr.contains("hunter2"), "{}", run.stderr);
    assert!(site.hub.keys().is_empty());

    // The first does nothing that the agent does, and may stay.
    for name in ["notification-controller", "kustomize-controller"] {
        site.create(controller("flux-system", name, 1)).await;
    }
    site.create(binding(&["notification-controller", "kustomize-controller"])).await;
    let run = ended(site.bootstrap(&["--secret-name", "other"])).await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(
        run.stderr.contains("Flux runs on this cluster: flux-system/kustomize-controller"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--adopt"), "{}", run.stderr);
    what_flux_needs_is_left_to_it(&site).await;
}

/// Flux and lockgate have the same kinds: a user who returns to Flux keeps them and their objects.
async fn what_flux_needs_is_left_to_it(site: &Site) {
    done(site.lockgate(&["install", "--adopt"])).await;
    let mut value: Value = serde_json::from_str(&kustomization("kept", &[])).unwrap();
    value["spec"]["suspend"] = false.into();
    site.create(value).await;
    let run = ended(site.lockgate(&["uninstall", "--purge"])).await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(
        run.stderr.contains("has the same Kustomizations: flux-system/kustomize-controller"),
        "{}",
        run.stderr
    );
    let run = done(site.lockgate(&["uninstall"])).await;
    assert!(run.stderr.contains("are left to Flux: flux-system/kustomize-controller"), "{}", run.stderr);
    let left = site.all("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations").await;
    assert_eq!((left.len(), &left[0]["spec"]["suspend"]), (1, &json!(false)));
    let deployments = site.all("apps/v1", "Deployment", "deployments").await;
    let names: Vec<&Value> = deployments.iter().map(|deployment| &deployment["metadata"]["name"]).collect();
    assert_eq!(names, ["kustomize-controller", "notification-controller"]);
}

/// A controller of Flux that acts on other kinds keeps their definitions, unless they are to be adopted; what
/// only has the name and the label of one keeps nothing.
#[tokio::test(flavor = "multi_thread")]
async fn beside_another_controller_of_flux_its_kinds_are_left_to_it() {
    let site = Site::new().await;
    for namespace in ["flux-system", "tenant"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        site.create(namespace).await;
    }
    // Anybody can do this in a namespace of his own.
    for name in ["kustomize-controller", "source-controller", "notification-controller"] {
        site.create(controller("tenant", name, 1)).await;
    }
    done(site.lockgate(&["install"])).await;
    site.create(controller("flux-system", "image-automation-controller", 1)).await;
    site.create(binding(&["image-automation-controller"])).await;
    let (theirs, alerts) =
        ("imageupdateautomations.image.toolkit.fluxcd.io", "alerts.notification.toolkit.fluxcd.io");
    let left_as_is = format!("stay unchanged: {theirs} (flux-system/image-automation-controller)\n");
    let run = done(site.lockgate(&["install"])).await;
    assert!(run.stderr.contains(&left_as_is), "{}", run.stderr);
    let run = done(site.lockgate(&["install", "--adopt"])).await;
    assert!(!run.stderr.contains("stay unchanged"), "{}", run.stderr);

    let definitions = async || {
        let all = site
            .all("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
            .await;
        let alive = all.iter().filter(|found| found["metadata"]["deletionTimestamp"].is_null());
        alive.map(|found| found["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(definitions().await.iter().any(|name| name == alerts));
    let run = done(site.lockgate(&["uninstall"])).await;
    assert!(!run.stderr.contains("left to Flux"), "a Deployment of a tenant is not Flux: {}", run.stderr);
    assert_eq!(definitions().await, [theirs]);
    let run = done(site.lockgate(&["uninstall", "--adopt"])).await;
    assert_eq!(definitions().await, Vec::<String>::new(), "{}", run.stderr);
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
    assert!(plain.stderr.contains("is sent over plain HTTP only to a loopback address"), "{}", plain.stderr);

    // If the host lists the branch, it has accepted the agent.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let by_file =
        ended(without_token(&site, &["--branch", "gone", "--token-file", file.to_str().unwrap()])).await;
    assert!(by_file.stderr.contains("'gone' does not exist"), "{}", by_file.stderr);

    let mut command = without_token(&site, &["--branch", "gone", "--token-stdin"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let arguments = std::fs::read(format!("/proc/{}/cmdline", child.id().unwrap())).unwrap();
    let environment = std::fs::read(format!("/proc/{}/environ", child.id().unwrap())).unwrap();
    for bytes in [arguments, environment] {
        assert!(!String::from_utf8_lossy(&bytes).contains(TOKEN));
    }
    child.stdin.take().unwrap().write_all(format!("{TOKEN}\n").as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("'gone' does not exist"));
}

/// S08: a program that the kubeconfig names is run, and the token is none of its business.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_the_kubeconfig_does_not_see_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "interactiveMode": "Never",
            "args": ["-c", "env >\"$SEEN\"; echo '{\"status\": {\"token\": \"t\"}}'"],
        }}}],
    });
    std::fs::write(file("kubeconfig"), kubeconfig.to_string()).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lockgate"));
    command.args(["bootstrap", "github", "o/r", "--api-url", "http://127.0.0.1:1"]);
    command.env("KUBECONFIG", file("kubeconfig")).env("SEEN", file("seen")).env("GITHUB_TOKEN", TOKEN);
    let run = ended(command).await;
    assert_eq!(run.code, 3, "{}", run.stderr);
    let seen = std::fs::read_to_string(file("seen")).unwrap();
    assert!(seen.contains("KUBERNETES_EXEC_INFO=") && !seen.contains(TOKEN), "{seen}");
}

fn without_token(site: &Site, more: &[&str]) -> tokio::process::Command {
    let mut command = site.bootstrap(more);
    command.env_remove("GITHUB_TOKEN");
    command
}
