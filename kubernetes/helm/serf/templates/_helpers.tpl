{{/* The name of everything, from the release's. */}}
{{- define "serf.name" -}}
{{- if contains "serf" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-serf" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Two clusters never merge, even where their pods get each other's addresses. */}}
{{- define "serf.clusterLabel" -}}
{{ .Values.label | default (printf "%s/%s" .Release.Namespace (include "serf.name" .)) }}
{{- end }}

{{/* What all pods have that are members, also that of `helm test`. */}}
{{- define "serf.selector" -}}
app.kubernetes.io/name: serf
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What selects the pods of the workload: never changes in the life of a release. */}}
{{- define "serf.workloadSelector" -}}
{{ include "serf.selector" . }}
app.kubernetes.io/component: member
{{- end }}

{{- define "serf.labels" -}}
{{ include "serf.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* On the node's network it is for the pod alone. */}}
{{- define "serf.httpAddress" -}}
{{ ternary "127.0.0.1" "" (eq .Values.kind "DaemonSet") }}:{{ .Values.http.port }}
{{- end }}

{{/* A probe of one path; `serf health` asks the same from within the pod. */}}
{{- define "serf.healthProbe" -}}
{{- if eq (index . 0) "DaemonSet" -}}
exec:
  command: ["/app/serf", "health"{{ if eq (index . 1) "live" }}, "-live"{{ end }}]
{{- else -}}
httpGet:
  path: /health/{{ index . 1 }}
  port: serf-http
{{- end }}
{{- end }}

{{- define "serf.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "serf.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}

{{/* A variable, and the field of the pod that gives its value. */}}
{{- define "serf.fieldVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    fieldRef:
      fieldPath: {{ index . 1 }}
{{- end }}
