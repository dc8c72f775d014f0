//! Whole runs: from nothing, once more, and from every step at which one was killed.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use lockgate::tested::identity_of;
use serde_json::{Value, json};

use super::site::{Agent, PATH, Site, TOKEN, config_map, done, ended, killed_at, kustomization};

fn data(secret: &Value, key: &str) -> String {
    String::from_utf8(STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap()).unwrap()
}

/// B01, B02, S08: the happy path, the same again, and no trace of the token.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_set_up_by_one_command_and_again_by_none() {
    let site = Site::new().await;
    let head = site.repo.rev_parse("main").unwrap();
    let bare = ended(site.lockgate(&["status"])).await;
    assert_eq!((bare.code, bare.stdout.as_str()), (1, ""), "{}", bare.stderr);
    assert!(bare.stderr.contains("lockgate is not installed here"), "{}", bare.stderr);
    let empty = tempfile::tempdir().unwrap();
    let mut command = site.bootstrap(&["--interval", "3s"]);
    command.current_dir(&empty).env("HOME", empty.path()).env("TMPDIR", empty.path());
    let (run, agent) = site.with_agent(command, &[]).await;
    assert_eq!(run.stdout, "", "progress belongs to standard error");
    for line in [
        "✔ preflight ",
        "path has 2 Kustomizations",
        "pinned from the API's /meta: ed25519 ecdsa rsa",
        "✔ secret      flux-system/flux-system  (created)",
        "read-only  (created)",
        "✔ agent ",
        "✔ source      foobar-infra  main@sha1:",
        "order: base → apps",
        "✔ apps ",
        "✔ done in ",
    ] {
        assert!(run.stderr.contains(line), "no {line:?} in\n{}", run.stderr);
    }

    // Before keys were named, rehearsed and pruned it were as many.
    assert_eq!(site.hub.requests().len(), 8, "{:#?}", site.hub.requests());
    let keys = site.hub.keys();
    let secrets = site.secrets().await;
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    let [secret] = secrets.as_slice() else { panic!("{secrets:?}") };
    assert!(key.read_only);
    assert_eq!(identity_of(&key.key), identity_of(&data(secret, "identity.pub")));
    assert!(data(secret, "identity").starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    assert_eq!(data(secret, "known_hosts").lines().count(), site.git.host_keys().unwrap().len());
    let uid = site.all("v1", "Namespace", "namespaces").await;
    let uid = uid.iter().find(|namespace| namespace["metadata"]["name"] == "kube-system").unwrap();
    let uid = uid["metadata"]["uid"].as_str().unwrap()[..8].to_owned();
    let title = key.title.as_str();
    assert!(title.starts_with("lockgate ") && title.ends_with(&format!(" {uid} flux-system")), "{title}");
    assert_eq!(site.repo.rev_parse("main").unwrap(), head, "something was committed");

    let before = site.versions().await;
    let asked = site.hub.requests().len();
    let again = done(site.bootstrap(&["--interval", "3s"])).await;
    assert!(again.stderr.contains("already up to date, nothing was changed"), "{}", again.stderr);
    assert!(
        !again.stderr.contains("(created)") && !again.stderr.contains("(configured)"),
        "{}",
        again.stderr
    );
    assert_eq!(site.versions().await, before);
    let requests = site.hub.requests();
    assert_eq!(requests.len() - asked, 6, "{:#?}", &requests[asked..]);
    assert!(requests[asked..].iter().all(|request| request.method == "GET"));

    assert_eq!(empty.path().read_dir().unwrap().count(), 0, "something was written to disk");
    no_trace_of_the_key(&agent, secret);
    no_trace_of_the_token(&site, &[&run.stderr, &again.stderr, &agent.log()]).await;
    status_tells_what_is_so(&site).await;
    a_commit_is_applied(&site).await;
}

/// S10: only the agent can read its files, and the private key is not in them.
fn no_trace_of_the_key(agent: &Agent, secret: &Value) {
    let identity = data(secret, "identity");
    let line = identity.lines().nth(2).unwrap();
    let state = agent.home().join("state");
    let mut pending = vec![state.clone()];
    let mut files = 0;
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            pending.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(line), "{} holds the key", path.display());
    }
    assert!(files > 0, "nothing was fetched");
    let private = state.read_dir().unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    for metadata in private {
        assert_eq!(metadata.permissions().mode() & 0o077, 0);
    }
}

async fn no_trace_of_the_token(site: &Site, texts: &[&str]) {
    for text in texts {
        assert!(!text.contains(TOKEN), "{text}");
    }
    for (api_version, kind, plural) in [
        ("v1", "Secret", "secrets"),
        ("v1", "ConfigMap", "configmaps"),
        ("v1", "Event", "events"),
        ("apps/v1", "Deployment", "deployments"),
    ] {
        for object in site.all(api_version, kind, plural).await {
            let encoded = STANDARD.encode(TOKEN);
            let text = object.to_string();
            assert!(
                !text.contains(TOKEN) && !text.contains(&encoded[..20]),
                "{kind} {}",
                object["metadata"]["name"]
            );
        }
    }
    for request in site.plane.audit_log() {
        assert!(!request.to_string().contains(TOKEN), "{request}");
    }
}

async fn status_tells_what_is_so(site: &Site) {
    let status = ended(site.lockgate(&["status"])).await;
    assert_eq!(status.code, 0, "{}{}", status.stdout, status.stderr);
    assert!(status.stdout.contains("✔ apps"), "{}", status.stdout);
    assert!(status.stdout.ends_with("3 ready.\n"), "{}", status.stdout);
    let json = ended(site.lockgate(&["status", "-A", "-o", "json"])).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["ready"], &json["rootCauses"]), (&json!(true), &json!([])));
    let nowhere = ended(site.lockgate(&["status", "--context", "nowhere"])).await;
    assert_eq!(nowhere.code, 3, "{}", nowhere.stderr);
    let mistyped = ended(site.lockgate(&["status", "-n", "flux-sytem"])).await;
    assert_eq!((mistyped.code, mistyped.stdout.as_str()), (1, ""), "{}", mistyped.stderr);
    assert!(mistyped.stderr.contains("there are some in flux-system"), "{}", mistyped.stderr);
}

async fn a_commit_is_applied(site: &Site) {
    site.repo.commit("main", "change", &[("base/cm.yaml", Some(config_map("base", "two")))]).unwrap();
    harness::eventually(super::site::LIMIT, async || {
        let maps = site.all("v1", "ConfigMap", "configmaps").await;
        let found =
            maps.iter().find(|map| map["metadata"]["name"] == "base").map(|map| map["data"]["text"].clone());
        anyhow::ensure!(found == Some(json!("two")), "{found:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// S02: the rights that are shipped are all that the agent needs for itself.
#[tokio::test(flavor = "multi_thread")]
async fn under_lockdown_the_shipped_rights_suffice() {
    let site = Site::new().await;
    let missing = ended(site.bootstrap(&["--lockdown"])).await;
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    assert!(missing.stderr.contains("--service-account"), "{}", missing.stderr);

    let deployer = json!({"spec": {"serviceAccountName": "deployer"}});
    let named = |name: &str, depends_on: &[&str]| {
        let mut value: Value = serde_json::from_str(&kustomization(name, depends_on)).unwrap();
        value["spec"]["serviceAccountName"] = deployer["spec"]["serviceAccountName"].clone();
        format!("{value}\n")
    };
    let text = format!("{}---\n{}", named("base", &[]), named("apps", &["base"]));
    site.repo.commit("main", "name accounts", &[(&format!("{PATH}/sync.yaml"), Some(text))]).unwrap();
    let subject = json!({"kind": "ServiceAccount", "name": "deployer", "namespace": "flux-system"});
    // An installation with all rights, which are to be taken back.
    done(site.lockgate(&["install"])).await;
    let nobody = ended(site.bootstrap(&["--lockdown", "--service-account", "deployer"])).await;
    assert_eq!(nobody.code, 1, "{}", nobody.stderr);
    let told = "the ServiceAccount flux-system/deployer does not exist";
    assert!(nobody.stderr.contains(told) && nobody.stderr.contains("kubectl create serviceaccount deployer"));
    site.create(json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer", "namespace": "flux-system"},
    }))
    .await;
    site.create(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "deployer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [subject],
    }))
    .await;
    let run = site.bootstrap(&["--lockdown", "--service-account", "deployer"]);
    let _running = site.with_agent(run, &["--lockdown"]).await;
    let bindings =
        site.all("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings").await;
    assert!(bindings.iter().all(|binding| binding["metadata"]["name"] != "lockgate-apply"));
    let refused: Vec<Value> = site
        .plane
        .audit_log()
        .into_iter()
        .filter(|request| request["user"]["username"] == "system:serviceaccount:flux-system:lockgate")
        .filter(|request| request.get("impersonatedUser").is_none())
        // The agent is started here as soon as its account is there, which is before its rights are.
        .skip_while(|request| request["responseStatus"]["code"] == 403)
        .filter(|request| request["responseStatus"]["code"] == 403)
        .map(|request| json!([request["verb"], request["requestURI"]]))
        // Under lockdown the agent may not watch the applied objects; it then reads them at the interval.
        .filter(|request| !["list", "watch"].contains(&request[0].as_str().unwrap()))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// A repository that was renamed is set up under its present name, and so is a cluster that knew it by the
/// earlier one.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_known_by_its_earlier_name() {
    let site = Site::new().await;
    site.hub.add_earlier_name("barolab/infra", "barolab/foobar-infra");
    let (api, host) = (site.hub.url(), format!("{}@{}", site.git.user(), site.git.address()));
    let bootstrap = || {
        let flags = ["--path", PATH, "--api-url", &api, "--ssh-host", &host];
        let mut command = site.lockgate(&[&["bootstrap", "github", "barolab/infra"][..], &flags].concat());
        command.env("GITHUB_TOKEN", TOKEN);
        command
    };
    let url_of = |name: &str| format!("ssh://{host}/{name}");
    let urls = async || {
        let all = site.all("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories").await;
        all.into_iter().map(|source| source["spec"]["url"].clone()).collect::<Vec<_>>()
    };
    let (run, _agent) = site.with_agent(bootstrap(), &[]).await;
    assert!(run.stderr.contains("the repository is now called barolab/foobar-infra"), "{}", run.stderr);
    assert_eq!(urls().await, [url_of("barolab/foobar-infra")]);
    let keys = site.hub.keys();
    assert!(keys.len() == 1 && keys[0].repo == "barolab/foobar-infra", "{keys:?}");
    let again = ended(bootstrap()).await;
    assert!(again.code == 0 && again.stderr.contains("nothing was changed"), "{}", again.stderr);

    let patch = Patch::Merge(json!({"spec": {"url": url_of("barolab/infra")}}));
    let gvk = GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", "GitRepository");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "gitrepositories");
    let client = site.plane.client().await.unwrap();
    let sources: Api<DynamicObject> = Api::namespaced_with(client, "flux-system", &resource);
    sources.patch("foobar-infra", &PatchParams::default(), &patch).await.unwrap();
    done(bootstrap()).await;
    assert_eq!(urls().await, [url_of("barolab/foobar-infra")]);
}

/// B05: two clusters, one repository, one folder.
#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_keep_a_key_each() {
    let first = Site::new().await;
    let second = harness::ControlPlane::start(harness::Options::default()).await.unwrap();
    let run = killed_at(first.bootstrap(&[]), "✔ deploy key ").await;
    assert!(run);
    let mut other = first.bootstrap(&[]);
    other.env("KUBECONFIG", second.admin_kubeconfig());
    assert!(killed_at(other, "✔ deploy key ").await);
    let keys = first.hub.keys();
    let [one, two] = keys.as_slice() else { panic!("{keys:?}") };
    assert!(one.key != two.key && one.title != two.title, "{keys:?}");
}
/// Flags are remembered: without flags nothing changes, and given flags win and are reported.
#[tokio::test(flavor = "multi_thread")]
async fn flags_are_remembered_and_what_overrides_them_is_told() {
    let site = Site::new().await;
    let (host, api) = (format!("{}@{}", site.git.user(), site.git.address()), site.hub.url());
    let plain = |more: &[&str]| {
        let arguments = [&["bootstrap", "github", "barolab/foobar-infra", "--api-url", &api], more].concat();
        let mut command = site.lockgate(&arguments);
        command.env("GITHUB_TOKEN", TOKEN);
        command
    };
    let flags = [
        "--path",
        PATH,
        "--ssh-host",
        &host,
        "--image",
        "registry.test/lockgate:1",
        "--secret-name",
        "key",
        "--interval",
        "7m",
        "--cluster-name",
        "eu-west9",
        "--adopt",
    ];
    let (_, _agent) = site.with_agent(plain(&flags), &["--adopt"]).await;
    let before = site.versions().await;
    let again = done(plain(&[])).await;
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
    assert!(again.stderr.contains("--image registry.test/lockgate:1"), "{}", again.stderr);
    assert_eq!(site.versions().await, before);
    let installed = done(site.lockgate(&["install"])).await;
    assert!(installed.stderr.contains("nothing was changed"), "{}", installed.stderr);

    let run = done(plain(&["--image", "registry.test/lockgate:2", "--adopt=false"])).await;
    let told = "--adopt false (was true), --image registry.test/lockgate:2 (was registry.test/lockgate:1)";
    assert!(run.stderr.contains(&format!("changed flags: {told}")), "{}", run.stderr);
    let deployments = site.all("apps/v1", "Deployment", "deployments").await;
    let container = &deployments[0]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.test/lockgate:2");
    assert!(!container["args"].to_string().contains("--adopt"), "{container}");
    let sources = site.all("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories").await;
    let kept = sources[0]["metadata"]["annotations"]["lockgate.dev/flags"].as_str().unwrap();
    let kept: Value = serde_json::from_str(kept).unwrap();
    assert_eq!((&kept["interval"], &kept["cluster-name"]), (&json!("7m"), &json!("eu-west9")), "{kept}");

    // Where the token goes is for the user alone to say.
    let mut command = site.lockgate(&["bootstrap", "github", "barolab/foobar-infra"]);
    command.env("GITHUB_TOKEN", TOKEN);
    let run = ended(command).await;
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("was set up with --api-url {api}")), "{}", run.stderr);
}

/// A sync that Git holds stays as Git has it, and yet remembers the flags: nobody takes them off again.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_git_holds_remembers_the_flags() {
    let site = Site::new().await;
    let url = format!("ssh://{}@{}/barolab/foobar-infra", site.git.user(), site.git.address());
    let metadata = json!({"name": "foobar-infra", "namespace": "flux-system"});
    let source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": metadata,
        "spec": {"interval": "3s", "url": url, "ref": {"branch": "main"}, "secretRef": {"name": "flux-system"}},
    });
    let root = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata,
        "spec": {
            "interval": "10m", "path": format!("./{PATH}"), "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "foobar-infra"},
        },
    });
    let text = format!("{source}\n---\n{root}\n");
    site.repo.commit("main", "hold the sync", &[(&format!("{PATH}/gotk-sync.yaml"), Some(text))]).unwrap();
    let named = |name: &'static str| ["--name", "foobar-infra", "--cluster-name", name];
    let (_, _agent) = site.with_agent(site.bootstrap(&named("eu-west9")), &[]).await;
    let live = async || {
        let all = site.all("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories").await;
        all.into_iter().find(|source| source["metadata"]["name"] == "foobar-infra").unwrap()
    };
    let remembers = async |name: &str| {
        let source = live().await;
        assert_eq!(source["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"], "foobar-infra");
        assert_eq!(source["spec"]["interval"], "3s", "it is as Git has it");
        let flags = source["metadata"]["annotations"]["lockgate.dev/flags"].as_str().unwrap().to_owned();
        let flags: Value = serde_json::from_str(&flags).unwrap();
        assert_eq!(flags["cluster-name"], name);
        source["metadata"]["generation"].clone()
    };
    let generation = remembers("eu-west9").await;
    let again = done(site.bootstrap(&[])).await;
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
    assert!(again.stderr.contains("--cluster-name eu-west9"), "{}", again.stderr);
    done(site.bootstrap(&named("eu-west10"))).await;
    a_commit_is_applied(&site).await;
    assert_eq!(remembers("eu-west10").await, generation, "somebody has fought over it");
}
