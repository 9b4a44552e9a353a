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

{{- /* Headers and TLS of an exporter. */ -}}
{{- define "otel-jb.destination" -}}
{{- with .to.headers -}}
headers:
  {{- toYaml . | nindent 2 }}
{{ end -}}
{{- if .to.tls.secret -}}
tls:
  insecure: false
  ca_file: /etc/otelcol-{{ .name }}/ca.crt
  {{- if .to.tls.clientCertificate }}
  cert_file: /etc/otelcol-{{ .name }}/tls.crt
  key_file: /etc/otelcol-{{ .name }}/tls.key
  {{- end }}
{{- end -}}
{{- end -}}
