"""The chart's objects for the operator of VictoriaMetrics.

Their keys are those of the operator's definitions: ``config/crd/bases/operator.victoriametrics.com_vmrules.yaml`` and
``_vmpodscrapes.yaml`` of https://github.com/VictoriaMetrics/operator. The operator itself is in no package registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.helm.test_schemas import PLATFORM

if TYPE_CHECKING:
    from tests.integration.helm.conftest import Chart

GROUP = {
    "concurrency",
    "extra_filter_labels",
    "headers",
    "interval",
    "labels",
    "limit",
    "name",
    "params",
    "rules",
    "tenant",
    "type",
}
RULE = {"alert", "annotations", "debug", "expr", "for", "keep_firing_for", "labels", "record"}
SCRAPE = {"jobLabel", "namespaceSelector", "podMetricsEndpoints", "podTargetLabels", "sampleLimit", "selector"}
ENDPOINT = {
    "authorization",
    "interval",
    "metricRelabelConfigs",
    "path",
    "port",
    "relabelConfigs",
    "scheme",
    "tlsConfig",
}
RELABELING = {"action", "modulus", "regex", "replacement", "separator", "sourceLabels", "targetLabel"}
VALUES: dict[str, Any] = {
    **PLATFORM,
    "rules": {**PLATFORM["rules"], "kind": "VMRule"},
    "podMonitor": {**PLATFORM["podMonitor"], "kind": "VMPodScrape"},
}


def by_kind(chart: Chart, kind: str, values: dict[str, Any] = VALUES) -> list[dict[str, Any]]:
    return [one for one in chart.rendered(values) if one["kind"] == kind]


def test_the_rules_are_those_of_a_prometheus_rule(chart: Chart) -> None:
    (ours,) = by_kind(chart, "VMRule")
    (theirs,) = by_kind(chart, "PrometheusRule", PLATFORM)
    assert ours["apiVersion"] == "operator.victoriametrics.com/v1beta1"
    assert (ours["metadata"], ours["spec"]) == (theirs["metadata"], theirs["spec"])
    for group in ours["spec"]["groups"]:
        assert set(group) <= GROUP
        assert all(set(rule) <= RULE for rule in group["rules"])


def test_the_scrapes_are_those_of_the_pod_monitors_in_the_spelling_of_the_operator(chart: Chart) -> None:
    renamed = {"relabelings": "relabelConfigs", "metricRelabelings": "metricRelabelConfigs"}
    ours, theirs = by_kind(chart, "VMPodScrape"), by_kind(chart, "PodMonitor", PLATFORM)
    assert len(ours) == len(theirs) == 2
    for scrape, monitor in zip(ours, theirs, strict=True):
        assert scrape["metadata"] == monitor["metadata"]
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            for was, name in renamed.items():
                if was in endpoint:
                    endpoint[name] = endpoint.pop(was)
        assert scrape["spec"] == monitor["spec"]
        assert set(scrape["spec"]) <= SCRAPE
        for endpoint in scrape["spec"]["podMetricsEndpoints"]:
            assert set(endpoint) <= ENDPOINT
            steps = [*endpoint.get("relabelConfigs", ()), *endpoint.get("metricRelabelConfigs", ())]
            assert all(set(step) <= RELABELING for step in steps)


def test_nothing_of_the_prometheus_operator_is_left(chart: Chart) -> None:
    versions = {one["apiVersion"] for one in chart.rendered(VALUES)}
    assert not {version for version in versions if version.startswith("monitoring.coreos.com")}


def test_the_test_does_not_ask_for_a_scrape_pool_that_a_vmagent_does_not_have(chart: Chart) -> None:
    (pod,) = by_kind(chart, "Pod")
    assert "SCRAPE_POOL" not in {one["name"] for one in pod["spec"]["containers"][0]["env"]}
