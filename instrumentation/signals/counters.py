"""Counters: events that are counted one by one, or amounts that only grow."""

from __future__ import annotations

from math import inf
from typing import Any

from instrumentation.signals.handle import Handle
from instrumentation.signals.numbers import number


class Counter(Handle):
    """A counter of the team's own; see ``instrumentation.counter``."""

    __slots__ = ()

    def add(self, amount: float = 1.0, /, **labels: Any) -> None:
        """Add to the series with these labels.

        Args:
            amount: A finite number of at least 0; anything else is logged once and not counted.
            labels: The value of each declared label.
        """
        try:
            places, lock, buffer = self._bound
            place = places[tuple(labels.items())]
            if 0.0 <= amount < inf:
                with lock:
                    buffer[place] += amount
                return
        except (KeyError, TypeError):  # labels that are new here, or a Decimal
            pass
        self._add(amount, labels)

    def _add(self, amount: Any, labels: dict[str, Any]) -> None:
        given = number(amount)
        if not 0.0 <= given < inf:
            self.say(f"add got {amount!r:.60}; give a number of at least 0. It is not counted.", "amount")
            return
        found = self._placed(labels)
        if found:
            bound, place = found
            with bound.lock:
                bound.buffer[place] += given
