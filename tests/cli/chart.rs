//! `lockgate build --chart`: a chart by itself, and for a HelmRelease.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::lockgate;

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
        ("demo/templates/hook.yaml", "kind: Job # a comment\nmetadata:\n  name: h\n  annotations: {helm.sh/hook: test}\n"),
        ("release.yaml", RELEASE),
        ("sources.yaml", SOURCES),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn build(folder: &Path, flags: &[&str]) -> super::Ended {
    lockgate().args(["build", "--chart", "demo"]).args(flags).current_dir(folder).ended()
}
