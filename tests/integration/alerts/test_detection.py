"""The replay of an outage agrees with Prometheus' rule engine."""

from __future__ import annotations

from instrumentation.settings import Settings
from tests.support.histories import HOUR, MINUTE, Service, Shares
from tests.support.replay import fired
from tests.support.rule_sets import PAGE, TICKET, ours, workbook

AN_HOUR = 1 * HOUR
FAILING = Service(
    job="failing",
    rate=1.0,
    steady=AN_HOUR,
    seconds=AN_HOUR,
    shares=lambda second: Shares(failed=1.0) if second < 20 * MINUTE else Shares(),
)
WELL = Service(job="well", rate=1.0, steady=AN_HOUR, seconds=AN_HOUR, shares=lambda _: Shares())


def test_an_outage_fires_within_minutes_and_resolves_and_healthy_services_do_not_fire() -> None:
    settings = Settings()
    found = fired(ours(settings), [FAILING, WELL])
    assert {job for job, _ in found} == {"failing"}
    assert 2 * MINUTE <= found["failing", PAGE].first - AN_HOUR <= 3 * MINUTE
    assert found["failing", PAGE].last - AN_HOUR > 20 * MINUTE
    assert found["failing", TICKET].times == 1
    usual = fired(workbook(settings), [FAILING, WELL])
    assert {job for job, _ in usual} == {"failing"}
    assert usual["failing", PAGE].first - AN_HOUR < 2 * MINUTE
