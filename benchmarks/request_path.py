"""Overhead per request: medians of the differences within rounds, which are interleaved over the processes.

Every process also contains the bare service and compares with it: two processes of the same program differ by a few percent
because of their memory layout, which for 51 nested routes is more than the overhead to be measured.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import measures
from benchmarks.pool import workers
from benchmarks.variants import BARE, PASS_THROUGH
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.cases import Case
    from benchmarks.effort import Effort
    from benchmarks.measures import Cost
    from benchmarks.pool import Worker
    from benchmarks.variants import Variant
    from tests.support.tables import Row

COLUMNS = (
    Column(key="variant", title="variant"),
    Column(key="total", title="us in all", digits=2),
    Column(key="added", title="us added", digits=2),
    Column(key="low", title="lower quartile", digits=2),
    Column(key="high", title="upper quartile", digits=2),
    Column(key="over_pass_through", title="over pass-through", digits=2),
    Column(key="route", title="route label"),
)


class Spread(NamedTuple):
    """A median and the quartiles around it."""

    low: float
    median: float
    high: float


@dataclass(kw_only=True)
class Rounds:
    """The measurements of one variant.

    Attributes:
        variant: The variant.
        total: Microseconds per request, one number per round.
        added: The same minus the bare app's.
        labels: The route labels on its page.
    """

    variant: Variant
    total: list[float] = field(default_factory=list)
    added: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def append(self, cost: Cost) -> None:
        """Add one round."""
        self.total.append(cost.total)
        self.added.append(cost.added)

    @property
    def cost(self) -> Spread:
        """The overhead of the variant per request."""
        return _spread(self.added)

    def over(self, other: Rounds) -> Spread:
        """The additional overhead compared with another variant in the same round."""
        return _spread([mine - its for mine, its in zip(self.added, other.added, strict=True)])


def measure(case: Case, variants: Sequence[Variant], effort: Effort) -> dict[str, Rounds]:
    """Measure variants side by side; returns results by variant name."""
    found = {variant.name: Rounds(variant=variant) for variant in variants}
    for _ in range(effort.generations):
        with workers(variants, case) as processes:
            _generation(processes, found, effort.rounds)
    return found


def _generation(processes: Sequence[Worker], found: dict[str, Rounds], rounds: int) -> None:
    for process in processes:
        process.ask(measures.warm_up)
    for turn in range(rounds):
        for process in processes:
            found[process.variant.name].append(process.ask(measures.cost, turn))
    for process in processes:
        found[process.variant.name].labels = process.ask(measures.route_labels)


def _spread(differences: list[float]) -> Spread:
    return Spread(*statistics.quantiles(differences, n=4, method="inclusive"))


def table(case: Case, variants: Sequence[Variant], effort: Effort) -> Table:
    """The table of one case."""
    found = measure(case, variants, effort)
    return Table(
        name=case.name,
        title=f"Microseconds: {case.title}",
        columns=COLUMNS,
        rows=tuple(_row(rounds, found, case) for rounds in found.values()),
    )


def _row(rounds: Rounds, found: dict[str, Rounds], case: Case) -> Row:
    row: Row = {"variant": rounds.variant.title, "total": statistics.median(rounds.total)}
    row["low"], row["added"], row["high"] = rounds.cost
    if rounds.variant not in {BARE, PASS_THROUGH} and PASS_THROUGH.name in found:
        row["over_pass_through"] = rounds.over(found[PASS_THROUGH.name]).median
    if rounds.labels:
        row["route"] = "right" if rounds.labels == [case.template] else f"wrong: {', '.join(rounds.labels)}"
    return row
