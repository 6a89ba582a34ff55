"""What a panel says about a day or an hour does not depend on how far one zooms; on a real Prometheus."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from alerts import RecordingRule, groups
from alerts.recording.services import recorded
from dashboards import DASHBOARDS, panels_of
from instrumentation.settings import parse_settings
from tests.support.prometheus_history import Prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

MIDNIGHT = 1_764_028_800  # a Tuesday, UTC
HOUR = 3600
YESTERDAY, TODAY = 7.0, 3.0  # requests per minute
SETTINGS = parse_settings({"alerting": {"evaluation_interval": "1m"}})
WITH_BUDGET = parse_settings({"budget": {"daily_usd": 7.0}})


def _counted(minute: int) -> float:
    """Since a day before midnight; the instance restarted with the new day's second hour."""
    if minute <= 0:
        return YESTERDAY * (minute + 1440)
    return YESTERDAY * 1440 + TODAY * minute if minute < 60 else TODAY * (minute - 60)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    history = Prometheus(tmp_path_factory.mktemp("prometheus"))
    of = recorded(SETTINGS)
    series = [
        *((of.request_totals, "") for _ in range(1)),
        ("workflows_created_total", ',workflow="order"'),
    ]
    lines = (
        f'{name}{{job="shop",instance="a:1"{labels}}} {_counted(minute)} {MIDNIGHT + 60 * minute}\n'
        for name, labels in series
        for minute in range(-1440, 720)
    )
    history.take(lines, *(name for name, _ in series))
    with history.running() as client:
        yield client


def _expr(title: str) -> str:
    dashboard: Any = DASHBOARDS["business"](SETTINGS)
    (found,) = (panel["targets"][0]["expr"] for panel in panels_of(dashboard) if panel["title"] == title)
    return re.sub(r"\$[a-z]+", ".*", str(found))


def _values(client: httpx.Client, expr: str, at: float) -> list[float]:
    answer = client.get("/api/v1/query", params={"query": expr, "time": at}).raise_for_status().json()
    return [float(one["value"][1]) for one in answer["data"]["result"]]


@pytest.mark.parametrize("minutes", [10, 45, 300, 700])
def test_today_begins_at_midnight_and_survives_a_restart(prometheus: httpx.Client, minutes: int) -> None:
    (value,) = _values(prometheus, _expr("Requests today"), MIDNIGHT + 60 * minutes)
    assert value == pytest.approx(TODAY * minutes, abs=2 * TODAY)


def test_today_is_the_day_on_which_the_time_range_ends(prometheus: httpx.Client) -> None:
    (value,) = _values(prometheus, _expr("Requests today"), MIDNIGHT - 6 * HOUR)
    assert value == pytest.approx(YESTERDAY * 18 * 60, rel=0.01)


def test_nothing_is_said_of_a_day_without_data(prometheus: httpx.Client) -> None:
    assert _values(prometheus, _expr("Requests today"), MIDNIGHT + 7 * 24 * HOUR) == []


@pytest.mark.parametrize("step", ["1h", "2h", "6h"])
def test_a_rate_per_hour_is_one_whatever_the_step(prometheus: httpx.Client, step: str) -> None:
    expr = _expr("Workflows created per hour").replace("$__interval", step)
    (value,) = _values(prometheus, expr, MIDNIGHT - 60)
    assert value == pytest.approx(60 * YESTERDAY, rel=0.01)


def test_the_forecast_is_never_below_what_is_spent() -> None:
    rules = {
        rule.record: rule for group in groups(WITH_BUDGET) for rule in group.rules if isinstance(rule, RecordingRule)
    }
    of = recorded(WITH_BUDGET)
    forecast = rules[of.cost_forecast].expr
    compared, _, otherwise = forecast.partition("\nor\n")
    assert compared.endswith(f"> {of.cost_today}")
    assert otherwise == of.cost_today
