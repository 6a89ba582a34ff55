"""From the store to the page Prometheus reads, by way of prometheus_client's registry."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import REGISTRY
from prometheus_client.utils import floatToGoString

from instrumentation import catalog
from instrumentation.catalog import Kind
from instrumentation.store import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.registry import CollectorRegistry

    from instrumentation.catalog import Metric
    from instrumentation.store import Store

    Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Page(NamedTuple):
    """A page of metrics.

    Attributes:
        body: The text, UTF-8.
        content_type: text/plain or application/openmetrics-text, with version and charset.
    """

    body: bytes
    content_type: str


class StoreCollector:
    """Our series as an ordinary collector of a prometheus_client registry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Family]:
        """The names alone, so that a registry can refuse a second metric of the same name."""
        return (_FAMILY[row.kind](row, []) for row in catalog.METRICS if row.emitted and not _is_standard(row))

    def collect(self) -> Iterator[Family]:
        """Every family, each with its series."""
        by_metric: dict[Metric, list[Series]] = {}
        for series in self._store.series():
            by_metric.setdefault(series.metric, []).append(series)
        for metric, rows in by_metric.items():
            yield _FAMILY[metric.kind](metric, rows)
        yield from self._own(sum(map(len, by_metric.values())))

    def _own(self, held: int) -> Iterator[Family]:
        for metric, value in (
            (catalog.SIDELIGHT_SERIES, held),
            (catalog.SIDELIGHT_SERIES_LIMIT, self._store.series_limit),
            (catalog.SIDELIGHT_SERIES_FOLDED, self._store.folded),
        ):
            yield _FAMILY[metric.kind](metric, [Series(metric, (), (), (value,), 0.0)])


def register(store: Store, registry: CollectorRegistry = REGISTRY) -> None:
    """Show a store on a registry's pages, once however often it is asked for."""
    collectors = registry._collector_to_names  # noqa: SLF001 - the registry has no public question for this
    if not any(isinstance(known, StoreCollector) and known._store is store for known in tuple(collectors)):  # noqa: SLF001
        registry.register(StoreCollector(store))


def render(accept: str, registry: CollectorRegistry = REGISTRY) -> Page:
    """The page of everything in a registry.

    Args:
        accept: The request's Accept header; it decides between text and OpenMetrics.
        registry: The registry; the user's own prometheus_client metrics are in the default one.
    """
    encode, content_type = choose_encoder(accept)
    return Page(encode(registry), content_type)


def _is_standard(metric: Metric) -> bool:
    return metric.name.startswith("process_")  # prometheus_client's own collector has these


def _counter(metric: Metric, rows: list[Series]) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for row in rows:
        family.add_metric(row.labels, row.slots[0])
    return family


def _gauge(metric: Metric, rows: list[Series]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for row in rows:
        family.add_metric(row.labels, row.slots[0])
    return family


def _histogram(metric: Metric, rows: list[Series]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for row in rows:
        *counts, total = row.slots
        edges = map(floatToGoString, (*row.edges, float("inf")))
        family.add_metric(row.labels, list(zip(edges, accumulate(counts), strict=True)), total)
    return family


_FAMILY: dict[Kind, Callable[[Metric, list[Series]], Family]] = {
    Kind.COUNTER: _counter,
    Kind.GAUGE: _gauge,
    Kind.HISTOGRAM: _histogram,
}
