{{- /* Each takes a dict; what it may hold is said above it. */ -}}

{{- /* The init container that brings podvisor in. image: podvisor's, as repository:tag. */ -}}
{{- define "podvisor-lib.initContainer" -}}
name: podvisor-install
image: {{ required "podvisor-lib.initContainer: image" .image }}
args: [install, /opt/podvisor]
resources: { requests: { cpu: 10m, memory: 16Mi }, limits: { memory: 64Mi } }
securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
volumeMounts:
  - { name: podvisor, mountPath: /opt/podvisor }
{{- end }}

{{- /* The volumes of the pod. configMap: the name of the one with podvisor.yaml; baked: the image has podvisor itself. */ -}}
{{- define "podvisor-lib.volumes" -}}
- name: podvisor-config
  configMap: { name: {{ required "podvisor-lib.volumes: configMap" .configMap }} }
- name: podvisor-run
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- if not .baked }}
- name: podvisor
  emptyDir: { sizeLimit: 32Mi }
{{- end }}
{{- end }}

{{- /* The mounts of the container. baked: as above. */ -}}
{{- define "podvisor-lib.volumeMounts" -}}
- { name: podvisor-config, mountPath: /etc/podvisor, readOnly: true }
- { name: podvisor-run, mountPath: /run/podvisor }
{{- if not .baked }}
- { name: podvisor, mountPath: /opt/podvisor, readOnly: true }
{{- end }}
{{- end }}

{{- /* command and args of the container. baked: as above; path: where podvisor is then. */ -}}
{{- define "podvisor-lib.command" -}}
command: [{{ ternary (.path | default "/podvisor") "/opt/podvisor/podvisor" (.baked | default false) | quote }}]
args: [run, -c, /etc/podvisor/podvisor.yaml]
{{- end }}

{{- /* podvisor's port, an entry of ports. port: 4747 without one. */ -}}
{{- define "podvisor-lib.port" -}}
- name: podvisor
  containerPort: {{ .port | default 4747 }}
{{- end }}

{{- /* The three probes of the container. */ -}}
{{- define "podvisor-lib.probes" -}}
startupProbe:
  httpGet: { path: /startupz, port: podvisor }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 150
readinessProbe:
  httpGet: { path: /readyz, port: podvisor }
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: { path: /livez, port: podvisor }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{- /* Entries of env that name the pod in logs. container: its name. */ -}}
{{- define "podvisor-lib.env" -}}
- { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
- { name: POD_UID, valueFrom: { fieldRef: { fieldPath: metadata.uid } } }
- { name: NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
- { name: CONTAINER_NAME, value: {{ .container | default "app" | quote }} }
{{- end }}
