{{- define "common.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  replicas: {{ .values.replicas | default 1 | int }}
  revisionHistoryLimit: {{ .root.Values.revisionHistoryLimit | default 3 | int }}
  selector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
  template:
    {{- include "common.pod" . | nindent 4 }}
{{- end -}}

{{- define "common.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  type: {{ .values.serviceType | default "ClusterIP" }}
  selector:
    {{- include "common.selectorLabels" . | nindent 4 }}
  ports:
  {{- range $name, $port := .values.ports }}
    - name: {{ $name }}
      port: {{ $port.port | int }}
      targetPort: {{ $name | trunc 15 }}
      protocol: {{ $port.protocol | default "TCP" | upper }}
  {{- end }}
{{- end -}}

{{- define "common.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "common.metadata" . | nindent 2 }}
data:
{{- range $name, $value := .values.config }}
  {{ $name }}: {{ include "common.render" (dict "value" (toString $value) "context" $.root) | quote }}
{{- end }}
{{- range $name, $content := .values.files }}
  {{ $name }}: |
    {{- include "common.render" (dict "value" $content "context" $.root) | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "common.secret" -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "common.metadata" . | nindent 2 }}
type: Opaque
data:
{{- range $name, $value := .values.secret }}
  {{ $name }}: {{ $value | toString | b64enc }}
{{- end }}
{{- end -}}

{{- define "common.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "common.metadata" . | nindent 2 }}
automountServiceAccountToken: {{ (.values.serviceAccount | default dict).automount | default false }}
{{- end -}}

{{- define "common.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  rules:
  {{- range $host := splitList "," (include "common.hosts" .) }}
    - host: {{ $host | quote }}
      http:
        paths:
        {{- range $path := $.values.paths | default (list "/") }}
          - path: {{ $path }}
            pathType: Prefix
            backend:
              service:
                name: {{ include "common.componentName" $ }}
                port:
                  name: {{ keys $.values.ports | sortAlpha | first }}
        {{- end }}
  {{- end }}
{{- end -}}

{{- define "common.autoscaler" -}}
{{- $scale := .values.autoscaling | default dict -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "common.componentName" . }}
  minReplicas: {{ max 1 ($scale.min | default .values.replicas | default 1) }}
  maxReplicas: {{ $scale.max | default (mul 3 (.values.replicas | default 1)) }}
  metrics:
  {{- range $resource := list "cpu" "memory" }}
    - type: Resource
      resource:
        name: {{ $resource }}
        target: {type: Utilization, averageUtilization: {{ get $scale $resource | default 80 }}}
  {{- end }}
{{- end -}}

{{- define "common.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ div (.values.replicas | default 1) 2 | max 1 }}
  selector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
{{- end -}}

{{- define "common.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
  ingress:
    - ports:
      {{- range $name, $port := .values.ports }}
        - port: {{ $port.container | default $port.port | int }}
      {{- end }}
{{- end -}}

{{- define "common.claims" -}}
{{- range $name, $volume := .values.volumes }}
{{- if $volume.claim }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "common.metadata" (dict "root" $.root "component" (printf "%s-%s" $.component $name) "values" $.values) | nindent 2 }}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: {{ $volume.claim }}}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "common.component" -}}
{{- range $kind := list "deployment" "service" "configMap" "secret" "serviceAccount" "ingress" "autoscaler" "disruptionBudget" "networkPolicy" }}
---
{{ include (printf "common.%s" $kind) $ }}
{{- end }}
{{ include "common.claims" . }}
{{- end -}}
