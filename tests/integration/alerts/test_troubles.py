"""Few requests, young instances, flapping and neighbours: the alert that someone on call wants fires, once."""

from __future__ import annotations

import pytest

from instrumentation.settings import Settings
from tests.support.histories import HOUR, MINUTE
from tests.support.replay import fired
from tests.support.rule_sets import PAGE, TICKET, every_rule_of_ours
from tests.support.troubles import troubles

RULES = every_rule_of_ours(Settings())
WITHIN = {"one request an hour, and all fail": 2 * HOUR + 5 * MINUTE, "an instance that flaps": 20 * MINUTE}


@pytest.mark.parametrize("trouble", troubles(), ids=lambda one: one.job)
def test_what_fires_is_what_is_wanted(trouble: object) -> None:
    found = fired(RULES, [trouble])  # type: ignore[list-item]
    job, right, start = (getattr(trouble, name) for name in ("job", "right", "start"))
    if right == "never":
        assert (job, PAGE) not in found
        assert (job, TICKET) not in found or "restart" in job
        return
    page = found[job, right]
    assert start < page.first <= start + WITHIN.get(job, 10 * MINUTE)
    assert page.times == 1
    assert right == PAGE or (job, PAGE) not in found
