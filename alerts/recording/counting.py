"""Events are counted one by one: no average times a window, and nothing extrapolated, so N events never read as more than N.

Each evaluation records what every instance has counted since it started, and what was added to that since the evaluation before.
The additions of a window are then a plain sum of the samples that exist. Why, and what else was tried, stands in
docs/decisions/0022-counting-events.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.checking.promql import REPLICAS
from instrumentation import catalog
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrumentation.settings import Settings

_MEMORY = Duration("5m")  # how long Prometheus itself remembers a series that has no new sample


def totals(settings: Settings, counter: str, *parts: str) -> str:
    """What each instance has counted since it started: a counter that has all labels of its own summed away.

    A series that appears with its first event raises such a sum like any other event.

    Args:
        settings: The settings.
        counter: PromQL of counters.
        parts: Labels that are kept beside those of the instance.
    """
    by = ", ".join((*_instance(settings), *parts))
    return f"max by ({by}) (sum by ({by}, {', '.join(REPLICAS)}) ({counter}))"


def added(settings: Settings, total: str, *parts: str, seen: str = "") -> str:
    """What was added since the evaluation before, of each service.

    Where a total fell, or is there for the first time, all of it counts if its process is young. What else shows a total for the first
    time may have counted for days.

    Args:
        settings: The settings.
        total: A series recorded from ``totals``.
        parts: Labels that are kept beside those of the service.
        seen: A total of the instance that is there before its first event. An instance that has had that for a while and shows a new
            ``total`` has counted all of it since.
    """
    memory, on = remembered(settings), f"on ({', '.join(_instance(settings))})"
    young = f"{catalog.PROCESS_START_TIME.name} > time() - {memory.seconds}"
    ways = [f"idelta({total}[{memory}]) >= 0 and {total}", f"{total} and {on} {young}"]
    if seen:
        ways.append(f"{total} unless idelta({total}[{memory}]) and {on} idelta({seen}[{memory}])")
    return f"sum by ({', '.join((*settings.alerting.group_by, *parts))}) (\n  " + "\n  or\n  ".join(ways) + "\n)"


def within(series: str, window: Duration) -> str:
    """How many events the samples of ``added`` hold that lie within a window.

    Prometheus 2 also reads a sample that stands at the very beginning of a range, hence a millisecond less.

    >>> within("a", Duration("5m"))
    'sum_over_time(a[299999ms])'
    """
    return f"sum_over_time({series}[{1000 * window.seconds - 1}ms])"


def remembered(settings: Settings) -> Duration:
    """How old the evaluation before may be; an instance that was away for longer counts anew from what it then shows."""
    return Duration.of(max(_MEMORY.seconds, 3 * settings.alerting.evaluation_interval.seconds))


def _instance(settings: Settings) -> Iterable[str]:
    return (*settings.alerting.group_by, "instance")
