{{/* A flow's worker, from (dict "root" $ "from" ENTRY, with workerDefaults merged in, "component" "worker" "kind" "flow"). */}}

{{- define "wallaby.workerArgs" -}}
{{- $args := list "-flow-id" .flowId -}}
{{- if ne .kind "Deployment" -}}
{{- if eq (.mode | default "cdc") "backfill" -}}
{{- $args = concat $args (list "-mode" "backfill") -}}
{{- with .tables }}{{- $args = concat $args (list "-tables" (join "," .)) -}}{{- end -}}
{{- with .schemas }}{{- $args = concat $args (list "-schemas" (join "," .)) -}}{{- end -}}
{{- with .partitionColumn }}{{- $args = concat $args (list "-partition-column" .) -}}{{- end -}}
{{- with .partitionCount }}{{- $args = concat $args (list "-partition-count" (int . | toString)) -}}{{- end -}}
{{- else -}}
{{- $args = concat $args (list "-max-empty-reads" (.maxEmptyReads | default 1 | int | toString)) -}}
{{- end -}}
{{- end -}}
{{- with .snapshotWorkers }}{{- $args = concat $args (list "-snapshot-workers" (int . | toString)) -}}{{- end -}}
{{- toYaml $args -}}
{{- end -}}

{{- define "wallaby.workerPod" -}}
metadata:
  {{- include "wallaby.podMetadata" . | nindent 2 }}
spec:
  serviceAccountName: {{ include "wallaby.workerServiceAccount" .root }}
  automountServiceAccountToken: false
  {{- if ne .kind "Deployment" }}
  restartPolicy: Never
  {{- end }}
  {{- include "wallaby.placement" . | nindent 2 }}
  containers:
    # Without probes: a worker has no port, and one that cannot go on ends.
    - name: worker
      command: [{{ ternary "wallaby-follow" "wallaby-worker" (eq .kind "Deployment") }}]
      args:
        {{- include "wallaby.workerArgs" .from | nindent 8 }}
      {{- include "wallaby.container" . | nindent 6 }}
  volumes:
    {{- include "wallaby.volumes" . | trim | nindent 4 }}
{{- end -}}

{{- define "wallaby.workerJob" -}}
backoffLimit: {{ hasKey .from "backoffLimit" | ternary .from.backoffLimit 3 }}
{{- with .from.activeDeadlineSeconds }}
activeDeadlineSeconds: {{ int . }}
{{- end }}
template:
  {{- include "wallaby.workerPod" . | nindent 2 }}
{{- end -}}
