"""What a process is asked to measure on the service it holds ready.

Times are CPU times: nothing here waits, so on an idle machine they are the times on the clock, and on a busy one they
leave out most of what the others do.
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
        added: Over the bare service.
    """

    total: float
    added: float


async def warm_up(subject: Subject) -> None:
    """Let every cache fill, and let the collector of garbage forget what stays."""
    for app in (subject.bare, subject.installed.app):
        await call(app, subject.case.path, times=3 * subject.case.requests)
    gc.collect()
    gc.freeze()


async def cost(subject: Subject, turn: int) -> Cost:
    """One round: bare, instrumented, instrumented, bare, or the other way round in every second turn.

    So neither a machine that slows down nor the caches, which are cold after a wait, favour one of them.
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
    """What the page calls the routes that were called, its own left out."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - not before the variant

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
    """Bytes held for a service of many routes that were called once each, and the lines of its page."""
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
    """How many lines of a page carry a number."""
    return sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))


async def _call_each(app: App) -> None:
    for route in range(MANY_ROUTES):
        await call(app, f"/shelf{route}/7")
