//! `lockgate diff` of input that cannot be compared, by users with few rights, and from a working tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::diff::diff;
use super::stage::{Stage, config_map, stage};

fn run(kubeconfig: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = diff(kubeconfig, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A ServiceAccount of the stage that may read everything, and may send dry runs of these resources.
async fn reader(stage: &Stage<'_>, name: &str, resources: &[&str]) -> PathBuf {
    let namespace = &stage.namespace;
    let role = format!("{name}-{namespace}");
    let rbac = "rbac.authorization.k8s.io/v1";
    let objects = [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}),
        json!({"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": role}, "rules": [
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": resources, "verbs": ["create", "patch"]}]}),
        json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": role},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
               "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]}),
    ];
    for object in objects {
        stage.apply(object).await.unwrap();
    }
    stage.plane.service_account_kubeconfig(namespace, name).await.unwrap()
}

fn secret(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"a": "b"}})
        .to_string()
}

/// The rights to read and to make dry runs are enough. No request of the account writes, as the audit log
/// shows. A missing right is named, and everything else is shown. No agent runs.
#[tokio::test]
async fn whoever_may_read_may_compare_and_writes_nothing() {
    let files = [("apps/a.yaml", &*config_map("a", "1")), ("apps/s.yaml", &*secret("s"))];
    let stage = stage("compared", &files).await;
    stage.kustomization("apps", json!({})).await;
    let (one, all) = (["--kustomization", "apps", "-n", &stage.namespace], ["-A", "-o", "name"]);
    let both = reader(&stage, "both", &["configmaps", "secrets"]).await;
    let namespace = &stage.namespace;
    let head = stage.repo.rev_parse("main").unwrap();
    harness::eventually(super::stage::PATIENCE, async || {
        let (code, stdout, stderr) = run(&both, &one);
        anyhow::ensure!(code == 1, "the new role is not known yet: {code} {stdout} {stderr}");
        assert_eq!(
            stdout,
            format!(
                "Kustomization/{namespace}/apps  main@sha1:{head}\n+ ConfigMap/{namespace}/a\n+ Secret/{namespace}/s\n\
                 apps: 2 created\n"
            )
        );
        Ok(())
    })
    .await
    .unwrap();
    assert!(run(&both, &all).1.contains(&format!("configmap/{namespace}/a\nsecret/{namespace}/s\n")));
    let user = format!("system:serviceaccount:{namespace}:both");
    let log = stage.plane.audit_log();
    let mut own = log.iter().filter(|request| request["user"]["username"] == user.as_str()).peekable();
    assert!(own.peek().is_some());
    for request in own {
        let is_read = ["get", "list"].iter().any(|verb| request["verb"] == *verb);
        let is_dry = request["requestURI"].as_str().is_some_and(|path| path.contains("dryRun=All"));
        assert!(is_read || is_dry, "{request:#}");
    }

    let some = reader(&stage, "some", &["configmaps"]).await;
    let (code, stdout, _) = run(&some, &one);
    assert_eq!(code, 4, "{stdout}");
    assert!(stdout.contains(&format!("! Secret/{namespace}/s: refused: ")), "{stdout}");
    assert!(stdout.contains("patch") && stdout.contains("secrets") && stdout.contains("grant"), "{stdout}");
    assert!(
        stdout.contains(&format!("+ ConfigMap/{namespace}/a (only after the refusals are corrected)")),
        "{stdout}"
    );
    let none = stage.plane.user_kubeconfig("nobody", &[]).unwrap();
    let (code, _, stderr) = run(&none, &one);
    assert!(code == 4 && stderr.contains("may not list kustomizations"), "{code} {stderr}");
}

/// A repository in a folder.
fn tree(files: &[(&str, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The Kustomization of the folder with its name.
fn manifest(stage: &Stage<'_>, name: &str, spec: &Value) -> String {
    let mut all = json!({"interval": "10m", "prune": true, "path": format!("./{name}"),
                         "sourceRef": {"kind": "GitRepository", "name": "repo"}, "targetNamespace": stage.namespace});
    json_patch::merge(&mut all, spec);
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "spec": all,
           "metadata": {"name": name, "namespace": stage.namespace}})
    .to_string()
}

/// A working tree of one Kustomization, given as the folder of its path, as the root, and as the file of a
/// new one.
#[tokio::test]
async fn a_working_tree_is_compared() {
    let stage = stage("tree", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let agent = stage.agent().await;
    stage.kustomization("apps", json!({})).await;
    stage.ready("apps").await;
    drop(agent);
    let new = manifest(&stage, "new", &json!({}));
    let tree = tree(&[
        ("apps/a.yaml", config_map("a", "2")),
        ("new/b.yaml", config_map("b", "1")),
        ("new.yaml", new),
    ]);
    let root = tree.path().to_str().unwrap();
    let admin = stage.plane.admin_kubeconfig();
    let namespace = &stage.namespace;
    let expected = format!(
        "Kustomization/{namespace}/apps  working tree\n~ ConfigMap/{namespace}/a\n    data:\n-     value: '1'\n\
         +     value: '2'\napps: 1 configured\n"
    );
    let expected = expected.replace('\'', "\"");
    for path in [root.to_owned(), format!("{root}/apps")] {
        let (code, stdout, stderr) =
            run(&admin, &["--kustomization", "apps", "-n", namespace, "--path", &path]);
        assert_eq!((code, stdout.as_str()), (1, expected.as_str()), "{stderr}");
    }
    let file = format!("{root}/new.yaml");
    let (code, stdout, stderr) = run(&admin, &["--kustomization", &file, "--path", root]);
    assert!(code == 1 && stdout.contains(&format!("+ ConfigMap/{namespace}/b\n")), "{stdout} {stderr}");
    let (code, _, stderr) = run(&admin, &["--kustomization", "nowhere", "-n", namespace]);
    assert!(
        code == 2 && stderr.contains(&format!("there is no Kustomization/{namespace}/nowhere")),
        "{stderr}"
    );
    let (code, stdout, _) =
        run(&admin, &["--kustomization", "apps", "-n", namespace, "--path", "/nonexistent"]);
    assert!(code == 2 && stdout.is_empty());
    // A reader may stop reading. The pipe has no reader from the first, since `diff` may be quick.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(["diff", "--kustomization", "apps", "-n", namespace, "--path", root])
        .env("KUBECONFIG", &admin)
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {stderr}", output.status);
    assert_eq!(stderr, "");
}

/// A whole folder: objects that it adds exist for the later ones, a removed Kustomization takes its objects
/// along, and a kind that nobody defines is named.
#[tokio::test]
async fn a_platform_folder_is_compared_whole() {
    let stage = stage("folder", &[]).await;
    let namespace = stage.namespace.clone();
    let (root, old) =
        (manifest(&stage, "cluster", &json!({"targetNamespace": null})), manifest(&stage, "old", &json!({})));
    stage.push(&[
        ("cluster/sync.yaml", &root),
        ("cluster/old.yaml", &old),
        ("old/a.yaml", &config_map("a", "1")),
        ("old/b.yaml", &config_map("b", "1")),
    ]);
    let agent = stage.agent().await;
    stage.apply(serde_json::from_str(&root).unwrap()).await.unwrap();
    stage.ready("cluster").await;
    stage.ready("old").await;
    drop(agent);
    let extra = format!("{namespace}-more");
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": extra}}).to_string();
    let depends = json!({"dependsOn": [{"name": "base"}], "targetNamespace": extra});
    let strange =
        json!({"apiVersion": "nobody.example.com/v1", "kind": "Strange", "metadata": {"name": "s"}});
    let tree = tree(&[
        ("cluster/sync.yaml", root),
        ("cluster/apps.yaml", manifest(&stage, "apps", &depends)),
        ("cluster/base.yaml", manifest(&stage, "base", &json!({"targetNamespace": null}))),
        ("base/ns.yaml", space),
        ("apps/c.yaml", config_map("c", "1")),
    ]);
    let folder = tree.path().join("cluster");
    let admin = stage.plane.admin_kubeconfig();
    let (code, stdout, stderr) = run(&admin, &[folder.to_str().unwrap()]);
    let heading = |name: &str| format!("Kustomization/{namespace}/{name}  working tree\n");
    let expected = format!(
        "{}+ Kustomization/{namespace}/apps\n+ Kustomization/{namespace}/base\n\
         - Kustomization/{namespace}/old (pruned, with its 2 objects)\ncluster: 2 created, 1 pruned\n\
         {}+ Namespace/{extra}\nbase: 1 created\n{}+ ConfigMap/{extra}/c\napps: 1 created\n",
        heading("cluster"),
        heading("base"),
        heading("apps"),
    );
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (1, expected.as_str(), ""));
    fs::write(tree.path().join("base/strange.yaml"), strange.to_string()).unwrap();
    fs::write(tree.path().join("apps/broken.yaml"), "a: [").unwrap();
    let (code, stdout, stderr) = run(&admin, &[folder.to_str().unwrap(), "-o", "markdown"]);
    assert_eq!(code, 2, "{stdout} {stderr}");
    assert!(
        stdout.contains("! Strange/s: refused: dry-run failed: no matches for kind \"Strange\""),
        "{stdout}"
    );
    assert!(stdout.contains("> **Error**: ") && stdout.contains("<details open>"), "{stdout}");
    assert!(stderr.contains("✗ Kustomization/") && stderr.contains("apps/broken.yaml"), "{stderr}");
}

/// A Kustomization that names an account is compared as that account if the user may impersonate it, and
/// otherwise as the user.
#[tokio::test]
async fn the_account_of_a_kustomization_decides() {
    let stage = stage("account", &[("apps/a.yaml", &config_map("a", "1"))]).await;
    let namespace = &stage.namespace;
    let tenant = json!({"apiVersion": "v1", "kind": "ServiceAccount",
                        "metadata": {"name": "tenant", "namespace": namespace}});
    stage.apply(tenant).await.unwrap();
    stage.kustomization("apps", json!({"serviceAccountName": "tenant"})).await;
    let one = ["--kustomization", "apps", "-n", namespace];
    let (code, stdout, stderr) = run(&stage.plane.admin_kubeconfig(), &one);
    let account = format!("system:serviceaccount:{namespace}:tenant");
    assert!(code == 4 && stdout.contains(&account), "{code} {stdout} {stderr}");
    let people = reader(&stage, "people", &["configmaps"]).await;
    harness::eventually(super::stage::PATIENCE, async || {
        let (code, stdout, stderr) = run(&people, &one);
        anyhow::ensure!(code == 1, "the new role is not known yet: {code} {stdout} {stderr}");
        assert!(stdout.contains("since you may not impersonate the ServiceAccount tenant"), "{stdout}");
        assert!(stdout.contains(&format!("+ ConfigMap/{namespace}/a\n")), "{stdout}");
        Ok(())
    })
    .await
    .unwrap();
}
