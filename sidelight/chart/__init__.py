"""The Helm chart's generated files: rules with open places, dashboards, default values, and the schema of all values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.model import to_yaml
from collector.gateway import to_gateway_config
from sidelight.chart.alertmanager import alertmanager_parts, alertmanager_values, targets_schema
from sidelight.chart.gateway import gateway_values
from sidelight.chart.objects import collector_monitor_values, dashboards_values, helm_test_values, pod_monitor_values
from sidelight.chart.quantity import quantity_templates
from sidelight.chart.readme import to_readme
from sidelight.chart.rules import alerts_values, bucket_edges, chart_rules, rules_values
from sidelight.chart.values import Block, ChartError, Value, labels, may_be, to_schema_file, to_values_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.settings import Settings

__all__ = ["CONFIGMAP_BYTES", "ChartError", "chart_files", "chart_values", "dashboard_files"]

DASHBOARDS = "files/dashboards"
CONFIGMAP_BYTES = 1 << 20  # Kubernetes refuses a ConfigMap that holds more


def chart_files(settings: Settings) -> dict[str, str]:
    """Path below ``helm/sidelight`` to text, of all that follows from the settings.

    Raises:
        ChartError: Two overrides would have one name in the values, or two secrets one key.
    """
    values = chart_values(settings)
    return {
        "files/rules.yaml": to_yaml(chart_rules(settings), "sidelight file/ignore: the chart fills the places"),
        "files/gateway.yaml": to_gateway_config(settings),
        "files/alertmanager.yaml": to_yaml(alertmanager_parts(settings)),
        "templates/_quantity.tpl": quantity_templates("sidelight"),
        "README.md": to_readme(values),
        "values.yaml": to_values_file(values),
        "values.schema.json": to_schema_file(values, targets=targets_schema()),
    }


def dashboard_files(dashboards: Mapping[str, str]) -> dict[str, str]:
    """Path below ``helm/sidelight`` to text, of dashboards given as file name to JSON.

    Raises:
        ChartError: A dashboard is larger than a ConfigMap may be.
    """
    for name, text in dashboards.items():
        size = len(name.encode()) + len(text.encode())
        if size > CONFIGMAP_BYTES:
            raise ChartError(
                f"{name}: is {size} bytes with its name, and a ConfigMap holds {CONFIGMAP_BYTES}; "
                "split the dashboard in two.",
                code="chart_dashboard_too_large",
                details={"name": name, "bytes": size},
            )
    return {f"{DASHBOARDS}/{name}": text for name, text in dashboards.items()}


def chart_values(settings: Settings) -> Block:
    """Every value of the chart.

    Raises:
        ChartError: Two overrides would have one name.
    """
    return Block(
        key="",
        note="The defaults, written by `sidelight build` from sidelight.yaml: change them there, "
        "or override them with a values file of your own.",
        members=(
            rules_values(settings),
            alerts_values(settings),
            bucket_edges(settings),
            dashboards_values(settings),
            pod_monitor_values(settings),
            collector_monitor_values(),
            alertmanager_values(settings),
            gateway_values(settings),
            helm_test_values(),
            labels("commonLabels", "Labels on every object, such as {release: monitoring}."),
            Value(key="nameOverride", default="", schema=may_be("objectName"), note="Stands for the chart's name."),
            Value(key="fullnameOverride", default="", schema=may_be("objectName"), note="Names the objects."),
        ),
        # A parent chart passes these on.
        unset={"global": {"type": "object"}, "enabled": {"type": "boolean"}},
    )
