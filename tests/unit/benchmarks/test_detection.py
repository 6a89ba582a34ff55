"""Histories contain the outages that they claim, and the compared rules are the right ones."""

from __future__ import annotations

import re
from random import Random

import pytest
import yaml

from alerts.conditions.error_budget import BURNS
from instrumentation.settings import Duration, Settings
from tests.support.histories import DAY, SCRAPE, Service, Shares, outages, poisson, quiet, troubled
from tests.support.rule_sets import PAGE, TICKET, ours, workbook


def counts(service: Service, error_type: str) -> list[int]:
    (values,) = (
        row["values"]
        for row in service.series()
        if "_count{" in row["series"] and f'error_type="{error_type}"' in row["series"]
    )
    return [int(value) for value in values.split() if value.isdecimal()]


@pytest.mark.parametrize(("share", "rate"), [(0.1, 10.0), (0.5, 1.0)])
def test_as_many_requests_fail_as_configured(share: float, rate: float) -> None:
    service = Service(job="shop", rate=rate, seconds=10_000, shares=lambda _: Shares(failed=share))
    failed, answered = counts(service, "500")[-1], counts(service, "")[-1]
    assert failed / (failed + answered) == pytest.approx(share, rel=0.1)
    assert failed + answered == pytest.approx(rate * 10_000, rel=0.05)


def test_slow_requests_are_above_the_edge_below_them() -> None:
    service = Service(job="shop", rate=10, seconds=10_000, shares=lambda _: Shares(slow=0.1, seconds=0.6))
    last = {
        row["series"].partition('le="')[2].rstrip('"}'): int(row["values"].split()[-1])
        for row in service.series()
        if "_bucket" in row["series"] and 'error_type=""' in row["series"]
    }
    assert last["1.0"] == last["+Inf"]
    assert 1 - last["0.5"] / last["+Inf"] == pytest.approx(0.1, rel=0.1)


def test_every_history_is_the_same_each_time() -> None:
    assert [list(service.series()) for service in quiet(1, 1)] == [list(service.series()) for service in quiet(1, 1)]


def test_the_everyday_faults_stay_within_the_objectives() -> None:
    settings = Settings()
    for service in troubled(1, 1):
        failed, answered = counts(service, "500"), counts(service, "")
        assert len(failed) == DAY // SCRAPE
        if service.rate > 1:
            assert failed[-1] / (failed[-1] + answered[-1]) < 1 - settings.slo.availability


def test_every_outage_comes_at_every_rate() -> None:
    jobs = [service.job for service in outages()]
    assert len(set(jobs)) == len(jobs) == 18


@pytest.mark.parametrize("mean", [0.3, 7, 400])
def test_rare_events_are_as_many_as_expected(mean: float) -> None:
    random = Random(7)
    assert sum(poisson(random, mean) for _ in range(2000)) / 2000 == pytest.approx(mean, rel=0.1)


def test_the_workbooks_rules_are_the_workbooks() -> None:
    rules = workbook(Settings())["rules"]
    alerts = [rule for rule in rules if "alert" in rule]
    assert {rule["labels"]["severity"] for rule in alerts} == {PAGE, TICKET}
    assert not any("for" in rule or ">= 3" in rule["expr"] for rule in alerts)
    page = next(
        rule["expr"] for rule in alerts if (rule["alert"], rule["labels"]["severity"]) == ("availability", PAGE)
    )
    factors = [burn.factor(Duration("30d")) for burn in BURNS if burn.severity == PAGE]
    limits = [float(limit) for limit in re.findall(r"> ([\d.]+)", page)]
    assert limits == pytest.approx([factor * 0.001 for factor in factors for _ in range(2)])


def test_ours_are_those_that_are_generated() -> None:
    names = {rule.get("alert") for rule in ours(Settings())["rules"]}
    assert {"HighErrorRate", "HighLatencyP95", "ErrorBudgetBurn"} <= names
    assert yaml.safe_dump(ours(Settings()))
