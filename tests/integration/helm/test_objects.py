"""Every object of the chart: names, labels, dashboards, monitor and notes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from instrumentation.settings import parse_settings
from instrumentation.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Chart

ROOT = Path(__file__).parents[3]
HOW_TO = ROOT / "docs" / "how-to" / "install-the-chart.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(), flags=re.DOTALL)
TRICKY = json.dumps(
    {"legendFormat": "{{ job }} {{http_route}}", "expr": 'rate(a{b=~"$job"}[$__rate_interval])', "text": "a\tb\\n é `"},
    indent=2,
)
DASHBOARDS = {"operations.json": TRICKY, "sidelight-Business_2.json": '{"title": "Business"}\n'}
MONITOR = {"podMonitor": {"enabled": True, "selector": {"matchLabels": {"app.kubernetes.io/part-of": "shop"}}}}


def by_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in objects if one["kind"] == kind]


def test_version_and_app_version_are_those_of_the_package() -> None:
    chart = yaml.safe_load((ROOT / "helm" / "sidelight" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_helm_lint_is_strict_and_content(build: Callable[..., Chart]) -> None:
    chart = build(dashboards=DASHBOARDS)
    done = chart.helm("lint", "--strict", chart.path)
    assert done.returncode == 0, done.stdout


def test_rendering_twice_gives_the_same_text(build: Callable[..., Chart]) -> None:
    chart = build(dashboards=DASHBOARDS)
    first, second = (chart.template(MONITOR).stdout for _ in range(2))
    assert first == second
    assert first.count("\nkind: ") == 4


def test_dashboards_are_untouched_and_each_has_a_config_map(build: Callable[..., Chart]) -> None:
    config_maps = by_kind(build(dashboards=DASHBOARDS).rendered(), "ConfigMap")
    data = {name: text for one in config_maps for name, text in one["data"].items()}
    assert data == DASHBOARDS
    names = [one["metadata"]["name"] for one in config_maps]
    assert names == ["obs-sidelight-dashboard-operations", "obs-sidelight-dashboard-business-2"]


def test_dashboards_carry_the_sidecars_label_and_folder(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings({"dashboards": {"folder": "Shop: 7"}}), dashboards=DASHBOARDS)
    for one in by_kind(chart.rendered(), "ConfigMap"):
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["annotations"] == {"grafana_folder": "Shop: 7"}


def test_the_sidecars_label_and_folder_can_be_changed(build: Callable[..., Chart]) -> None:
    own = {
        "label": "boards",
        "labelValue": "yes",
        "folder": "Ops",
        "folderAnnotation": "k8s-sidecar/folder",
        "annotations": {"note": "3"},
    }
    for one in by_kind(build(dashboards=DASHBOARDS).rendered({"dashboards": own}), "ConfigMap"):
        assert one["metadata"]["labels"]["boards"] == "yes"
        assert "grafana_dashboard" not in one["metadata"]["labels"]
        assert one["metadata"]["annotations"] == {"k8s-sidecar/folder": "Ops", "note": "3"}


def test_dashboards_can_be_left_out(build: Callable[..., Chart]) -> None:
    objects = build(dashboards=DASHBOARDS).rendered({"dashboards": {"enabled": False}})
    assert [one["kind"] for one in objects] == ["PrometheusRule"]


@pytest.mark.parametrize("kind", ["PrometheusRule", "ConfigMap"])
def test_common_labels_and_standard_labels_reach_every_object(kind: str, build: Callable[..., Chart]) -> None:
    common = {"release": "monitoring", "app.kubernetes.io/part-of": "platform"}
    objects = build(dashboards=DASHBOARDS).rendered({**MONITOR, "rules": {"kind": kind}, "commonLabels": common})
    assert len(objects) == 4
    for one in objects:
        assert one["metadata"]["namespace"] == "monitoring"
        labels = {name: text for name, text in one["metadata"]["labels"].items() if name != "grafana_dashboard"}
        assert labels == {
            "app.kubernetes.io/name": "sidelight",
            "app.kubernetes.io/instance": "obs",
            "app.kubernetes.io/version": __version__,
            "app.kubernetes.io/managed-by": "Helm",
            "app.kubernetes.io/part-of": "platform",
            "helm.sh/chart": f"sidelight-{__version__}",
            "release": "monitoring",
        }


def test_an_objects_own_labels_win_over_common_ones_and_reach_no_other_object(build: Callable[..., Chart]) -> None:
    values = {
        "commonLabels": {"release": "a"},
        "rules": {"labels": {"release": "b"}},
        "podMonitor": {**MONITOR["podMonitor"], "labels": {"release": "c"}},
        "dashboards": {"labels": {"release": "d"}},
    }
    objects = build(dashboards=DASHBOARDS).rendered(values)
    releases = {one["kind"]: one["metadata"]["labels"]["release"] for one in objects}
    assert releases == {"PrometheusRule": "b", "PodMonitor": "c", "ConfigMap": "d"}


def test_names_can_be_changed(chart: Chart) -> None:
    (named,) = chart.rendered({"nameOverride": "alerts"})
    (full,) = chart.rendered({"fullnameOverride": "007"})
    assert (named["metadata"]["name"], full["metadata"]["name"]) == ("obs-alerts", "007")


def test_the_pod_monitor_scrapes_path_and_interval_of_the_settings(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings({"metrics": {"path": "/internal/metrics", "scrape_interval": "7s"}}))
    (monitor,) = by_kind(chart.rendered(MONITOR), "PodMonitor")
    assert monitor["spec"] == {
        "jobLabel": "app.kubernetes.io/name",
        "selector": MONITOR["podMonitor"]["selector"],
        "podMetricsEndpoints": [{"port": "http", "path": "/internal/metrics", "interval": "7s"}],
    }


def test_the_pod_monitor_can_be_pointed_elsewhere(chart: Chart) -> None:
    own = {
        "enabled": True,
        "jobLabel": "app",
        "selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["shop", "search"]}]},
        "namespaceSelector": {"matchNames": ["shop"]},
        "port": "metrics",
        "path": "/m",
        "interval": "1m",
    }
    (monitor,) = by_kind(chart.rendered({"podMonitor": own}), "PodMonitor")
    assert monitor["spec"] == {
        "jobLabel": "app",
        "selector": own["selector"],
        "namespaceSelector": own["namespaceSelector"],
        "podMetricsEndpoints": [{"port": "metrics", "path": "/m", "interval": "1m"}],
    }


def test_the_collectors_are_scraped_wherever_they_are_at_the_services_pace(chart: Chart) -> None:
    values = {
        "podMonitor": {"jobLabel": "app", "interval": "1m"},
        "collectorMonitor": {"enabled": True, "namespaceSelector": {"any": True}, "labels": {"release": "c"}},
    }
    (monitor,) = by_kind(chart.rendered(values), "PodMonitor")
    assert (monitor["metadata"]["name"], monitor["metadata"]["labels"]["release"]) == ("obs-sidelight-collectors", "c")
    spec = monitor["spec"]
    assert (spec["jobLabel"], spec["selector"], spec["namespaceSelector"]) == ("app", {}, {"any": True})
    (endpoint,) = spec["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["interval"]) == ("otelcol-metrics", "1m")


def test_a_restricted_gateway_still_serves_its_metrics_to_all(chart: Chart) -> None:
    policy = {"networkPolicy": {"fromNamespaces": {"matchLabels": {"team": "shop"}}}}
    (one,) = by_kind(chart.rendered({"gateway": {"enabled": True, **policy}}), "NetworkPolicy")
    allowed = [(rule.get("from"), [port["port"] for port in rule["ports"]]) for rule in one["spec"]["ingress"]]
    assert allowed == [
        ([{"namespaceSelector": {"matchLabels": {"team": "shop"}}}], ["otlp-grpc", "otlp-http"]),
        (None, ["otelcol-metrics"]),
    ]


def notes(chart: Chart, *arguments: str) -> str:
    dry = [] if "--dry-run=server" in arguments else ["--dry-run=client"]
    done = chart.helm("install", "obs", chart.path, "--namespace", "monitoring", *dry, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:\n")[2]


def test_notes_print_how_to_see_whether_rules_and_dashboards_are_picked_up(build: Callable[..., Chart]) -> None:
    text = notes(build(dashboards=DASHBOARDS))
    assert "kubectl get prometheusrule --namespace monitoring obs-sidelight --show-labels" in text
    assert "ruleSelector={.spec.ruleSelector}" in text
    assert "--set commonLabels.release=<its release>" in text
    assert "kubectl get configmap --namespace monitoring --selector grafana_dashboard=1" in text


def test_notes_warn_about_a_gateway_that_is_not_monitored(chart: Chart) -> None:
    gateway = ("--set", "gateway.enabled=true")
    assert "CollectorQueueFilling never\nfire" in notes(chart, *gateway)
    assert "Collectors:" not in notes(chart, *gateway, "--set", "collectorMonitor.enabled=true")
    assert "Collectors:" not in notes(chart)


def test_notes_do_not_ask_for_a_release_label_that_is_there(chart: Chart) -> None:
    assert "commonLabels.release" not in notes(chart, "--set", "commonLabels.release=monitoring")


def test_notes_do_not_mention_what_is_not_installed(chart: Chart) -> None:
    text = notes(chart, "--set", "rules.enabled=false")
    assert "Rules:" not in text
    assert "Dashboards:" not in text
    assert "Pods:" not in text


def test_notes_say_how_a_plain_prometheus_reads_the_config_map(chart: Chart) -> None:
    text = notes(chart, "--set", "rules.kind=ConfigMap")
    assert "configMap: obs-sidelight-rules" in text
    assert "prometheusrule" not in text


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_how_to_renders_and_changes_something(example: str, build: Callable[..., Chart]) -> None:
    chart = build(dashboards=DASHBOARDS)
    assert chart.rendered(yaml.safe_load(example)) != chart.rendered()
