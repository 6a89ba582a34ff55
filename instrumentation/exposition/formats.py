"""Renders the metrics page as text or OpenMetrics: our metrics first, then the user's own."""

from __future__ import annotations

import re
import time
from functools import lru_cache, partial
from io import BytesIO
from itertools import accumulate, chain, groupby, islice
from math import isfinite
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import REGISTRY
from prometheus_client.utils import floatToGoString

from instrumentation import catalog, speedups
from instrumentation.catalog import Kind
from instrumentation.exposition.registry import Collectors
from instrumentation.store import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from types import ModuleType

    from prometheus_client.metrics_core import Metric as Family
    from prometheus_client.registry import Collector, CollectorRegistry
    from prometheus_client.samples import Exemplar

    from instrumentation.catalog import Metric
    from instrumentation.multiprocess import WorkerFiles
    from instrumentation.store import Store

    Labels = tuple[str, ...]
    Exemplars = Mapping[tuple[str, Labels, int], Exemplar]
    ByLabels = Mapping[Labels, Mapping[int, Exemplar]]
    _Text = tuple[Series, bytes, bytes]  # a series, its labels, and the rest of the line
    Write = Callable[[Iterable[_Text]], Iterator[bytes]]

_go_text: Callable[[float], str] = floatToGoString
_LONGEST_EXEMPLAR = 128  # OpenMetrics 1.0: characters of all label names and values together
_END = b"# EOF\n"
_KEPT_BYTES = 1 << 20  # a page of some 6,000 lines
_BATCH = 32  # series that are written at once
_PACE = 0.0002  # seconds of rendering; otherwise an event loop that needs the GIL would wait 5 ms each time
_PLACE = b"\0"  # placeholder for a histogram's labels; see _frame
_NAME_END = re.compile(rb"[{ ]")


class Page(NamedTuple):
    """A page of metrics.

    Attributes:
        body: The text, UTF-8.
        content_type: text/plain or application/openmetrics-text, with version and charset.
    """

    body: bytes
    content_type: str


class Exposition:
    """Renders the page of a store and a registry.

    Our own series are rendered here, because prometheus_client takes ten times as long per series.

    Args:
        store: Our series.
        registry: The user's own metrics, without the ``prometheus_client`` collector of the store in it.
        skip: Whether a metric of the registry is left out, by its name without ``_total``.
        exemplars: Exemplars by metric name, label values and bucket index, read for each OpenMetrics page.
        files: The user's own metrics of all workers, which replace those of the registry.

    Attributes:
        summed: Names of the metrics whose sum over all workers is ours, not that of another page.
    """

    def __init__(
        self,
        store: Store,
        registry: CollectorRegistry = REGISTRY,
        *,
        skip: Callable[[str], bool] = lambda _: False,
        exemplars: Exemplars = MappingProxyType({}),
        files: WorkerFiles | None = None,
    ) -> None:
        self._store = store
        self._registry = registry
        self._exemplars = exemplars
        self._files = files
        self._labels = _LabelTexts()
        self._buffers: list[BytesIO] = []
        self._collectors = Collectors(skip)
        self.summed = frozenset(name for row in catalog.METRICS if skip(row.name) for name in _names(row))
        self._compiled = speedups.module()

    def page(self, accept: str = "", names: Iterable[str] = (), *, present: Collection[str] = ()) -> Page:
        """The current page.

        Args:
            accept: The request's Accept header, which selects text or OpenMetrics.
            names: Metrics and samples to include, such as ``a_seconds`` and ``a_seconds_count``; none: all.
            present: Names of metrics that are already on the page; they are left out.
        """
        encode, content_type = choose_encoder(_best_offer(accept))
        openmetrics = content_type.startswith("application/openmetrics-text")
        wanted, present = frozenset(names), frozenset(present)
        families = [rows for rows in _families(self._store) if present.isdisjoint(_names(rows[0].metric))]
        ours = self._ours(families, wanted, openmetrics=openmetrics)
        taken = {name for rows in families for name in _names(rows[0].metric)}
        collectors = self._asked_for(wanted, present)
        others = self._collectors.texts(collectors, encode, wanted=wanted, taken=taken, present=present)
        return Page(self._joined(chain(ours, others, (_END if openmetrics else b"",))), content_type)

    def _joined(self, pieces: Iterable[bytes]) -> bytes:
        """The pieces joined in a reused buffer: allocating it for each page took a fifth of the time."""
        try:
            buffer = self._buffers.pop()
        except IndexError:  # the first page, or one rendered concurrently with another
            buffer = BytesIO()
        buffer.seek(0)
        buffer.writelines(pieces)
        size = buffer.tell()
        joined = bytes(buffer.getbuffer()[:size])
        if size <= _KEPT_BYTES:
            self._buffers.append(buffer)
        return joined

    def _ours(self, families: Iterable[list[Series]], wanted: frozenset[str], *, openmetrics: bool) -> Iterator[bytes]:
        exemplars = _by_series(self._exemplars) if openmetrics else {}
        for rows in families:
            metric = rows[0].metric
            labels = self._labels.of(metric, rows)
            found = exemplars.get(metric.name, {})
            chunks = _family(rows, labels, self._writer(metric, found), openmetrics=openmetrics)
            whole = not wanted or metric.name in wanted or _stem(metric) in wanted
            yield from chunks if whole else _named(chunks, wanted)

    def _writer(self, metric: Metric, exemplars: ByLabels) -> Write:
        if metric.kind is not Kind.HISTOGRAM:
            return _values
        if self._compiled and not exemplars:
            return partial(_compiled_histograms, self._compiled)
        return partial(_histograms, exemplars)

    def _asked_for(self, wanted: frozenset[str], present: Collection[str]) -> dict[Collector, Sequence[str]]:
        """The user's ``prometheus_client`` collectors that may have wanted metrics that are not present, with names."""
        every: dict[Collector, Sequence[str]] = {
            collector: names
            for collector, names in self._registry._collector_to_names.copy().items()  # noqa: SLF001 - collect() is all or nothing
            if not _is_of(collector, self._store) and not (self._files and self._files.replaces(collector))
        }
        if self._files:
            every[self._files] = ()
        return {
            one: names
            for one, names in every.items()
            if not (wanted and names and wanted.isdisjoint(names)) and not any(name in present for name in names)
        }


class StoreCollector:
    """Our series as an ordinary ``prometheus_client`` collector.

    It has no ``_created`` samples, which prometheus_client would write into text pages too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Family]:
        """Only the names, so that a registry can refuse a second metric with the same name."""
        return (_as_family(row, []) for row in catalog.METRICS if not _is_standard(row))

    def collect(self) -> Iterator[Family]:
        """All metrics with their series."""
        for rows in _families(self._store):
            if not _is_standard(rows[0].metric):
                yield _as_family(rows[0].metric, rows)


def register(store: Store, registry: CollectorRegistry = REGISTRY) -> None:
    """Add a store to a registry; repeated calls have no effect."""
    collectors = registry._collector_to_names.copy()  # noqa: SLF001 - the registry has no public method for this
    if not any(_is_of(collector, store) for collector in collectors):
        registry.register(StoreCollector(store))


def _is_of(collector: object, store: Store) -> bool:
    return isinstance(collector, StoreCollector) and collector._store is store  # noqa: SLF001


def _is_standard(metric: Metric) -> bool:
    return metric.name.startswith("process_")  # prometheus_client itself collects these


# --- Accept headers ---------------------------------------------------------------------------------------------------


class Preference(NamedTuple):
    """One element of an Accept or Accept-Encoding header.

    Attributes:
        value: The media type or coding, lower case.
        quality: Its q, from 0 to 1; an invalid number counts as 1.
        parameters: The other parameters.
    """

    value: str
    quality: float
    parameters: dict[str, str]


def preferences(header: str) -> list[Preference]:
    """The elements of a header, in order.

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
    """The format to use, as an Accept header for ``choose_encoder``, which does not support q.

    With equal q, the old text format is the last choice, as in prometheus_client.
    """
    offers = [(wanted.quality, _offer(wanted)) for wanted in preferences(accept) if wanted.quality]
    known = [(-quality, offer == _PLAIN, index, offer) for index, (quality, offer) in enumerate(offers) if offer]
    return min(known)[-1] if known else _PLAIN


_PLAIN = "text/plain"


def _offer(wanted: Preference) -> str | None:
    version = wanted.parameters.get("version", "")
    # Our names are the same in every escaping scheme except "dots", which would hide them from every rule.
    escaping = "allow-utf-8" if wanted.parameters.get("escaping") == "allow-utf-8" else "underscores"
    if wanted.value in {"application/openmetrics-text", _PLAIN} and version == "1.0.0":
        return f"{wanted.value};version=1.0.0;escaping={escaping}"
    if wanted.value == "application/openmetrics-text":
        return None if version else wanted.value
    return _PLAIN if wanted.value in {_PLAIN, "text/*", "*/*"} else None


# --- Our series as text -----------------------------------------------------------------------------------------------


class _LabelTexts:
    """Caches label values as ``{a="b"}`` per series, and drops them some time after the series is gone."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Labels | tuple[Labels, Labels], bytes]] = {}

    def of(self, metric: Metric, rows: Sequence[Series]) -> list[bytes]:
        """The text of the labels of each series, whose label names may differ; empty without labels."""
        known = self._known.setdefault(metric.name, {})
        if len(known) > 2 * len(rows):
            known.clear()
        return [
            known.get(row.labels if row.metric is metric else (row.metric.labels, row.labels))
            or self._made(metric, row)
            for row in rows
        ]

    def _made(self, metric: Metric, row: Series) -> bytes:
        key = row.labels if row.metric is metric else (row.metric.labels, row.labels)
        # A lone surrogate must not break the page.
        text = self._known[metric.name][key] = _label_text(row.metric.labels, row.labels).encode("utf-8", "replace")
        return text


def _label_text(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    frame, in_order = _label_frame(names)
    if not _PLAIN_VALUES("".join(values)):
        values = tuple(map(_escaped, values))
    return frame % in_order(values)


_PLAIN_VALUES = re.compile(r'[^\\\n"]*').fullmatch


@lru_cache(maxsize=64)
def _label_frame(names: Labels) -> tuple[str, Callable[[Labels], Labels]]:
    order = sorted(range(len(names)), key=names.__getitem__)
    return "{" + ",".join(f'{names[index]}="%s"' for index in order) + "}", itemgetter(*order)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _families(store: Store) -> list[list[Series]]:
    """The series of each metric, then those about the store; target_info comes first, as OpenMetrics requires."""
    families: dict[str, list[Series]] = {catalog.TARGET_INFO.name: []}
    for series in store.series():
        families.setdefault(series.metric.name, []).append(series)
    state = store.state
    for metric, value in (
        (catalog.SIDELIGHT_SERIES, state.held),
        (catalog.SIDELIGHT_SERIES_LIMIT, store.series_limit),
        (catalog.SIDELIGHT_SERIES_FOLDED, store.folded),  # unless the store has already summed it over its workers
        (catalog.SIDELIGHT_WORKERS, state.workers),
        (catalog.SIDELIGHT_STORE_BYTES, state.size),
    ):
        families.setdefault(metric.name, [Series(metric, (), (), (float(value),), 0.0)])
    return [rows for rows in families.values() if rows]


def _family(rows: Sequence[Series], labels: Sequence[bytes], write: Write, *, openmetrics: bool) -> Iterator[bytes]:
    """The HELP and TYPE lines of a metric, then the text of its series in pieces."""
    metric = rows[0].metric
    has_created = openmetrics and metric.kind is not Kind.GAUGE
    ends = [_created(row, text) if has_created else b"" for row, text in zip(rows, labels, strict=True)]
    yield _head(metric, openmetrics=openmetrics)
    series = zip(rows, labels, ends, strict=True)
    rested = time.perf_counter()
    while batch := list(islice(series, _BATCH)):
        yield b"".join(write(batch))
        if time.perf_counter() - rested > _PACE:
            time.sleep(0)
            rested = time.perf_counter()


def _created(row: Series, labels: bytes) -> bytes:
    # Prometheus stores milliseconds.
    return b"%b_created%b %.3f\n" % (_stem(row.metric).encode(), labels, row.created) if row.created else b""


def _head(metric: Metric, *, openmetrics: bool) -> bytes:
    name = _stem(metric) if openmetrics else metric.name
    kind = "info" if openmetrics and _is_info(metric) else metric.kind
    text = _escaped(metric.help) if openmetrics else metric.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


def _is_info(metric: Metric) -> bool:
    return metric.name == catalog.TARGET_INFO.name


def _names(metric: Metric) -> set[str]:
    return {metric.name, _stem(metric)}


def _stem(metric: Metric) -> str:
    """The name of a metric family in OpenMetrics: without the suffix of its samples."""
    if _is_info(metric):
        return metric.name.removesuffix("_info")
    return metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name


def _values(batch: Iterable[_Text]) -> Iterator[bytes]:
    for row, labels, end in batch:
        yield b"%b%b %b\n%b" % (row.metric.name.encode(), labels, _number(row.slots[0]), end)


def _compiled_histograms(module: ModuleType, batch: Iterable[_Text]) -> Iterator[bytes]:
    for edges, alike in groupby(batch, lambda text: text[0].edges):  # workers of two versions may have different edges
        rows = [*alike]
        name = rows[0][0].metric.name.encode()
        yield module.histograms(name, _edge_texts(edges), [(row.slots, labels, end) for row, labels, end in rows])


def _histograms(exemplars: ByLabels, batch: Iterable[_Text]) -> Iterator[bytes]:
    """Renders histograms by inserting the labels and numbers of each into a common template."""
    for row, labels, end in batch:
        *counts, total = row.slots
        totals = (*accumulate(counts),)
        frame = _frame(row.metric.name, row.edges, has_labels=bool(labels))
        text = frame.replace(_PLACE, labels[:-1].replace(b"%", b"%%")) % (*totals, totals[-1], _number(total))
        found = exemplars.get(row.labels) if exemplars else None
        yield _with_exemplars(text, found, len(row.edges)) if found else text
        yield end


@lru_cache(maxsize=64)
def _frame(name: str, edges: tuple[float, ...], *, has_labels: bool) -> bytes:
    """The template of a histogram, with placeholders for its labels (without the closing bracket) and its numbers."""
    start, comma, bracket = (_PLACE.decode(), ",", "}") if has_labels else ("", "{", "")
    buckets = (f'{name}_bucket{start}{comma}le="{edge}"}} %a\n' for edge in _edge_names(edges))
    return f"{''.join(buckets)}{name}_count{start}{bracket} %a\n{name}_sum{start}{bracket} %b\n".encode()


@lru_cache(maxsize=64)
def _edge_texts(edges: tuple[float, ...]) -> tuple[bytes, ...]:
    return tuple(edge.encode() for edge in _edge_names(edges))


def _with_exemplars(text: bytes, exemplars: Mapping[int, Exemplar], last: int) -> bytes:
    lines = text.split(b"\n")
    for bucket, exemplar in exemplars.items():
        if bucket <= last:
            lines[bucket] += _exemplar_text(exemplar).encode("utf-8", "replace")
    return b"\n".join(lines)


def _edge_names(edges: tuple[float, ...]) -> Iterator[str]:
    return map(_go_text, (*edges, float("inf")))


def _number(value: float) -> bytes:
    return b"%a" % value if isfinite(value) else _go_text(value).encode()


def _by_series(exemplars: Exemplars) -> dict[str, dict[Labels, dict[int, Exemplar]]]:
    found: dict[str, dict[Labels, dict[int, Exemplar]]] = {}
    for (name, labels, bucket), exemplar in list(exemplars.items()):  # other threads may add to it in the meantime
        found.setdefault(name, {}).setdefault(labels, {})[bucket] = exemplar
    return found


def _exemplar_text(exemplar: Exemplar) -> str:
    """The exemplar after a bucket's value; nothing if its labels are longer than OpenMetrics allows."""
    if sum(map(len, (*exemplar.labels, *exemplar.labels.values()))) > _LONGEST_EXEMPLAR:
        return ""
    time = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    labels = _label_text(tuple(exemplar.labels), tuple(exemplar.labels.values()))
    return f" # {labels or '{}'} {_number(exemplar.value).decode()}{time}"


def _named(chunks: Iterator[bytes], wanted: Collection[str]) -> Iterator[bytes]:
    """The HELP and TYPE lines of a metric and the lines of some samples; nothing if there are none."""
    names = {name.encode("utf-8", "replace") for name in wanted}
    head = next(chunks)
    lines = [line for chunk in chunks for line in chunk.split(b"\n") if _NAME_END.split(line, maxsplit=1)[0] in names]
    if lines:
        yield b"\n".join((head.rstrip(b"\n"), *lines, b""))


# --- prometheus_client's families --------------------------------------------------------------------------------------


def _as_family(metric: Metric, rows: Sequence[Series]) -> Family:
    if _is_info(metric):
        return _info(metric, rows)
    return _FAMILY[metric.kind](metric, rows)


def _info(metric: Metric, rows: Sequence[Series]) -> Family:
    family = InfoMetricFamily(_stem(metric), metric.help)
    for row in rows:
        family.add_metric((), dict(zip(row.metric.labels, row.labels, strict=True)))
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
