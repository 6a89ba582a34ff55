"""Helm templates of both charts that parse Kubernetes quantities, such as 1.5Gi, and refuse anything else."""

from __future__ import annotations

LEAST_MIB = 32
"""The least memory for a collector; its own process needs nearly that much."""

_TEMPLATE = """\
{{/* Written by `sidelight build`: quantities as Kubernetes writes them. Takes: path, given. */}}

{{/* The text of a quantity. */}}
{{- define "CHART.quantity" -}}
{{- $text := kindIs "string" .given | ternary .given (toJson .given) -}}
{{- if not (regexMatch "^([0-9]+[.]?[0-9]*|[.][0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$" $text) -}}
{{- fail (printf "%s: got %s; give a quantity as Kubernetes writes it, such as 512Mi, 1.5Gi, 1G or 500m." .path (toJson .given)) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* A quantity as a number. */}}
{{- define "CHART.bytes" -}}
{{- $text := include "CHART.quantity" . -}}
{{- $unit := regexFind "[a-zA-Z]+$" $text -}}
{{- $factors := dict "" 1.0 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
  "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- mulf (trimSuffix $unit $text | float64) (index $factors $unit) | toJson -}}
{{- end -}}

{{/* Fifths of a quantity of memory in whole MiB. Takes besides: fifths. */}}
{{- define "CHART.mebibytes" -}}
{{- $bytes := include "CHART.bytes" . | float64 -}}
{{- if lt $bytes LEAST_BYTES -}}
{{- fail (printf "%s: got %s, which is %s bytes; give at least LEAST_MIBMi, such as 128Mi, since a collector needs that for itself." .path (include "CHART.quantity" .) (toJson $bytes)) -}}
{{- end -}}
{{- divf (mulf $bytes .fifths) 5242880.0 | floor | int64 -}}
{{- end -}}

{{/* The collector's environment of a memory limit: Go's runtime and the memory limiter keep to four fifths of it. */}}
{{- define "CHART.memoryEnvironment" -}}
{{- $limit := include "CHART.mebibytes" (merge (dict "fifths" 4) .) -}}
- {name: GOMEMLIMIT, value: {{ printf "%sMiB" $limit | quote }}}
- {name: SIDELIGHT_MEMORY_LIMIT_MIB, value: {{ $limit | quote }}}
- {name: SIDELIGHT_MEMORY_SPIKE_MIB, value: {{ include "CHART.mebibytes" (merge (dict "fifths" 1) .) | quote }}}
{{- end -}}
"""


def quantity_templates(chart: str) -> str:
    """The text of a chart's ``_quantity.tpl``, with templates named after the chart."""
    text = _TEMPLATE.replace("CHART", chart)
    return text.replace("LEAST_BYTES", f"{LEAST_MIB * 2**20}.0").replace("LEAST_MIB", str(LEAST_MIB))
