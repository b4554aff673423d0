{{/* Names, labels and image. */}}

{{- define "wallaby.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What never changes and so may stand in selectors. Dashboards, log rules and the runbook find everything by `app`. */}}
{{- define "wallaby.selector" -}}
app: wallaby
app.kubernetes.io/name: wallaby
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/*
What all pods have in common, the Jobs' that the server makes too: those have an `instance` of the server's own, so the
release stands in another label.
*/}}
{{- define "wallaby.everyPod" -}}
app: wallaby
app.kubernetes.io/name: wallaby
app.kubernetes.io/part-of: {{ .Release.Name }}
{{- end -}}

{{/* With which the names of the server's Jobs begin: at most 20 characters, and its own for each release. */}}
{{- define "wallaby.jobPrefix" -}}
{{- $name := include "wallaby.fullname" . -}}
{{- if gt (len $name) 20 -}}
{{- printf "%s-%s" ($name | trunc 11 | trimSuffix "-") ($name | sha256sum | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/* Ours win over commonLabels, or nothing would be found any more. */}}
{{- define "wallaby.labels" -}}
{{- $own := include "wallaby.selector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $own (omit .Values.commonLabels "app.kubernetes.io/component")) -}}
{{- end -}}

{{- define "wallaby.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "wallaby.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "wallaby.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "wallaby.workerServiceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.workerName | default (printf "%s-worker" (include "wallaby.fullname" .)) }}
{{- else -}}
{{ .Values.serviceAccount.workerName | default "default" }}
{{- end -}}
{{- end -}}

{{/*
A name for a flow's worker, from (list ROOT FLOW-ID): valid for any flow id, the same at each upgrade, different for
different ids, and short enough for a CronJob (52).
*/}}
{{- define "wallaby.workerName" -}}
{{- $id := index . 1 -}}
{{- $word := regexReplaceAll "[^a-z0-9]+" (lower $id) "-" | trunc 18 | trimAll "-" -}}
{{- printf "%s-%s-%s" (include "wallaby.fullname" (index . 0) | trunc 22 | trimSuffix "-") ($word | default "flow") ($id | sha256sum | trunc 8) -}}
{{- end -}}
