"""DependencyFailing: calls of a service to another service fail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.model import event_count
from alerts.recording.dependencies import PART, recorded_calls
from alerts.rule_tests.promtool import RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import SAMPLES, Measured, Story, burst_tests, story_test, threshold_tests
from alerts.thresholds import level_rule, levels, limits
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.rule_tests.promtool import Clock
    from alerts.thresholds import Level, Limit
    from instrumentation.settings import Settings

NAME = "DependencyFailing"


def dependency_failing(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides."""
    return [_rule(settings, limit) for limit in limits(settings, "dependency_error_ratio")]


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    calls = recorded_calls(settings)
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr=f"{limit.of(calls.ratio)} > {limit.than()}\nand\n{calls.failed} >= [[minimum_bad_events]]",
        parameters={"minimum_bad_events": event_count(settings.alerting.minimum_bad_events)},
        summary="Calls to another service fail.",
        description=(
            f"Of the calls of {{{{ $labels.job }}}} to {{{{ $labels.{PART} }}}} over the last {settings.alerting.window}, "
            f"{{{{ $value | humanizePercentage }}}} failed (limit {limit.said(function='humanizePercentage')})."
        ),
    )


def dependency_failing_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; statuses and errors that count; bursts of failures, also on new series."""
    level_rules = [(level, _rule(settings, level.limit)) for level in levels(settings, "dependency_error_ratio")]
    rules = [rule for _, rule in level_rules]
    moments = clock(settings, rules)
    return [
        *threshold_tests(settings, level_rules, _history, moments=moments, label=PART),
        story_test(settings, level_rules, list(_stories(moments)), moments=moments, label=PART),
        *burst_tests(settings, rules, "failed calls", _burst),
    ]


def _history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
    exact = level.threshold * SAMPLES
    bad = math.floor(exact + 1 + 1e-9) if above else math.ceil(exact - 1 - 1e-9)
    good, failed = moments.counter(SAMPLES - bad, SAMPLES), moments.counter(bad, 0)
    return Measured(series=(_calls(labels, "200", "", good), _calls(labels, "503", "503", failed)), value=bad / SAMPLES)


def _stories(moments: Clock) -> Iterator[Story]:
    def story(name: str, status: str, error_type: str, *, fires: bool = False) -> Story:
        def series(labels: Mapping[str, str]) -> Iterator[Series]:
            yield _calls(labels, status, error_type, moments.counter(7, 7))

        return Story(name=name, series=series, fires=("critical", "warning") if fires else (), value=1)

    yield story("no-response", "", "ConnectTimeout", fires=True)
    yield story("a-status-without-error-type", "502", "", fires=True)
    yield story("calls-that-are-refused", "404", "404")
    yield story("calls-that-succeed", "200", "")


def _calls(labels: Mapping[str, str], status: str, error_type: str, values: str) -> Series:
    own = {"instance": "a", "http_request_method": "GET", "http_response_status_code": status, "error_type": error_type}
    name = f"{catalog.HTTP_CLIENT_REQUEST_DURATION.name}_count"
    return Series(name=name, labels={PART: "payments", **labels, **own}, values=values)


def _burst(labels: Mapping[str, str], bad: int, jump: Callable[[int], str]) -> tuple[Series, ...]:
    return _calls(labels, "200", "", jump(0)), _calls(labels, "500", "500", jump(bad))


DEPENDENCY_FAILING = Alert(
    name=NAME,
    group="dependencies",
    meaning="calls of a service to another service fail",
    rules=dependency_failing,
    tests=dependency_failing_tests,
)
