"""Measurements that a process runs on its service.

Times are CPU times. Nothing here waits, so on an idle machine they equal wall-clock time, and on a busy one they exclude most
of the load of other processes.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.asgi import call
from benchmarks.cases import flat

if TYPE_CHECKING:
    from benchmarks.asgi import App
    from benchmarks.pool import Subject

MICROSECONDS = 1e6
ROUTE_LABELS = frozenset({"http_route", "handler", "path", "http_target"})
METRICS_PATH = "/metrics"
MANY_ROUTES = 400


class Cost(NamedTuple):
    """Microseconds of one request, or of one unit of it.

    Attributes:
        total: With the variant.
        added: In addition to the bare service.
    """

    total: float
    added: float


async def warm_up(subject: Subject) -> None:
    """Fill all caches, and exclude permanent objects from garbage collection."""
    for app in (subject.bare, subject.installed.app):
        await call(app, subject.case.path, times=3 * subject.case.requests)
    gc.collect()
    gc.freeze()


async def cost(subject: Subject, turn: int) -> Cost:
    """One round: bare, instrumented, instrumented, bare, or in the reverse order in every second round.

    So neither a machine that becomes slower nor caches that are cold after waiting favour one of them.
    """
    app, bare = subject.installed.app, subject.bare
    one, other = (app, bare) if turn % 2 else (bare, app)
    await call(other, subject.case.path, times=subject.case.requests)
    outer, inner, inner_too, outer_too = [await _seconds(each, subject) for each in (one, other, other, one)]
    ones, others = outer + outer_too, inner + inner_too
    total, without = (ones, others) if one is app else (others, ones)
    each = MICROSECONDS / (2 * subject.case.requests * subject.case.units)
    return Cost(total * each, (total - without) * each)


async def _seconds(app: App, subject: Subject) -> float:
    began = time.process_time()
    await call(app, subject.case.path, times=subject.case.requests)
    return time.process_time() - began


async def route_labels(subject: Subject) -> list[str]:
    """The route labels on the page for the called routes, without the page's own."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - only after the variant

    page = (await subject.installed.page()).decode()
    return sorted(
        {
            value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            for name, value in sample.labels.items()
            if name in ROUTE_LABELS and sample.value and value != METRICS_PATH
        }
    )


async def memory(subject: Subject) -> tuple[int, int]:
    """Memory in bytes for a service with many routes that were each called once, and the lines of its page."""
    before = series_lines(await subject.installed.page())
    gc.collect()
    tracemalloc.start()
    again = subject.variant.install(lambda **arguments: flat(MANY_ROUTES, **arguments))
    await _call_each(again.app)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held, series_lines(await again.page()) - before


def series_lines(page: bytes) -> int:
    """The number of sample lines on a page."""
    return sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))


async def _call_each(app: App) -> None:
    for route in range(MANY_ROUTES):
        await call(app, f"/shelf{route}/7")
