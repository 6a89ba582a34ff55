{{/* Whose alerts these are, and who hears them. */}}

{{/* The value of the label sidelight, which every alert of this release carries and no other alert does. */}}
{{- define "sidelight.owner" -}}
{{- printf "%s/%s" .Release.Namespace (include "sidelight.fullname" .) -}}
{{- end -}}

{{/* The alert label that names the service's namespace: under OnNamespace the label namespace is the release's. */}}
{{- define "sidelight.namespaceLabel" -}}
{{- $own := .Values.alertmanagerConfig -}}
{{- ternary "exported_namespace" "namespace" (and $own.enabled (eq $own.matcherStrategy "OnNamespace")) -}}
{{- end -}}

{{/* The labels that lead an alert to its routes. Takes: root, rule. */}}
{{- define "sidelight.routingLabels" -}}
{{- $labels := dict "sidelight" (include "sidelight.owner" .root) -}}
{{- $label := include "sidelight.namespaceLabel" .root -}}
{{- if ne $label "namespace" -}}
{{- $_ := set $labels "namespace" .root.Release.Namespace -}}
{{- if .rule.namespaced -}}{{- $_ := set $labels $label "{{ $labels.namespace }}" -}}{{- end -}}
{{- end -}}
{{- toJson $labels -}}
{{- end -}}

{{/* files/alertmanager.yaml, as JSON. */}}
{{- define "sidelight.routing" -}}
{{- .Files.Get "files/alertmanager.yaml" | replace "[[namespace]]" (include "sidelight.namespaceLabel" .) | fromYaml | toJson -}}
{{- end -}}

{{/* A receiver with the targets of the first that is given, in the values or else in the settings. Takes: root, routing, receiver. */}}
{{- define "sidelight.receiver" -}}
{{- $routing := .routing -}}
{{- $receiver := .receiver -}}
{{- $values := .root.Values.alertmanagerConfig.receivers -}}
{{- $given := dict -}}
{{- range reverse $receiver.instead -}}
{{- $targets := index (hasKey $values . | ternary $values $routing.targets) . -}}
{{- if kindIs "map" $targets -}}{{- $given = $targets -}}{{- end -}}
{{- end -}}
{{- $filled := dict "name" $receiver.name -}}
{{- range $kind, $target := $given -}}
{{- $config := merge (deepCopy $target) (index $routing.messages $kind) (dict "sendResolved" $receiver.sendResolved) -}}
{{- $_ := set $filled (printf "%sConfigs" $kind) (list $config) -}}
{{- end -}}
{{- toJson $filled -}}
{{- end -}}
