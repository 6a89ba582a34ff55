"""The Helm chart's generated files: rules with placeholders, dashboards, default values and their schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts import groups
from alerts.model import to_yaml
from collector.balancer import to_balancer_config
from collector.gateway import to_gateway_config
from sidelight.chart.alertmanager import alertmanager_parts, alertmanager_values, targets_schema
from sidelight.chart.gateway import gateway_values
from sidelight.chart.objects import collector_monitor_values, dashboards_values, helm_test_values, pod_monitor_values
from sidelight.chart.quantity import quantity_templates
from sidelight.chart.readme import to_readme
from sidelight.chart.rules import alerts_values, bucket_edges, chart_rules, rules_values
from sidelight.chart.values import Block, ChartError, Value, annotated, labels, may_be, to_schema_file, to_values_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alerts.model import RuleGroup
    from instrumentation.settings import Settings

__all__ = ["CONFIGMAP_BYTES", "ChartError", "chart_files", "chart_values", "dashboard_files"]

DASHBOARDS = "files/dashboards"
_GATEWAYS = "${env:SIDELIGHT_GATEWAYS}"  # the chart knows the Service's name
CONFIGMAP_BYTES = 1 << 20  # Kubernetes refuses a larger ConfigMap


def chart_files(settings: Settings, made: Sequence[RuleGroup] | None = None) -> dict[str, str]:
    """Path below ``helm/sidelight`` to text, for all files generated from the settings.

    Args:
        settings: The settings.
        made: Their rule groups, if they have been made already.

    Raises:
        ChartError: Two overrides would have the same name in the values, or two secrets the same key.
    """
    made = groups(settings) if made is None else made
    values = chart_values(settings, made)
    return {
        "files/rules.yaml": to_yaml(
            chart_rules(settings, made), "sidelight file/ignore: the chart replaces the placeholders"
        ),
        "files/gateway.yaml": to_gateway_config(settings),
        "files/balancer.yaml": to_balancer_config(settings, _GATEWAYS) or "",
        "files/alertmanager.yaml": to_yaml(alertmanager_parts(settings, made)),
        "templates/_quantity.tpl": quantity_templates("sidelight"),
        "README.md": to_readme(values),
        "values.yaml": to_values_file(values),
        "values.schema.json": to_schema_file(values, targets=targets_schema()),
    }


def dashboard_files(dashboards: Mapping[str, str]) -> dict[str, str]:
    """Path below ``helm/sidelight`` to text, for dashboards given as file name to JSON.

    Raises:
        ChartError: A dashboard does not fit into a ConfigMap.
    """
    for name, text in dashboards.items():
        size = len(name.encode()) + len(text.encode())
        if size > CONFIGMAP_BYTES:
            raise ChartError(
                f"{name}: is {size} bytes with its name, but a ConfigMap holds at most {CONFIGMAP_BYTES}; "
                "split the dashboard in two.",
                code="chart_dashboard_too_large",
                details={"name": name, "bytes": size},
            )
    return {f"{DASHBOARDS}/{name}": text for name, text in dashboards.items()}


def chart_values(settings: Settings, made: Sequence[RuleGroup]) -> Block:
    """Every value of the chart.

    Args:
        settings: The settings.
        made: Their rule groups.

    Raises:
        ChartError: Two overrides would have the same name.
    """
    return Block(
        key="",
        note="The defaults, written by `sidelight build` from sidelight.yaml. Change them there, "
        "or override them with your own values file.",
        members=(
            rules_values(settings, made),
            alerts_values(settings),
            bucket_edges(settings),
            dashboards_values(settings),
            pod_monitor_values(settings),
            collector_monitor_values(),
            alertmanager_values(settings),
            gateway_values(settings),
            helm_test_values(),
            labels("commonLabels", "Labels on every object, such as {release: monitoring}."),
            annotated("commonAnnotations", "Annotations on every object."),
            Value(
                key="checkSecrets",
                default=True,
                schema=may_be("flag"),
                note="Whether the notes name the keys of Secrets that are missing. Helm then reads these Secrets in the release's "
                "namespace, where it also keeps its releases as Secrets.",
            ),
            Value(key="nameOverride", default="", schema=may_be("objectName"), note="Replaces the chart's name."),
            Value(
                key="fullnameOverride",
                default="",
                schema=may_be("objectName"),
                note="Replaces the name of the objects.",
            ),
        ),
        # A parent chart passes these.
        unset={"global": {"type": "object"}, "enabled": {"type": "boolean"}},
    )
