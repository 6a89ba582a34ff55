"""The user's own metrics as text: a collector that fails or hangs costs no more than what it would give."""

from __future__ import annotations

import copy
import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric as Family
    from prometheus_client.registry import Collector

    Named = Sequence[tuple[str, Family]]

PATIENCE_SECONDS = 5.0
"""How long one collector may take: half of what Prometheus waits for a page, by default."""

_log = logging.getLogger("instrumentation")
_MOST_SAID = 100  # a collector that makes up names must fill neither the log nor the memory
_END = b"# EOF\n"  # an encoder ends with it what may be one family of many


class Collectors:
    """Asks collectors and writes what they give.

    They are asked in a thread, which is left behind where one of them hangs. While it hangs it is not asked again, so
    what is left behind does not grow.

    Args:
        skip: Whether a metric is left out, by its name without ``_total``.
    """

    def __init__(self, skip: Callable[[str], bool]) -> None:
        self._skip = skip
        self._hanging: dict[Collector, threading.Thread] = {}
        self._said: set[str] = set()

    def texts(
        self,
        collectors: Mapping[Collector, Sequence[str]],
        encode: Callable[[Collector], bytes],
        *,
        wanted: Collection[str],
        taken: Collection[str],
        present: Collection[str] = (),
    ) -> Iterator[bytes]:
        """Each metric's text, without an end.

        Args:
            collectors: Each with the names that it gives, or none where it does not say.
            encode: prometheus_client's encoder of a format.
            wanted: Families and samples that alone are wanted; none: all.
            taken: Names of metrics of ours.
            present: Names of metrics that are left out without a word.
        """
        families: dict[str, list[Family]] = {}
        for collector, found in self._asked([*collectors]):
            if isinstance(found, BaseException):
                self._say_once(", ".join(collectors[collector]) or type(collector).__qualname__, found)
                continue
            for name, family in found:
                if self._skip(name) or name in present:
                    continue
                if name in taken:
                    self._say_once(name, ValueError("a metric of Sidelight has the name"))
                else:
                    families.setdefault(name, []).append(family)
        for name, alike in families.items():
            try:
                family = _restricted(_merged(alike), wanted)
                text = encode(_Collected(family)) if family.samples or not wanted else b""
            except BaseException as error:  # noqa: BLE001 - whatever it is, the rest of the page is served
                self._say_once(name, error)
            else:
                yield text.removesuffix(_END)

    def _asked(self, collectors: Sequence[Collector]) -> Iterator[tuple[Collector, Named | BaseException]]:
        """What each gives, or why it gives nothing."""
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
            yield hanging, TimeoutError(f"it takes longer than {PATIENCE_SECONDS:g} s")

    def _say_once(self, what: str, why: BaseException) -> None:
        if what not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(what)
            _log.warning("a collector is left out of the page; it is said once: %s", what, exc_info=why)


class _Walk(threading.Thread):
    """From collector to collector."""

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
        """Wait until all have answered, or one has taken too long; whether all have."""
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
    except BaseException as error:  # noqa: BLE001 - whatever it is, the others are asked
        return error


def _merged(families: Sequence[Family]) -> Family:
    """Families of one name as one, since a name may stand on a page once; naive collectors give one for each sample."""
    first, *others = families
    if not others:
        return first
    if any(family.type != first.type for family in others):
        raise ValueError("it is given with different types")
    merged = copy.copy(first)  # the collector may keep its own
    merged.samples = [sample for family in families for sample in family.samples]
    return merged


def _restricted(family: Family, wanted: Collection[str]) -> Family:
    """The family where it is wanted as a whole, else those of its samples that are."""
    if not wanted or family.name in wanted:
        return family
    restricted = copy.copy(family)
    restricted.samples = [sample for sample in family.samples if sample.name in wanted]
    return restricted


class _Collected(NamedTuple):
    """A family that was collected already, for an encoder."""

    family: Family

    def collect(self) -> tuple[Family]:
        return (self.family,)
