"""The library chart's generated files: the sidecar's configuration as a template, default values and their schema."""

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
"""Resource attributes of OpenTelemetry's semantic conventions to the container's variables, which come from the pod."""


def sidecar_chart_files(settings: Settings) -> dict[str, str]:
    """Path below ``helm/sidelight-sidecar`` to text, for all files generated from the settings."""
    values = sidecar_values(settings)
    return {
        "templates/_config.tpl": _template(common.to_config(sidecar_config(settings, KUBERNETES))),
        "values.yaml": to_values_file(values),
        "values.schema.json": to_schema_file(values),
        "templates/_quantity.tpl": quantity_templates("sidelight-sidecar"),
    }


def sidecar_values(settings: Settings) -> Block:
    """The values that a team can set for its sidecar."""
    return Block(
        key="",
        note="The defaults, written by `sidelight build`. Override them in your own values, below sidelight-sidecar.",
        members=(
            Value(
                key="native",
                default="auto",
                schema={"enum": ["auto", True, False]},
                note="Whether to use a native sidecar (an init container with restartPolicy Always). auto does so if the "
                "cluster's version is 1.29 or newer.",
            ),
            image(),
            Value(
                key="serviceName", default="", schema={"type": "string"}, note="The job (default: the release's name)."
            ),
            Value(
                key="servicePort",
                default=8000,
                schema=may_be("count"),
                note="The service's port, which the sidecar scrapes if collector.metrics is otlp or remote_write.",
            ),
            Value(
                key="memory",
                default=f"{settings.collector.memory_limit_mib}Mi",
                schema=may_be("quantity"),
                note="Memory request and limit, such as 256Mi or 0.5Gi (default: collector.memory_limit_mib in sidelight.yaml). "
                "The collector uses up to four fifths of it.",
            ),
            Value(key="cpuRequest", default="20m", schema=may_be("quantity")),
            Value(
                key="queueSizeLimit",
                default="512Mi",
                schema=may_be("quantity"),
                note="Size limit of the queue's volume.",
            ),
            environment(),
        ),
        unset={"global": {"type": "object"}, "enabled": {"type": "boolean"}},
    )


def _template(config: str) -> str:
    """A text that Helm does not interpret."""
    return f'{{{{- define "sidelight-sidecar.config" -}}}}\n{config.replace("{{", _BRACES)}{{{{- end -}}}}\n'


_BRACES = '{{ "{{" }}'
