//! `lockgate diff` without a cluster.

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

pub(super) fn git(folder: &Path, arguments: &[&str]) {
    let settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").current_dir(folder).args(settings).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(super) fn write(folder: &Path, path: &str, text: &str) {
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
    // Without --to, the working tree is compared.
    write(root, "apps/web.yaml", &DEPLOYMENT.replace("TAG", "3"));
    let run = lockgate(root, &["diff", "--from", "HEAD", "cluster", "-o", "name"], "");
    assert_eq!((run.code, run.stdout.as_str()), (1, "deployment/shop/web\n"));
}

/// Colours are for terminals, unless the user has disabled them.
#[test]
fn colours_are_for_a_terminal() {
    let repository = repository();
    let drawn = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
        command.current_dir(repository.path()).args(["diff", "--from", "HEAD~1", "--to", "HEAD", "cluster"]);
        command.env("TERM", "xterm").env_remove("NO_COLOR").envs(variables.iter().copied());
        let (status, drawn) = harness::on_terminal(command).unwrap();
        assert_eq!(status.code(), Some(1), "{drawn}");
        drawn
    };
    let coloured = drawn(&[]);
    for part in [
        "\x1b[33m~ Deployment/shop/web\x1b[0m",
        "\x1b[31m-           image: web:1\x1b[0m",
        "\x1b[32m+           image: web:2\x1b[0m",
    ] {
        assert!(coloured.contains(part), "{part:?}: {coloured:?}");
    }
    for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let plain = drawn(&variables);
        assert!(plain.contains("~ Deployment/shop/web") && !plain.contains('\x1b'), "{plain:?}");
    }
    assert!(drawn(&[("NO_COLOR", "")]).contains('\x1b'), "an empty NO_COLOR says nothing");
}

/// A repository in whose working tree objects and Kustomizations are dropped that prune, or do not.
fn dropping(disabled: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    git(root, &["init", "-q"]);
    let kustomization =
        |name: &str, more: &str| KUSTOMIZATION.replace("NAME", name).replace("prune: true", more);
    let map = |name: &str, annotation: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop, annotations: {{{annotation}}}}}\n"
        )
    };
    for (path, text) in [
        ("cluster/kept.yaml", kustomization("kept", "prune: false")),
        ("cluster/pruned.yaml", kustomization("pruned", "prune: true")),
        ("cluster/orphaned.yaml", kustomization("orphaned", "prune: true, deletionPolicy: Orphan")),
        (
            "cluster/stays.yaml",
            kustomization("stays", "prune: true").replace(
                "namespace: flux-system}",
                &format!("namespace: flux-system, annotations: {{{disabled}}}}}"),
            ),
        ),
        ("kept/a.yaml", map("kept", "")),
        ("kept/b.yaml", map("other", "")),
        ("pruned/a.yaml", map("gone", "")),
        ("pruned/b.yaml", map("marked", disabled)),
        ("pruned/c.yaml", map("moved", "")),
        ("orphaned/a.yaml", map("orphan", "")),
        ("stays/a.yaml", map("below", "")),
        ("cluster/cluster.yaml", kustomization("cluster", "prune: true")),
        (
            "cluster/kustomization.yaml",
            "resources: [cluster.yaml, kept.yaml, pruned.yaml, orphaned.yaml, stays.yaml]\n".into(),
        ),
    ] {
        write(root, path, &text);
    }
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "one"]);
    for path in ["kept/a.yaml", "pruned/a.yaml", "pruned/b.yaml"] {
        fs::remove_file(root.join(path)).unwrap();
    }
    fs::rename(root.join("pruned/c.yaml"), root.join("kept/c.yaml")).unwrap();
    write(root, "pruned/d.yaml", &map("last", ""));
    write(root, "cluster/kustomization.yaml", "resources: [cluster.yaml, kept.yaml, pruned.yaml]\n");
    folder
}

/// A dropped object is deleted if its Kustomization prunes and nobody else takes it over, as by the agent.
#[test]
fn what_is_dropped_between_two_commits_goes_only_where_it_is_pruned() {
    let disabled = "kustomize.toolkit.fluxcd.io/prune: disabled";
    let folder = dropping(disabled);
    let root = folder.path();
    let run = lockgate(root, &["diff", "--from", "HEAD", "cluster"], "");
    let lines: Vec<&str> = run.stdout.lines().map(|line| line.split("  HEAD (").next().unwrap()).collect();
    let let_go =
        "it is no longer managed and not deleted, because of spec.prune or of the object's own policy";
    let expected = format!(
        "\
Kustomization/flux-system/cluster
- Kustomization/flux-system/orphaned (pruned)
= Kustomization/flux-system/stays: kept: {disabled}
cluster: 1 pruned, 1 kept
Kustomization/flux-system/kept
+ ConfigMap/shop/moved
= ConfigMap/shop/kept: kept: {let_go}
kept: 1 created, 1 kept
Kustomization/flux-system/pruned
+ ConfigMap/shop/last
- ConfigMap/shop/gone (pruned)
= ConfigMap/shop/marked: kept: {disabled}
= ConfigMap/shop/moved: kept: Kustomization/flux-system/kept manages it, or objects that would be deleted \
with it
pruned: 1 created, 1 pruned, 2 kept
Kustomization/flux-system/orphaned
= ConfigMap/shop/orphan: kept: {let_go}
orphaned: 1 kept
Kustomization/flux-system/stays
= ConfigMap/shop/below: kept: {let_go}
stays: 1 kept"
    );
    assert_eq!((run.code, lines.join("\n").as_str(), run.stderr.as_str()), (1, expected.as_str(), ""));
}

/// A release of Kubernetes that serves a version no more.
#[test]
fn versions_that_a_release_has_taken_away_are_warned_of() {
    let repository = repository();
    let root = repository.path();
    let budget =
        "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: b, namespace: shop}\n";
    write(root, "apps/budget.yaml", budget);
    let warned = |version: &str| {
        lockgate(root, &["diff", "--from", "HEAD", "cluster", "--kube-version", version], "").stderr
    };
    assert_eq!(
        warned("1.25"),
        "! PodDisruptionBudget/shop/b: policy/v1beta1 is gone since Kubernetes 1.25, use policy/v1\n"
    );
    assert_eq!(warned("1.24"), "");
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
        (&["diff"][..], 2, "nothing to compare is named"),
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
        run.code == 3 && run.stderr.contains("the API server cannot be reached"),
        "{} {}",
        run.code,
        run.stderr
    );
}
