"""The rules over a day and a half of an example shop, in the format in which Prometheus would have scraped it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import generated
from instrumentation.settings import Duration, parse_settings
from tests.support.prometheus_history import Prometheus, layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import httpx

    Value = Callable[[float], float | None]

MINUTE, HOUR = 60, 3600
SCRAPE = 60
MIDNIGHT = 1_772_496_000  # 2026-03-03, UTC
FIRST, LAST = -24.0, 14.0  # hours from midnight
START, END = MIDNIGHT + int(FIRST) * HOUR, MIDNIGHT + int(LAST) * HOUR
SETTINGS = parse_settings(
    {
        "metrics": {"scrape_interval": f"{SCRAPE}s"},
        "alerting": {"evaluation_interval": f"{SCRAPE}s"},
        "budget": {"daily_usd": 100.0},
        "thresholds": {"overrides": [{"match": {"job": "frugal"}, "daily_usd": 10.0}]},
    }
)
RULES = [rule for group in yaml.safe_load(generated(SETTINGS)["rules.yaml"])["groups"] for rule in group["rules"]]


# --- The history: hours are counted from midnight --------------------------------------------------------------------


def ramp(*points: tuple[float, float]) -> Value:
    """Straight lines between points of an hour and a value."""

    def value(hour: float) -> float:
        for (left, low), (right, high) in pairwise(points):
            if left <= hour < right:
                return low + (high - low) * (hour - left) / (right - left)
        return points[-1][1]

    return value


def steady(level: float) -> Value:
    return lambda _: level


def between(start: float, end: float, level: float | None, otherwise: float | None = 0) -> Value:
    return lambda hour: level if start <= hour < end else otherwise


def counted(per_hour: Value, *restarts: float, since: float = FIRST, until: float = LAST, first: float = 0) -> Value:
    """A counter of a process.

    Args:
        per_hour: What is added in an hour.
        restarts: When it counts from 0 again.
        since: When it is seen for the first time.
        until: When the process ends.
        first: What it is when it is first seen.
    """
    total, starts = first, sorted(restarts)

    def value(hour: float) -> float | None:
        nonlocal total
        if not since <= hour < until:
            return None
        if starts and starts[0] <= hour:
            starts.pop(0)
            total = 0.0
        shown, total = total, total + (per_hour(hour) or 0) * SCRAPE / HOUR
        return shown

    return value


@dataclass(frozen=True)
class Series:
    name: str
    labels: Mapping[str, str]
    value: Value

    def lines(self) -> Iterator[str]:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        for second in range(START, END + 1, SCRAPE):
            value = self.value((second - MIDNIGHT) / HOUR)
            if value is not None:
                yield f"{self.name}{{{labels}}} {value} {second}\n"


def a(name: str, value: Value, job: str, instance: str = "a", **labels: str) -> Series:
    return Series(name, {"job": job, "instance": instance, **labels}, value)


BATCH = (2.0, 2.2)  # a nightly job that uses all it can get
BEGAN = 6 / 60  # hours from an instance's start until its first execution has ended
FIRST_COST = 2.0  # US dollars, which the first scrape that sees the series sees in it


@dataclass(frozen=True)
class Spender:
    """An instance that costs something."""

    per_hour: Value
    restarts: tuple[float, ...] = ()
    since: float = FIRST
    until: float = LAST

    def series(self, job: str, instance: str) -> Iterator[Series]:
        yield a("target_info", between(self.since, self.until, 1, None), job, instance, service_version="1")
        cost = counted(self.per_hour, *self.restarts, since=self.since + BEGAN, until=self.until, first=FIRST_COST)
        yield a("workflow_cost_usd_total", cost, job, instance, workflow="agent")

    def today(self, hour: float) -> float:
        """What it has truly cost since midnight."""
        minutes = range(int(max(self.since + BEGAN, 0) * 60), int(min(self.until, hour) * 60))
        first = FIRST_COST if 0 <= self.since < hour else 0
        return first + sum((self.per_hour(minute / 60) or 0) / 60 for minute in minutes)


SPENT = {
    "shop": (
        Spender(steady(1), restarts=(-5.0, 6.5, 9.25)),
        Spender(between(8, 12, 12, 2), restarts=(8.6,)),
        Spender(steady(4), since=3.0, until=11.0),
    ),
    "frugal": (Spender(between(7, 9, 5), restarts=(8.0,)),),
    "saver": (Spender(between(-10, -1, 20)),),
}


def history() -> list[Series]:
    return [
        # The consumer is dead from 10 to 11, and then catches up; at 2 the newsletter is queued at once.
        a("queue_depth", ramp((FIRST, 0), (10, 0), (11, 3600), (11.5, 0)), "shop", queue="emails"),
        a("queue_depth", ramp((FIRST, 0), (10, 0), (11, 3600), (11.5, 0)), "shop", "b", queue="emails"),
        a("queue_depth", ramp((FIRST, 0), (2, 0), (2.001, 20_000), (2.7, 0)), "shop", queue="newsletter"),
        a("container_cpu_usage_seconds_total", counted(between(*BATCH, 7200, 2000)), "batch"),
        a("container_cpu_usage_seconds_total", counted(between(11, 13, 7150, 2000)), "runaway"),
        *(a("cpu_available_cores", steady(2), job) for job in ("batch", "runaway")),
        # A leak that ends in a kill at 13, and a cache that is filled at 8.
        a("container_memory_working_set_bytes", ramp((FIRST, 6e8), (9, 6e8), (13, 1e9), (13.01, 3e8)), "leak"),
        a("container_memory_working_set_bytes", ramp((FIRST, 5e8), (8, 5e8), (8.05, 9.6e8)), "cache"),
        *(a("container_memory_limit_bytes", steady(1e9), job) for job in ("leak", "cache")),
        a("disk_used_bytes", ramp((FIRST, 50), (0, 50), (8, 90), (9, 95), (9.01, 20)), "logs", path="/var/log"),
        a("disk_used_bytes", ramp((FIRST, 70), (3, 70), (4, 88), (5, 88), (5.01, 70)), "dump", path="/dump"),
        *(a("disk_size_bytes", steady(100), job, path=path) for job, path in (("logs", "/var/log"), ("dump", "/dump"))),
        # A tenth of the imports fails from 10 to 11; a report that runs once a night fails.
        a("workflow_executions_total", counted(between(10, 11, 54, 60)), "shop", workflow="import", outcome="success"),
        a("workflow_executions_total", counted(between(10, 11, 6)), "shop", workflow="import", outcome="failure"),
        a("workflow_executions_total", counted(steady(0)), "shop", workflow="report", outcome="success"),
        a(
            "workflow_executions_total",
            ramp((FIRST, 0), (3, 0), (3.001, 1)),
            "shop",
            workflow="report",
            outcome="failure",
        ),
        # Version 2 needs three hours to replace version 1; version 3 is rolled back at once.
        a("target_info", between(FIRST, 9, 1, None), "slow", service_version="1"),
        a("target_info", between(6, LAST, 1, None), "slow", "b", service_version="2"),
        a("target_info", between(12, 12.2, None, 1), "undone", service_version="2"),
        a("target_info", between(12, 12.2, 1, None), "undone", "b", service_version="3"),
        a("target_info", steady(1), "looping", service_version="2"),
        a(
            "target_info",
            lambda hour: 1 if hour > 9 and hour % 0.3 < 0.05 else None,
            "looping",
            "b",
            service_version="3",
        ),
        *(
            series
            for job, spenders in SPENT.items()
            for place, spender in enumerate(spenders)
            for series in spender.series(job, f"{place}")
        ),
    ]


@pytest.fixture(scope="module", params=["prometheus", "prometheus-oldest"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus with the history, and with what the rules would have recorded."""
    prometheus = Prometheus(tmp_path_factory.mktemp("history"), request.param)
    series = sorted(history(), key=lambda one: one.name)  # those of one name must stand together
    prometheus.take((line for one in series for line in one.lines()), *sorted({one.name for one in series}))
    for layer in layers([rule for rule in RULES if "record" in rule and "active_user" not in rule["record"]]):
        prometheus.record(layer, SCRAPE, START, END)
    with prometheus.running() as client:
        yield client


# --- What the rules make of it ---------------------------------------------------------------------------------------


def answered(client: httpx.Client, expression: str) -> list[tuple[dict[str, str], dict[float, float]]]:
    """Labels, and hour to value, of every minute since midnight."""
    asked: dict[str, str | int] = {"query": expression, "start": MIDNIGHT, "end": END, "step": MINUTE}
    found: Any = client.get("/api/v1/query_range", params=asked).raise_for_status().json()
    return [
        (one["metric"], {(second - MIDNIGHT) / HOUR: float(value) for second, value in one["values"]})
        for one in found["data"]["result"]
    ]


Spans = list[tuple[float, float]]

FIRES: dict[tuple[str, str, str], Spans] = {
    ("QueueBacklogGrowing", "critical", "emails"): [(10.4, 11.1)],
    ("QueueBacklogGrowing", "warning", "emails"): [(10.4, 11.1)],
    ("CPUSaturated", "critical", "runaway"): [(11.6, 13.0)],
    ("CPUSaturated", "warning", "runaway"): [(11.6, 13.0)],
    ("MemoryNearLimit", "critical", "leak"): [(12.5, 13.0)],
    ("MemoryNearLimit", "warning", "leak"): [(11.6, 13.0)],
    ("DiskFillingUp", "critical", "/var/log"): [(8.0, 9.0)],
    ("DiskFillingUp", "warning", "/var/log"): [(6.1, 9.0)],
    ("WorkflowFailures", "warning", "import"): [(10.6, 11.2)],
    ("DailyCostOverBudget", "critical", "shop"): [(11.4, 14.0)],
    ("DailyCostOverBudget", "warning", "shop"): [(10.1, 14.0)],
    ("DailyCostOverBudget", "warning", "frugal"): [(8.7, 14.0)],
    ("DeploymentCompleted", "info", "slow 2"): [(9.2, 9.4)],
    ("DeploymentCompleted", "info", "undone 2"): [(12.4, 12.6)],
    ("DeploymentCompleted", "info", "undone 3"): [(12.2, 12.3)],
}
"""What fires for what in the story, in hours, and nothing else does. No version is left at once, since a history that is
written afterwards does not say when a series ended: Prometheus reads its last sample for five minutes."""
NEW = (
    "QueueBacklogGrowing",
    "CPUSaturated",
    "MemoryNearLimit",
    "DiskFillingUp",
    "WorkflowFailures",
    "DailyCostOverBudget",
)


@pytest.mark.parametrize("alert", [*NEW, "DeploymentCompleted"])
def test_an_alert_fires_when_there_is_trouble_and_only_then(client: httpx.Client, alert: str) -> None:
    found = dict(fired(client, alert))
    expected = {key: spans for key, spans in FIRES.items() if key[0] == alert}
    assert found.keys() == expected.keys()
    for key, spans in expected.items():
        assert [pytest.approx(span, abs=0.1) for span in spans] == found[key], key


def fired(client: httpx.Client, alert: str) -> Iterator[tuple[tuple[str, str, str], Spans]]:
    for rule in RULES:
        if rule.get("alert") == alert:
            for labels, values in answered(client, rule["expr"]):
                spans = lasting(values, Duration(rule["for"]))
                if spans:
                    yield (alert, rule["labels"]["severity"], subject(labels)), spans


def subject(labels: Mapping[str, str]) -> str:
    version = labels.get("service_version")
    part = next((labels[part] for part in ("queue", "workflow", "path") if part in labels), labels["job"])
    return f"{part} {version}" if version else part


def lasting(hours: Iterable[float], waits: Duration) -> Spans:
    """From when to when an alert fires whose condition holds in these minutes."""
    held = sorted(hours)
    ends = [index for index, hour in enumerate(held) if index + 1 == len(held) or held[index + 1] - hour > 1.5 / 60]
    spans = [(held[first + 1 if first >= 0 else 0], held[last]) for first, last in pairwise([-1, *ends])]
    return [(first + waits.seconds / HOUR, last) for first, last in spans if last - first >= waits.seconds / HOUR]


@pytest.mark.parametrize("job", SPENT)
def test_todays_cost_is_true_with_restarts_and_instances_that_come_and_go(client: httpx.Client, job: str) -> None:
    (found,) = series_of(client, "job:workflow_cost_usd:increase_today", job)
    for hour in range(1, int(LAST) + 1):
        true = sum(spender.today(hour) for spender in SPENT[job])
        # A restart loses what was spent since the last scrape, here at most 12 dollars an hour for a minute.
        assert found[hour] == pytest.approx(true, rel=0.01, abs=0.25), hour


def test_yesterdays_cost_ends_at_midnight_unlike_in_a_window_of_24_hours(client: httpx.Client) -> None:
    (today,) = series_of(client, "job:workflow_cost_usd:increase_today", "saver")
    (rolling,) = series_of(client, "job:workflow_cost_usd:increase1d", "saver")
    assert today[8.0] == 0
    assert rolling[8.0] == pytest.approx(180, rel=0.01)


def test_the_forecast_is_today_so_far_and_yesterdays_rest(client: httpx.Client) -> None:
    (forecast,) = series_of(client, "job:workflow_cost_usd:increase1d", "shop")
    so_far = sum(spender.today(10) for spender in SPENT["shop"])
    assert forecast[10.0] == pytest.approx(so_far + 14 * (1 + 2), rel=0.01)


def series_of(client: httpx.Client, name: str, job: str) -> list[dict[float, float]]:
    return [values for _, values in answered(client, f'{name}{{job="{job}"}}')]
