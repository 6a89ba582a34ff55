"""Many trials of the estimator without Prometheus: the original of Flajolet et al. (2007) and the improved one of Ertl (2017).

It is computed in Python, with random bits in place of hashes, because Prometheus would need hours for as many trials.
"""

from __future__ import annotations

from math import ldexp, log
from random import Random
from typing import TYPE_CHECKING

from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.tables import Row

TRIALS = {1: 1000, 10: 1000, 100: 1000, 1000: 1000, 2000: 1000, 2560: 1000, 3500: 500, 10_000: 300, 100_000: 50}
_BITS = 64


def original(ranks: Sequence[int]) -> float:
    """The estimate of Flajolet et al. (figure 3), without its correction for 32 bits."""
    size, empty = len(ranks), ranks.count(0)
    raw = 0.7213 / (1 + 1.079 / size) * size**2 / sum(ldexp(1, -rank) for rank in ranks)
    return size * log(size / empty) if empty and raw <= 2.5 * size else raw


def improved(ranks: Sequence[int]) -> float:
    """The estimate of Ertl (algorithm 6), as the recording rules compute it."""
    size, empty = len(ranks), ranks.count(0)
    x = empty / size
    sigma = x + sum((1 << k) * x ** (2 << k) for k in range(size.bit_length() + 2))
    rest = sum(ldexp(1, -rank) for rank in ranks if rank)
    return size / (2 * log(2)) / (sigma + rest / size)


def table(registers: int = 1024) -> Table:
    """Bias and spread of both estimators."""
    random = Random(7)
    return Table(
        name="estimators",
        title=f"The estimator without Prometheus, {registers} registers",
        note="Errors in percent of the true number of users, for the original estimator and for the improved one, which Sidelight uses. Bias is the mean error, spread the root mean square.",
        columns=(
            Column(key="users", title="users", digits=0),
            Column(key="trials", title="trials", digits=0),
            Column(key="bias of the original", title="original: bias", digits=2),
            Column(key="spread of the original", title="spread", digits=2),
            Column(key="bias of the improved", title="improved: bias", digits=2),
            Column(key="spread of the improved", title="spread", digits=2),
        ),
        rows=tuple(_row(users, trials, registers, random) for users, trials in TRIALS.items()),
    )


def _row(users: int, trials: int, registers: int, random: Random) -> Row:
    seen = [_ranks(users, registers, random) for _ in range(trials)]
    row: Row = {"users": users, "trials": trials}
    estimators: dict[str, Callable[[Sequence[int]], float]] = {"the original": original, "ours": improved}
    for name, estimate in estimators.items():
        errors = [100 * (estimate(ranks) / users - 1) for ranks in seen]
        row[f"bias of {name}"] = sum(errors) / trials
        row[f"spread of {name}"] = (sum(error**2 for error in errors) / trials) ** 0.5
    return row


def _ranks(users: int, registers: int, random: Random) -> list[int]:
    """The registers after this many different users."""
    ranks = [0] * registers
    rank_bits = _BITS + 1 - registers.bit_length()
    for _ in range(users):
        register, rest = divmod(random.getrandbits(_BITS), 1 << rank_bits)
        ranks[register] = max(ranks[register], rank_bits + 1 - rest.bit_length())
    return ranks
