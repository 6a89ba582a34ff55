"""HighLatencyP95: the p95 latency of a service is above its threshold."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.model import event_count
from alerts.recording.override_thresholds import override_slow
from alerts.recording.services import recorded, slower
from alerts.rule_tests.promtool import Clock, RuleTest, Series, Value, clock
from alerts.rule_tests.threshold_tests import SAMPLES, Measured, burst_tests, service_labels, threshold_tests
from alerts.thresholds import level_rule, levels, limits
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alerts.model import AlertRule
    from alerts.thresholds import Level, Limit
    from instrumentation.settings import Settings

NAME = "HighLatencyP95"


def high_latency_p95(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides.

    The threshold is a bucket edge, so the comparison is exact and slower requests can be counted.
    """
    return [_rule(settings, limit) for limit in limits(settings, "latency_p95_seconds")]


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    of = recorded(settings)
    window = settings.alerting.window
    # A start in the future means that clocks differ, not that an instance is young.
    # If all instances are young, as after a restart of all, the window still contains their slow start when it is over.
    warm = settings.alerting.window.seconds + settings.alerting.for_.critical.seconds
    age = f"max by ({of.by}) (time() - {catalog.PROCESS_START_TIME.name})"
    young = f"\nunless on ({of.by}) {age} >= 0 < {warm}" if limit.severity == "critical" else ""
    slow = slower(settings, of.buckets, limit.than()) if limit.numbers else override_slow(settings, limit.severity)
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr=f"{limit.of(of.p95)} > {limit.than()}\nand\n{slow} >= [[minimum_bad_events]]{young}",
        parameters={"minimum_bad_events": event_count(settings.alerting.minimum_bad_events)},
        summary="p95 latency is too high.",
        description=(
            f"The p95 latency of {{{{ $labels.job }}}} over the last {window} is {{{{ $value | humanizeDuration }}}} "
            f"(limit {limit.said(function='humanizeDuration')})."
        ),
        on_edge=True,
    )


def high_latency_p95_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; an idle service; slow starts; bursts of slow requests."""
    level_rules = [(level, _rule(settings, level.limit)) for level in levels(settings, "latency_p95_seconds")]
    rules = [rule for _, rule in level_rules]
    highest = max(rule.parameters["threshold"].value for rule in rules)

    def burst(labels: Mapping[str, str], slow: int, jump: Callable[[int], str]) -> tuple[Series, ...]:
        return _histogram(settings, labels, lambda edge: jump(slow if edge > highest else 0))

    return [
        *threshold_tests(settings, level_rules, lambda *place: _history(settings, *place)),
        *_idle_test(settings),
        *_slow_start_tests(settings, rules),
        *burst_tests(settings, rules, "slow requests", burst),
    ]


def _history(settings: Settings, moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
    slow = SAMPLES // 20 + (1 if above else -1)
    within = SAMPLES - slow
    edges = (0.0, *settings.duration_edges)
    lower, upper = next((a, b) for a, b in pairwise(edges) if (a if above else b) == level.threshold)
    rank = 0.95 * SAMPLES  # histogram_quantile interpolates within the bucket that holds the 95th percentile
    value = lower + (upper - lower) * ((rank - within) / slow if above else rank / within)
    series = _histogram(settings, labels, lambda edge: moments.counter(_up_to(edge, level.threshold, within), SAMPLES))
    return Measured(series=series, value=value)


def _up_to(edge: float, threshold: float, within: int) -> int:
    """Requests at or below an edge, if ``within`` requests are just below the threshold and the others just above."""
    return 0 if edge < threshold else within if edge == threshold else SAMPLES


def _histogram(settings: Settings, labels: Mapping[str, str], values: Callable[[float], str]) -> tuple[Series, ...]:
    name = catalog.HTTP_SERVER_REQUEST_DURATION.name
    own = {**labels, "instance": "a", "http_route": "/", "http_response_status_code": "200", "error_type": ""}
    edges = [*settings.duration_edges, float("inf")]
    buckets = [Series(name=f"{name}_bucket", labels={**own, "le": _le(edge)}, values=values(edge)) for edge in edges]
    return (*buckets, Series(name=f"{name}_count", labels=own, values=values(float("inf"))))


def _le(edge: float) -> str:
    return "+Inf" if edge == float("inf") else str(float(edge))


def _slow_start_tests(settings: Settings, rules: Sequence[AlertRule]) -> Iterator[RuleTest]:
    """All requests are slow for 1.5 times the alert's ``for``; then all are fast."""
    critical = next(rule for rule in rules if rule.key == "critical")
    moments, labels = clock(settings, rules), service_labels(settings)
    slow, rest = 3 * critical.for_.seconds // 2 // moments.step, moments.resolved // moments.step
    highest = max(rule.parameters["threshold"].value for rule in rules)
    late, every = f"0x{slow + rest}", f"0+100x{slow} {100 * slow}+100x{rest}"
    fast = f"0x{slow} 0+100x{rest}"
    series = _histogram(settings, labels, lambda edge: every if edge > highest else fast)
    firing = f'alertname="{NAME}", alertstate="firing", severity="{critical.severity}"'
    ever = f"count_over_time(ALERTS{{{firing}}}[{moments.resolved}s])"
    for name, start, fires in (("young", 0, False), ("old", -1_000_000, True)):
        started = Series(
            name=catalog.PROCESS_START_TIME.name,
            labels={**labels, "instance": "a"},
            values=late.replace("0x", f"{start}x"),
        )
        yield RuleTest(
            name=f"a slow start of {name} instances: critical {'fires' if fires else 'is silent'}",
            series=(*series, started),
            values=(
                Value(
                    seconds=moments.resolved,
                    expr=f"count by (alertname) ({ever})",
                    labels={"alertname": NAME},
                    value=1 if fires else None,
                ),
            ),
        )


def _idle_test(settings: Settings) -> Iterator[RuleTest]:
    moments = clock(settings, high_latency_p95(settings))
    check = Value(seconds=moments.fires, expr=recorded(settings).p95, labels={}, value=None)
    series = _histogram(settings, service_labels(settings), lambda _: moments.counter(0, 0))
    yield RuleTest(name="no request at all: the p95 is absent, not NaN", series=series, values=(check,))


HIGH_LATENCY_P95 = Alert(
    name=NAME,
    group="http",
    meaning="the p95 latency of a service is above its threshold",
    rules=high_latency_p95,
    tests=high_latency_p95_tests,
)
