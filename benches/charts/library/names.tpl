{{- define "common.name" -}}
{{- .root.Values.nameOverride | default .root.Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "common.fullname" -}}
{{- if .root.Values.fullnameOverride -}}
{{- .root.Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "common.name" . -}}
{{- if contains $name .root.Release.Name -}}
{{- .root.Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .root.Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "common.componentName" -}}
{{- printf "%s-%s" (include "common.fullname" .) .component | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "common.chart" -}}
{{- printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "common.version" -}}
{{- $tag := (.values.image | default dict).tag | default .root.Chart.AppVersion -}}
{{- regexReplaceAll "[^a-zA-Z0-9._-]" $tag "-" | trunc 63 | trimAll "-._" -}}
{{- end -}}

{{- define "common.selectorLabels" -}}
app.kubernetes.io/name: {{ include "common.name" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "common.labels" -}}
helm.sh/chart: {{ include "common.chart" . }}
{{ include "common.selectorLabels" . }}
app.kubernetes.io/version: {{ include "common.version" . | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .values.labels }}
{{ include "common.render" (dict "value" . "context" $.root) }}
{{- end }}
{{- end -}}

{{- define "common.annotations" -}}
{{- $all := mergeOverwrite (deepCopy (.root.Values.commonAnnotations | default dict)) (.values.annotations | default dict) -}}
{{- if $all -}}
annotations:
  {{- include "common.render" (dict "value" $all "context" .root) | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "common.metadata" -}}
name: {{ include "common.componentName" . }}
namespace: {{ .root.Values.namespaceOverride | default .root.Release.Namespace | quote }}
labels:
  {{- include "common.labels" . | nindent 2 }}
{{- with include "common.annotations" . }}
{{ . }}
{{- end }}
{{- end -}}

{{- define "common.render" -}}
{{- $value := typeIs "string" .value | ternary .value (.value | toYaml) -}}
{{- if contains "{{" $value -}}
{{- tpl $value .context -}}
{{- else -}}
{{- $value -}}
{{- end -}}
{{- end -}}

{{- define "common.serviceAccountName" -}}
{{- $account := .values.serviceAccount | default dict -}}
{{- if $account.create -}}
{{- $account.name | default (include "common.componentName" .) -}}
{{- else -}}
{{- $account.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "common.configName" -}}
{{- printf "%s-config" (include "common.componentName" .) -}}
{{- end -}}

{{- define "common.secretName" -}}
{{- .values.existingSecret | default (printf "%s-secret" (include "common.componentName" .)) -}}
{{- end -}}

{{- define "common.hosts" -}}
{{- $hosts := list -}}
{{- range .values.hosts -}}
{{- $hosts = append $hosts (printf "%s.%s" . ($.root.Values.domain | default "example.com") | lower) -}}
{{- end -}}
{{- $hosts | uniq | sortAlpha | join "," -}}
{{- end -}}
