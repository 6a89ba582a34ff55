"""Renders the user's own metrics. A ``prometheus_client`` collector that fails or hangs loses only its own metrics."""

from __future__ import annotations

import copy
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric as Family
    from prometheus_client.registry import Collector

    Named = Sequence[tuple[str, Family]]

PATIENCE_SECONDS = 5.0
"""Time limit for one ``prometheus_client`` collector: half of Prometheus' default scrape timeout."""

_MOST_LOGGED = 100  # a collector with ever new names must not fill the log or the memory
_END = b"# EOF\n"  # an encoder ends its output with it, even for one metric of many


class Collectors:
    """Calls ``prometheus_client`` collectors and renders their metrics.

    They are called in a thread, which is abandoned if one of them hangs. A hanging collector is not called again, so the
    number of abandoned threads does not grow.

    Args:
        skip: Whether a metric is left out, by its name without ``_total``.
    """

    def __init__(self, skip: Callable[[str], bool]) -> None:
        self._skip = skip
        self._hanging: dict[Collector, threading.Thread] = {}
        self._log_once = LogOnce(_MOST_LOGGED)

    def texts(
        self,
        collectors: Mapping[Collector, Sequence[str]],
        encode: Callable[[Collector], bytes],
        *,
        wanted: Collection[str],
        taken: Collection[str],
        present: Collection[str] = (),
    ) -> Iterator[bytes]:
        """The text of each metric, without an end marker.

        Args:
            collectors: Collectors with the names of their metrics, empty if unknown.
            encode: prometheus_client's encoder for a format.
            wanted: Metrics and samples to include; none: all.
            taken: Names of Sidelight's metrics.
            present: Names of metrics to leave out without a log line.
        """
        families: dict[str, list[Family]] = {}
        for collector, found in self._asked([*collectors]):
            if isinstance(found, BaseException):
                self._log_missing(", ".join(collectors[collector]) or type(collector).__qualname__, found)
                continue
            for name, family in found:
                if self._skip(name) or name in present:
                    continue
                if name in taken:
                    self._log_missing(name, ValueError("a metric of Sidelight has this name"))
                else:
                    families.setdefault(name, []).append(family)
        for name, alike in families.items():
            try:
                family = _restricted(_merged(alike), wanted)
                text = encode(_Collected(family)) if family.samples or not wanted else b""
            except BaseException as error:  # noqa: BLE001 - the rest of the page is served after any error
                self._log_missing(name, error)
            else:
                yield text.removesuffix(_END)

    def _asked(self, collectors: Sequence[Collector]) -> Iterator[tuple[Collector, Named | BaseException]]:
        """The metrics of each collector, or the reason why it has none."""
        left = [one for one in collectors if not (one in self._hanging and self._hanging[one].is_alive())]
        while left:
            walk = _Walk(left)
            walk.start()
            is_through = walk.waited(PATIENCE_SECONDS)
            yield from zip(left, walk.found, strict=False)
            if is_through:
                return
            hanging, *left = left[len(walk.found) :]
            self._hanging[hanging] = walk
            yield hanging, TimeoutError(f"took longer than {PATIENCE_SECONDS:g} s")

    def _log_missing(self, name: str, error: BaseException) -> None:
        text = "metrics of a prometheus_client collector are missing; this is logged once: %s"
        self._log_once(text, name, about=name, error=error)


class _Walk(threading.Thread):
    """Calls one collector after the other in a thread."""

    def __init__(self, collectors: Sequence[Collector]) -> None:
        super().__init__(name="sidelight-collectors", daemon=True)
        self.found: list[Named | BaseException] = []
        self._collectors = collectors
        self._began = time.monotonic()
        self._is_left = False
        self._lock = threading.Lock()

    def run(self) -> None:
        for collector in self._collectors:
            found = _given(collector)
            with self._lock:
                if self._is_left:
                    return
                self.found.append(found)
                self._began = time.monotonic()

    def waited(self, seconds: float) -> bool:
        """Wait until all have answered or one has taken too long; returns whether all have answered."""
        while self.is_alive():
            with self._lock:
                rest = self._began + seconds - time.monotonic()
                if rest <= 0 and len(self.found) < len(self._collectors):
                    self._is_left = True
                    return False
            self.join(max(rest, 0.0))
        return True


def _given(collector: Collector) -> Named | BaseException:
    try:
        return [(family.name, family) for family in collector.collect()]
    except BaseException as error:  # noqa: BLE001 - the others are called after any error
        return error


def _merged(families: Sequence[Family]) -> Family:
    """Merges metrics with the same name, which must be unique on a page; simple collectors create one per sample."""
    first, *others = families
    if not others:
        return first
    if any(family.type != first.type for family in others):
        raise ValueError("it has different types")
    merged = copy.copy(first)  # the collector may reuse its own
    merged.samples = [sample for family in families for sample in family.samples]
    return merged


def _restricted(family: Family, wanted: Collection[str]) -> Family:
    """The metric if it is wanted as a whole, otherwise its wanted samples."""
    if not wanted or family.name in wanted:
        return family
    restricted = copy.copy(family)
    restricted.samples = [sample for sample in family.samples if sample.name in wanted]
    return restricted


class _Collected(NamedTuple):
    """A collected metric, in a form that an encoder accepts."""

    family: Family

    def collect(self) -> tuple[Family]:
        return (self.family,)
