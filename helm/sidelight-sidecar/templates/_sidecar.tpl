{{/* The four includes, and what they share. Each takes the root context of the chart that includes it, or, if that chart depends on
     this one under an alias, (dict "root" . "alias" "<alias>"). */}}

{{/* The values of this dependency, as JSON. */}}
{{- define "sidelight-sidecar.own" -}}
{{- $root := .root | default . -}}
{{- $alias := .alias | default "sidelight-sidecar" -}}
{{- if not (hasKey $root.Values $alias) -}}
{{- fail (printf "%s: got no values. If the dependency sidelight-sidecar has an alias, include with (dict \"root\" . \"alias\" \"<alias>\")." $alias) -}}
{{- end -}}
{{- index $root.Values $alias | toJson -}}
{{- end -}}

{{- define "sidelight-sidecar.configMap" -}}
{{- $root := .root | default . -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "sidelight-sidecar.name" . | quote }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
    app.kubernetes.io/managed-by: {{ $root.Release.Service | quote }}
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
{{- $own := include "sidelight-sidecar.own" . | fromJson -}}
{{- $path := printf "%s.queueSizeLimit" (.alias | default "sidelight-sidecar") -}}
- name: sidelight-config
  configMap: {name: {{ include "sidelight-sidecar.name" . | quote }}}
- name: sidelight-queue
  emptyDir: {sizeLimit: {{ include "sidelight-sidecar.quantity" (dict "path" $path "given" $own.queueSizeLimit) | quote }}}
{{- end -}}

{{- define "sidelight-sidecar.name" -}}
{{- printf "%s-%s" (.root | default .).Release.Name (.alias | default "collector") | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sidelight-sidecar.native" -}}
{{- $native := (include "sidelight-sidecar.own" . | fromJson).native | toString -}}
{{- eq $native "auto" | ternary (semverCompare ">=1.29.0-0" (.root | default .).Capabilities.KubeVersion.Version | toString) $native -}}
{{- end -}}

{{- define "sidelight-sidecar.container" -}}
{{- $own := include "sidelight-sidecar.own" . | fromJson -}}
{{- $alias := .alias | default "sidelight-sidecar" -}}
{{- $memory := dict "path" (printf "%s.memory" $alias) "given" $own.memory -}}
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
  requests: {cpu: {{ include "sidelight-sidecar.quantity" (dict "path" (printf "%s.cpuRequest" $alias) "given" $own.cpuRequest) | quote }}, memory: {{ include "sidelight-sidecar.quantity" $memory | quote }}}
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
    value: {{ $own.serviceName | default (.root | default .).Release.Name | quote }}
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
