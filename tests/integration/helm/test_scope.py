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


def short_tests_of_the_shop() -> list[dict[str, Any]]:
    """Of the generated tests, for each alert the first in which it fires for the shop, if the test spans at most 25 minutes.

    Longer tests would only take longer: that each selector of each rule has the scope is tested above.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for test in yaml.safe_load(generated(Settings())[TESTS])["tests"]:
        moments = test.get("alert_rule_test", [])
        jobs = {job for one in test["input_series"] for job in re.findall(r'job="(.*?)"', one["series"])}
        last = max((int(one["eval_time"].removesuffix("s")) for one in moments), default=0)
        if jobs <= {"shop", "shop-collector"} and last <= 1500:
            for one in moments:
                if one["exp_alerts"] and one["alertname"] != "Watchdog":
                    chosen.setdefault(one["alertname"], test)
    assert len(chosen) > 12
    return list({test["name"]: test for test in chosen.values()}.values())


def run(chart: Chart, folder: Path, tests: list[dict[str, Any]], *jobs: str) -> subprocess.CompletedProcess[str]:
    """Tests of the rules, on those of a release with a scope."""
    rendered = chart.rendered(scope(job=list(jobs)))
    objects = [without_owner(one["spec"]) for one in rendered if one["kind"] == "PrometheusRule"]
    rules = {"groups": [group for each in objects for group in each["groups"]]}  # of several objects if they are large
    document = {**yaml.safe_load(generated(Settings())[TESTS]), "tests": tests}
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / TESTS).write_text(yaml.safe_dump(document))
    command = [tool("promtool"), "test", "rules", TESTS]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


def test_in_its_scope_alerts_fire_as_they_would_without_one(chart: Chart, tmp_path: Path) -> None:
    done = run(chart, tmp_path, short_tests_of_the_shop(), "search", "shop")
    assert done.returncode == 0, done.stdout


def test_outside_of_its_scope_no_alert_fires(chart: Chart, tmp_path: Path) -> None:
    tests = short_tests_of_the_shop()
    for test in tests:
        for moment in test["alert_rule_test"]:
            moment["exp_alerts"] = []
    done = run(chart, tmp_path, tests, "sho")
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
