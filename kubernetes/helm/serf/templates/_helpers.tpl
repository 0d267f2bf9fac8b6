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

{{- define "serf.retryJoin" -}}
{{- if eq .Values.discovery "api" -}}
provider=k8s label_selector="app.kubernetes.io/instance={{ .Release.Name }},app.kubernetes.io/component=member"
{{- else -}}
{{ include "serf.name" . }}-members
{{- end }}
{{- end }}

{{/* Gossip's two ports of a container. */}}
{{- define "serf.gossipPorts" -}}
- name: serf-tcp
  protocol: TCP
  containerPort: {{ .Values.gossip.port }}
- name: serf-udp
  protocol: UDP
  containerPort: {{ .Values.gossip.port }}
{{- end }}

{{/* The seconds of a duration such as 1h2m30s. */}}
{{- define "serf.seconds" -}}
{{- $hours := regexFind "[0-9]+h" . | trimSuffix "h" | atoi }}
{{- $minutes := regexFind "[0-9]+m" . | trimSuffix "m" | atoi }}
{{- $seconds := regexFind "[0-9]+s" . | trimSuffix "s" | atoi }}
{{- add (mul 3600 $hours) (mul 60 $minutes) $seconds }}
{{- end }}

{{/* The seconds that a pod has to end: leave_timeout, and 15 s for what the node does around it. */}}
{{- define "serf.graceSeconds" -}}
{{- add (include "serf.seconds" .Values.settings.leave_timeout) 15 }}
{{- end }}

{{/* What any pod of this chart may do; each mounts what it needs by itself. */}}
{{- define "serf.podSecurity" -}}
runAsNonRoot: true
runAsUser: 7946
runAsGroup: 7946
fsGroup: 7946
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Mounts and volumes of the keyring: the Secret, and the copy that the agent makes of it. */}}
{{- define "serf.keyringMounts" -}}
- name: keyring-secret
  mountPath: /secret
  readOnly: true
- name: keyring
  mountPath: /keyring
{{- end }}
{{- define "serf.keyringVolumes" -}}
- name: keyring-secret
  secret:
    secretName: {{ .Values.encryption.keyringSecret }}
    defaultMode: 0440
- name: keyring
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- end }}
{{- define "serf.keyringVariables" -}}
- name: SERF_AGENT_KEYRING_SOURCE
  value: /secret/keyring.json
- name: SERF_AGENT_KEYRING_FILE
  value: /keyring/keyring.json
{{- end }}

{{/* The account's token, for the containers that mount it. */}}
{{- define "serf.tokenMount" -}}
- name: token
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end }}
{{- define "serf.tokenVolume" -}}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}

{{/* A way out to the API server. */}}
{{- define "serf.apiServerEgress" -}}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
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
