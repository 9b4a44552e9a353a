{{- define "otel-jb.name" -}}
{{- if contains "otel-jb" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-otel-jb" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "otel-jb.selector" -}}
app.kubernetes.io/name: otel-jb
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "otel-jb.labels" -}}
{{ include "otel-jb.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
