{{/* The four includes, and what they share. Each takes the root context of the chart that includes it. */}}

{{- define "sidelight-sidecar.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "sidelight-sidecar.name" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
  labels:
    app.kubernetes.io/instance: {{ .Release.Name | quote }}
    app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
    app.kubernetes.io/part-of: sidelight
data:
  sidecar.yaml: | {{- include "sidelight-sidecar.config" . | nindent 4 }}
{{- end -}}

{{- define "sidelight-sidecar.initContainers" -}}
{{- if eq (include "sidelight-sidecar.native" .) "true" -}}
{{- $container := include "sidelight-sidecar.container" . | fromYaml -}}
{{- list (merge (dict "restartPolicy" "Always") $container) | toYaml -}}
{{- end -}}
{{- end -}}

{{- define "sidelight-sidecar.containers" -}}
{{- if ne (include "sidelight-sidecar.native" .) "true" -}}
{{- list (include "sidelight-sidecar.container" . | fromYaml) | toYaml -}}
{{- end -}}
{{- end -}}

{{- define "sidelight-sidecar.volumes" -}}
- name: sidelight-config
  configMap: {name: {{ include "sidelight-sidecar.name" . | quote }}}
- name: sidelight-queue
  emptyDir: {sizeLimit: {{ include "sidelight-sidecar.quantity" (dict "path" "sidelight-sidecar.queueSizeLimit" "given" (index .Values "sidelight-sidecar").queueSizeLimit) | quote }}}
{{- end -}}

{{- define "sidelight-sidecar.name" -}}
{{- printf "%s-collector" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sidelight-sidecar.native" -}}
{{- $native := (index .Values "sidelight-sidecar").native | toString -}}
{{- eq $native "auto" | ternary (semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version | toString) $native -}}
{{- end -}}

{{- define "sidelight-sidecar.container" -}}
{{- $own := index .Values "sidelight-sidecar" -}}
{{- $memory := dict "path" "sidelight-sidecar.memory" "given" $own.memory -}}
name: sidelight-collector
image: {{ $own.image | quote }}
args: ["--config=/etc/sidelight/sidecar.yaml"]
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
resources:
  requests: {cpu: {{ include "sidelight-sidecar.quantity" (dict "path" "sidelight-sidecar.cpuRequest" "given" $own.cpuRequest) | quote }}, memory: {{ include "sidelight-sidecar.quantity" $memory | quote }}}
  limits: {memory: {{ include "sidelight-sidecar.quantity" $memory | quote }}}
ports:
  - {name: otelcol-metrics, containerPort: 8888}
  - {name: otelcol-health, containerPort: 13133}
startupProbe:
  httpGet: {path: /, port: otelcol-health}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /, port: otelcol-health}
env:
  - name: POD_IP
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: NODE_NAME
    valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
  - name: OTEL_SERVICE_NAME
    value: {{ $own.serviceName | default .Release.Name | quote }}
  - name: SIDELIGHT_SERVICE_PORT
    value: {{ $own.servicePort | quote }}
  {{- include "sidelight-sidecar.memoryEnvironment" $memory | nindent 2 }}
{{- with $own.env }}
{{ toYaml . | indent 2 }}
{{- end }}
volumeMounts:
  - {name: sidelight-config, mountPath: /etc/sidelight, readOnly: true}
  - {name: sidelight-queue, mountPath: /var/lib/otelcol}
{{- end -}}
