"""Time ranges and steps are Grafana's."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from sidelight.view.errors import RequestError
from sidelight.view.ranges import Range, resolved, since, zone
from sidelight.view.steps import step

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 29, 12, 30, 15, tzinfo=BERLIN)  # a Sunday on which clocks went from 2 to 3


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=BERLIN).timestamp()  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("now-1h", "now", (NOW.timestamp() - 3600, NOW.timestamp())),
        ("now/d", "now", (at(2026, 3, 29), NOW.timestamp())),
        ("now-1d/d", "now-1d/d", (at(2026, 3, 28), at(2026, 3, 29))),
        ("now/d", "now/d", (at(2026, 3, 29), at(2026, 3, 30))),
        ("now/w", "now", (at(2026, 3, 23), NOW.timestamp())),
        ("now-1M/M", "now-1M/M", (at(2026, 2, 1), at(2026, 3, 1))),
        ("now-1y/y", "now", (at(2025, 1, 1), NOW.timestamp())),
        ("now-2d+12h", "now", (at(2026, 3, 28, 0, 30, 15), NOW.timestamp())),
        ("now-12h", "now", (NOW.timestamp() - 12 * 3600, NOW.timestamp())),
        ("1767225600000", "1767229200000", (1767225600.0, 1767229200.0)),
    ],
)
def test_a_range_is_resolved_in_the_reader_s_time_zone(start: str, end: str, expected: tuple[float, float]) -> None:
    found = resolved(start, end, NOW)
    assert (found.start, found.end) == expected


def test_the_end_of_a_long_month_has_no_day_in_a_short_one() -> None:
    last = datetime(2026, 3, 31, 9, tzinfo=BERLIN)
    assert resolved("now-1M", "now", last).start == at(2026, 2, 28, 9)


@pytest.mark.parametrize("start", ["yesterday", "now-", "now-1h30", "now-1q", "-1h", "", "now-999999y", "9" * 16])
def test_a_time_that_is_not_understood_is_named(start: str) -> None:
    with pytest.raises(RequestError, match=r"^from: got '"):
        resolved(start, "now", NOW)


@pytest.mark.parametrize(("start", "end"), [("now", "now"), ("now", "now-1h"), ("now-3y", "now"), ("0", "now")])
def test_an_empty_range_and_one_of_years_are_refused(start: str, end: str) -> None:
    with pytest.raises(RequestError, match="give a range of more than 0 and at most 800 days"):
        resolved(start, end, NOW)


@pytest.mark.parametrize(("start", "seconds"), [("now/d", at(2026, 3, 29)), ("2h", NOW.timestamp() - 7200)])
def test_a_panel_may_have_its_own_start(start: str, seconds: float) -> None:
    assert since(start, NOW).start == seconds


@pytest.mark.parametrize("name", ["Atlantis/Center", "../../etc/passwd", "/etc/localtime", "a\0b"])
def test_an_unknown_time_zone_is_named(name: str) -> None:
    with pytest.raises(RequestError, match="timezone: got"):
        zone(name)


# --- Steps -----------------------------------------------------------------------------------------------------------


def days(number: float) -> Range:
    return Range(start=1_000_000_007.0, end=1_000_000_007.0 + number * 86_400)


@pytest.mark.parametrize(
    ("window", "points", "smallest", "milliseconds"),
    [
        (days(1 / 24), 600, "15s", 15_000),  # an hour: 6 s would be exact, but the scrape interval is longer
        (days(1), 600, "15s", 120_000),
        (days(30), 1000, "15s", 1_800_000),
        (days(1), 600, "1h", 3_600_000),
        (days(1 / 24), 600, "", 30_000),
        (days(1 / 1440), 1000, "50ms", 50),
    ],
)
def test_a_step_is_a_round_number_and_not_below_the_scrape_interval(
    window: Range, points: int, smallest: str, milliseconds: int
) -> None:
    assert step(window, points=points, smallest=smallest, scrape_interval="30s").step == milliseconds


def test_the_rate_interval_is_at_least_four_scrapes_and_longer_than_a_step() -> None:
    short, long = (step(days(number), points=600, smallest="15s", scrape_interval="30s") for number in (1 / 24, 1))
    assert short.variables["__rate_interval"] == "1m"
    assert long.variables["__rate_interval"] == "135s"


@pytest.mark.parametrize("number", [0.001, 1, 30, 800])
def test_no_query_has_more_points_than_prometheus_allows(number: float) -> None:
    made = step(days(number), points=4000, smallest="1ms", scrape_interval="1s")
    start, end = made.aligned
    assert (end - start) * 1000 / made.step < 11_000


def test_points_stay_where_they_are_when_the_page_refreshes() -> None:
    windows = (Range(start=0.0 + later, end=3600.0 + later) for later in (0, 7, 22))
    edges = {
        edge for window in windows for edge in step(window, points=240, smallest="15s", scrape_interval="15s").aligned
    }
    assert {edge % 15 for edge in edges} == {0}


def test_a_graph_of_one_point_an_hour_ends_now() -> None:
    made = step(Range(start=5000.0, end=5600.0), points=240, smallest="1h", scrape_interval="15s")
    assert made.aligned == (5580.0, 5580.0)
