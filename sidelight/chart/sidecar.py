"""The library chart's generated files: the sidecar's configuration as a template, the default values and their schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector import common
from collector.sidecar import sidecar_config
from sidelight.chart.gateway import environment, image
from sidelight.chart.quantity import quantity_templates
from sidelight.chart.values import Block, Value, may_be, to_schema_file, to_values_file

if TYPE_CHECKING:
    from instrumentation.settings import Settings

KUBERNETES = {
    "k8s.namespace.name": "${env:POD_NAMESPACE}",
    "k8s.node.name": "${env:NODE_NAME}",
    "k8s.pod.name": "${env:POD_NAME}",
    "service.instance.id": "${env:POD_NAME}",
}
"""Of OpenTelemetry's semantic conventions; the container's environment has them from the pod."""


def sidecar_chart_files(settings: Settings) -> dict[str, str]:
    """Path below ``helm/sidelight-sidecar`` to text, of all that follows from the settings."""
    values = sidecar_values(settings)
    return {
        "templates/_config.tpl": _template(common.to_config(sidecar_config(settings, KUBERNETES))),
        "values.yaml": to_values_file(values),
        "values.schema.json": to_schema_file(values),
        "templates/_quantity.tpl": quantity_templates("sidelight-sidecar"),
    }


def sidecar_values(settings: Settings) -> Block:
    """What a team may change of its sidecar."""
    return Block(
        key="",
        note="The defaults, written by `sidelight build`; a team overrides them below sidelight-sidecar in its own values.",
        members=(
            Value(
                key="native",
                default="auto",
                schema={"enum": ["auto", True, False]},
                note="Whether the sidecar is a native one (restartPolicy Always among the init containers); auto asks the "
                "cluster's version, 1.29 or later.",
            ),
            image(),
            Value(
                key="serviceName", default="", schema={"type": "string"}, note="The job; by default the release's name."
            ),
            Value(
                key="servicePort",
                default=8000,
                schema=may_be("count"),
                note="Where the service serves, for collector.metrics otlp and remote_write.",
            ),
            Value(
                key="memory",
                default=f"{settings.collector.memory_limit_mib}Mi",
                schema=may_be("quantity"),
                note="Request and limit, such as 256Mi or 0.5Gi; by default collector.memory_limit_mib of sidelight.yaml. The "
                "collector keeps to four fifths of it.",
            ),
            Value(key="cpuRequest", default="20m", schema=may_be("quantity")),
            Value(
                key="queueSizeLimit", default="512Mi", schema=may_be("quantity"), note="Of the volume of what waits."
            ),
            environment(),
        ),
        unset={"global": {"type": "object"}, "enabled": {"type": "boolean"}},
    )


def _template(config: str) -> str:
    """A text that Helm prints as it is."""
    return f'{{{{- define "sidelight-sidecar.config" -}}}}\n{config.replace("{{", _BRACES)}{{{{- end -}}}}\n'


_BRACES = '{{ "{{" }}'
