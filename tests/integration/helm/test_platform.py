"""Values for platform teams: scheduling of pods, options of scrapes, labels and annotations of all objects and alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from instrumentation.settings import parse_settings
from tests.integration.helm.test_install import pods
from tests.integration.helm.test_objects import by_kind
from tests.integration.helm.test_schemas import BY_OPERATOR, PLATFORM, RELABELINGS, SCHEDULING

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Chart


def test_pods_of_gateway_and_test_are_scheduled_as_configured(chart: Chart) -> None:
    objects = chart.rendered(PLATFORM)
    found = pods(objects)
    assert len(found) == 2
    for pod in found:
        assert {key: pod.get(key) for key in SCHEDULING if key != "podAnnotations"} == {
            key: value for key, value in SCHEDULING.items() if key != "podAnnotations"
        }
    (deployment,) = by_kind(objects, "Deployment")
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert (set(annotations), annotations["example.com/scraped"]) == ({"checksum/config", "example.com/scraped"}, "no")


def test_the_operator_s_gateway_runs_there_too(chart: Chart) -> None:
    values = {"gateway": {**BY_OPERATOR["gateway"], **SCHEDULING}}
    (one,) = by_kind(chart.rendered(values), "OpenTelemetryCollector")
    kept = {key: value for key, value in SCHEDULING.items() if key != "imagePullSecrets"}  # its CRD has none
    assert {key: one["spec"][key] for key in kept} == kept


def test_by_default_objects_have_no_scheduling_fields(chart: Chart) -> None:
    (pod,) = pods(chart.rendered({"gateway": {"enabled": True}}))
    assert not set(pod) & {*SCHEDULING, "podAnnotations"}


def test_the_monitor_carries_what_prometheus_needs_to_scrape(chart: Chart) -> None:
    own, collectors = by_kind(chart.rendered(PLATFORM), "PodMonitor")
    (endpoint,) = own["spec"]["podMetricsEndpoints"]
    assert {
        key: endpoint[key] for key in ("scheme", "tlsConfig", "authorization", "relabelings", "metricRelabelings")
    } == {
        key: PLATFORM["podMonitor"][key]
        for key in ("scheme", "tlsConfig", "authorization", "relabelings", "metricRelabelings")
    }
    assert (own["spec"]["sampleLimit"], own["spec"]["podTargetLabels"]) == (2000000, ["team"])
    (endpoint,) = collectors["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"][1:] == RELABELINGS
    assert collectors["spec"]["podTargetLabels"] == ["team"]


def test_services_with_a_token_are_scraped_with_it(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings({"metrics": {"token_file": "/etc/shop/metrics-token/token"}}))
    monitor = {"enabled": True, "selector": {"matchLabels": {"app": "shop"}}}
    (one,) = by_kind(chart.rendered({"podMonitor": monitor}), "PodMonitor")
    (endpoint,) = one["spec"]["podMetricsEndpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "metrics-token", "key": "token"}}


def test_every_object_has_the_common_annotations_and_the_rules_their_own(chart: Chart) -> None:
    for one in chart.rendered(PLATFORM):
        annotations = one["metadata"]["annotations"]
        assert annotations["example.com/owner"] == "platform"
        assert ("example.com/reviewed" in annotations) == (one["kind"] == "PrometheusRule")


def test_an_object_s_own_annotation_wins_over_the_common_one(chart: Chart) -> None:
    values = {"commonAnnotations": {"grafana_folder": "Other", "a": "b"}, "rules": {"annotations": {"a": "c"}}}
    (rule,) = by_kind(chart.rendered(values), "PrometheusRule")
    assert rule["metadata"]["annotations"] == {"grafana_folder": "Other", "a": "c"}


def alerts(chart: Chart, values: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in chart.groups(values) for rule in group["rules"] if "alert" in rule]


def test_every_alert_has_the_labels_annotations_and_runbook_of_all(chart: Chart) -> None:
    found = alerts(chart, PLATFORM)
    assert len(found) >= 20
    for rule in found:
        assert rule["labels"]["team"] == "shop"
        assert rule["annotations"]["chat"] == "https://chat.example/shop"
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example/runbooks/{rule['alert']}?from=alert"
        assert rule["annotations"]["summary"]


def test_labels_and_annotations_of_a_single_alert_take_precedence(chart: Chart) -> None:
    own = {"labels": {"team": "search"}, "annotations": {"runbook_url": "https://wiki.example/ours", "chat": "#search"}}
    rules = alerts(chart, {**PLATFORM, "alerts": {"ServiceDown": own}})
    (rule, *_) = (rule for rule in rules if rule["alert"] == "ServiceDown")
    assert rule["labels"]["team"] == "search"
    assert (rule["annotations"]["runbook_url"], rule["annotations"]["chat"]) == ("https://wiki.example/ours", "#search")
    assert {rule["labels"]["team"] for rule in rules if rule["alert"] != "ServiceDown"} == {"shop"}


REFUSED = {
    "a taint's effect": (
        {"gateway": {"tolerations": [{"effect": "NoRun"}]}},
        "'/gateway/tolerations/0/effect': value must be one of",
    ),
    "an affinity": (
        {"gateway": {"affinity": {"podAfinity": {}}}},
        "'/gateway/affinity': additional properties 'podAfinity'",
    ),
    "a pull secret as a text": (
        {"test": {"imagePullSecrets": ["registry"]}},
        "'/test/imagePullSecrets/0': got string, want",
    ),
    "a relabeling": (
        {"podMonitor": {"relabelings": [{"target_label": "a"}]}},
        "'/podMonitor/relabelings/0': additional properties 'target_label' not allowed",
    ),
    "a scheme": ({"podMonitor": {"scheme": "ftp"}}, "'/podMonitor/scheme': value must be one of 'http', 'https'"),
    "a runbook without the alert": (
        {"rules": {"runbookURL": "https://wiki.example"}},
        "'/rules/runbookURL': 'https://wiki.example' does not match",
    ),
    "an alert's owner": ({"rules": {"alertLabels": {"sidelight": "mine"}}}, "'/rules/alertLabels/sidelight'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_with_its_path(name: str, chart: Chart) -> None:
    values, sentence = REFUSED[name]
    assert sentence in chart.refused(values)


def test_the_defaults_say_what_the_settings_say(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings({"alerting": {"runbook_url": "https://git.example/runbooks/{alert}.md"}}))
    text = (chart.path / "values.yaml").read_text()
    assert "https://git.example/runbooks/{alert}.md" in text.replace("\n  # ", " ").replace("# ", "")
    assert yaml.safe_load(text)["rules"]["runbookURL"] == ""
