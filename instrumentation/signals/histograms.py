"""Histograms: how values are distributed."""

from __future__ import annotations

import time
from bisect import bisect_left
from contextlib import contextmanager
from math import inf, isnan
from typing import TYPE_CHECKING, Any

from instrumentation.signals.handle import Handle
from instrumentation.signals.numbers import number

if TYPE_CHECKING:
    from collections.abc import Iterator


class Histogram(Handle):
    """A histogram of the team's own; see ``instrumentation.histogram``."""

    __slots__ = ("_edges",)

    _edges: tuple[float, ...]

    def reset(self) -> None:
        """Drop all places: the declaration or the store has changed."""
        self._edges = self.signal.edges if self.signal else ()
        super().reset()

    def observe(self, value: float, /, **labels: Any) -> None:
        """Count a value.

        Args:
            value: A finite number; anything else is logged once and not counted.
            labels: The value of each declared label.
        """
        try:
            places, lock, buffer = self._bound
            place = places[tuple(labels.items())]
            if -inf < value < inf:
                edges = self._edges
                with lock:
                    buffer[place + len(edges) + 1] += value  # first, because it refuses a Decimal
                    buffer[place + bisect_left(edges, value)] += 1.0
                return
        except (KeyError, TypeError):  # labels that are new here, or a Decimal
            pass
        self._observe(value, labels)

    @contextmanager
    def time(self, **labels: Any) -> Iterator[None]:
        """Observe the seconds that a block takes, also if it raises; as a decorator, those of each call.

        Args:
            labels: The value of each declared label.
        """
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - began, **labels)

    def _observe(self, value: Any, labels: dict[str, Any]) -> None:
        given = number(value)
        if isnan(given):
            self.say(f"observe got {value!r:.60}; give a finite number. It is not counted.", "value")
            return
        found = self._placed(labels)
        if found:
            bound, place = found
            with bound.lock:
                bound.buffer[place + bisect_left(self._edges, given)] += 1.0
                bound.buffer[place + len(self._edges) + 1] += given
