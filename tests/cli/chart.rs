//! `lockgate build --chart`: a chart by itself, and for a HelmRelease.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Ended, lockgate};

const RELEASE: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: web, namespace: apps}
spec:
  interval: 1m
  chart: {spec: {chart: demo, valuesFiles: [values.yaml, values-prod.yaml], sourceRef: {kind: HelmRepository, name: r}}}
  targetNamespace: shop
  values: {replicas: 3}
  valuesFrom:
    - {kind: ConfigMap, name: settings}
    - {kind: Secret, name: token, valuesKey: t, targetPath: token}
    - {kind: Secret, name: nosuch, optional: true}
  commonMetadata: {labels: {team: a}}
  postRenderers:
    - kustomize: {images: [{name: nginx, newTag: '9'}]}
";
const SOURCES: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: apps}
data: {values.yaml: 'image: nginx:8'}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: apps}
data: {t: czNjcjN0}
";

fn chart() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let template = "apiVersion: v1\nkind: Pod\nmetadata: {name: '{{ .Release.Name }}', namespace: {{ .Release.Namespace }}}\n\
                    spec: {containers: [{name: a, image: '{{ .Values.image }}', args: ['{{ .Values.replicas }}', '{{ .Values.level \
                    }}', '{{ .Values.token }}']}]}\n";
    for (path, text) in [
        ("demo/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.0.0\n"),
        ("demo/values.yaml", "image: nginx:1\nlevel: default\nreplicas: 1\ntoken: none\n"),
        ("demo/values-prod.yaml", "level: prod\n"),
        ("demo/templates/pod.yaml", template),
        (
            "demo/templates/hook.yaml",
            "kind: Job # a comment\nmetadata:\n  name: h\n  annotations: {helm.sh/hook: test}\n",
        ),
        ("release.yaml", RELEASE),
        ("sources.yaml", SOURCES),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn build(folder: &Path, flags: &[&str]) -> Ended {
    lockgate(folder, &[&["build", "--chart", "demo"], flags].concat(), "")
}

#[test]
fn a_chart_is_printed_in_our_form_or_in_helms() {
    let folder = chart();
    let flags = ["--set", "replicas=2", "-f", "-", "-n", "other", "web"];
    let ended =
        lockgate(folder.path(), &[&["build", "--chart", "demo"], &flags[..]].concat(), "level: given\n");
    let pod = "# Source: demo/templates/pod.yaml\napiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  namespace: \
               other\nspec:\n  containers:\n  - name: a\n    image: nginx:1\n    args:\n    - '2'\n    - given\n    - \
               none\n";
    let hook = "---\n# Source: demo/templates/hook.yaml\nkind: Job\nmetadata:\n  name: h\n  annotations:\n    \
                helm.sh/hook: test\n";
    assert_eq!((ended.code, &*ended.stderr), (0, ""));
    assert_eq!(ended.stdout.replace('"', "'"), format!("{pod}{hook}"));
    let ended = build(
        folder.path(),
        &["--helm-output", "--skip-tests", "--release", "web", "--set-string", "level=x"],
    );
    assert!(
        ended.stdout.starts_with("---\n# Source: demo/templates/pod.yaml\napiVersion: v1\n"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.ends_with("args: ['1', 'x', 'none']}]}\n"), "{}", ended.stdout);
    let ended = build(folder.path(), &["--helm-output", "-s", "templates/hook.yaml"]);
    assert!(ended.stdout.starts_with("---\n# Source: demo/templates/hook.yaml\nkind: Job # a comment\n"));
}

#[test]
fn a_helm_release_brings_its_values_its_names_and_what_is_done_afterwards() {
    let folder = chart();
    let flags = ["--helmrelease", "release.yaml", "--substitute-from", "sources.yaml"];
    let ended = build(folder.path(), &flags);
    assert_eq!((ended.code, &*ended.stderr), (0, ""));
    let expected = [
        "  name: shop-web\n",
        "  namespace: shop\n",
        "    helm.toolkit.fluxcd.io/name: web\n",
        "    helm.toolkit.fluxcd.io/namespace: apps\n",
        "    team: a\n",
        "image: nginx:9\n",
        "    - prod\n",
        "    - s3cr3t\n",
    ];
    for part in expected {
        assert!(ended.stdout.contains(part), "{part} is missing in {}", ended.stdout);
    }
    let ended = build(folder.path(), &flags[..2]);
    let message = "could not resolve ConfigMap chart values reference 'apps/settings' with key 'values.yaml': configmaps \
                   \"settings\" not found";
    assert_eq!((ended.code, ended.stderr.contains(message)), (1, true), "{}", ended.stderr);
}

#[test]
fn what_is_wrong_is_told() {
    let folder = chart();
    fs::write(folder.path().join("demo/templates/bad.yaml"), "a: {{ .Values.nosuch.x }}\n").unwrap();
    let ended = build(folder.path(), &[]);
    let message = "demo/templates/bad.yaml:1:13\n  executing \"demo/templates/bad.yaml\" at <.Values.nosuch.x>:\n    nil \
                   pointer evaluating interface {}.x";
    assert_eq!((ended.code, ended.stderr.contains(message)), (1, true), "{}", ended.stderr);
    fs::write(folder.path().join("demo/templates/bad.yaml"), "a: 1\nb: [\n").unwrap();
    let ended = build(folder.path(), &[]);
    let prefix = "YAML parse error on demo/templates/bad.yaml: error converting YAML to JSON: yaml: line ";
    assert_eq!((ended.code, ended.stderr.contains(prefix)), (1, true), "{}", ended.stderr);
    for (flags, message) in [
        (&["--recursive"][..], "a chart is built alone"),
        (&["--release", "a", "b"], "the release has two names"),
        (&["--kube-version", "x"], "invalid kube version 'x': could not parse \"x\" as version"),
        (&["--helmrelease", "sources.yaml"], "sources.yaml holds 0 HelmReleases, not one"),
    ] {
        let ended = build(folder.path(), flags);
        assert_eq!((ended.code, ended.stderr.contains(message)), (2, true), "{flags:?} {}", ended.stderr);
    }
    let ended = lockgate(folder.path(), &["build", "--set-string", "a=b"], "");
    assert_eq!((ended.code, ended.stderr.contains("--chart")), (2, true), "{}", ended.stderr);
}
