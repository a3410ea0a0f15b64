{{- define "exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "exporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "exporter.name" . }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "exporter.selector" -}}
app.kubernetes.io/name: {{ include "exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "exporter.labels" -}}
{{ include "exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "exporter.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion }}
{{- if .Values.config.examples }}{{ $tag = printf "%s-examples" $tag }}{{ end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository $tag }}
{{- end }}
{{- end }}

{{- /* Where configs come from: none, files, configMap or examples. */}}
{{- define "exporter.configs" -}}
{{- $from := list }}
{{- with .Values.config }}
{{- if or .files .objects }}{{ $from = append $from "files" }}{{ end }}
{{- if .configMap }}{{ $from = append $from "configMap" }}{{ end }}
{{- if .examples }}{{ $from = append $from "examples" }}{{ end }}
{{- if gt (len $from) 1 }}
{{- fail (printf "config has %s; set one of them" (join " and " $from)) }}
{{- end }}
{{- if and (not .names) (or .configMap .examples) }}
{{- fail (printf "config.%s has configs, and none is named; name in config.names those to serve" (first $from)) }}
{{- end }}
{{- range $name := .names }}
{{- if and (eq (join "" $from) "files") (not (hasKey $.Values.config.files (printf "%s.yaml" $name))) }}
{{- fail (printf "config.names has %s, and config.files has no %s.yaml; add it" $name $name) }}
{{- end }}
{{- end }}
{{- range $file, $_ := .files }}
{{- $object := printf "%s.bpf.o" (trimSuffix ".yaml" $file) }}
{{- if not (hasKey $.Values.config.objects $object) }}
{{- fail (printf "config.files has %s, and config.objects has no %s; add it, in base64" $file $object) }}
{{- end }}
{{- end }}
{{- end }}
{{- first (append $from "none") }}
{{- end }}

{{- define "exporter.configDir" -}}
{{- ternary "/examples" "/etc/ebpf_exporter/configs" (eq (include "exporter.configs" .) "examples") }}
{{- end }}

{{- /* The names of configs, comma separated; empty for the default set. */}}
{{- define "exporter.configNames" -}}
{{- $names := .Values.config.names }}
{{- if and (not $names) .Values.config.files }}
{{- range $file, $_ := .Values.config.files }}{{ $names = append $names (trimSuffix ".yaml" $file) }}{{ end }}
{{- $names = sortAlpha $names }}
{{- end }}
{{- join "," $names }}
{{- end }}

{{- /* Where plugins come from: none, files, configMap, image, fetch, or the image with examples. */}}
{{- define "exporter.plugins" -}}
{{- $from := list }}
{{- with .Values.plugins }}
{{- if .files }}{{ $from = append $from "files" }}{{ end }}
{{- if .configMap }}{{ $from = append $from "configMap" }}{{ end }}
{{- if .image.reference }}{{ $from = append $from "image" }}{{ end }}
{{- if .fetch.enabled }}{{ $from = append $from "fetch" }}{{ end }}
{{- if gt (len $from) 1 }}
{{- fail (printf "plugins has %s; set one of them" (join " and " $from)) }}
{{- end }}
{{- if and .fetch.enabled (has (include "exporter.configs" $) (list "none" "examples")) }}
{{- fail "plugins.fetch gets what configs name, and there are none of yours; set config.files or config.configMap" }}
{{- end }}
{{- end }}
{{- first (append $from (ternary "examples" "none" .Values.config.examples)) }}
{{- end }}

{{- /* What a cluster has once, by the namespace too: no namespace has a colon, so no two releases share it. */}}
{{- define "exporter.podsRole" -}}
{{ .Release.Namespace }}:{{ include "exporter.fullname" . }}:pods
{{- end }}

{{- /* What containers without any privilege have. */}}
{{- define "exporter.unprivileged" -}}
runAsUser: 65532
runAsGroup: 65532
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "exporter.probe" }}
{{- if eq .root.Values.web.probe "http" }}
httpGet:
  path: {{ .path }}
  port: http
  scheme: {{ .root.Values.web.scheme }}
{{- else if eq .root.Values.web.probe "exec" }}
exec:
  {{- $tls := eq .root.Values.web.scheme "HTTPS" }}
  command:
    - /usr/bin/ebpf_wasm_exporter
    - healthcheck
    {{- if $tls }}
    - --insecure
    {{- end }}
    - {{ printf "%s:%v" (ternary "https://" "" $tls) .root.Values.web.port | quote }}
{{- else }}
tcpSocket: {port: http}
{{- end }}
{{ toYaml .more }}
{{- end }}
