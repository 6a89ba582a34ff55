"""How long to measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to measure.

    Attributes:
        generations: How often every process is started anew: two processes of the same program differ by up to a
            microsecond a request, because of where their memory lies.
        rounds: Rounds in each generation; in a round every process is asked once.
        repeats: How often a slow thing, such as an import, is done.
    """

    generations: int
    rounds: int
    repeats: int


FULL = Effort(generations=3, rounds=30, repeats=9)
QUICK = Effort(generations=1, rounds=20, repeats=3)
