{{/* Parts that the pods of server and workers share. */}}

{{/* From (dict "root" $ "from" VALUES "component" NAME ["kind" KIND "flow" ID]). `app` stands last, so that nothing replaces it. */}}
{{- define "wallaby.podMetadata" -}}
annotations:
  {{- if not (has .kind (list "Job" "CronJob")) }}
  # New settings, new pods. A Job that has run need not run again for them.
  wallaby/settings: {{ include "wallaby.checksum" .root }}
  {{- end }}
  {{- with .flow }}
  wallaby/flow-id: {{ . | quote }}
  {{- end }}
  {{- with .from.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
labels:
  {{- $own := include "wallaby.selector" .root | fromYaml }}
  {{- $own = merge $own (include "wallaby.everyPod" .root | fromYaml) }}
  {{- $_ := set $own "app.kubernetes.io/component" .component }}
  {{- with .kind }}
  {{- $_ := set $own "wallaby/worker" (lower .) }}
  {{- end }}
  {{- toYaml (merge $own (.from.podLabels | default dict) .root.Values.commonLabels) | nindent 2 }}
{{- end -}}

{{- define "wallaby.placement" -}}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationGracePeriodSeconds: {{ .from.terminationGracePeriodSeconds }}
{{- range $name := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with get $.from $name }}
{{ $name }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .from.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Secrets of `access` that the pod has as files: a list of name, secret, path and items. Workers see no key of the server. */}}
{{- define "wallaby.accessFolders" -}}
{{- $access := .root.Values.access -}}
{{- $folders := list -}}
{{- $follows := eq (.kind | default "") "Deployment" -}}
{{- if and $access.tlsSecret (eq .component "server") -}}
{{- $folders = append $folders (dict "name" "tls" "secret" $access.tlsSecret "path" "/etc/wallaby/tls") -}}
{{- else if and $access.tlsSecret $follows -}}
{{- $ca := list (dict "key" "ca.crt" "path" "ca.crt") -}}
{{- $folders = append $folders (dict "name" "tls" "secret" $access.tlsSecret "path" "/etc/wallaby/tls" "items" $ca) -}}
{{- end -}}
{{- if and $access.tokensSecret (eq .component "server") -}}
{{- $folders = append $folders (dict "name" "tokens" "secret" $access.tokensSecret "path" "/etc/wallaby/tokens") -}}
{{- end -}}
{{- if and $access.workerSecret $access.clientCertificates $follows -}}
{{- $folders = append $folders (dict "name" "worker" "secret" $access.workerSecret "path" "/etc/wallaby/worker") -}}
{{- end -}}
{{- toYaml $folders -}}
{{- end -}}

{{/* Image, rights and environment of a container. */}}
{{- define "wallaby.container" -}}
image: {{ include "wallaby.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
envFrom:
  - configMapRef:
      name: {{ include "wallaby.fullname" .root }}-settings
  {{- if eq .component "server" }}
  - configMapRef:
      name: {{ include "wallaby.fullname" .root }}-server
  {{- end }}
  {{- with .root.Values.existingSecret }}
  - secretRef:
      name: {{ . }}
  {{- end }}
env:
  - name: WALLABY_DATA_DIR
    value: /var/lib/wallaby
  {{- if eq .root.Values.store.kind "postgres" }}
  # Named on its own: without the key the pod waits with a clear message instead of starting with an empty SQLite store.
  - name: WALLABY_POSTGRES_DSN
    valueFrom:
      secretKeyRef:
        name: {{ .root.Values.existingSecret }}
        key: WALLABY_POSTGRES_DSN
  {{- end }}
  {{- if eq (.kind | default "") "Deployment" }}
  - name: WALLABY_ENDPOINT
    value: {{ printf "%s:%d" (include "wallaby.fullname" .root) (int .root.Values.service.ports.grpc) }}
  {{- end }}
  {{- if eq (.kind | default "") "Deployment" }}
  {{- if .root.Values.access.tlsSecret }}
  - name: WALLABY_ADMIN_TLS_CA
    value: /etc/wallaby/tls/ca.crt
  {{- else if .root.Values.access.allowInsecureListen }}
  # A token that a pod has goes in clear then; the network keeps others out, as was said.
  - name: WALLABY_ADMIN_INSECURE
    value: "true"
  {{- end }}
  {{- with .root.Values.access.workerSecret }}
  - name: WALLABY_TOKEN
    valueFrom:
      secretKeyRef:
        name: {{ . }}
        key: token
        optional: true
  {{- if $.root.Values.access.clientCertificates }}
  - name: WALLABY_ADMIN_TLS_CERT
    value: /etc/wallaby/worker/tls.crt
  - name: WALLABY_ADMIN_TLS_KEY
    value: /etc/wallaby/worker/tls.key
  {{- end }}
  {{- end }}
  {{- end }}
  {{- with .from.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .from.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: data
    mountPath: /var/lib/wallaby
  - name: tmp
    mountPath: /tmp
  {{- range include "wallaby.accessFolders" . | fromYamlArray }}
  - name: {{ .name }}
    mountPath: {{ .path }}
    readOnly: true
  {{- end }}
  {{- with .from.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "wallaby.volumes" -}}
{{- if not .keepsData }}
- name: data
  emptyDir: {}
{{- end }}
- name: tmp
  emptyDir: {}
{{- range include "wallaby.accessFolders" . | fromYamlArray }}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    # Not for every user of the pod: the server refuses such files.
    defaultMode: 0440
    {{- with .items }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- with .from.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
