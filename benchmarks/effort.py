"""The duration of measurements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Effort:
    """The duration of measurements.

    Attributes:
        generations: How often all processes are restarted: two processes of the same program differ by up to a microsecond
            per request, because of their memory layout.
        rounds: Rounds per generation; in a round, every process is called once.
        repeats: How often a slow operation, such as an import, is repeated.
    """

    generations: int
    rounds: int
    repeats: int


FULL = Effort(generations=3, rounds=30, repeats=9)
QUICK = Effort(generations=1, rounds=20, repeats=3)
