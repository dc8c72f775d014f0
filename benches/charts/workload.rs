//! The charts that the benchmark renders, generated so that each has the size that its figure is about.

use std::fmt::Write as _;

/// A chart.
pub(crate) struct Workload {
    /// The name in the table.
    pub(crate) title: &'static str,
    /// The number of templates that print documents.
    pub(crate) templates: usize,
    /// Paths and contents.
    pub(crate) files: Vec<(String, String)>,
}

/// The library chart: 45 definitions, as such libraries have them.
const LIBRARY: [(&str, &str); 3] = [
    ("names", include_str!("library/names.tpl")),
    ("objects", include_str!("library/objects.tpl")),
    ("pods", include_str!("library/pods.tpl")),
];

/// The values that the components of a chart share.
const VALUES: &str = r#"image: {registry: ghcr.io, repository: example/app}
pullSecrets: [registry]
commonLabels: {team: platform, tier: backend}
commonAnnotations: {example.com/contact: '{{ .Release.Name }}@example.com'}
env: {LOG_LEVEL: info, release.name: '{{ .Release.Name }}', REGION: us-east1}
tolerations: [{key: dedicated, operator: Equal, value: apps, effect: NoSchedule}]
defaults:
  replicas: 2
  size: large
  serviceAccount: {create: true}
  env:
    cache-url: redis://{{ .Release.Name }}-cache:6379
    WORKERS: 4
    POD_NAME: {fieldRef: {fieldPath: metadata.name}}
    MEMORY: {resourceFieldRef: {containerName: app, resource: limits.memory}}
  args: [--listen=:8080, '--name={{ .Release.Name }}', --verbose]
  ports: {http: {port: 80, container: 8080}, metrics: {port: 9090}, grpc: {port: 9000, protocol: tcp}}
  probes:
    livenessProbe: {enabled: true}
    readinessProbe: {enabled: true, path: /ready, period: 5}
  volumes: {data: {claim: 1Gi}, tmp: {path: /tmp}, config: {config: true, path: /etc/app, readOnly: true}}
  config: {MODE: production, TIMEOUT: 30, ENDPOINT: 'https://{{ .Release.Name }}.example.com'}
  secret: {PASSWORD: change-me, TOKEN: 0123456789abcdef}
  files:
    app.yaml: |
      server:
        name: {{ .Release.Name }}
        namespace: {{ .Release.Namespace }}
      features: [a, b, c]
  hosts: [Web, api, web]
  paths: [/, /api]
  resources: {limits: {cpu: "2"}}
"#;

impl Workload {
    /// A chart of five templates, like those of `helm create`.
    pub(crate) fn plain() -> Self {
        let mut files = vec![
            ("Chart.yaml".to_owned(), chart_yaml("plain", "")),
            ("values.yaml".to_owned(), PLAIN_VALUES.to_owned()),
        ];
        for (path, text) in PLAIN {
            files.push((format!("templates/{path}"), text.to_owned()));
        }
        Self { title: "5 templates", templates: 5, files }
    }

    /// A chart over the library chart: one component in each template, with `sidecars` further containers.
    pub(crate) fn platform(title: &'static str, templates: usize, sidecars: usize) -> Self {
        let dependency = "dependencies: [{name: common, version: 1.x.x}]\n";
        let library = "apiVersion: v2\nname: common\nversion: 1.4.0\ntype: library\n";
        let mut values = format!("{VALUES}  sidecars:\n");
        for number in 0..sidecars {
            let _ = writeln!(
                values,
                "    sidecar-{number}:\n      image: {{repository: example/sidecar-{number}, tag: 1.{number}.0}}\n      env: \
                 {{PORT: {port}, TARGET: '{{{{ .Release.Name }}}}-{number}'}}\n      ports: {{side-{number}: {{port: \
                 {port}}}}}\n      probes: {{readinessProbe: {{enabled: true, port: side-{number}}}}}",
                port = 9100 + number
            );
        }
        values.push_str("components:\n");
        let mut files = vec![
            ("Chart.yaml".to_owned(), chart_yaml("platform", dependency)),
            ("charts/common/Chart.yaml".to_owned(), library.to_owned()),
        ];
        for (name, text) in LIBRARY {
            files.push((format!("charts/common/templates/_{name}.tpl"), text.to_owned()));
        }
        for number in 0..templates {
            let name = format!("app-{number:03}");
            let replicas = 1 + number % 5;
            let _ = writeln!(
                values,
                "  {name}:\n    replicas: {replicas}\n    config: {{NUMBER: {number}}}\n    labels: {{wave: w{replicas}}}"
            );
            let template = format!(
                "{{{{- $values := mergeOverwrite (deepCopy .Values.defaults) (index .Values.components {name:?}) -}}}}\n\
                 {{{{- include \"common.component\" (dict \"root\" . \"component\" {name:?} \"values\" $values) }}}}\n"
            );
            files.push((format!("templates/{name}.yaml"), template));
        }
        files.push(("values.yaml".to_owned(), values));
        Self { title, templates, files }
    }
}

fn chart_yaml(name: &str, more: &str) -> String {
    format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\nappVersion: 2.3.4\n{more}")
}

const PLAIN_VALUES: &str = "\
replicas: 2
image: {repository: nginx, tag: '', pullPolicy: IfNotPresent}
service: {type: ClusterIP, port: 80}
ingress: {hosts: [a.example.com, b.example.com], paths: [/, /api]}
scale: {min: 1, max: 5, cpu: 80}
resources: {limits: {cpu: 100m, memory: 128Mi}, requests: {cpu: 100m, memory: 128Mi}}
settings: {mode: production, level: info, workers: 4}
";

/// The templates of the plain chart.
const PLAIN: [(&str, &str); 6] = [
    (
        "_helpers.tpl",
        r#"{{- define "plain.fullname" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- define "plain.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "plain.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "plain.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
"#,
    ),
    (
        "configmap.yaml",
        r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "plain.fullname" . }}
  labels:
    {{- include "plain.labels" . | nindent 4 }}
data:
  {{- range $key, $value := .Values.settings }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
"#,
    ),
    (
        "deployment.yaml",
        r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "plain.fullname" . }}
  labels:
    {{- include "plain.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      {{- include "plain.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      annotations:
        checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
      labels:
        {{- include "plain.labels" . | nindent 8 }}
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          ports:
            - name: http
              containerPort: {{ .Values.service.port }}
          {{- with .Values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
"#,
    ),
    (
        "service.yaml",
        r#"apiVersion: v1
kind: Service
metadata:
  name: {{ include "plain.fullname" . }}
  labels:
    {{- include "plain.labels" . | nindent 4 }}
spec:
  type: {{ .Values.service.type }}
  ports:
    - port: {{ .Values.service.port }}
      targetPort: http
  selector:
    {{- include "plain.selectorLabels" . | nindent 4 }}
"#,
    ),
    (
        "ingress.yaml",
        r#"apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "plain.fullname" . }}
  labels:
    {{- include "plain.labels" . | nindent 4 }}
spec:
  rules:
    {{- range .Values.ingress.hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          {{- range $.Values.ingress.paths }}
          - path: {{ . }}
            pathType: Prefix
            backend: {service: {name: {{ include "plain.fullname" $ }}, port: {number: {{ $.Values.service.port }}}}}
          {{- end }}
    {{- end }}
"#,
    ),
    (
        "autoscaler.yaml",
        r#"{{- if gt (int .Values.scale.max) 1 }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "plain.fullname" . }}
  labels:
    {{- include "plain.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "plain.fullname" . }}}
  minReplicas: {{ .Values.scale.min }}
  maxReplicas: {{ .Values.scale.max }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ .Values.scale.cpu }}}}
{{- end }}
"#,
    ),
];
