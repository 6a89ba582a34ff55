"""Tables of the replay's results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.histories import BEFORE, BLIPS, DAY, MINUTE, OUTAGE, OUTAGES, RATES, outages, quiet
from tests.support.histories import troubled as disturbed
from tests.support.replay import EVERY, fired
from tests.support.rule_sets import PAGE, TICKET
from tests.support.tables import Column, Table
from tests.support.troubles import troubles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.histories import Service
    from tests.support.replay import Fired
    from tests.support.rule_sets import Group

QUIET_DAYS, DAYS, SERVICES = 1, 3, 3  # at each rate
_SEVERITIES = (PAGE, TICKET)
_LOAD = Column(key="rate", title="requests/s", digits=1)


def detection(groups: Mapping[str, Group]) -> Table:
    """Minutes to fire and to resolve, for each outage and rate.

    Args:
        groups: Name of the rule set to its rule group.
    """
    services = tuple(outages())
    results = {owner: fired(group, services) for owner, group in groups.items()}
    return Table(
        name="detection",
        title="Time to detect and time to resolve, in minutes",
        note=f"Each outage lasts {OUTAGE // MINUTE} minutes, after {BEFORE // DAY} days without failures. A dash means that "
        "the alert does not fire. A negative number means that it resolved before the outage ended, because there were so "
        "few requests.",
        columns=(
            Column(key="outage", title="outage"),
            _LOAD,
            *(
                Column(key=f"{owner} {severity} {what}", title=f"{owner} {severity} {what}", digits=1)
                for owner in groups
                for severity in _SEVERITIES
                for what in ("fires", "ends")
            ),
        ),
        rows=tuple(
            {"outage": name, "rate": rate, **_minutes(results, f"{name}|{rate:g}")}
            for name in OUTAGES
            for rate in RATES
        ),
    )


def troubled(groups: Mapping[str, Group]) -> Table:
    """What fires, and how often, in each trouble that differs from a plain outage."""
    services = troubles()
    results = {owner: fired(group, services) for owner, group in groups.items()}
    return Table(
        name="troubles",
        title="Few requests, young instances, flapping and neighbours",
        note="Minutes from the start of the trouble until the alert fires, and how often it starts to fire if more than once. "
        "kube-state-metrics says that no replicas of the service that sleeps are wanted.",
        columns=(
            Column(key="trouble", title="trouble"),
            Column(key="right", title="wanted"),
            *(
                Column(key=f"{owner} {severity}", title=f"{owner} {severity}")
                for owner in groups
                for severity in _SEVERITIES
            ),
        ),
        rows=tuple(
            {
                "trouble": one.job,
                "right": one.right,
                **{
                    f"{owner} {severity}": _said(found, one.start)
                    for owner in groups
                    for severity in _SEVERITIES
                    if (found := results[owner].get((one.job, severity)))
                },
            }
            for one in services
        ),
    )


def _said(found: Fired, start: int) -> str:
    """When an alert fires after a moment, and how often.

    >>> from tests.support.replay import Fired
    >>> _said(Fired(first=330, last=600, times=1), 300), _said(Fired(first=330, last=600, times=7), 300)
    ('0.5', '0.5 (7 times)')
    """
    return f"{(found.first - start) / MINUTE:.1f}" + (f" ({found.times} times)" if found.times > 1 else "")


def _minutes(results: Mapping[str, Mapping[tuple[str, str], Fired]], job: str) -> dict[str, float]:
    cells = {}
    for owner, of in results.items():
        for severity in _SEVERITIES:
            if found := of.get((job, severity)):
                cells[f"{owner} {severity} fires"] = (found.first - BEFORE) / MINUTE
                cells[f"{owner} {severity} ends"] = (found.last + EVERY - BEFORE - OUTAGE) / MINUTE
    return cells


def quiet_alarms(groups: Mapping[str, Group]) -> Table:
    """Number of false positives when there is only noise."""
    return _alarms(
        groups,
        tuple(quiet(QUIET_DAYS, SERVICES)),
        title=f"False positives in {QUIET_DAYS * SERVICES} quiet, noisy days at each rate",
        note="Requests and failures are random; 0.02 % fail and 0.2 % are slow.",
    )


def troubled_alarms(groups: Mapping[str, Group]) -> Table:
    """Number of alerts for services with short disturbances that still meet their objectives."""
    return _alarms(
        groups,
        tuple(disturbed(DAYS, SERVICES)),
        title=f"Alarms in {DAYS * SERVICES} days with short disturbances at each rate",
        note=f"The same noise, and {len(BLIPS)} times a day 20 % fail and 30 % are slow for a minute. The objectives allow this.",
    )


def _alarms(groups: Mapping[str, Group], services: tuple[Service, ...], *, title: str, note: str) -> Table:
    results = {owner: fired(group, services) for owner, group in groups.items()}

    def times(owner: str, severity: str, rate: float) -> float:
        jobs = [service.job for service in services if service.rate == rate]
        return sum(found.times for job in jobs if (found := results[owner].get((job, severity))))

    return Table(
        name="alarms",
        title=title,
        note=note,
        columns=(
            _LOAD,
            *(
                Column(key=f"{owner} {severity}", title=f"{owner} {severity}", digits=0)
                for owner in groups
                for severity in _SEVERITIES
            ),
        ),
        rows=tuple(
            {
                "rate": rate,
                **{f"{owner} {severity}": times(owner, severity, rate) for owner in groups for severity in _SEVERITIES},
            }
            for rate in RATES
        ),
    )
