{{- define "podvisor.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "podvisor.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "podvisor.labels" -}}
{{ include "podvisor.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "podvisor.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "podvisor.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- /* repository:tag or repository@digest; never a tag that moves by itself */ -}}
{{- define "podvisor.reference" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}

{{- define "podvisor.appImage" -}}
{{- $image := .Values.image }}
{{- if not $image.repository }}{{ fail "image.repository is missing: the application's image" }}{{ end }}
{{- if not (or $image.tag $image.digest) }}{{ fail "image.tag is missing (or image.digest): the application's version" }}{{ end }}
{{- include "podvisor.reference" $image }}
{{- end }}

{{- define "podvisor.ownImage" -}}
{{- $image := .Values.podvisor.image }}
{{- include "podvisor.reference" (dict "repository" $image.repository "digest" $image.digest "tag" ($image.tag | default .Chart.AppVersion)) }}
{{- end }}

{{- /* Seconds of a duration such as 1m30s, rounded up. */ -}}
{{- define "podvisor.seconds" -}}
{{- $text := toString . }}
{{- if not (regexMatch "^([0-9]+(\\.[0-9]+)?(h|ms|m|s))+$" $text) }}{{ fail (printf "`%s` is no duration such as 25s" $text) }}{{ end }}
{{- $total := 0.0 }}
{{- range regexFindAll "[0-9]+(\\.[0-9]+)?(h|ms|m|s)" $text -1 }}
{{- $number := regexFind "^[0-9.]+" . | float64 }}
{{- if hasSuffix "ms" . }}{{ $total = addf $total (divf $number 1000.0) }}
{{- else if hasSuffix "h" . }}{{ $total = addf $total (mulf $number 3600.0) }}
{{- else if hasSuffix "m" . }}{{ $total = addf $total (mulf $number 60.0) }}
{{- else }}{{ $total = addf $total $number }}{{ end }}
{{- end }}
{{- ceil $total | int }}
{{- end }}

{{- /* The deadline, and three seconds for what comes before and after it. */ -}}
{{- define "podvisor.grace" -}}
{{- $deadline := include "podvisor.seconds" (.Values.shutdown.deadline | default "25s") | int }}
{{- $own := .Values.terminationGracePeriodSeconds }}
{{- if kindIs "invalid" $own }}{{ add $deadline 5 }}
{{- else if lt (int $own) (int (add $deadline 2)) }}
{{- fail (printf "terminationGracePeriodSeconds is %d: too short for shutdown.deadline (%ds); %d or more, or a shorter deadline" (int $own) $deadline (add $deadline 2)) }}
{{- else }}{{ int $own }}{{ end }}
{{- end }}

{{- define "podvisor.config" -}}
{{- if not .Values.services }}{{ fail "services is empty: name at least one" }}{{ end }}
{{- $config := dict "services" .Values.services "http" (dict "listen" (printf "0.0.0.0:%d" (int .Values.podvisor.port))) "shutdown" .Values.shutdown }}
{{- with .Values.logs }}{{ $_ := set $config "logs" . }}{{ end }}
{{- with .Values.telemetry }}{{ $_ := set $config "telemetry" . }}{{ end }}
{{- toYaml $config }}
{{- end }}
