"""Time to render the metrics page: 50 routes with three statuses each."""

from __future__ import annotations

import statistics
import time
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.asgi import call
from benchmarks.cases import ROUTES, STATUSES, Case, statuses
from benchmarks.measures import MICROSECONDS, series_lines
from benchmarks.pool import workers
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.asgi import App
    from benchmarks.effort import Effort
    from benchmarks.pool import Subject
    from benchmarks.variants import Installed, Variant
    from tests.support.tables import Row

CASE = Case(
    name="rendering", title="a page of metrics", build=statuses, path="/shelf0/200", template="/shelf0/{status}"
)
COLUMNS = (
    Column(key="variant", title="variant"),
    Column(key="lines", title="lines", digits=0),
    Column(key="kilobytes", title="kB", digits=0),
    Column(key="milliseconds", title="ms a page", digits=2),
    Column(key="each", title="us a line", digits=3),
    Column(key="changed", title="us a line, every series changed", digits=3),
    Column(key="first", title="us a line, first page", digits=3),
)


class Sizes(NamedTuple):
    """The size of a page.

    Attributes:
        lines: Sample lines.
        kilobytes: Kilobytes of text.
    """

    lines: int
    kilobytes: float


class Times(NamedTuple):
    """Microseconds to render a page.

    Attributes:
        changed: Every series has changed since the previous page.
        again: No series has changed.
    """

    changed: float
    again: float


async def first(subject: Subject) -> tuple[Sizes, float]:
    """The first page of the process, after every route has answered with every status, and its microseconds."""
    await _call_each(subject.installed.app)
    page, microseconds = await _timed(subject.installed)
    return Sizes(series_lines(page), len(page) / 1000), microseconds


async def times(subject: Subject) -> Times:
    """The following pages."""
    await _call_each(subject.installed.app)
    return Times((await _timed(subject.installed))[1], (await _timed(subject.installed))[1])


async def _call_each(app: App) -> None:
    for route in range(ROUTES):
        for status in STATUSES:
            await call(app, f"/shelf{route}/{status}")


async def _timed(installed: Installed) -> tuple[bytes, float]:
    began = time.process_time()  # CPU time of all threads, because some variants render in a separate thread
    page = await installed.page()
    return page, (time.process_time() - began) * MICROSECONDS


def table(variants: Sequence[Variant], effort: Effort) -> Table:
    """Measure the variants that have a page."""
    measured = [variant for variant in variants if variant.distributions]
    firsts: list[list[tuple[Sizes, float]]] = [[] for _ in measured]
    rounds: list[list[Times]] = [[] for _ in measured]
    for _ in range(effort.generations):
        with workers(measured, CASE) as processes:
            for process, taken in zip(processes, firsts, strict=True):
                taken.append(process.ask(first))
            for _ in range(effort.rounds):
                for process, more in zip(processes, rounds, strict=True):
                    more.append(process.ask(times))
    return Table(
        name=CASE.name,
        title=f"Rendering the page: {ROUTES} routes with {len(STATUSES)} statuses each",
        columns=COLUMNS,
        rows=tuple(starmap(_row, zip(measured, firsts, rounds, strict=True))),
    )


def _row(variant: Variant, firsts: list[tuple[Sizes, float]], rounds: list[Times]) -> Row:
    sizes, _ = firsts[0]
    changed, again = map(statistics.median, zip(*rounds, strict=True))
    return {
        "variant": variant.title,
        **sizes._asdict(),
        "milliseconds": again / 1000,
        "each": again / sizes.lines,
        "changed": changed / sizes.lines,
        "first": statistics.median(microseconds for _, microseconds in firsts) / sizes.lines,
    }
