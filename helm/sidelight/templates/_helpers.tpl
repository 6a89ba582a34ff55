{{/* Names and labels that every object shares. */}}

{{- define "sidelight.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sidelight.fullname" -}}
{{- $name := include "sidelight.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The gateway's name. A Service's begins with a letter and has no dot, a StatefulSet's has room for what is put behind it. */}}
{{- define "sidelight.gatewayName" -}}
{{- $name := printf "%s-gateway" (include "sidelight.fullname" .) | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $name -}}{{- $name = printf "sidelight-%s" $name -}}{{- end -}}
{{- if gt (len $name) 52 -}}
{{- $name = printf "%s-%s-gateway" (trunc 37 $name | trimSuffix "-") (sha256sum $name | trunc 6) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Refuses a kind that the cluster does not have; without a cluster, as in helm template, none is known. Takes: root, api, kind,
     path, given, of, instead. */}}
{{- define "sidelight.needs" -}}
{{- $known := .root.Capabilities.APIVersions -}}
{{- if and ($known.Has "v1/ConfigMap") (not ($known.Has (printf "%s/%s" .api .kind))) -}}
{{- fail (printf "%s: got %v, and the cluster has no kind %s of %s; install the %s, or set %s." .path .given .kind .api .of .instead) -}}
{{- end -}}
{{- end -}}

{{/* The operator whose objects are of this kind, and how it spells relabeling, as JSON. */}}
{{- define "sidelight.operatorOf" -}}
{{- if hasPrefix "VM" . -}}
{{- toJson (dict "kind" . "api" "operator.victoriametrics.com/v1beta1" "of" "VictoriaMetrics operator" "relabelings" "relabelConfigs" "metricRelabelings" "metricRelabelConfigs") -}}
{{- else -}}
{{- toJson (dict "kind" . "api" "monitoring.coreos.com/v1" "of" "Prometheus Operator" "relabelings" "relabelings" "metricRelabelings" "metricRelabelings") -}}
{{- end -}}
{{- end -}}

{{/* An object's metadata. Takes: root, name, and optionally labels and annotations of its own. */}}
{{- define "sidelight.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels: {{- include "sidelight.labels" . | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where a pod runs, and what it needs for it. */}}
{{- define "sidelight.scheduling" -}}
{{- $said := dict -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- with index $ $key -}}{{- $_ := set $said $key . -}}{{- end -}}
{{- end -}}
{{- with $said -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{/* An object's labels: its own win over commonLabels, and both over the standard ones. Takes: root, labels. */}}
{{- define "sidelight.labels" -}}
{{- $standard := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/name" (include "sidelight.name" .root)
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/managed-by" .root.Release.Service
  "app.kubernetes.io/part-of" "sidelight" -}}
{{- toYaml (merge (dict) (.labels | default dict) .root.Values.commonLabels $standard) -}}
{{- end -}}
