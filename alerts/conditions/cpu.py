"""CPUSaturated: an instance has used nearly all of its CPU for a sustained period, and still does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.model import number
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import Clock, RuleTest, Series
from alerts.rule_tests.threshold_tests import SAMPLES, Measured, Story, boundary_tests, story_test
from alerts.rule_tests.trend_histories import trend_clock
from alerts.thresholds import SEVERITIES, level_rule, levels, limits
from alerts.trends import halves
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.thresholds import Level, Limit
    from instrumentation.settings import Settings

NAME = "CPUSaturated"

_CORES = 2


def cpu_saturated(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides.

    CPU usage cannot exceed its limit, so it is not extrapolated: the alert requires that it stays high.
    """
    return [_rule(settings, limit) for limit in limits(settings, "cpu_used_ratio")]


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    of, window = recorded(settings), settings.alerting.trend.window
    recent, earlier = halves(of.cpu_used, window)
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr=(
            f"{limit.of(of.cpu_used)} > {limit.than()}\n"
            f"and avg_over_time({recent}) > {limit.than()}\n"
            f"and avg_over_time({earlier}) > {limit.than()}"
        ),
        summary="An instance uses nearly all of its CPU.",
        description=(
            "{{ $labels.instance }} of {{ $labels.job }} uses {{ $value | humanizePercentage }} of its available CPU, and has "
            f"done so for most of the last {window} (limit {limit.said(function='humanizePercentage')})."
        ),
    )


def cpu_saturated_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; peaks; an instance without metrics of its container."""
    judged = [(level, _rule(settings, level.limit)) for level in levels(settings, "cpu_used_ratio")]
    moments = trend_clock(settings, [rule for _, rule in judged], settings.alerting.trend.window)
    stories = list(_stories(settings, moments))
    return [
        *boundary_tests(settings, judged, _history, moments=moments, part="instance"),
        story_test(settings, judged, stories, moments=moments, part="instance"),
    ]


def _history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
    used = level.threshold + (1 if above else -1) / SAMPLES
    grows = used * _CORES * moments.step
    return Measured(series=_container(labels, moments.counter(grows, 0), moments), value=used)


def _stories(settings: Settings, moments: Clock) -> Iterator[Story]:
    least = min(level.threshold for level in levels(settings, "cpu_used_ratio") if not level.match)
    window, steps = settings.alerting.trend.window.seconds // moments.step, moments.fires // moments.step + 1
    peak, busy, calm = window * 4 // 10, _CORES * moments.step, least / 2 * _CORES * moments.step
    again = ((0, window * 3 // 20), (busy, window // 4))
    earlier = min(window * 17 // 20, steps - sum(length for _, length in again) - 2)
    pause = ((busy, earlier), *again)

    def container(name: str, seconds: str) -> Story:
        return Story(name=name, series=lambda labels: _container(labels, seconds, moments))

    def process(labels: Mapping[str, str]) -> tuple[Series, Series]:
        seconds = _counter((busy, steps))
        return Series(name=catalog.PROCESS_CPU.name, labels=labels, values=seconds), _cores(labels, moments)

    yield Story(name="busy-without-a-container", series=process, fires=SEVERITIES, value=1)
    yield container("a-peak", _counter((calm, steps - peak), (busy, peak)))
    if least > 0.75:  # noqa: PLR2004 - otherwise being busy for three quarters of the time is enough
        yield container("again-after-a-pause", _counter((calm, steps - sum(length for _, length in pause)), *pause))
    yield container("just-started", f"_x{steps - peak} {_counter((busy, peak))}")
    yield container("restarted", f"{_counter((calm, steps - peak))} {_counter((calm, peak))}")


def _counter(*phases: tuple[float, int]) -> str:
    """A counter with phases, each with a growth per sample and a number of samples."""
    total, parts = 0.0, []
    for grows, samples in phases:
        parts.append(f"{number(total + grows)}+{number(grows)}x{samples - 1}")
        total += grows * samples
    return " ".join(parts)


def _container(labels: Mapping[str, str], seconds: str, moments: Clock) -> tuple[Series, Series]:
    return Series(name=catalog.CONTAINER_CPU_USAGE.name, labels=labels, values=seconds), _cores(labels, moments)


def _cores(labels: Mapping[str, str], moments: Clock) -> Series:
    values = moments.gauge(_CORES, _CORES)
    return Series(name=catalog.CPU_AVAILABLE.name, labels=labels, values=values)


CPU_SATURATED = Alert(
    name=NAME,
    group="resources",
    meaning="an instance has used nearly all of its CPU for a sustained period",
    rules=cpu_saturated,
    tests=cpu_saturated_tests,
)
