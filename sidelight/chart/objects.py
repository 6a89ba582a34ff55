"""Values of the objects beside the rules: dashboards, monitors and test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.chart.values import Block, Value, flag, labels, may_be

if TYPE_CHECKING:
    from instrumentation.settings import Settings


def dashboards_values(settings: Settings) -> Block:
    """How Grafana's sidecar finds the dashboards."""
    return Block(
        key="dashboards",
        note="The dashboards, one ConfigMap each, for the sidecar of Grafana's chart.",
        members=(
            flag("enabled"),
            Value(
                key="label",
                default="grafana_dashboard",
                schema=may_be("labelName"),
                note="The label the sidecar looks for (its sidecar.dashboards.label and labelValue).",
            ),
            Value(key="labelValue", default="1", schema=may_be("labelValue")),
            Value(
                key="folder",
                default=settings.dashboards.folder,
                schema=may_be("text"),
                note="Grafana's folder; the sidecar heeds it with sidecar.dashboards.folderAnnotation set to the "
                "annotation's name and provider.foldersFromFilesStructure to true.",
            ),
            Value(key="folderAnnotation", default="grafana_folder", schema=may_be("labelName")),
            labels("labels"),
            Value(key="annotations", default={}, schema=may_be("annotations")),
        ),
    )


def pod_monitor_values(settings: Settings) -> Block:
    """Which pods are scraped."""
    pushed = settings.collector.metrics != "scrape"
    return Block(
        key="podMonitor",
        note="Scrapes the services' pods by way of the Prometheus Operator."
        + (
            f" Not here: the sidecars push by {settings.collector.metrics}, and twice would be once too often."
            if pushed
            else ""
        ),
        members=(
            Value(key="enabled", default=False, schema={"const": False}) if pushed else flag("enabled", default=False),
            labels("labels"),
            Value(
                key="jobLabel",
                default="app.kubernetes.io/name",
                schema=may_be("labelName"),
                note="The pods' label that becomes job. Without it all pods would be one service to the rules.",
            ),
            Value(
                key="selector",
                default={},
                schema=may_be("selector"),
                note="Which pods, such as {matchLabels: {app.kubernetes.io/part-of: shop}}.",
            ),
            Value(
                key="namespaceSelector",
                default={},
                schema=may_be("namespaceSelector"),
                note="In which namespaces, such as {any: true} or {matchNames: [shop]}; by default the release's own.",
            ),
            Value(key="port", default="http", schema=may_be("text"), note="The name of the container's port."),
            Value(
                key="path",
                default=settings.metrics.path or "/metrics",
                schema={"type": "string", "pattern": "^/"},
            ),
            Value(
                key="interval",
                default=str(settings.metrics.scrape_interval),
                schema=may_be("duration"),
                note=f"At most a quarter of the rules' window, which is {settings.alerting.window}.",
            ),
        ),
    )


def collector_monitor_values() -> Block:
    """Where the collectors' own metrics are scraped."""
    return Block(
        key="collectorMonitor",
        note="Scrapes the metrics of the collectors themselves, sidecars and gateways, which CollectorDroppingData and "
        "CollectorQueueFilling read; at podMonitor's interval. job is podMonitor's with -collector behind it, so no alert "
        "takes a collector for the service.",
        members=(
            flag("enabled", default=False),
            labels("labels"),
            Value(
                key="selector",
                default={},
                schema=may_be("selector"),
                note="Which pods; by default all that have a port called otelcol-metrics.",
            ),
            Value(
                key="namespaceSelector",
                default={},
                schema=may_be("namespaceSelector"),
                note="In which namespaces, such as {any: true}; by default the release's own, where no sidecars may be.",
            ),
        ),
    )


def helm_test_values() -> Block:
    """What ``helm test`` asks."""
    return Block(
        key="test",
        note="A Pod that `helm test` runs. It asks Prometheus whether it has loaded the rules and, with podMonitor, scrapes pods; and with "
        "alertmanagerConfig it asks Alertmanager whether it has loaded the routes and leads this release's Watchdog to its receiver.",
        members=(
            flag("enabled", default=False),
            Value(
                key="prometheusURL",
                default="http://prometheus-operated:9090",
                schema={"type": "string", "pattern": "^https?://[^/]+"},
                note="Where Prometheus answers, as the Pod reaches it.",
            ),
            Value(
                key="alertmanagerURL",
                default="http://alertmanager-operated:9093",
                schema={"type": "string", "pattern": "^https?://[^/]+"},
                note="Where Alertmanager answers, as the Pod reaches it.",
            ),
            Value(
                key="image",
                default="docker.io/curlimages/curl:8.11.1",
                schema=may_be("text"),
                note="An image with sh, curl and grep.",
            ),
            Value(key="attempts", default=30, schema=may_be("count"), note="How often it asks, 2 seconds apart."),
        ),
    )
