"""HighErrorRate: too large a share of requests is answered with an error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import Clock, RuleTest, Series, Value, clock
from alerts.rule_tests.threshold_tests import SAMPLES, Measured, boundary_tests, burst_tests, service_labels
from alerts.thresholds import level_rule, levels
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.thresholds import Level
    from instrumentation.settings import Settings

NAME = "HighErrorRate"


def high_error_rate(settings: Settings) -> list[AlertRule]:
    """One rule for each severity and override."""
    return [_rule(settings, level) for level in levels(settings, "error_ratio")]


def _rule(settings: Settings, level: Level) -> AlertRule:
    of = recorded(settings)
    window = settings.alerting.window
    return level_rule(
        settings,
        level,
        alert=NAME,
        expr=(f"{level.of(of.error_ratio)} > [[threshold]]\nand\n{of.errors} >= [[minimum_bad_events]]"),
        parameters={"minimum_bad_events": settings.alerting.minimum_bad_events},
        summary="Too many requests are answered with an error.",
        description=(
            f"{{{{ $labels.job }}}} answered {{{{ $value | humanizePercentage }}}} of its requests of the last {window} "
            'with an error; the limit is {{ "[[threshold]]" | humanizePercentage }}.'
        ),
    )


def high_error_rate_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold, and what idle, flawless, rare and newborn errors read."""
    judged = list(zip(levels(settings, "error_ratio"), high_error_rate(settings), strict=True))
    rules = [rule for _, rule in judged]
    return [
        *boundary_tests(settings, judged, _history),
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


def _count(labels: Mapping[str, str], error_type: str, values: str) -> Series:
    own = {"instance": "a", "http_route": "/", "http_response_status_code": error_type or "200"}
    name = f"{catalog.HTTP_SERVER_REQUEST_DURATION.name}_count"
    return Series(name=name, labels={**labels, **own, "error_type": error_type}, values=values)


def _ratio_tests(settings: Settings) -> Iterator[RuleTest]:
    ratio, labels = recorded(settings).error_ratio, service_labels(settings)
    moments = clock(settings, high_error_rate(settings))
    for name, good, bad, value in (
        ("no request ever failed: the error ratio is 0, not absent", 20, None, 0.0),
        ("no request at all: the error ratio is absent, not NaN", 0, 0, None),
        ("one request in four fails: the error ratio is a quarter", 3, 1, 0.25),
    ):
        series = [_count(labels, "", moments.counter(good, good))]
        series += [] if bad is None else [_count(labels, "500", moments.counter(bad, bad))]
        check = Value(seconds=moments.fires, expr=ratio, labels=labels, value=value)
        yield RuleTest(name=name, series=tuple(series), values=(check,))


def _burst(labels: Mapping[str, str], bad: int, jump: Callable[[int], str]) -> tuple[Series, ...]:
    return _count(labels, "", jump(0)), _count(labels, "500", jump(bad))


HIGH_ERROR_RATE = Alert(
    name=NAME,
    group="http",
    meaning="too large a share of requests is answered with an error",
    rules=high_error_rate,
    tests=high_error_rate_tests,
)
