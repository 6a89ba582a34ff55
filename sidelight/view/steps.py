"""The step of a graph, and Grafana's variables that depend on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.view.ranges import Range

MOST_POINTS = 11_000  # Prometheus refuses more

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_NICE = tuple(
    number * _UNITS[unit]
    for unit, numbers in {
        "ms": (1, 10, 20, 50, 100, 200, 500),
        "s": (1, 2, 5, 10, 15, 20, 30),
        "m": (1, 2, 5, 10, 15, 20, 30),
        "h": (1, 2, 3, 6, 12),
        "d": (1, 7, 30, 365),
    }.items()
    for number in numbers
)


def milliseconds(duration: str) -> int:
    """The length of a Prometheus duration; 0 for any other text.

    >>> milliseconds("1m30s"), milliseconds("250ms"), milliseconds(">5m"), milliseconds("")
    (90000, 250, 300000, 0)
    """
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


@dataclass(frozen=True, kw_only=True)
class Step:
    """The step of one query, computed as Grafana does.

    Attributes:
        step: Milliseconds between two points.
        scrape: Milliseconds between two scrapes: the query's smallest step.
        window: The time range.
    """

    step: int
    scrape: int
    window: Range

    @property
    def variables(self) -> Mapping[str, str]:
        """Grafana's own variables."""
        rate = max(self.step + self.scrape, 4 * self.scrape)
        seconds = round(self.window.seconds)
        return {
            "__interval": _written(self.step),
            "__interval_ms": str(self.step),
            "__rate_interval": _written(rate),
            "__rate_interval_ms": str(rate),
            "__range": f"{seconds}s",
            "__range_s": str(seconds),
            "__range_ms": str(round(self.window.seconds * 1000)),
            "__from": str(round(self.window.start * 1000)),
            "__to": str(round(self.window.end * 1000)),
        }

    @property
    def aligned(self) -> tuple[float, float]:
        """Start and end in seconds, aligned so that points stay where they are when the page refreshes.

        Unlike Grafana's, the last point of a long step is at most a minute old: a graph of one point an hour would otherwise
        show nothing of the first hour.
        """
        grid = min(self.step, _UNITS["m"])
        end = int(self.window.end * 1000 // grid * grid)
        steps = int((end - self.window.start * 1000) // self.step)
        return (end - max(0, steps) * self.step) / 1000, end / 1000


def step(window: Range, *, points: int, smallest: str, scrape_interval: str) -> Step:
    """The step for a graph of about so many points.

    Args:
        window: The time range.
        points: The width of the graph.
        smallest: The query's smallest step, a Prometheus duration; empty for the scrape interval.
        scrape_interval: The scrape interval.

    >>> from sidelight.view.ranges import Range
    >>> hour = Range(start=0.0, end=3600.0)
    >>> dict(step(hour, points=240, smallest="", scrape_interval="15s").variables)["__rate_interval"]
    '1m'
    """
    scrape = milliseconds(smallest) or milliseconds(scrape_interval) or 15_000
    exact = window.seconds * 1000 / points
    nice = min(_NICE, key=lambda each: (abs(each - exact), each))
    fewest = -int(-window.seconds * 1000 // (MOST_POINTS - 1))
    return Step(step=max(nice, scrape, fewest), scrape=scrape, window=window)


def _written(length: int) -> str:
    """A duration in its largest whole unit.

    >>> _written(60_000), _written(90_000), _written(250)
    ('1m', '90s', '250ms')
    """
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if length % _UNITS[unit] == 0)
    return f"{length // _UNITS[unit]}{unit}"
