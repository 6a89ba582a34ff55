"""Few requests, young instances, flapping and neighbours: the alert that someone on call wants fires, once."""

from __future__ import annotations

import pytest

from instrumentation.settings import Settings, parse_settings
from tests.support.histories import HOUR, MINUTE, SCRAPE
from tests.support.prometheus_history import rules_of
from tests.support.replay import fired
from tests.support.rule_sets import PAGE, TICKET, every_rule_of_ours
from tests.support.troubles import Trouble, troubles

RULES = every_rule_of_ours(Settings())
WITHIN = {"an instance that flaps": 20 * MINUTE, "every request to one instance hangs": 12 * MINUTE}


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


def test_instances_that_live_for_ten_minutes_do_not_hide_that_all_are_busy() -> None:
    seconds, life = 2 * HOUR, 10 * MINUTE
    rows: dict[str, list[float | None]] = {}
    for number, born in enumerate(range(0, seconds, life)):
        ages = [second - born if born <= second < born + life else None for second in range(0, seconds, SCRAPE)]
        rows[f'process_cpu_seconds_total{{instance="{number}"}}'] = [age if age is None else 2 * age for age in ages]
        rows[f'cpu_available_cores{{instance="{number}"}}'] = [age if age is None else 2 for age in ages]
    busy = Trouble(job="busy", right=PAGE, start=0, seconds=seconds, rows=rows)
    group = {"name": "resources", "interval": "30s", "rules": rules_of(Settings(), "resources")}
    assert 40 * MINUTE < fired(group, [busy])["busy", PAGE].first < 60 * MINUTE


@pytest.mark.parametrize("succeeds", [0, 2])
def test_a_workflow_that_fails_each_night_warns_after_the_third(succeeds: int) -> None:
    """A night is a third of the longest window: 48 minutes here, a day by default. In one history the second night succeeds."""
    settings = parse_settings({"alerting": {"window": "1m", "workflow_window": "2m"}})
    night, job, start = 48 * MINUTE, "nightly", 10 * MINUTE
    seconds = 4 * night
    nights = [(second - start) // night + 1 for second in range(0, seconds, SCRAPE)]
    rows: dict[str, list[float | None]] = {
        'workflow_executions_total{instance="a", workflow="import", outcome="failure"}': [
            number - (number >= succeeds > 0) for number in nights
        ],
        'workflow_executions_total{instance="a", workflow="import", outcome="success"}': [
            float(number >= succeeds > 0) for number in nights
        ],
        'target_info{instance="a"}': [1] * len(nights),
    }
    story = Trouble(job=job, right=TICKET, start=0, seconds=seconds, rows=rows)
    group = {"name": "workflows", "interval": "30s", "rules": rules_of(settings, "workflows")}
    found = fired(group, [story])
    assert ((job, TICKET) in found) is (succeeds == 0)
    if not succeeds:
        assert start + 2 * night < found[job, TICKET].first < start + 2 * night + 25 * MINUTE
