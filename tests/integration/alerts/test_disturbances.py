"""HighErrorRate in histories that cause false positives or missed alerts: low traffic, gaps, restarts, flapping."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation.settings import Settings
from tests.support.histories import HOUR, MINUTE, SCRAPE, Service, Shares
from tests.support.replay import Fired, fired
from tests.support.rule_sets import PAGE, TICKET, ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALL = ours(Settings())
RULES = {**ALL, "rules": [rule for rule in ALL["rules"] if rule.get("alert", "HighErrorRate") == "HighErrorRate"]}
START, OUTAGE = 20 * MINUTE, 20 * MINUTE  # what happens begins then, and lasts so long


@dataclass(frozen=True, kw_only=True)
class Disturbed:
    """A service whose scrapes fail, or whose process restarts, at some seconds.

    Attributes:
        service: The service as it would be without.
        missed: Whether a scrape fails.
        restarts: When its counters begin again.
    """

    service: Service
    missed: Callable[[int], bool] = lambda _: False
    restarts: tuple[int, ...] = field(default=())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.service, name)

    def series(self) -> Iterator[dict[str, str]]:
        for row in self.service.series():
            values, shown, base, before = [int(value) for value in row["values"].split()], [], 0, 0
            for step, value in enumerate(values):
                second = step * SCRAPE
                if any(second - SCRAPE < restart <= second for restart in self.restarts):
                    base = before
                shown.append("_" if self.missed(second) else str(value - base))
                before = value
            yield {**row, "values": " ".join(shown)}


def outage(second: int) -> bool:
    return START <= second < START + OUTAGE


def service(rate: float, shares: Callable[[int], Shares], seconds: int = HOUR) -> Service:
    return Service(job="shop", rate=rate, seconds=seconds, shares=shares)


def failing(share: float) -> Callable[[int], Shares]:
    return lambda second: Shares(failed=share) if outage(second) else Shares()


def alarms(story: Any) -> dict[str, Fired]:
    return {severity: found for (_, severity), found in fired(RULES, [story]).items()}


EVERY_MINUTE = 1 / MINUTE
FIRES = {
    "a trickle of which everything fails": service(EVERY_MINUTE, failing(1.0)),
    "ten percent of little traffic": service(0.5, failing(0.1)),
    "every second scrape is missed": Disturbed(
        service=service(5.0, failing(0.2)), missed=lambda second: second // SCRAPE % 2 == 1
    ),
    "two minutes of every five are missed": Disturbed(
        service=service(5.0, failing(0.2)), missed=lambda second: second % (5 * MINUTE) < 2 * MINUTE
    ),
    "the process restarts every three minutes": Disturbed(
        service=service(5.0, failing(0.2)), restarts=tuple(range(3 * MINUTE, HOUR, 3 * MINUTE))
    ),
}
SILENT = {
    "one failed request in the night": service(
        0.002, lambda second: Shares(failed=1.0) if 1200 <= second < 1230 else Shares()
    ),
    "no requests at all": service(0.0, failing(1.0)),
    "scrapes are missed while all is well": Disturbed(
        service=service(5.0, lambda _: Shares(failed=0.001)), missed=lambda second: second % (7 * MINUTE) < 4 * MINUTE
    ),
    "restarts while all is well": Disturbed(
        service=service(5.0, lambda _: Shares(failed=0.001)), restarts=tuple(range(2 * MINUTE, HOUR, 2 * MINUTE))
    ),
    "clients that go away": service(5.0, lambda _: Shares(slow=0.5, seconds=2.0)),
}


@pytest.mark.parametrize("story", FIRES)
def test_it_fires_within_minutes_once_and_ends(story: str) -> None:
    page = alarms(FIRES[story])[PAGE]
    assert 0 < page.first - START <= (12 if "trickle" in story else 9) * MINUTE
    assert page.times == 1
    assert page.last < START + OUTAGE + 8 * MINUTE


@pytest.mark.parametrize("story", SILENT)
def test_it_is_silent(story: str) -> None:
    assert alarms(SILENT[story]) == {}


def test_what_comes_and_goes_is_one_alert() -> None:
    def flapping(second: int) -> Shares:
        return Shares(failed=0.5) if second >= START and second % (4 * MINUTE) < MINUTE else Shares()

    found = alarms(service(5.0, flapping, 2 * HOUR))
    assert {severity: alarm.times for severity, alarm in found.items()} == {PAGE: 1, TICKET: 1}
