"""Few requests, young instances, flapping and neighbours: the alert that someone on call wants fires, once."""

from __future__ import annotations

import pytest

from instrumentation.settings import Settings
from tests.support.histories import HOUR, MINUTE
from tests.support.replay import fired
from tests.support.rule_sets import PAGE, TICKET, every_rule_of_ours
from tests.support.troubles import troubles

RULES = every_rule_of_ours(Settings())
WITHIN = {"an instance that flaps": 20 * MINUTE}


SHORT = [one for one in troubles() if one.seconds <= 6 * HOUR]  # the generated tests have shorter forms of the others


@pytest.mark.parametrize("trouble", SHORT, ids=lambda one: one.job)
def test_what_fires_is_what_is_wanted(trouble: object) -> None:
    found = fired(RULES, [trouble])  # type: ignore[list-item]
    job, right, start = (getattr(trouble, name) for name in ("job", "right", "start"))
    if right in {"never", "no critical"}:
        assert (job, PAGE) not in found
        assert right == "no critical" or (job, TICKET) not in found
        return
    page = found[job, right]
    assert start < page.first <= start + WITHIN.get(job, 10 * MINUTE)
    assert page.times == 1
    assert right == PAGE or (job, PAGE) not in found
