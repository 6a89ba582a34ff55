"""Counts events exactly: nothing is averaged or extrapolated, so N events are never counted as more than N.

Each evaluation records the totals of every instance, and what was added since the previous evaluation. The events within a
window are then a plain sum of the recorded samples. docs/decisions/0022-counting-events.md has the reasons and the alternatives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.checking.promql import REPLICAS
from instrumentation import catalog
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrumentation.settings import Settings

QUARTER = Duration("15m")
_MEMORY = Duration("5m")  # how long Prometheus returns a series that gets no new samples


def totals(settings: Settings, counter: str, *parts: str) -> str:
    """The total of a counter for each instance since it started, summed over the counter's own labels.

    A series that appears with its first event increases this sum like any other event.

    Args:
        settings: The settings.
        counter: PromQL of counters.
        parts: Labels to keep in addition to those of the instance.
    """
    by = ", ".join((*_instance(settings), *parts))
    return f"max by ({by}) (sum by ({by}, {', '.join(REPLICAS)}) ({counter}))"


def added(settings: Settings, total: str, *parts: str, seen: str = "") -> str:
    """The increase of each service since the previous evaluation.

    If a total fell or is new, all of it counts only if its process has just started. Otherwise an instance that Prometheus
    discovers late would add the events of days at once.

    Args:
        settings: The settings.
        total: A series recorded from ``totals``.
        parts: Labels to keep in addition to those of the service.
        seen: A total of the instance that exists before its first event. If it is older than ``total``, all of ``total``
            is counted.
    """
    memory, on = remembered(settings), f"on ({', '.join(_instance(settings))})"
    young = f"{catalog.PROCESS_START_TIME.name} > time() - {memory.seconds}"
    ways = [f"idelta({total}[{memory}]) >= 0 and {total}", f"{total} and {on} {young}"]
    if seen:
        ways.append(f"{total} unless idelta({total}[{memory}]) and {on} idelta({seen}[{memory}])")
    return f"sum by ({', '.join((*settings.alerting.group_by, *parts))}) (\n  " + "\n  or\n  ".join(ways) + "\n)"


def within(series: str, window: Duration) -> str:
    """The number of events within a window: the sum of the samples of ``added``.

    Prometheus 2 includes a sample exactly at the start of a range, so the range is a millisecond shorter.

    >>> within("a", Duration("5m"))
    'sum_over_time(a[299999ms])'
    """
    return f"sum_over_time({series}[{1000 * window.seconds - 1}ms])"


def once_a_quarter(settings: Settings, series: str) -> str:
    """The sum of a quarter of an hour, recorded by one evaluation per quarter, so that a month has few samples to read.

    If a quarter is not a multiple of the evaluation interval, it is shortened to one, so that no evaluation counts twice.
    """
    every = settings.alerting.evaluation_interval.seconds
    quarter = Duration.of(max(QUARTER.seconds // every, 1) * every)
    return f"{within(series, quarter)}\nand on () vector(time() % {quarter.seconds}) < {every}"


def remembered(settings: Settings) -> Duration:
    """How old the previous evaluation may be. After a longer gap, counting restarts from the total that the instance then has."""
    return Duration.of(max(_MEMORY.seconds, 3 * settings.alerting.evaluation_interval.seconds))


def _instance(settings: Settings) -> Iterable[str]:
    return (*settings.alerting.group_by, "instance")
