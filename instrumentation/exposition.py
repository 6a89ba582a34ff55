"""From the store to the page Prometheus reads: text or OpenMetrics, ours first, the user's own metrics after it."""

from __future__ import annotations

import copy
import logging
import re
from functools import lru_cache
from itertools import accumulate
from math import isfinite
from operator import add
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import REGISTRY
from prometheus_client.utils import floatToGoString

from instrumentation import catalog
from instrumentation.catalog import Kind
from instrumentation.store import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric as Family
    from prometheus_client.registry import Collector, CollectorRegistry
    from prometheus_client.samples import Exemplar

    from instrumentation.catalog import Metric
    from instrumentation.store import Store

    Labels = tuple[str, ...]
    Exemplars = Mapping[tuple[str, Labels, int], Exemplar]

_log = logging.getLogger("instrumentation")
_go_text: Callable[[float], str] = floatToGoString
_LONGEST_EXEMPLAR = 128  # OpenMetrics 1.0: characters of all label names and values together
_END = b"# EOF\n"


class Page(NamedTuple):
    """A page of metrics.

    Attributes:
        body: The text, UTF-8.
        content_type: text/plain or application/openmetrics-text, with version and charset.
    """

    body: bytes
    content_type: str


class Exposition:
    """Makes the page of a store and of a registry.

    Our own series are written here, since prometheus_client takes ten times as long for each.

    Args:
        store: Our series.
        registry: The user's own metrics; the store's collector in it is left out.
        skip: Whether a metric of the registry is left out, by its name without ``_total``.
        exemplars: Read anew for each OpenMetrics page: by metric name, label values and index of the bucket.
    """

    def __init__(
        self,
        store: Store,
        registry: CollectorRegistry = REGISTRY,
        *,
        skip: Callable[[str], bool] = lambda _: False,
        exemplars: Exemplars = MappingProxyType({}),
    ) -> None:
        self._store = store
        self._registry = registry
        self._skip = skip
        self._exemplars = exemplars
        self._labels = _LabelTexts()
        self._failed: set[str] = set()

    def page(self, accept: str = "", names: Iterable[str] = ()) -> Page:
        """The page as it is now.

        Args:
            accept: The request's Accept header; it decides between text and OpenMetrics.
            names: Families and samples, such as ``a_seconds`` and ``a_seconds_count``, that alone are wanted; none: all.
        """
        encode, content_type = choose_encoder(_best_offer(accept))
        openmetrics = content_type.startswith("application/openmetrics-text")
        wanted = frozenset(names)
        # Small pieces, so that the page is written once; a lone surrogate must not cost it.
        ours = [text.encode("utf-8", "replace") for text in self._ours(wanted, openmetrics=openmetrics)]
        return Page(b"".join((*ours, *self._others(wanted, encode), _END if openmetrics else b"")), content_type)

    def _ours(self, wanted: frozenset[str], *, openmetrics: bool) -> Iterator[str]:
        exemplars = _by_series(self._exemplars) if openmetrics else {}
        for rows in _families(self._store):
            metric = rows[0].metric
            labels = self._labels.of(metric, rows)
            pairs = zip(rows, labels, strict=True)
            chunks = _family(metric, pairs, exemplars.get(metric.name, {}), openmetrics=openmetrics)
            whole = not wanted or metric.name in wanted or _stem(metric) in wanted
            yield from chunks if whole else _named(chunks, wanted)

    def _others(self, wanted: frozenset[str], encode: Callable[[Collector], bytes]) -> Iterator[bytes]:
        for collector, names in self._registry._collector_to_names.copy().items():  # noqa: SLF001 - collect() is all or nothing
            if _is_of(collector, self._store) or (wanted and names and wanted.isdisjoint(names)):
                continue
            try:
                families = [family for family in collector.collect() if not self._skip(family.name)]
                text = encode(_Collected(_restricted(families, wanted) if wanted else families))
            except Exception:  # noqa: BLE001 - whatever it is, the rest of the page is served
                self._log_once(", ".join(names) or type(collector).__qualname__)
            else:
                yield text.removesuffix(_END)

    def _log_once(self, collector: str) -> None:
        if collector not in self._failed:
            self._failed.add(collector)
            _log.warning("a collector is left out of the page; it is said once: %s", collector, exc_info=True)


class StoreCollector:
    """Our series as an ordinary collector of a prometheus_client registry.

    Without ``_created``, which prometheus_client would write into text pages too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Family]:
        """The names alone, so that a registry can refuse a second metric of the same name."""
        return (_as_family(row, []) for row in catalog.METRICS if row.emitted and not _is_standard(row))

    def collect(self) -> Iterator[Family]:
        """Every family, each with its series."""
        for rows in _families(self._store):
            if not _is_standard(rows[0].metric):
                yield _as_family(rows[0].metric, rows)


def register(store: Store, registry: CollectorRegistry = REGISTRY) -> None:
    """Show a store on a registry's pages, once however often it is asked for."""
    collectors = registry._collector_to_names.copy()  # noqa: SLF001 - the registry has no public question for this
    if not any(_is_of(collector, store) for collector in collectors):
        registry.register(StoreCollector(store))


def _is_of(collector: object, store: Store) -> bool:
    return isinstance(collector, StoreCollector) and collector._store is store  # noqa: SLF001


def _is_standard(metric: Metric) -> bool:
    return metric.name.startswith("process_")  # prometheus_client's own collector has these


# --- What an Accept header asks for -----------------------------------------------------------------------------------


class Preference(NamedTuple):
    """One element of an Accept or Accept-Encoding header.

    Attributes:
        value: The media type or coding, lower case.
        quality: Its q, from 0 to 1; what is no number counts as 1.
        parameters: The other parameters.
    """

    value: str
    quality: float
    parameters: dict[str, str]


def preferences(header: str) -> list[Preference]:
    """The elements of a header, in their order.

    >>> preferences("gzip;q=0.5, *;q=0")
    [Preference(value='gzip', quality=0.5, parameters={}), Preference(value='*', quality=0.0, parameters={})]
    """
    return [_preference(element) for element in header.split(",") if element.strip()]


def _preference(element: str) -> Preference:
    value, *pairs = element.split(";")
    parameters = {}
    for pair in pairs:
        key, _, given = pair.partition("=")
        parameters[key.strip().lower()] = given.strip().strip('"')
    quality = parameters.pop("q", "1")
    is_number = re.fullmatch(r"[01]|[01]?\.\d+", quality)
    return Preference(value.strip().lower(), float(quality) if is_number else 1.0, parameters)


def _best_offer(accept: str) -> str:
    """The one format to answer with, as an Accept header for ``choose_encoder``, which knows no q.

    At equal q the old text format is the last choice, as it is prometheus_client's.
    """
    offers = [(wanted.quality, _offer(wanted)) for wanted in preferences(accept) if wanted.quality]
    known = [(-quality, offer == _PLAIN, index, offer) for index, (quality, offer) in enumerate(offers) if offer]
    return min(known)[-1] if known else _PLAIN


_PLAIN = "text/plain"


def _offer(wanted: Preference) -> str | None:
    version = wanted.parameters.get("version", "")
    # Our names are the same in every escaping but "dots", which would hide them from every rule.
    escaping = "allow-utf-8" if wanted.parameters.get("escaping") == "allow-utf-8" else "underscores"
    if wanted.value in {"application/openmetrics-text", _PLAIN} and version == "1.0.0":
        return f"{wanted.value};version=1.0.0;escaping={escaping}"
    if wanted.value == "application/openmetrics-text":
        return None if version else wanted.value
    return _PLAIN if wanted.value in {_PLAIN, "text/*", "*/*"} else None


# --- Our series as text -----------------------------------------------------------------------------------------------


class _LabelTexts:
    """Label values as ``{a="b"}``, made once for each series and forgotten some time after it is gone."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Labels, str]] = {}

    def of(self, metric: Metric, rows: Sequence[Series]) -> list[str]:
        """The text of each of a metric's series; empty where it has no labels."""
        known = self._known.setdefault(metric.name, {})
        if len(known) > 2 * len(rows):
            known.clear()
        return [known.get(row.labels) or self._made(metric, row.labels) for row in rows]

    def _made(self, metric: Metric, labels: Labels) -> str:
        text = self._known[metric.name][labels] = _label_text(zip(metric.labels, labels, strict=True))
        return text


def _label_text(pairs: Iterable[tuple[str, str]]) -> str:
    text = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(pairs))
    return f"{{{text}}}" if text else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _families(store: Store) -> Iterator[list[Series]]:
    """The series of each metric, then what the store says of itself; target_info first, as OpenMetrics wants it."""
    families: dict[str, list[Series]] = {catalog.TARGET_INFO.name: []}
    for series in store.series():
        families.setdefault(series.metric.name, []).append(series)
    held = sum(map(len, families.values()))
    yield from filter(None, families.values())
    for metric, value in (
        (catalog.SIDELIGHT_SERIES, held),
        (catalog.SIDELIGHT_SERIES_LIMIT, store.series_limit),
        (catalog.SIDELIGHT_SERIES_FOLDED, store.folded),
    ):
        yield [Series(metric, (), (), (float(value),), 0.0)]


def _family(
    metric: Metric,
    rows: Iterable[tuple[Series, str]],
    exemplars: Mapping[Labels, Mapping[int, Exemplar]],
    *,
    openmetrics: bool,
) -> Iterator[str]:
    """The head of a family, then a text for each series."""
    stem = _stem(metric)
    has_created = openmetrics and metric.kind is not Kind.GAUGE
    yield _head(metric, openmetrics=openmetrics)
    for row, labels in rows:
        if metric.kind is Kind.HISTOGRAM:
            text = _histogram(row, labels, exemplars.get(row.labels) if exemplars else None)
        else:
            text = f"{metric.name}{labels} {_number(row.slots[0])}\n"
        if has_created and row.created:
            text += f"{stem}_created{labels} {row.created:.3f}\n"  # Prometheus keeps milliseconds
        yield text


def _head(metric: Metric, *, openmetrics: bool) -> str:
    name = _stem(metric) if openmetrics else metric.name
    kind = "info" if openmetrics and metric is catalog.TARGET_INFO else metric.kind
    text = _escaped(metric.help) if openmetrics else metric.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _stem(metric: Metric) -> str:
    """What OpenMetrics calls the family: without the suffix that its type gives the samples."""
    if metric is catalog.TARGET_INFO:
        return metric.name.removesuffix("_info")
    return metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name


def _histogram(row: Series, labels: str, exemplars: Mapping[int, Exemplar] | None) -> str:
    # One join writes what all buckets have in common: half the time of a text kept for each of them.
    name = row.metric.name
    totals = [*map(repr, accumulate(row.slots[:-1]))]
    buckets: Iterable[str] = map(add, _edge_texts(row.edges), totals)
    if exemplars:
        buckets = [text + _exemplar_text(exemplars.get(index)) for index, text in enumerate(buckets)]
    start = f'{name}_bucket{labels[:-1]},le="' if labels else f'{name}_bucket{{le="'
    between = f"\n{start}"
    return (
        f"{start}{between.join(buckets)}\n"
        f"{name}_count{labels} {totals[-1]}\n"
        f"{name}_sum{labels} {_number(row.slots[-1])}\n"
    )


@lru_cache(maxsize=64)
def _edge_texts(edges: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(f'{edge}"}} ' for edge in _edge_names(edges))


def _edge_names(edges: tuple[float, ...]) -> Iterator[str]:
    return map(_go_text, (*edges, float("inf")))


def _number(value: float) -> str:
    return repr(value) if isfinite(value) else _go_text(value)


def _by_series(exemplars: Exemplars) -> dict[str, dict[Labels, dict[int, Exemplar]]]:
    found: dict[str, dict[Labels, dict[int, Exemplar]]] = {}
    for (name, labels, bucket), exemplar in list(exemplars.items()):  # others may add to it meanwhile
        found.setdefault(name, {}).setdefault(labels, {})[bucket] = exemplar
    return found


def _exemplar_text(exemplar: Exemplar | None) -> str:
    """What stands behind a bucket's value; nothing where the labels are longer than OpenMetrics allows."""
    if exemplar is None or sum(map(len, (*exemplar.labels, *exemplar.labels.values()))) > _LONGEST_EXEMPLAR:
        return ""
    time = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    return f" # {_label_text(exemplar.labels.items()) or '{}'} {_number(exemplar.value)}{time}"


def _named(chunks: Iterator[str], wanted: Collection[str]) -> Iterator[str]:
    """Of a family's text the lines of some samples, below its head; nothing where there are none."""
    head = next(chunks)
    lines = [line for chunk in chunks for line in chunk.split("\n") if re.split(r"[{ ]", line, maxsplit=1)[0] in wanted]
    if lines:
        yield "\n".join((head.rstrip("\n"), *lines, ""))


# --- prometheus_client's families --------------------------------------------------------------------------------------


class _Collected(NamedTuple):
    """Families that were collected already, for an encoder."""

    families: Sequence[Family]

    def collect(self) -> Sequence[Family]:
        return self.families


def _restricted(families: Iterable[Family], wanted: Collection[str]) -> list[Family]:
    """The wanted families, and of others the wanted samples."""
    kept = []
    for family in families:
        if family.name not in wanted:
            family = copy.copy(family)  # noqa: PLW2901 - the collector may keep its own
            family.samples = [sample for sample in family.samples if sample.name in wanted]
        if family.samples:
            kept.append(family)
    return kept


def _as_family(metric: Metric, rows: Sequence[Series]) -> Family:
    if metric is catalog.TARGET_INFO:
        return _info(metric, rows)
    return _FAMILY[metric.kind](metric, rows)


def _info(metric: Metric, rows: Sequence[Series]) -> Family:
    family = InfoMetricFamily(_stem(metric), metric.help)
    for row in rows:
        family.add_metric((), dict(zip(metric.labels, row.labels, strict=True)))
    return family


def _counter(metric: Metric, rows: Sequence[Series]) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for row in rows:
        family.add_metric(row.labels, row.slots[0])
    return family


def _gauge(metric: Metric, rows: Sequence[Series]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for row in rows:
        family.add_metric(row.labels, row.slots[0])
    return family


def _histogram_family(metric: Metric, rows: Sequence[Series]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for row in rows:
        *counts, total = row.slots
        family.add_metric(row.labels, list(zip(_edge_names(row.edges), accumulate(counts), strict=True)), total)
    return family


_FAMILY: dict[Kind, Callable[[Metric, Sequence[Series]], Family]] = {
    Kind.COUNTER: _counter,
    Kind.GAUGE: _gauge,
    Kind.HISTOGRAM: _histogram_family,
}
