"""HighErrorRate: the error ratio of a service is above its threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.model import event_count
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import Clock, RuleTest, Series, Value, clock
from alerts.rule_tests.threshold_tests import SAMPLES, Measured, burst_tests, service_labels, threshold_tests
from alerts.thresholds import level_rule, levels, limits
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.thresholds import Level, Limit
    from instrumentation.settings import Settings

NAME = "HighErrorRate"


def high_error_rate(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides."""
    return [_rule(settings, limit) for limit in limits(settings, "error_ratio")]


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    of = recorded(settings)
    window = settings.alerting.window
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr=(f"{limit.of(of.error_ratio)} > {limit.than()}\nand\n{of.errors} >= [[minimum_bad_events]]"),
        parameters={"minimum_bad_events": event_count(settings.alerting.minimum_bad_events)},
        summary="Too many requests fail.",
        description=(
            f"The error ratio of {{{{ $labels.job }}}} over the last {window} is {{{{ $value | humanizePercentage }}}} "
            f"(limit {limit.said(function='humanizePercentage')})."
        ),
    )


def high_error_rate_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; the error ratio without requests or errors; bursts of errors, also on new series."""
    level_rules = [(level, _rule(settings, level.limit)) for level in levels(settings, "error_ratio")]
    rules = [rule for _, rule in level_rules]
    return [
        *threshold_tests(settings, level_rules, _history),
        *_ratio_tests(settings),
        *burst_tests(settings, rules, "failed requests", _burst),
    ]


def _history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
    exact = level.threshold * SAMPLES
    bad = math.floor(exact + 1 + 1e-9) if above else math.ceil(exact - 1 - 1e-9)
    return Measured(
        series=(
            _count(labels, "", moments.counter(SAMPLES - bad, SAMPLES)),
            _count(labels, "500", moments.counter(bad, 0)),
        ),
        value=bad / SAMPLES,
    )


def _count(labels: Mapping[str, str], error_type: str, values: str, *, status: str = "") -> Series:
    own = {"instance": "a", "http_route": "/", "http_response_status_code": status or error_type or "200"}
    name = f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count"
    return Series(name=name, labels={**labels, **own, "error_type": error_type}, values=values)


def _ratio_tests(settings: Settings) -> Iterator[RuleTest]:
    ratio, labels = recorded(settings).error_ratio, service_labels(settings)
    moments = clock(settings, high_error_rate(settings))
    for name, value, requests in _RATIOS:
        series = (
            _count(labels, error_type, moments.counter(each, each), status=status)
            for (status, error_type), each in requests.items()
        )
        check = Value(seconds=moments.fires, expr=ratio, labels=labels, value=value)
        yield RuleTest(name=name, series=tuple(series), values=(check,))


_RATIOS: tuple[tuple[str, float | None, Mapping[tuple[str, str], int]], ...] = (
    ("no request ever failed: the error ratio is 0, not absent", 0, {("200", ""): 20}),
    ("no request at all: the error ratio is absent, not NaN", None, {("200", ""): 0, ("500", "500"): 0}),
    ("one request in four fails: the error ratio is a quarter", 0.25, {("200", ""): 3, ("500", "500"): 1}),
    ("a status of 503 without an error_type is in the error ratio, 404 is not", 0.25, {("404", ""): 3, ("503", ""): 1}),
    ("what breaks off is in the error ratio", 0.25, {("200", ""): 3, ("200", "response_aborted"): 1}),
)
"""A description, the error ratio, and the number of requests by status and error_type."""


def _burst(labels: Mapping[str, str], bad: int, jump: Callable[[int], str]) -> tuple[Series, ...]:
    return _count(labels, "", jump(0)), _count(labels, "500", jump(bad))


HIGH_ERROR_RATE = Alert(
    name=NAME,
    group="http",
    meaning="the error ratio of a service is above its threshold",
    rules=high_error_rate,
    tests=high_error_rate_tests,
)
