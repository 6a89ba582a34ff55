"""A release alerts only on the services of its scope, so several releases can share a Prometheus."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import generated
from alerts.promql import VectorSelector, nodes, parse
from instrumentation.settings import Settings, parse_settings
from sidelight.toolchain import tool
from tests.integration.helm.test_objects import notes
from tests.integration.helm.test_rules import SETTINGS, without_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Chart

TESTS = "rules_test.yaml"


def scope(**labels: list[str]) -> dict[str, Any]:
    return {"rules": {"scope": labels}}


def selectors(expr: str) -> Iterator[VectorSelector]:
    for node, _ in nodes(parse(expr)):
        if isinstance(node, VectorSelector):
            yield node


@pytest.mark.parametrize("name", SETTINGS)
def test_every_series_that_a_rule_reads_is_one_of_the_scope(name: str, build: Callable[..., Chart]) -> None:
    chart = build(parse_settings(SETTINGS[name]))
    rules = [rule for group in chart.groups(scope(job=["shop", "se.arch"])) for rule in group["rules"]]
    read = [selector for rule in rules for selector in selectors(rule["expr"])]
    assert len(read) >= len(rules)
    for selector in read:
        matchers = [(one.name, one.operator, one.value) for one in selector.matchers]
        assert ("job", "=~", r"(shop|se\.arch)(-collector)?") in matchers, selector.name


def test_without_a_scope_no_placeholder_is_left(chart: Chart) -> None:
    assert "[[" not in str(chart.groups())
    assert "[[" not in str(chart.groups(scope(job=["shop"])))


def test_several_labels_of_a_scope_are_combined(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings({"alerting": {"group_by": ["job", "namespace"]}}))
    first = chart.groups(scope(namespace=["a", "b"], job=["shop"]))[0]["rules"][0]["expr"]
    assert '_count{job=~"(shop)(-collector)?",namespace=~"a|b"}' in first


def in_scope(chart: Chart, folder: Path, *jobs: str, silent: bool) -> subprocess.CompletedProcess[str]:
    """The generated tests of the rules, on those of a release with a scope; silent: none of them may fire."""
    rendered = chart.rendered(scope(job=list(jobs)))
    objects = [without_owner(one["spec"]) for one in rendered if one["kind"] == "PrometheusRule"]
    rules = {"groups": [group for each in objects for group in each["groups"]]}  # of several objects if they are large
    tests = yaml.safe_load(generated(Settings())[TESTS])
    tests["tests"] = [test for test in tests["tests"] if "alert_rule_test" in test and "Watchdog" not in test["name"]]
    if silent:
        for test in tests["tests"]:
            for moment in test["alert_rule_test"]:
                moment["exp_alerts"] = []
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / TESTS).write_text(yaml.safe_dump(tests))
    return subprocess.run(
        [tool("promtool"), "test", "rules", TESTS],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )


def test_in_its_scope_every_alert_fires_as_it_would_without_one(chart: Chart, tmp_path: Path) -> None:
    jobs = set(re.findall(r'job="([^"]*?)(?:-collector)?"', generated(Settings())[TESTS]))
    done = in_scope(chart, tmp_path, *sorted(jobs), silent=False)
    assert done.returncode == 0, done.stdout


def test_outside_of_its_scope_no_alert_fires(chart: Chart, tmp_path: Path) -> None:
    done = in_scope(chart, tmp_path, "sho", silent=True)
    assert done.returncode == 0, done.stdout


def test_a_label_that_the_rules_do_not_keep_is_refused(chart: Chart) -> None:
    refusal = chart.refused(scope(region=["shop"]))
    assert (
        "rules.scope.region: got a label that the rules do not keep; give one of cluster, namespace, environment, job, or add it to "
        "alerting.group_by in sidelight.yaml."
    ) in refusal
    assert "'/rules/scope/job': minItems: got 0, want 1" in chart.refused(scope(job=[]))


# --- Watchdog --------------------------------------------------------------------------------------------------------

TARGET = {"webhook": {"url": "http://switch.example/ping"}}


@pytest.mark.parametrize(
    ("scope_", "routing", "is_there"),
    [
        ({}, {}, True),
        ({"job": ["shop"]}, {}, False),
        ({"job": ["shop"]}, {"enabled": True}, False),
        ({"job": ["shop"]}, {"enabled": True, "receivers": {"watchdog": TARGET}}, True),
        ({"job": ["shop"]}, {"enabled": False, "receivers": {"watchdog": TARGET}}, False),
    ],
)
def test_watchdog_is_in_the_release_without_a_scope_or_with_a_receiver_for_it(
    scope_: dict[str, Any],
    routing: dict[str, Any],
    chart: Chart,
    *,
    is_there: bool,
) -> None:
    values = {"rules": {"scope": scope_}, "alertmanagerConfig": routing}
    assert bool(chart.alerts("Watchdog", values)) is is_there


def test_a_watchdog_s_receiver_of_the_settings_counts(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings({"alerting": {"receivers": {"watchdog": TARGET}}}))
    values = {**scope(job=["shop"]), "alertmanagerConfig": {"enabled": True}}
    assert chart.alerts("Watchdog", values)
    silent = {"enabled": True, "receivers": {"watchdog": {}}}
    assert not chart.alerts("Watchdog", {**values, "alertmanagerConfig": silent})


def test_notes_name_the_scope_and_where_watchdog_is(chart: Chart) -> None:
    text = notes(chart, "--set-json", 'rules.scope={"job":["shop","search"]}')
    assert "This release judges only services with job shop, search. It brings no Watchdog" in text
    whole = notes(chart)
    assert "This release judges every service that Prometheus has." in whole
    assert "kubectl get prometheusrule --all-namespaces --selector app.kubernetes.io/name=sidelight" in whole
