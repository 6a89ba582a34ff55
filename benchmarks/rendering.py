"""What a page of metrics costs: 50 routes, each with three statuses."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks import measures
from benchmarks.cases import ROUTES, STATUSES, Case, statuses
from benchmarks.pool import workers
from benchmarks.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.effort import Effort
    from benchmarks.tables import Row
    from benchmarks.variants import Variant

CASE = Case(
    name="rendering", title="a page of metrics", build=statuses, path="/shelf0/200", template="/shelf0/{status}"
)
COLUMNS = (
    Column(key="variant", title="variant"),
    Column(key="lines", title="lines", digits=0),
    Column(key="kilobytes", title="kB", digits=0),
    Column(key="milliseconds", title="ms a page", digits=2),
    Column(key="each", title="us a line", digits=3),
)


def table(variants: Sequence[Variant], effort: Effort) -> Table:
    """Measure the variants that have a page."""
    with workers([variant for variant in variants if variant.distributions], CASE) as processes:
        sizes = [process.ask(measures.page_sizes) for process in processes]
        times: list[list[float]] = [[] for _ in processes]
        for _ in range(effort.rounds):
            for process, taken in zip(processes, times, strict=True):
                taken.append(process.ask(measures.page_microseconds))
    rows = zip((process.variant for process in processes), sizes, times, strict=True)
    return Table(
        name=CASE.name,
        title=f"Rendering the page: {ROUTES} routes with {len(STATUSES)} statuses each",
        columns=COLUMNS,
        rows=tuple(_row(variant, lines, size, taken) for variant, (lines, size), taken in rows),
    )


def _row(variant: Variant, lines: int, size: int, taken: list[float]) -> Row:
    middle = statistics.median(taken)
    return {
        "variant": variant.title,
        "lines": lines,
        "kilobytes": size / 1000,
        "milliseconds": middle / 1000,
        "each": middle / lines,
    }
