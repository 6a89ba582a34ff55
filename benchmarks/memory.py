"""Memory per series: 400 routes, each called once, compared with the same service without instrumentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import measures
from benchmarks.cases import CASES
from benchmarks.pool import workers
from benchmarks.variants import BARE
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.variants import Variant
    from tests.support.tables import Row

COLUMNS = (
    Column(key="variant", title="variant"),
    Column(key="lines", title="lines", digits=0),
    Column(key="kilobytes", title="kB in all", digits=0),
    Column(key="route", title="bytes a route", digits=0),
    Column(key="line", title="bytes a line", digits=0),
)


def table(variants: Sequence[Variant]) -> Table:
    """Measure the variants that have a page; memory not allocated by Python, such as mapped files, is not included."""
    chosen = [variant for variant in variants if variant.distributions]
    with workers([BARE, *chosen], CASES[0]) as processes:
        (bare, _), *held = [process.ask(measures.memory) for process in processes]
    return Table(
        name="memory",
        title=f"Memory: {measures.MANY_ROUTES} routes, called once each",
        columns=COLUMNS,
        rows=tuple(_row(variant, size - bare, lines) for variant, (size, lines) in zip(chosen, held, strict=True)),
    )


def _row(variant: Variant, size: int, lines: int) -> Row:
    return {
        "variant": variant.title,
        "lines": lines,
        "kilobytes": size / 1000,
        "route": size / measures.MANY_ROUTES,
        "line": size / lines,
    }
