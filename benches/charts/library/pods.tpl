{{- define "common.image" -}}
{{- $image := mergeOverwrite (deepCopy (.root.Values.image | default dict)) (.values.image | default dict) -}}
{{- $name := printf "%s/%s" ($image.registry | default "docker.io") ($image.repository | default .component) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default .root.Chart.AppVersion | toString) -}}
{{- end -}}
{{- end -}}

{{- define "common.pullPolicy" -}}
{{- (.values.image | default dict).pullPolicy | default (eq (include "common.version" .) "latest" | ternary "Always" "IfNotPresent") -}}
{{- end -}}

{{- define "common.pullSecrets" -}}
{{- $secrets := concat (.root.Values.pullSecrets | default list) (.values.pullSecrets | default list) | uniq -}}
{{- if $secrets -}}
imagePullSecrets:
{{- range $secrets }}
  - name: {{ . }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "common.env" -}}
{{- $env := mergeOverwrite (deepCopy (.root.Values.env | default dict)) (.values.env | default dict) -}}
{{- range $name, $value := $env }}
- name: {{ $name | upper | replace "." "_" | replace "-" "_" }}
{{- if kindIs "map" $value }}
  valueFrom:
    {{- toYaml $value | nindent 4 }}
{{- else }}
  value: {{ include "common.render" (dict "value" (toString $value) "context" $.root) | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "common.envFrom" -}}
{{- if .values.config }}
- configMapRef:
    name: {{ include "common.configName" . }}
{{- end }}
{{- if or .values.secret .values.existingSecret }}
- secretRef:
    name: {{ include "common.secretName" . }}
{{- end }}
{{- end -}}

{{- define "common.ports" -}}
{{- range $name, $port := .values.ports }}
- name: {{ $name | trunc 15 }}
  containerPort: {{ $port.container | default $port.port | int }}
  protocol: {{ $port.protocol | default "TCP" | upper }}
{{- end }}
{{- end -}}

{{- define "common.probe" -}}
{{- $probe := .probe | default dict -}}
{{- if $probe.enabled -}}
{{ .name }}:
  httpGet:
    path: {{ $probe.path | default "/healthz" | quote }}
    port: {{ $probe.port | default "http" }}
  initialDelaySeconds: {{ $probe.delay | default 5 | int }}
  periodSeconds: {{ $probe.period | default 10 | int }}
  timeoutSeconds: {{ min ($probe.timeout | default 5) ($probe.period | default 10) | int }}
{{- end -}}
{{- end -}}

{{- define "common.probes" -}}
{{- range $name := list "livenessProbe" "readinessProbe" "startupProbe" }}
{{- with include "common.probe" (dict "name" $name "probe" (get ($.values.probes | default dict) $name)) }}
{{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "common.resources" -}}
{{- $presets := dict "small" (dict "cpu" "100m" "memory" "128Mi") "large" (dict "cpu" "1" "memory" "1Gi") -}}
{{- $requests := get $presets (.values.size | default "small") -}}
{{- $resources := mergeOverwrite (dict "requests" $requests "limits" (omit $requests "cpu")) (deepCopy (.values.resources | default dict)) -}}
resources:
  {{- toYaml $resources | nindent 2 }}
{{- end -}}

{{- define "common.securityContext" -}}
{{- $defaults := dict "runAsNonRoot" true "readOnlyRootFilesystem" true "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL")) -}}
securityContext:
  {{- mergeOverwrite $defaults (deepCopy (.values.securityContext | default dict)) | toYaml | nindent 2 }}
{{- end -}}

{{- define "common.podSecurityContext" -}}
securityContext:
  fsGroup: {{ (.values.podSecurityContext | default dict).fsGroup | default 1000 | int64 }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "common.volumeMounts" -}}
{{- range $name, $volume := .values.volumes }}
- name: {{ $name }}
  mountPath: {{ $volume.path | default (printf "/var/lib/%s" $name) | quote }}
{{- with $volume.subPath }}
  subPath: {{ . }}
{{- end }}
{{- if $volume.readOnly }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "common.volumes" -}}
{{- range $name, $volume := .values.volumes }}
- name: {{ $name }}
{{- if $volume.claim }}
  persistentVolumeClaim:
    claimName: {{ printf "%s-%s" (include "common.componentName" $) $name }}
{{- else if $volume.config }}
  configMap:
    name: {{ include "common.configName" $ }}
    defaultMode: 0444
{{- else }}
  emptyDir: {}
{{- end }}
{{- end }}
{{- end -}}

{{- define "common.affinity" -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 1
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "common.selectorLabels" . | nindent 14 }}
{{- end -}}

{{- define "common.topology" -}}
topologySpreadConstraints:
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "common.selectorLabels" $ | nindent 8 }}
{{- end }}
{{- end -}}

{{- define "common.tolerations" -}}
{{- with .values.tolerations | default .root.Values.tolerations -}}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "common.checksums" -}}
checksum/config: {{ .values.config | default dict | toJson | sha256sum }}
checksum/secret: {{ .values.secret | default dict | toJson | sha256sum | trunc 32 }}
{{- end -}}

{{- define "common.container" -}}
- name: {{ .component }}
  image: {{ include "common.image" . | quote }}
  imagePullPolicy: {{ include "common.pullPolicy" . }}
{{- with .values.args }}
  args:
  {{- range . }}
    - {{ include "common.render" (dict "value" . "context" $.root) | quote }}
  {{- end }}
{{- end }}
{{- with include "common.env" . | trim }}
  env:
    {{- . | nindent 4 }}
{{- end }}
{{- with include "common.envFrom" . | trim }}
  envFrom:
    {{- . | nindent 4 }}
{{- end }}
{{- with include "common.ports" . | trim }}
  ports:
    {{- . | nindent 4 }}
{{- end }}
{{- with include "common.probes" . | trim }}
  {{- . | nindent 2 }}
{{- end }}
  {{- include "common.resources" . | nindent 2 }}
  {{- include "common.securityContext" . | nindent 2 }}
{{- with include "common.volumeMounts" . | trim }}
  volumeMounts:
    {{- . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "common.sidecars" -}}
{{- range $name, $sidecar := .values.sidecars }}
{{ include "common.container" (dict "root" $.root "component" $name "values" $sidecar) }}
{{- end }}
{{- end -}}

{{- define "common.pod" -}}
metadata:
  labels:
    {{- include "common.labels" . | nindent 4 }}
  annotations:
    {{- include "common.checksums" . | nindent 4 }}
spec:
  serviceAccountName: {{ include "common.serviceAccountName" . }}
{{- with include "common.pullSecrets" . }}
  {{- . | nindent 2 }}
{{- end }}
  {{- include "common.podSecurityContext" . | nindent 2 }}
  {{- include "common.affinity" . | nindent 2 }}
  {{- include "common.topology" . | nindent 2 }}
{{- with include "common.tolerations" . }}
  {{- . | nindent 2 }}
{{- end }}
  containers:
    {{- include "common.container" . | nindent 4 }}
    {{- include "common.sidecars" . | trim | nindent 4 }}
{{- with include "common.volumes" . | trim }}
  volumes:
    {{- . | nindent 4 }}
{{- end }}
{{- end -}}
