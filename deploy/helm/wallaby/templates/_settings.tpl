{{/*
What becomes of `settings`: refuses those that have a place elsewhere, and writes the others as environment variables.
The schema has refused unknown names before.
*/}}

{{- define "wallaby.secretSettings" -}}
postgres_dsn secret_key spool_key checkpoint_dsn k8s_token tokens
{{- end -}}

{{/* Setting and the value that stands for it. */}}
{{- define "wallaby.ownSettings" -}}
grpc_listen: service.ports.grpc
admin_listen: service.ports.admin
metrics_listen: service.ports.metrics
tls_cert_file: access.tlsSecret
tls_key_file: access.tlsSecret
tls_client_ca_file: access.clientCertificates
tokens_file: access.tokensSecret
allow_insecure_listen: access.allowInsecureListen
metrics_open: access.metricsOpen
data_dir: server.volumes and server.volumeMounts at /var/lib/wallaby
k8s_enabled: dispatch.kind
k8s_namespace: nothing, because Jobs run in the release's namespace
k8s_job_image: image
k8s_job_image_pull_policy: image.pullPolicy
k8s_job_service_account: serviceAccount.workerName
k8s_job_env_from: existingSecret, settings and otel
k8s_job_labels: commonLabels
{{- end -}}

{{/* A number of YAML is a float here: 1e+06 is not what was meant. */}}
{{- define "wallaby.text" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{- define "wallaby.checkSettings" -}}
{{- $own := include "wallaby.ownSettings" . | fromYaml -}}
{{- $secret := splitList " " (include "wallaby.secretSettings" .) -}}
{{- range $name, $value := .Values.settings -}}
{{- if has $name $secret -}}
{{- fail (printf "settings.%s holds a password: put WALLABY_%s into the Secret that existingSecret names" $name (upper $name)) -}}
{{- end -}}
{{- if hasKey $own $name -}}
{{- fail (printf "settings.%s is set by the chart; use %s" $name (get $own $name)) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := .Values.otel -}}
{{- if hasSuffix "_HEADERS" $name -}}
{{- fail (printf "otel.%s may hold an API key: put it into the Secret that existingSecret names" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What cannot work together. */}}
{{- define "wallaby.check" -}}
{{- include "wallaby.checkSettings" . -}}
{{- $postgres := eq .Values.store.kind "postgres" -}}
{{- if and $postgres (not .Values.existingSecret) -}}
{{- fail "existingSecret is not set; with store.kind postgres it names a Secret with the key WALLABY_POSTGRES_DSN: kubectl create secret generic wallaby --from-literal=WALLABY_POSTGRES_DSN=postgres://... --from-literal=WALLABY_SECRET_KEY=$(openssl rand -hex 32)" -}}
{{- end -}}
{{- if and (not $postgres) (eq .Values.dispatch.kind "kubernetes") -}}
{{- fail "dispatch.kind kubernetes needs store.kind postgres: workers in other pods do not see a SQLite file; or set dispatch.kind local" -}}
{{- end -}}
{{- if and (not $postgres) .Values.workers -}}
{{- fail "workers needs store.kind postgres: workers in other pods do not see a SQLite file; with SQLite set dispatch.kind local" -}}
{{- end -}}
{{- with .Values.access -}}
{{- if and .clientCertificates (not .tlsSecret) -}}
{{- fail "access.clientCertificates needs access.tlsSecret, with ca.crt in it" -}}
{{- end -}}
{{- if not (or .allowInsecureListen (and .tlsSecret (or .tokensSecret .clientCertificates))) -}}
{{- fail "access: other pods reach the server: set access.tlsSecret and access.tokensSecret (or access.clientCertificates), or, where networkPolicy alone is to keep others out, access.allowInsecureListen=true" -}}
{{- end -}}
{{- end -}}
{{- $seen := dict -}}
{{- range .Values.workers -}}
{{- $key := printf "%s %s" .kind .flowId -}}
{{- if hasKey $seen $key -}}
{{- fail (printf "workers: two entries of kind %s for flow %s" .kind .flowId) -}}
{{- end -}}
{{- $_ := set $seen $key true -}}
{{- if and (eq .kind "Deployment") (ne $.Values.dispatch.kind "none") -}}
{{- fail (printf "workers: the server would start a worker for flow %s as well; a Deployment needs dispatch.kind none" .flowId) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "wallaby.checksum" -}}
{{- include (print $.Template.BasePath "/configmap.yaml") . | sha256sum -}}
{{- end -}}
