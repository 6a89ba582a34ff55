"""The soak test's verdict: what it must notice, and what it must not let pass."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.support.soak.load import KINDS, Cut, Tally
from tests.support.soak.run import Observed
from tests.support.soak.scrapes import Scrapes
from tests.support.soak.verdict import checks

SECONDS = 3.0
COUNTER = '# TYPE a_total counter\na_total{{b="c"}} {}\n'


def page(counted: dict[str, int]) -> str:
    lines = ["# TYPE http_server_request_duration_seconds histogram"]
    for kind in KINDS:
        labels = f'http_route="{kind.route}",http_response_status_code="{kind.status}"'
        value = counted.get(kind.route, 7)
        lines.append(f'http_server_request_duration_seconds_bucket{{{labels},le="+Inf"}} {value}')
        lines.append(f"http_server_request_duration_seconds_count{{{labels}}} {value}")
    return "\n".join(lines) + "\n"


def observed(*, counted: dict[str, int], cut: list[Cut], answered: int = 7) -> Observed:
    scrapes = Scrapes()
    scrapes.read(page({}))
    scrapes.read(page(counted))
    return Observed(
        tally=Tally(answered=Counter(dict.fromkeys(KINDS, answered)), cut=cut),
        scrapes=scrapes,
        killed=[11],
        folder=Path(),
        series=[40.0, 40.0, 40.0],
        files=[5.0, 7.0, 6.0],
        mebibytes=[40.0, 40.5, 41.0],
    )


def broken(seen: Observed) -> list[str]:
    return [check.what for check in checks(seen, SECONDS / 10) if not check.holds]


def test_what_is_answered_and_counted_holds() -> None:
    assert broken(observed(counted={}, cut=[])) == []


def test_a_request_that_was_cut_off_may_be_counted() -> None:
    cut = Cut(kind=KINDS[0], worker=11, reason="ConnectionResetError")
    assert broken(observed(counted={KINDS[0].route: 8}, cut=[cut])) == []


def test_a_request_that_is_counted_twice_is_seen() -> None:
    assert broken(observed(counted={KINDS[0].route: 8}, cut=[])) == [
        "/items/{item} 200: counted no more than answered and cut off"
    ]


def test_one_answered_request_a_kill_may_be_lost_and_no_more() -> None:
    seen = observed(counted={}, cut=[], answered=7)
    seen.tally.answered[KINDS[3]] = 8
    assert broken(seen) == []
    seen.tally.answered[KINDS[3]] = 9
    assert broken(seen) == ["answered and not counted: at most one a kill, in its last microseconds"]


def test_kills_are_demanded_unless_the_server_starts_no_other_worker() -> None:
    seen = observed(counted={}, cut=[])
    seen.killed = []
    assert broken(seen) == ["workers are killed"]
    seen.kills = False
    assert broken(seen) == []


def test_a_request_that_is_cut_off_by_a_worker_nobody_killed_is_seen() -> None:
    cut = Cut(kind=KINDS[1], worker=12, reason="IncompleteReadError")
    assert broken(observed(counted={}, cut=[cut])) == ["cut off only where the worker was killed"]


@pytest.mark.parametrize(
    ("name", "values"), [("series", [40.0, 41.0, 41.0]), ("files", [5.0, 6.0, 10.0]), ("mebibytes", [40.0, 41.0, 45.0])]
)
def test_growth_is_seen(name: str, values: list[float]) -> None:
    seen = observed(counted={}, cut=[])
    setattr(seen, name, values)
    assert len(broken(seen)) == 1


@pytest.mark.parametrize("then", ["# TYPE a_total counter\n", COUNTER.format(2)])
def test_a_counter_that_goes_backwards_or_vanishes_is_seen(then: str) -> None:
    scrapes = Scrapes()
    for text in (COUNTER.format(3), then):
        scrapes.read(text)
    assert scrapes.backwards == ["a_total"]


def test_a_counter_is_compared_with_the_last_page_that_had_it() -> None:
    scrapes = Scrapes()
    for text in (COUNTER.format(3), COUNTER.format(3), COUNTER.format(4)):
        scrapes.read(text)
    assert scrapes.backwards == []
