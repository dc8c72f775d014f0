//! `lockgate diff` where there is no cluster.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::lockgate;

const KUSTOMIZATION: &str = "\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: NAME, namespace: flux-system}
spec: {interval: 1m, prune: true, path: ./NAME, sourceRef: {kind: GitRepository, name: infra}}
";
const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template: {spec: {containers: [{name: log, image: 'l:1'}, {name: web, image: 'web:TAG'}]}}
";
const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: shop}
stringData: {kept: canary-kept, changed: canary-VALUE}
";

fn git(folder: &Path, arguments: &[&str]) {
    let settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").current_dir(folder).args(settings).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A repository of two commits: of two Kustomizations one goes and one comes, and `apps` changes.
fn repository() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    git(root, &["init", "-q"]);
    let kustomization = |name: &str| KUSTOMIZATION.replace("NAME", name);
    let map = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\n")
    };
    for (path, text) in [
        ("cluster/apps.yaml", kustomization("apps")),
        ("cluster/old.yaml", kustomization("old")),
        ("apps/web.yaml", DEPLOYMENT.replace("TAG", "1")),
        ("apps/secret.yaml", SECRET.replace("VALUE", "one")),
        ("apps/gone.yaml", map("gone")),
        ("old/map.yaml", map("old")),
    ] {
        write(root, path, &text);
    }
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "one"]);
    for path in ["cluster/old.yaml", "apps/gone.yaml"] {
        fs::remove_file(root.join(path)).unwrap();
    }
    for (path, text) in [
        ("cluster/new.yaml", kustomization("new")),
        ("apps/web.yaml", DEPLOYMENT.replace("TAG", "2")),
        ("apps/secret.yaml", SECRET.replace("VALUE", "two")),
        ("new/map.yaml", map("new")),
    ] {
        write(root, path, &text);
    }
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "two"]);
    folder
}

#[test]
fn two_commits_are_compared() {
    let repository = repository();
    let root = repository.path();
    let run = lockgate(root, &["diff", "--from", "HEAD~1", "--to", "HEAD", "cluster"], "");
    // The names of commits change from one run to the next.
    let lines: Vec<&str> = run.stdout.lines().map(|line| line.split("  HEAD~1 (").next().unwrap()).collect();
    let expected = "\
cluster
+ Kustomization/flux-system/new
- Kustomization/flux-system/old (pruned)
cluster: 1 created, 1 pruned
Kustomization/flux-system/apps
~ Secret/shop/s
    stringData:
-     changed: '***'
+     changed: '*** (different)'
      kept: '*** (same)'
~ Deployment/shop/web
    spec:
      template:
        spec:
          containers:
          - name: web
-           image: web:1
+           image: web:2
- ConfigMap/shop/gone (pruned)
apps: 2 configured, 1 pruned
Kustomization/flux-system/new
+ ConfigMap/shop/new
new: 1 created
Kustomization/flux-system/old
- ConfigMap/shop/old (pruned)
old: 1 pruned";
    assert_eq!((run.code, lines.join("\n").as_str(), run.stderr.as_str()), (1, expected, ""));
    assert!(!run.stdout.contains("canary") && !run.stdout.contains('\x1b'));
    let run = lockgate(root, &["diff", "--from", "HEAD", "cluster"], "");
    assert_eq!((run.code, run.stdout.as_str()), (0, "cluster: no change\napps: no change\nnew: no change\n"));
    // The working tree is what is compared without --to.
    write(root, "apps/web.yaml", &DEPLOYMENT.replace("TAG", "3"));
    let run = lockgate(root, &["diff", "--from", "HEAD", "cluster", "-o", "name"], "");
    assert_eq!((run.code, run.stdout.as_str()), (1, "deployment/shop/web\n"));
}

#[test]
fn a_comparison_is_printed_for_programs_and_for_pull_requests() {
    let repository = repository();
    let root = repository.path();
    let run = lockgate(root, &["diff", "--from", "HEAD~1", "--to", "HEAD", "cluster", "-o", "json"], "");
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &value["differs"]), (1, &Value::Bool(true)));
    let apps = value["kustomizations"].as_array().unwrap().iter().find(|one| one["name"] == "apps").unwrap();
    assert_eq!(apps["summary"]["configured"], 2);
    let web = apps["objects"].as_array().unwrap().iter().find(|object| object["name"] == "web").unwrap();
    let field = serde_json::json!({
        "path": "spec.template.spec.containers[name=web].image", "before": "web:1", "after": "web:2"});
    assert_eq!((&web["fields"][0], &web["file"]), (&field, &Value::from("apps/web.yaml")));
    let run = lockgate(root, &["diff", "--from", "HEAD~1", "--to", "HEAD", "cluster", "-o", "markdown"], "");
    for part in [
        "### lockgate diff\n",
        "<details open>\n<summary><code>Kustomization/flux-system/new</code>",
        "```diff\n+ ConfigMap/shop/new\n+   apiVersion: v1\n",
        "-           image: web:1\n+           image: web:2\n",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(!run.stdout.contains("canary"), "{}", run.stdout);
}

#[test]
fn what_cannot_be_compared_is_named() {
    let repository = repository();
    let root = repository.path();
    for (arguments, code, told) in [
        (&["diff"][..], 2, "say what to compare"),
        (&["diff", "-A"], 3, "KUBECONFIG"),
        (&["diff", "--kustomization", "apps"], 3, "--kubeconfig"),
        (&["diff", "--from", "nowhere", "cluster"], 2, "'nowhere' names no commit here"),
        (&["diff", "--from", "HEAD", "--to", "HEAD", "none"], 2, "none does not exist"),
        (&["diff", "-A", "cluster"], 2, "cannot be used with"),
        (&["diff", "--path", "."], 2, "--kustomization"),
    ] {
        let run = lockgate(root, arguments, "");
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{arguments:?} {}", run.stderr);
        assert!(run.stderr.contains(told), "{arguments:?} {}", run.stderr);
    }
    write(root, "apps/broken.yaml", "a: [");
    let run = lockgate(root, &["diff", "--from", "HEAD", "cluster"], "");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("the working tree: Kustomization/flux-system/apps"), "{}", run.stderr);
    // A server that is not there.
    let config = root.join("kubeconfig");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n\
                clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: a, user: {}}]\n";
    fs::write(&config, text).unwrap();
    let run = lockgate(root, &["diff", "-A", "--kubeconfig", config.to_str().unwrap()], "");
    assert!(
        run.code == 3 && run.stderr.contains("the API server cannot be asked"),
        "{} {}",
        run.code,
        run.stderr
    );
}
