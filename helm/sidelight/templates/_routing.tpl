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

{{/* The keys of Secrets that objects of the operator name and no Secret of the namespace has, as {name: [key, ...]}; all of them if
     there is no cluster to ask. */}}
{{- define "sidelight.missingSecrets" -}}
{{- $named := list -}}
{{- if .Values.alertmanagerConfig.enabled -}}
{{- $routing := include "sidelight.routing" . | fromJson -}}
{{- range $receiver := $routing.receivers -}}
{{- range omit (include "sidelight.receiver" (dict "root" $ "routing" $routing "receiver" $receiver) | fromJson) "name" -}}
{{- range . -}}{{- $named = concat $named (values .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.podMonitor.enabled -}}{{- $named = concat $named (values .Values.podMonitor.authorization) -}}{{- end -}}
{{- $missing := dict -}}
{{- range $secret := $named -}}
{{- if kindIs "map" $secret -}}
{{- if not (hasKey ((lookup "v1" "Secret" $.Release.Namespace $secret.name).data | default dict) $secret.key) -}}
{{- $_ := set $missing $secret.name (append (index $missing $secret.name | default list) $secret.key | uniq | sortAlpha) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $missing -}}
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
{{- range $kind, $targets := $given -}}
{{- $configs := list -}}
{{- range kindIs "map" $targets | ternary (list $targets) $targets -}}
{{- $configs = append $configs (merge (deepCopy .) (index $routing.messages $kind) (dict "sendResolved" $receiver.sendResolved)) -}}
{{- end -}}
{{- $_ := set $filled (printf "%sConfigs" $kind) $configs -}}
{{- end -}}
{{- toJson $filled -}}
{{- end -}}
