"""Panels about caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboards import expressions as promql
from dashboards.expressions import legend, rate, select, total
from dashboards.model import Query, Unit, graph
from instrumentation import catalog

if TYPE_CHECKING:
    from dashboards.model import Panel
    from instrumentation.settings import Settings

_EMPTY = "no caches"


def cache_panels(settings: Settings) -> tuple[Panel, ...]:
    """Whether caches help, and whether they are large enough."""
    by = (*promql.service(settings), "cache")
    requests = catalog.CACHE_REQUESTS.name
    evicted = total(rate(catalog.CACHE_EVICTIONS.name), *by)
    return (
        graph(
            title="Cache hit ratio",
            description="Share of look-ups that found an entry, by cache.",
            unit=Unit.RATIO,
            queries=(
                Query(expr=promql.share(rate(requests, 'outcome="hit"'), rate(requests), *by), legend=legend(*by)),
            ),
            empty=_EMPTY,
        ),
        graph(
            title="Cache entries",
            description="Entries by instance and cache. All instances show those of a cache server.",
            unit=Unit.COUNT,
            queries=(
                Query(
                    expr=total(select(catalog.CACHE_ENTRIES.name), "instance", "cache"),
                    legend=legend("instance", "cache"),
                ),
            ),
            empty=_EMPTY,
        ),
        graph(
            title="Cache evictions",
            description="Entries dropped per second because the cache was full. Always 0 for lru_cache, which does not count them.",
            unit=Unit.PER_SECOND,
            queries=(Query(expr=promql.or_zero(evicted, total(rate(requests), *by)), legend=legend(*by)),),
            empty=_EMPTY,
        ),
        graph(
            title="Cache read failures",
            description="Failed reads of the statistics of cache servers per second.",
            unit=Unit.PER_SECOND,
            queries=(
                Query(
                    expr=promql.or_zero(total(rate(catalog.CACHE_READ_FAILURES.name), *by), total(rate(requests), *by)),
                    legend=legend(*by),
                ),
            ),
            empty=_EMPTY,
        ),
    )
