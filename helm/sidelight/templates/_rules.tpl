{{/* From files/rules.yaml and the values to the rules that are installed. Rules stay data all the way. */}}

{{/* A number as alerts.rules.number writes it. Helm reads every number as float64, which it prints as 1e+08 from seven
     digits on; toJson does so only from 1e21 on, but prints 0.00001 where Python prints 1e-05. */}}
{{- define "sidelight.number" -}}
{{- $number := float64 . -}}
{{- if or (lt $number 0.0001) (ge $number 1e16) -}}{{ printf "%v" $number }}{{- else -}}{{ toJson $number }}{{- end -}}
{{- end -}}

{{/* A text with the numbers in its places. Takes: text, parameters, own. */}}
{{- define "sidelight.filled" -}}
{{- $text := .text -}}
{{- $own := .own -}}
{{- range .parameters -}}
{{- $text = replace (printf "[[%s]]" .) (include "sidelight.number" (index $own .)) $text -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* The matchers of the scope, such as job=~"shop|search"; a collector's job is its service's with -collector behind it. */}}
{{- define "sidelight.scope" -}}
{{- $allowed := (.Files.Get "files/rules.yaml" | fromYaml).labels -}}
{{- $matchers := list -}}
{{- range $label, $values := .Values.rules.scope -}}
{{- if not (has $label $allowed) -}}
{{- fail (printf "rules.scope.%s: got a label that the rules do not keep; give one of %s, or add it to alerting.group_by in sidelight.yaml." $label (join ", " $allowed)) -}}
{{- end -}}
{{- $quoted := list -}}
{{- range $values -}}{{- $quoted = append $quoted (regexQuoteMeta .) -}}{{- end -}}
{{- $pattern := join "|" $quoted -}}
{{- if eq $label "job" -}}{{- $pattern = printf "(%s)(-collector)?" $pattern -}}{{- end -}}
{{- $matchers = append $matchers (printf "%s=~%s" $label (toRawJson $pattern)) -}}
{{- end -}}
{{- join "," $matchers -}}
{{- end -}}

{{/* Whether this release has Watchdog: one without a scope does, and one that has somebody to send it to. */}}
{{- define "sidelight.hasWatchdog" -}}
{{- $routing := .Values.alertmanagerConfig -}}
{{- if not .Values.rules.scope -}}true
{{- else if $routing.enabled -}}
{{- if index (hasKey $routing.receivers "watchdog" | ternary $routing.receivers (include "sidelight.routing" . | fromJson).targets) "watchdog" -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* The alert rules that are switched on, as {rules: [HighErrorRate.critical, ...]}. */}}
{{- define "sidelight.live" -}}
{{- $live := list -}}
{{- $watchdog := include "sidelight.hasWatchdog" . -}}
{{- range $group := (.Files.Get "files/rules.yaml" | fromYaml).groups -}}
{{- range $rule := $group.rules -}}
{{- if and $rule.alert (index $.Values.rules.groups $group.key) -}}
{{- $alert := index $.Values.alerts $rule.alert -}}
{{- if and $alert.enabled (index $alert $rule.key).enabled (or $watchdog (ne $rule.alert "Watchdog")) -}}
{{- $live = append $live (printf "%s.%s" $rule.alert $rule.key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "rules" $live) -}}
{{- end -}}

{{/* What is left of all groups, as {groups: [...]}. */}}
{{- define "sidelight.rules" -}}
{{- $data := .Files.Get "files/rules.yaml" | fromYaml -}}
{{- $live := (include "sidelight.live" . | fromJson).rules -}}
{{- include "sidelight.checkOrder" (dict "root" . "order" $data.order "live" $live) -}}
{{- $groups := list -}}
{{- range $group := $data.groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- if $rule.alert -}}
{{- if has (printf "%s.%s" $rule.alert $rule.key) $live -}}
{{- $rules = append $rules (include "sidelight.alertRule" (dict "root" $ "rule" $rule "linked" $data.linked) | fromJson) -}}
{{- end -}}
{{- else -}}
{{- $readers := list -}}
{{- range $rule.readers -}}{{- if has . $live -}}{{- $readers = append $readers . -}}{{- end -}}{{- end -}}
{{- with $readers -}}
{{- include "sidelight.checkRecorded" (dict "root" $ "group" $group "rule" $rule "reader" (first .)) -}}
{{- end -}}
{{- if or $readers (and $rule.shown (index $.Values.rules.groups $group.key)) -}}
{{- $rules = append $rules (omit $rule "readers" "shown") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}
{{- $groups = append $groups (dict "name" $group.name "interval" $group.interval "rules" $rules) -}}
{{- end -}}
{{- end -}}
{{- $scope := include "sidelight.scope" . -}}
{{- $own := $scope | empty | ternary "" (printf "{%s}" $scope) -}}
{{- $more := $scope | empty | ternary "" (printf "%s," $scope) -}}
{{- range $groups -}}
{{- range .rules -}}
{{- $_ := set . "expr" (.expr | replace "[[scope]]" $own | replace "[[scope,]]" $more) -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "groups" $groups) -}}
{{- end -}}

{{/* The groups in as few objects as hold them, as {objects: [{name, groups: [...]}]}. The operator refuses an object of more than 524288
     bytes without a word to Helm, and kubectl apply writes what it applies into an annotation, which ends at 262144. Rules of a
     group that is larger than an object continue in a group with a number. */}}
{{- define "sidelight.ruleObjects" -}}
{{- $most := 220000 -}}{{/* bytes of JSON; a ConfigMap with them is a tenth larger */}}
{{- $pieces := list -}}
{{- range $group := (include "sidelight.rules" . | fromJson).groups -}}
{{- $name := $group.name -}}
{{- $number := 1 -}}
{{- $rules := list -}}
{{- $size := 0 -}}
{{- range $rule := $group.rules -}}
{{- $more := len (toJson $rule) -}}
{{- if and $rules (gt (add $size $more | int) $most) -}}
{{- $pieces = append $pieces (dict "size" $size "group" (dict "name" $name "interval" $group.interval "rules" $rules)) -}}
{{- $number = add $number 1 -}}
{{- $name = printf "%s.%d" $group.name $number -}}
{{- $rules = list -}}
{{- $size = 0 -}}
{{- end -}}
{{- $rules = append $rules $rule -}}
{{- $size = add $size $more | int -}}
{{- end -}}
{{- $pieces = append $pieces (dict "size" $size "group" (dict "name" $name "interval" $group.interval "rules" $rules)) -}}
{{- end -}}
{{- $objects := list -}}
{{- $groups := list -}}
{{- $size := 0 -}}
{{- range $pieces -}}
{{- if and $groups (gt (add $size .size | int) $most) -}}
{{- $objects = append $objects $groups -}}
{{- $groups = list -}}
{{- $size = 0 -}}
{{- end -}}
{{- $groups = append $groups .group -}}
{{- $size = add $size .size | int -}}
{{- end -}}
{{- if $groups -}}{{- $objects = append $objects $groups -}}{{- end -}}
{{- $base := printf "%s%s" (include "sidelight.fullname" .) (eq .Values.rules.kind "ConfigMap" | ternary "-rules" "") -}}
{{- $named := list -}}
{{- range $index, $groups := $objects -}}
{{- $named = append $named (dict "name" (eq $index 0 | ternary $base (printf "%s-%d" $base (add $index 1))) "groups" $groups) -}}
{{- end -}}
{{- toJson (dict "objects" $named) -}}
{{- end -}}

{{/* One alert rule with the values' numbers, durations, labels and annotations. Takes: root, rule, linked. */}}
{{- define "sidelight.alertRule" -}}
{{- $rule := .rule -}}
{{- $alert := index .root.Values.alerts $rule.alert -}}
{{- $own := index $alert $rule.key -}}
{{- $all := .root.Values.rules -}}
{{- range $rule.on_edge -}}
{{- include "sidelight.checkEdge" (dict "root" $.root "path" (printf "alerts.%s.%s.%s" $rule.alert $rule.key .) "given" (index $own .)) -}}
{{- end -}}
{{- $annotations := dict -}}
{{- range $name, $text := $rule.annotations -}}
{{- $_ := set $annotations $name (include "sidelight.filled" (dict "text" $text "parameters" $rule.parameters "own" $own)) -}}
{{- end -}}
{{- $said := merge (dict) $alert.labels $all.alertLabels -}}
{{- if and (hasKey $said "namespace") (ne (include "sidelight.namespaceLabel" .root) "namespace") -}}
{{- fail (printf "alerts.%s.labels.namespace: got %s, but under alertmanagerConfig.matcherStrategy OnNamespace this label is the release's namespace; leave it out here and in rules.alertLabels, or give another strategy." $rule.alert $said.namespace) -}}
{{- end -}}
{{- with $all.runbookURL -}}
{{- $_ := set $annotations "runbook_url" (. | replace "{alert}" $rule.alert | replace "{labels}" $.linked) -}}
{{- end -}}
{{- $filled := dict
  "alert" $rule.alert
  "expr" (include "sidelight.filled" (dict "text" $rule.expr "parameters" $rule.parameters "own" $own))
  "for" $own.for
  "labels" (merge (dict "severity" $own.severity) (include "sidelight.routingLabels" . | fromJson) $said $rule.labels)
  "annotations" (merge (deepCopy $alert.annotations) $all.alertAnnotations $annotations) -}}
{{- with $own.keep_firing_for -}}{{- $_ := set $filled "keep_firing_for" . -}}{{- end -}}
{{- toJson $filled -}}
{{- end -}}

{{/* A threshold must be a bucket edge, and not the highest one. Takes: root, path, given. */}}
{{- define "sidelight.checkEdge" -}}
{{- $given := float64 .given -}}
{{- $edge := false -}}
{{- $higher := false -}}
{{- range .root.Values.bucketEdges -}}
{{- if eq (float64 .) $given -}}{{- $edge = true -}}{{- end -}}
{{- if gt (float64 .) $given -}}{{- $higher = true -}}{{- end -}}
{{- end -}}
{{- $number := include "sidelight.number" $given -}}
{{- if not $edge -}}
{{- fail (printf "%s: got %s, which is not in bucketEdges, and only a bucket edge is compared exactly; add %s to thresholds.latency_p95_seconds in sidelight.yaml, so that the services have the edge, then to bucketEdges here." .path $number $number) -}}
{{- else if not $higher -}}
{{- fail (printf "%s: got %s, which is the highest of bucketEdges, and a percentile never reads above it; give the services a higher edge in sidelight.yaml, then add that to bucketEdges here." .path $number) -}}
{{- end -}}
{{- end -}}

{{/* A warning comes first, so it is at or below critical. Takes: root, order, live. */}}
{{- define "sidelight.checkOrder" -}}
{{- $live := .live -}}
{{- range .order -}}
{{- if and (has (printf "%s.%s" .alert .warning) $live) (has (printf "%s.%s" .alert .critical) $live) -}}
{{- $alert := index $.root.Values.alerts .alert -}}
{{- $warning := (index $alert .warning).threshold -}}
{{- $critical := (index $alert .critical).threshold -}}
{{- if gt (float64 $warning) (float64 $critical) -}}
{{- fail (printf "alerts.%s.%s.threshold: got %s above alerts.%s.%s.threshold %s; give a warning at or below critical, since a warning comes first." .alert .warning (include "sidelight.number" $warning) .alert .critical (include "sidelight.number" $critical)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* No alert reads what is not recorded. Takes: root, group, rule, reader. */}}
{{- define "sidelight.checkRecorded" -}}
{{- if not (index .root.Values.rules.groups .group.key) -}}
{{- fail (printf "rules.groups.%s: got false, but alerts.%s reads %s, which this group records; leave the group on and disable its alerts one by one, or disable alerts.%s too." .group.key .reader .rule.record .reader) -}}
{{- end -}}
{{- end -}}
