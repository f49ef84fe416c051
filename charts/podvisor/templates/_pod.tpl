{{- define "podvisor.probe" -}}
{{- if .probe.enabled }}
{{ .name }}:
  httpGet:
    path: {{ .path }}
    port: podvisor
  {{- toYaml (omit .probe "enabled") | nindent 2 }}
{{- end }}
{{- end }}

{{- define "podvisor.container" -}}
{{- $inject := has .Values.mode (list "inject" "imageVolume") -}}
name: {{ ternary "podvisor" "app" (eq .Values.mode "sidecar") }}
image: {{ include "podvisor.appImage" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [{{ ternary "/opt/podvisor/podvisor" .Values.podvisor.path $inject | quote }}]
args: [run, -c, /etc/podvisor/podvisor.yaml]
{{- if eq .Values.mode "sidecar" }}
restartPolicy: Always
{{- end }}
ports:
  - name: podvisor
    containerPort: {{ .Values.podvisor.port }}
  {{- range $name, $port := .Values.ports }}
  - name: {{ $name }}
    containerPort: {{ $port }}
  {{- end }}
env:
  - name: POD_NAME
    valueFrom: { fieldRef: { fieldPath: metadata.name } }
  - name: POD_NAMESPACE
    valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
  - name: POD_UID
    valueFrom: { fieldRef: { fieldPath: metadata.uid } }
  - name: NODE_NAME
    valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
  - name: CONTAINER_NAME
    value: {{ ternary "podvisor" "app" (eq .Values.mode "sidecar") }}
  {{- range $name, $value := .Values.env }}
  - name: {{ $name }}
    {{- if kindIs "map" $value }}
    {{- toYaml $value | nindent 4 }}
    {{- else }}
    value: {{ $value | quote }}
    {{- end }}
  {{- end }}
{{- with .Values.envFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.probes }}
{{- include "podvisor.probe" (dict "name" "startupProbe" "path" "/startupz" "probe" .startup) }}
{{- include "podvisor.probe" (dict "name" "readinessProbe" "path" "/readyz" "probe" .readiness) }}
{{- include "podvisor.probe" (dict "name" "livenessProbe" "path" "/livez" "probe" .liveness) }}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
{{- with .Values.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - { name: config, mountPath: /etc/podvisor, readOnly: true }
  - { name: run, mountPath: /run/podvisor }
  - { name: tmp, mountPath: /tmp }
  {{- if $inject }}
  - { name: podvisor, mountPath: /opt/podvisor, readOnly: true }
  {{- end }}
  {{- if .Values.spool.enabled }}
  - { name: spool, mountPath: {{ .Values.spool.mountPath }} }
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "podvisor.pod" -}}
{{- if and (eq .Values.mode "sidecar") (not .Values.extraContainers) }}{{ fail "mode sidecar needs extraContainers: the containers that podvisor is beside" }}{{ end }}
{{- if and (eq .Values.mode "imageVolume") (semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version) }}{{ fail "mode imageVolume needs Kubernetes 1.33 or later; mode inject does without" }}{{ end }}
metadata:
  labels:
    {{- include "podvisor.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "podvisor.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "podvisor.serviceAccount" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "podvisor.grace" . }}
  {{- with .Values.podSecurityContext }}
  securityContext: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- $init := or (has .Values.mode (list "inject" "sidecar")) .Values.extraInitContainers }}
  {{- if $init }}
  initContainers:
    {{- with .Values.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if eq .Values.mode "inject" }}
    - name: podvisor-install
      image: {{ include "podvisor.ownImage" . }}
      imagePullPolicy: {{ .Values.podvisor.image.pullPolicy }}
      args: [install, /opt/podvisor]
      resources: { requests: { cpu: 10m, memory: 16Mi }, limits: { memory: 64Mi } }
      {{- with .Values.securityContext }}
      securityContext: {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - { name: podvisor, mountPath: /opt/podvisor }
    {{- end }}
    {{- if eq .Values.mode "sidecar" }}
    - {{- include "podvisor.container" . | nindent 6 }}
    {{- end }}
  {{- end }}
  containers:
    {{- if ne .Values.mode "sidecar" }}
    - {{- include "podvisor.container" . | nindent 6 }}
    {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ include "podvisor.fullname" . }} }
    - name: run
      emptyDir: { medium: Memory, sizeLimit: 1Mi }
    - name: tmp
      emptyDir: {}
    {{- if eq .Values.mode "inject" }}
    - name: podvisor
      emptyDir: { sizeLimit: 32Mi }
    {{- else if eq .Values.mode "imageVolume" }}
    - name: podvisor
      image: { reference: {{ include "podvisor.ownImage" . }}, pullPolicy: {{ .Values.podvisor.image.pullPolicy }} }
    {{- end }}
    {{- if and .Values.spool.enabled (eq .Values.spool.type "emptyDir") }}
    - name: spool
      emptyDir: { sizeLimit: {{ .Values.spool.size }} }
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
