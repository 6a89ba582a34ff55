"""Values of dashboards, monitors and the Helm test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.chart.gateway import scheduling
from sidelight.chart.secret_keys import secret_key
from sidelight.chart.values import Block, Value, annotated, every, flag, labels, may_be

if TYPE_CHECKING:
    from instrumentation.settings import Settings


def dashboards_values(settings: Settings) -> Block:
    """Values of the dashboards."""
    return Block(
        key="dashboards",
        note="The dashboards, one ConfigMap each, loaded by the sidecar of Grafana's chart.",
        members=(
            flag("enabled"),
            Value(
                key="label",
                default="grafana_dashboard",
                schema=may_be("labelName"),
                note="The label that the sidecar selects (its sidecar.dashboards.label and labelValue).",
            ),
            Value(key="labelValue", default="1", schema=may_be("labelValue")),
            Value(
                key="folder",
                default=settings.dashboards.folder,
                schema=may_be("text"),
                note="Grafana's folder. The sidecar uses it if sidecar.dashboards.folderAnnotation is the name of the "
                "annotation and provider.foldersFromFilesStructure is true.",
            ),
            Value(key="folderAnnotation", default="grafana_folder", schema=may_be("labelName")),
            labels("labels"),
            annotated("annotations"),
        ),
    )


def pod_monitor_values(settings: Settings) -> Block:
    """Values of the PodMonitor for services."""
    pushed, token = settings.collector.metrics != "scrape", settings.metrics.token_file
    return Block(
        key="podMonitor",
        note="Scrapes the services' pods with the Prometheus Operator."
        + (f" Off here, because the sidecars push with {settings.collector.metrics}." if pushed else ""),
        members=(
            Value(key="enabled", default=False, schema={"const": False}) if pushed else flag("enabled", default=False),
            Value(
                key="kind",
                default="PodMonitor",
                schema={"enum": ["PodMonitor", "VMPodScrape"]},
                note="VMPodScrape needs the operator of VictoriaMetrics; collectorMonitor has the same kind.",
            ),
            labels("labels"),
            Value(
                key="jobLabel",
                default="app.kubernetes.io/name",
                schema=may_be("labelName"),
                note="The pods' label that becomes job. Without it, the rules would treat all pods as one service.",
            ),
            Value(
                key="selector",
                default={},
                schema=may_be("selector"),
                note="The pods to scrape, such as {matchLabels: {app.kubernetes.io/part-of: shop}}.",
            ),
            Value(
                key="namespaceSelector",
                default={},
                schema=may_be("namespaceSelector"),
                note="Their namespaces, such as {any: true} or {matchNames: [shop]}; by default the release's namespace.",
            ),
            Value(key="port", default="http", schema=may_be("text"), note="The name of the container port."),
            Value(
                key="path",
                default=settings.metrics.path or "/metrics",
                schema={"type": "string", "pattern": "^/"},
            ),
            Value(
                key="interval",
                default=str(settings.metrics.scrape_interval),
                schema=may_be("duration"),
                note=f"At most a quarter of the rules' window ({settings.alerting.window}).",
            ),
            Value(key="scheme", default="http", schema={"enum": ["http", "https"]}),
            Value(
                key="tlsConfig",
                default={},
                schema=may_be("tlsConfig"),
                note="Such as {ca: {configMap: {name: ca, key: ca.crt}}, serverName: shop}.",
            ),
            Value(
                key="authorization",
                default={"credentials": secret_key(token, otherwise="sidelight-metrics")} if token else {},
                schema=may_be("authorization"),
                note="Such as {credentials: {name: shop-metrics, key: token}}; by default the token of metrics.token_file in sidelight.yaml, as a "
                "key of a Secret: the file .../shop-metrics/token is the key token of shop-metrics.",
            ),
            Value(
                key="sampleLimit",
                default=0,
                schema={"type": "integer", "minimum": 0},
                note="The maximum number of samples per scrape; 0 means no limit. A scrape with more fails, and the instance counts as down.",
            ),
            *_labelling(),
            every("metricRelabelings", "relabeling"),
        ),
    )


def _labelling() -> tuple[Value, ...]:
    """The values that add labels to the targets."""
    return (
        every("podTargetLabels", "text", "Labels of the pods that become labels of their series, such as [team]."),
        every(
            "relabelings",
            "relabeling",
            "Such as [{targetLabel: cluster, replacement: north}]; the rules keep labels that alerting.group_by names.",
        ),
    )


def collector_monitor_values() -> Block:
    """Values of the PodMonitor for collectors."""
    return Block(
        key="collectorMonitor",
        note="Scrapes the collectors' own metrics (sidecars and gateways) at podMonitor's interval. CollectorDroppingData, "
        "CollectorQueueFilling and CollectorMissing need them. job is podMonitor's job plus -collector, so that no alert treats a collector "
        "as the service.",
        members=(
            flag("enabled", default=False),
            labels("labels"),
            Value(
                key="selector",
                default={},
                schema=may_be("selector"),
                note="The pods to scrape; by default all with a port named otelcol-metrics.",
            ),
            Value(
                key="namespaceSelector",
                default={},
                schema=may_be("namespaceSelector"),
                note="Their namespaces, such as {any: true}; by default the release's, which may contain no sidecars.",
            ),
            *_labelling(),
        ),
    )


def helm_test_values() -> Block:
    """Values of the Helm test."""
    return Block(
        key="test",
        note="The Pod of `helm test`. It checks that Prometheus has loaded the rules and, with podMonitor, scrapes pods. "
        "With alertmanagerConfig, it also checks that Alertmanager has loaded the routes and sends this release's Watchdog "
        "to its receiver.",
        members=(
            flag("enabled", default=False),
            Value(
                key="prometheusURL",
                default="http://prometheus-operated:9090",
                schema={"type": "string", "pattern": "^https?://[^/]+"},
                note="Prometheus' URL as seen from the Pod.",
            ),
            Value(
                key="alertmanagerURL",
                default="http://alertmanager-operated:9093",
                schema={"type": "string", "pattern": "^https?://[^/]+"},
                note="Alertmanager's URL as seen from the Pod.",
            ),
            Value(
                key="image",
                default="docker.io/curlimages/curl:8.11.1",
                schema=may_be("text"),
                note="An image with sh, curl and grep.",
            ),
            Value(key="attempts", default=30, schema=may_be("count"), note="Number of attempts, 2 seconds apart."),
            *scheduling(),
        ),
    )
